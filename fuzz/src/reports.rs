use std::{cell::RefCell, sync::LazyLock};

use api_tokens::{
    EventKind, Issuer, Keyring, LeakUrl, MemoryStore, NewToken, Status, Verifier,
    leak::reports::{KeySource, KeySourceError, LeakPolicy, Reports, SignedReports},
    prefix,
};
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, StatusCode, header::AUTHORIZATION, header::CONTENT_TYPE},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use p256::{
    ecdsa::{DerSignature, SigningKey, signature::Signer},
    pkcs8::{EncodePublicKey, LineEnding},
};
use rand::{SeedableRng, rngs::ChaCha8Rng};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;

const SHARED: &str = "of the fuzzer, not a secret";
const TYPE: &str = "acme";

static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::from_slice(&[1; 32]).unwrap());

thread_local! {
    static RUNTIME: RefCell<Runtime> =
        RefCell::new(Builder::new_current_thread().enable_all().build().unwrap());
}

/// What the first token of every run is: a file of the corpus has `TOKEN` in its place.
static TEXT: LazyLock<String> =
    LazyLock::new(|| RUNTIME.with_borrow(|runtime| runtime.block_on(async { service().await.1 })));

/// An issuer with one token, the same each time.
async fn service() -> (Issuer<MemoryStore>, String) {
    let verifier = Verifier::new(prefix!("acme_live"), &Keyring::unkeyed(), MemoryStore::new());
    let issuer = Issuer::with_rng(&verifier, ChaCha8Rng::seed_from_u64(1));
    let name = "Production REST API".parse().unwrap();
    let new = NewToken::new("acme".parse().unwrap(), "ann".parse().unwrap(), name);
    let created = issuer.create(new, &"ann".parse().unwrap()).await.unwrap();
    (issuer, created.token.expose_secret().to_owned())
}

/// How many routes there are.
pub const ROUTES: usize = 4;

/// What is reported, by one of the routes; its token is revoked if it is there.
pub fn report(data: &[u8], route: usize) {
    let body = replace(data, b"TOKEN", TEXT.as_bytes());
    RUNTIME.with_borrow(|runtime| {
        runtime.block_on(async {
            match route {
                0 => gitlab(&body).await,
                1 => signed(&body).await,
                2 => found(&body).await,
                _ => found_in_a_form(&body).await,
            }
        });
    });
}

async fn gitlab(body: &[u8]) {
    let request = Request::post("/v1/revoke_tokens").header(AUTHORIZATION, SHARED);
    let request = request.body(Body::from(body.to_vec())).unwrap();
    let token = SHARED.to_owned().try_into().unwrap();
    let answer = Answer::of(|reports| reports.gitlab(token, [TYPE]), request, "gitlab").await;
    let documented =
        [StatusCode::NO_CONTENT, StatusCode::BAD_REQUEST, StatusCode::PAYLOAD_TOO_LARGE];
    assert!(documented.contains(&answer.status), "{}", answer.status);
    let Some(entries) = entries_slowly(body) else { return };
    let is_complete = entries
        .iter()
        .flatten()
        .all(|entry| entry.token().is_some() && entry.text("type") == Some(TYPE));
    let is_received = entries.is_some() && is_complete;
    let expected = if is_received { StatusCode::NO_CONTENT } else { StatusCode::BAD_REQUEST };
    assert_eq!(answer.status, expected);
    let has_token = entries.iter().flatten().any(|entry| entry.token().is_some_and(is_planted));
    assert_eq!(answer.is_revoked, has_token);
}

/// The signature is right.
async fn signed(body: &[u8]) {
    let signature: DerSignature = KEY.sign(body);
    let request = Request::post("/")
        .header("Github-Public-Key-Identifier", "1")
        .header("Github-Public-Key-Signature", BASE64_STANDARD.encode(signature.as_bytes()))
        .body(Body::from(body.to_vec()))
        .unwrap();
    let route = |reports: &Reports| {
        Router::new().route("/", reports.signed(SignedReports::github(Published)))
    };
    let answer = Answer::of(route, request, "github").await;
    let documented = [StatusCode::OK, StatusCode::BAD_REQUEST, StatusCode::PAYLOAD_TOO_LARGE];
    assert!(documented.contains(&answer.status), "{}", answer.status);
    let Some(entries) = entries_slowly(body) else { return };
    let Some(entries) = entries else {
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        return;
    };
    assert_eq!(answer.status, StatusCode::OK);
    let mut has_token = false;
    let mut labels = Vec::new();
    for entry in &entries {
        let Some(token) = entry.token() else { continue };
        has_token |= is_planted(token);
        let label = if is_planted(token) { "true_positive" } else { "false_positive" };
        if let Some(name) = entry.text("type").filter(|name| is_type(name)) {
            labels.push((name, label));
        }
    }
    assert_eq!(answer.is_revoked, has_token);
    let feedback: Vec<Value> = serde_json::from_str(&answer.body).unwrap();
    let answered: Vec<_> = feedback
        .iter()
        .map(|one| (one["token_type"].as_str().unwrap(), one["label"].as_str().unwrap()))
        .collect();
    assert_eq!(answered, labels);
    for one in &feedback {
        let hash = one["token_hash"].as_str().unwrap();
        assert!(hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}

async fn found(body: &[u8]) {
    let answer = Answer::of_finder("application/json", body.to_vec()).await;
    if body.len() > 16 * 1024 {
        assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
        return;
    }
    let Some(entry) = read_slowly::<Entry>(body) else { return };
    let expected = match entry.as_ref().and_then(Entry::token) {
        Some(token) if is_planted(token) => StatusCode::OK,
        Some(_) => StatusCode::NOT_FOUND,
        None => StatusCode::BAD_REQUEST,
    };
    assert_eq!(answer.status, expected);
}

/// The bytes are the form, and then the URL in one with the token.
async fn found_in_a_form(body: &[u8]) {
    const FORM: &str = "application/x-www-form-urlencoded";
    Answer::of_finder(FORM, body.to_vec()).await;
    let digit = |digit: u8| char::from_digit(digit.into(), 16).unwrap();
    let url: String =
        body.iter().flat_map(|byte| ['%', digit(byte >> 4), digit(byte & 15)]).collect();
    let form = format!("url={url}&token=%20{}+%0d%0A", *TEXT);
    let is_too_large = form.len() > 16 * 1024;
    let answer = Answer::of_finder(FORM, form.into_bytes()).await;
    let expected = if is_too_large { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::OK };
    assert_eq!(answer.status, expected);
}

struct Answer {
    status: StatusCode,
    body: String,
    /// Whether the token that exists is.
    is_revoked: bool,
}

impl Answer {
    /// Nothing of the token is in the answer, nor in what is recorded of the report by `reporter`.
    async fn of(
        route: impl FnOnce(&Reports) -> Router,
        request: Request<Body>,
        reporter: &str,
    ) -> Self {
        let (issuer, _) = service().await;
        let app = route(&Reports::new().issuer(&issuer, LeakPolicy::Revoke));
        let answer = app.oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let body = String::from_utf8(body.into()).unwrap();
        let header = format!("{:?}", parts.headers);
        assert!(!has_secret(&body) && !has_secret(&header), "{header} {body}");

        let ann = "ann".parse().unwrap();
        let id = TEXT[10..26].parse().unwrap();
        for event in issuer.events(id, &ann, None, 1000).await.unwrap() {
            let EventKind::LeakReported { source, url } = event.event.kind else { continue };
            let source = source.as_str();
            assert!(source == reporter || source.starts_with(&format!("{reporter}: ")), "{source}");
            let url = url.as_ref().map(LeakUrl::as_str);
            for (text, max) in [(Some(source), 100), (url, 1000)] {
                let Some(text) = text else { continue };
                assert!((1..=max).contains(&text.chars().count()));
                assert!(!text.chars().any(char::is_control));
                assert!(!has_secret(text), "{text}");
            }
        }
        let record = issuer.get(id, &ann).await.unwrap().unwrap();
        let is_revoked = record.status(record.created_at) == Status::Revoked;
        Self { status: parts.status, body, is_revoked }
    }

    async fn of_finder(content_type: &str, body: Vec<u8>) -> Self {
        let request = Request::post("/").header(CONTENT_TYPE, content_type);
        let request = request.body(Body::from(body)).unwrap();
        let route = |reports: &Reports| Router::new().route("/", reports.found());
        let answer = Self::of(route, request, "found").await;
        let documented = [200, 400, 404, 413];
        assert!(documented.contains(&answer.status.as_u16()), "{}", answer.status);
        assert_eq!(answer.is_revoked, answer.status == StatusCode::OK);
        assert_eq!(answer.is_revoked, answer.body == r#"{"status":"revoked"}"#);
        answer
    }
}

/// The key by which the signed reports are.
struct Published;

impl KeySource for Published {
    async fn fetch(&self) -> Result<Vec<u8>, KeySourceError> {
        static DOCUMENT: LazyLock<Vec<u8>> = LazyLock::new(|| {
            let key = p256::PublicKey::from(KEY.verifying_key());
            let key = key.to_public_key_pem(LineEnding::LF).unwrap();
            let keys = json!([{ "key_identifier": "1", "key": key }]);
            json!({ "public_keys": keys }).to_string().into_bytes()
        });
        Ok(DOCUMENT.clone())
    }
}

/// Whether it is the token that exists, with or without white space around it.
fn is_planted(text: &str) -> bool {
    text.trim_matches([' ', '\t', '\n', '\u{c}', '\r']) == *TEXT
}

fn has_secret(text: &str) -> bool {
    text.to_ascii_lowercase().contains(&TEXT[27..].to_ascii_lowercase())
}

/// Whether it is sent back.
fn is_type(text: &str) -> bool {
    (1..=100).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        && !has_secret(text)
}

/// The entries of an array. See [`read_slowly`].
#[expect(clippy::option_option, reason = "not known, none, some")]
fn entries_slowly(body: &[u8]) -> Option<Option<Vec<Entry>>> {
    read_slowly::<Vec<Entry>>(body)
}

/// `Some(None)` for what is no JSON, or has another form; `None` for what this reads otherwise: it
/// rejects all of a body with a number out of range, or with half of a character.
#[expect(clippy::option_option, reason = "not known, none, some")]
fn read_slowly<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Option<Option<T>> {
    let is_known = serde_json::from_slice::<Value>(body).is_ok()
        || serde_json::from_slice::<IgnoredAny>(body).is_err();
    is_known.then(|| serde_json::from_slice(body).ok())
}

/// The members of an object in their order, also those that come twice; none of another value.
struct Entry(Vec<(String, Value)>);

impl Entry {
    fn text(&self, name: &str) -> Option<&str> {
        let Self(members) = self;
        let mut values = members.iter().filter(|(own, _)| own == name);
        values.next().and_then(|(_, value)| value.as_str())
    }

    /// None of an entry that names a member twice.
    fn token(&self) -> Option<&str> {
        let Self(members) = self;
        let count = |name| members.iter().filter(|(own, _)| own == name).count();
        let is_read =
            ["token", "type", "url", "source", "location"].into_iter().all(|name| count(name) <= 1);
        self.text("token").filter(|token| is_read && !token.is_empty())
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Entry;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("anything")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Entry(members))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Entry, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Entry(Vec::new()))
            }

            fn visit_unit<E>(self) -> Result<Entry, E> {
                Ok(Entry(Vec::new()))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Entry, E> {
                Ok(Entry(Vec::new()))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Entry, E> {
                Ok(Entry(Vec::new()))
            }

            fn visit_u64<E>(self, _: u64) -> Result<Entry, E> {
                Ok(Entry(Vec::new()))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Entry, E> {
                Ok(Entry(Vec::new()))
            }

            fn visit_str<E>(self, _: &str) -> Result<Entry, E> {
                Ok(Entry(Vec::new()))
            }
        }

        deserializer.deserialize_any(Members)
    }
}

fn replace(data: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::new();
    let mut rest = data;
    while let Some(first) = rest.first() {
        if let Some(after) = rest.strip_prefix(from) {
            replaced.extend_from_slice(to);
            rest = after;
        } else {
            replaced.push(*first);
            rest = &rest[1..];
        }
    }
    replaced
}
