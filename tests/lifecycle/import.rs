//! Tokens of other systems, from their own rows, through the whole life.

use api_tokens::{
    Actor, EventKind, Expiry, Import, ImportFormat, ImportedDigest, IssuerError, Keyring,
    LifetimePolicy, NewToken, Rotate, Selection, State, Status, TokenRecord, VerifierBuilder,
    VerifyError, prefix,
};
use serde_json::Value;

use crate::{
    MICROSECOND, Service, Store, ann, days, key, new_token, seconds, services_with, start,
};

/// The format, and for each token of the fixture its row and its text.
struct System {
    name: &'static str,
    formats: Vec<ImportFormat>,
    tokens: Vec<(ImportedDigest, String)>,
}

/// Rows that the systems made themselves, see `tests/data/imported`; those of SHA-256 and Sanctum
/// come from another program.
fn systems() -> Vec<System> {
    let read = |name: &str| -> Vec<Value> {
        let path = format!("{}/tests/data/imported/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let json: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        json["tokens"].as_array().unwrap().clone()
    };
    let system = |name, format: ImportFormat, digest: fn(&Value) -> ImportedDigest| {
        let text = |token: &Value| token["token"].as_str().unwrap().to_owned();
        let tokens = read(name).iter().map(|token| (digest(&token["row"]), text(token))).collect();
        // Some have a prefix of their own.
        let formats = ["", "acme_"].map(|start| format.clone().with_start(start)).into();
        System { name, formats, tokens }
    };
    vec![
        system("sha256", ImportFormat::sha256(), |row| {
            ImportedDigest::sha256_hex(column(row, "hash")).unwrap()
        }),
        system("sanctum", ImportFormat::sanctum(), |row| {
            ImportedDigest::sanctum(column(row, "id"), column(row, "token")).unwrap()
        }),
        system("rest_framework_api_key", ImportFormat::rest_framework_api_key(), |row| {
            let (prefix, hashed) = (column(row, "prefix"), column(row, "hashed_key"));
            ImportedDigest::rest_framework_api_key(prefix, hashed).unwrap()
        }),
        system("knox", ImportFormat::knox(), |row| {
            ImportedDigest::knox(column(row, "digest")).unwrap()
        }),
        system("knox_4", ImportFormat::knox_4(), |row| {
            ImportedDigest::knox_4(column(row, "digest")).unwrap()
        }),
        system("better_auth", ImportFormat::better_auth(), |row| {
            ImportedDigest::better_auth(column(row, "key")).unwrap()
        }),
    ]
}

fn column<'a>(row: &'a Value, name: &str) -> &'a str {
    row[name].as_str().unwrap()
}

/// A service that accepts one format, and the tokens of it, imported.
async fn import(service: &Service, system: &System) -> Vec<TokenRecord> {
    let mut records = Vec::new();
    for (digest, _) in &system.tokens {
        let token = new_token(system.name).with_scopes("sources:read".parse().unwrap());
        let import = Import { digest: *digest, token, created_at: Some(start() - days(100)) };
        records.push(service.issuer.import(import, &ann()).await.unwrap());
    }
    records
}

fn services_accepting(system: &System) -> Vec<Service> {
    services_with(|builder| {
        let accept = |builder: VerifierBuilder<Store>, format: &ImportFormat| {
            builder.accept_imported(format.clone())
        };
        system.formats.iter().fold(builder, accept)
    })
}

#[tokio::test]
async fn an_imported_token_is_accepted_digested_again_and_accepted_still() {
    for system in systems() {
        for mut service in services_accepting(&system) {
            let records = import(&service, &system).await;
            for (record, (_, text)) in records.iter().zip(&system.tokens) {
                assert_eq!(record.created_at, start() - days(100));
                let header = format!("Bearer {text}");
                let verified =
                    service.verifier.verify_authorization([header.as_bytes()]).await.unwrap();
                assert_eq!(*verified.record(), *record, "{}", system.name);
                assert!(record.digest.is_imported());

                service.tick().await;
                let after = service.issuer.get(record.id, &ann()).await.unwrap().unwrap();
                assert_eq!(after.digest.key_id(), Some(key(1).id()), "{}", system.name);
                let verified = service.verifier.verify(text.as_bytes()).await.unwrap();
                assert_eq!(*verified.record(), after);
                // Once is enough.
                service.tick().await;
                assert_eq!(service.issuer.get(record.id, &ann()).await.unwrap().unwrap(), after);
            }
        }
    }
}

#[tokio::test]
async fn no_other_text_is_accepted() {
    for system in systems() {
        for mut service in services_accepting(&system) {
            import(&service, &system).await;
            for used in [false, true] {
                for (_, text) in &system.tokens {
                    let mut other = text.clone().into_bytes();
                    let last = other.last_mut().unwrap();
                    *last = if *last == b'a' { b'b' } else { b'a' };
                    let error = service.verifier.verify(&other).await.unwrap_err();
                    // As any other text that is no token of ours.
                    assert!(matches!(error, VerifyError::Malformed(_)), "{}: {error}", system.name);
                    if used {
                        service.verifier.verify(text.as_bytes()).await.unwrap();
                    }
                }
                service.tick().await;
            }
        }
    }
}

#[tokio::test]
async fn a_verifier_that_was_not_told_of_the_format_accepts_none() {
    for system in systems() {
        for service in services_accepting(&system) {
            import(&service, &system).await;
            let (other, _) = service.beside(prefix!("acme_live"), &Keyring::new(key(1)));
            for (_, text) in &system.tokens {
                let error = other.verify(text.as_bytes()).await.unwrap_err();
                assert!(matches!(error, VerifyError::Malformed(_)), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn a_token_of_another_prefix_or_key_does_not_pass() {
    for system in systems() {
        for mut service in services_accepting(&system) {
            import(&service, &system).await;
            let text = system.tokens[0].1.as_bytes();
            let accepting = |prefix, keyring: &Keyring| {
                api_tokens::Verifier::builder(prefix, keyring, service.store.clone())
                    .accept_imported(system.formats[0].clone())
                    .without_background()
            };
            let other: api_tokens::Verifier<Store> =
                accepting(prefix!("acme_test"), &Keyring::new(key(1)));
            let error = other.verify(text).await.unwrap_err();
            assert!(matches!(error, VerifyError::WrongSecret { .. }), "{error}");
            // Once it is under the keyring, a node without that key cannot judge it.
            let keyless = accepting(prefix!("acme_live"), &Keyring::new(key(2)));
            keyless.verify(text).await.unwrap();
            service.verifier.verify(text).await.unwrap();
            service.background.tick().await.unwrap();
            let error = keyless.verify(text).await.unwrap_err();
            assert!(matches!(error, VerifyError::UnknownKey { .. }), "{error}");
            service.events.take();
        }
    }
}

#[tokio::test]
async fn it_lives_as_any_other_token() {
    for system in systems() {
        for service in services_accepting(&system) {
            let records = import(&service, &system).await;
            let text = system.tokens[0].1.as_bytes();
            let id = records[0].id;
            let status = async || match service.verifier.verify(text).await {
                Ok(_) => Status::Active,
                Err(VerifyError::NotActive { status, .. }) => status,
                Err(error) => panic!("{error}"),
            };
            service.issuer.disable(id, &ann()).await.unwrap();
            assert_eq!(status().await, Status::Disabled);
            service.issuer.enable(id, &ann()).await.unwrap();

            // It is rotated into a token of our own.
            let rotate = Rotate::with_overlap(seconds(10));
            let rotated = service.issuer.rotate(id, &ann(), rotate).await.unwrap();
            assert_eq!(service.status(&rotated.token).await, Status::Active);
            assert!(rotated.token.expose_secret().starts_with("acme_live_"));
            service.clock.advance(seconds(10) - MICROSECOND);
            assert_eq!(status().await, Status::Active);
            service.clock.advance(MICROSECOND);
            assert_eq!(status().await, Status::RotatedOut);
            service.issuer.revoke(id, &ann(), None).await.unwrap();
            assert_eq!(status().await, Status::Revoked);
            let events = service.issuer.events(id, &ann(), None, 100).await.unwrap();
            assert_eq!(events.last().unwrap().event.kind, EventKind::Imported);
        }
    }
}

#[tokio::test]
async fn importing_again_changes_nothing() {
    let system = &systems()[0];
    for service in services_accepting(system) {
        let records = import(&service, system).await;
        let again = |digest| Import {
            digest,
            token: new_token("another").with_scopes("*".parse().unwrap()),
            created_at: None,
        };
        let digest = system.tokens[0].0;
        for _ in 0..2 {
            let error = service.issuer.import(again(digest), &ann()).await.unwrap_err();
            let IssuerError::AlreadyImported { id } = error else { panic!("{error}") };
            assert_eq!(id, records[0].id);
            // Not even what was revoked comes back.
            service.issuer.revoke(id, &ann(), None).await.unwrap();
        }
        let record = service.issuer.get(records[0].id, &ann()).await.unwrap().unwrap();
        assert_eq!(record.name, records[0].name);
        assert_eq!(State::of(&record, service.clock_now()), State::Revoked);
    }
}

#[tokio::test]
async fn an_expiry_of_before_is_kept_whatever_the_policy() {
    let system = &systems()[0];
    for service in services_accepting(system) {
        let policy =
            LifetimePolicy { max: Some(days(30)), default: Some(days(7)), ..Default::default() };
        let issuer = service.issuer.clone().with_policy(policy);
        let import = async |i: usize, expiry: Expiry| {
            let token = new_token("a token").with_expiry(expiry);
            let import =
                Import { digest: system.tokens[i].0, token, created_at: Some(start() + days(1)) };
            issuer.import(import, &ann()).await
        };
        let record = import(0, Expiry::At(start() + days(500))).await.unwrap();
        assert_eq!(record.expires_at, Some(start() + days(500)));
        assert_eq!(record.created_at, start(), "nothing was created in the future");
        assert_eq!(import(1, Expiry::Never).await.unwrap().expires_at, None);
        let record = import(2, Expiry::Default).await.unwrap();
        assert_eq!(record.expires_at, Some(start() + days(7)));
        let error = import(3, Expiry::At(start())).await.unwrap_err();
        assert_eq!(error.to_string(), "expires_at must lie in the future");
        let outside = Selection { outside_policy: true, ..Selection::default() };
        let listed = issuer.list(&outside, &ann(), None, 10).await.unwrap().records;
        assert_eq!(listed.len(), 2);
    }
}

#[tokio::test]
async fn an_import_through_a_token_does_not_exceed_it() {
    let system = &systems()[0];
    for service in services_accepting(system) {
        let new = new_token("acting").with_scopes("sources:*".parse().unwrap());
        let acting = service.issuer.create(new, &ann()).await.unwrap().token;
        let actor: Actor = service.through(&acting).await;
        let import = |token: NewToken| {
            let import = Import { digest: system.tokens[0].0, token, created_at: None };
            service.issuer.import(import, &actor)
        };
        let with = |scopes: &str| new_token("imported").with_scopes(scopes.parse().unwrap());
        let error = import(with("flows:run")).await.unwrap_err();
        assert!(matches!(error, IssuerError::Exceeds(_)), "{error}");
        let elsewhere = NewToken { project: "other".parse().unwrap(), ..with("sources:read") };
        let error = import(elsewhere).await.unwrap_err();
        assert!(matches!(error, IssuerError::Exceeds(_)), "{error}");
        let record = import(with("sources:read")).await.unwrap();
        assert_eq!(record.created_through, Some(acting.id()));
    }
}

/// What was imported and not used is under no key, and so keeps none from being retired.
#[tokio::test]
async fn imported_tokens_are_counted_under_the_key_they_came_to() {
    let system = &systems()[0];
    for mut service in services_accepting(system) {
        import(&service, system).await;
        assert!(service.issuer.key_counts().await.unwrap().is_empty());
        service.verifier.verify(system.tokens[0].1.as_bytes()).await.unwrap();
        service.tick().await;
        let counts = service.issuer.key_counts().await.unwrap();
        assert_eq!((counts.len(), counts[0].key, counts[0].tokens), (1, Some(key(1).id()), 1));
    }
}
