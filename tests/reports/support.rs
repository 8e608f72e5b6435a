//! A product with two prefixes whose tokens are reported, and services that sign their reports.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use api_tokens::{
    Event, EventKind, EventSink, Issuer, Keyring, LeakUrl, MemoryStore, Prefix, Token, TokenId,
    TokenRecord, TokenStore, Verifier,
    leak::reports::{
        KeySource, KeySourceError, Leak, LeakNotifier, LeakPolicy, NotifyError, Reports,
        SignedReports,
    },
    prefix,
    testing::ManualClock,
};
use axum::{
    Router,
    body::{Body, Bytes},
    http::{Request, StatusCode, header::CONTENT_TYPE},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use p256::{
    ecdsa::{DerSignature, SigningKey, signature::Signer},
    pkcs8::{EncodePublicKey, LineEnding},
};
use serde_json::json;
use tower::ServiceExt;

use crate::util::{ann, new_token};

pub(crate) const LIVE: Prefix = prefix!("acme_live");
pub(crate) const TEST: Prefix = prefix!("acme_test");

pub(crate) fn start() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().expect("a time")
}

/// The tokens of one prefix, on a store.
pub(crate) struct Tokens<S> {
    pub(crate) issuer: Issuer<S>,
    pub(crate) verifier: Verifier<S>,
    pub(crate) clock: ManualClock,
    pub(crate) events: Events,
}

impl<S: TokenStore> Tokens<S> {
    pub(crate) fn new(prefix: Prefix, store: S) -> Self {
        let clock = ManualClock::new(start());
        let events = Events::default();
        let (verifier, _) = Verifier::builder(prefix, &Keyring::unkeyed(), store)
            .clock(clock.clone())
            .events(events.clone())
            .build();
        Self { issuer: Issuer::new(&verifier), verifier, clock, events }
    }

    pub(crate) async fn create(&self) -> Token {
        let new = new_token("Production REST API");
        self.issuer.create(new, &ann()).await.expect("create").token
    }

    pub(crate) async fn record(&self, id: TokenId) -> TokenRecord {
        self.issuer.get(id, &ann()).await.expect("get").expect("a record")
    }

    /// What happened to a token since it was created, the oldest first.
    pub(crate) async fn history(&self, id: TokenId) -> Vec<EventKind> {
        let events = self.issuer.events(id, &ann(), None, 1000).await.expect("events");
        let mut kinds: Vec<_> = events.into_iter().rev().map(|event| event.event.kind).collect();
        assert_eq!(kinds.remove(0), EventKind::Created);
        kinds
    }

    pub(crate) async fn is_accepted(&self, token: &Token) -> bool {
        self.verifier.verify(token.expose_secret().as_bytes()).await.is_ok()
    }
}

pub(crate) fn in_memory() -> Tokens<MemoryStore> {
    Tokens::new(LIVE, MemoryStore::new())
}

/// Keeps what was passed on.
#[derive(Clone, Default)]
pub(crate) struct Events(Arc<Mutex<Vec<Event>>>);

impl Events {
    pub(crate) fn kinds(&self) -> Vec<EventKind> {
        self.0.lock().expect("no panic").iter().map(|event| event.kind.clone()).collect()
    }
}

impl EventSink for Events {
    fn record(&self, event: &Event) {
        self.0.lock().expect("no panic").push(event.clone());
    }
}

/// Keeps whom it was asked to tell of what.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<Mutex<Vec<Leak>>>);

impl Told {
    /// The calls are made in tasks of their own.
    pub(crate) async fn take(&self, at_least: usize) -> Vec<Leak> {
        for _ in 0..500 {
            if self.0.lock().expect("no panic").len() >= at_least {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // One too many would come now.
        tokio::time::sleep(Duration::from_millis(50)).await;
        std::mem::take(&mut self.0.lock().expect("no panic"))
    }
}

impl LeakNotifier for Told {
    async fn notify(&self, leak: Leak) -> Result<(), NotifyError> {
        self.0.lock().expect("no panic").push(leak);
        Ok(())
    }
}

pub(crate) fn reports<S: TokenStore>(tokens: &Tokens<S>, policy: LeakPolicy) -> Reports {
    Reports::new().issuer(&tokens.issuer, policy)
}

/// A service that signs its reports, with a key of its own.
#[derive(Clone)]
pub(crate) struct Signing {
    pub(crate) id: String,
    pub(crate) key: SigningKey,
}

impl Signing {
    pub(crate) fn new(number: u8) -> Self {
        let key = SigningKey::from_slice(&[number; 32]).expect("a key");
        Self { id: format!("{number:064x}"), key }
    }

    pub(crate) fn pem(&self) -> String {
        let key = p256::PublicKey::from(self.key.verifying_key());
        key.to_public_key_pem(LineEnding::LF).expect("PEM")
    }

    pub(crate) fn sign(&self, body: &[u8]) -> String {
        let signature: DerSignature = self.key.sign(body);
        BASE64_STANDARD.encode(signature.as_bytes())
    }

    /// As GitHub would post it.
    pub(crate) fn request(&self, body: impl Into<Bytes>) -> Request<Body> {
        let body = body.into();
        let signature = self.sign(&body);
        github_request(&self.id, &signature, body)
    }
}

pub(crate) fn github_request(id: &str, signature: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post("/github")
        .header("Github-Public-Key-Identifier", id)
        .header("Github-Public-Key-Signature", signature)
        .header(CONTENT_TYPE, "application/json")
        .body(body.into())
        .expect("a request")
}

/// The document of these keys, as GitHub publishes it.
pub(crate) fn document(keys: &[(&str, String)]) -> Vec<u8> {
    let keys = keys
        .iter()
        .map(|(id, pem)| json!({ "key_identifier": id, "key": pem, "is_current": false }));
    json!({ "public_keys": keys.collect::<Vec<_>>() }).to_string().into_bytes()
}

/// Keys that a test changes, and how often they were fetched.
#[derive(Clone, Default)]
pub(crate) struct Published {
    pub(crate) document: Arc<Mutex<Option<Vec<u8>>>>,
    pub(crate) fetches: Arc<AtomicUsize>,
    pub(crate) takes: Duration,
}

impl Published {
    pub(crate) fn new(keys: &[&Signing]) -> Self {
        let published = Self::default();
        published.publish(keys);
        published
    }

    pub(crate) fn publish(&self, keys: &[&Signing]) {
        let keys: Vec<_> = keys.iter().map(|key| (&*key.id, key.pem())).collect();
        *self.document.lock().expect("no panic") = Some(document(&keys));
    }

    /// The next fetches fail.
    pub(crate) fn break_down(&self) {
        *self.document.lock().expect("no panic") = None;
    }

    pub(crate) fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }
}

impl KeySource for Published {
    async fn fetch(&self) -> Result<Vec<u8>, KeySourceError> {
        self.fetches.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(self.takes).await;
        self.document.lock().expect("no panic").clone().ok_or_else(|| "no route to host".into())
    }
}

/// All routes; reports of GitHub's are signed by `signing`.
pub(crate) fn app(reports: &Reports, signing: &Signing) -> Router {
    app_of(reports, SignedReports::github(Published::new(&[signing])))
}

pub(crate) fn app_of(reports: &Reports, github: SignedReports) -> Router {
    let gitlab = GITLAB_TOKEN.to_owned().try_into().expect("a token");
    Router::new()
        .route("/github", reports.signed(github))
        .nest("/gitlab", reports.gitlab(gitlab, [GITLAB_TYPE, "acme_other"]))
        .route("/found", reports.found())
}

pub(crate) const GITLAB_TOKEN: &str = "of the tests, not a secret";
pub(crate) const GITLAB_TYPE: &str = "gitleaks_rule_id_acme_api_token";

/// Status, header fields and body.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: axum::http::HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

pub(crate) async fn send(app: &Router, request: Request<Body>) -> Answer {
    let response = app.clone().oneshot(request).await.expect("an answer");
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
    let body = String::from_utf8(body.into()).expect("text");
    Answer { status: parts.status, headers: parts.headers, body }
}

pub(crate) fn found_request(body: impl Into<Body>) -> Request<Body> {
    Request::post("/found")
        .header(CONTENT_TYPE, "application/json")
        .body(body.into())
        .expect("a request")
}

/// Reports a token as whoever found it would.
pub(crate) async fn found(app: &Router, token: &str, url: Option<&str>) -> Answer {
    send(app, found_request(json!({ "token": token, "url": url }).to_string())).await
}

pub(crate) fn leak_reported(source: &str, url: Option<&str>) -> EventKind {
    let url = url.map(|url| url.parse::<LeakUrl>().expect("a url"));
    EventKind::LeakReported { source: source.parse().expect("a source"), url }
}

pub(crate) fn revoked(source: &str) -> EventKind {
    let reason = format!("reported as leaked by {source}").parse().ok();
    EventKind::Revoked { reason }
}

/// A token of no one, whose form is right.
pub(crate) fn unissued() -> Token {
    Token::generate(&LIVE, &mut rand::rngs::SysRng).expect("a token")
}
