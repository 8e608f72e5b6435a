//! The document itself: what is on it, and how it is answered.

use ::axum::{
    http::{
        HeaderValue, StatusCode,
        header::{CONTENT_LENGTH, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use askama::Template;

use super::{
    super::{Product, caller::Caller, problem::Problem},
    list::List,
    place::Place,
};

/// The list of a project's tokens, perhaps behind a dialog.
#[derive(Template)]
#[template(path = "page.html", config = "src/management/page/askama.toml")]
pub(super) struct Document<'a> {
    pub(super) product: &'a Product,
    pub(super) place: &'a Place,
    pub(super) caller: &'a Caller,
    /// Or why there is none.
    pub(super) list: Result<List, Problem>,
    /// The name of a token that was revoked just now.
    pub(super) revoked: Option<String>,
    pub(super) before: Option<Before>,
}

/// What is before the list.
pub(super) struct Before {
    pub(super) title: String,
    /// Made by another template, which escapes what is in it.
    pub(super) html: String,
}

/// What is shown in place of the list if there is nothing to show.
#[derive(Template)]
#[template(path = "error.html", config = "src/management/page/askama.toml")]
pub(super) struct ErrorDocument<'a> {
    pub(super) product: &'a Product,
    pub(super) place: &'a Place,
    pub(super) problem: &'a Problem,
    /// For who is not signed in.
    pub(super) sign_in: Option<String>,
}

impl ErrorDocument<'_> {
    /// In place of a response that programs would read.
    pub(super) fn respond(&self, response: Response) -> Response {
        let (mut parts, _) = response.into_parts();
        let page = respond(parts.status, self);
        parts.headers.remove(CONTENT_LENGTH);
        parts.headers.extend(page.headers().clone());
        Response::from_parts(parts, page.into_body())
    }

    fn title(&self) -> &'static str {
        match self.problem.status() {
            StatusCode::NOT_FOUND => "Not found",
            StatusCode::UNAUTHORIZED => "You are not signed in",
            StatusCode::FORBIDDEN => "Not allowed",
            StatusCode::SERVICE_UNAVAILABLE => "Not available now",
            _ => "That did not work",
        }
    }

    fn text(&self) -> String {
        match self.problem.status() {
            // Whether there is nothing, or nothing for them.
            StatusCode::NOT_FOUND => {
                "There is no such token or project, or you have no access to it.".to_owned()
            }
            StatusCode::UNAUTHORIZED => "Nothing was done. Sign in, and come back.".to_owned(),
            _ => self.problem.sentence(),
        }
    }
}

pub(super) fn respond(status: StatusCode, document: &impl Template) -> Response {
    match document.render() {
        Ok(html) => {
            let content_type = HeaderValue::from_static("text/html; charset=utf-8");
            (status, [(CONTENT_TYPE, content_type)], html).into_response()
        }
        // Templates of this crate have nothing in them that fails.
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
