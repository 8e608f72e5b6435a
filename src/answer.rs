use core::fmt;
use std::{borrow::Cow, sync::Arc};

use crate::{Scopes, Status, VerifyError};

/// What a client may be told of a [`VerifyError`]: status, challenge and body of a response, or
/// status and message of gRPC.
///
/// This is the one place that decides it. Answers to whoever has not proved that they hold a
/// token's secret are the same to the byte, whether the token is malformed, unknown or has
/// another secret; only its holder learns that it is expired or revoked. Nothing that the client
/// sent comes back.
///
/// | [`VerifyError`] | status | `error` (RFC 6750 §3.1) | gRPC |
/// |---|---|---|---|
/// | [`NoCredentials`](VerifyError::NoCredentials), [`OtherScheme`](VerifyError::OtherScheme) | 401 | – | 16 `UNAUTHENTICATED` |
/// | [`InvalidRequest`](VerifyError::InvalidRequest) | 400 | `invalid_request` | 16 |
/// | [`MalformedCredentials`](VerifyError::MalformedCredentials), [`Malformed`](VerifyError::Malformed), [`UnknownToken`](VerifyError::UnknownToken), [`WrongSecret`](VerifyError::WrongSecret) | 401 | `invalid_token` | 16 |
/// | [`NotActive`](VerifyError::NotActive), [`OwnerWithoutAccess`](VerifyError::OwnerWithoutAccess) | 401 | `invalid_token`, and the state in words | 16 |
/// | [`InsufficientScope`](VerifyError::InsufficientScope) | 403 | `insufficient_scope`, and all required scopes | 7 `PERMISSION_DENIED` |
/// | [`Outage`](VerifyError::Outage), [`UnknownKey`](VerifyError::UnknownKey) | 503 | –, nor a challenge | 14 `UNAVAILABLE` |
/// | [`NotVerified`](VerifyError::NotVerified) | 500 | –, nor a challenge | 13 `INTERNAL` |
///
/// An invalid request is `UNAUTHENTICATED` in gRPC and not `INVALID_ARGUMENT`, because the latter
/// speaks of the call's message, and here it is the call's credentials that cannot be used.
///
/// `BearerLayer` (feature `tower`) does all this. Without it, any server can:
///
/// ```
/// use api_tokens::{Answer, Realm, VerifyError};
///
/// let realm = Realm::default();
/// let answer = Answer::new(&VerifyError::UnknownToken, &realm);
/// assert_eq!(answer.status(), 401);
/// assert_eq!(
///     answer.www_authenticate().as_deref(),
///     Some(
///         r#"Bearer realm="api", error="invalid_token", error_description="The access token is invalid""#
///     ),
/// );
/// assert_eq!(answer.retry_after(), None);
/// assert_eq!(
///     answer.body(), // with `Content-Type` and `Cache-Control` as in the constants
///     r#"{"type":"about:blank","title":"Unauthorized","status":401,"detail":"The access token is invalid","error":"invalid_token"}"#,
/// );
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    kind: Kind,
    sentence: &'static str,
    required: Option<&'a Scopes>,
    realm: &'a Realm,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Challenge,
    InvalidRequest,
    InvalidToken,
    InsufficientScope,
    Outage,
    Misconfigured,
}

impl<'a> Answer<'a> {
    /// The value of `Content-Type` (RFC 9457 §6.1).
    pub const CONTENT_TYPE: &'static str = "application/problem+json";
    /// The value of `Cache-Control`: no cache may keep a refusal.
    pub const CACHE_CONTROL: &'static str = "no-store";

    /// Long enough that clients who wait do not add to an outage, short enough for a failover.
    const RETRY_AFTER_SECONDS: u32 = 5;

    /// The answer to a request that was refused for `error`.
    #[must_use]
    pub fn new(error: &'a VerifyError, realm: &'a Realm) -> Self {
        const INVALID: &str = "The access token is invalid";
        let (kind, sentence) = match error {
            VerifyError::NoCredentials | VerifyError::OtherScheme => {
                (Kind::Challenge, "An access token is required: Authorization: Bearer TOKEN")
            }
            VerifyError::InvalidRequest => (
                Kind::InvalidRequest,
                "An access token must follow Bearer, once, in the Authorization header only",
            ),
            VerifyError::MalformedCredentials
            | VerifyError::Malformed(_)
            | VerifyError::UnknownToken
            | VerifyError::WrongSecret { .. } => (Kind::InvalidToken, INVALID),
            VerifyError::NotActive { status, .. } => (
                Kind::InvalidToken,
                match status {
                    Status::Active => INVALID,
                    Status::NotYetValid => "The access token is not yet valid",
                    Status::Disabled => "The access token is disabled",
                    Status::Expired => "The access token has expired",
                    Status::RotatedOut => "The access token has been replaced by a newer one",
                    Status::Revoked => "The access token has been revoked",
                },
            ),
            VerifyError::OwnerWithoutAccess { .. } => {
                (Kind::InvalidToken, "The owner of the access token has no access any more")
            }
            VerifyError::InsufficientScope { .. } => {
                (Kind::InsufficientScope, "The access token lacks a required scope")
            }
            VerifyError::UnknownKey { .. } | VerifyError::Outage(_) => {
                (Kind::Outage, "The access token could not be checked, try again later")
            }
            VerifyError::NotVerified => {
                (Kind::Misconfigured, "The server failed to handle the request")
            }
        };
        let required = match error {
            VerifyError::InsufficientScope { required, .. } if !required.is_empty() => {
                Some(required)
            }
            _ => None,
        };
        Self { kind, sentence, required, realm }
    }

    /// The HTTP status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self.kind {
            Kind::InvalidRequest => 400,
            Kind::Challenge | Kind::InvalidToken => 401,
            Kind::InsufficientScope => 403,
            Kind::Misconfigured => 500,
            Kind::Outage => 503,
        }
    }

    /// The value of `WWW-Authenticate` (RFC 6750 §3), printable ASCII.
    ///
    /// `None` when the token is not at fault: a client would throw a good one away.
    #[must_use]
    pub fn www_authenticate(&self) -> Option<String> {
        if matches!(self.kind, Kind::Outage | Kind::Misconfigured) {
            return None;
        }
        // No value needs escaping: the sentences, realms and scopes have no quote or backslash.
        let mut challenge = format!("Bearer realm=\"{}\"", self.realm);
        if let Some(error) = self.error() {
            challenge = challenge + ", error=\"" + error + "\"";
        }
        if matches!(self.kind, Kind::InvalidToken) {
            challenge = challenge + ", error_description=\"" + self.sentence + "\"";
        }
        if let Some(required) = self.required {
            challenge = challenge + ", scope=\"" + &required.to_string() + "\"";
        }
        Some(challenge)
    }

    /// The value of `Retry-After`, in seconds; only in an outage.
    #[must_use]
    pub fn retry_after(&self) -> Option<u32> {
        matches!(self.kind, Kind::Outage).then_some(Self::RETRY_AFTER_SECONDS)
    }

    /// The body, a problem in JSON (RFC 9457) with the members `type`, `title`, `status` and
    /// `detail`, and where the challenge has them, `error` and `scope`.
    #[must_use]
    pub fn body(&self) -> String {
        // RFC 9457 §4.2.1: with this type, the title is the status code's phrase.
        let title = match self.kind {
            Kind::InvalidRequest => "Bad Request",
            Kind::Challenge | Kind::InvalidToken => "Unauthorized",
            Kind::InsufficientScope => "Forbidden",
            Kind::Misconfigured => "Internal Server Error",
            Kind::Outage => "Service Unavailable",
        };
        // No text needs escaping in JSON: the sentences and scopes are printable ASCII without
        // quote and backslash.
        let mut body = format!(
            r#"{{"type":"about:blank","title":"{title}","status":{},"detail":"{}""#,
            self.status(),
            self.detail(),
        );
        if let Some(error) = self.error() {
            body = body + ",\"error\":\"" + error + "\"";
        }
        if let Some(required) = self.required {
            body = body + ",\"scope\":\"" + &required.to_string() + "\"";
        }
        body + "}"
    }

    /// The body for clients of JSON-RPC 2.0, such as those of MCP, who show people the message of an
    /// error and nothing of a problem: an error with no id, since the request was not read, and with the
    /// problem as its data. Its code is -32600 (invalid request) or, if the request is not at fault,
    /// -32603 (internal error). Its content type is `application/json`.
    #[must_use]
    pub fn json_rpc_body(&self) -> String {
        let code = if self.status() < 500 { -32600 } else { -32603 };
        let (message, problem) = (self.detail(), self.body());
        format!(
            r#"{{"jsonrpc":"2.0","id":null,"error":{{"code":{code},"message":"{message}","data":{problem}}}}}"#
        )
    }

    /// What happened, in a sentence for people. Printable ASCII without `"` and `\`.
    ///
    /// It is the body's `detail`, and the message of a gRPC status (to be percent-encoded, which
    /// gRPC libraries do by themselves).
    #[must_use]
    pub fn detail(&self) -> Cow<'static, str> {
        match self.required {
            Some(required) => format!("{}: {required}", self.sentence).into(),
            None => self.sentence.into(),
        }
    }

    /// The gRPC status code.
    #[must_use]
    pub fn grpc_status(&self) -> u8 {
        match self.kind {
            Kind::InsufficientScope => 7,
            Kind::Misconfigured => 13,
            Kind::Outage => 14,
            Kind::Challenge | Kind::InvalidRequest | Kind::InvalidToken => 16,
        }
    }

    /// The error code of RFC 6750 §3.1.
    fn error(&self) -> Option<&'static str> {
        match self.kind {
            // RFC 6750 §3: who sent no token did nothing wrong yet.
            Kind::Challenge | Kind::Outage | Kind::Misconfigured => None,
            Kind::InvalidRequest => Some("invalid_request"),
            Kind::InvalidToken => Some("invalid_token"),
            Kind::InsufficientScope => Some("insufficient_scope"),
        }
    }
}

/// What a challenge asks credentials for (RFC 9110 §11.5): a name for people, such as that of the
/// service. `api` by default.
///
/// 1 to [`Realm::MAX_LEN`] characters of printable ASCII without `"` and `\`. A clone is cheap.
///
/// ```
/// use api_tokens::Realm;
///
/// let realm: Realm = "Acme REST API".parse()?;
/// assert_eq!(realm.as_str(), "Acme REST API");
/// assert!("say \"friend\"".parse::<Realm>().is_err());
/// # Ok::<_, api_tokens::RealmError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Realm(Arc<str>);

impl Realm {
    /// The greatest length of a realm, in characters.
    pub const MAX_LEN: usize = 128;

    /// The realm as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Realm {
    fn default() -> Self {
        Self(Arc::from("api"))
    }
}

impl core::str::FromStr for Realm {
    type Err = RealmError;

    fn from_str(text: &str) -> Result<Self, RealmError> {
        let allowed = |byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
        if text.is_empty() || text.len() > Self::MAX_LEN || !text.bytes().all(allowed) {
            return Err(RealmError);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Realm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A text that is not a [`Realm`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a realm must have 1 to 128 characters of printable ASCII, but no double quote or backslash"
)]
pub struct RealmError;
