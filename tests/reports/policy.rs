//! What a report does to a token in each state.

use api_tokens::{
    EventKind, Expiry, MemoryStore, NewToken, Rotate, Status, Token,
    leak::reports::{LeakAction, LeakPolicy},
};
use jiff::SignedDuration;

use crate::{
    support::{LIVE, Signing, TEST, Tokens, app, found, in_memory, leak_reported, reports, start},
    util::{ann, new_token},
};

fn days(number: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * number)
}

async fn create(tokens: &Tokens<MemoryStore>, new: NewToken) -> Token {
    tokens.issuer.create(new, &ann()).await.unwrap().token
}

/// A token in each state, ten days after they were made.
async fn tokens_in_each_state(tokens: &Tokens<MemoryStore>) -> Vec<(Status, Token)> {
    let issuer = &tokens.issuer;
    let active = tokens.create().await;
    let not_yet = NewToken { not_before: Some(start() + days(20)), ..new_token("a") };
    let not_yet = create(tokens, not_yet).await;
    let expired = create(tokens, new_token("a").with_expiry(Expiry::After(days(1)))).await;
    let disabled = tokens.create().await;
    issuer.disable(disabled.id(), &ann()).await.unwrap();
    let rotated = tokens.create().await;
    let rotate = Rotate::with_overlap(days(1));
    issuer.rotate(rotated.id(), &ann(), rotate).await.unwrap();
    let revoked = tokens.create().await;
    issuer.revoke(revoked.id(), &ann(), None).await.unwrap();
    tokens.clock.advance(days(10));
    vec![
        (Status::Active, active),
        (Status::NotYetValid, not_yet),
        (Status::Expired, expired),
        (Status::Disabled, disabled),
        (Status::RotatedOut, rotated),
        (Status::Revoked, revoked),
    ]
}

#[tokio::test]
async fn each_state_has_its_outcome() {
    for policy in [LeakPolicy::Revoke, LeakPolicy::Quarantine] {
        let tokens = in_memory();
        let reports = reports(&tokens, policy);
        for (status, token) in tokens_in_each_state(&tokens).await {
            let before = tokens.record(token.id()).await;
            assert_eq!(before.status(tokens_now(&tokens)), status);
            let text = token.expose_secret().as_bytes();
            let leak =
                reports.report(text, &"found".parse().unwrap(), None).await.unwrap().unwrap();
            let (expected, action) = match (policy, status) {
                (_, Status::Expired | Status::RotatedOut | Status::Revoked) => {
                    (status, LeakAction::None)
                }
                (LeakPolicy::Revoke, _) => (Status::Revoked, LeakAction::Revoked),
                (_, Status::Disabled) => (status, LeakAction::None),
                _ => (Status::Disabled, LeakAction::Disabled),
            };
            assert_eq!((leak.status, leak.action), (expected, action), "{policy:?} {status}");
            let record = tokens.record(token.id()).await;
            assert_eq!(record, leak.record);
            assert_eq!(record.status(tokens_now(&tokens)), expected);
            assert_eq!(record.version, before.version + 1, "the event counts as a change");
            // In each state, it is on record.
            let history = tokens.history(token.id()).await;
            assert!(history.contains(&leak_reported("found", None)), "{policy:?} {status}");
            let changes =
                history.iter().rev().take_while(|kind| **kind != leak_reported("found", None));
            assert_eq!(changes.count(), usize::from(action != LeakAction::None));
        }
    }
}

fn tokens_now(tokens: &Tokens<MemoryStore>) -> jiff::Timestamp {
    api_tokens::Clock::now(&tokens.clock)
}

#[tokio::test]
async fn only_the_reported_token_of_a_rotation_is_revoked() {
    for reports_old in [true, false] {
        let tokens = in_memory();
        let app = app(&reports(&tokens, LeakPolicy::Revoke), &Signing::new(1));
        let old = tokens.create().await;
        let rotate = Rotate::with_overlap(days(1));
        let new = tokens.issuer.rotate(old.id(), &ann(), rotate).await.unwrap().token;
        let (reported, other) = if reports_old { (&old, &new) } else { (&new, &old) };
        found(&app, reported.expose_secret(), None).await;
        assert!(!tokens.is_accepted(reported).await);
        assert!(tokens.is_accepted(other).await);
    }
}

#[tokio::test]
async fn each_prefix_has_its_policy() {
    let [live, test] = [LIVE, TEST].map(|prefix| Tokens::new(prefix, MemoryStore::new()));
    let reports = reports(&live, LeakPolicy::Quarantine).issuer(&test.issuer, LeakPolicy::Revoke);
    let app = app(&reports, &Signing::new(1));
    let [live_token, test_token] = [live.create().await, test.create().await];
    let answer = found(&app, live_token.expose_secret(), None).await;
    assert_eq!(answer.body, r#"{"status":"disabled"}"#);
    let answer = found(&app, test_token.expose_secret(), None).await;
    assert_eq!(answer.body, r#"{"status":"revoked"}"#);
    assert_eq!(live.history(live_token.id()).await[1], EventKind::Disabled);
}

/// The same of one that is being replaced, whose state does not show that it is disabled.
#[tokio::test]
async fn a_token_that_is_being_replaced_can_be_quarantined() {
    let tokens = in_memory();
    let app = app(&reports(&tokens, LeakPolicy::Quarantine), &Signing::new(1));
    let old = tokens.create().await;
    let rotate = Rotate::with_overlap(days(1));
    tokens.issuer.rotate(old.id(), &ann(), rotate).await.unwrap();
    let answer = found(&app, old.expose_secret(), None).await;
    assert_eq!(answer.body, r#"{"status":"disabled"}"#);
    assert!(!tokens.is_accepted(&old).await);
}
