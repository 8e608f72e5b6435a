use std::path::PathBuf;

use api_tokens::{KeyId, Keyring, MasterKey};
use clap::Args;

use crate::failure::Failure;

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
            let key = MasterKey::from_file(path)?;
            roles.push((Some(key.id()), Role::Upcoming));
            keyring = keyring.with_upcoming(key);
        }
        for path in &self.earlier_key_file {
            let key = MasterKey::from_file(path)?;
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
            Some(path) => Ok(Some(MasterKey::from_file(path)?)),
            None if std::env::var_os(VARIABLE).is_none() => Err(Failure::new(format!(
                "which key? Add --key-file FILE, or set the environment variable {VARIABLE} to the \
                 key that the service has; --unkeyed if it has none"
            ))),
            None => Ok(Some(MasterKey::from_env(VARIABLE)?)),
        }
    }
}
