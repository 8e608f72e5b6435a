//! Who asks, and for which project: decided before any handler runs.

use std::sync::Arc;

use ::axum::{
    extract::{FromRequestParts, RawPathParams},
    http::{HeaderValue, Method, StatusCode, header, request::Parts},
};

use super::{Access, AccessError, Management, input, origin::is_trusted, problem::Problem};
use crate::{
    Actor, Client, Credentials, Project, Scopes, TokenStore, Verified, VerifyError,
    tower::has_token_in_query,
};

/// The scopes that a token needs to read the tokens of its project, and to change them.
const READ: &str = "tokens:read";
const WRITE: &str = "tokens:write";

/// Who may do what the request asks for with the tokens of `project`: to read them for `GET`, to
/// change them for everything else.
pub(super) struct Caller {
    /// Limited to the project.
    pub(super) actor: Actor,
    pub(super) project: Project,
    /// Whether they may change tokens as well.
    pub(super) may_write: bool,
}

impl<S: TokenStore, A: Access> FromRequestParts<Arc<Management<S, A>>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        management: &Arc<Management<S, A>>,
    ) -> Result<Self, Problem> {
        let project = project(parts).await;
        if parts.headers.contains_key(header::IF_MATCH) && parts.method != Method::PATCH {
            let detail = "If-Match counts for edits only";
            return Err(Problem::new(StatusCode::BAD_REQUEST, "malformed", detail));
        }
        let writes = parts.method != Method::GET && parts.method != Method::HEAD;
        if let Some(token) = management.own_token(parts).await? {
            management.require(&token, if writes { WRITE } else { READ })?;
            let project = project.filter(|project| project == token.project());
            let project = project.ok_or_else(Problem::not_found)?;
            return Ok(Self {
                actor: Actor::from(&token).in_project(project.clone()),
                project,
                may_write: token.covers_text(WRITE),
            });
        }
        if writes && !is_trusted(parts) {
            let detail = "the request comes from another site";
            return Err(Problem::new(StatusCode::FORBIDDEN, "cross_site", detail));
        }
        // A text that cannot be a project names none.
        let Some(project) = project else { return Err(Problem::not_found()) };
        let grant = match management.access.grant(parts, &project).await {
            Ok(grant) => grant,
            Err(AccessError::SignedOut) => return Err(signed_out(parts)),
            Err(AccessError::NoAccess) => return Err(Problem::not_found()),
            Err(AccessError::Outage(error)) => return Err(Problem::outage(&*error)),
        };
        if writes && !grant.may_write {
            return Err(Problem::read_only());
        }
        let may_write = grant.may_write;
        Ok(Self { actor: grant.into_actor(project.clone()), project, may_write })
    }
}

impl Caller {
    /// For a `GET` that is of no use to whoever cannot change tokens.
    pub(super) fn require_write(&self) -> Result<(), Problem> {
        if self.may_write { Ok(()) } else { Err(Problem::read_only()) }
    }
}

async fn project(parts: &mut Parts) -> Option<Project> {
    let parameters = RawPathParams::from_request_parts(parts, &()).await.ok()?;
    input::path_parameter(&parameters, "project")?.parse().ok()
}

/// Nobody's session, and not one of our tokens either.
fn signed_out(parts: &Parts) -> Problem {
    match Credentials::from_authorization(authorization(parts)) {
        Credentials::Absent | Credentials::OtherScheme => {
            let detail = "sign in, or send an API token: Authorization: Bearer TOKEN";
            Problem::new(StatusCode::UNAUTHORIZED, "signed_out", detail)
        }
        Credentials::InvalidRequest => Problem::refused(VerifyError::InvalidRequest),
        Credentials::Bearer(_) | Credentials::MalformedToken => {
            Problem::refused(VerifyError::MalformedCredentials)
        }
    }
}

fn authorization(parts: &Parts) -> impl Iterator<Item = &[u8]> {
    parts.headers.get_all(header::AUTHORIZATION).iter().map(HeaderValue::as_bytes)
}

impl<S: TokenStore, A: Access> Management<S, A> {
    /// The API token that the request comes with. `None` if it comes with none that has the
    /// issuer's prefix: then it is the host's to say who it is, perhaps by a Bearer token of its
    /// own.
    async fn own_token(&self, parts: &Parts) -> Result<Option<Verified>, Problem> {
        let is_verified = self.verified_before(parts).is_some();
        if is_verified || has_token_in_query(&parts.uri) || self.has_own_prefix(parts) {
            self.token(parts).await.map(Some)
        } else {
            Ok(None)
        }
    }

    /// By a `BearerLayer` around the router, which has taken the token out of the header.
    fn verified_before<'a>(&self, parts: &'a Parts) -> Option<&'a Verified> {
        let verified = parts.extensions.get::<Verified>()?;
        (verified.record().prefix == *self.issuer.prefix()).then_some(verified)
    }

    fn has_own_prefix(&self, parts: &Parts) -> bool {
        let prefix = self.issuer.prefix().as_str().as_bytes();
        authorization(parts).any(|value| {
            let credentials = value.trim_ascii().split_at_checked(b"Bearer".len());
            let Some((scheme, text)) = credentials else { return false };
            let rest = text.trim_ascii_start().strip_prefix(prefix);
            scheme.eq_ignore_ascii_case(b"Bearer")
                && rest.is_some_and(|rest| rest.starts_with(b"_"))
        })
    }

    /// The API token that the request must come with.
    pub(super) async fn token(&self, parts: &Parts) -> Result<Verified, Problem> {
        if let Some(token) = self.verified_before(parts) {
            return Ok(token.clone());
        }
        let verifier = self.issuer.verifier();
        if has_token_in_query(&parts.uri) {
            verifier.note_refusal(&VerifyError::InvalidRequest);
            return Err(Problem::refused(VerifyError::InvalidRequest));
        }
        let user_agent = parts.headers.get(header::USER_AGENT).map(HeaderValue::as_bytes);
        let client = Client { address: self.access.client_address(parts), user_agent };
        verifier
            .verify_authorization_from(authorization(parts), client)
            .await
            .map_err(Problem::refused)
    }

    fn require(&self, token: &Verified, scope: &str) -> Result<(), Problem> {
        if token.covers_text(scope) {
            return Ok(());
        }
        let required: Scopes = scope.parse()?;
        let error = VerifyError::InsufficientScope { id: token.id(), required };
        self.issuer.verifier().note_refusal(&error);
        Err(Problem::refused(error))
    }
}

/// Whether the holder of `caller` may know of `token`.
pub(super) fn may_know(caller: &Verified, token: &Verified) -> bool {
    let may_read = caller.project() == token.project() && caller.covers_text(READ);
    caller.id() == token.id() || may_read
}
