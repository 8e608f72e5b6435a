//! What people call to manage tokens, in JSON, as the admin.

mod view;

use std::sync::Arc;

use api_tokens::{
    Actor, DynTokenStore, Edit, Expiry, IdempotencyKey, Issuer, IssuerError, Metadata, NewToken,
    PageKey, Principal, Project, RevocationReason, Rotate, Scopes, Selection, Status, TokenId,
    TokenName,
};
use axum::{
    Extension, Json, Router,
    extract::{
        Path, Query, State,
        rejection::{JsonRejection, PathRejection, QueryRejection},
    },
    http::{HeaderMap, StatusCode},
    middleware,
    routing::{get, post},
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer};

use self::view::{Shown, TokenPage, TokenView};
use crate::{
    admin::{self, AdminPassword},
    problem::Problem,
};

pub(crate) const PATH: &str = "/management/tokens";

type Tokens = State<Arc<Issuer<DynTokenStore>>>;

/// The routes, behind the admin's password.
///
/// The admin may manage the tokens of all projects. Where people have projects of their own, each
/// handler limits the actor to the project that it has checked ([`Actor::in_project`]).
pub(crate) fn routes(issuer: Arc<Issuer<DynTokenStore>>, password: AdminPassword) -> Router {
    Router::new()
        .route(PATH, post(create).get(list))
        .route("/management/tokens/{id}", get(show).patch(edit).delete(revoke))
        .route("/management/tokens/{id}/rotate", post(rotate))
        .route("/management/tokens/{id}/disable", post(disable))
        .route("/management/tokens/{id}/enable", post(enable))
        .route_layer(middleware::from_fn_with_state(password, admin::require))
        .with_state(issuer)
}

/// The library's types check each field as it is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateBody {
    project: Project,
    name: TokenName,
    scopes: Scopes,
    /// Who the token acts for, if not the admin.
    owner: Option<Principal>,
    #[serde(default)]
    metadata: Metadata,
    not_before: Option<Timestamp>,
    expires_at: Option<Timestamp>,
}

async fn create(
    State(issuer): Tokens,
    Extension(admin): Extension<Actor>,
    headers: HeaderMap,
    body: Result<Json<CreateBody>, JsonRejection>,
) -> Result<Shown, Problem> {
    let Json(body) = body?;
    let new = NewToken {
        project: body.project,
        owner: body.owner.unwrap_or_else(|| admin.principal().clone()),
        name: body.name,
        scopes: body.scopes,
        metadata: body.metadata,
        not_before: body.not_before,
        expiry: body.expires_at.map_or(Expiry::Default, Expiry::At),
        idempotency_key: idempotency_key(&headers)?,
    };
    let created = issuer.create(new, &admin).await?;
    Ok(Shown::new(&created.token, created.record))
}

/// What a client sends that cannot know whether its request arrived: with the same key again, the
/// request makes no second token.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let text = value.to_str().map_err(|_| {
        Problem::new(StatusCode::BAD_REQUEST, "Idempotency-Key must be printable ASCII")
    })?;
    Ok(Some(text.parse().map_err(IssuerError::Invalid)?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListParameters {
    project: Option<Project>,
    owner: Option<Principal>,
    status: Option<Status>,
    /// The whole name; a `*` stands for any text.
    name: Option<String>,
    /// The `next` of the page before.
    after: Option<String>,
    limit: Option<usize>,
}

async fn list(
    State(issuer): Tokens,
    Extension(admin): Extension<Actor>,
    parameters: Result<Query<ListParameters>, QueryRejection>,
) -> Result<Json<TokenPage>, Problem> {
    const DEFAULT_LIMIT: usize = 100;

    let Query(parameters) = parameters?;
    let after: Option<PageKey> = parameters
        .after
        .map(|after| after.parse())
        .transpose()
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, format!("after is {error}")))?;
    let selection = Selection {
        project: parameters.project,
        owner: parameters.owner,
        status: parameters.status,
        name_pattern: parameters.name,
        ..Selection::default()
    };
    let limit = parameters.limit.unwrap_or(DEFAULT_LIMIT);
    let page = issuer.list(&selection, &admin, after, limit).await?;
    Ok(Json(TokenPage::new(&issuer, page).await?))
}

async fn show(
    State(issuer): Tokens,
    Extension(admin): Extension<Actor>,
    id: TokenPath,
) -> Result<Json<TokenView>, Problem> {
    let record = issuer.get(token_id(id)?, &admin).await?.ok_or(IssuerError::NotFound)?;
    Ok(Json(TokenView::of(&issuer, record).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EditBody {
    name: Option<TokenName>,
    scopes: Option<Scopes>,
    /// Null for never.
    #[serde(default, deserialize_with = "expiry")]
    expires_at: Option<Expiry>,
}

/// Of a field that is there: null is not the same as none.
fn expiry<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Expiry>, D::Error> {
    let end: Option<Timestamp> = Option::deserialize(value)?;
    Ok(Some(end.map_or(Expiry::Never, Expiry::At)))
}

async fn edit(
    State(issuer): Tokens,
    Extension(admin): Extension<Actor>,
    id: TokenPath,
    body: Result<Json<EditBody>, JsonRejection>,
) -> Result<Json<TokenView>, Problem> {
    let (id, Json(body)) = (token_id(id)?, body?);
    let edit =
        Edit { name: body.name, scopes: body.scopes, expiry: body.expires_at, ..Edit::default() };
    let record = issuer.edit(id, &admin, edit).await?;
    Ok(Json(TokenView::of(&issuer, record).await?))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RotateBody {
    /// How long the old token is accepted beside the new one.
    #[serde(default)]
    overlap_seconds: u32,
}

/// Without a body, the old token is refused from now on.
async fn rotate(
    State(issuer): Tokens,
    Extension(admin): Extension<Actor>,
    id: TokenPath,
    headers: HeaderMap,
    body: Result<Option<Json<RotateBody>>, JsonRejection>,
) -> Result<Shown, Problem> {
    let (id, Json(body)) = (token_id(id)?, body?.unwrap_or_default());
    let rotate = Rotate {
        overlap: SignedDuration::from_secs(body.overlap_seconds.into()),
        idempotency_key: idempotency_key(&headers)?,
        ..Rotate::default()
    };
    let rotated = issuer.rotate(id, &admin, rotate).await?;
    Ok(Shown::new(&rotated.token, rotated.record))
}

async fn disable(
    State(issuer): Tokens,
    Extension(admin): Extension<Actor>,
    id: TokenPath,
) -> Result<Json<TokenView>, Problem> {
    let record = issuer.disable(token_id(id)?, &admin).await?;
    Ok(Json(TokenView::of(&issuer, record).await?))
}

async fn enable(
    State(issuer): Tokens,
    Extension(admin): Extension<Actor>,
    id: TokenPath,
) -> Result<Json<TokenView>, Problem> {
    let record = issuer.enable(token_id(id)?, &admin).await?;
    Ok(Json(TokenView::of(&issuer, record).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RevokeParameters {
    reason: Option<RevocationReason>,
}

/// Revoking twice is no error: whoever repeats a request that got lost is told what is.
async fn revoke(
    State(issuer): Tokens,
    Extension(admin): Extension<Actor>,
    id: TokenPath,
    parameters: Result<Query<RevokeParameters>, QueryRejection>,
) -> Result<Json<TokenView>, Problem> {
    let Query(parameters) = parameters?;
    let revoked = issuer.revoke(token_id(id)?, &admin, parameters.reason).await?;
    Ok(Json(TokenView::of(&issuer, revoked.record).await?))
}

type TokenPath = Result<Path<TokenId>, PathRejection>;

/// What is not an id at all is an id that no token has.
fn token_id(path: TokenPath) -> Result<TokenId, IssuerError> {
    path.map(|Path(id)| id).map_err(|_| IssuerError::NotFound)
}
