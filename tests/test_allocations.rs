//! A verification from memory allocates nothing, from the bytes of the header to `Verified`.

mod util;

use std::time::Duration;

use api_tokens::{
    Cache, Client, DigestMatch, ImportFormat, Issuer, Keyring, MasterKey, MemoryStore, NewToken,
    Token, TokenRecord, TokenStore, Verified, Verifier, VerifyError, WriteBatch, prefix,
};
use rand::rngs::SysRng;
use util::{ann, at_once, new_token};

fn allocations<T>(work: impl FnOnce() -> T) -> (u64, T) {
    let mut output = None;
    let measured = allocation_counter::measure(|| output = Some(work()));
    (measured.count_total, output.expect("it ran"))
}

fn verify(verifier: &Verifier<MemoryStore>, field: &str) -> (u64, Result<Verified, VerifyError>) {
    allocations(|| at_once(verifier.verify_authorization([field.as_bytes()])))
}

#[test]
fn a_verification_allocates_nothing() {
    for keyring in [
        Keyring::unkeyed(),
        Keyring::new(MasterKey::from_bytes(&(0..32).collect::<Vec<u8>>()).expect("a key")),
    ] {
        let store = MemoryStore::new();
        let verifier = Verifier::new(prefix!("acme_live"), &keyring, store.clone());
        let issuer = Issuer::new(&verifier);
        let token = at_once(issuer.create(two_scopes(), &ann())).expect("create").token;
        let header = format!("Bearer {}", token.expose_secret());
        let required = "sources:read".parse().expect("scopes");

        let (count, verified) = verify(&verifier, &header);
        let verified = verified.expect("accepted");
        assert_eq!(count, 0, "accepted");
        assert_eq!(allocations(|| verified.require(&required).is_ok()), (0, true));
        assert_eq!(allocations(|| drop(verified.clone())).0, 0);

        // Nor does a refusal.
        let unknown = Token::generate(&prefix!("acme_live"), &mut SysRng).expect("a token");
        let unknown = format!("Bearer {}", unknown.expose_secret());
        let (count, result) = verify(&verifier, &unknown);
        assert!(matches!(result, Err(VerifyError::UnknownToken)));
        assert_eq!(count, 0, "unknown");
        for refused in ["", "Bearer x", "Basic dTpw", &header.repeat(100)] {
            let (count, result) = verify(&verifier, refused);
            result.expect_err("refused");
            assert_eq!(count, 0, "{refused}");
        }
        // A wrong secret: the record gets the digest of another token.
        let other = at_once(issuer.create(two_scopes(), &ann())).expect("create");
        let other_header = format!("Bearer {}", other.token.expose_secret());
        let digest = verified.record().digest;
        let swapped = TokenRecord { digest, version: 2, ..other.record };
        at_once(store.write(&WriteBatch::update(swapped))).expect("update");
        let (count, result) = verify(&verifier, &other_header);
        assert!(matches!(result, Err(VerifyError::WrongSecret { .. })));
        assert_eq!(count, 0, "wrong secret");

        at_once(issuer.revoke(token.id(), &ann(), None)).expect("revoke");
        let (count, result) = verify(&verifier, &header);
        assert!(matches!(result, Err(VerifyError::NotActive { .. })));
        assert_eq!(count, 0, "revoked");
    }
}

/// Nor does one from the cache, or a refusal by what is in it.
#[test]
fn a_verification_from_the_cache_allocates_nothing() {
    let (verifier, background) =
        Verifier::builder(prefix!("acme_live"), &Keyring::unkeyed(), MemoryStore::new())
            .cache(Cache::new().max_staleness(Duration::from_secs(60)))
            .build();
    at_once(background.poll_changes()).expect("poll");
    let issuer = Issuer::new(&verifier);
    let token = at_once(issuer.create(two_scopes(), &ann())).expect("create").token;
    let header = format!("Bearer {}", token.expose_secret());
    assert!(verify(&verifier, &header).0 > 0, "it enters the cache");
    let (count, verified) = verify(&verifier, &header);
    let verified = verified.expect("accepted");
    assert_eq!(count, 0, "accepted");
    assert_eq!(allocations(|| drop(verified.clone())).0, 0);
    assert_eq!(allocations(|| verifier.cache_health().is_some()), (0, true));
    at_once(issuer.revoke(token.id(), &ann(), None)).expect("revoke");
    for is_cached in [false, true] {
        let (count, result) = verify(&verifier, &header);
        assert!(matches!(result, Err(VerifyError::NotActive { .. })));
        assert_eq!(count == 0, is_cached, "revoked");
    }
}

/// With a background, a token's first use is noted, and the others find that it was.
#[test]
fn noting_the_use_of_a_token_allocates_once() {
    let store = MemoryStore::new();
    let (verifier, mut background) =
        Verifier::builder(prefix!("acme_live"), &Keyring::unkeyed(), store.clone()).build();
    let token = at_once(Issuer::new(&verifier).create(two_scopes(), &ann())).expect("create").token;
    let header = format!("Bearer {}", token.expose_secret());
    let verify = |user_agent: &[u8]| {
        let client = Client { user_agent: Some(user_agent), ..Client::default() };
        let verify = verifier.verify_authorization_from([header.as_bytes()], client);
        let (count, result) = allocations(|| at_once(verify));
        result.expect("accepted");
        count
    };
    assert!(verify(b"curl/8.5") > 0);
    for user_agent in ["curl/8.6", "x"] {
        assert_eq!(verify(b"a longer one, which is not noted before the next second"), 0);
        at_once(background.tick()).expect("tick");
        assert_eq!(verify(user_agent.as_bytes()), 0, "{user_agent}");
    }
    at_once(background.flush()).expect("flush");
    let usage = at_once(store.usage(&[token.id()])).expect("usage");
    assert!(matches!(&*usage, [usage] if usage.user_agent.as_deref() == Some("x")), "{usage:?}");
}

fn two_scopes() -> NewToken {
    new_token("a token").with_scopes("sources:read flows:run".parse().expect("scopes"))
}

#[test]
fn an_imported_token_allocates_nothing() {
    let digester = Keyring::unkeyed().digester(&prefix!("acme_live"));
    let letters = "abcdef01".repeat(8);
    for (format, text) in [
        (ImportFormat::sha256().with_start("abc"), letters.clone()),
        (ImportFormat::sanctum(), format!("12|{letters}")),
        (ImportFormat::rest_framework_api_key(), format!("abc.{letters}")),
        (ImportFormat::knox(), letters.clone()),
        (ImportFormat::knox_4(), letters.clone()),
        (ImportFormat::better_auth(), letters.clone()),
    ] {
        let text = text.as_bytes();
        let (count, imported) = allocations(|| format.digest_of(text));
        let imported = imported.expect("a token of this format");
        assert_eq!(count, 0, "{format:?}");
        for stored in [imported.digest(), digester.digest_imported(&imported.id(), text)] {
            let (count, found) = allocations(|| digester.verify_imported(text, &imported, &stored));
            assert!(matches!(found, DigestMatch::Current | DigestMatch::Earlier));
            assert_eq!(count, 0, "{format:?}");
        }
        let too_long = text.repeat(9);
        assert_eq!(allocations(|| format.digest_of(&too_long)), (0, None));
    }
}

/// That the counter counts.
#[test]
fn an_allocation_is_seen() {
    assert_eq!(allocations(|| drop(Box::new(1))).0, 1);
}
