//! What the holder of a token may do with it, whatever its scopes: ask what it is, and revoke it.

use std::sync::Arc;

use ::axum::{
    Json, Router,
    extract::{FromRequest, FromRequestParts, Request, State},
    http::{StatusCode, request::Parts},
    routing::{get, post},
};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::{
    Access, Managed, Management,
    caller::may_know,
    input,
    problem::Problem,
    view::{IntrospectionView, TokenView},
};
use crate::{
    Client, Issuer, RevocationReason, TokenId, TokenRecord, TokenStore, Verified, VerifyError,
};

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
    State(management): Managed<S, A>,
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
    State(management): Managed<S, A>,
    Presented(token): Presented,
) -> Result<TokenView, Problem> {
    let issuer = &management.issuer;
    let record = revoke_presented(issuer, token.id()).await?;
    Ok(TokenView::of(issuer, record).await?)
}

/// Not as the token's own deed, which it may not be able to do: those through which it was made may
/// have been revoked.
async fn revoke_presented<S: TokenStore>(
    issuer: &Issuer<S>,
    id: TokenId,
) -> Result<TokenRecord, Problem> {
    let reason: RevocationReason = "presented for revocation".parse()?;
    Ok(issuer.verifier().shared.revoke(id, None, Some(&reason)).await?)
}

/// A token in a form (RFC 7662 §2.1, RFC 7009 §2.1); what else the form has is ignored.
pub(super) struct Form {
    token: Zeroizing<Vec<u8>>,
}

impl<Inner: Send + Sync> FromRequest<Inner> for Form {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &Inner) -> Result<Self, Problem> {
        let bytes = input::form(request, state).await?;
        let mut tokens = form_urlencoded::parse(&bytes).filter(|(name, _)| name == "token");
        let (Some((_, token)), None) = (tokens.next(), tokens.next()) else {
            let detail = "the form must have one parameter `token`";
            return Err(Problem::new(StatusCode::BAD_REQUEST, "invalid_request", detail));
        };
        Ok(Self { token: Zeroizing::new(token.into_owned().into()) })
    }
}

/// The form, for the document.
#[derive(ToSchema)]
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
    State(management): Managed<S, A>,
    Presented(caller): Presented,
    form: Form,
) -> Result<Json<IntrospectionView>, Problem> {
    let verifier = management.issuer.verifier();
    let token = match verifier.decide(&form.token).await {
        Ok(token) => token,
        Err(error) => {
            verifier.note_refusal(&error);
            return match error {
                VerifyError::Outage(_) | VerifyError::UnknownKey { .. } => {
                    Err(Problem::refused(error))
                }
                _ => Ok(Json(IntrospectionView::default())),
            };
        }
    };
    if !may_know(&caller, &token) {
        return Ok(Json(IntrospectionView::default()));
    }
    // Somebody has sent it to whoever asks. From where is not known here.
    if token.id() != caller.id() {
        verifier.note_use(&token, Client::default());
    }
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
    State(management): Managed<S, A>,
    form: Form,
) -> Result<(), Problem> {
    let (issuer, verifier) = (&management.issuer, management.issuer.verifier());
    // Not a use of the token: it must not end the overlap with its predecessor.
    match verifier.decide(&form.token).await {
        Ok(token) => drop(revoke_presented(issuer, token.id()).await?),
        // Also what might be accepted again: who has it wants it to be gone.
        Err(VerifyError::NotActive { id, .. } | VerifyError::OwnerWithoutAccess { id }) => {
            revoke_presented(issuer, id).await?;
        }
        Err(error) => {
            verifier.note_refusal(&error);
            if let VerifyError::Outage(_) | VerifyError::UnknownKey { .. } = error {
                return Err(Problem::refused(error));
            }
        }
    }
    Ok(())
}
