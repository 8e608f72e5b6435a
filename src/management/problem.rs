use core::fmt;

use ::axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{FieldError, IssuerError, Realm, Refused, ScopeError, StoreErrorKind, VerifyError};

/// Why a request was not carried out.
#[derive(Debug)]
pub(super) enum Problem {
    /// The presented token was refused.
    Refused(Refused),
    Own(Box<Details>),
}

#[derive(Debug, Clone)]
pub(super) struct Details {
    status: StatusCode,
    error: &'static str,
    field: Option<&'static str>,
    /// To be read after the name of the field, if there is one.
    problem: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, error: &'static str, detail: impl Into<String>) -> Self {
        Self::Own(Box::new(Details { status, error, field: None, problem: detail.into() }))
    }

    pub(super) fn refused(error: VerifyError) -> Self {
        Self::Refused(Refused::new(error, Realm::default()))
    }

    /// A member, a parameter or a field of the header is at fault.
    pub(super) fn in_field(field: &'static str, problem: impl fmt::Display) -> Self {
        Self::Own(Box::new(Details {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            error: "invalid_field",
            field: Some(field),
            problem: problem.to_string(),
        }))
    }

    pub(super) fn no_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "there is no such path")
    }

    pub(super) fn no_method() -> Self {
        let detail = "this path does not take this method";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
    }

    /// They may see the tokens of the project.
    pub(super) fn read_only() -> Self {
        let detail = "you may see the tokens of this project, but not change them";
        Self::new(StatusCode::FORBIDDEN, "read_only", detail)
    }

    /// No token, or none that the caller may know of: one answer for both.
    pub(super) fn not_found() -> Self {
        IssuerError::NotFound.into()
    }

    /// The operator hears why, the client does not.
    pub(super) fn outage(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(target: "api_tokens::management", error, "outage");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "try again later")
    }
}

/// For the page, which tells people of it in its own way.
impl Problem {
    /// The problem that a response tells of.
    pub(super) fn of(response: &Response) -> Option<Self> {
        let extensions = response.extensions();
        let own = extensions.get::<Details>().cloned().map(|details| Self::Own(Box::new(details)));
        own.or_else(|| extensions.get::<Refused>().cloned().map(Self::Refused))
    }

    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Own(own) => own.status,
            Self::Refused(refused) => StatusCode::from_u16(refused.answer().status())
                .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    pub(super) fn is_signed_out(&self) -> bool {
        matches!(self, Self::Own(own) if own.error == "signed_out")
    }

    /// Whether a form has done already what it was for.
    pub(super) fn is_repeated(&self) -> bool {
        matches!(self, Self::Own(own) if own.error == "repeated")
    }

    pub(super) fn field(&self) -> Option<&'static str> {
        match self {
            Self::Own(own) => own.field,
            Self::Refused(_) => None,
        }
    }

    /// What is wrong, as a sentence.
    pub(super) fn sentence(&self) -> String {
        let own = match self {
            Self::Own(own) => own,
            Self::Refused(refused) => return format!("{}.", refused.answer().detail()),
        };
        let text = match own.field {
            Some("expires_at") => format!("the expiry {}.", own.problem),
            Some("expires_on") => format!("the last day {}.", own.problem),
            Some("idempotency_key") => "open the form again, please.".to_owned(),
            Some(name) => format!("the {name} {}.", own.problem),
            None if self.is_repeated() => {
                format!("{}. Send the form again for another token.", own.problem)
            }
            None => format!("{}.", own.problem),
        };
        let mut characters = text.chars();
        let first = characters.next().map(char::to_uppercase);
        first.into_iter().flatten().chain(characters).collect()
    }
}

impl Details {
    fn detail(&self) -> String {
        match self.field {
            Some(field) => format!("{field} {}", self.problem),
            None => self.problem.clone(),
        }
    }
}

impl From<IssuerError> for Problem {
    fn from(error: IssuerError) -> Self {
        let (status, word) = match &error {
            IssuerError::Invalid(field) => return field.into(),
            IssuerError::NotFound => (StatusCode::NOT_FOUND, "not_found"),
            IssuerError::NotAllowed { .. } | IssuerError::OtherPrefix => {
                (StatusCode::CONFLICT, "not_allowed")
            }
            IssuerError::PredecessorInUse { .. } => (StatusCode::CONFLICT, "predecessor_in_use"),
            IssuerError::Repeated { .. } => (StatusCode::CONFLICT, "repeated"),
            IssuerError::Changed { .. } => (StatusCode::PRECONDITION_FAILED, "changed"),
            IssuerError::Exceeds(_) => (StatusCode::FORBIDDEN, "exceeds"),
            IssuerError::ActorNotActive(_) => (StatusCode::FORBIDDEN, "actor_not_active"),
            // A conflict is one that did not pass, however often it was tried again.
            IssuerError::Store(store)
                if [StoreErrorKind::Unavailable, StoreErrorKind::Conflict]
                    .contains(&store.kind()) =>
            {
                return Self::outage(&error);
            }
            IssuerError::AlreadyImported { .. }
            | IssuerError::KeyInUse { .. }
            | IssuerError::KeyNotRetirable
            | IssuerError::Random
            | IssuerError::Store(_) => {
                let error: &dyn std::error::Error = &error;
                tracing::error!(target: "api_tokens::management", error, "failed");
                let detail = "the server failed to handle the request";
                return Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail);
            }
        };
        Self::new(status, word, error.to_string())
    }
}

impl From<&FieldError> for Problem {
    fn from(error: &FieldError) -> Self {
        // What is sent in seconds has that in its name.
        let field = if error.field() == "overlap" { "overlap_seconds" } else { error.field() };
        Self::in_field(field, error.problem())
    }
}

impl From<FieldError> for Problem {
    fn from(error: FieldError) -> Self {
        (&error).into()
    }
}

impl From<ScopeError> for Problem {
    fn from(error: ScopeError) -> Self {
        FieldError::from(error).into()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let own = match self {
            Self::Refused(refused) => return refused.into_response(),
            Self::Own(own) => own,
        };
        let body = ProblemView {
            kind: "about:blank",
            title: own.status.canonical_reason().unwrap_or_default(),
            status: own.status.as_u16(),
            detail: own.detail(),
            error: own.error,
            field: own.field,
        };
        let mut response = (own.status, Json(body)).into_response();
        let headers = response.headers_mut();
        let content_type = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, content_type);
        if own.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"api\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if own.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        // For the page, which makes its own answer of them.
        response.extensions_mut().insert(*own);
        response
    }
}

/// A problem, as RFC 9457 has it.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemView {
    /// `about:blank`: the problem is told by `status` and `error`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The phrase of the status code.
    title: &'static str,
    /// The HTTP status code.
    status: u16,
    /// What is wrong, for people.
    detail: String,
    /// What is wrong, for programs: of the request, `malformed`, `invalid_field`, `too_large`,
    /// `unsupported_media_type`, `not_found`, `method_not_allowed`; of who asks, `signed_out`,
    /// `read_only`, `cross_site`, `exceeds`, `actor_not_active`, and those of RFC 6750, of which
    /// there is none if no token was presented; of the token, `not_allowed`, `predecessor_in_use`,
    /// `repeated`, `changed`; of the server, `unavailable`, `internal`.
    #[schema(example = "invalid_field", required = false)]
    error: &'static str,
    /// The field at fault, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "name", nullable = false)]
    field: Option<&'static str>,
}
