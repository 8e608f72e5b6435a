//! Create, verify, get, list, revoke, prune.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use api_tokens::{
    Actor, Clock, Expiry, Issuer, IssuerError, Keyring, ListFilter, MemoryStore, NewToken,
    Selection, Status, Token, TokenId, TokenRecord, TokenStore, Verifier, VerifyError, prefix,
};
use jiff::{SignedDuration, Timestamp};
use rand::{SeedableRng, rngs::ChaCha20Rng};

use crate::{ann, key, new_token, seconds, services, start};

#[tokio::test]
async fn a_created_token_verifies_and_stands_for_what_was_asked() {
    for service in services() {
        let new =
            new_token(" Production REST API ").with_scopes("sources:* flows:run".parse().unwrap());
        let eve: Actor = "eve".parse().unwrap();
        let created = service.issuer.create(new, &eve).await.unwrap();
        let verified =
            service.verifier.verify(created.token.expose_secret().as_bytes()).await.unwrap();
        assert_eq!(verified.id(), created.token.id());
        assert_eq!(verified.project().as_str(), "acme");
        assert_eq!(verified.owner().as_str(), "ann");
        assert_eq!(verified.name().as_str(), "Production REST API");
        assert_eq!(*verified.record(), created.record);
        assert_eq!(created.record.created_by.as_str(), "eve");
        assert_eq!(created.record.created_at, start());
        assert_eq!(created.record.version, 1);
        verified.require(&"sources:read flows:run".parse().unwrap()).unwrap();
        let missing = verified.require(&"flows:run flows:edit".parse().unwrap()).unwrap_err();
        assert!(matches!(missing, VerifyError::InsufficientScope { .. }));
        assert!(missing.to_string().contains("flows:edit flows:run"), "{missing}");
    }
}

#[tokio::test]
async fn the_store_holds_no_plaintext() {
    for service in services() {
        let (token, record) = service.create("a token").await;
        let json = serde_json::to_string(&record).unwrap();
        let secret = token.expose_secret().split('_').next_back().unwrap();
        assert!(json.contains(token.id().as_str()));
        // Not even in part.
        for part in secret.as_bytes().windows(8) {
            let part = core::str::from_utf8(part).unwrap();
            assert!(!json.contains(part), "{part} in {json}");
        }
    }
}

#[tokio::test]
async fn every_refusal_has_its_reason() {
    for service in services() {
        let (token, _) = service.create("a token").await;
        let other =
            Token::generate(&prefix!("acme_live"), &mut ChaCha20Rng::seed_from_u64(2)).unwrap();
        let verify = async |text: &str| service.verifier.verify(text.as_bytes()).await.unwrap_err();

        assert!(matches!(verify("garbage").await, VerifyError::Malformed(_)));
        assert!(matches!(verify(other.expose_secret()).await, VerifyError::UnknownToken));

        let forged = forge(&token, &other);
        let error = verify(&forged).await;
        assert!(matches!(error, VerifyError::WrongSecret { id } if id == token.id()), "{error}");

        let header =
            |value: &'static str| service.verifier.verify_authorization([value.as_bytes()]);
        assert!(matches!(header("").await, Err(VerifyError::NoCredentials)));
        assert!(matches!(header("Basic dTpw").await, Err(VerifyError::OtherScheme)));
        assert!(matches!(header("Bearer").await, Err(VerifyError::InvalidRequest)));
        assert!(matches!(header("Bearer ?").await, Err(VerifyError::MalformedCredentials)));
        assert!(matches!(header("Bearer a").await, Err(VerifyError::Malformed(_))));
    }
}

/// The id of one token with the secret of another, and a right checksum.
pub(crate) fn forge(id: &Token, secret: &Token) -> String {
    let body = format!(
        "acme_live_{}_{}",
        id.id(),
        &secret.expose_secret()["acme_live_0123456789abcdef_".len()..][..39]
    );
    let mut crc = crc32fast::hash(body.as_bytes());
    let mut digits = Vec::new();
    for _ in 0..6 {
        let digit = u8::try_from(crc % 62).unwrap();
        digits.push(char::from(match digit {
            0..10 => b'0' + digit,
            10..36 => b'A' + digit - 10,
            _ => b'a' + digit - 36,
        }));
        crc /= 62;
    }
    body + &digits.iter().rev().collect::<String>()
}

#[tokio::test]
async fn the_authorization_field_is_read_and_verified() {
    for service in services() {
        let (token, _) = service.create("a token").await;
        let value = format!("bearer  {} ", token.expose_secret());
        let verified = service.verifier.verify_authorization([value.as_bytes()]).await.unwrap();
        assert_eq!(verified.id(), token.id());
        let twice = [value.as_bytes(), value.as_bytes()];
        let error = service.verifier.verify_authorization(twice).await.unwrap_err();
        assert!(matches!(error, VerifyError::InvalidRequest));
    }
}

#[tokio::test]
async fn revocation_is_immediate_final_and_idempotent() {
    for service in services() {
        let (token, record) = service.create("a token").await;
        let (bystander, _) = service.create("another").await;
        service.clock.advance(seconds(5));
        let reason = Some("laptop lost".parse().unwrap());
        let revoked = service
            .issuer
            .revoke(token.id(), &"bob".parse().unwrap(), reason)
            .await
            .unwrap()
            .record;
        assert_eq!(service.status(&token).await, Status::Revoked);
        assert_eq!(service.status(&bystander).await, Status::Active);
        let revocation = revoked.revocation.clone().unwrap();
        assert_eq!(revocation.at, start() + seconds(5));
        assert_eq!(revocation.by.unwrap().as_str(), "bob");
        assert_eq!(revocation.reason.unwrap().as_str(), "laptop lost");
        assert_eq!(revoked.version, record.version + 1);

        // Again, by somebody else: what is on record stays.
        service.clock.advance(seconds(5));
        let again =
            service.issuer.revoke(token.id(), &"eve".parse().unwrap(), None).await.unwrap().record;
        assert_eq!(again, revoked);
        assert_eq!(service.issuer.get(token.id(), &ann()).await.unwrap(), Some(revoked));
        // Whatever the clock says.
        service.clock.set(start() - seconds(1000));
        assert_eq!(service.status(&token).await, Status::Revoked);
    }
}

#[tokio::test]
async fn revoking_an_unknown_token_says_so() {
    for service in services() {
        let id: TokenId = "0123456789abcdef".parse().unwrap();
        let error = service.issuer.revoke(id, &ann(), None).await.unwrap_err();
        assert!(matches!(error, IssuerError::NotFound), "{error}");
        assert_eq!(service.issuer.get(id, &ann()).await.unwrap(), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_revocations_at_once_leave_one_on_record() {
    for service in services() {
        let (token, _) = service.create("a token").await;
        let issuer = Arc::new(service.issuer);
        let mut tasks = tokio::task::JoinSet::new();
        for i in 0..32 {
            let (issuer, id) = (Arc::clone(&issuer), token.id());
            tasks.spawn(async move {
                issuer
                    .revoke(id, &format!("person {i}").parse().unwrap(), None)
                    .await
                    .unwrap()
                    .record
            });
        }
        let records = tasks.join_all().await;
        assert!(records.windows(2).all(|pair| pair[0] == pair[1]));
        assert_eq!(records[0].version, 2);
    }
}

#[tokio::test]
async fn a_token_is_accepted_from_not_before_until_expires_at() {
    for service in services() {
        let new = NewToken {
            not_before: Some(start() + seconds(10)),
            expiry: Expiry::At(start() + seconds(20)),
            ..new_token("a token")
        };
        let token = service.issuer.create(new, &ann()).await.unwrap().token;
        let microsecond = SignedDuration::from_micros(1);
        for (time, status) in [
            (start(), Status::NotYetValid),
            (start() + seconds(10) - microsecond, Status::NotYetValid),
            (start() + seconds(10), Status::Active),
            (start() + seconds(20) - microsecond, Status::Active),
            (start() + seconds(20), Status::Expired),
            (start() + seconds(20_000), Status::Expired),
        ] {
            service.clock.set(time);
            assert_eq!(service.status(&token).await, status, "{time}");
        }
    }
}

/// Counts how often it is asked.
#[derive(Clone, Default)]
struct CountingClock(Arc<AtomicU32>);

impl Clock for CountingClock {
    fn now(&self) -> Timestamp {
        self.0.fetch_add(1, Ordering::Relaxed);
        start()
    }

    fn monotonic(&self) -> std::time::Duration {
        self.0.fetch_add(1, Ordering::Relaxed);
        std::time::Duration::ZERO
    }
}

/// It takes a good part of a verification from memory.
#[tokio::test]
async fn the_clock_is_read_only_for_a_token_with_a_time() {
    let clock = CountingClock::default();
    let keyring = Keyring::new(key(1));
    let store = MemoryStore::new();
    let verifier = Verifier::builder(prefix!("acme_live"), &keyring, store)
        .clock(clock.clone())
        .without_background();
    let issuer = Issuer::new(&verifier);
    let later = start() + seconds(10);
    let plain = new_token("for ever");
    let expiring = new_token("expiring").with_expiry(Expiry::At(later));
    let both = NewToken { not_before: Some(start()), ..expiring.clone() };
    for (new, reads) in [(plain, 0), (expiring, 1), (both, 1)] {
        let token = issuer.create(new, &ann()).await.unwrap().token;
        clock.0.store(0, Ordering::Relaxed);
        verifier.verify(token.expose_secret().as_bytes()).await.unwrap();
        assert_eq!(clock.0.load(Ordering::Relaxed), reads);
    }
}

#[tokio::test]
async fn a_token_that_would_never_be_valid_is_refused() {
    for service in services() {
        for (not_before, expires_at, message) in [
            (None, start(), "expires_at must lie in the future"),
            (None, start() - seconds(1), "expires_at must lie in the future"),
            (None, start() + SignedDuration::from_nanos(999), "expires_at must lie in the future"),
            (
                Some(start() + seconds(9)),
                start() + seconds(9),
                "expires_at must be after not_before",
            ),
            (
                Some(start() + seconds(9)),
                start() + seconds(5),
                "expires_at must be after not_before",
            ),
        ] {
            let expiry = Expiry::At(expires_at);
            let new = NewToken { not_before, expiry, ..new_token("a token") };
            let error = service.issuer.create(new, &ann()).await.unwrap_err();
            let IssuerError::Invalid(error) = error else { panic!("{error}") };
            assert_eq!((error.field(), error.to_string().as_str()), ("expires_at", message));
        }
        let page = service.issuer.list(&Selection::default(), &ann(), None, 9).await.unwrap();
        assert!(page.records.is_empty());
    }
}

#[tokio::test]
async fn the_last_instant_there_is_can_be_an_expiry() {
    for service in services() {
        let new = new_token("for ever").with_expiry(Expiry::At(Timestamp::MAX));
        let created = service.issuer.create(new, &ann()).await.unwrap();
        assert_eq!(service.status(&created.token).await, Status::Active);
        assert_eq!(
            service.issuer.get(created.token.id(), &ann()).await.unwrap(),
            Some(created.record)
        );
    }
}

#[tokio::test]
async fn lists_filter_and_page() {
    for service in services() {
        let mut ids = Vec::new();
        for (project, owner, name) in [
            ("acme", "ann", "Production REST API"),
            ("acme", "bob", "Claude Integration"),
            ("other", "ann", "production mirror"),
            ("acme", "ann", "ÄPFEL"),
        ] {
            service.clock.advance(seconds(1));
            let new = NewToken::new(
                project.parse().unwrap(),
                owner.parse().unwrap(),
                name.parse().unwrap(),
            );
            ids.push(service.issuer.create(new, &ann()).await.unwrap().token.id());
        }
        service.issuer.revoke(ids[1], &ann(), None).await.unwrap();
        let list = async |selection: Selection| -> Vec<usize> {
            let page = service.issuer.list(&selection, &ann(), None, 100).await.unwrap();
            assert_eq!(page.next, None);
            let position = |record: &TokenRecord| ids.iter().position(|id| *id == record.id);
            page.records.iter().filter_map(position).collect()
        };
        let acme = || Some("acme".parse().unwrap());
        let owned_by_ann = || Some("ann".parse().unwrap());
        let all = Selection::default;
        assert_eq!(list(all()).await, [3, 2, 1, 0]);
        assert_eq!(list(Selection { project: acme(), ..all() }).await, [3, 1, 0]);
        assert_eq!(list(Selection { owner: owned_by_ann(), ..all() }).await, [3, 2, 0]);
        assert_eq!(
            list(Selection { project: acme(), owner: owned_by_ann(), ..all() }).await,
            [3, 0]
        );
        let status = |status| Selection { status: Some(status), ..all() };
        assert_eq!(list(status(Status::Active)).await, [3, 2, 0]);
        assert_eq!(list(status(Status::Revoked)).await, [1]);
        assert_eq!(list(status(Status::Expired)).await, [0_usize; 0]);
        let name = |name: &str| Selection { name_pattern: Some(name.to_owned()), ..all() };
        assert_eq!(list(name("PRODUCTION*")).await, [2, 0]);
        assert_eq!(list(name("*äpf*")).await, [3]);
        assert_eq!(list(name("production")).await, [0_usize; 0]);
        assert_eq!(list(name("%")).await, [0_usize; 0]);

        for limit in [1, 2, 3] {
            let (mut listed, mut after) = (Vec::new(), None);
            loop {
                let active = status(Status::Active);
                let page = service.issuer.list(&active, &ann(), after, limit).await.unwrap();
                assert!(!page.records.is_empty() && page.records.len() <= limit);
                listed.extend(page.records.iter().map(|record| record.id));
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(listed, [ids[3], ids[2], ids[0]], "pages of {limit}");
        }
    }
}

#[tokio::test]
async fn a_rare_match_is_found_behind_many_others() {
    for service in services() {
        let (rare, _) = service.create("the rare one").await;
        for i in 0..1100 {
            service.clock.advance(seconds(1));
            service.create(&format!("number {i}")).await;
        }
        let selection =
            Selection { name_pattern: Some("*rare*".to_owned()), ..Selection::default() };
        let page = service.issuer.list(&selection, &ann(), None, 1).await.unwrap();
        assert_eq!(page.records.len(), 1);
        assert_eq!(page.records[0].id, rare.id());
        assert_eq!(page.next, None);
    }
}

#[tokio::test]
async fn pruning_deletes_only_what_has_long_been_dead() {
    for service in services() {
        let (revoked, _) = service.create("revoked").await;
        let (alive, _) = service.create("alive").await;
        let expiring =
            NewToken { expiry: Expiry::At(start() + seconds(50)), ..new_token("expiring") };
        let expiring = service.issuer.create(expiring, &ann()).await.unwrap().token;
        service.issuer.revoke(revoked.id(), &ann(), None).await.unwrap();
        service.clock.advance(seconds(100));

        assert_eq!(service.issuer.prune(start()).await.unwrap(), 0);
        // What ends in the future has not ended.
        let later = NewToken { expiry: Expiry::At(start() + seconds(500)), ..new_token("later") };
        let later = service.issuer.create(later, &ann()).await.unwrap().token;
        assert_eq!(service.issuer.prune(start() + seconds(1)).await.unwrap(), 1);
        let error = service.verifier.verify(revoked.expose_secret().as_bytes()).await.unwrap_err();
        assert!(matches!(error, VerifyError::UnknownToken), "{error}");
        assert_eq!(service.status(&expiring).await, Status::Expired);
        assert_eq!(service.issuer.prune(start() + seconds(51)).await.unwrap(), 1);
        assert_eq!(service.issuer.get(expiring.id(), &ann()).await.unwrap(), None);
        assert_eq!(service.issuer.prune(Timestamp::MAX).await.unwrap(), 0);
        assert_eq!(service.status(&alive).await, Status::Active);
        assert_eq!(service.status(&later).await, Status::Active);
    }
}

#[tokio::test]
async fn a_token_of_one_prefix_never_passes_for_one_of_another() {
    for service in services() {
        for keyring in [Keyring::new(key(1)), Keyring::unkeyed()] {
            let test = service.beside(prefix!("acme_test"), &keyring).0;
            let live = service.beside(prefix!("acme_live"), &keyring).0;
            let created =
                Issuer::new(&test).create(new_token("a test token"), &ann()).await.unwrap();
            let text = created.token.expose_secret();
            test.verify(text.as_bytes()).await.unwrap();
            let error = live.verify(text.as_bytes()).await.unwrap_err();
            assert!(matches!(error, VerifyError::Malformed(_)), "{error}");
            // Even with a prefix and a checksum that were put right.
            let error =
                live.verify(forge(&created.token, &created.token).as_bytes()).await.unwrap_err();
            assert!(matches!(error, VerifyError::WrongSecret { .. }), "{error}");
        }
    }
}

#[tokio::test]
async fn the_same_random_numbers_twice_never_overwrite_a_token() {
    for service in services() {
        let (token, _) = service.create("the first").await;
        let again = Issuer::with_rng(&service.verifier, ChaCha20Rng::seed_from_u64(1));
        // It draws the first one's id, and then another.
        let second = again.create(new_token("the second"), &ann()).await.unwrap();
        assert_ne!(second.token.id(), token.id());
        assert_eq!(service.get(&token).await.name.as_str(), "the first");
        assert_eq!(service.status(&token).await, Status::Active);
    }
}

#[tokio::test]
async fn a_generator_that_fails_is_an_error() {
    struct Broken;
    impl rand::TryRng for Broken {
        type Error = std::io::Error;
        fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
            Err(std::io::Error::other("broken"))
        }
        fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
            Err(std::io::Error::other("broken"))
        }
        fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Self::Error> {
            Err(std::io::Error::other("broken"))
        }
    }
    impl rand::TryCryptoRng for Broken {}

    for service in services() {
        let issuer = Issuer::with_rng(&service.verifier, Broken);
        let error = issuer.create(new_token("a token"), &ann()).await.unwrap_err();
        assert!(matches!(error, IssuerError::Random), "{error}");
        assert!(service.store.list(&ListFilter::default(), None, 1).await.unwrap().is_empty());
    }
}
