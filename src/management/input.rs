//! What a request brings besides its head: a body in JSON, a form, or parameters of the URL. Read
//! in two steps, its shape here, what it means by the types of the fields.

use ::axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, RawPathParams, Request, rejection::BytesRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE, request::Parts},
};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{MAX_BODY_KIB, problem::Problem};
use crate::{FieldError, Scope, Scopes, TokenId, header};

/// A set of named members, of which each is known.
pub(super) trait Shape: DeserializeOwned {
    /// The names of all members.
    const FIELDS: &'static [&'static str];
    /// Of those that must be there.
    const REQUIRED: &'static [&'static str] = &[];
    /// Whether no body is as good as one without members.
    const IS_OPTIONAL: bool = false;
}

/// A JSON object as the body.
pub(super) struct Body<T>(pub(super) T);

impl<T: Shape, State: Send + Sync> FromRequest<State> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &State) -> Result<Self, Problem> {
        let is_json = has_media_type(request.headers(), "application/json");
        let bytes = bytes(request, state).await?;
        if bytes.is_empty() && T::IS_OPTIONAL {
            return shaped(Map::new()).map(Self);
        }
        if !is_json {
            let detail = "the body must be JSON: Content-Type: application/json";
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                detail,
            ));
        }
        let Ok(value) = serde_json::from_slice(&bytes) else {
            let detail = "the body is not valid JSON";
            return Err(Problem::new(StatusCode::BAD_REQUEST, "malformed", detail));
        };
        let Value::Object(members) = value else {
            return Err(malformed("the body must be a JSON object"));
        };
        shaped(members).map(Self)
    }
}

async fn bytes<State: Send + Sync>(request: Request, state: &State) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state).await.map_err(|rejection: BytesRejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            let detail = format!("the body must have at most {MAX_BODY_KIB} KiB");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
        } else {
            Problem::new(StatusCode::BAD_REQUEST, "malformed", "the body did not arrive whole")
        }
    })
}

/// The body of a form.
pub(super) async fn form<State: Send + Sync>(
    request: Request,
    state: &State,
) -> Result<Bytes, Problem> {
    let is_form = has_media_type(request.headers(), "application/x-www-form-urlencoded");
    let bytes = bytes(request, state).await?;
    if !is_form {
        let detail = "the body must be a form: application/x-www-form-urlencoded";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(Problem::new(status, "unsupported_media_type", detail));
    }
    Ok(bytes)
}

fn has_media_type(headers: &HeaderMap, media_type: &str) -> bool {
    let value = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    header::has_media_type(value, media_type)
}

/// The parameters of the URL, each at most once.
pub(super) struct Parameters<T>(pub(super) T);

impl<T: Shape, State: Sync> FromRequestParts<State> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default().as_bytes();
        let mut members = Map::new();
        for (name, value) in form_urlencoded::parse(query) {
            let before = members.insert(name.into_owned(), Value::String(value.into_owned()));
            if before.is_some() {
                let detail = "a parameter must not be repeated";
                return Err(Problem::new(StatusCode::BAD_REQUEST, "malformed", detail));
            }
        }
        shaped(members).map(Self)
    }
}

fn shaped<T: Shape>(members: Map<String, Value>) -> Result<T, Problem> {
    if members.keys().any(|name| !T::FIELDS.contains(&name.as_str())) {
        let known = T::FIELDS.join(", ");
        return Err(malformed(format!("there is an unknown name; known are: {known}")));
    }
    if let Some(missing) = T::REQUIRED.iter().find(|name| !members.contains_key(**name)) {
        return Err(Problem::in_field(missing, "is missing"));
    }
    serde_path_to_error::deserialize(Value::Object(members)).map_err(|error| {
        // The error itself repeats what the client sent.
        let path = error.path().to_string();
        let member = path.split(['.', '[']).next().unwrap_or_default();
        match T::FIELDS.iter().find(|name| **name == member) {
            Some(name) => Problem::in_field(name, "is not of the right type"),
            None => malformed("a member is not of the right type"),
        }
    })
}

fn malformed(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "malformed", detail)
}

/// The id in the path. What is not an id at all is one that no token has.
pub(super) struct Id(pub(super) TokenId);

impl<State: Send + Sync> FromRequestParts<State> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Self, Problem> {
        let parameters = RawPathParams::from_request_parts(parts, &()).await;
        let parameters = parameters.map_err(|_| Problem::not_found())?;
        let id = path_parameter(&parameters, "id").and_then(|text| text.parse().ok());
        id.map(Self).ok_or_else(Problem::not_found)
    }
}

/// A parameter of the path. The host may have mounted the router below parameters of its own, which
/// come before.
pub(super) fn path_parameter<'a>(parameters: &'a RawPathParams, name: &str) -> Option<&'a str> {
    let named = parameters.iter().filter(|(own, _)| *own == name);
    named.last().map(|(_, text)| text)
}

/// Scopes as a body has them.
pub(super) fn scopes(texts: Vec<String>) -> Result<Scopes, Problem> {
    let scopes: Vec<Scope> = texts.into_iter().map(Scope::try_from).collect::<Result<_, _>>()?;
    Ok(Scopes::try_from(scopes)?)
}

/// An instant as RFC 3339 has it.
pub(super) fn instant(
    name: &'static str,
    text: Option<String>,
) -> Result<Option<Timestamp>, Problem> {
    let parsed = text.map(|text| text.parse()).transpose();
    parsed.map_err(|_| {
        Problem::in_field(name, "must be an instant such as 2030-01-31T12:00:00Z (RFC 3339)")
    })
}

/// The text of a field, read by its type.
pub(super) fn text<T: core::str::FromStr<Err = FieldError>>(
    name: &'static str,
    text: Option<String>,
) -> Result<Option<T>, Problem> {
    let parsed = text.map(|text| text.parse()).transpose();
    Ok(parsed.map_err(|error: FieldError| error.named(name))?)
}

/// A pattern of names, which is compared with many.
pub(super) fn pattern(name: &'static str, text: Option<String>) -> Result<Option<String>, Problem> {
    const MAX_CHARS: usize = 200;
    match text {
        Some(text) if text.chars().nth(MAX_CHARS).is_some() => {
            Err(Problem::in_field(name, format!("must have at most {MAX_CHARS} characters")))
        }
        text => Ok(text),
    }
}

/// The id of a token.
pub(super) fn token_id(
    name: &'static str,
    text: Option<String>,
) -> Result<Option<TokenId>, Problem> {
    let parsed = text.map(|text| text.parse()).transpose();
    parsed.map_err(|_| Problem::in_field(name, "is not the id of a token"))
}

/// One of the words of an enumeration.
pub(super) fn word<T: DeserializeOwned>(name: &'static str, text: String) -> Result<T, Problem> {
    serde_json::from_value(text.into())
        .map_err(|_| Problem::in_field(name, "must be one of the words in the document"))
}

/// A parameter of the URL, read by its type. What is wrong with it is told by its name alone.
pub(super) fn parsed<T: core::str::FromStr>(
    name: &'static str,
    text: Option<String>,
) -> Result<Option<T>, Problem> {
    text.map(|text| text.parse())
        .transpose()
        .map_err(|_| Problem::in_field(name, "is not of the right type"))
}
