//! Reads what is reported, as leniently as can be: one entry that makes no sense takes nothing from
//! the others.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request, rejection::BytesRejection},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::answer::Refusal;

/// The greatest size of a batch, in bytes.
pub(super) const MAX_BATCH_BYTES: usize = 1024 * 1024;

/// How many entries a batch may have.
const MAX_ENTRIES: usize = 10_000;

/// One report. What is missing, or of another type than expected, is not there.
#[derive(Default)]
pub(super) struct Entry {
    pub(super) token: Option<Zeroizing<Vec<u8>>>,
    pub(super) token_type: Option<String>,
    pub(super) source: Option<String>,
    /// `url`, or `location`.
    pub(super) url: Option<String>,
}

/// Members whose values have not been looked at.
#[derive(Deserialize)]
struct RawEntry<'a> {
    #[serde(borrow)]
    token: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    token_type: Option<&'a RawValue>,
    #[serde(borrow)]
    source: Option<&'a RawValue>,
    #[serde(borrow)]
    url: Option<&'a RawValue>,
    #[serde(borrow)]
    location: Option<&'a RawValue>,
}

impl Entry {
    /// What is not an object, or names a member twice, is an entry without anything.
    pub(super) fn read(json: &str) -> Self {
        // Serde reads the members of a struct from an array, too.
        let is_object = json.trim_start().starts_with('{');
        let raw = serde_json::from_str::<RawEntry<'_>>(json);
        let Some(raw) = raw.ok().filter(|_| is_object) else { return Self::default() };
        let token = raw.token.and_then(text).filter(|token| !token.is_empty());
        Self {
            token: token.map(|token| Zeroizing::new(token.into_bytes())),
            token_type: raw.token_type.and_then(text),
            source: raw.source.and_then(text),
            url: raw.url.or(raw.location).and_then(text),
        }
    }
}

fn text(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

/// The entries of a batch, which is an array.
pub(super) fn entries(body: &[u8]) -> Result<Vec<Entry>, Refusal> {
    let entries: Vec<&RawValue> = serde_json::from_slice(body)
        .map_err(|_| Refusal::Malformed("the body must be a JSON array"))?;
    if entries.len() > MAX_ENTRIES {
        return Err(Refusal::TooLarge);
    }
    Ok(entries.into_iter().map(|entry| Entry::read(entry.get())).collect())
}

/// The whole body, as far as it may be that large.
pub(super) async fn bytes(request: Request) -> Result<Bytes, Refusal> {
    Bytes::from_request(request, &()).await.map_err(|rejection: BytesRejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            Refusal::TooLarge
        } else {
            Refusal::Malformed("the body did not arrive whole")
        }
    })
}
