//! One admin signs in with a password. A product has a sign-in of its own.

use std::{fs, path::Path, sync::Arc};

use api_tokens::{Clock, SystemClock};
use axum::{
    Form, Router,
    extract::{
        Query, State,
        rejection::{FormRejection, QueryRejection},
    },
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::{TryRng, rngs::SysRng};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use subtle::ConstantTimeEq;

use crate::{
    Failure, log,
    pages::{Page, SignInForm},
    private_files,
    problem::Problem,
    sessions::{LIFETIME, Sessions},
};

/// The cookie with the secret of a session.
const COOKIE: &str = "session";

pub(crate) struct SignIn {
    password: SecretString,
    is_new: bool,
    sessions: Sessions,
}

impl SignIn {
    /// Reads the password from its file, which is made with a random one if it is missing.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let is_new = !path.exists();
        if is_new {
            private_files::create(path, random_text::<24>()?.expose_secret())?;
        }
        let text = fs::read_to_string(path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let password = text.trim();
        if password.is_empty() {
            return Err(format!("{} is empty: remove it to get a new one", path.display()).into());
        }
        Ok(Self { password: password.into(), is_new, sessions: Sessions::default() })
    }

    /// The password, if it was made just now.
    pub(crate) fn new_password(&self) -> Option<&str> {
        self.is_new.then(|| self.password.expose_secret())
    }

    pub(crate) fn is_signed_in(&self, cookies: &CookieJar) -> bool {
        let now = SystemClock.monotonic();
        cookies.get(COOKIE).is_some_and(|cookie| self.sessions.contains(cookie.value(), now))
    }

    /// White space around the password is that of the file, such as its last line feed.
    fn is_password(&self, text: &SecretString) -> bool {
        let text = text.expose_secret().trim();
        text.as_bytes().ct_eq(self.password.expose_secret().as_bytes()).into()
    }
}

pub(crate) fn routes(sign_in: Arc<SignIn>) -> Router {
    Router::new()
        .route("/sign-in", get(show_form).post(begin_session))
        .route("/sign-out", post(end_session))
        .with_state(sign_in)
}

#[derive(Deserialize)]
struct Destination {
    #[serde(default)]
    return_to: String,
}

async fn show_form(
    destination: Result<Query<Destination>, QueryRejection>,
) -> Result<Page<SignInForm>, Problem> {
    let Query(Destination { return_to }) = destination?;
    Ok(Page(SignInForm { return_to: path_here(return_to), is_wrong: false }))
}

#[derive(Deserialize)]
struct Input {
    password: SecretString,
    #[serde(default)]
    return_to: String,
}

/// Nothing limits the guesses: a random password of 192 bits needs no limit, a person's would.
async fn begin_session(
    State(sign_in): State<Arc<SignIn>>,
    cookies: CookieJar,
    input: Result<Form<Input>, FormRejection>,
) -> Result<Response, Problem> {
    let Form(Input { password, return_to }) = input?;
    let return_to = path_here(return_to);
    if !sign_in.is_password(&password) {
        log::line(format_args!("refused sign-in: not the admin's password"));
        let page = Page(SignInForm { return_to, is_wrong: true });
        return Ok((StatusCode::UNAUTHORIZED, page).into_response());
    }
    let secret = random_text::<32>().map_err(Problem::internal)?;
    // `Lax`: the forms of another site come without the cookie. What is served by TLS names it
    // `__Host-session` and adds `Secure`; this listens on the loopback, without.
    let cookie = Cookie::build((COOKIE, secret.expose_secret().to_owned()))
        .http_only(true)
        .same_site(SameSite::Lax)
        .path("/")
        .max_age(LIFETIME.try_into().map_err(Problem::internal)?);
    sign_in.sessions.begin(secret, SystemClock.monotonic());
    Ok((cookies.add(cookie), Redirect::to(&return_to)).into_response())
}

/// From another site this does nothing, since it comes without the cookie. Another port of this
/// machine is the same site, but another origin.
async fn end_session(
    State(sign_in): State<Arc<SignIn>>,
    headers: HeaderMap,
    cookies: CookieJar,
) -> (CookieJar, Redirect) {
    let is_from_elsewhere =
        headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none");
    if is_from_elsewhere {
        return (cookies, Redirect::to("/"));
    }
    if let Some(cookie) = cookies.get(COOKIE) {
        sign_in.sessions.end(cookie.value());
    }
    (cookies.remove(Cookie::build(COOKIE).path("/")), Redirect::to("/sign-in"))
}

/// The path, if a browser stays on this service when it follows it, else `/`: whoever made a link
/// to the sign-in does not choose where it ends.
///
/// Browsers take a backslash for a slash, and leave out tabs and line breaks. A URL has no other
/// characters than visible ASCII.
fn path_here(path: String) -> String {
    let mut bytes = path.bytes();
    let is_here = bytes.next() == Some(b'/')
        && !matches!(bytes.next(), Some(b'/' | b'\\'))
        && path.bytes().all(|byte| byte.is_ascii_graphic());
    if is_here { path } else { "/".to_owned() }
}

/// So many random bytes in base64url.
fn random_text<const BYTES: usize>() -> Result<SecretString, Failure> {
    let mut random = [0; BYTES];
    SysRng.try_fill_bytes(&mut random)?;
    Ok(URL_SAFE_NO_PAD.encode(random).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_return_leaves_the_service() {
        for path in ["/", "/a", "/a//b", "/a\\b", "/a%20b?c=d#e", "/a?b=https://c.example"] {
            assert_eq!(path_here(path.to_owned()), path);
        }
        for path in [
            "",
            "a",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\/evil.example",
            "https://evil.example",
            "javascript:alert(1)",
            " /a",
            "/\t/evil.example",
            "/\n/evil.example",
            "/a\r\nSet-Cookie: session=x",
            "/a b",
            "/\0",
            "/\u{7f}",
            "/é",
        ] {
            assert_eq!(path_here(path.to_owned()), "/", "{path:?}");
        }
    }
}
