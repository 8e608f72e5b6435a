//! What people call to manage tokens, in JSON, as the admin.

use std::sync::Arc;

use api_tokens::{
    Clock, Issuer, IssuerError, ListQuery, Metadata, NewToken, PageKey, Principal, Project,
    Revocation, RevocationReason, Scopes, SqliteStore, Status, SystemClock, TokenId, TokenName,
    TokenRecord,
};
use axum::{
    Extension, Json, Router,
    extract::{
        Path, Query, State,
        rejection::{JsonRejection, PathRejection, QueryRejection},
    },
    http::{
        HeaderName, StatusCode,
        header::{CACHE_CONTROL, LOCATION},
    },
    middleware,
    routing::{get, post},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    admin::{self, AdminPassword},
    problem::Problem,
};

pub(crate) const PATH: &str = "/management/tokens";

type Tokens = State<Arc<Issuer<SqliteStore>>>;

/// The routes, behind the admin's password.
///
/// The admin may manage the tokens of all projects. Where people have projects of their own, each
/// handler also checks that the project is one of theirs: the library does not know.
pub(crate) fn routes(issuer: Arc<Issuer<SqliteStore>>, password: AdminPassword) -> Router {
    Router::new()
        .route(PATH, post(create).get(list))
        .route("/management/tokens/{id}", get(show).delete(revoke))
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
    Extension(admin): Extension<Principal>,
    body: Result<Json<CreateBody>, JsonRejection>,
) -> Result<(StatusCode, [(HeaderName, String); 2], Json<CreatedToken>), Problem> {
    let Json(body) = body?;
    let created = issuer
        .create(NewToken {
            project: body.project,
            owner: body.owner.unwrap_or_else(|| admin.clone()),
            name: body.name,
            created_by: Some(admin),
            scopes: body.scopes,
            metadata: body.metadata,
            not_before: body.not_before,
            expires_at: body.expires_at,
        })
        .await?;
    let headers = [
        (LOCATION, format!("{PATH}/{}", created.record.id)),
        // The one answer that holds a plaintext must not stay anywhere on its way.
        (CACHE_CONTROL, "no-store".to_owned()),
    ];
    let body = CreatedToken {
        token: created.token.expose_secret().to_owned(),
        record: TokenView::new(created.record),
    };
    Ok((StatusCode::CREATED, headers, Json(body)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListParameters {
    project: Option<Project>,
    owner: Option<Principal>,
    status: Option<Status>,
    /// A part of the name.
    name: Option<String>,
    /// The `next` of the page before.
    after: Option<String>,
    limit: Option<usize>,
}

async fn list(
    State(issuer): Tokens,
    parameters: Result<Query<ListParameters>, QueryRejection>,
) -> Result<Json<TokenPage>, Problem> {
    let Query(parameters) = parameters?;
    let after: Option<PageKey> = parameters
        .after
        .map(|after| after.parse())
        .transpose()
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, format!("after is {error}")))?;
    let default = ListQuery::default();
    let page = issuer
        .list(&ListQuery {
            project: parameters.project,
            owner: parameters.owner,
            status: parameters.status,
            name_contains: parameters.name,
            after,
            limit: parameters.limit.unwrap_or(default.limit),
        })
        .await?;
    Ok(Json(TokenPage {
        tokens: page.records.into_iter().map(TokenView::new).collect(),
        next: page.next.map(|next| next.to_string()),
    }))
}

async fn show(State(issuer): Tokens, id: TokenPath) -> Result<Json<TokenView>, Problem> {
    let record = issuer.get(token_id(id)?).await?.ok_or(IssuerError::NotFound)?;
    Ok(Json(TokenView::new(record)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RevokeParameters {
    reason: Option<RevocationReason>,
}

/// Revoking twice is no error: whoever repeats a request that got lost is told what is.
async fn revoke(
    State(issuer): Tokens,
    Extension(admin): Extension<Principal>,
    id: TokenPath,
    parameters: Result<Query<RevokeParameters>, QueryRejection>,
) -> Result<Json<TokenView>, Problem> {
    let Query(parameters) = parameters?;
    let record = issuer.revoke(token_id(id)?, admin, parameters.reason).await?.record;
    Ok(Json(TokenView::new(record)))
}

type TokenPath = Result<Path<TokenId>, PathRejection>;

/// What is not an id at all is an id that no token has.
fn token_id(path: TokenPath) -> Result<TokenId, IssuerError> {
    path.map(|Path(id)| id).map_err(|_| IssuerError::NotFound)
}

#[derive(Serialize)]
struct CreatedToken {
    /// The plaintext, here and nowhere else.
    token: String,
    #[serde(flatten)]
    record: TokenView,
}

#[derive(Serialize)]
struct TokenPage {
    /// The newest first.
    tokens: Vec<TokenView>,
    /// What to send as `after` for the next page.
    next: Option<String>,
}

/// What people may see of a record. The record itself is never sent: it has the digest.
#[derive(Serialize)]
struct TokenView {
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
    revocation: Option<Revocation>,
}

impl TokenView {
    fn new(record: TokenRecord) -> Self {
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
            revocation: record.revocation,
        }
    }
}
