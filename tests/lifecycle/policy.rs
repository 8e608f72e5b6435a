//! Lifetimes: what the issuer's policy allows, and what an edit may do.

use api_tokens::{Actor, Edit, Expiry, IssuerError, LifetimePolicy, NewToken, Selection, Status};
use jiff::{SignedDuration, Timestamp};

use crate::{MICROSECOND, Service, ann, days, new_token, seconds, services, start};

fn strict() -> LifetimePolicy {
    LifetimePolicy { default: Some(days(30)), max: Some(days(90)), ..LifetimePolicy::default() }
}

async fn end_of(
    service: &Service,
    policy: LifetimePolicy,
    expiry: Expiry,
) -> Result<Option<Timestamp>, String> {
    let issuer = service.issuer.clone().with_policy(policy);
    match issuer.create(new_token("a token").with_expiry(expiry), &ann()).await {
        Ok(created) => Ok(created.record.expires_at),
        Err(IssuerError::Invalid(error)) => {
            assert_eq!(error.field(), "expires_at");
            Err(error.to_string())
        }
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn an_expiry_is_given_by_default_and_within_the_maximum() {
    let at = |time: SignedDuration| Ok(Some(start() + time));
    let given = Err("expires_at must be given: tokens without expiry are not allowed".to_owned());
    let beyond = Err("expires_at must be at most 2160h after creation".to_owned());
    let past = Err("expires_at must lie in the future".to_owned());
    let free = LifetimePolicy::default();
    let limited = LifetimePolicy { allows_unlimited: false, ..free };
    let only_max = LifetimePolicy { max: Some(days(90)), ..free };
    for service in services() {
        for (policy, expiry, expected) in [
            (free, Expiry::Default, Ok(None)),
            (free, Expiry::Never, Ok(None)),
            (free, Expiry::After(days(9000)), at(days(9000))),
            (limited, Expiry::Default, given.clone()),
            (limited, Expiry::Never, given.clone()),
            (limited, Expiry::after_days(1), at(days(1))),
            (strict(), Expiry::Default, at(days(30))),
            (strict(), Expiry::Never, given.clone()),
            (strict(), Expiry::After(days(90)), at(days(90))),
            (strict(), Expiry::After(days(90) + MICROSECOND), beyond.clone()),
            (strict(), Expiry::At(start() + days(90)), at(days(90))),
            (strict(), Expiry::At(start() + days(90) + MICROSECOND), beyond.clone()),
            (strict(), Expiry::After(SignedDuration::ZERO), past.clone()),
            (strict(), Expiry::After(-days(1)), past.clone()),
            (strict(), Expiry::After(MICROSECOND), at(MICROSECOND)),
            (only_max, Expiry::Default, at(days(90))),
            (only_max, Expiry::Never, given.clone()),
            (free, Expiry::After(SignedDuration::MIN), past.clone()),
        ] {
            assert_eq!(end_of(&service, policy, expiry).await, expected, "{policy:?} {expiry:?}");
        }
    }
}

#[tokio::test]
async fn another_policy_changes_no_token_but_finds_those_outside() {
    for service in services() {
        let (unlimited, _) = service.create("unlimited").await;
        let long = new_token("long").with_expiry(Expiry::After(days(91)));
        let long = service.issuer.create(long, &ann()).await.unwrap().token;
        let short = new_token("short").with_expiry(Expiry::After(days(90)));
        let short = service.issuer.create(short, &ann()).await.unwrap().token;

        let issuer = service.issuer.clone().with_policy(strict());
        let outside = Selection { outside_policy: true, ..Selection::default() };
        let listed = issuer.list(&outside, &ann(), None, 10).await.unwrap().records;
        let mut ids: Vec<_> = listed.iter().map(|record| record.id).collect();
        ids.sort_unstable();
        let mut expected = [unlimited.id(), long.id()];
        expected.sort_unstable();
        assert_eq!(ids, expected);
        for token in [&unlimited, &long, &short] {
            assert_eq!(service.status(token).await, Status::Active);
        }
        // A longer policy lengthens nothing either.
        service.clock.advance(days(90));
        assert_eq!(service.status(&short).await, Status::Expired);
    }
}

#[tokio::test]
async fn what_ends_soon_is_listed_and_hinted_at() {
    for service in services() {
        for (name, life) in [("week", 7), ("month", 30), ("year", 365)] {
            let new = new_token(name).with_expiry(Expiry::After(days(life)));
            service.issuer.create(new, &ann()).await.unwrap();
        }
        let (unlimited, _) = service.create("unlimited").await;
        let names = async |within: SignedDuration| -> Vec<String> {
            let ends_before = Some(start() + within);
            let soon = Selection { ends_before, living: true, ..Selection::default() };
            let page = service.issuer.list(&soon, &ann(), None, 10).await.unwrap();
            let mut names: Vec<_> =
                page.records.iter().map(|record| record.name.to_string()).collect();
            names.sort_unstable();
            names
        };
        assert_eq!(names(days(7)).await, [""; 0]);
        assert_eq!(names(days(7) + MICROSECOND).await, ["week"]);
        assert_eq!(names(days(31)).await, ["month", "week"]);
        service.clock.advance(days(7));
        assert_eq!(names(days(31)).await, ["month"]);

        let soon = new_token("soon").with_expiry(Expiry::After(seconds(60)));
        let soon = service.issuer.create(soon, &ann()).await.unwrap();
        let verified = service.verify(&soon.token).await.unwrap();
        assert_eq!(verified.ends_at(), soon.record.expires_at);
        let within = |within| service.verifier.ends_within(&verified, within);
        assert_eq!(within(seconds(60) - MICROSECOND), None);
        assert_eq!(within(seconds(60)), soon.record.expires_at);
        let verified = service.verify(&unlimited).await.unwrap();
        assert_eq!(service.verifier.ends_within(&verified, SignedDuration::MAX), None);
    }
}

/// Of two who edit what they both have seen, the second is told.
#[tokio::test]
async fn an_edit_of_a_version_that_is_gone_changes_nothing() {
    for service in services() {
        let (token, _) = service.create("a token").await;
        let edit = async |name: &str, expected_version| {
            let name = Some(name.parse().unwrap());
            let edit = Edit { name, expected_version, ..Edit::default() };
            service.issuer.edit(token.id(), &ann(), edit).await
        };
        let (one, other) = tokio::join!(edit("one", Some(1)), edit("other", Some(1)));
        let (kept, late) = if one.is_ok() { (one, other) } else { (other, one) };
        assert_eq!(kept.unwrap(), service.get(&token).await);
        let late = late.unwrap_err();
        assert!(matches!(late, IssuerError::Changed { version: 2 }), "{late}");
        for stale in [0, 1, 3] {
            let error = edit("another", Some(stale)).await.unwrap_err();
            assert_eq!(
                error.to_string(),
                "the token's record is not the one expected: its version is 2"
            );
        }
        assert_eq!(edit("another", Some(2)).await.unwrap().version, 3);
        assert_eq!(edit("any", None).await.unwrap().version, 4);
    }
}

#[tokio::test]
async fn an_edit_changes_what_is_set() {
    for service in services() {
        let (token, before) = service.create("a token").await;
        let mut metadata = api_tokens::Metadata::default();
        metadata.insert("ticket", "OPS-42").unwrap();
        let edit = Edit {
            name: Some("another".parse().unwrap()),
            scopes: Some("sources:read".parse().unwrap()),
            metadata: Some(metadata.clone()),
            expiry: Some(Expiry::After(days(1))),
            ..Edit::default()
        };
        let after = service.issuer.edit(token.id(), &ann(), edit.clone()).await.unwrap();
        assert_eq!(after, service.get(&token).await);
        assert_eq!(
            after,
            api_tokens::TokenRecord {
                name: "another".parse().unwrap(),
                scopes: "sources:read".parse().unwrap(),
                metadata,
                expires_at: Some(start() + days(1)),
                version: 2,
                ..before
            }
        );
        assert_eq!(service.issuer.edit(token.id(), &ann(), edit.clone()).await.unwrap(), after);
        let verified = service.verify(&token).await.unwrap();
        verified.require(&"sources:read".parse().unwrap()).unwrap();
    }
}

#[tokio::test]
async fn an_edited_expiry_keeps_to_the_policy_and_to_sense() {
    for service in services() {
        let issuer = service.issuer.clone().with_policy(strict());
        let not_before = Some(start() + days(5));
        let new = NewToken { not_before, ..new_token("a token") };
        let token = issuer.create(new, &ann()).await.unwrap().token;
        let (old, _) = service.create("from before the policy").await;
        service.clock.advance(days(10));
        let edit = async |token: &api_tokens::Token, expiry| {
            let edit = Edit { expiry: Some(expiry), ..Edit::default() };
            match issuer.edit(token.id(), &ann(), edit.clone()).await {
                Ok(record) => Ok(record.expires_at.map(|end| end.duration_since(start()))),
                Err(error) => Err(error.to_string()),
            }
        };
        // From its creation, not from now.
        assert_eq!(edit(&token, Expiry::After(days(80))).await, Ok(Some(days(90))));
        let beyond = "expires_at must be at most 2160h after creation".to_owned();
        assert_eq!(edit(&token, Expiry::After(days(81))).await, Err(beyond));
        assert_eq!(edit(&token, Expiry::At(start() + days(11))).await, Ok(Some(days(11))));
        let past = "expires_at must lie in the future".to_owned();
        assert_eq!(edit(&token, Expiry::At(start() + days(10))).await, Err(past));
        // What is outside the policy can be brought nearer to it.
        assert_eq!(edit(&old, Expiry::At(start() + days(500))).await, Ok(Some(days(500))));
        let beyond = "expires_at must be at most 2160h after creation".to_owned();
        assert_eq!(edit(&old, Expiry::At(start() + days(501))).await, Err(beyond));

        let later = NewToken { not_before: Some(start() + days(20)), ..new_token("later") };
        let later = issuer.create(later, &ann()).await.unwrap().token;
        let never = "expires_at must be after not_before".to_owned();
        assert_eq!(edit(&later, Expiry::At(start() + days(20))).await, Err(never));
    }
}

/// The host can say what a person holds.
#[tokio::test]
async fn a_person_gives_away_no_more_than_the_host_says() {
    for service in services() {
        let ben: Actor = "ben".parse().unwrap();
        let ben = ben.in_project("acme".parse().unwrap()).holding("sources:*".parse().unwrap());
        let new = |scopes: &str| new_token("a token").with_scopes(scopes.parse().unwrap());
        let created = service.issuer.create(new("sources:read"), &ben).await.unwrap();
        let error = service.issuer.create(new("flows:run"), &ben).await.unwrap_err();
        assert_eq!(error.to_string(), "it would exceed the scopes of whoever asks for it");
        let edit = |scopes: &str| Edit { scopes: Some(scopes.parse().unwrap()), ..Edit::default() };
        let id = created.record.id;
        service.issuer.edit(id, &ben, edit("sources:read sources:write")).await.unwrap();
        let error =
            service.issuer.edit(id, &ben, edit("sources:read flows:run")).await.unwrap_err();
        assert!(matches!(error, IssuerError::Exceeds(_)), "{error}");

        let elsewhere = NewToken::new(
            "other".parse().unwrap(),
            "ann".parse().unwrap(),
            "elsewhere".parse().unwrap(),
        );
        let error = service.issuer.create(elsewhere.clone(), &ben).await.unwrap_err();
        assert_eq!(error.to_string(), "it would exceed the project of whoever asks for it");
        let hidden = service.issuer.create(elsewhere, &ann()).await.unwrap().record;
        assert_eq!(service.issuer.get(hidden.id, &ben).await.unwrap(), None);
        let error = service.issuer.revoke(hidden.id, &ben, None).await.unwrap_err();
        assert!(matches!(error, IssuerError::NotFound), "{error}");
        let page = service.issuer.list(&Selection::default(), &ben, None, 10).await.unwrap();
        assert_eq!(page.records.len(), 1);
        let named = Selection::of_project("other".parse().unwrap());
        let page = service.issuer.list(&named, &ben, None, 10).await.unwrap();
        assert!(page.records.is_empty());
    }
}
