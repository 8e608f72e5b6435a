use std::error::Error;

use http::request::Parts;

use crate::{Actor, Principal, Project, Scopes};

/// Who the people are and what they may do: the host's own sign-in.
///
/// # Contract
///
/// `grant` is asked once for each request that does not come with an API token of the issuer's
/// prefix, and for the project in its path. It decides by the request's head alone, such as by a
/// session cookie, and checks all that it believes: nothing in `request` is verified. Whoever
/// cannot tell answers [`Denied::Outage`], never a guess.
///
/// The example of the [module](crate::management) has one.
pub trait Access: Send + Sync + 'static {
    /// Who sent `request`, and what they may do with the tokens of `project`.
    ///
    /// # Errors
    ///
    /// [`Denied`], if they may not even see them.
    fn grant(
        &self,
        request: &Parts,
        project: &Project,
    ) -> impl Future<Output = Result<Grant, Denied>> + Send;
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

    /// They may see and change all tokens of the project, and create some, which act for
    /// themselves.
    #[must_use]
    pub fn write(principal: Principal) -> Self {
        Self { principal, may_write: true, holds: None }
    }

    /// The same, but no token that they make, widen or lengthen has more than these scopes.
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

/// Why somebody may not see the tokens of a project.
#[derive(Debug)]
#[non_exhaustive]
pub enum Denied {
    /// Nobody is signed in: 401.
    SignedOut,
    /// Who is signed in has nothing to do with the project, or there is none of this name: 404,
    /// without a difference.
    NoAccess,
    /// It cannot be told now: 503. The error goes to the operator, by [`tracing`].
    Outage(Box<dyn Error + Send + Sync>),
}
