//! Many tokens at once: which, how many, and that none is missed.

use api_tokens::{
    Actor, Expiry, IssuerError, LifetimePolicy, Limit, NewToken, Rotate, Selection, Status, Token,
};

use crate::{Service, ann, days, new_token, seconds, services, start};

async fn create(service: &Service, project: &str, owner: &str, name: &str, by: &Actor) -> Token {
    let new =
        NewToken::new(project.parse().unwrap(), owner.parse().unwrap(), name.parse().unwrap());
    service.clock.advance(seconds(1));
    service.issuer.create(new, by).await.unwrap().token
}

/// Which of the tokens a bulk revocation would mean, and does.
async fn revokes(service: &Service, tokens: &[Token], selection: Selection) -> Vec<usize> {
    let admin = ann();
    let mut bulk = service.issuer.revoke_all(selection, &admin, None).unwrap();
    let mut meant = bulk.dry_run().await.unwrap();
    for token in tokens {
        assert_ne!(service.status(token).await, Status::Revoked, "a dry run changes nothing");
    }
    assert_eq!(bulk.run().await.unwrap(), u64::try_from(meant.len()).unwrap());
    let mut revoked = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        if service.status(token).await == Status::Revoked {
            revoked.push(i);
        }
    }
    let mut ids: Vec<_> = revoked.iter().map(|i| tokens[*i].id()).collect();
    ids.sort_unstable();
    meant.sort_unstable();
    assert_eq!(meant, ids, "the dry run says what is done");
    revoked
}

type Choose = Box<dyn Fn(&[Token]) -> Selection>;

#[tokio::test]
async fn each_criterion_chooses() {
    let all = Selection::default;
    let choose: [(&str, Choose, &[usize]); 9] = [
        ("project", Box::new(|_| Selection::of_project("acme".parse().unwrap())), &[0, 1, 3]),
        ("owner", Box::new(|_| Selection::of_owner("ben".parse().unwrap())), &[1, 2]),
        (
            "creator",
            Box::new(move |_| Selection { created_by: Some("eve".parse().unwrap()), ..all() }),
            &[2, 3],
        ),
        (
            "created before",
            Box::new(move |_| Selection { created_before: Some(start() + seconds(3)), ..all() }),
            &[0, 1],
        ),
        (
            "name",
            Box::new(move |_| Selection { name_pattern: Some("CI-*".to_owned()), ..all() }),
            &[0, 2],
        ),
        (
            "all but one",
            Box::new(|tokens| Selection {
                except: vec![tokens[1].id()],
                ..Selection::of_project("acme".parse().unwrap())
            }),
            &[0, 3],
        ),
        (
            "both",
            Box::new(|_| Selection {
                owner: Some("ben".parse().unwrap()),
                ..Selection::of_project("acme".parse().unwrap())
            }),
            &[1],
        ),
        (
            "through",
            Box::new(move |tokens| Selection { created_through: Some(tokens[0].id()), ..all() }),
            &[3],
        ),
        ("nothing", Box::new(|_| Selection::of_owner("nobody".parse().unwrap())), &[]),
    ];
    for (name, selection, expected) in choose {
        for service in services() {
            let eve: Actor = "eve".parse().unwrap();
            let first = create(&service, "acme", "eve", "ci-linux", &ann()).await;
            let mut tokens = vec![
                create(&service, "acme", "ben", "Claude Integration", &ann()).await,
                create(&service, "other", "ben", "CI-windows", &eve).await,
            ];
            let through = service.through(&first).await;
            tokens.push(create(&service, "acme", "eve", "minted", &through).await);
            tokens.insert(0, first);
            assert_eq!(revokes(&service, &tokens, selection(&tokens)).await, expected, "{name}");
        }
    }
}

#[tokio::test]
async fn a_selection_of_everything_must_be_meant() {
    for service in services() {
        let (token, _) = service.create("a token").await;
        let admin = ann();
        for selection in [
            Selection::default(),
            Selection { living: true, ..Selection::default() },
            Selection { except: vec![token.id()], ..Selection::default() },
        ] {
            let error = service.issuer.revoke_all(selection, &admin, None).unwrap_err();
            assert_eq!(error.to_string(), "selection must name at least one criterion");
        }
        service.clock.advance(seconds(1));
        let everything =
            Selection { created_before: Some(service.clock_now()), ..Selection::default() };
        let mut bulk = service.issuer.revoke_all(everything, &admin, None).unwrap();
        assert_eq!(bulk.run().await.unwrap(), 1);
    }
}

#[tokio::test]
async fn hundreds_are_changed_and_counted_once() {
    for service in services() {
        for i in 0..250 {
            create(&service, "acme", "ben", &format!("token {i}"), &ann()).await;
        }
        let admin = ann();
        let bens = || Selection::of_owner("ben".parse().unwrap());
        let mut disable = service.issuer.disable_all(bens(), &admin).unwrap();
        assert_eq!(disable.run().await.unwrap(), 250);
        assert_eq!(disable.dry_run().await.unwrap(), []);
        let reason = Some("left the company".parse().unwrap());
        let mut revoke = service.issuer.revoke_all(bens(), &admin, reason).unwrap();
        assert_eq!(revoke.run().await.unwrap(), 250);
        assert_eq!(revoke.run().await.unwrap(), 250, "with those before");
        let mut again = service.issuer.revoke_all(bens(), &admin, None).unwrap();
        assert_eq!(again.run().await.unwrap(), 0);
        let page = service.issuer.list(&bens(), &admin, None, 1000).await.unwrap();
        assert_eq!(page.records.len(), 250);
        for record in page.records {
            let revocation = record.revocation.unwrap();
            assert_eq!(revocation.reason.unwrap().as_str(), "left the company");
            assert_eq!(record.version, 3);
        }
    }
}

#[tokio::test]
async fn tokens_that_are_not_used_are_found() {
    for mut service in services() {
        let old_unused = create(&service, "acme", "ann", "old, never used", &ann()).await;
        let old_used = create(&service, "acme", "ann", "old, used long ago", &ann()).await;
        let in_use = create(&service, "acme", "ann", "old, in use", &ann()).await;
        service.verify(&old_used).await.unwrap();
        service.tick().await;
        service.clock.advance(days(100));
        service.verify(&in_use).await.unwrap(); // not yet written
        let fresh = create(&service, "acme", "ann", "fresh", &ann()).await;

        let tokens = [old_unused, old_used, in_use, fresh];
        let list = async |selection: Selection| -> Vec<usize> {
            let page = service.issuer.list(&selection, &ann(), None, 10).await.unwrap();
            let mut found: Vec<_> = page
                .records
                .iter()
                .filter_map(|record| tokens.iter().position(|token| token.id() == record.id))
                .collect();
            found.sort_unstable();
            found
        };
        let since = |days_ago| Selection {
            unused_since: Some(service.clock_now() - days(days_ago)),
            ..Selection::default()
        };
        assert_eq!(list(since(90)).await, [0, 1]);
        assert_eq!(list(since(101)).await, [0_usize; 0]);
        let never_used = Selection { never_used: true, ..Selection::default() };
        assert_eq!(list(never_used.clone()).await, [0, 3]);
        let both = Selection { unused_since: since(90).unused_since, ..never_used };
        assert_eq!(list(both).await, [0]);
        // At the instant itself it was used.
        let exactly =
            Selection { unused_since: Some(start() + seconds(3)), ..Selection::default() };
        assert_eq!(list(exactly).await, [0]);
        service.clock.advance(seconds(1));
        let selection = since(90);
        let admin = ann();
        let mut bulk = service.issuer.revoke_all(selection, &admin, None).unwrap();
        assert_eq!(bulk.dry_run().await.unwrap().len(), 2);
        assert_eq!(bulk.run().await.unwrap(), 2);
        assert_eq!(service.status(&tokens[2]).await, Status::Active);
        assert_eq!(service.status(&tokens[3]).await, Status::Active);
    }
}

#[tokio::test]
async fn what_is_outside_the_policy_is_revoked() {
    for service in services() {
        let (unlimited, _) = service.create("unlimited").await;
        let limited = new_token("limited").with_expiry(Expiry::After(days(1)));
        let limited = service.issuer.create(limited, &ann()).await.unwrap().token;
        let issuer = service
            .issuer
            .clone()
            .with_policy(LifetimePolicy { allows_unlimited: false, ..LifetimePolicy::default() });
        let outside = Selection { outside_policy: true, ..Selection::default() };
        let admin = ann();
        assert_eq!(issuer.revoke_all(outside, &admin, None).unwrap().run().await.unwrap(), 1);
        assert_eq!(service.status(&unlimited).await, Status::Revoked);
        assert_eq!(service.status(&limited).await, Status::Active);
    }
}

#[tokio::test]
async fn the_acting_token_stays() {
    for service in services() {
        let acting = create(&service, "acme", "ben", "acting", &ann()).await;
        let other = create(&service, "acme", "ben", "other", &ann()).await;
        let elsewhere = create(&service, "elsewhere", "ben", "elsewhere", &ann()).await;
        let actor = service.through(&acting).await;
        let bens = Selection::of_owner("ben".parse().unwrap());
        let mut bulk = service.issuer.revoke_all(bens.clone(), &actor, None).unwrap();
        assert_eq!(bulk.run().await.unwrap(), 1);
        assert_eq!(service.status(&acting).await, Status::Active);
        assert_eq!(service.status(&other).await, Status::Revoked);
        assert_eq!(service.status(&elsewhere).await, Status::Active);

        service.issuer.revoke(acting.id(), &ann(), None).await.unwrap();
        let mut bulk = service.issuer.revoke_all(bens, &actor, None).unwrap();
        let error = bulk.run().await.unwrap_err();
        assert!(matches!(error, IssuerError::ActorNotActive(Some(Status::Revoked))), "{error}");
    }
}

/// Somebody whose token is to be revoked goes on minting tokens with it.
#[tokio::test(flavor = "multi_thread")]
async fn no_token_that_is_made_meanwhile_is_missed() {
    for service in services() {
        let thief: Actor = "thief".parse().unwrap();
        let first = create(&service, "acme", "ann", "stolen", &thief).await;
        for i in 0..150 {
            create(&service, "acme", "ann", &format!("before {i}"), &thief).await;
        }
        let minting = tokio::spawn({
            let (issuer, verifier) = (service.issuer.clone(), service.verifier.clone());
            let clock = service.clock.clone();
            async move {
                // With one of all that they have each time, until none can be acted through.
                let mut tokens = vec![first];
                loop {
                    let through = tokens.len() / 2;
                    let text = tokens[through].expose_secret().as_bytes();
                    let Ok(verified) = verifier.verify(text).await else { break };
                    let new = new_token(&format!("minted {}", tokens.len()));
                    // Also with a clock that goes back, so that they are not all the newest.
                    let back = tokens.len().is_multiple_of(3);
                    clock.advance(seconds(if back { -2 } else { 1 }));
                    match issuer.create(new, &Actor::from(&verified)).await {
                        Ok(created) => tokens.push(created.token),
                        Err(IssuerError::ActorNotActive(_)) => break,
                        Err(IssuerError::Exceeds(Limit::Depth)) => {}
                        Err(error) => panic!("{error}"),
                    }
                    tokio::task::yield_now().await;
                }
                u32::try_from(tokens.len()).unwrap() - 1
            }
        });
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        let admin = ann();
        let acme = || Selection::of_project("acme".parse().unwrap());
        let mut bulk = service.issuer.revoke_all(acme(), &admin, None).unwrap();
        let revoked = bulk.run().await.unwrap();
        let minted = minting.await.unwrap();
        assert!(minted > 0);
        assert_eq!(revoked, u64::from(minted) + 151);
        let living = Selection { living: true, ..acme() };
        let left = service.issuer.list(&living, &admin, None, 10).await.unwrap().records;
        assert!(left.is_empty(), "{} of {minted} are left", left.len());
    }
}

#[tokio::test]
async fn a_rotation_that_comes_between_is_found_too() {
    for service in services() {
        let (old, _) = service.create("a token").await;
        let new = service
            .issuer
            .rotate(old.id(), &ann(), Rotate::with_overlap(days(1)))
            .await
            .unwrap()
            .token;
        let admin = ann();
        let acme = Selection::of_project("acme".parse().unwrap());
        let mut bulk = service.issuer.revoke_all(acme, &admin, None).unwrap();
        assert_eq!(bulk.run().await.unwrap(), 2);
        assert_eq!(service.status(&old).await, Status::Revoked);
        assert_eq!(service.status(&new).await, Status::Revoked);
    }
}

#[tokio::test]
async fn a_family_is_revoked_through_any_of_its_tokens() {
    for service in services() {
        for through in 0..2 {
            let (old, _) = service.create("a token").await;
            let rotate = Rotate::with_overlap(days(1));
            let new = service.issuer.rotate(old.id(), &ann(), rotate).await.unwrap().token;
            let tokens = [old, new];
            let actor = service.through(&tokens[through]).await;
            let family = service.issuer.revoke_family(tokens[0].id(), &actor, None);
            assert_eq!(family.await.unwrap(), 2);
            for token in &tokens {
                assert_eq!(service.status(token).await, Status::Revoked);
            }
        }
    }
}

/// What was made through a token that is revoked is accepted still, but is no actor any more.
#[tokio::test]
async fn nobody_acts_through_what_a_revoked_token_made() {
    for service in services() {
        let (first, _) = service.create("first").await;
        let mut latest = first;
        let mut made = Vec::new();
        for _ in 0..17 {
            let actor = service.through(&latest).await;
            let created = service.issuer.create(new_token("made"), &actor).await.unwrap();
            made.push(std::mem::replace(&mut latest, created.token));
        }
        let actor = service.through(&latest).await;
        let error = service.issuer.create(new_token("made"), &actor).await.unwrap_err();
        assert!(matches!(error, IssuerError::Exceeds(Limit::Depth)), "{error}");

        let third = service.through(&made[3]).await;
        for (ended, disable) in [(&made[1], true), (&made[0], false)] {
            if disable {
                service.issuer.disable(ended.id(), &ann()).await.unwrap();
            } else {
                service.issuer.revoke(ended.id(), &ann(), None).await.unwrap();
            }
            let error = service.issuer.create(new_token("made"), &third).await.unwrap_err();
            assert!(matches!(error, IssuerError::ActorNotActive(Some(_))), "{error}");
            assert_eq!(service.status(&made[3]).await, Status::Active);
            if disable {
                service.issuer.enable(ended.id(), &ann()).await.unwrap();
                service.issuer.create(new_token("made"), &third).await.unwrap();
            }
        }
    }
}

/// A program that renews its own token does so for years.
#[tokio::test]
async fn a_token_rotates_itself_again_and_again() {
    for service in services() {
        let (mut token, _) = service.create("a token").await;
        for _ in 0..40 {
            let actor = service.through(&token).await;
            let rotate = Rotate::with_overlap(seconds(10));
            token = service.issuer.rotate(token.id(), &actor, rotate).await.unwrap().token;
            service.clock.advance(seconds(10));
        }
        assert_eq!(service.status(&token).await, Status::Active);
    }
}
