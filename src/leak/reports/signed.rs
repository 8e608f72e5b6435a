//! The protocol of GitHub's secret scanning partner programme.

use core::fmt;
use std::sync::Arc;

use axum::{
    Json,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
    routing::{MethodRouter, post},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use p256::ecdsa::{DerSignature, VerifyingKey, signature::Verifier};
use serde::Serialize;

use super::{
    KeySource, Reports,
    answer::Refusal,
    batch::Batch,
    body,
    keys::{Keys, NotFetched},
    place::Claim,
};
use crate::{Clock, LeakSource, SystemClock, leak::Fingerprint};

/// A service that signs its reports: how it is called, in which header fields it sends what, and
/// where its keys come from.
///
/// The signature is ECDSA on P-256 with SHA-256 over the body as it came, in DER and base64. It is
/// verified before anything of the body is read.
///
/// # Keys
///
/// They are fetched when the first report comes, and kept in memory by their ids.
///
/// - An id that is not among them makes them be fetched again: by one request at a time, while
///   others wait, and at most once a minute, or ten seconds after one that failed. So a flood of
///   made-up ids costs no more. An id that a fetch does not have is refused; if it is too early for
///   one, or it fails, the answer is 503, and never that the report is forged.
/// - A fetch that fails changes nothing for the keys that are known.
/// - After an hour they are fetched again with the next report, so that a key that the service
///   has withdrawn counts no longer; if that fails, the old ones stay.
/// - **Every key of the document verifies**, whatever its `is_current` says: GitHub's own examples
///   choose by the id alone, and a report that was signed before a change of keys may come after it.
///   What ends a key is that it is not in the document any more.
pub struct SignedReports {
    pub(super) source: LeakSource,
    key_id: HeaderName,
    signature: HeaderName,
    keys: Arc<Keys>,
}

impl SignedReports {
    /// Where GitHub has its keys.
    pub const GITHUB_KEYS: &str = "https://api.github.com/meta/public_keys/secret_scanning";

    /// Where deps.dev has its keys.
    pub const DEPS_DEV_KEYS: &str =
        "https://storage.googleapis.com/depsdev-gcp-public-keys/secret_scanning";

    /// Those of GitHub, whose keys are at [`GITHUB_KEYS`](Self::GITHUB_KEYS): the source `github`,
    /// and the fields `Github-Public-Key-Identifier` and `Github-Public-Key-Signature`.
    pub fn github(keys: impl KeySource) -> Self {
        Self::of_service(
            "github",
            HeaderName::from_static("github-public-key-identifier"),
            HeaderName::from_static("github-public-key-signature"),
            keys,
        )
    }

    /// Those of deps.dev, whose keys are at [`DEPS_DEV_KEYS`](Self::DEPS_DEV_KEYS): the source
    /// `deps.dev`, and the fields `GOSST-Public-Key-Identifier` and `GOSST-Public-Key-Signature`.
    pub fn deps_dev(keys: impl KeySource) -> Self {
        Self::of_service(
            "deps.dev",
            HeaderName::from_static("gosst-public-key-identifier"),
            HeaderName::from_static("gosst-public-key-signature"),
            keys,
        )
    }

    /// Those of another service: what it is called in events, and the names of the header fields
    /// with the id of the key and with the signature.
    pub fn new(
        source: LeakSource,
        key_id: HeaderName,
        signature: HeaderName,
        keys: impl KeySource,
    ) -> Self {
        let keys = Keys::new(keys, Box::new(SystemClock));
        Self { source, key_id, signature, keys: Arc::new(keys) }
    }

    /// With another clock than the system's, by which is decided when keys may be fetched.
    #[must_use]
    pub fn clock(self, clock: impl Clock) -> Self {
        Self { keys: Arc::new(self.keys.with_clock(Box::new(clock))), ..self }
    }

    fn of_service(
        source: &'static str,
        key_id: HeaderName,
        signature: HeaderName,
        keys: impl KeySource,
    ) -> Self {
        Self::new(LeakSource::fixed(source), key_id, signature, keys)
    }

    /// The key by whose id the request goes.
    async fn key(&self, headers: &HeaderMap) -> Result<VerifyingKey, Refusal> {
        match self.keys.find(single(headers, &self.key_id)?).await {
            Ok(Some(key)) => Ok(key),
            Ok(None) => Err(Refusal::Forged),
            Err(NotFetched { retry_after }) => Err(Refusal::Unavailable { retry_after }),
        }
    }
}

impl fmt::Debug for SignedReports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedReports").field("source", &self.source).finish_non_exhaustive()
    }
}

pub(super) fn route(reports: Reports, signed: SignedReports) -> MethodRouter {
    post(receive)
        .layer(DefaultBodyLimit::max(body::MAX_BATCH_BYTES))
        .with_state(Arc::new((reports, signed)))
}

async fn receive(
    State(state): State<Arc<(Reports, SignedReports)>>,
    request: Request,
) -> Result<Response, Refusal> {
    let (reports, signed) = &*state;
    let signature = signature(single(request.headers(), &signed.signature)?)?;
    let key = signed.key(request.headers()).await?;
    let body = body::bytes(request).await?;
    key.verify(&body, &signature).map_err(|_| Refusal::Forged)?;
    let entries = body::entries(&body)?;
    let Some(permit) = reports.batches.begin() else {
        return Err(Refusal::Unavailable { retry_after: Refusal::SOON });
    };

    let mut batch = Batch::default();
    let mut reported = Vec::new();
    for entry in entries {
        let Some(text) = entry.token else { continue };
        let (source, url) = (entry.source.as_deref(), entry.url.as_deref());
        let claim = Claim { reporter: &signed.source, source, url };
        let token = batch.add(&text, &claim, reports);
        if let Some(token_type) = entry.token_type.filter(|name| is_type(name, reports)) {
            // They know the text as they sent it.
            reported.push((token, Fingerprint::of(&text), token_type));
        }
    }
    let leaks = batch.receive(reports, Some(permit)).await;
    let leaks = leaks.map_err(|error| Refusal::outage(&error))?;
    let feedback = reported.into_iter().map(|(token, text, token_type)| {
        let is_ours = leaks.contains_key(&token);
        let label = if is_ours { "true_positive" } else { "false_positive" };
        Feedback { token_hash: text.to_string(), token_type, label }
    });
    let feedback: Vec<Feedback> = feedback.collect();
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(feedback)).into_response())
}

/// What is said of one reported text.
#[derive(Serialize)]
struct Feedback {
    token_hash: String,
    token_type: String,
    label: &'static str,
}

/// A name of a type that can be sent back.
fn is_type(text: &str, reports: &Reports) -> bool {
    (1..=100).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        && reports.finder.find(text.as_bytes()).is_empty()
}

/// The one value of a field.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<&'a str, Refusal> {
    /// A signature has 96 characters, a key id 64.
    const MAX_LEN: usize = 200;
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(Refusal::Malformed("a signature and the id of its key are needed, once each"));
    };
    let text = Some(value).filter(|value| value.len() <= MAX_LEN);
    text.map(HeaderValue::to_str)
        .and_then(Result::ok)
        .ok_or(Refusal::Malformed("the signature or the id of its key is malformed"))
}

fn signature(text: &str) -> Result<DerSignature, Refusal> {
    let der = BASE64_STANDARD.decode(text).ok();
    let signature = der.and_then(|der| DerSignature::try_from(&*der).ok());
    signature.ok_or(Refusal::Malformed("the signature is malformed"))
}
