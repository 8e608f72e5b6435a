//! What the API shows. The record itself is never sent: it has the digest.

use core::net::IpAddr;
use std::collections::BTreeMap;

use ::axum::{
    Json,
    http::header::ETAG,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use crate::{
    Event, Issuer, IssuerError, LifetimePolicy, NumberedEvent, RotationStatus, Scopes, Status,
    Token, TokenRecord, TokenStore, Usage, Verified,
};

/// A token, without its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = Token)]
pub(super) struct TokenView {
    /// The public handle, safe to log and to show.
    #[schema(example = "Ky9Pf34qY6Nb3wWD", pattern = "^[0-9A-Za-z]{16}$")]
    id: String,
    #[schema(value_type = StatusView)]
    status: Status,
    /// The project that it belongs to.
    project: String,
    /// What people call it.
    #[schema(example = "Production REST API")]
    name: String,
    /// Who it acts for.
    owner: String,
    /// Who created it.
    created_by: String,
    /// The id of the token through which it was created, if it was not in person.
    created_through: Option<String>,
    /// What it may do.
    scopes: Vec<String>,
    /// Texts of the service's own.
    metadata: BTreeMap<String, String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// The first instant at which it is accepted; null for at once.
    #[schema(value_type = Option<String>, format = DateTime)]
    not_before: Option<Timestamp>,
    /// The first instant at which it is no longer accepted; null for never.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// Its place among the tokens it was rotated from and to; null if it never was.
    rotation: Option<RotationView>,
    /// Null if it is not revoked.
    revocation: Option<RevocationView>,
    /// Null if it was never used.
    last_used: Option<UsageView>,
    /// 1 for a new token, and 1 more after each change; the `ETag` is this in double quotes.
    version: u32,
}

/// Whether a token is accepted now, and if not, why.
#[derive(ToSchema)]
#[schema(as = Status, rename_all = "snake_case")]
#[expect(dead_code, reason = "describes `Status`")]
pub(super) enum StatusView {
    Active,
    NotYetValid,
    Disabled,
    Expired,
    RotatedOut,
    Revoked,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Rotation)]
struct RotationView {
    /// The id of the family's first token.
    family: String,
    /// The id of the token that this one replaced.
    predecessor: Option<String>,
    /// The id of the token that replaced this one.
    successor: Option<String>,
    /// The first instant at which this one is no longer accepted beside its successor.
    #[schema(value_type = Option<String>, format = DateTime)]
    overlap_ends_at: Option<Timestamp>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Revocation)]
struct RevocationView {
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Who revoked it; null if that was nobody in particular, as `reason` says.
    by: Option<String>,
    /// Why, if it was said.
    reason: Option<String>,
}

/// When a token was last used, and from where.
#[derive(Serialize, ToSchema)]
#[schema(as = Usage)]
pub(super) struct UsageView {
    /// To about a second.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The client's address, if the service knows it.
    #[schema(value_type = Option<String>)]
    address: Option<IpAddr>,
    /// What the client says it is.
    user_agent: Option<String>,
}

impl TokenView {
    /// A record, and what is kept apart from it since it changes with every request.
    pub(super) async fn of<S: TokenStore>(
        issuer: &Issuer<S>,
        record: TokenRecord,
    ) -> Result<Self, IssuerError> {
        let usage = issuer.usage_of_one(&record).await?;
        Ok(Self::new(record, usage, issuer.now()))
    }

    fn new(record: TokenRecord, usage: Option<Usage>, now: Timestamp) -> Self {
        let status = record.status(now);
        let rotation = record.rotation.map(|rotation| RotationView {
            family: rotation.family.to_string(),
            predecessor: rotation.predecessor.map(|id| id.to_string()),
            successor: rotation.successor.map(|successor| successor.id.to_string()),
            overlap_ends_at: rotation.successor.map(|successor| successor.overlap_ends_at),
        });
        let revocation = record.revocation.map(|revocation| RevocationView {
            at: revocation.at,
            by: revocation.by.map(String::from),
            reason: revocation.reason.map(String::from),
        });
        Self {
            id: record.id.to_string(),
            status,
            project: record.project.into(),
            name: record.name.into(),
            owner: record.owner.into(),
            created_by: record.created_by.into(),
            created_through: record.created_through.map(|id| id.to_string()),
            scopes: texts(&record.scopes),
            metadata: record.metadata.into(),
            created_at: record.created_at,
            not_before: record.not_before,
            expires_at: record.expires_at,
            rotation,
            revocation,
            last_used: usage.map(UsageView::new),
            version: record.version,
        }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn etag(&self) -> String {
        etag(self.version)
    }
}

pub(super) fn etag(version: u32) -> String {
    format!("\"{version}\"")
}

impl IntoResponse for TokenView {
    fn into_response(self) -> Response {
        ([(ETAG, self.etag())], Json(self)).into_response()
    }
}

fn texts(scopes: &Scopes) -> Vec<String> {
    scopes.iter().map(|scope| scope.as_str().to_owned()).collect()
}

impl UsageView {
    fn new(usage: Usage) -> Self {
        Self { at: usage.last_used_at, address: usage.client_address, user_agent: usage.user_agent }
    }
}

/// One page of tokens.
#[derive(Serialize, ToSchema)]
#[schema(as = TokenPage)]
pub(super) struct TokenPage {
    /// In the order that was asked for.
    tokens: Vec<TokenView>,
    /// What to send as `after` for the next page; null on the last one.
    next: Option<String>,
}

impl TokenPage {
    pub(super) async fn new<S: TokenStore>(
        issuer: &Issuer<S>,
        records: Vec<TokenRecord>,
        next: Option<String>,
    ) -> Result<Self, IssuerError> {
        let usages = issuer.usage(&records).await?;
        let now = issuer.now();
        let tokens = records.into_iter().zip(usages);
        let tokens = tokens.map(|(record, usage)| TokenView::new(record, usage, now)).collect();
        Ok(Self { tokens, next })
    }
}

/// A token that was just made, the one time that it is shown.
#[derive(Serialize, ToSchema)]
#[schema(as = CreatedToken)]
pub(super) struct CreatedView {
    /// The plaintext, here and nowhere else. Send it as `Authorization: Bearer …`.
    #[serde(serialize_with = "expose")]
    #[schema(
        value_type = String,
        example = "acme_live_Ky9Pf34qY6Nb3wWD_25RQ4F5ZR3qa7yEeeby3abP3E2Zs8IQ9Y7aJZqh1H1ztQ",
    )]
    token: Token,
    #[serde(flatten)]
    pub(super) record: TokenView,
}

impl CreatedView {
    pub(super) fn new(token: Token, record: TokenRecord, now: Timestamp) -> Self {
        // Nobody can have used it. To look might fail, and the plaintext would be lost.
        let record = TokenView::new(record, None, now);
        Self { token, record }
    }
}

/// The one answer that holds a plaintext.
fn expose<S: Serializer>(token: &Token, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(token.expose_secret())
}

/// How far a rotation has come.
#[derive(Serialize, ToSchema)]
#[schema(as = RotationStatus)]
pub(super) struct RotationStatusView {
    /// The old token.
    predecessor: TokenView,
    /// The new token.
    successor: TokenView,
    /// The first instant at which the old one is no longer accepted.
    #[schema(value_type = String, format = DateTime)]
    overlap_ends_at: Timestamp,
    /// Whether the old token was used after the new one was made: somebody has not changed over.
    predecessor_is_still_used: bool,
}

impl RotationStatusView {
    pub(super) fn new(status: RotationStatus, now: Timestamp) -> Self {
        let predecessor_is_still_used = status.predecessor_is_still_used();
        Self {
            predecessor: TokenView::new(status.predecessor, status.predecessor_usage, now),
            successor: TokenView::new(status.successor, status.successor_usage, now),
            overlap_ends_at: status.overlap_ends_at,
            predecessor_is_still_used,
        }
    }
}

/// One page of events.
#[derive(Serialize, ToSchema)]
#[schema(as = EventPage)]
pub(super) struct EventPage {
    /// The newest first.
    events: Vec<EventView>,
    /// What to send as `before` for the next page; null if there are no more.
    next: Option<u64>,
}

impl EventPage {
    pub(super) fn new(events: Vec<NumberedEvent>, limit: usize) -> Self {
        let is_full = events.len() >= limit;
        let next = events.last().filter(|_| is_full).map(|last| last.number.0);
        Self { events: events.into_iter().map(EventView::new).collect(), next }
    }
}

/// What happened to a token.
#[derive(Serialize, ToSchema)]
#[schema(as = Event)]
struct EventView {
    /// Its place in the order of all events.
    number: u64,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Who did it; null for what no one in particular did.
    by: Option<String>,
    /// The id of the token through which they did it, if it was not in person.
    through: Option<String>,
    /// What happened: `created`, `imported`, `rotated`, `rotation_finished`, `rotation_cancelled`,
    /// `edited`, `disabled`, `enabled`, `revoked`, `reuse_detected` or `leak_reported`; later releases
    /// may have more.
    kind: &'static str,
    /// More of it, depending on the kind.
    #[schema(value_type = Object)]
    details: serde_json::Value,
}

impl EventView {
    fn new(numbered: NumberedEvent) -> Self {
        let Event { at, by, kind, token: _, project: _ } = numbered.event;
        let mut details = serde_json::to_value(&kind).unwrap_or_default();
        if let Some(members) = details.as_object_mut() {
            members.remove("type");
        }
        let through = by.as_ref().and_then(|by| by.token).map(|id| id.to_string());
        Self {
            number: numbered.number.0,
            at,
            by: by.map(|by| by.principal.into()),
            through,
            kind: kind.as_str(),
            details,
        }
    }
}

/// How long tokens may live.
#[derive(Serialize, ToSchema)]
#[schema(as = Policy)]
pub(super) struct PolicyView {
    /// The lifetime of a token for which none is given, in seconds; null for as long as is allowed.
    default_lifetime_seconds: Option<i64>,
    /// The longest lifetime, from creation, in seconds; null for any.
    max_lifetime_seconds: Option<i64>,
    /// Whether a token may have no expiry.
    allows_unlimited: bool,
}

impl PolicyView {
    pub(super) fn new(policy: LifetimePolicy) -> Self {
        let LifetimePolicy { default, max, allows_unlimited: _ } = policy;
        Self {
            default_lifetime_seconds: default.map(|lifetime| lifetime.as_secs()),
            max_lifetime_seconds: max.map(|lifetime| lifetime.as_secs()),
            allows_unlimited: policy.allows_never(),
        }
    }
}

/// What was changed, or would be.
#[derive(Serialize, ToSchema)]
#[schema(as = BulkRevocation)]
pub(super) struct BulkView {
    /// How many tokens.
    pub(super) count: u64,
    /// Which, if it was a dry run.
    pub(super) ids: Option<Vec<String>>,
}

/// What is known of a presented token (RFC 7662 §2.2). If it is not accepted now, or the caller may
/// not know of it, that is all.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = Introspection)]
pub(super) struct IntrospectionView {
    /// Whether it is accepted now.
    active: bool,
    /// Its scopes, separated by spaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    scope: Option<String>,
    /// `Bearer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    token_type: Option<&'static str>,
    /// Who it acts for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    sub: Option<String>,
    /// Its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    jti: Option<String>,
    /// The project that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    project: Option<String>,
    /// When it was created, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = i64, required = false)]
    iat: Option<i64>,
    /// When it comes to its end, if one is set, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = i64, required = false)]
    exp: Option<i64>,
    /// The id of the token that has taken its place, if it was rotated.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    replaced_by: Option<String>,
}

impl IntrospectionView {
    pub(super) fn active(token: &Verified) -> Self {
        let record = token.record();
        Self {
            active: true,
            scope: Some(token.scopes().to_string()).filter(|scope| !scope.is_empty()),
            token_type: Some("Bearer"),
            sub: Some(record.owner.to_string()),
            jti: Some(record.id.to_string()),
            project: Some(record.project.to_string()),
            iat: Some(record.created_at.as_second()),
            exp: record.ends_at().map(Timestamp::as_second),
            replaced_by: token.successor().map(|id| id.to_string()),
        }
    }
}
