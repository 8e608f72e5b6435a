//! Who may manage tokens: here one admin with a password. A product has a sign-in of its own.

use std::{fs, path::Path, sync::Arc};

use api_tokens::Actor;
use axum::{
    extract::{Request, State},
    http::{
        HeaderMap, StatusCode,
        header::{AUTHORIZATION, WWW_AUTHENTICATE},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use rand::{TryRng, rngs::SysRng};
use subtle::ConstantTimeEq;

use crate::{Failure, log, private_files, problem::Problem};

/// The admin's name, for the password and in records.
pub(crate) const ADMIN: &str = "admin";

#[derive(Clone)]
pub(crate) struct AdminPassword {
    admin: Actor,
    /// Name and password, as a client sends them after `Basic` (RFC 7617).
    credentials: Arc<str>,
}

impl AdminPassword {
    /// Reads the password from its file, which is made with a random one if it is missing.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        if !path.exists() {
            let mut random = [0; 24];
            SysRng.try_fill_bytes(&mut random)?;
            private_files::create(path, &URL_SAFE_NO_PAD.encode(random))?;
        }
        let text = fs::read_to_string(path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let password = text.trim();
        if password.is_empty() {
            return Err(format!("{} is empty: remove it to get a new one", path.display()).into());
        }
        let credentials = STANDARD.encode(format!("{ADMIN}:{password}")).into();
        Ok(Self { admin: ADMIN.parse()?, credentials })
    }

    fn is_in(&self, headers: &HeaderMap) -> bool {
        let mut fields = headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (fields.next(), fields.next()) else { return false };
        let Some((scheme, credentials)) = value.as_bytes().split_at_checked(b"Basic ".len()) else {
            return false;
        };
        scheme.eq_ignore_ascii_case(b"Basic ")
            && credentials.ct_eq(self.credentials.as_bytes()).into()
    }
}

/// Middleware that lets only the admin through, and tells the handlers who that is.
pub(crate) async fn require(
    State(password): State<AdminPassword>,
    mut request: Request,
    next: Next,
) -> Response {
    if password.is_in(request.headers()) {
        request.extensions_mut().insert(password.admin);
        return next.run(request).await;
    }
    log::line(format_args!("refused management: 401: not the admin's password"));
    let problem =
        Problem::new(StatusCode::UNAUTHORIZED, "The admin's name and password are required");
    ([(WWW_AUTHENTICATE, r#"Basic realm="management", charset="UTF-8""#)], problem).into_response()
}
