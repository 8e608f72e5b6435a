//! Waiting for the end of a token.

use std::{pin::pin, time::Duration};

use api_tokens::{Edit, Expiry, Rotate, Status, Verified, VerifyError};
use jiff::SignedDuration;
use tokio::{
    task::{JoinHandle, yield_now},
    time::timeout,
};

use crate::{HeldStore, Node, SECOND, ann};

/// Begins to watch a token, and is sure that it has begun.
async fn watch(verified: &Verified) -> JoinHandle<VerifyError> {
    let verified = verified.clone();
    let watching = tokio::spawn(async move { verified.revoked().await });
    for _ in 0..10 {
        yield_now().await;
    }
    assert!(!watching.is_finished());
    watching
}

fn status(error: &VerifyError) -> Option<Status> {
    match error {
        VerifyError::NotActive { status, .. } => Some(*status),
        _ => None,
    }
}

#[tokio::test]
async fn it_ends_at_once_on_the_node_and_by_a_poll_on_others() {
    let store = HeldStore::default();
    let (node, other) = (Node::new(&store), Node::new(&store));
    for revoker in [&node, &other] {
        node.poll().await;
        let token = node.create().await;
        let verified = node.verify(&token).await.unwrap();
        let watches = [watch(&verified).await, watch(&verified).await];
        revoker.revoke(&token).await;
        node.poll().await;
        for watch in watches {
            assert_eq!(status(&watch.await.unwrap()), Some(Status::Revoked));
        }
        assert_eq!(status(&verified.revoked().await), Some(Status::Revoked), "and ever after");
    }
}

#[tokio::test]
async fn whatever_ends_a_token_ends_the_watch() {
    let node = Node::new(&HeldStore::default());
    for expected in [Status::Disabled, Status::RotatedOut, Status::Expired] {
        node.poll().await;
        let token = node.create().await;
        let verified = node.verify(&token).await.unwrap();
        let watch = watch(&verified).await;
        let id = token.id();
        match expected {
            Status::Disabled => drop(node.issuer.disable(id, &ann()).await.unwrap()),
            Status::RotatedOut => {
                let now = Rotate { overlap: SignedDuration::ZERO, ..Rotate::default() };
                drop(node.issuer.rotate(id, &ann(), now).await.unwrap());
            }
            _ => {
                let expiry = Some(Expiry::After(SECOND));
                let edit = Edit { expiry, ..Edit::default() };
                node.issuer.edit(id, &ann(), edit).await.unwrap();
                node.clock.advance(SECOND);
            }
        }
        assert_eq!(status(&watch.await.unwrap()), Some(expected));
    }
}

/// A change that ends nothing does not end it.
#[tokio::test]
async fn it_goes_on_through_other_changes_and_other_tokens_ends() {
    let node = Node::new(&HeldStore::default());
    node.poll().await;
    let (token, other) = (node.create().await, node.create().await);
    let verified = node.verify(&token).await.unwrap();
    let watching = watch(&verified).await;
    let edit = Edit { name: Some("another".parse().unwrap()), ..Edit::default() };
    node.issuer.edit(token.id(), &ann(), edit).await.unwrap();
    node.revoke(&other).await;
    node.store.reset_once();
    node.poll().await;
    for _ in 0..10 {
        yield_now().await;
    }
    assert!(!watching.is_finished());
    node.revoke(&token).await;
    assert_eq!(status(&watching.await.unwrap()), Some(Status::Revoked));
}

/// A token that is not in memory any more is watched as well.
#[tokio::test]
async fn it_does_not_depend_on_the_cache_having_room() {
    let store = HeldStore::default();
    let cache = api_tokens::Cache::new().capacity(1);
    let (node, other) = (Node::with(&store, cache), Node::new(&store));
    node.poll().await;
    let token = node.create().await;
    let verified = node.verify(&token).await.unwrap();
    let watch = watch(&verified).await;
    for _ in 0..10 {
        assert!(node.accepts(&node.create().await).await);
    }
    other.revoke(&token).await;
    node.poll().await;
    assert_eq!(status(&watch.await.unwrap()), Some(Status::Revoked));
}

/// Without a poll the lease ends, the store is asked, and if it cannot answer, nobody can tell.
#[tokio::test(start_paused = true)]
async fn without_polls_it_ends_within_the_bound() {
    for fails in [false, true] {
        let store = HeldStore::default();
        let (node, other) = (Node::new(&store), Node::new(&store));
        node.poll().await;
        let token = node.create().await;
        let verified = node.verify(&token).await.unwrap();
        let watch = watch(&verified).await;
        other.revoke(&token).await;
        store.fail(fails);
        node.clock.advance(SECOND);
        let ended = timeout(Duration::from_millis(1001), watch).await.expect("in time").unwrap();
        if fails {
            assert!(matches!(ended, VerifyError::Outage(_)), "{ended}");
        } else {
            assert_eq!(status(&ended), Some(Status::Revoked));
        }
    }
}

/// The usual case: the record is in memory for long, and polls go on.
#[tokio::test(start_paused = true)]
async fn an_end_that_was_known_from_the_beginning_ends_it_in_time() {
    let node = Node::new(&HeldStore::default());
    node.poll().await;
    let token = node.create().await;
    let expiry = Some(Expiry::After(SECOND * 10));
    let edit = Edit { expiry, ..Edit::default() };
    node.issuer.edit(token.id(), &ann(), edit).await.unwrap();
    let verified = node.verify(&token).await.unwrap();
    let watching = watch(&verified).await;
    let begun = tokio::time::Instant::now();
    while !watching.is_finished() {
        tokio::time::sleep(Duration::from_millis(10)).await;
        node.clock.advance(SignedDuration::from_millis(10));
        node.poll().await;
    }
    assert_eq!(status(&watching.await.unwrap()), Some(Status::Expired));
    let ended = begun.elapsed();
    assert!((10_000..10_100).contains(&ended.as_millis()), "{ended:?}");
}

/// After a reset all streams must read their token again, and more than can at a time.
#[tokio::test(start_paused = true)]
async fn a_reset_ends_no_stream_whose_turn_comes_in_time() {
    const STREAMS: usize = 500;
    let store = HeldStore::default();
    let cache = api_tokens::Cache::new().max_lookups(2);
    let (node, other) = (Node::with(&store, cache), Node::new(&store));
    node.poll().await;
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        let token = node.create().await;
        let verified = node.verify(&token).await.unwrap();
        streams.push((token, watch(&verified).await));
    }
    // Each takes a millisecond from here on.
    let permits = store.hold();
    let before = store.finds();
    store.reset_once();
    permits.add_permits(1);
    node.poll().await;
    for _ in 0..STREAMS {
        permits.add_permits(2);
        tokio::time::sleep(Duration::from_millis(1)).await;
        node.clock.advance(SignedDuration::from_millis(1));
    }
    assert_eq!(store.finds() - before, STREAMS);
    let misses = node.verifier.cache_health().unwrap().misses;
    assert_eq!(misses, STREAMS as u64, "those of verifications alone");
    store.hold_no_more();
    for (token, watching) in &streams {
        assert!(!watching.is_finished());
        other.revoke(token).await;
    }
    node.poll().await;
    for (_, watching) in streams {
        assert_eq!(status(&watching.await.unwrap()), Some(Status::Revoked));
    }
}

/// A store that hangs does not keep a stream open, no longer than a verification from memory may be
/// relied on.
#[tokio::test(start_paused = true)]
async fn without_an_answer_it_ends_within_the_bound() {
    for verified_after in [0, 500, 990] {
        let store = HeldStore::default();
        let (node, other) = (Node::new(&store), Node::new(&store));
        node.poll().await;
        let token = node.create().await;
        assert!(node.accepts(&token).await);
        other.revoke(&token).await;
        store.hold();
        node.clock.advance(SignedDuration::from_millis(verified_after));
        let verified = node.verify(&token).await.unwrap();
        let watching = watch(&verified).await;
        let mut passed = verified_after;
        while !watching.is_finished() {
            tokio::time::sleep(Duration::from_millis(10)).await;
            node.clock.advance(SignedDuration::from_millis(10));
            passed += 10;
        }
        let ended = watching.await.unwrap();
        assert!(matches!(ended, VerifyError::Outage(_)), "{ended}");
        assert!((990..=1_030).contains(&passed), "{passed} ms after the revocation");
    }
}

/// Whoever begins to watch what was verified long ago is told as if it had been verified then.
#[tokio::test(start_paused = true)]
async fn what_was_verified_long_ago_is_watched_from_now_on() {
    let store = HeldStore::default();
    let node = Node::new(&store);
    node.poll().await;
    let token = node.create().await;
    let verified = node.verify(&token).await.unwrap();
    node.clock.advance(SECOND * 60);
    store.fail(true);
    let watching = watch(&verified).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    store.fail(false);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!watching.is_finished());
    node.revoke(&token).await;
    assert_eq!(status(&watching.await.unwrap()), Some(Status::Revoked));
}

#[tokio::test]
async fn whoever_stops_to_watch_leaves_nothing_behind() {
    let store = HeldStore::default();
    let (node, other) = (Node::new(&store), Node::new(&store));
    node.poll().await;
    let token = node.create().await;
    let verified = node.verify(&token).await.unwrap();
    for _ in 0..3 {
        let first = watch(&verified).await;
        let second = watch(&verified).await;
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        assert!(!second.is_finished());
        second.abort();
        assert!(second.await.unwrap_err().is_cancelled());
    }
    let last = watch(&verified).await;
    other.revoke(&token).await;
    node.poll().await;
    assert_eq!(status(&last.await.unwrap()), Some(Status::Revoked));
}

/// Whoever would wait in vain is told so.
#[tokio::test]
async fn without_a_cache_or_a_verifier_it_is_an_outage_at_once() {
    let store = HeldStore::default();
    let node = Node::new(&store);
    let uncached = Node::with(&store, api_tokens::Cache::new().max_staleness(Duration::ZERO));
    let token = node.create().await;
    let verified = uncached.verify(&token).await.unwrap();
    assert!(matches!(verified.revoked().await, VerifyError::Outage(_)));
    let verified = node.verify(&token).await.unwrap();
    drop(node);
    assert!(matches!(verified.revoked().await, VerifyError::Outage(_)));
}

/// From then on no node accepts it, also one that cannot hear of it.
#[tokio::test(start_paused = true)]
async fn a_revocation_is_effective_everywhere_after_the_bound() {
    let node = Node::new(&HeldStore::default());
    let token = node.create().await;
    let revoked = node.issuer.revoke(token.id(), &ann(), None).await.unwrap();
    let mut effective = pin!(revoked.effective_everywhere());
    let nearly = Duration::from_millis(999);
    assert!(timeout(nearly, effective.as_mut()).await.is_err(), "not before");
    assert!(timeout(Duration::from_millis(2), effective).await.is_ok());
}

/// What was known counts until it does not: one call that fails ends no stream.
#[tokio::test(start_paused = true)]
async fn a_failure_that_passes_does_not_end_it() {
    let node = Node::new(&HeldStore::default());
    node.poll().await;
    let token = node.create().await;
    let verified = node.verify(&token).await.unwrap();
    let watching = watch(&verified).await;
    let edit = Edit { name: Some("another".parse().unwrap()), ..Edit::default() };
    node.issuer.edit(token.id(), &ann(), edit).await.unwrap();
    node.store.fail(true);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!watching.is_finished());
    node.store.fail(false);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!watching.is_finished());
    node.revoke(&token).await;
    assert_eq!(status(&watching.await.unwrap()), Some(Status::Revoked));
}
