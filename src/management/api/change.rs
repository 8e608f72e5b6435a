use ::axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header::IF_MATCH},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    super::{
        Access, Managed,
        caller::Caller,
        input::{self, Body, Id, Parameters, Shape},
        problem::Problem,
        view::{BulkView, TokenView, etag},
    },
    body::{EditBody, RevokeAllBody},
};
use crate::{Edit, IssuerError, Metadata, Selection, TokenId, TokenStore};

/// Change name, scopes, metadata or expiry
#[utoipa::path(
    patch, path = "/projects/{project}/tokens/{id}", tag = "tokens", operation_id = "edit",
    params(
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the token as it was \
            seen: if it has been changed since, nothing is done."),
    ),
    request_body = EditBody,
    responses((status = 200, body = TokenView, headers(("ETag" = String)))),
)]
pub(in super::super) async fn edit<S: TokenStore, A: Access>(
    State(management): Managed<S, A>,
    Caller { actor, .. }: Caller,
    Id(id): Id,
    headers: HeaderMap,
    Body(body): Body<EditBody>,
) -> Result<TokenView, Problem> {
    let issuer = &management.issuer;
    let edit = Edit {
        name: input::text("name", body.name)?,
        scopes: body.scopes.map(input::scopes).transpose()?,
        metadata: body.metadata.map(Metadata::try_from).transpose()?,
        expiry: body.expires_at.read()?,
        expected_version: None,
    };
    let Some(versions) = expected_versions(&headers) else {
        let record = issuer.edit(id, &actor, edit).await?;
        return Ok(TokenView::of(issuer, record).await?);
    };
    for version in versions {
        let edit = Edit { expected_version: Some(version), ..edit.clone() };
        match issuer.edit(id, &actor, edit).await {
            Err(IssuerError::Changed { .. }) => {}
            result => return Ok(TokenView::of(issuer, result?).await?),
        }
    }
    let detail = "the token is not as If-Match has it: it has been changed since";
    Err(Problem::new(StatusCode::PRECONDITION_FAILED, "changed", detail))
}

/// The versions of which `If-Match` has the `ETag` (RFC 9110 §13.1.1), as many as anybody has a use
/// for; `None` for any.
fn expected_versions(headers: &HeaderMap) -> Option<Vec<u32>> {
    const MAX: usize = 8;
    if !headers.contains_key(IF_MATCH) {
        return None;
    }
    let values = headers.get_all(IF_MATCH).iter().filter_map(|value| value.to_str().ok());
    let values: Vec<&str> = values.map(str::trim).collect();
    if values == ["*"] {
        return None;
    }
    let tags = values.iter().flat_map(|value| value.split(',').map(str::trim));
    let version = |tag: &str| {
        let version = tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok()?;
        (etag(version) == tag).then_some(version)
    };
    Some(tags.filter_map(version).take(MAX).collect())
}

/// Switch a token off, until it is switched on again
#[utoipa::path(
    post, path = "/projects/{project}/tokens/{id}/disable", tag = "tokens",
    operation_id = "disable",
    responses((status = 200, body = TokenView, headers(("ETag" = String)))),
)]
pub(in super::super) async fn disable<S: TokenStore, A: Access>(
    State(management): Managed<S, A>,
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
    responses((status = 200, body = TokenView, headers(("ETag" = String)))),
)]
pub(in super::super) async fn enable<S: TokenStore, A: Access>(
    State(management): Managed<S, A>,
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
    params(RevokeParameters),
    responses((status = 200, body = TokenView, headers(("ETag" = String)))),
)]
pub(in super::super) async fn revoke<S: TokenStore, A: Access>(
    State(management): Managed<S, A>,
    Caller { actor, .. }: Caller,
    Id(id): Id,
    Parameters(parameters): Parameters<RevokeParameters>,
) -> Result<TokenView, Problem> {
    let reason = input::text("reason", parameters.reason)?;
    let revoked = management.issuer.revoke(id, &actor, reason).await?;
    Ok(TokenView::of(&management.issuer, revoked.record).await?)
}

/// Revoke all tokens that match, or say which those are
///
/// One that is cut short has revoked some: repeat it to go on.
#[utoipa::path(
    post, path = "/projects/{project}/revocations", tag = "tokens", operation_id = "revoke_all",
    request_body = RevokeAllBody,
    responses((status = 200, body = BulkView)),
)]
pub(in super::super) async fn revoke_all<S: TokenStore, A: Access>(
    State(management): Managed<S, A>,
    Caller { actor, project, .. }: Caller,
    Body(body): Body<RevokeAllBody>,
) -> Result<Json<BulkView>, Problem> {
    let chosen = Selection {
        owner: input::text("owner", body.owner)?,
        created_by: input::text("created_by", body.created_by)?,
        created_through: input::token_id("created_through", body.created_through)?,
        created_before: input::instant("created_before", body.created_before)?,
        name_pattern: input::pattern("name", body.name)?,
        unused_since: input::instant("unused_since", body.unused_since)?,
        ..Selection::default()
    };
    // The project alone would mean all of its tokens: that must be said.
    if chosen == Selection::default() {
        let detail = "at least one criterion is needed: for all tokens, created_before now";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "malformed", detail));
    }
    let selection = Selection { project: Some(project), ..chosen };
    let reason = input::text("reason", body.reason)?;
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
