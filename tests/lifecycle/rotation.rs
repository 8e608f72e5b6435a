//! Rotation with overlap: the pair, the instants, finishing, cancelling, retirement by use.

use api_tokens::{
    Actor, Edit, Expiry, Issuer, IssuerError, Keyring, LifetimePolicy, Rotate, Selection, State,
    Status, prefix,
};

use crate::{MICROSECOND, ann, days, new_token, seconds, services, start};

#[tokio::test]
async fn the_successor_is_the_same_token_anew() {
    for service in services() {
        let mut new = new_token("Production REST API")
            .with_scopes("sources:* flows:run".parse().unwrap())
            .with_expiry(Expiry::After(days(90)));
        new.metadata.insert("ticket", "OPS-42").unwrap();
        let old = service.issuer.create(new, &"eve".parse().unwrap()).await.unwrap();
        service.clock.advance(days(80));
        let rotated = service
            .issuer
            .rotate(old.record.id, &"bob".parse().unwrap(), Rotate::with_overlap(days(7)))
            .await
            .unwrap();

        let new = &rotated.record;
        assert_eq!(service.get(&rotated.token).await, *new);
        assert_eq!(service.get(&old.token).await, rotated.predecessor);
        assert_ne!(new.id, old.record.id);
        assert_eq!(
            (&new.name, &new.project, &new.owner, &new.scopes, &new.metadata),
            (
                &old.record.name,
                &old.record.project,
                &old.record.owner,
                &old.record.scopes,
                &old.record.metadata
            )
        );
        assert_eq!(new.created_by.as_str(), "bob");
        assert_eq!(new.created_at, start() + days(80));
        // A fresh lifetime, of the same length.
        assert_eq!(new.expires_at, Some(start() + days(170)));
        assert_eq!(new.version, 1);

        let (first, second) = (rotated.predecessor.rotation.unwrap(), new.rotation.unwrap());
        assert_eq!((first.family, second.family), (old.record.id, old.record.id));
        assert_eq!((first.predecessor, second.predecessor), (None, Some(old.record.id)));
        assert_eq!(first.successor.unwrap().id, new.id);
        assert_eq!(first.successor.unwrap().overlap_ends_at, start() + days(87));
        assert_eq!(second.successor, None);
        // The old one's own lifetime is as it was.
        assert_eq!(rotated.predecessor.expires_at, old.record.expires_at);
    }
}

#[tokio::test]
async fn both_are_accepted_until_the_overlap_ends_and_not_at_that_instant() {
    for service in services() {
        for overlap in [seconds(0), MICROSECOND, seconds(3600), days(400_000)] {
            service.clock.set(start());
            let (old, _) = service.create("a token").await;
            let new = service
                .issuer
                .rotate(old.id(), &ann(), Rotate::with_overlap(overlap))
                .await
                .unwrap();
            let end = start() + overlap;
            for (time, status) in [
                (start(), if overlap.is_zero() { Status::RotatedOut } else { Status::Active }),
                (end - MICROSECOND, Status::Active),
                (end, Status::RotatedOut),
                (end + MICROSECOND, Status::RotatedOut),
            ] {
                if time >= start() {
                    service.clock.set(time);
                    assert_eq!(service.status(&old).await, status, "{overlap} {time}");
                    assert_eq!(service.status(&new.token).await, Status::Active);
                }
            }
        }
    }
}

#[tokio::test]
async fn the_longest_overlap_there_is_ends_at_the_end_of_time() {
    for service in services() {
        let (old, _) = service.create("a token").await;
        let forever = Rotate::with_overlap(jiff::SignedDuration::MAX);
        service.issuer.rotate(old.id(), &ann(), forever).await.unwrap();
        assert_eq!(service.status(&old).await, Status::Active);
        let negative = Rotate::with_overlap(-MICROSECOND);
        let error = service.issuer.rotate(old.id(), &ann(), negative).await.unwrap_err();
        assert_eq!(error.to_string(), "overlap must not be negative");
    }
}

#[tokio::test]
async fn a_predecessor_expires_within_its_overlap_if_it_was_to() {
    for service in services() {
        let new = new_token("a token").with_expiry(Expiry::After(seconds(10)));
        let old = service.issuer.create(new, &ann()).await.unwrap().token;
        service.issuer.rotate(old.id(), &ann(), Rotate::with_overlap(days(1))).await.unwrap();
        service.clock.set(start() + seconds(10) - MICROSECOND);
        assert_eq!(service.status(&old).await, Status::Active);
        service.clock.set(start() + seconds(10));
        assert_eq!(service.status(&old).await, Status::Expired);
    }
}

#[tokio::test]
async fn a_token_is_rotated_again_only_when_its_predecessor_is_over() {
    for service in services() {
        let (first, _) = service.create("a token").await;
        let overlap = Rotate::with_overlap(seconds(10));
        let second =
            service.issuer.rotate(first.id(), &ann(), overlap.clone()).await.unwrap().token;

        let error = service.issuer.rotate(first.id(), &ann(), overlap.clone()).await.unwrap_err();
        assert!(matches!(error, IssuerError::NotAllowed { state: State::Rotating, .. }), "{error}");
        service.clock.set(start() + seconds(10) - MICROSECOND);
        let error = service.issuer.rotate(second.id(), &ann(), overlap.clone()).await.unwrap_err();
        assert!(
            matches!(error, IssuerError::PredecessorInUse { predecessor } if predecessor == first.id()),
            "{error}"
        );
        service.clock.set(start() + seconds(10));
        let third = service.issuer.rotate(second.id(), &ann(), overlap).await.unwrap();
        assert_eq!(third.record.rotation.unwrap().family, first.id());
        assert_eq!(service.status(&first).await, Status::RotatedOut);
        assert_eq!(service.status(&second).await, Status::Active);
        assert_eq!(service.status(&third.token).await, Status::Active);
    }
}

#[tokio::test]
async fn finishing_ends_the_overlap_at_once() {
    for service in services() {
        let (old, _) = service.create("a token").await;
        service.issuer.rotate(old.id(), &ann(), Rotate::with_overlap(days(1))).await.unwrap();
        service.clock.advance(seconds(5));
        service.issuer.finish_rotation(old.id(), &ann()).await.unwrap();
        assert_eq!(service.status(&old).await, Status::RotatedOut);
        let end = service.get(&old).await.rotation.unwrap().successor.unwrap().overlap_ends_at;
        assert_eq!(end, start() + seconds(5));
        // Later, it still ended then.
        service.clock.advance(seconds(5));
        service.issuer.finish_rotation(old.id(), &ann()).await.unwrap();
        let end = service.get(&old).await.rotation.unwrap().successor.unwrap().overlap_ends_at;
        assert_eq!(end, start() + seconds(5));
    }
}

#[tokio::test]
async fn cancelling_revokes_the_successor_and_the_token_goes_on() {
    for service in services() {
        let (old, _) = service.create("a token").await;
        let rotate = || Rotate::with_overlap(seconds(10));
        let new = service.issuer.rotate(old.id(), &ann(), rotate()).await.unwrap().token;
        service.clock.set(start() + seconds(10) - MICROSECOND);
        service.issuer.cancel_rotation(old.id(), &ann()).await.unwrap();
        assert_eq!(service.status(&new).await, Status::Revoked);
        service.clock.set(start() + days(10));
        assert_eq!(service.status(&old).await, Status::Active);
        assert_eq!(State::of(&service.get(&old).await, service.clock_now()), State::Active);
        assert!(service.issuer.rotation_status(new.id(), &ann()).await.unwrap().is_none());

        // It can be rotated again, in the same family; and from the end of the overlap on, there
        // is nothing to cancel.
        let again = service.issuer.rotate(old.id(), &ann(), rotate()).await.unwrap();
        assert_eq!(again.record.rotation.unwrap().family, old.id());
        service.clock.advance(seconds(10));
        let error = service.issuer.cancel_rotation(old.id(), &ann()).await.unwrap_err();
        assert!(
            matches!(error, IssuerError::NotAllowed { state: State::RotatedOut, .. }),
            "{error}"
        );
        assert_eq!(service.status(&again.token).await, Status::Active);
    }
}

#[tokio::test]
async fn the_status_tells_whether_the_old_token_is_still_used() {
    for mut service in services() {
        let (old, _) = service.create("a token").await;
        assert!(service.issuer.rotation_status(old.id(), &ann()).await.unwrap().is_none());
        service.verify(&old).await.unwrap();
        service.tick().await;
        service.clock.advance(days(1));
        let rotated =
            service.issuer.rotate(old.id(), &ann(), Rotate::with_overlap(days(7))).await.unwrap();

        for id in [old.id(), rotated.record.id] {
            let status = service.issuer.rotation_status(id, &ann()).await.unwrap().unwrap();
            assert_eq!(status.predecessor, rotated.predecessor);
            assert_eq!(status.successor, rotated.record);
            assert_eq!(status.overlap_ends_at, start() + days(8));
            assert!(!status.predecessor_is_still_used());
            assert_eq!(status.predecessor_usage.unwrap().last_used_at, start());
            assert_eq!(status.successor_usage, None);
        }
        service.clock.advance(seconds(1));
        let client = api_tokens::Client {
            address: Some("192.0.2.7".parse().unwrap()),
            user_agent: Some(b"cron/1.0"),
        };
        service.verifier.verify_from(old.expose_secret().as_bytes(), client).await.unwrap();
        service.verify(&rotated.token).await.unwrap();
        let status = service.issuer.rotation_status(old.id(), &ann()).await.unwrap().unwrap();
        assert!(status.predecessor_is_still_used());
        let usage = status.predecessor_usage.unwrap();
        assert_eq!(usage.last_used_at, start() + days(1) + seconds(1));
        assert_eq!(usage.client_address, client.address);
        assert_eq!(usage.user_agent.as_deref(), Some("cron/1.0"));
        assert!(status.successor_usage.is_some());
    }
}

#[tokio::test]
async fn a_predecessor_retires_when_its_successor_is_used_if_so_asked() {
    for mut service in services() {
        for retire_on_use in [true, false] {
            let (old, _) = service.create("a token").await;
            let rotate = Rotate { retire_on_use, ..Rotate::with_overlap(days(7)) };
            let new = service.issuer.rotate(old.id(), &ann(), rotate).await.unwrap().token;
            service.verify(&old).await.unwrap();
            service.tick().await;
            assert_eq!(service.status(&old).await, Status::Active);

            service.clock.advance(seconds(1));
            service.verify(&new).await.unwrap();
            service.tick().await;
            let expected = if retire_on_use { Status::RotatedOut } else { Status::Active };
            assert_eq!(service.status(&old).await, expected);
            // Once: the next uses change nothing.
            let record = service.get(&new).await;
            assert!(!record.rotation.unwrap().retires_predecessor);
            service.verify(&new).await.unwrap();
            service.tick().await;
            assert_eq!(service.get(&new).await, record);
        }
    }
}

#[tokio::test]
async fn two_rotations_at_once_have_one_winner() {
    for service in services() {
        for _ in 0..20 {
            let (old, _) = service.create("a token").await;
            let (ann, ben) = (ann(), "ben".parse().unwrap());
            let rotate =
                |actor| service.issuer.rotate(old.id(), actor, Rotate::with_overlap(days(1)));
            let (one, two) = tokio::join!(rotate(&ann), rotate(&ben));
            let (winner, loser) = match (one, two) {
                (Ok(winner), Err(loser)) | (Err(loser), Ok(winner)) => (winner, loser),
                both => panic!("{both:?}"),
            };
            assert!(
                matches!(loser, IssuerError::NotAllowed { state: State::Rotating, .. }),
                "{loser}"
            );
            let link = service.get(&old).await.rotation.unwrap().successor.unwrap();
            assert_eq!(link.id, winner.record.id);
        }
        let living = Selection { living: true, ..Selection::default() };
        let listed = service.issuer.list(&living, &ann(), None, 100).await.unwrap().records;
        assert_eq!(listed.len(), 40, "a pair for each rotation, and no third token");
    }
}

#[tokio::test]
async fn a_successor_keeps_to_the_policy_of_its_time() {
    for service in services() {
        let new = new_token("a token").with_expiry(Expiry::After(days(100)));
        let long = service.issuer.create(new, &ann()).await.unwrap().token;
        let (unlimited, _) = service.create("unlimited").await;
        let strict = service.issuer.clone().with_policy(LifetimePolicy {
            default: Some(days(30)),
            max: Some(days(60)),
            ..LifetimePolicy::default()
        });
        let rotate = async |id, expiry| {
            let rotate = Rotate { expiry, ..Rotate::default() };
            strict.rotate(id, &ann(), rotate).await.map(|rotated| rotated.record.expires_at)
        };
        let error = rotate(long.id(), Expiry::After(days(61))).await.unwrap_err();
        assert_eq!(error.to_string(), "expires_at must be at most 1440h after creation");
        let error = rotate(long.id(), Expiry::Never).await.unwrap_err();
        assert!(error.to_string().starts_with("expires_at must be given"), "{error}");
        assert_eq!(rotate(long.id(), Expiry::Default).await.unwrap(), Some(start() + days(60)));
        assert_eq!(
            rotate(unlimited.id(), Expiry::Default).await.unwrap(),
            Some(start() + days(30))
        );
    }
}

#[tokio::test]
async fn a_token_of_another_prefix_is_not_rotated_into_this_one() {
    for service in services() {
        let test = service.beside(prefix!("acme_test"), &Keyring::unkeyed()).0;
        let issuer = Issuer::new(&test);
        let token = issuer.create(new_token("a test token"), &ann()).await.unwrap().token;
        let error = service.issuer.rotate(token.id(), &ann(), Rotate::default()).await.unwrap_err();
        assert!(matches!(error, IssuerError::OtherPrefix), "{error}");
        issuer.rotate(token.id(), &ann(), Rotate::default()).await.unwrap();
    }
}

#[tokio::test]
async fn families_are_pruned_from_their_beginning() {
    for service in services() {
        let (first, _) = service.create("a token").await;
        let mut tokens = vec![first];
        for _ in 0..4 {
            service.clock.advance(seconds(10));
            let latest = tokens.last().unwrap().id();
            let rotate = Rotate::with_overlap(seconds(5));
            tokens.push(service.issuer.rotate(latest, &ann(), rotate).await.unwrap().token);
        }
        service.issuer.prune(start() + seconds(26)).await.unwrap();
        let left =
            async |i: usize| service.issuer.get(tokens[i].id(), &ann()).await.unwrap().is_some();
        assert_eq!([left(0).await, left(1).await, left(2).await], [false, false, true]);
        // What is left is still one family.
        let revoked = service.issuer.revoke_family(tokens[2].id(), &ann(), None).await.unwrap();
        assert_eq!(revoked, 3);
        assert_eq!(service.status(&tokens[4]).await, Status::Revoked);
    }
}

#[tokio::test]
async fn a_family_is_revoked_from_any_of_its_tokens() {
    for service in services() {
        for from in 0..3 {
            let (first, _) = service.create("a token").await;
            let rotate = async |id, overlap| {
                let rotate = Rotate::with_overlap(overlap);
                service.issuer.rotate(id, &ann(), rotate).await.unwrap().token
            };
            let second = rotate(first.id(), seconds(0)).await;
            let third = rotate(second.id(), days(1)).await;
            let (bystander, _) = service.create("another").await;
            let tokens = [first, second, third];
            let id = tokens[from].id();
            assert_eq!(service.issuer.revoke_family(id, &ann(), None).await.unwrap(), 3);
            for token in &tokens {
                assert_eq!(service.status(token).await, Status::Revoked);
            }
            assert_eq!(service.issuer.revoke_family(id, &ann(), None).await.unwrap(), 0);
            assert_eq!(service.status(&bystander).await, Status::Active);
        }
    }
}

#[tokio::test]
async fn an_edit_of_a_token_that_is_being_replaced_leaves_its_successor() {
    for service in services() {
        let (old, _) = service.create("a token").await;
        let new =
            service.issuer.rotate(old.id(), &ann(), Rotate::with_overlap(days(1))).await.unwrap();
        let edit = Edit { name: Some("old".parse().unwrap()), ..Edit::default() };
        service.issuer.edit(old.id(), &ann(), edit.clone()).await.unwrap();
        assert_eq!(service.get(&new.token).await, new.record);
    }
}

#[tokio::test]
async fn nothing_is_learnt_of_a_family_that_is_not_seen() {
    for service in services() {
        let (token, _) = service.create("a token").await;
        service.issuer.revoke(token.id(), &ann(), None).await.unwrap();
        let stranger: Actor = "ben".parse().unwrap();
        let stranger = stranger.in_project("other".parse().unwrap());
        let error = service.issuer.revoke_family(token.id(), &stranger, None).await.unwrap_err();
        assert!(matches!(error, IssuerError::NotFound), "{error}");

        let (acting, _) = service.create("acting").await;
        let actor = service.through(&acting).await;
        service.issuer.revoke(acting.id(), &ann(), None).await.unwrap();
        let error = service.issuer.revoke_family(token.id(), &actor, None).await.unwrap_err();
        assert!(matches!(error, IssuerError::ActorNotActive(_)), "{error}");
    }
}

/// A successor that was cancelled, or whose request was repeated, is no longer linked from its
/// predecessor: the one that took its place is.
#[tokio::test]
async fn a_family_is_revoked_from_a_successor_that_was_replaced_too() {
    for service in services() {
        for from in 0..2 {
            let with_key = || Rotate {
                idempotency_key: Some("request 1".parse().unwrap()),
                ..Rotate::with_overlap(days(1))
            };
            let (first, _) = service.create("a token").await;
            let rotate = async |id| service.issuer.rotate(id, &ann(), with_key()).await.unwrap();
            let cancelled = rotate(first.id()).await;
            service.issuer.cancel_rotation(first.id(), &ann()).await.unwrap();
            let lost = rotate(first.id()).await;
            let second = rotate(first.id()).await;
            service.clock.advance(days(1));
            let third = rotate(second.record.id).await;

            let from = [&cancelled, &lost][from].record.id;
            assert_eq!(service.issuer.revoke_family(from, &ann(), None).await.unwrap(), 3);
            for token in [&first, &second.token, &third.token] {
                assert_eq!(service.status(token).await, Status::Revoked);
            }
        }
    }
}

/// By a clock that is behind, the overlap goes on; but the successor was replaced, so it is over.
#[tokio::test]
async fn a_rotation_is_not_cancelled_once_its_successor_was_replaced() {
    for service in services() {
        let (first, _) = service.create("a token").await;
        let overlap = Rotate::with_overlap(seconds(10));
        let second = service.issuer.rotate(first.id(), &ann(), overlap.clone()).await.unwrap();
        service.clock.advance(seconds(10));
        let third = service.issuer.rotate(second.record.id, &ann(), overlap).await.unwrap();
        service.clock.set(start() + seconds(9));
        let error = service.issuer.cancel_rotation(first.id(), &ann()).await.unwrap_err();
        assert!(matches!(error, IssuerError::NotAllowed { .. }), "{error}");
        service.clock.set(start() + seconds(10));
        assert_eq!(service.status(&first).await, Status::RotatedOut);
        assert_eq!(service.status(&third.token).await, Status::Active);
    }
}

#[tokio::test]
async fn a_successor_that_was_cancelled_retires_nobody() {
    for mut service in services() {
        let (old, _) = service.create("a token").await;
        let rotate = || Rotate { retire_on_use: true, ..Rotate::with_overlap(days(1)) };
        let cancelled = service.issuer.rotate(old.id(), &ann(), rotate()).await.unwrap();
        // It is used, and before the background comes to it, another one takes its place.
        service.verify(&cancelled.token).await.unwrap();
        service.issuer.cancel_rotation(old.id(), &ann()).await.unwrap();
        service.issuer.rotate(old.id(), &ann(), rotate()).await.unwrap();
        service.tick().await;
        assert_eq!(service.status(&old).await, Status::Active);
    }
}
