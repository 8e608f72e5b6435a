//! A store that cannot answer, or does not say what it has done.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use api_tokens::{
    Changes, Cursor, EventNumber, Found, Issuer, Keyring, ListFilter, MasterKey, MemoryStore,
    NumberedEvent, PageKey, StoreError, StoreErrorKind, TokenId, TokenRecord, TokenStore, Usage,
    Verifier, WriteBatch,
    leak::reports::{LeakPolicy, Reports},
};
use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode, header::AUTHORIZATION},
};
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::{
    broken_store::BrokenStore,
    support::{
        Answer, GITLAB_TOKEN, GITLAB_TYPE, LIVE, Signing, TEST, Tokens, app, found, in_memory,
        leak_reported, reports, revoked, send, unissued,
    },
};

/// The same report by all three ways.
async fn by_all_ways(app: &Router, token: &str) -> [Answer; 3] {
    let body = json!([{ "type": GITLAB_TYPE, "token": token }]).to_string();
    let gitlab = Request::post("/gitlab/v1/revoke_tokens").header(AUTHORIZATION, GITLAB_TOKEN);
    let gitlab = gitlab.body(Body::from(body.clone())).unwrap();
    let signed = Signing::new(1).request(body);
    [send(app, signed).await, send(app, gitlab).await, found(app, token, None).await]
}

#[tokio::test]
async fn an_outage_is_never_a_false_positive() {
    let verifier = Verifier::new(LIVE, &Keyring::unkeyed(), BrokenStore);
    let broken = Reports::new().issuer(&Issuer::new(&verifier), LeakPolicy::Revoke);
    let app = app(&broken, &Signing::new(1));
    for answer in by_all_ways(&app, unissued().expose_secret()).await {
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.body);
        assert_eq!(answer.headers["retry-after"], "5");
        assert!(!answer.body.contains("db.internal"));
    }
    // Whoever asks about nothing of ours needs no store.
    let [signed, gitlab, found] = by_all_ways(&app, "something").await;
    assert_eq!(signed.status, StatusCode::OK);
    assert_eq!(gitlab.status, StatusCode::NO_CONTENT);
    assert_eq!(found.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_missing_key_is_an_outage() {
    let store = api_tokens::DynTokenStore::new(MemoryStore::new());
    let key = |byte: u8| {
        let bytes: Vec<u8> = (byte..byte + 32).collect();
        Keyring::new(MasterKey::from_bytes(&bytes).unwrap())
    };
    let verifier = Verifier::new(LIVE, &key(1), store.clone());
    let new = crate::util::new_token("a");
    let created = Issuer::new(&verifier).create(new, &crate::util::ann()).await.unwrap();
    let elsewhere = Verifier::new(LIVE, &key(2), store);
    let reports = Reports::new().issuer(&Issuer::new(&elsewhere), LeakPolicy::Revoke);
    let app = app(&reports, &Signing::new(1));
    for answer in by_all_ways(&app, created.token.expose_secret()).await {
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.body);
    }
}

/// What can be done is done, whatever else fails.
#[tokio::test]
async fn the_outage_of_one_prefix_does_not_keep_the_other() {
    let tokens = in_memory();
    let broken = Verifier::new(TEST, &Keyring::unkeyed(), BrokenStore);
    let reports = Reports::new()
        .issuer(&Issuer::new(&broken), LeakPolicy::Revoke)
        .issuer(&tokens.issuer, LeakPolicy::Revoke);
    let app = app(&reports, &Signing::new(1));
    let token = tokens.create().await;
    let other = api_tokens::Token::generate(&TEST, &mut rand::rngs::SysRng).unwrap();
    let body = json!([
        { "token": other.expose_secret(), "type": "t" },
        { "token": token.expose_secret(), "type": "t" },
    ]);
    let answer = send(&app, Signing::new(1).request(body.to_string())).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!tokens.is_accepted(&token).await);
    let answer = found(&app, token.expose_secret(), None).await;
    assert_eq!(answer.status, StatusCode::OK);
}

/// The answer of the store to a write is lost: it is sent again, and done once.
#[tokio::test]
async fn a_lost_answer_of_the_store_does_no_harm() {
    let (store, gate) = GatedStore::new();
    gate.open();
    let tokens = Tokens::new(LIVE, store);
    let app = app(&reports(&tokens, LeakPolicy::Revoke), &Signing::new(1));
    let token = tokens.create().await;
    gate.lose_next_answer();
    let answer = found(&app, token.expose_secret(), None).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    let answer = found(&app, token.expose_secret(), None).await;
    assert_eq!(answer.body, r#"{"status":"revoked"}"#);
    let expected = [leak_reported("found", None), revoked("found")];
    assert_eq!(tokens.history(token.id()).await, expected);
}

/// A client that goes away does not take along what is being done.
#[tokio::test]
async fn a_report_is_carried_out_though_nobody_waits() {
    let (store, gate) = GatedStore::new();
    gate.open();
    let tokens = Tokens::new(LIVE, store);
    let app = app(&reports(&tokens, LeakPolicy::Revoke), &Signing::new(1));
    let token = tokens.create().await;
    gate.close();
    let text = token.expose_secret().to_owned();
    let going = tokio::spawn(async move { found(&app, &text, None).await });
    gate.wait_for(1).await;
    going.abort();
    assert!(going.await.is_err());
    gate.open();
    for _ in 0..500 {
        if !tokens.is_accepted(&token).await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the token was never revoked");
}

/// While the store hangs, what clients leave behind does not pile up.
#[tokio::test]
async fn clients_that_go_away_leave_no_more_than_1024_behind() {
    let (store, gate) = GatedStore::new();
    gate.open();
    let tokens = Tokens::new(LIVE, store);
    let app = app(&reports(&tokens, LeakPolicy::Revoke), &Signing::new(1));
    let token = tokens.create().await;
    gate.close();
    for number in 1..=1024 {
        let (app, text) = (app.clone(), token.expose_secret().to_owned());
        let going = tokio::spawn(async move { found(&app, &text, None).await });
        gate.wait_for(number).await;
        going.abort();
    }
    let answer = found(&app, token.expose_secret(), None).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    gate.open();
    while tokens.is_accepted(&token).await {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

/// A store in memory whose reads wait for a gate, and whose next write can seem to fail.
pub(crate) struct GatedStore {
    store: MemoryStore,
    gate: Gate,
}

#[derive(Clone)]
pub(crate) struct Gate {
    open: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    loses: Arc<AtomicBool>,
}

impl Gate {
    const MANY: usize = 1_000_000;

    pub(crate) fn open(&self) {
        self.open.add_permits(Self::MANY);
    }

    pub(crate) fn close(&self) {
        self.open.forget_permits(Self::MANY * 2);
        self.waiting.store(0, Ordering::SeqCst);
    }

    pub(crate) fn lose_next_answer(&self) {
        self.loses.store(true, Ordering::SeqCst);
    }

    /// Until so many reads have come to the gate.
    pub(crate) async fn wait_for(&self, count: usize) {
        while self.waiting.load(Ordering::SeqCst) < count {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }

    async fn pass(&self) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        drop(self.open.acquire().await.expect("never closed"));
    }
}

impl GatedStore {
    pub(crate) fn new() -> (Self, Gate) {
        let gate = Gate {
            open: Arc::new(Semaphore::new(0)),
            waiting: Arc::default(),
            loses: Arc::default(),
        };
        (Self { store: MemoryStore::new(), gate: gate.clone() }, gate)
    }
}

impl TokenStore for GatedStore {
    async fn find(&self, id: &TokenId) -> Result<Option<Found>, StoreError> {
        self.gate.pass().await;
        self.store.find(id).await
    }

    async fn write(&self, batch: &WriteBatch) -> Result<(), StoreError> {
        self.store.write(batch).await?;
        if self.gate.loses.swap(false, Ordering::SeqCst) {
            return Err(StoreError::new(StoreErrorKind::Unavailable, "the connection was lost"));
        }
        Ok(())
    }

    async fn list(
        &self,
        filter: &ListFilter,
        after: Option<&PageKey>,
        limit: usize,
    ) -> Result<Vec<TokenRecord>, StoreError> {
        self.store.list(filter, after, limit).await
    }

    async fn changes_since(
        &self,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Changes, StoreError> {
        self.store.changes_since(cursor, limit).await
    }

    async fn changed(&self) {
        self.store.changed().await;
    }

    async fn record_usage(&self, batch: &[Usage]) -> Result<(), StoreError> {
        self.store.record_usage(batch).await
    }

    async fn usage(&self, ids: &[TokenId]) -> Result<Vec<Usage>, StoreError> {
        self.store.usage(ids).await
    }

    async fn events(
        &self,
        token: &TokenId,
        before: Option<EventNumber>,
        limit: usize,
    ) -> Result<Vec<NumberedEvent>, StoreError> {
        self.store.events(token, before, limit).await
    }

    async fn prune(&self, ended_before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.store.prune(ended_before, limit).await
    }
}
