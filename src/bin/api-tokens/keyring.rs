use std::path::{Path, PathBuf};

use api_tokens::{KeyId, Keyring, MasterKey, ParsedToken, Prefix, TokenId};
use clap::Args;
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use crate::{failure::Failure, output::shown_path};

const VARIABLE: &str = "API_TOKENS_KEY";

#[derive(Debug, Args)]
#[command(next_help_heading = "The keys")]
pub(crate) struct KeyArguments {
    /// A file with the current key, as `api-tokens keys new --to FILE` makes it [default: the key
    /// itself is in the environment variable API_TOKENS_KEY]
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// A file with a key that will be the current one; may be repeated
    #[arg(long, value_name = "FILE")]
    upcoming_key_file: Vec<PathBuf>,
    /// A file with a key that was the current one; may be repeated
    #[arg(long, value_name = "FILE")]
    earlier_key_file: Vec<PathBuf>,
    /// The service that uses the store has no key
    #[arg(long, conflicts_with = "key_file")]
    unkeyed: bool,
    /// The service had no key before the current one
    #[arg(long, conflicts_with = "unkeyed")]
    earlier_unkeyed: bool,
}

/// The keys that are given.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) keyring: Keyring,
    /// `None` for no key.
    pub(crate) roles: Vec<(Option<KeyId>, Role)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Current,
    Upcoming,
    Earlier,
}

impl Role {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Upcoming => "upcoming",
            Self::Earlier => "earlier",
        }
    }
}

impl KeyArguments {
    pub(crate) fn read(&self) -> Result<Keys, Failure> {
        let current = self.current()?;
        let mut roles = vec![(current.as_ref().map(MasterKey::id), Role::Current)];
        let mut keyring = current.map_or_else(Keyring::unkeyed, Keyring::new);
        for path in &self.upcoming_key_file {
            let key = read_key(path)?;
            roles.push((Some(key.id()), Role::Upcoming));
            keyring = keyring.with_upcoming(key);
        }
        for path in &self.earlier_key_file {
            let key = read_key(path)?;
            roles.push((Some(key.id()), Role::Earlier));
            keyring = keyring.with_earlier(key);
        }
        if self.earlier_unkeyed {
            roles.push((None, Role::Earlier));
            keyring = keyring.with_earlier_unkeyed();
        }
        Ok(Keys { keyring, roles })
    }

    fn current(&self) -> Result<Option<MasterKey>, Failure> {
        match &self.key_file {
            _ if self.unkeyed => Ok(None),
            Some(path) => Ok(Some(read_key(path)?)),
            None if std::env::var_os(VARIABLE).is_none() => Err(Failure::new(format!(
                "which key? Add --key-file FILE, or set the environment variable {VARIABLE} to the \
                 key that the service has; --unkeyed if it has none"
            ))),
            None => refuse_token(MasterKey::from_env(VARIABLE)?, VARIABLE).map(Some),
        }
    }
}

/// # Errors
///
/// [`Failure`] if the file has no key.
pub(crate) fn read_key(path: &Path) -> Result<MasterKey, Failure> {
    refuse_token(MasterKey::from_file(path)?, &format!("key file {}", shown_path(path)))
}

/// A token is base64, too, so that a file with one would be taken for a key.
fn refuse_token(key: MasterKey, place: &str) -> Result<MasterKey, Failure> {
    let text = key.expose_base64();
    let url_safe = |character| if character == '/' { '_' } else { character };
    let mut as_token = Zeroizing::new(String::with_capacity(text.expose_secret().len()));
    as_token.extend(text.expose_secret().trim_end_matches('=').chars().map(url_safe));
    if is_token(&as_token) {
        return Err(Failure::new(format!(
            "{place} has a token, not a key: was it written to the wrong file?"
        )));
    }
    Ok(key)
}

/// Whether it is a token of any prefix.
fn is_token(text: &str) -> bool {
    // An underscore, the id, an underscore, and the secret with its checksum.
    const AFTER_PREFIX: usize = 1 + TokenId::LEN + 1 + 45;
    let prefix = text.len().checked_sub(AFTER_PREFIX).and_then(|len| text.get(..len));
    let prefix = prefix.and_then(|prefix| prefix.parse::<Prefix>().ok());
    prefix.is_some_and(|prefix| ParsedToken::parse(&prefix, text.as_bytes()).is_ok())
}
