//! When tokens were last used: noted without the request waiting, written seldom, never lost for
//! a store that is slow.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use api_tokens::{
    Changes, Client, Cursor, EventKind, EventNumber, Found, Issuer, Keyring, ListFilter,
    MemoryStore, NumberedEvent, PageKey, StoreError, StoreErrorKind, Token, TokenId, TokenRecord,
    TokenStore, Usage, Verifier, WriteBatch, prefix, testing::ManualClock,
};
use jiff::Timestamp;

use crate::{
    Events, MICROSECOND, Service, ann, new_token, seconds, services, services_with, start,
};

async fn use_from(service: &Service, token: &Token, address: &str, user_agent: &[u8]) {
    let client = Client { address: Some(address.parse().unwrap()), user_agent: Some(user_agent) };
    service.verifier.verify_from(token.expose_secret().as_bytes(), client).await.unwrap();
}

async fn stored(service: &Service, token: &Token) -> Option<Usage> {
    service.store.usage(&[token.id()]).await.unwrap().pop()
}

#[tokio::test]
async fn a_use_is_noted_with_its_time_address_and_user_agent() {
    for mut service in services() {
        let (token, _) = service.create("a token").await;
        assert_eq!(service.usage(&token).await, None);
        service.clock.advance(seconds(7));
        use_from(&service, &token, "2001:db8::7", b"curl/8.5").await;
        let usage = Usage {
            id: token.id(),
            last_used_at: start() + seconds(7),
            client_address: Some("2001:db8::7".parse().unwrap()),
            user_agent: Some("curl/8.5".to_owned()),
        };
        // At once on this node, and everywhere after a tick.
        assert_eq!(service.usage(&token).await, Some(usage.clone()));
        assert_eq!(stored(&service, &token).await, None);
        service.tick().await;
        assert_eq!(stored(&service, &token).await, Some(usage));
    }
}

#[tokio::test]
async fn a_refused_token_is_not_used() {
    for mut service in services() {
        let (token, _) = service.create("a token").await;
        service.issuer.disable(token.id(), &ann()).await.unwrap();
        service.verify(&token).await.unwrap_err();
        service.tick().await;
        assert_eq!(service.usage(&token).await, None);
    }
}

#[tokio::test]
async fn it_is_written_at_once_and_then_once_in_an_interval() {
    for mut service in services_with(|builder| builder.usage_interval(seconds(60))) {
        let (token, _) = service.create("a token").await;
        let mut written = Vec::new();
        for second in 0..180 {
            service.clock.set(start() + seconds(second));
            service.verify(&token).await.unwrap();
            service.tick().await;
            let at = stored(&service, &token).await.unwrap().last_used_at;
            if written.last() != Some(&at) {
                written.push(at);
            }
        }
        assert_eq!(written, [start(), start() + seconds(60), start() + seconds(120)]);
        // The end does not wait.
        service.background.flush().await.unwrap();
        let at = stored(&service, &token).await.unwrap().last_used_at;
        assert_eq!(at, start() + seconds(179));
    }
}

#[tokio::test]
async fn the_interval_ends_at_its_instant() {
    for mut service in services_with(|builder| builder.usage_interval(seconds(60))) {
        let (token, _) = service.create("a token").await;
        service.verify(&token).await.unwrap();
        service.tick().await;
        service.clock.advance(seconds(1));
        service.verify(&token).await.unwrap();
        for (time, expected) in
            [(seconds(60) - MICROSECOND, start()), (seconds(60), start() + seconds(1))]
        {
            service.clock.set(start() + time);
            service.tick().await;
            assert_eq!(stored(&service, &token).await.unwrap().last_used_at, expected);
        }
    }
}

#[tokio::test]
async fn a_clock_that_goes_back_takes_nothing_back() {
    for mut service in services() {
        let (token, _) = service.create("a token").await;
        service.clock.set(start() + seconds(100));
        service.verify(&token).await.unwrap();
        service.tick().await;
        service.clock.set(start());
        service.verify(&token).await.unwrap();
        service.background.flush().await.unwrap();
        let at = stored(&service, &token).await.unwrap().last_used_at;
        assert_eq!(at, start() + seconds(100));
    }
}

#[tokio::test]
async fn what_a_client_says_of_itself_is_bounded_and_printable() {
    for service in services() {
        for (said, kept) in [
            (&b""[..], None),
            (b"\x00\xff\x1b[31mred\r\n", Some("[31mred".to_owned())),
            (&[b'x'; 5000], Some("x".repeat(200))),
            ("naïve/1.0".as_bytes(), Some("nave/1.0".to_owned())),
        ] {
            let (token, _) = service.create("a token").await;
            use_from(&service, &token, "192.0.2.1", said).await;
            let usage = service.usage(&token).await.unwrap();
            assert_eq!(usage.user_agent, kept);
        }
    }
}

/// Counts the usages that are written, and fails or hangs when it is told to.
#[derive(Clone, Default)]
struct Counting {
    memory: MemoryStore,
    written: Arc<AtomicUsize>,
    fails: Arc<AtomicBool>,
    hangs: Arc<AtomicBool>,
}

impl TokenStore for Counting {
    async fn find(&self, id: &TokenId) -> Result<Option<Found>, StoreError> {
        self.memory.find(id).await
    }

    async fn write(&self, batch: &WriteBatch) -> Result<(), StoreError> {
        self.memory.write(batch).await
    }

    async fn list(
        &self,
        filter: &ListFilter,
        after: Option<&PageKey>,
        limit: usize,
    ) -> Result<Vec<TokenRecord>, StoreError> {
        self.memory.list(filter, after, limit).await
    }

    async fn changes_since(
        &self,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Changes, StoreError> {
        self.memory.changes_since(cursor, limit).await
    }

    async fn changed(&self) {
        self.memory.changed().await;
    }

    async fn record_usage(&self, batch: &[Usage]) -> Result<(), StoreError> {
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.fails.load(Ordering::SeqCst) {
            return Err(StoreError::new(StoreErrorKind::Unavailable, "record usage"));
        }
        assert!(batch.is_sorted_by(|a, b| a.id < b.id));
        self.written.fetch_add(batch.len(), Ordering::SeqCst);
        self.memory.record_usage(batch).await
    }

    async fn usage(&self, ids: &[TokenId]) -> Result<Vec<Usage>, StoreError> {
        self.memory.usage(ids).await
    }

    async fn events(
        &self,
        token: &TokenId,
        before: Option<EventNumber>,
        limit: usize,
    ) -> Result<Vec<NumberedEvent>, StoreError> {
        self.memory.events(token, before, limit).await
    }

    async fn prune(&self, ended_before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.memory.prune(ended_before, limit).await
    }
}

/// A million verifications of 10,000 tokens, over two and a half intervals with a tick each
/// second: each token is written once in each interval that it is used in.
#[tokio::test]
async fn a_million_verifications_cause_a_write_per_token_and_interval() {
    const TOKENS: usize = 10_000;
    const SECONDS: usize = 100;

    let (clock, store) = (ManualClock::new(start()), Counting::default());
    let (verifier, mut background) =
        Verifier::builder(prefix!("acme_live"), &Keyring::unkeyed(), store.clone())
            .clock(clock.clone())
            .usage_interval(seconds(40))
            .build();
    let issuer = Issuer::new(&verifier);
    let mut tokens = Vec::new();
    for i in 0..TOKENS {
        let new = new_token(&format!("token {i}"));
        tokens.push(issuer.create(new, &ann()).await.unwrap().token);
    }
    for _ in 0..SECONDS {
        for token in &tokens {
            verifier.verify(token.expose_secret().as_bytes()).await.unwrap();
        }
        background.tick().await.unwrap();
        clock.advance(seconds(1));
    }
    let written = store.written.load(Ordering::SeqCst);
    assert_eq!(written, 3 * TOKENS);
    background.flush().await.unwrap();
    assert_eq!(store.written.load(Ordering::SeqCst), 4 * TOKENS);
}

#[tokio::test]
async fn a_store_that_fails_or_hangs_delays_usage_and_nothing_else() {
    let (clock, store) = (ManualClock::new(start()), Counting::default());
    let (verifier, mut background) =
        Verifier::builder(prefix!("acme_live"), &Keyring::unkeyed(), store.clone())
            .clock(clock.clone())
            .build();
    let token = Issuer::new(&verifier).create(new_token("a token"), &ann()).await.unwrap().token;
    let text = token.expose_secret().as_bytes();

    verifier.verify(text).await.unwrap();
    store.fails.store(true, Ordering::SeqCst);
    let error = background.tick().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    verifier.verify(text).await.unwrap();
    store.fails.store(false, Ordering::SeqCst);

    // Given up while it hangs: nothing is lost.
    store.hangs.store(true, Ordering::SeqCst);
    let moment = std::time::Duration::from_millis(20);
    tokio::time::timeout(moment, background.tick()).await.unwrap_err();
    verifier.verify(text).await.unwrap();
    store.hangs.store(false, Ordering::SeqCst);

    assert_eq!(store.written.load(Ordering::SeqCst), 0);
    background.tick().await.unwrap();
    assert_eq!(store.written.load(Ordering::SeqCst), 1);
}

/// Once when it begins, and again when it comes back, however long it takes.
#[tokio::test(start_paused = true)]
async fn that_the_store_fails_is_told_once() {
    let (store, events) = (Counting::default(), Events::default());
    let (verifier, background) =
        Verifier::builder(prefix!("acme_live"), &Keyring::unkeyed(), store.clone())
            .events(events.clone())
            .usage_interval(seconds(0))
            .build();
    let token = Issuer::new(&verifier).create(new_token("a token"), &ann()).await.unwrap().token;
    // How often it was told, and how often that it works again. `kinds` takes what is there.
    let told = || {
        let kinds = events.kinds();
        let delayed = |kind: &EventKind| matches!(kind, EventKind::BackgroundDelayed { .. });
        let resumed = |kind: &EventKind| *kind == EventKind::BackgroundResumed;
        let count = |is: &dyn Fn(&EventKind) -> bool| kinds.iter().filter(|kind| is(kind)).count();
        [count(&delayed), count(&resumed)]
    };
    let minute = std::time::Duration::from_secs(60);
    let serving = async {
        for (fails, expected) in [(true, [1, 0]), (false, [0, 1]), (true, [1, 0])] {
            store.fails.store(fails, Ordering::SeqCst);
            verifier.verify(token.expose_secret().as_bytes()).await.unwrap();
            tokio::time::sleep(3 * minute).await;
            assert_eq!(told(), expected);
        }
    };
    background.run_until(serving).await;
    let lost = EventKind::UsageLost { count: 1 };
    assert_eq!(events.kinds(), [lost], "what could not be written in the end");
}

#[tokio::test]
async fn memory_is_bounded_and_what_has_no_room_now_has_it_later() {
    let (clock, store) = (ManualClock::new(start()), Counting::default());
    let (verifier, mut background) =
        Verifier::builder(prefix!("acme_live"), &Keyring::unkeyed(), store.clone())
            .clock(clock.clone())
            .usage_capacity(62)
            .usage_interval(seconds(1))
            .build();
    let issuer = Issuer::new(&verifier);
    let mut tokens = Vec::new();
    for i in 0..1000 {
        tokens.push(issuer.create(new_token(&format!("{i}")), &ann()).await.unwrap().token);
    }
    // All are accepted, however many.
    for token in &tokens {
        verifier.verify(token.expose_secret().as_bytes()).await.unwrap();
    }
    background.tick().await.unwrap();
    let written = store.written.load(Ordering::SeqCst);
    assert!((30..=62).contains(&written), "{written}");
    clock.advance(seconds(5));
    background.tick().await.unwrap(); // forgets those that are written
    let last = tokens.last().unwrap();
    verifier.verify(last.expose_secret().as_bytes()).await.unwrap();
    background.tick().await.unwrap();
    assert_eq!(store.written.load(Ordering::SeqCst), written + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_tokio_it_is_written_within_a_moment_and_at_the_end() {
    let store = Counting::default();
    let (verifier, background) =
        Verifier::builder(prefix!("acme_live"), &Keyring::unkeyed(), store.clone()).build();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(background.run_until(stopped));
    let token = Issuer::new(&verifier).create(new_token("a token"), &ann()).await.unwrap().token;
    let text = token.expose_secret().as_bytes();
    verifier.verify(text).await.unwrap();
    while store.written.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    // Within the interval, so that only the end writes it.
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    verifier.verify(text).await.unwrap();
    drop(stop);
    running.await.unwrap().unwrap_err();
    assert_eq!(store.written.load(Ordering::SeqCst), 2);
}
