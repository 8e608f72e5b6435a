use core::{error::Error, net::IpAddr};
use std::sync::Arc;

use http::request::Parts;

use super::Product;
use crate::{Actor, Principal, Project, Scopes};

/// Who the people are and what they may do: the host's own sign-in; and what they are told of the
/// host.
///
/// # Contract
///
/// `grant` is asked once for each request about a project that does not come with an API token of
/// the issuer's prefix. It decides by the request's head alone, such as by a session cookie, and
/// checks all that it believes: nothing in `request` is verified. Whoever cannot tell answers
/// [`AccessError::Outage`], never a guess.
///
/// Tokens that another system issued and that the verifier accepts
/// ([`ImportFormat`](crate::ImportFormat)) have no such prefix, so `grant` is asked for them: they
/// cannot manage tokens.
///
/// `request.uri` has only what is below the router's own paths, as in every nested router; the
/// whole is in the extension [`OriginalUri`](::axum::extract::OriginalUri).
///
/// The example of the [module](crate::management) has one.
pub trait Access: Send + Sync + 'static {
    /// Who sent `request`, and what they may do with the tokens of `project`.
    ///
    /// # Errors
    ///
    /// [`AccessError`], if they may not even see them, or if that cannot be told.
    fn grant(
        &self,
        request: &Parts,
        project: &Project,
    ) -> impl Future<Output = Result<Grant, AccessError>> + Send;

    /// Where a request comes from, for the [`Usage`](crate::Usage) of the token that it comes with:
    /// only the host knows whether to believe a proxy's header. By default it is not known.
    fn client_address(&self, request: &Parts) -> Option<IpAddr> {
        let _ = request;
        None
    }

    /// What the page tells people of the product. Asked for once, when the router is made.
    fn product(&self) -> Product {
        Product::default()
    }
}

/// For a host that shares it with its own handlers.
impl<T: Access> Access for Arc<T> {
    fn grant(
        &self,
        request: &Parts,
        project: &Project,
    ) -> impl Future<Output = Result<Grant, AccessError>> + Send {
        T::grant(self, request, project)
    }

    fn client_address(&self, request: &Parts) -> Option<IpAddr> {
        T::client_address(self, request)
    }

    fn product(&self) -> Product {
        T::product(self)
    }
}

/// What a person may do with the tokens of one project.
#[derive(Debug, Clone)]
pub struct Grant {
    principal: Principal,
    pub(super) may_write: bool,
    holds: Option<Scopes>,
}

impl Grant {
    /// They may see all tokens of the project.
    #[must_use]
    pub fn read(principal: Principal) -> Self {
        Self { principal, may_write: false, holds: None }
    }

    /// They may see and change all tokens of the project, and create tokens, which act for this
    /// person. Whoever rotates somebody else's token gets one that acts for that owner.
    ///
    /// **Of all scopes**, `*` and `tokens:*` included: whoever may not do everything in the project
    /// is limited by [`holding`](Self::holding).
    #[must_use]
    pub fn write(principal: Principal) -> Self {
        Self { principal, may_write: true, holds: None }
    }

    /// The same, but no token that they make, rotate, widen, lengthen or enable has more than these
    /// scopes. They can take rights away (disable, revoke, narrow, shorten) from every token of the
    /// project all the same. For [`write`](Self::write): who may only read makes none.
    #[must_use]
    pub fn holding(self, scopes: Scopes) -> Self {
        Self { holds: Some(scopes), ..self }
    }

    pub(super) fn into_actor(self, project: Project) -> Actor {
        let actor = Actor::from(self.principal).in_project(project);
        match self.holds {
            Some(scopes) => actor.holding(scopes),
            None => actor,
        }
    }
}

/// Why there is no grant.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// Nobody is signed in: 401.
    #[error("nobody is signed in")]
    SignedOut,
    /// Who is signed in has nothing to do with the project, or there is none of this name: 404,
    /// without a difference.
    #[error("no access to this project")]
    NoAccess,
    /// It cannot be told now: 503. The error goes to the operator, by [`tracing`].
    #[error("the access could not be told")]
    Outage(#[source] Box<dyn Error + Send + Sync>),
}

impl AccessError {
    /// It cannot be told now: for `map_err(AccessError::outage)?`.
    pub fn outage(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Outage(error.into())
    }
}
