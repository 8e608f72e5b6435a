use ::axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header::IF_MATCH},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    super::{
        Access,
        caller::Caller,
        input::{self, Body, Id, Parameters, Shape},
        problem::Problem,
        view::{BulkView, TokenView},
    },
    EditBody, RevokeAllBody, Shared,
};
use crate::{Edit, IssuerError, Metadata, Selection, TokenId, TokenStore};

/// Change name, scopes, metadata or expiry
#[utoipa::path(
    patch, path = "/projects/{project}/tokens/{id}", tag = "tokens", operation_id = "edit",
    params(
        ("project" = String, Path), ("id" = String, Path),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the token as it was \
            seen: if it has been changed since, nothing is done."),
    ),
    request_body = EditBody,
    responses((status = 200, body = TokenView, headers(("ETag" = String)))),
)]
pub(in super::super) async fn edit<S: TokenStore, A: Access>(
    State(management): Shared<S, A>,
    Caller { actor, .. }: Caller,
    Id(id): Id,
    headers: HeaderMap,
    Body(body): Body<EditBody>,
) -> Result<TokenView, Problem> {
    let issuer = &management.issuer;
    let mut edit = Edit {
        name: input::optional("name", body.name)?,
        scopes: body.scopes.map(input::scopes).transpose()?,
        metadata: body.metadata.map(Metadata::try_from).transpose()?,
        expiry: body.expires_at.read()?,
        expected_version: None,
    };
    // After all else, for which it is not looked at (RFC 9110 §13.2.1).
    if headers.contains_key(IF_MATCH) {
        let record = issuer.get(id, &actor).await?.ok_or_else(Problem::not_found)?;
        if !matches(&headers, record.version) {
            return Err(IssuerError::Changed { version: record.version }.into());
        }
        edit.expected_version = Some(record.version);
    }
    let record = issuer.edit(id, &actor, edit).await?;
    Ok(TokenView::of(issuer, record).await?)
}

/// Whether `If-Match` has the `ETag` of this version (RFC 9110 §13.1.1).
fn matches(headers: &HeaderMap, version: u32) -> bool {
    let etag = super::etag(version);
    let values = headers.get_all(IF_MATCH).iter().map(HeaderValue::as_bytes);
    let mut tags = values.flat_map(|value| value.split(|byte| *byte == b','));
    tags.any(|tag| [b"*", etag.as_bytes()].contains(&tag.trim_ascii()))
}

/// Switch a token off, until it is switched on again
#[utoipa::path(
    post, path = "/projects/{project}/tokens/{id}/disable", tag = "tokens",
    operation_id = "disable",
    params(("project" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = TokenView, headers(("ETag" = String)))),
)]
pub(in super::super) async fn disable<S: TokenStore, A: Access>(
    State(management): Shared<S, A>,
    Caller { actor, .. }: Caller,
    Id(id): Id,
) -> Result<TokenView, Problem> {
    let record = management.issuer.disable(id, &actor).await?;
    Ok(TokenView::of(&management.issuer, record).await?)
}

/// Switch a token on again
#[utoipa::path(
    post, path = "/projects/{project}/tokens/{id}/enable", tag = "tokens",
    operation_id = "enable",
    params(("project" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = TokenView, headers(("ETag" = String)))),
)]
pub(in super::super) async fn enable<S: TokenStore, A: Access>(
    State(management): Shared<S, A>,
    Caller { actor, .. }: Caller,
    Id(id): Id,
) -> Result<TokenView, Problem> {
    let record = management.issuer.enable(id, &actor).await?;
    Ok(TokenView::of(&management.issuer, record).await?)
}

/// Why a token is revoked.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in super::super) struct RevokeParameters {
    /// Why, for whoever looks at the token later.
    #[param(min_length = 1, max_length = 200)]
    reason: Option<String>,
}

impl Shape for RevokeParameters {
    const FIELDS: &'static [&'static str] = &["reason"];
}

/// Revoke a token, for good
///
/// Revoking twice is no error: who repeats a request that got lost is told what is.
#[utoipa::path(
    delete, path = "/projects/{project}/tokens/{id}", tag = "tokens", operation_id = "revoke",
    params(("project" = String, Path), ("id" = String, Path), RevokeParameters),
    responses((status = 200, body = TokenView, headers(("ETag" = String)))),
)]
pub(in super::super) async fn revoke<S: TokenStore, A: Access>(
    State(management): Shared<S, A>,
    Caller { actor, .. }: Caller,
    Id(id): Id,
    Parameters(parameters): Parameters<RevokeParameters>,
) -> Result<TokenView, Problem> {
    let reason = input::optional("reason", parameters.reason)?;
    let revoked = management.issuer.revoke(id, &actor, reason).await?;
    Ok(TokenView::of(&management.issuer, revoked.record).await?)
}

/// Revoke all tokens that match, or count them
#[utoipa::path(
    post, path = "/projects/{project}/revocations", tag = "tokens", operation_id = "revoke_all",
    params(("project" = String, Path)),
    request_body = RevokeAllBody,
    responses((status = 200, body = BulkView)),
)]
pub(in super::super) async fn revoke_all<S: TokenStore, A: Access>(
    State(management): Shared<S, A>,
    Caller { actor, project }: Caller,
    Body(body): Body<RevokeAllBody>,
) -> Result<Json<BulkView>, Problem> {
    let chosen = Selection {
        owner: input::optional("owner", body.owner)?,
        created_by: input::optional("created_by", body.created_by)?,
        created_through: body.created_through.map(|text| token_id(&text)).transpose()?,
        created_before: instant("created_before", body.created_before)?,
        name_pattern: body.name,
        unused_since: instant("unused_since", body.unused_since)?,
        ..Selection::default()
    };
    // The project alone would mean all of its tokens: that must be said.
    if chosen == Selection::default() {
        let detail = "at least one criterion is needed: for all tokens, created_before now";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "malformed", detail));
    }
    let selection = Selection { project: Some(project), ..chosen };
    let reason = input::optional("reason", body.reason)?;
    let mut bulk = management.issuer.revoke_all(selection, &actor, reason)?;
    if body.dry_run {
        let ids = bulk.dry_run().await?;
        let count = u64::try_from(ids.len()).unwrap_or(u64::MAX);
        return Ok(Json(BulkView {
            count,
            ids: Some(ids.iter().map(TokenId::to_string).collect()),
        }));
    }
    Ok(Json(BulkView { count: bulk.run().await?, ids: None }))
}

fn token_id(text: &str) -> Result<TokenId, Problem> {
    text.parse().map_err(|_| Problem::field("created_through", "is not the id of a token"))
}

fn instant(name: &'static str, text: Option<String>) -> Result<Option<jiff::Timestamp>, Problem> {
    text.map(|text| input::instant(name, &text)).transpose()
}
