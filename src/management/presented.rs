//! What whoever has a token may do with it, whatever its scopes: ask what it is, and revoke it.

use std::sync::Arc;

use ::axum::{
    Json, Router,
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request, State},
    http::{HeaderValue, StatusCode, header::CONTENT_TYPE, request::Parts},
    routing::{get, post},
};
use serde::Deserialize;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::{
    Access, Management, input,
    problem::Problem,
    view::{IntrospectionView, TokenView},
};
use crate::{Actor, TokenStore, Verified, VerifyError};

type Shared<S, A> = State<Arc<Management<S, A>>>;

pub(super) fn routes<S: TokenStore, A: Access>() -> Router<Arc<Management<S, A>>> {
    Router::new()
        .route("/token", get(who_am_i::<S, A>).delete(revoke_own::<S, A>))
        .route("/introspect", post(introspect::<S, A>))
        .route("/revoke", post(revoke::<S, A>))
}

/// The token in `Authorization`, which must be there and accepted.
pub(super) struct Presented(Verified);

impl<S: TokenStore, A: Access> FromRequestParts<Arc<Management<S, A>>> for Presented {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        management: &Arc<Management<S, A>>,
    ) -> Result<Self, Problem> {
        management.token(parts).await.map(Self)
    }
}

/// What the presented token is
#[utoipa::path(
    get, path = "/token", tag = "presented token", operation_id = "who_am_i",
    responses((status = 200, body = TokenView, headers(("ETag" = String)))),
)]
pub(super) async fn who_am_i<S: TokenStore, A: Access>(
    State(management): Shared<S, A>,
    Presented(token): Presented,
) -> Result<TokenView, Problem> {
    Ok(TokenView::of(&management.issuer, token.record().clone()).await?)
}

/// Revoke the presented token, for good
#[utoipa::path(
    delete, path = "/token", tag = "presented token", operation_id = "revoke_own",
    responses((status = 200, body = TokenView, headers(("ETag" = String)))),
)]
pub(super) async fn revoke_own<S: TokenStore, A: Access>(
    State(management): Shared<S, A>,
    Presented(token): Presented,
) -> Result<TokenView, Problem> {
    let issuer = &management.issuer;
    let revoked = issuer.revoke(token.id(), &Actor::from(&token), None).await?;
    Ok(TokenView::of(issuer, revoked.record).await?)
}

/// A token in a form (RFC 7662 §2.1, RFC 7009 §2.1); what else the form has is ignored.
pub(super) struct Form {
    token: Zeroizing<Vec<u8>>,
}

impl<Inner: Send + Sync> FromRequest<Inner> for Form {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &Inner) -> Result<Self, Problem> {
        let is_form = is_form(request.headers().get(CONTENT_TYPE));
        let bytes: Bytes = input::bytes(request, state).await?;
        if !is_form {
            let detail = "the body must be a form: application/x-www-form-urlencoded";
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "invalid_request",
                detail,
            ));
        }
        let mut tokens = form_urlencoded::parse(&bytes).filter(|(name, _)| name == "token");
        let (Some((_, token)), None) = (tokens.next(), tokens.next()) else {
            let detail = "the form must have one parameter `token`";
            return Err(Problem::new(StatusCode::BAD_REQUEST, "invalid_request", detail));
        };
        Ok(Self { token: Zeroizing::new(token.into_owned().into()) })
    }
}

fn is_form(content_type: Option<&HeaderValue>) -> bool {
    let value = content_type.map(HeaderValue::as_bytes).unwrap_or_default();
    let essence = value.split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
}

/// The form, for the document.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes a form that is read by hand")]
pub(super) struct TokenForm {
    /// The plaintext of a token.
    token: String,
    /// Is ignored: there is one type of tokens.
    #[schema(value_type = String, required = false)]
    token_type_hint: Option<String>,
}

/// What a token is (RFC 7662)
///
/// The presented token may be asked for itself; with the scope `tokens:read` it may ask for every
/// token of its project. All others are not active.
#[utoipa::path(
    post, path = "/introspect", tag = "presented token", operation_id = "introspect",
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = IntrospectionView)),
)]
pub(super) async fn introspect<S: TokenStore, A: Access>(
    State(management): Shared<S, A>,
    Presented(caller): Presented,
    form: Form,
) -> Result<Json<IntrospectionView>, Problem> {
    let verifier = management.issuer.verifier();
    let token = match verifier.decide(&form.token).await {
        Ok(token) => token,
        Err(error @ (VerifyError::Outage(_) | VerifyError::UnknownKey { .. })) => {
            return Err(Problem::refused(error));
        }
        Err(_) => return Ok(Json(IntrospectionView::default())),
    };
    let reads = caller.project() == token.project() && caller.covers_text("tokens:read");
    if token.id() != caller.id() && !reads {
        return Ok(Json(IntrospectionView::default()));
    }
    // Whoever asks has been sent the token.
    verifier.note_use(&token, crate::Client::default());
    Ok(Json(IntrospectionView::active(&token)))
}

/// Revoke a token, for good (RFC 7009)
///
/// Whoever has it may do so. The answer is the same for a token that does not exist.
#[utoipa::path(
    post, path = "/revoke", tag = "presented token", operation_id = "revoke_presented",
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "It is not accepted any more.")),
    security(()),
)]
pub(super) async fn revoke<S: TokenStore, A: Access>(
    State(management): Shared<S, A>,
    form: Form,
) -> Result<(), Problem> {
    let (issuer, verifier) = (&management.issuer, management.issuer.verifier());
    // Not a use of the token: it must not end the overlap with its predecessor.
    match verifier.decide(&form.token).await {
        Ok(token) => {
            issuer.revoke(token.id(), &Actor::from(&token), None).await?;
        }
        // It might be switched on again: who has it wants it to be gone.
        Err(VerifyError::NotActive { id, .. } | VerifyError::OwnerWithoutAccess { id }) => {
            verifier.shared.revoke(id, None, None).await?;
        }
        Err(error @ (VerifyError::Outage(_) | VerifyError::UnknownKey { .. })) => {
            return Err(Problem::refused(error));
        }
        Err(error) => verifier.note_refusal(&error),
    }
    Ok(())
}
