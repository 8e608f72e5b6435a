use ::axum::{
    Json,
    extract::{OriginalUri, State},
    http::HeaderMap,
    response::Response,
};
use jiff::SignedDuration;

use super::{
    super::{
        Access, Managed,
        caller::Caller,
        input::{Body, Id},
        problem::Problem,
        view::{CreatedView, RotationStatusView, TokenView},
    },
    body::RotateBody,
    create::idempotency_key,
    created,
};
use crate::{Rotate, TokenStore};

/// Replace a token by a successor
///
/// The successor has the same name, project, owner, scopes and metadata. Its plaintext is in this
/// answer and nowhere else. Without an overlap, the old token is refused from now on.
#[utoipa::path(
    post, path = "/projects/{project}/tokens/{id}/rotate", tag = "rotation",
    operation_id = "rotate",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "Names the request, so that \
            repeating it never leaves two successors: any text of 1 to 255 characters."),
    ),
    request_body = Option<RotateBody>,
    responses(
        (status = 201, body = CreatedView, headers(
            ("Location" = String, description = "The new token."),
            ("ETag" = String, description = "Its version."),
        )),
    ),
)]
pub(in super::super) async fn rotate<S: TokenStore, A: Access>(
    State(management): Managed<S, A>,
    Caller { actor, .. }: Caller,
    Id(id): Id,
    uri: OriginalUri,
    headers: HeaderMap,
    Body(body): Body<RotateBody>,
) -> Result<Response, Problem> {
    let rotate = Rotate {
        overlap: SignedDuration::from_secs(body.overlap_seconds.into()),
        retire_on_use: body.retire_on_use,
        expiry: body.expires_at.read()?.unwrap_or_default(),
        idempotency_key: idempotency_key(&headers)?,
    };
    let issuer = &management.issuer;
    let rotated = issuer.rotate(id, &actor, rotate).await?;
    Ok(created(CreatedView::new(rotated.token, rotated.record, issuer.now()), &uri, 2))
}

/// How far a rotation has come
///
/// By the id of the old token or of the new one; null if it is neither.
#[utoipa::path(
    get, path = "/projects/{project}/tokens/{id}/rotation", tag = "rotation",
    operation_id = "rotation_status",
    responses((status = 200, body = Option<RotationStatusView>)),
)]
pub(in super::super) async fn status<S: TokenStore, A: Access>(
    State(management): Managed<S, A>,
    Caller { actor, .. }: Caller,
    Id(id): Id,
) -> Result<Json<Option<RotationStatusView>>, Problem> {
    let issuer = &management.issuer;
    let status = issuer.rotation_status(id, &actor).await?;
    Ok(Json(status.map(|status| RotationStatusView::new(status, issuer.now()))))
}

/// End the overlap now
///
/// The old token, of this id, is refused from now on.
#[utoipa::path(
    post, path = "/projects/{project}/tokens/{id}/rotation/finish", tag = "rotation",
    operation_id = "finish_rotation",
    responses((status = 200, body = TokenView, headers(("ETag" = String)))),
)]
pub(in super::super) async fn finish<S: TokenStore, A: Access>(
    State(management): Managed<S, A>,
    Caller { actor, .. }: Caller,
    Id(id): Id,
) -> Result<TokenView, Problem> {
    let record = management.issuer.finish_rotation(id, &actor).await?;
    Ok(TokenView::of(&management.issuer, record).await?)
}

/// Cancel a rotation
///
/// The successor is revoked, and the old token, of this id, goes on as if nothing had happened.
#[utoipa::path(
    delete, path = "/projects/{project}/tokens/{id}/rotation", tag = "rotation",
    operation_id = "cancel_rotation",
    responses((status = 200, body = TokenView, headers(("ETag" = String)))),
)]
pub(in super::super) async fn cancel<S: TokenStore, A: Access>(
    State(management): Managed<S, A>,
    Caller { actor, .. }: Caller,
    Id(id): Id,
) -> Result<TokenView, Problem> {
    let record = management.issuer.cancel_rotation(id, &actor).await?;
    Ok(TokenView::of(&management.issuer, record).await?)
}
