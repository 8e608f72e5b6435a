use core::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;

#[cfg(feature = "management")]
use crate::Scope;
use crate::{
    DoneBy, FieldError, IssuerError, Prefix, Principal, Project, Scopes, TokenId, TokenRecord,
    Verified, error::Limit,
};

/// Who asks an [`Issuer`](crate::Issuer) for something: a person or service that the host has
/// identified, or a token.
///
/// What is done through a token never exceeds that token, which is checked as part of the very
/// transaction: the token must be accepted still; it sees the tokens of its own project and prefix
/// only; and what it creates, rotates or imports acts for its own owner; and nothing that it gives
/// (by these, or by enabling, lengthening or widening) is a scope that it does not cover, nor lasts
/// longer than it.
/// Once a token is revoked or disabled, those that were made through it, at any remove, cannot be
/// acted through either; they are accepted still, and
/// [`Selection::created_through`](crate::Selection::created_through) finds them. It may take rights
/// away (disable, revoke, narrow, shorten) from any token of its project: whether it may do that at
/// all is for the host to say, for example by asking for a scope `tokens:write`.
///
/// A person has no limits here but those that the host sets with [`in_project`](Self::in_project)
/// and [`holding`](Self::holding).
///
/// ```
/// use api_tokens::{Actor, Principal};
///
/// let ann: Actor = "ann".parse()?;
/// let editor = Actor::from("ben".parse::<Principal>()?)
///     .in_project("acme".parse()?)
///     .holding("sources:*".parse()?);
/// # Ok::<_, api_tokens::FieldError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Actor {
    principal: Principal,
    pub(crate) token: Option<Verified>,
    project: Option<Project>,
    holds: Option<Scopes>,
}

impl Actor {
    /// The person or service; of a token, its owner.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Limits the actor to the tokens of one project: all others do not exist for them.
    #[must_use]
    pub fn in_project(self, project: Project) -> Self {
        Self { project: Some(project), ..self }
    }

    /// Limits what the actor can give to others to what these scopes cover.
    #[must_use]
    pub fn holding(self, scopes: Scopes) -> Self {
        Self { holds: Some(scopes), ..self }
    }

    /// Whether a token that they make may have this scope, as far as can be told without the store.
    #[cfg(feature = "management")]
    pub(crate) fn may_give(&self, scope: &Scope) -> bool {
        let is_held = |held: &Scopes| held.iter().any(|held| held.covers(scope));
        self.holds.as_ref().is_none_or(is_held)
            && self.token.as_ref().is_none_or(|token| token.covers_text(scope.as_str()))
    }

    pub(crate) fn done_by(&self) -> DoneBy {
        let token = self.token.as_ref().map(Verified::id);
        DoneBy { principal: self.principal.clone(), token }
    }
}

impl From<Principal> for Actor {
    fn from(principal: Principal) -> Self {
        Self { principal, token: None, project: None, holds: None }
    }
}

/// The token that the request came with.
impl From<&Verified> for Actor {
    fn from(token: &Verified) -> Self {
        Self { token: Some(token.clone()), ..Self::from(token.owner().clone()) }
    }
}

impl FromStr for Actor {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        text.parse::<Principal>().map(Self::from)
    }
}

/// The one place that says how far an actor can go, as of when its token was read.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    pub(crate) by: Option<DoneBy>,
    /// The one that the host sets, and that of the token.
    projects: [Option<Project>; 2],
    /// What is given away must be covered by each.
    holds: Vec<Arc<Scopes>>,
    pub(crate) ends_at: Option<Timestamp>,
    /// For whom alone it can have tokens: the owner of the acting token.
    owner: Option<Principal>,
    /// That of the acting token: those of another environment that shares the store are none of
    /// its business.
    prefix: Option<Prefix>,
    /// The acting token, those through which it was made, and their versions: the write must fail
    /// if one has changed.
    pub(crate) unchanged: Vec<(TokenId, u32)>,
}

impl Limits {
    /// `token` is the actor's token as it is stored now, `owner_scopes` what its owner may do now.
    pub(crate) fn new(
        actor: &Actor,
        token: Option<&TokenRecord>,
        owner_scopes: Option<Arc<Scopes>>,
    ) -> Self {
        let mut holds: Vec<Arc<Scopes>> = Vec::new();
        holds.extend(actor.holds.clone().map(Arc::new));
        holds.extend(token.map(|token| Arc::new(token.scopes.clone())));
        holds.extend(actor.token.as_ref().and_then(Verified::owner_scopes).cloned());
        holds.extend(owner_scopes);
        Self {
            by: Some(actor.done_by()),
            projects: [actor.project.clone(), token.map(|token| token.project.clone())],
            holds,
            ends_at: token.and_then(TokenRecord::ends_at),
            owner: token.map(|token| token.owner.clone()),
            prefix: token.map(|token| token.prefix),
            unchanged: token.map(|token| (token.id, token.version)).into_iter().collect(),
        }
    }

    /// A project outside of which the actor sees nothing.
    pub(crate) fn project(&self) -> Option<&Project> {
        self.projects.iter().flatten().next()
    }

    pub(crate) fn sees(&self, record: &TokenRecord) -> bool {
        self.acts_in(&record.project) && self.prefix.is_none_or(|own| own == record.prefix)
    }

    pub(crate) fn acts_in(&self, project: &Project) -> bool {
        self.projects.iter().flatten().all(|own| own == project)
    }

    /// Whether whoever asks may come to hold a token that acts for this owner.
    pub(crate) fn check_owner(&self, owner: &Principal) -> Result<(), IssuerError> {
        if self.owner.as_ref().is_none_or(|own| own == owner) {
            Ok(())
        } else {
            Err(IssuerError::Exceeds(Limit::Owner))
        }
    }

    /// Whether somebody may come to hold a token of these scopes until then.
    pub(crate) fn check(
        &self,
        scopes: &Scopes,
        ends_at: Option<Timestamp>,
    ) -> Result<(), IssuerError> {
        self.check_scopes(scopes)?;
        self.check_end(ends_at)
    }

    pub(crate) fn check_scopes(&self, scopes: &Scopes) -> Result<(), IssuerError> {
        if self.holds.iter().all(|held| held.covers(scopes)) {
            Ok(())
        } else {
            Err(IssuerError::Exceeds(Limit::Scopes))
        }
    }

    pub(crate) fn check_end(&self, ends_at: Option<Timestamp>) -> Result<(), IssuerError> {
        let Some(own_end) = self.ends_at else { return Ok(()) };
        if ends_at.is_some_and(|end| end <= own_end) {
            Ok(())
        } else {
            Err(IssuerError::Exceeds(Limit::Lifetime))
        }
    }
}
