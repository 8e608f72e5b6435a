//! What a verification goes by, and until when.

use std::{pin::pin, time::Duration};

use api_tokens::VerifyError;
use jiff::SignedDuration;
use tokio::{join, task::yield_now};

use crate::{HeldStore, MICROSECOND, Node, SECOND, ann, is_outage};

#[tokio::test]
async fn a_record_is_read_once() {
    let node = Node::new(&HeldStore::default());
    node.poll().await;
    let token = node.create().await;
    assert_eq!(node.reads(&token).await, 1);
    for _ in 0..10 {
        assert_eq!(node.reads(&token).await, 0);
    }
    let health = node.verifier.cache_health().unwrap();
    assert_eq!((health.hits, health.misses, health.tokens), (10, 1, 1));
    assert!(health.is_ready() && health.hit_rate() > 0.9, "{health:?}");
}

/// What is in memory and may not be used is no hit, and neither is what a watch looks at.
#[tokio::test]
async fn hits_are_verifications_that_needed_no_store() {
    let node = Node::new(&HeldStore::default());
    let token = node.create().await;
    for _ in 0..10 {
        assert_eq!(node.reads(&token).await, 1, "without a poll there is no lease");
    }
    let health = node.verifier.cache_health().unwrap();
    assert_eq!((health.hits, health.misses, health.tokens), (0, 10, 1));
    // The first one empties the cache.
    node.poll().await;
    assert_eq!((node.reads(&token).await, node.reads(&token).await), (1, 0));
    let verified = node.verify(&token).await.unwrap();
    let watching = tokio::time::timeout(Duration::from_millis(1), verified.revoked());
    assert!(watching.await.is_err());
    let health = node.verifier.cache_health().unwrap();
    assert_eq!((health.hits, health.misses), (2, 11));
}

/// Each request proves its secret, from memory as well.
#[tokio::test]
async fn what_is_cached_is_not_the_answer() {
    let node = Node::new(&HeldStore::default());
    node.poll().await;
    let (token, other) = (node.create().await, node.create().await);
    assert_eq!(node.reads(&token).await, 1);
    // Its id with the secret of another token.
    let forged = format!("acme_live_{}_{}", token.id(), secret(other.expose_secret()));
    let forged = sealed(&forged);
    let before = node.store.finds();
    let refused = node.verifier.verify(forged.as_bytes()).await;
    assert!(matches!(refused, Err(VerifyError::WrongSecret { .. })), "{refused:?}");
    assert_eq!(node.store.finds(), before);
}

fn secret(text: &str) -> &str {
    let start = "acme_live_0123456789abcdef_".len();
    &text[start..text.len() - 6]
}

/// With its checksum, which anybody can compute.
fn sealed(text: &str) -> String {
    const DIGITS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut sum = crc32fast::hash(text.as_bytes());
    let mut digits = [0; 6];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[usize::try_from(sum % 62).unwrap()];
        sum /= 62;
    }
    format!("{text}{}", str::from_utf8(&digits).unwrap())
}

#[tokio::test]
async fn that_there_is_no_token_is_not_cached() {
    let store = HeldStore::default();
    let (node, other) = (Node::new(&store), Node::new(&HeldStore::default()));
    node.poll().await;
    let unknown = other.create().await;
    for finds in 1..=3 {
        assert!(matches!(node.verify(&unknown).await, Err(VerifyError::UnknownToken)));
        assert_eq!(store.finds(), finds);
    }
}

/// At the instant at which the lease ends, it has ended.
#[tokio::test]
async fn a_revocation_elsewhere_is_noticed_by_the_next_poll_or_when_the_lease_ends() {
    let store = HeldStore::default();
    let (node, other) = (Node::new(&store), Node::new(&store));
    for is_polled in [true, false] {
        node.poll().await;
        let token = node.create().await;
        assert!(node.accepts(&token).await);
        other.revoke(&token).await;
        assert!(!other.accepts(&token).await);
        node.clock.advance(SECOND - MICROSECOND);
        assert!(node.accepts(&token).await, "within the lease");
        if is_polled {
            node.poll().await;
        } else {
            node.clock.advance(MICROSECOND);
        }
        assert!(!node.accepts(&token).await);
    }
}

/// A wall clock that is set changes no lease.
#[tokio::test]
async fn the_lease_does_not_follow_the_wall_clock() {
    let store = HeldStore::default();
    let (node, other) = (Node::new(&store), Node::new(&store));
    node.poll().await;
    let token = node.create().await;
    assert!(node.accepts(&token).await);
    other.revoke(&token).await;
    node.clock.advance(SECOND);
    node.clock.advance(SignedDuration::from_secs(-100));
    assert!(!node.accepts(&token).await);
}

#[tokio::test]
async fn without_a_poll_each_verification_reads_the_store() {
    let node = Node::new(&HeldStore::default());
    let token = node.create().await;
    for _ in 0..3 {
        assert_eq!(node.reads(&token).await, 1);
    }
    assert!(!node.verifier.cache_health().unwrap().is_ready());
}

#[tokio::test]
async fn on_the_node_that_changes_it_a_change_counts_at_once() {
    let node = Node::new(&HeldStore::default());
    node.poll().await;
    let token = node.create().await;
    let id = token.id();
    assert!(node.accepts(&token).await);
    node.issuer.disable(id, &ann()).await.unwrap();
    assert!(!node.accepts(&token).await);
    node.issuer.enable(id, &ann()).await.unwrap();
    assert!(node.accepts(&token).await);
    node.revoke(&token).await;
    assert!(!node.accepts(&token).await);
}

/// When `revoke` returns, this node refuses the token, whoever revoked it first.
#[tokio::test]
async fn what_another_node_did_before_counts_at_once_too() {
    let store = HeldStore::default();
    let [node, other] = [Node::new(&store), Node::new(&store)];
    node.poll().await;
    let [one, family] = [node.create().await, node.create().await];
    for token in [&one, &family] {
        assert!(node.accepts(token).await);
        other.issuer.disable(token.id(), &ann()).await.unwrap();
        assert!(node.accepts(token).await, "it has not heard of it yet");
        node.issuer.disable(token.id(), &ann()).await.unwrap();
        assert!(!node.accepts(token).await);
        node.issuer.enable(token.id(), &ann()).await.unwrap();
        assert!(node.accepts(token).await);
        other.revoke(token).await;
    }
    node.revoke(&one).await;
    node.issuer.revoke_family(family.id(), &ann(), None).await.unwrap();
    assert!(!node.accepts(&one).await);
    assert!(!node.accepts(&family).await);
}

/// A revocation of which nobody knows whether it was written may have been.
#[tokio::test]
async fn a_change_that_failed_is_looked_up() {
    let node = Node::new(&HeldStore::default());
    node.poll().await;
    let token = node.create().await;
    assert!(node.accepts(&token).await);
    // The issuer reads before it writes, so the cached record is not what fails.
    let held = node.store.hold();
    let ann = ann();
    let mut revoking = pin!(node.issuer.revoke(token.id(), &ann, None));
    tokio::select! {
        biased;
        _ = &mut revoking => panic!("held"),
        () = yield_now() => {}
    }
    node.store.fail(true);
    node.store.hold_no_more();
    held.add_permits(1);
    revoking.await.expect_err("the store fails");
    node.store.fail(false);
    assert_eq!(node.reads(&token).await, 1);
}

/// The lease is from the beginning of the poll: what comes while the store answers may be missing.
#[tokio::test]
async fn a_slow_poll_makes_a_short_lease() {
    let store = HeldStore::default();
    let (node, other) = (Node::new(&store), Node::new(&store));
    node.poll().await;
    let token = node.create().await;
    assert!(node.accepts(&token).await);
    let held = store.hold();
    let (polled, ()) = join!(node.background.poll_changes(), async {
        yield_now().await;
        store.hold_no_more();
        other.revoke(&token).await;
        node.clock.advance(SECOND - MICROSECOND);
        held.add_permits(1);
    });
    polled.unwrap();
    assert!(node.accepts(&token).await, "the poll had begun before the revocation");
    node.clock.advance(MICROSECOND);
    assert!(!node.accepts(&token).await);
}

/// What was read before a change and arrives after it does not enter the cache.
#[tokio::test]
async fn a_record_that_changes_while_it_is_read_is_not_kept() {
    let store = HeldStore::default();
    let (node, other) = (Node::new(&store), Node::new(&store));
    for is_own in [true, false] {
        node.poll().await;
        let token = node.create().await;
        let held = store.hold();
        let (accepted, ()) = join!(node.accepts(&token), async {
            while store.waiting() < 1 {
                yield_now().await;
            }
            store.hold_no_more();
            if is_own {
                node.revoke(&token).await;
            } else {
                other.revoke(&token).await;
                node.poll().await;
            }
            assert!(!node.accepts(&token).await, "whoever comes later does not join that read");
            held.add_permits(1);
        });
        assert!(accepted, "it was asked for before the revocation");
        assert!(!node.accepts(&token).await);
    }
}

/// A record that arrives so late that it says nothing about now is an outage.
#[tokio::test]
async fn an_answer_that_is_too_old_does_not_count() {
    let store = HeldStore::default();
    let node = Node::new(&store);
    let token = node.create().await;
    for (late, is_accepted) in [(SECOND - MICROSECOND, true), (SECOND, false)] {
        let held = store.hold();
        let (result, ()) = join!(node.verify(&token), async {
            while store.waiting() < 1 {
                yield_now().await;
            }
            node.clock.advance(late);
            held.add_permits(1);
        });
        assert_eq!((result.is_ok(), is_outage(&result)), (is_accepted, !is_accepted));
    }
}

/// A replica that lags behind is no primary.
#[tokio::test]
async fn an_answer_from_before_the_last_poll_is_an_outage() {
    let store = HeldStore::default();
    let (node, other) = (Node::new(&store), Node::new(&store));
    let token = node.create().await;
    store.answer_from_the_past(token.id()).await;
    assert!(node.accepts(&token).await, "nothing has changed since");
    other.revoke(&token).await;
    node.poll().await;
    assert!(is_outage(&node.verify(&token).await));
}

#[tokio::test]
async fn another_history_makes_it_forget_everything() {
    let store = HeldStore::default();
    let node = Node::new(&store);
    node.poll().await;
    let token = node.create().await;
    assert_eq!(node.reads(&token).await, 1);
    store.reset_once();
    node.poll().await;
    assert_eq!(node.verifier.cache_health().unwrap().tokens, 0);
    assert_eq!(node.reads(&token).await, 1);
    assert_eq!(node.reads(&token).await, 0);
}

/// Cached tokens work until the lease ends, and again as soon as the store is back.
#[tokio::test]
async fn an_outage_is_an_outage_and_ends_by_itself() {
    let node = Node::new(&HeldStore::default());
    node.poll().await;
    let (token, cold) = (node.create().await, node.create().await);
    assert!(node.accepts(&token).await);
    node.store.fail(true);
    node.background.poll_changes().await.expect_err("the store fails");
    node.clock.advance(SECOND - MICROSECOND);
    assert!(node.accepts(&token).await);
    assert!(is_outage(&node.verify(&cold).await), "never unknown");
    node.clock.advance(MICROSECOND);
    assert!(is_outage(&node.verify(&token).await));
    let health = node.verifier.cache_health().unwrap();
    assert_eq!((health.is_ready(), health.feed_age), (false, Some(super::STALENESS)));
    node.store.fail(false);
    node.poll().await;
    assert_eq!(node.reads(&token).await, 0, "nothing was forgotten");
    assert_eq!(node.verifier.cache_health().unwrap().lease_expirations, 1);
}

#[tokio::test]
async fn no_staleness_is_no_cache() {
    let store = HeldStore::default();
    let node =
        Node::with(&store, api_tokens::Cache::new().max_staleness(std::time::Duration::ZERO));
    node.poll().await;
    assert_eq!(store.polls(), 0);
    assert!(node.verifier.cache_health().is_none());
    let token = node.create().await;
    assert_eq!((node.reads(&token).await, node.reads(&token).await), (1, 1));
}

/// Expiry needs no change: the cached record knows it.
#[tokio::test]
async fn a_cached_token_expires() {
    let node = Node::new(&HeldStore::default());
    node.poll().await;
    let token = node.create().await;
    let expiry = Some(api_tokens::Expiry::After(SECOND - MICROSECOND));
    let edit = api_tokens::Edit { expiry, ..api_tokens::Edit::default() };
    node.issuer.edit(token.id(), &ann(), edit).await.unwrap();
    assert_eq!(node.reads(&token).await, 1);
    node.clock.advance(SECOND - MICROSECOND);
    let before = node.store.finds();
    assert!(!node.accepts(&token).await);
    assert_eq!(node.store.finds(), before);
}
