//! Forms: what they send, and what they are filled with.

use std::borrow::Cow;

use ::axum::{
    extract::{FromRequest, Request},
    http::StatusCode,
};

use super::super::{input, problem::Problem};

/// The fields that a form sends, in their order.
pub(super) struct Form(Vec<(String, String)>);

impl<State: Send + Sync> FromRequest<State> for Form {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &State) -> Result<Self, Problem> {
        let bytes = input::form(request, state).await?;
        Ok(Self(form_urlencoded::parse(&bytes).into_owned().collect()))
    }
}

impl Form {
    /// The field, without white space around it; empty if it was not sent.
    pub(super) fn text(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or_default().trim()
    }

    /// Each that has this name.
    pub(super) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

/// One entry of a drop-down list.
pub(super) struct Choice {
    pub(super) value: Cow<'static, str>,
    pub(super) text: Cow<'static, str>,
    pub(super) is_chosen: bool,
}

/// What was wrong with a form when it was sent, if it was and anything was.
pub(super) struct Flaw<'a>(pub(super) Option<&'a Problem>);

impl Flaw<'_> {
    pub(super) fn is_of(&self, field: &str) -> bool {
        self.0.is_some_and(|problem| problem.field() == Some(field))
    }

    pub(super) fn sentence(&self) -> Option<String> {
        self.0.map(Problem::sentence)
    }

    /// Of the answer that shows the form.
    pub(super) fn status(&self) -> StatusCode {
        self.0.map_or(StatusCode::OK, Problem::status)
    }
}
