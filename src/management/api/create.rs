use ::axum::{
    extract::{OriginalUri, State},
    http::HeaderMap,
    response::Response,
};

use super::{
    super::{
        Access, Managed,
        caller::Caller,
        input::{self, Body},
        problem::Problem,
        view::CreatedView,
    },
    body::CreateBody,
    created,
};
use crate::{Created, IdempotencyKey, Metadata, NewToken, TokenStore};

/// Create a token
///
/// Its plaintext is in this answer and nowhere else. It acts for whoever creates it.
#[utoipa::path(
    post, path = "/projects/{project}/tokens", tag = "tokens", operation_id = "create",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "Names the request, so that \
            repeating it never leaves two tokens: any text of 1 to 255 characters."),
    ),
    request_body = CreateBody,
    responses(
        (status = 201, body = CreatedView, headers(
            ("Location" = String, description = "The new token."),
            ("ETag" = String, description = "Its version."),
        )),
    ),
)]
pub(in super::super) async fn create<S: TokenStore, A: Access>(
    State(management): Managed<S, A>,
    Caller { actor, project, .. }: Caller,
    uri: OriginalUri,
    headers: HeaderMap,
    Body(body): Body<CreateBody>,
) -> Result<Response, Problem> {
    let new = NewToken {
        project,
        owner: actor.principal().clone(),
        name: body.name.parse()?,
        scopes: input::scopes(body.scopes)?,
        metadata: Metadata::try_from(body.metadata)?,
        not_before: input::instant("not_before", body.not_before)?,
        expiry: body.expires_at.read()?.unwrap_or_default(),
        idempotency_key: idempotency_key(&headers)?,
    };
    let issuer = &management.issuer;
    let Created { token, record, .. } = issuer.create(new, &actor).await?;
    Ok(created(CreatedView::new(token, record, issuer.now()), &uri, 0))
}

/// What a client sends that cannot know whether its request arrived.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Problem> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = core::str::from_utf8(value.as_bytes()).ok().filter(|_| values.next().is_none());
    let Some(text) = text else {
        return Err(Problem::in_field("idempotency_key", "must be one text in UTF-8"));
    };
    Ok(Some(text.parse()?))
}
