//! What is told of: each change in the store and to the sink, refusals to the sink, by the dozen
//! and not by the million.

use api_tokens::{
    Actor, DoneBy, Edit, EditedField, Event, EventKind, Expiry, IssuerError, NumberedEvent,
    RefusalReason, Rotate, Selection, TokenStore as _,
};

use crate::{Service, ann, days, new_token, seconds, services, start};

async fn stored(service: &Service, token: &api_tokens::Token) -> Vec<Event> {
    let events = service.issuer.events(token.id(), &ann(), None, 100).await.unwrap();
    assert!(events.is_sorted_by(|a, b| a.number > b.number), "the newest first");
    events.into_iter().rev().map(|NumberedEvent { event, .. }| event).collect()
}

#[tokio::test]
async fn every_change_is_stored_and_passed_on() {
    for mut service in services() {
        let (old, record) = service.create("a token").await;
        service.clock.advance(seconds(1));
        let edit = Edit {
            name: Some("another".parse().unwrap()),
            expiry: Some(Expiry::After(days(90))),
            ..Edit::default()
        };
        service.issuer.edit(old.id(), &"ben".parse().unwrap(), edit).await.unwrap();
        service.issuer.disable(old.id(), &ann()).await.unwrap();
        service.issuer.enable(old.id(), &ann()).await.unwrap();
        let rotate = || Rotate::with_overlap(days(1));
        let first = service.issuer.rotate(old.id(), &ann(), rotate()).await.unwrap();
        service.issuer.cancel_rotation(old.id(), &ann()).await.unwrap();
        let rotate_on_use = Rotate { retire_on_use: true, ..rotate() };
        let second = service.issuer.rotate(old.id(), &ann(), rotate_on_use).await.unwrap();
        service.verify(&second.token).await.unwrap();
        service.tick().await;
        let reason = Some("laptop lost".parse().unwrap());
        service.issuer.revoke(old.id(), &ann(), reason.clone()).await.unwrap();

        let overlap_ends_at = start() + seconds(1) + days(1);
        let kinds = [
            EventKind::Created,
            EventKind::Edited { fields: vec![EditedField::Name, EditedField::ExpiresAt] },
            EventKind::Disabled,
            EventKind::Enabled,
            EventKind::Rotated { successor: first.record.id, overlap_ends_at },
            EventKind::RotationCancelled { successor: first.record.id },
            EventKind::Rotated { successor: second.record.id, overlap_ends_at },
            EventKind::RotationFinished { by_use: true },
            EventKind::Revoked { reason },
        ];
        let stored_events = stored(&service, &old).await;
        let stored_kinds: Vec<_> = stored_events.iter().map(|event| event.kind.clone()).collect();
        assert_eq!(stored_kinds, kinds);
        let passed_on = service.events.take();
        let of_old: Vec<_> =
            passed_on.iter().filter(|event| event.token == Some(old.id())).cloned().collect();
        assert_eq!(of_old, stored_events);
        assert_eq!(
            stored_events[1],
            Event {
                at: start() + seconds(1),
                token: Some(old.id()),
                project: Some(record.project),
                by: Some(DoneBy { principal: "ben".parse().unwrap(), token: None }),
                kind: kinds[1].clone(),
            }
        );
        // The use of the successor ended it: nobody in particular.
        assert_eq!(stored_events[7].by, None);
        let cancelled = stored(&service, &first.token).await;
        assert_eq!(cancelled.len(), 1);
        assert_eq!(cancelled[0].kind, EventKind::Revoked { reason: None });
    }
}

#[tokio::test]
async fn an_event_names_the_token_it_was_done_through() {
    for service in services() {
        let (acting, _) = service.create("acting").await;
        let actor = service.through(&acting).await;
        let made = service.issuer.create(new_token("made"), &actor).await.unwrap();
        assert_eq!(made.record.created_through, Some(acting.id()));
        let events = stored(&service, &made.token).await;
        let by = DoneBy { principal: "ann".parse().unwrap(), token: Some(acting.id()) };
        assert_eq!(events[0].by, Some(by));
    }
}

#[tokio::test]
async fn a_refused_change_leaves_no_event() {
    for service in services() {
        let (token, _) = service.create("a token").await;
        service.issuer.revoke(token.id(), &ann(), None).await.unwrap();
        service.events.take();
        let before = stored(&service, &token).await;
        service.issuer.enable(token.id(), &ann()).await.unwrap_err();
        service.issuer.rotate(token.id(), &ann(), Rotate::default()).await.unwrap_err();
        assert_eq!(stored(&service, &token).await, before);
        assert_eq!(service.events.take(), []);
    }
}

#[tokio::test]
async fn events_are_for_those_who_see_the_token_and_outlive_it() {
    for service in services() {
        let (token, _) = service.create("a token").await;
        let stranger: Actor = "ben".parse().unwrap();
        let stranger = stranger.in_project("other".parse().unwrap());
        let error = service.issuer.events(token.id(), &stranger, None, 10).await.unwrap_err();
        assert!(matches!(error, IssuerError::NotFound), "{error}");
        service.issuer.revoke(token.id(), &ann(), None).await.unwrap();
        service.clock.advance(days(1));
        assert_eq!(service.issuer.prune(service.clock_now()).await.unwrap(), 1);
        let left = service.store.events(&token.id(), None, 10).await.unwrap();
        assert_eq!(left.len(), 2);
        let last = service.events.take().pop().unwrap();
        assert_eq!((last.token, last.kind), (None, EventKind::Pruned { count: 1 }));
    }
}

#[tokio::test]
async fn a_bulk_change_is_one_event_and_one_for_each_token() {
    for service in services() {
        for name in ["one", "two", "three"] {
            service.create(name).await;
        }
        service.events.take();
        let (admin, acme) = (ann(), Selection::of_project("acme".parse().unwrap()));
        service.issuer.disable_all(acme, &admin).unwrap().run().await.unwrap();
        let mut expected = vec![EventKind::Disabled; 3];
        expected.push(EventKind::BulkChanged { count: 3 });
        let kinds: Vec<_> = service.events.take().into_iter().map(|event| event.kind).collect();
        assert_eq!(kinds, expected);
    }
}

#[tokio::test]
async fn refusals_are_told_with_their_reason_up_to_a_number_and_then_counted() {
    for mut service in services() {
        let (token, _) = service.create("a token").await;
        service.issuer.disable(token.id(), &ann()).await.unwrap();
        service.events.take();
        for _ in 0..1000 {
            service.verify(&token).await.unwrap_err();
            service.verifier.verify(b"garbage").await.unwrap_err();
        }
        service.verifier.verify_authorization([]).await.unwrap_err();
        let events = service.events.take();
        let of = |reason| events.iter().filter(|e| e.kind == EventKind::Refused { reason }).count();
        assert_eq!(of(RefusalReason::Disabled), 10);
        assert_eq!(of(RefusalReason::Malformed), 10);
        assert_eq!(of(RefusalReason::NoCredentials), 1);
        assert_eq!(events.len(), 21);
        assert_eq!(events[0].token, Some(token.id()));
        assert_eq!(events[1].token, None);

        service.tick().await;
        let summed = |reason| EventKind::RefusalsSuppressed { reason, count: 990 };
        let kinds: Vec<_> = service.events.take().into_iter().map(|event| event.kind).collect();
        assert_eq!(kinds, [summed(RefusalReason::Malformed), summed(RefusalReason::Disabled)]);
        // And anew.
        service.verify(&token).await.unwrap_err();
        assert_eq!(service.events.take().len(), 1);
    }
}

#[tokio::test]
async fn no_event_holds_a_secret() {
    for mut service in services() {
        let (token, _) = service.create("a token").await;
        let text = token.expose_secret();
        service.verifier.verify(text.replace("acme", "acne").as_bytes()).await.unwrap_err();
        service.issuer.rotate(token.id(), &ann(), Rotate::default()).await.unwrap();
        service.verify(&token).await.unwrap_err();
        service.tick().await;
        let all = serde_json::to_string(&service.events.take()).unwrap();
        let secret = text.split('_').next_back().unwrap();
        for part in secret.as_bytes().windows(8) {
            assert!(!all.contains(core::str::from_utf8(part).unwrap()));
        }
    }
}
