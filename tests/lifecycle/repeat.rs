//! Requests that are repeated with an idempotency key.

use api_tokens::{
    Actor, Edit, Expiry, IssuerError, NewToken, RepeatConflict, Rotate, Selection, Status, TokenId,
};

use crate::{Service, ann, days, new_token, seconds, services, start};

fn with_key(name: &str, key: &str) -> NewToken {
    NewToken { idempotency_key: Some(key.parse().unwrap()), ..new_token(name) }
}

async fn living(service: &Service) -> Vec<TokenId> {
    let living = Selection { living: true, ..Selection::default() };
    let page = service.issuer.list(&living, &ann(), None, 100).await.unwrap();
    page.records.iter().map(|record| record.id).collect()
}

fn conflict(error: &IssuerError) -> RepeatConflict {
    match error {
        IssuerError::Repeated { conflict, .. } => *conflict,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_repeated_creation_leaves_one_token_however_often() {
    for service in services() {
        let mut ids = Vec::new();
        for _ in 0..5 {
            let created =
                service.issuer.create(with_key("a token", "request 1"), &ann()).await.unwrap();
            ids.push(created.record.id);
            assert_eq!(living(&service).await, [created.record.id]);
        }
        ids.dedup();
        assert_eq!(ids.len(), 5, "no plaintext is kept, so each is another");
        let lost = service.issuer.get(ids[0], &ann()).await.unwrap().unwrap();
        let reason = lost.revocation.unwrap().reason.unwrap();
        assert_eq!(reason.as_str(), "replaced: the request that made it was repeated");
    }
}

#[tokio::test]
async fn a_token_that_somebody_has_is_not_replaced() {
    for mut service in services() {
        let used = service.issuer.create(with_key("a token", "1"), &ann()).await.unwrap();
        service.verify(&used.token).await.unwrap();
        let repeat = async |service: &Service| {
            let error = service.issuer.create(with_key("a token", "1"), &ann()).await.unwrap_err();
            assert!(matches!(error, IssuerError::Repeated { id, .. } if id == used.record.id));
            conflict(&error)
        };
        // Before and after it is written, and from another node then.
        assert_eq!(repeat(&service).await, RepeatConflict::Used);
        service.tick().await;
        assert_eq!(repeat(&service).await, RepeatConflict::Used);
        let keyring = api_tokens::Keyring::new(crate::key(1));
        let (other, _) = service.beside(api_tokens::prefix!("acme_live"), &keyring);
        let error = api_tokens::Issuer::new(&other)
            .create(with_key("a token", "1"), &ann())
            .await
            .unwrap_err();
        assert_eq!(conflict(&error), RepeatConflict::Used);
        assert_eq!(service.status(&used.token).await, Status::Active);
        assert_eq!(
            error.to_string(),
            format!("the request was made before: its token {} has been used", used.record.id)
        );
    }
}

#[tokio::test]
async fn a_token_that_was_ended_or_changed_is_not_replaced() {
    for service in services() {
        let create = async |key: &str| {
            service.issuer.create(with_key("a token", key), &ann()).await.map(|made| made.record)
        };
        let revoked = create("1").await.unwrap();
        service.issuer.revoke(revoked.id, &ann(), None).await.unwrap();
        assert_eq!(conflict(&create("1").await.unwrap_err()), RepeatConflict::Ended);
        let disabled = create("2").await.unwrap();
        service.issuer.disable(disabled.id, &ann()).await.unwrap();
        assert_eq!(conflict(&create("2").await.unwrap_err()), RepeatConflict::Ended);
        let rotated = create("3").await.unwrap();
        service.issuer.rotate(rotated.id, &ann(), Rotate::with_overlap(days(1))).await.unwrap();
        assert_eq!(conflict(&create("3").await.unwrap_err()), RepeatConflict::Ended);
        let edited = create("4").await.unwrap();
        let edit = Edit { name: Some("another".parse().unwrap()), ..Edit::default() };
        service.issuer.edit(edited.id, &ann(), edit.clone()).await.unwrap();
        assert_eq!(conflict(&create("4").await.unwrap_err()), RepeatConflict::Different);

        create("5").await.unwrap();
        for different in [
            with_key("another", "5"),
            with_key("a token", "5").with_scopes("flows:run".parse().unwrap()),
            NewToken { owner: "ben".parse().unwrap(), ..with_key("a token", "5") },
            NewToken { not_before: Some(start() + days(1)), ..with_key("a token", "5") },
        ] {
            let error = service.issuer.create(different, &ann()).await.unwrap_err();
            assert_eq!(conflict(&error), RepeatConflict::Different);
        }
    }
}

#[tokio::test]
async fn a_key_counts_for_one_project_and_one_actor() {
    for service in services() {
        let other = NewToken { project: "other".parse().unwrap(), ..with_key("a token", "1") };
        let scoped = || with_key("a token", "1").with_scopes("sources:read".parse().unwrap());
        let ben: Actor = "ben".parse().unwrap();
        let first = service.issuer.create(scoped(), &ann()).await.unwrap();
        service.issuer.create(with_key("a token", "1"), &ben).await.unwrap();
        service.issuer.create(other, &ann()).await.unwrap();
        service.issuer.create(with_key("a token", "2"), &ann()).await.unwrap();
        let through = service.through(&first.token).await;
        service.issuer.create(scoped(), &through).await.unwrap();
        assert_eq!(living(&service).await.len(), 5);
        let error = service.issuer.create(scoped(), &ann()).await.unwrap_err();
        assert_eq!(conflict(&error), RepeatConflict::Used);
    }
}

#[tokio::test]
async fn repeated_at_once_one_token_is_left() {
    for service in services() {
        let person = ann();
        for round in 0..20 {
            let before = living(&service).await.len();
            let create = || {
                let new = with_key("a token", &format!("round {round}"));
                service.issuer.create(new, &person)
            };
            let (one, two, three) = tokio::join!(create(), create(), create());
            let tokens = [one.unwrap().token, two.unwrap().token, three.unwrap().token];
            assert_eq!(living(&service).await.len(), before + 1);
            let mut accepted = 0;
            for token in &tokens {
                accepted += usize::from(service.status(token).await == Status::Active);
            }
            assert_eq!(accepted, 1);
        }
    }
}

#[tokio::test]
async fn a_repeated_rotation_replaces_the_successor_that_was_lost() {
    for service in services() {
        // With and without an overlap: without one, the token would be lost for good otherwise.
        for overlap in [seconds(0), seconds(3600)] {
            let (old, _) = service.create("a token").await;
            let rotate = || Rotate {
                idempotency_key: Some("request 1".parse().unwrap()),
                ..Rotate::with_overlap(overlap)
            };
            let first = service.issuer.rotate(old.id(), &ann(), rotate()).await.unwrap();
            service.clock.advance(seconds(5));
            let second = service.issuer.rotate(old.id(), &ann(), rotate()).await.unwrap();
            assert_ne!(first.record.id, second.record.id);
            assert_eq!(service.status(&first.token).await, Status::Revoked);
            let link = service.get(&old).await.rotation.unwrap().successor.unwrap();
            assert_eq!(link.id, second.record.id);
            // The end of the overlap is as it was.
            let ends_at = first.predecessor.rotation.unwrap().successor.unwrap().overlap_ends_at;
            assert_eq!(link.overlap_ends_at, ends_at);
            assert_eq!(service.status(&second.token).await, Status::Active);

            // It has been used now. And another request is another rotation.
            let error = service.issuer.rotate(old.id(), &ann(), rotate()).await.unwrap_err();
            assert_eq!(conflict(&error), RepeatConflict::Used);
            let other = Rotate { idempotency_key: Some("2".parse().unwrap()), ..rotate() };
            let error = service.issuer.rotate(old.id(), &ann(), other).await.unwrap_err();
            assert!(matches!(error, IssuerError::NotAllowed { .. }), "{error}");
        }
    }
}

#[tokio::test]
async fn a_repeated_rotation_gives_nothing_back_that_was_taken() {
    for service in services() {
        let rotate = || Rotate {
            idempotency_key: Some("request 1".parse().unwrap()),
            ..Rotate::with_overlap(seconds(3600))
        };
        let (old, _) = service.create("a token").await;
        let new = service.issuer.rotate(old.id(), &ann(), rotate()).await.unwrap();
        service.issuer.revoke_family(old.id(), &ann(), None).await.unwrap();
        service.issuer.rotate(old.id(), &ann(), rotate()).await.unwrap_err();
        assert_eq!(living(&service).await, []);

        let (old, _) = service.create("a token").await;
        let wide =
            Edit { scopes: Some("sources:read flows:run".parse().unwrap()), ..Edit::default() };
        service.issuer.edit(old.id(), &ann(), wide).await.unwrap();
        let new_id = service.issuer.rotate(old.id(), &ann(), rotate()).await.unwrap().record.id;
        let narrow = Edit { scopes: Some("sources:read".parse().unwrap()), ..Edit::default() };
        service.issuer.edit(new_id, &ann(), narrow).await.unwrap();
        let error = service.issuer.rotate(old.id(), &ann(), rotate()).await.unwrap_err();
        assert_eq!(conflict(&error), RepeatConflict::Different);
        assert_eq!(service.status(&new.token).await, Status::Revoked);
    }
}

#[tokio::test]
async fn a_rotation_that_was_cancelled_can_be_asked_for_again() {
    for service in services() {
        let (old, _) = service.create("a token").await;
        let rotate = || Rotate {
            idempotency_key: Some("request 1".parse().unwrap()),
            ..Rotate::with_overlap(seconds(3600))
        };
        let first = service.issuer.rotate(old.id(), &ann(), rotate()).await.unwrap();
        service.issuer.cancel_rotation(old.id(), &ann()).await.unwrap();
        let second = service.issuer.rotate(old.id(), &ann(), rotate()).await.unwrap();
        assert_eq!(service.status(&first.token).await, Status::Revoked);
        assert_eq!(service.status(&second.token).await, Status::Active);
    }
}

/// A production token must not fall victim to the same request in a test environment.
#[tokio::test]
async fn a_key_counts_for_one_prefix() {
    for service in services() {
        let live = service.issuer.create(with_key("a token", "1"), &ann()).await.unwrap();
        let keyring = api_tokens::Keyring::new(crate::key(1));
        let (test, _) = service.beside(api_tokens::prefix!("acme_test"), &keyring);
        api_tokens::Issuer::new(&test).create(with_key("a token", "1"), &ann()).await.unwrap();
        assert_eq!(service.status(&live.token).await, Status::Active);
    }
}

#[tokio::test]
async fn a_life_that_was_shortened_is_not_given_back() {
    for service in services() {
        let shorten = async |id| {
            let expiry = Some(Expiry::After(seconds(60)));
            let edit = Edit { expiry, ..Edit::default() };
            service.issuer.edit(id, &ann(), edit).await.unwrap();
        };
        let created = service.issuer.create(with_key("a token", "1"), &ann()).await.unwrap();
        shorten(created.record.id).await;
        let error = service.issuer.create(with_key("a token", "1"), &ann()).await.unwrap_err();
        assert_eq!(conflict(&error), RepeatConflict::Different);

        let (old, _) = service.create("a token").await;
        let rotate = || Rotate {
            idempotency_key: Some("request 1".parse().unwrap()),
            ..Rotate::with_overlap(seconds(3600))
        };
        let new = service.issuer.rotate(old.id(), &ann(), rotate()).await.unwrap();
        shorten(new.record.id).await;
        let error = service.issuer.rotate(old.id(), &ann(), rotate()).await.unwrap_err();
        assert_eq!(conflict(&error), RepeatConflict::Different);
    }
}

#[tokio::test]
async fn a_request_is_known_after_its_first_tokens_were_pruned() {
    for service in services() {
        let create = async || service.issuer.create(with_key("a token", "1"), &ann()).await;
        create().await.unwrap();
        let second = create().await.unwrap();
        service.clock.advance(seconds(1));
        assert_eq!(service.issuer.prune(service.clock_now()).await.unwrap(), 1);
        let third = create().await.unwrap();
        assert_eq!(living(&service).await, [third.record.id]);
        assert_eq!(service.status(&second.token).await, Status::Revoked);
        service.verify(&third.token).await.unwrap();
        assert_eq!(conflict(&create().await.unwrap_err()), RepeatConflict::Used);
    }
}

#[tokio::test]
async fn a_request_is_repeated_a_number_of_times() {
    for service in services() {
        let create = async || service.issuer.create(with_key("a token", "1"), &ann()).await;
        for _ in 0..16 {
            create().await.unwrap();
        }
        assert_eq!(conflict(&create().await.unwrap_err()), RepeatConflict::TooOften);
        assert_eq!(living(&service).await.len(), 1);
    }
}
