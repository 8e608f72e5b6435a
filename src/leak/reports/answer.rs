//! What is answered when a report is not received.

use core::time::Duration;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::VerifyError;

pub(super) enum Refusal {
    /// The request cannot be read.
    Malformed(&'static str),
    UnsupportedMediaType,
    TooLarge,
    /// The signature is not the service's.
    Forged,
    /// The shared token is missing or wrong.
    Unauthorized,
    /// Not a token with the right secret.
    NotOurs,
    TooMany,
    /// Nothing could be decided.
    Unavailable {
        retry_after: Duration,
    },
}

impl Refusal {
    /// When an outage, as a rule, may be over.
    pub(super) const SOON: Duration = Duration::from_secs(5);

    /// The operator hears why, the client does not.
    pub(super) fn outage(error: &VerifyError) -> Self {
        let error: &dyn core::error::Error = error;
        tracing::error!(target: "api_tokens::leak", error, "outage");
        Self::Unavailable { retry_after: Self::SOON }
    }

    fn parts(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Malformed(detail) => (StatusCode::BAD_REQUEST, "malformed", detail),
            Self::UnsupportedMediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "the body must be JSON or a form",
            ),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too_large", "the body is too large"),
            Self::Forged => {
                (StatusCode::FORBIDDEN, "forged", "the signature of the body does not verify")
            }
            Self::Unauthorized => {
                (StatusCode::UNAUTHORIZED, "unauthorized", "the token in Authorization is wrong")
            }
            Self::NotOurs => {
                (StatusCode::NOT_FOUND, "not_found", "this is not a token of this service")
            }
            Self::TooMany => {
                (StatusCode::TOO_MANY_REQUESTS, "too_many_requests", "try again later")
            }
            Self::Unavailable { .. } => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "try again later")
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, error, detail) = self.parts();
        let title = status.canonical_reason().unwrap_or_default();
        let body = Problem { kind: "about:blank", title, status: status.as_u16(), detail, error };
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        let content_type = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, content_type);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"reports\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        let retry_after = match self {
            Self::Unavailable { retry_after } => Some(retry_after),
            Self::TooMany => Some(Self::SOON),
            _ => None,
        };
        if let Some(retry_after) = retry_after {
            headers.insert(header::RETRY_AFTER, retry_after.as_secs().max(1).into());
        }
        response
    }
}

/// RFC 9457.
#[derive(Serialize)]
struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    detail: &'static str,
    error: &'static str,
}
