//! Who may manage tokens: here one admin with a password. A product has a sign-in of its own.

use std::{fs, path::Path};

use api_tokens::{
    Principal, Project,
    management::{Access, AccessError, Grant},
};
use axum::http::{HeaderMap, header::AUTHORIZATION, request::Parts};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use rand::{TryRng, rngs::SysRng};
use subtle::ConstantTimeEq;

use crate::{Failure, log, private_files};

/// The admin's name, for the password and in records.
pub(crate) const ADMIN: &str = "admin";

pub(crate) struct AdminPassword {
    admin: Principal,
    /// Name and password, as a client sends them after `Basic` (RFC 7617).
    credentials: String,
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
        let credentials = STANDARD.encode(format!("{ADMIN}:{password}"));
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

/// The admin may manage the tokens of all projects, and nobody else of any.
impl Access for AdminPassword {
    async fn grant(&self, request: &Parts, _project: &Project) -> Result<Grant, AccessError> {
        if self.is_in(&request.headers) {
            return Ok(Grant::write(self.admin.clone()));
        }
        log::line(format_args!("refused management: not the admin's password"));
        Err(AccessError::SignedOut)
    }
}
