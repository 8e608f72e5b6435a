//! Extractors for axum, on top of the tower layer.

use core::{fmt, marker::PhantomData, ops::Deref};

use axum_core::{
    body::Body,
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use http::request::Parts;

use crate::{Realm, Refused, Scopes, Verified, VerifyError, scope};

/// What the request's token stands for, as [`BearerLayer`](crate::BearerLayer) found it.
///
/// On a route without that layer, the handler is not called: the client gets a bare 500, and
/// the rejection ([`VerifyError::NotVerified`]) says what is missing.
///
/// ```
/// use api_tokens::Verified;
///
/// async fn list(token: Verified) -> String {
///     format!("the sources of {}", token.project())
/// }
/// # axum::Router::<()>::new().route("/", axum::routing::get(list));
/// ```
impl<S: Sync> FromRequestParts<S> for Verified {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refused> {
        if let Some(verified) = parts.extensions.get::<Self>() {
            return Ok(verified.clone());
        }
        tracing::error!(target: "api_tokens", "there is no BearerLayer on a route that needs one");
        Err(refused(VerifyError::NotVerified, parts))
    }
}

/// A [`Verified`] whose token covers the scopes that `R` names: a handler that takes it declares
/// in its signature what it needs, and is not called without.
///
/// Dereferences to [`Verified`]. A token that lacks a scope is answered with 403 and the list of
/// all that are required, under the realm of the [`BearerLayer`](crate::BearerLayer) on the
/// route, which must be there.
///
/// ```
/// use api_tokens::{Authorized, RequiredScopes};
///
/// struct ReadSources;
///
/// impl RequiredScopes for ReadSources {
///     const SCOPES: &'static [&'static str] = &["sources:read"];
/// }
///
/// async fn list(token: Authorized<ReadSources>) -> String {
///     format!("the sources of {}", token.project())
/// }
/// # axum::Router::<()>::new().route("/", axum::routing::get(list));
/// ```
///
/// A text that is not a scope does not compile (`cargo build` says so; `cargo check` may not):
///
/// ```compile_fail
/// use api_tokens::{Authorized, RequiredScopes};
///
/// struct ReadSources;
///
/// impl RequiredScopes for ReadSources {
///     const SCOPES: &'static [&'static str] = &["sources read"];
/// }
///
/// async fn list(token: Authorized<ReadSources>) -> String {
///     format!("the sources of {}", token.project())
/// }
/// # axum::Router::<()>::new().route("/", axum::routing::get(list));
/// ```
pub struct Authorized<R> {
    verified: Verified,
    required: PhantomData<fn() -> R>,
}

impl<R: RequiredScopes, S: Sync> FromRequestParts<S> for Authorized<R> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        const {
            assert!(
                are_scopes(R::SCOPES),
                "RequiredScopes::SCOPES must be 1 to 64 scopes of printable ASCII without space, \
                 double quote and backslash, with a * only at the end, alone or after a colon"
            );
        }
        let verified = Verified::from_request_parts(parts, state).await?;
        // Compared as they are: a set of them is made only to refuse.
        if R::SCOPES.iter().all(|required| verified.covers_text(required)) {
            return Ok(Self { verified, required: PhantomData });
        }
        let required = R::SCOPES.iter().filter_map(|text| text.parse().ok());
        // All are scopes, and not too many, as was checked when this was compiled.
        let required = Scopes::new(required).unwrap_or_default();
        let error = VerifyError::InsufficientScope { id: verified.id(), required };
        Err(refused(error, parts))
    }
}

/// Whether `texts` are one or more scopes, and not too many for a set.
#[expect(
    clippy::indexing_slicing,
    reason = "a const fn cannot use iterators; i is below the length"
)]
const fn are_scopes(texts: &[&str]) -> bool {
    let mut i = 0;
    while i < texts.len() {
        if scope::check(texts[i]).is_err() {
            return false;
        }
        i += 1;
    }
    0 < i && i <= Scopes::MAX_COUNT
}

impl<R> Deref for Authorized<R> {
    type Target = Verified;

    fn deref(&self) -> &Verified {
        &self.verified
    }
}

impl<R> Clone for Authorized<R> {
    fn clone(&self) -> Self {
        Self { verified: self.verified.clone(), required: PhantomData }
    }
}

impl<R> fmt::Debug for Authorized<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Authorized").field(&self.verified).finish()
    }
}

/// Names the scopes that [`Authorized`] asks for. Implement it for a type of your own, named
/// after what it permits.
pub trait RequiredScopes {
    /// All scopes that are required, at least one; checked at compile time where they are used.
    const SCOPES: &'static [&'static str];
}

/// What the client is told is in [`Refused::answer`]; the refusal itself is put into the
/// response's extensions, for the operator's middleware.
impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        self.into_http_response().map(Body::from)
    }
}

/// Under the realm of the route's layer.
fn refused(reason: VerifyError, request: &Parts) -> Refused {
    let realm = request.extensions.get::<Realm>().cloned().unwrap_or_default();
    Refused::new(reason, realm)
}
