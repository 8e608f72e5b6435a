//! What a request brings besides its head: a body in JSON, or parameters of the URL. Read in two
//! steps, its shape here, what it means by the types of the fields.

use ::axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, RawPathParams, Request, rejection::BytesRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE, request::Parts},
};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::problem::Problem;
use crate::{FieldError, Scope, Scopes, TokenId};

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
        let is_json = is_json(request.headers());
        let bytes = bytes(request, state).await?;
        if bytes.is_empty() && T::IS_OPTIONAL {
            return shaped(Map::new(), Place::Body).map(Self);
        }
        if !is_json {
            let detail = "the body must be JSON: Content-Type: application/json";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", detail));
        }
        let Ok(value) = serde_json::from_slice(&bytes) else {
            let detail = "the body is not valid JSON";
            return Err(Problem::new(StatusCode::BAD_REQUEST, "malformed", detail));
        };
        let Value::Object(members) = value else {
            return Err(Place::Body.malformed("the body must be a JSON object"));
        };
        shaped(members, Place::Body).map(Self)
    }
}

pub(super) async fn bytes<State: Send + Sync>(
    request: Request,
    state: &State,
) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state).await.map_err(|rejection: BytesRejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            let detail = "the body must have at most 64 KiB";
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
        } else {
            Problem::new(StatusCode::BAD_REQUEST, "malformed", "the body did not arrive whole")
        }
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes) else { return false };
    let essence = value.split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"application/json")
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
        shaped(members, Place::Url).map(Self)
    }
}

/// Where members come from, which says what it means if they are wrong.
#[derive(Clone, Copy)]
enum Place {
    Body,
    Url,
}

impl Place {
    fn member(self, name: &'static str, problem: &'static str) -> Problem {
        match self {
            Self::Body => Problem::field(name, problem),
            Self::Url => Problem::parameter(name, problem),
        }
    }

    fn malformed(self, detail: impl Into<String>) -> Problem {
        let status = match self {
            Self::Body => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Url => StatusCode::BAD_REQUEST,
        };
        Problem::new(status, "malformed", detail)
    }
}

fn shaped<T: Shape>(members: Map<String, Value>, place: Place) -> Result<T, Problem> {
    if members.keys().any(|name| !T::FIELDS.contains(&name.as_str())) {
        let known = T::FIELDS.join(", ");
        return Err(
            place.malformed(format!("there is a name that is not known: known are {known}"))
        );
    }
    if let Some(missing) = T::REQUIRED.iter().find(|name| !members.contains_key(**name)) {
        return Err(place.member(missing, "is missing"));
    }
    serde_path_to_error::deserialize(Value::Object(members)).map_err(|error| {
        // The error itself repeats what the client sent.
        let path = error.path().to_string();
        let member = path.split(['.', '[']).next().unwrap_or_default();
        match T::FIELDS.iter().find(|name| **name == member) {
            Some(name) => place.member(name, "has not the form that it must have"),
            None => place.malformed("what is sent has not the form that it must have"),
        }
    })
}

/// The id in the path. What is not an id at all is one that no token has.
pub(super) struct Id(pub(super) TokenId);

impl<State: Send + Sync> FromRequestParts<State> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Self, Problem> {
        let parameters = RawPathParams::from_request_parts(parts, &()).await;
        let parameters = parameters.map_err(|_| Problem::not_found())?;
        let text = parameters.iter().find(|(name, _)| *name == "id").map(|(_, text)| text);
        let id = text.and_then(|text| text.parse().ok());
        id.map(Self).ok_or_else(Problem::not_found)
    }
}

/// Scopes as a body has them.
pub(super) fn scopes(texts: Vec<String>) -> Result<Scopes, Problem> {
    let scopes: Vec<Scope> = texts.into_iter().map(Scope::try_from).collect::<Result<_, _>>()?;
    Ok(Scopes::try_from(scopes)?)
}

/// An instant as RFC 3339 has it.
pub(super) fn instant(field: &'static str, text: &str) -> Result<Timestamp, Problem> {
    text.parse().map_err(|_| {
        Problem::field(field, "must be an instant such as 2030-01-31T12:00:00Z (RFC 3339)")
    })
}

/// The text of a field, read by its type.
pub(super) fn optional<T: core::str::FromStr<Err = FieldError>>(
    name: &'static str,
    text: Option<String>,
) -> Result<Option<T>, Problem> {
    let parsed = text.map(|text| text.parse()).transpose();
    Ok(parsed.map_err(|error: FieldError| error.named(name))?)
}
