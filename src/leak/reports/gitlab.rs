//! GitLab's token revocation API.

use core::fmt;
use std::{collections::HashSet, sync::Arc};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use subtle::ConstantTimeEq;

use super::{Reports, answer::Refusal, batch::Batch, body, place::Claim};
use crate::LeakSource;

/// The token by which GitLab shows that it is GitLab: its setting
/// `secret_detection_token_revocation_token`.
///
/// Compared in constant time, zeroized on drop; `Debug` shows nothing of it.
///
/// ```
/// use api_tokens::leak::reports::GitLabToken;
///
/// let token: GitLabToken = String::from("a long random text, such as 39 letters").try_into()?;
/// assert_eq!(format!("{token:?}"), "GitLabToken(..)");
///
/// assert!(GitLabToken::try_from(String::from("secret")).is_err());
/// # Ok::<_, api_tokens::leak::reports::GitLabTokenError>(())
/// ```
pub struct GitLabToken(SecretString);

impl GitLabToken {
    /// The least number of characters.
    pub const MIN_LEN: usize = 20;

    /// Whether a request has it: alone, as GitLab sends it, or after `Bearer`.
    fn is_in(&self, headers: &HeaderMap) -> bool {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return false };
        let token = match value.as_bytes().split_at_checked("Bearer ".len()) {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"Bearer ") => token,
            _ => value.as_bytes(),
        };
        token.ct_eq(self.0.expose_secret().as_bytes()).into()
    }
}

impl TryFrom<String> for GitLabToken {
    type Error = GitLabTokenError;

    /// Takes the text whole, without copying it.
    fn try_from(text: String) -> Result<Self, GitLabTokenError> {
        let text = SecretString::from(text);
        let bytes = text.expose_secret().as_bytes();
        let is_sendable = bytes.trim_ascii().len() == bytes.len()
            && bytes.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
        if bytes.len() >= Self::MIN_LEN && is_sendable {
            Ok(Self(text))
        } else {
            Err(GitLabTokenError)
        }
    }
}

impl fmt::Debug for GitLabToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GitLabToken(..)")
    }
}

/// A text that is not a [`GitLabToken`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have at least 20 characters of printable ASCII, and no spaces at the ends")]
pub struct GitLabTokenError;

struct GitLab {
    reports: Reports,
    token: GitLabToken,
    types: HashSet<String>,
}

pub(super) fn router(reports: Reports, token: GitLabToken, types: HashSet<String>) -> Router {
    Router::new()
        .route("/v1/revocable_token_types", get(types_of))
        .route("/v1/revoke_tokens", post(revoke))
        .layer(DefaultBodyLimit::max(body::MAX_BATCH_BYTES))
        .with_state(Arc::new(GitLab { reports, token, types }))
}

/// What can be sent to [`revoke`].
#[derive(Serialize)]
struct Types<'a> {
    types: Vec<&'a str>,
}

async fn types_of(
    State(gitlab): State<Arc<GitLab>>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    if !gitlab.token.is_in(&headers) {
        return Err(Refusal::Unauthorized);
    }
    let mut types: Vec<&str> = gitlab.types.iter().map(String::as_str).collect();
    types.sort_unstable();
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(Types { types })).into_response())
}

async fn revoke(State(gitlab): State<Arc<GitLab>>, request: Request) -> Result<Response, Refusal> {
    if !gitlab.token.is_in(request.headers()) {
        return Err(Refusal::Unauthorized);
    }
    let body = body::bytes(request).await?;
    let entries = body::entries(&body)?;
    let reports = &gitlab.reports;
    let permit = reports.batches.begin().ok_or(Refusal::TooMany)?;

    let source = LeakSource::fixed("gitlab");
    let mut batch = Batch::default();
    let mut is_complete = true;
    for entry in entries {
        is_complete &= entry.token_type.is_some_and(|name| gitlab.types.contains(&name));
        let Some(token) = entry.token else {
            is_complete = false;
            continue;
        };
        // Whatever they call it, whoever has it has found it.
        let claim = Claim { reporter: &source, source: None, url: entry.url.as_deref() };
        batch.add(&token, &claim, reports);
    }
    batch.receive(reports, Some(permit)).await.map_err(|error| Refusal::outage(&error))?;
    if is_complete {
        Ok(([(header::CACHE_CONTROL, "no-store")], StatusCode::NO_CONTENT).into_response())
    } else {
        Err(Refusal::Malformed("an entry has no token, or another type than those that are listed"))
    }
}
