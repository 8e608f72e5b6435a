//! The polls that the background makes, on tokio.

use std::time::Duration;

use api_tokens::{Cache, Issuer, Keyring, Verifier, prefix};
use tokio::{
    select,
    time::{Instant, sleep, timeout},
};

use crate::{HeldStore, Node, ann, is_outage, new_token};

const MINUTE: Duration = Duration::from_secs(60);

/// Verifies until it is refused.
async fn until_refused(verifier: &Verifier<HeldStore>, token: &api_tokens::Token) {
    while verifier.verify(token.expose_secret().as_bytes()).await.is_ok() {
        sleep(Duration::from_millis(1)).await;
    }
}

/// With a poll each quarter of an hour, only a hint makes another node notice in a moment.
#[tokio::test]
async fn a_hint_makes_the_next_poll_come_at_once() {
    let store = HeldStore::default();
    let hour = Cache::new().max_staleness(60 * MINUTE).poll_interval(60 * MINUTE);
    let builder = Verifier::builder(prefix!("acme_live"), &Keyring::unkeyed(), store.clone());
    let (verifier, background) = builder.cache(hour).build();
    let other = Verifier::new(prefix!("acme_live"), &Keyring::unkeyed(), store.clone());
    let issuer = Issuer::new(&other);
    let serving = async {
        for _ in 0..3 {
            let token = issuer.create(new_token("a token"), &ann()).await.unwrap().token;
            while !verifier.cache_health().unwrap().is_ready() {
                sleep(Duration::from_millis(1)).await;
            }
            assert!(verifier.verify(token.expose_secret().as_bytes()).await.is_ok());
            issuer.revoke(token.id(), &ann(), None).await.unwrap();
            timeout(MINUTE, until_refused(&verifier, &token)).await.expect("within a moment");
        }
    };
    background.run_until(serving).await;
    assert!(store.polls() < 20, "{}", store.polls());
}

/// How many polls a node makes in a minute.
async fn polls_in_a_minute(store: &HeldStore, cache: Cache) -> usize {
    let builder = Verifier::builder(prefix!("acme_live"), &Keyring::unkeyed(), store.clone());
    let (_verifier, background) = builder.cache(cache).build();
    let before = store.polls();
    background.run_until(sleep(MINUTE)).await;
    store.polls() - before
}

#[tokio::test(start_paused = true)]
async fn polls_come_at_their_interval_and_less_often_while_the_store_fails() {
    let store = HeldStore::default();
    store.be_silent();
    let polls = polls_in_a_minute(&store, Cache::new()).await;
    assert!(
        (1150..=1650).contains(&polls),
        "20 a second, a little more for those who differ: {polls}"
    );
    // At least four in a lease, whatever is asked for.
    let rare = Cache::new().poll_interval(MINUTE);
    let polls = polls_in_a_minute(&store, rare).await;
    assert!((235..=330).contains(&polls), "{polls}");
    store.fail(true);
    let polls = polls_in_a_minute(&store, Cache::new()).await;
    assert!((55..=90).contains(&polls), "{polls}");
}

/// While many tokens are revoked one after another, polls do not follow one another without a pause.
#[tokio::test(start_paused = true)]
async fn a_storm_of_hints_makes_no_storm_of_polls() {
    let store = HeldStore::default();
    let node = Node::new(&store);
    let mut tokens = Vec::new();
    for _ in 0..1000 {
        tokens.push(node.create().await);
    }
    let builder = Verifier::builder(prefix!("acme_live"), &Keyring::unkeyed(), store.clone());
    let (_verifier, background) = builder.cache(Cache::new()).build();
    let before = store.polls();
    let revoking = async {
        for token in &tokens {
            node.revoke(token).await;
            sleep(Duration::from_millis(1)).await;
        }
    };
    background.run_until(revoking).await;
    let polls = store.polls() - before;
    assert!((100..=220).contains(&polls), "one in five milliseconds: {polls}");
}

/// A poll whose answer never comes is given up in time for another one within the lease.
#[tokio::test(start_paused = true)]
async fn a_poll_that_hangs_is_given_up() {
    let store = HeldStore::default();
    store.be_silent();
    let builder = Verifier::builder(prefix!("acme_live"), &Keyring::unkeyed(), store.clone());
    let (_verifier, background) = builder.cache(Cache::new()).build();
    store.hold();
    let begun = Instant::now();
    let second_poll = async {
        while store.polls() < 2 {
            sleep(Duration::from_millis(1)).await;
        }
        begun.elapsed()
    };
    let after = background.run_until(second_poll).await;
    assert!(after < Duration::from_millis(700), "{after:?}");
}

/// Serving is not kept waiting by a store that hangs, and an outage ends without a restart.
#[tokio::test]
async fn a_node_recovers_by_itself() {
    let store = HeldStore::default();
    let builder = Verifier::builder(prefix!("acme_live"), &Keyring::unkeyed(), store.clone());
    let brief = Cache::new()
        .max_staleness(Duration::from_millis(50))
        .poll_interval(Duration::from_millis(5));
    let (verifier, background) = builder.cache(brief).build();
    let issuer = Issuer::new(&verifier);
    let token = issuer.create(new_token("a token"), &ann()).await.unwrap().token;
    let text = token.expose_secret().as_bytes();
    let serving = async {
        for _ in 0..3 {
            while !verifier.cache_health().unwrap().is_ready() {
                sleep(Duration::from_millis(1)).await;
            }
            // On a busy machine an answer may come too late to be relied on.
            while verifier.verify(text).await.is_err() {
                sleep(Duration::from_millis(1)).await;
            }
            store.fail(true);
            while !is_outage(&verifier.verify(text).await) {
                sleep(Duration::from_millis(1)).await;
            }
            store.fail(false);
        }
    };
    select! {
        () = background.run_until(serving) => {}
        () = sleep(MINUTE) => panic!("it does not recover"),
    }
}

/// Dropped at any point, a poll loses nothing.
#[tokio::test]
async fn a_poll_that_is_dropped_loses_no_change() {
    let store = HeldStore::default();
    let (node, other) = (Node::new(&store), Node::new(&store));
    node.poll().await;
    let token = node.create().await;
    assert!(node.accepts(&token).await);
    other.revoke(&token).await;
    store.hold();
    select! {
        biased;
        _ = node.background.poll_changes() => panic!("held"),
        () = tokio::task::yield_now() => {}
    }
    store.hold_no_more();
    assert!(node.accepts(&token).await, "it has not come");
    node.poll().await;
    assert!(!node.accepts(&token).await);
}

/// More changes than one page holds are all applied before the lease is extended.
#[tokio::test]
async fn many_changes_are_applied_page_by_page() {
    let store = HeldStore::default();
    let (node, other) = (Node::new(&store), Node::new(&store));
    node.poll().await;
    let mut tokens = Vec::new();
    for _ in 0..2500 {
        tokens.push(node.create().await);
    }
    for token in &tokens {
        assert!(node.accepts(token).await);
    }
    for token in &tokens {
        other.revoke(token).await;
    }
    let before = store.polls();
    node.poll().await;
    assert_eq!(store.polls() - before, 3);
    assert_eq!(node.verifier.cache_health().unwrap().tokens, 0);
    for token in &tokens {
        assert!(!node.accepts(token).await);
    }
}
