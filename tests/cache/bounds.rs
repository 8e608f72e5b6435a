//! How much is read and kept, whatever comes.

use std::{future::poll_fn, pin::pin, task::Poll};

use api_tokens::{Cache, Keyring, Token, TokenStore, Verifier, VerifyError, WriteBatch, prefix};
use rand::{SeedableRng, rngs::ChaCha20Rng};
use tokio::task::{JoinSet, yield_now};

use crate::{HeldStore, MICROSECOND, Node, SECOND, STALENESS, is_outage};

fn cache() -> Cache {
    Cache::new().max_staleness(STALENESS)
}

/// Starts as many verifications of the tokens, and lets them get as far as they get.
async fn start<'a>(
    node: &Node,
    tokens: impl IntoIterator<Item = &'a Token>,
) -> JoinSet<Result<api_tokens::Verified, VerifyError>> {
    let mut running = JoinSet::new();
    for token in tokens {
        let (verifier, text) = (node.verifier.clone(), token.expose_secret().to_owned());
        running.spawn(async move { verifier.verify(text.as_bytes()).await });
    }
    for _ in 0..10 {
        yield_now().await;
    }
    running
}

fn made_up(count: u64) -> Vec<Token> {
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    (0..count).map(|_| Token::generate(&prefix!("acme_live"), &mut rng).expect("a token")).collect()
}

#[tokio::test]
async fn however_many_wait_for_a_record_it_is_read_once() {
    let node = Node::new(&HeldStore::default());
    node.poll().await;
    let token = node.create().await;
    let held = node.store.hold();
    let running = start(&node, std::iter::repeat_n(&token, 100)).await;
    assert_eq!(node.store.waiting(), 1);
    held.add_permits(1);
    assert!(running.join_all().await.iter().all(Result::is_ok));
    assert_eq!(node.store.finds(), 1);
}

/// Those who came while it was read do not know whether it was created meanwhile.
#[tokio::test]
async fn however_many_wait_for_a_token_that_is_not_there_it_is_read_twice() {
    let node = Node::new(&HeldStore::default());
    let unknown = made_up(1);
    let held = node.store.hold();
    let running = start(&node, std::iter::repeat_n(&unknown[0], 100)).await;
    for reads in 1..=2 {
        for _ in 0..10 {
            yield_now().await;
        }
        assert_eq!((node.store.waiting(), node.store.finds()), (1, reads));
        held.add_permits(1);
    }
    let refused = running.join_all().await;
    assert!(refused.iter().all(|result| matches!(result, Err(VerifyError::UnknownToken))));
    assert_eq!(node.store.finds(), 2);
}

/// Those who joined a read before a token was there do not keep it alive for those who came after.
#[tokio::test]
async fn a_token_that_comes_while_it_is_read_is_found_by_those_who_come_then() {
    let node = Node::new(&HeldStore::default());
    let elsewhere = Node::new(&HeldStore::default());
    let token = elsewhere.create().await;
    let found = elsewhere.store.find(&token.id()).await.unwrap().expect("a record");
    let held = node.store.hold();
    let before = start(&node, [&token]).await;
    node.store.write(&WriteBatch::insert(found.record.as_ref().clone())).await.unwrap();
    let after = start(&node, std::iter::repeat_n(&token, 9)).await;
    assert_eq!(node.store.finds(), 1);
    node.store.hold_no_more();
    held.add_permits(1);
    assert!(matches!(before.join_all().await[..], [Err(VerifyError::UnknownToken)]));
    assert!(after.join_all().await.iter().all(Result::is_ok));
}

#[tokio::test]
async fn who_gives_up_leaves_the_read_to_the_next() {
    let node = Node::new(&HeldStore::default());
    node.poll().await;
    let token = node.create().await;
    let held = node.store.hold();
    let mut first = start(&node, [&token]).await;
    let others = start(&node, std::iter::repeat_n(&token, 9)).await;
    first.shutdown().await;
    yield_now().await;
    assert_eq!((node.store.waiting(), node.store.finds()), (1, 2));
    held.add_permits(1);
    assert!(others.join_all().await.iter().all(Result::is_ok));
    assert_eq!(node.reads(&token).await, 0);

    // If all of them give up, the next one begins anew.
    let cold = node.create().await;
    start(&node, std::iter::repeat_n(&cold, 9)).await.shutdown().await;
    assert_eq!(node.store.waiting(), 0);
    node.store.hold_no_more();
    assert_eq!(node.reads(&cold).await, 1);
    assert_eq!(node.reads(&cold).await, 0);
}

/// Made-up tokens neither take down the store nor keep cached ones waiting.
#[tokio::test]
async fn lookups_are_bounded_in_number() {
    const LOOKUPS: usize = 4;
    const WAITING: usize = 64 * LOOKUPS;

    let node = Node::with(&HeldStore::default(), cache().max_lookups(LOOKUPS));
    node.poll().await;
    let token = node.create().await;
    assert!(node.accepts(&token).await);
    let held = node.store.hold();
    let many = made_up(1000);
    let mut running = start(&node, &many).await;
    assert_eq!(node.store.waiting(), LOOKUPS);
    assert_eq!(node.reads(&token).await, 0);
    held.add_permits(many.len());
    let (mut unknown, mut turned_away) = (0, 0);
    while let Some(result) = running.join_next().await {
        let result = result.expect("no panic");
        match result {
            Err(VerifyError::UnknownToken) => unknown += 1,
            _ if is_outage(&result) => turned_away += 1,
            _ => panic!("{result:?}"),
        }
    }
    assert_eq!((unknown, turned_away), (LOOKUPS + WAITING, 1000 - LOOKUPS - WAITING));
    assert_eq!(node.store.most_waiting(), LOOKUPS);
    assert!(node.accepts(&node.create().await).await, "and then there is room again");
}

/// When the store hangs, those who wait behind the calls that hang are told soon after these.
#[tokio::test]
async fn a_lookup_does_not_wait_for_ever() {
    let node = Node::with(&HeldStore::default(), cache().max_lookups(1));
    let held = node.store.hold();
    let many = made_up(3);
    for (waited, are_asked) in [(SECOND, 3), (SECOND + MICROSECOND, 1)] {
        let before = node.store.finds();
        let running = start(&node, &many).await;
        node.clock.advance(waited);
        held.add_permits(3);
        running.join_all().await;
        assert_eq!(node.store.finds() - before, are_asked);
        held.forget_permits(3);
    }
}

/// Whoever gives up while they wait for their turn makes room for another.
#[tokio::test]
async fn the_queue_forgets_who_has_left() {
    let node = Node::with(&HeldStore::default(), cache().max_lookups(1));
    let held = node.store.hold();
    for _ in 0..100 {
        start(&node, &made_up(65)).await.shutdown().await;
    }
    held.add_permits(1);
    node.store.hold_no_more();
    assert!(node.accepts(&node.create().await).await);
}

#[tokio::test]
async fn records_beyond_the_capacity_give_way() {
    const CAPACITY: usize = 64;

    let node = Node::with(&HeldStore::default(), cache().capacity(CAPACITY));
    node.poll().await;
    let hot = node.create().await;
    let mut reads = 0;
    for _ in 0..1000 {
        assert!(node.accepts(&node.create().await).await);
        reads += node.reads(&hot).await;
    }
    let tokens = node.verifier.cache_health().unwrap().tokens;
    assert!((CAPACITY / 2..=CAPACITY).contains(&tokens), "{tokens}");
    assert!(reads < 100, "one that is in use stays: {reads}");
}

/// Nothing of these numbers makes it panic or wait for ever.
#[tokio::test]
async fn extreme_settings_work() {
    for extreme in [
        cache().capacity(0),
        cache().max_lookups(0),
        cache().max_lookups(usize::MAX),
        cache().max_staleness(std::time::Duration::MAX),
        cache().max_staleness(std::time::Duration::from_nanos(1)),
        cache().poll_interval(std::time::Duration::ZERO),
        cache().poll_interval(std::time::Duration::MAX),
    ] {
        let node = Node::with(&HeldStore::default(), extreme);
        node.poll().await;
        let token = node.create().await;
        for _ in 0..3 {
            assert!(node.accepts(&token).await, "{extreme:?}");
        }
        node.revoke(&token).await;
        assert!(!node.accepts(&token).await, "{extreme:?}");
    }
}

/// A verification from memory is ready when it is first polled.
#[tokio::test]
async fn a_hit_waits_for_nothing() {
    let node = Node::new(&HeldStore::default());
    node.poll().await;
    let token = node.create().await;
    assert!(node.accepts(&token).await);
    node.store.hold();
    let mut verify = pin!(node.verify(&token));
    let first = poll_fn(|context| Poll::Ready(verify.as_mut().poll(context))).await;
    assert!(matches!(first, Poll::Ready(Ok(_))));
}

/// The verifier alone has nobody who polls, and reads the store.
#[tokio::test]
async fn without_a_background_there_is_no_lease() {
    let store = HeldStore::default();
    let other = Node::new(&store);
    let verifier = Verifier::builder(prefix!("acme_live"), &Keyring::unkeyed(), store.clone())
        .cache(cache())
        .without_background();
    let issuer = api_tokens::Issuer::new(&verifier);
    let new = api_tokens::NewToken::new(
        "acme".parse().unwrap(),
        "ann".parse().unwrap(),
        "a token".parse().unwrap(),
    );
    let token = issuer.create(new, &crate::ann()).await.unwrap().token;
    let before = store.finds();
    for _ in 0..3 {
        assert!(verifier.verify(token.expose_secret().as_bytes()).await.is_ok());
    }
    assert_eq!(store.finds() - before, 3);
    other.revoke(&token).await;
    assert!(verifier.verify(token.expose_secret().as_bytes()).await.is_err());
}
