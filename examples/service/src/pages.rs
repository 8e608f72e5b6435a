//! Pages for people.

use std::sync::Arc;

use api_tokens::Project;
use askama::Template;
use axum::{
    Router,
    extract::State,
    http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    response::{Html, IntoResponse, Redirect, Response},
    routing::get,
};
use axum_extra::extract::cookie::CookieJar;
use sources::Sources;

use crate::{MANAGEMENT, problem::Problem, sign_in::SignIn};

/// No scripts, nothing of other sites, and no other site shows it in a frame.
const POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; \
                      frame-ancestors 'none'; base-uri 'none'";

/// A template as an answer, kept by nobody.
pub(crate) struct Page<T>(pub(crate) T);

impl<T: Template> IntoResponse for Page<T> {
    fn into_response(self) -> Response {
        let headers = [(CONTENT_SECURITY_POLICY, POLICY), (CACHE_CONTROL, "no-store")];
        match self.0.render() {
            Ok(text) => (headers, Html(text)).into_response(),
            Err(error) => Problem::internal(error).into_response(),
        }
    }
}

#[derive(Template)]
#[template(path = "sign_in.html")]
pub(crate) struct SignInForm {
    /// Where to go then: a path on this service.
    pub(crate) return_to: String,
    /// Whether it was tried just now with a wrong password.
    pub(crate) is_wrong: bool,
}

#[derive(Template)]
#[template(path = "home.html")]
struct Home<'a> {
    projects: Vec<&'a Project>,
}

pub(crate) fn routes(sign_in: Arc<SignIn>, sources: Arc<Sources>) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/style.css", get(style))
        .with_state((sign_in, sources))
}

async fn home(
    State((sign_in, sources)): State<(Arc<SignIn>, Arc<Sources>)>,
    cookies: CookieJar,
) -> Response {
    if !sign_in.is_signed_in(&cookies) {
        return Redirect::to("/sign-in").into_response();
    }
    let projects = sources.summary().map(|(project, ..)| project).collect();
    Page(Home { projects }).into_response()
}

async fn style() -> impl IntoResponse {
    let headers = [(CONTENT_TYPE, "text/css; charset=utf-8"), (CACHE_CONTROL, "no-store")];
    (headers, include_str!("../templates/style.css"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_projects_are_text_and_one_segment_of_a_path() {
        let names = ["a b/c", "ü?#%", "<i>\"'&"].map(|name| name.parse().unwrap());
        let page = Home { projects: names.iter().collect() }.render().unwrap();
        for part in [
            r#"<a href="/management/projects/a%20b%2Fc/tokens">a b/c</a>"#,
            r#"<a href="/management/projects/%C3%BC%3F%23%25/tokens">ü?#%</a>"#,
            r#"<a href="/management/projects/%3Ci%3E%22%27%26/tokens">&#60;i&#62;&#34;&#39;&#38;</a>"#,
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
    }
}
