//! What people may see of a token. The record itself is never sent: it has the digest.

use std::net::IpAddr;

use api_tokens::{
    Clock, DynTokenStore, Issuer, IssuerError, Metadata, Page, Principal, Project, Revocation,
    Rotation, Scopes, Status, SystemClock, Token, TokenId, TokenName, TokenRecord, Usage,
};
use axum::{
    Json,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, LOCATION},
    },
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use serde::Serialize;

use super::PATH;

#[derive(Serialize)]
pub(super) struct TokenView {
    id: TokenId,
    status: Status,
    project: Project,
    name: TokenName,
    owner: Principal,
    created_by: Principal,
    scopes: Scopes,
    metadata: Metadata,
    created_at: Timestamp,
    not_before: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    rotation: Option<Rotation>,
    revocation: Option<Revocation>,
    last_used: Option<LastUsed>,
}

impl TokenView {
    /// A record, and what is kept apart from it since it changes with every request.
    pub(super) async fn of(
        issuer: &Issuer<DynTokenStore>,
        record: TokenRecord,
    ) -> Result<Self, IssuerError> {
        let usage = issuer.usage(core::slice::from_ref(&record)).await?.pop().flatten();
        Ok(Self::new(record, usage))
    }

    fn new(record: TokenRecord, usage: Option<Usage>) -> Self {
        Self {
            id: record.id,
            status: record.status(SystemClock.now()),
            project: record.project,
            name: record.name,
            owner: record.owner,
            created_by: record.created_by,
            scopes: record.scopes,
            metadata: record.metadata,
            created_at: record.created_at,
            not_before: record.not_before,
            expires_at: record.expires_at,
            rotation: record.rotation,
            revocation: record.revocation,
            last_used: usage.map(LastUsed::new),
        }
    }
}

#[derive(Serialize)]
struct LastUsed {
    at: Timestamp,
    address: Option<IpAddr>,
    user_agent: Option<String>,
}

impl LastUsed {
    fn new(usage: Usage) -> Self {
        Self { at: usage.last_used_at, address: usage.client_address, user_agent: usage.user_agent }
    }
}

#[derive(Serialize)]
pub(super) struct TokenPage {
    /// The newest first.
    tokens: Vec<TokenView>,
    /// What to send as `after` for the next page.
    next: Option<String>,
}

impl TokenPage {
    pub(super) async fn new(
        issuer: &Issuer<DynTokenStore>,
        page: Page,
    ) -> Result<Self, IssuerError> {
        let usages = issuer.usage(&page.records).await?;
        let tokens = page.records.into_iter().zip(usages);
        Ok(Self {
            tokens: tokens.map(|(record, usage)| TokenView::new(record, usage)).collect(),
            next: page.next.map(|next| next.to_string()),
        })
    }
}

/// A token that was just made, the one time that it is shown.
#[derive(Serialize)]
pub(super) struct Shown {
    /// The plaintext, here and nowhere else.
    token: String,
    #[serde(flatten)]
    record: TokenView,
}

impl Shown {
    pub(super) fn new(token: &Token, record: TokenRecord) -> Self {
        // Nobody can have used it. To look might fail, and the plaintext would be lost.
        let record = TokenView::new(record, None);
        Self { token: token.expose_secret().to_owned(), record }
    }
}

impl IntoResponse for Shown {
    fn into_response(self) -> Response {
        let headers = [
            (LOCATION, format!("{PATH}/{}", self.record.id)),
            // The one answer that holds a plaintext must not stay anywhere on its way.
            (CACHE_CONTROL, "no-store".to_owned()),
        ];
        (StatusCode::CREATED, headers, Json(self)).into_response()
    }
}
