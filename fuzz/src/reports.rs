use std::{cell::RefCell, sync::LazyLock};

use api_tokens::{
    EventKind, Issuer, Keyring, MemoryStore, NewToken, Status, Verifier,
    leak::reports::{LeakPolicy, Reports},
    prefix,
};
use axum::{
    body::Body,
    http::{Request, StatusCode, header::AUTHORIZATION},
};
use rand::{SeedableRng, rngs::ChaCha8Rng};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;

const SHARED: &str = "of the fuzzer, not a secret";
const TYPE: &str = "acme";

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

/// A body with reports, as GitLab sends it: read by what reads GitHub's, too, and unsigned.
pub fn reports(data: &[u8]) {
    let text = &*TEXT;
    let body = replace(data, b"TOKEN", text.as_bytes());
    let read = reports_slowly(&body, text);
    RUNTIME.with_borrow(|runtime| runtime.block_on(check(body, read, text)));
}

async fn check(body: Vec<u8>, read: Option<Read>, text: &str) {
    let (issuer, _) = service().await;
    let reports = Reports::new().issuer(&issuer, LeakPolicy::Revoke);
    let app = reports.gitlab(SHARED.to_owned().try_into().unwrap(), [TYPE]);
    let request = Request::post("/v1/revoke_tokens").header(AUTHORIZATION, SHARED);
    let answer = app.oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();

    let ann = "ann".parse().unwrap();
    let id = text[10..26].parse().unwrap();
    let record = issuer.get(id, &ann).await.unwrap().unwrap();
    let is_revoked = record.status(record.created_at) == Status::Revoked;
    if let Some(read) = read {
        let is_complete = read.is_array && read.is_complete;
        let expected = if is_complete { StatusCode::NO_CONTENT } else { StatusCode::BAD_REQUEST };
        assert_eq!(answer.status(), expected);
        assert_eq!(is_revoked, read.has_token);
    }
    for event in issuer.events(id, &ann, None, 1000).await.unwrap() {
        let EventKind::LeakReported { source, url } = event.event.kind else { continue };
        assert_eq!(source.as_str(), "gitlab");
        let Some(url) = url else { continue };
        assert!((1..=1000).contains(&url.as_str().chars().count()));
        assert!(!url.as_str().chars().any(char::is_control));
        let secret = text[27..].to_ascii_lowercase();
        assert!(!url.as_str().to_ascii_lowercase().contains(&secret), "{url}");
    }
}

/// What there is in a body.
struct Read {
    is_array: bool,
    /// Whether each entry has a token, and a type that is listed.
    is_complete: bool,
    /// Whether one has the token that exists.
    has_token: bool,
}

/// `None` for what this reads otherwise: it rejects all of a body with a number out of range, or
/// with half of a character.
fn reports_slowly(body: &[u8], text: &str) -> Option<Read> {
    let value = match serde_json::from_slice::<Value>(body) {
        Ok(value) => value,
        Err(_) if serde_json::from_slice::<IgnoredAny>(body).is_ok() => return None,
        Err(_) => Value::Null,
    };
    let mut read = Read { is_array: value.is_array(), is_complete: true, has_token: false };
    let entries: Vec<Entry> = serde_json::from_slice(body).unwrap_or_default();
    for entry in entries {
        let Entry(members) = entry;
        let of = |name: &str| members.iter().filter(|(own, _)| own == name).collect::<Vec<_>>();
        let one = |name: &str| match &of(name)[..] {
            [(_, Value::String(text))] => text.clone(),
            _ => String::new(),
        };
        let names = ["token", "type", "url", "source", "location"];
        let is_read = names.iter().all(|name| of(name).len() <= 1);
        let token = if is_read { one("token") } else { String::new() };
        read.is_complete &= !token.is_empty() && one("type") == TYPE;
        read.has_token |= token == text;
    }
    Some(read)
}

/// The members of an object in their order, also those that come twice; none of another value.
struct Entry(Vec<(String, Value)>);

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
