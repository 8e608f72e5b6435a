//! One place where a token may be, and asking it.

use core::{fmt, time::Duration};
use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::{
    command::Command,
    dotenv,
    error::{Failure, TokenSourceError},
    file,
};

/// What was found, before anybody has looked at it.
pub(super) type Text = Zeroizing<Vec<u8>>;

#[derive(Clone)]
pub(super) struct Place {
    at: Where,
    pub(super) timeout: Duration,
}

#[derive(Clone)]
pub(super) enum Where {
    Environment(String),
    File(PathBuf),
    EnvironmentOrFile(String),
    Dotenv {
        path: PathBuf,
        variable: String,
    },
    SystemdCredential(String),
    Command(Command),
    #[cfg(feature = "keyring")]
    Keyring {
        service: String,
        user: String,
    },
    #[cfg(test)]
    Scripted(super::holding::tests::Script),
}

/// What a place says.
pub(super) enum Answer {
    Found {
        text: Text,
        /// As it stands in messages.
        name: String,
    },
    /// There is nothing, in a sentence.
    Absent(String),
}

impl Place {
    const TIMEOUT: Duration = Duration::from_secs(30);

    pub(super) fn new(at: Where) -> Self {
        Self { at, timeout: Self::TIMEOUT }
    }

    pub(super) async fn read(&self) -> Result<Answer, TokenSourceError> {
        match tokio::time::timeout(self.timeout, self.at.read()).await {
            Ok(answer) => answer,
            Err(_) => Err(TokenSourceError::failed(self.at.name(), Failure::Slow(self.timeout))),
        }
    }

    pub(super) fn file(&self) -> Option<PathBuf> {
        self.at.file()
    }
}

impl Where {
    async fn read(&self) -> Result<Answer, TokenSourceError> {
        let name = self.name();
        let (found, absence) = match self {
            Self::Environment(variable) => (Ok(variable_text(variable)), "is not set"),
            Self::EnvironmentOrFile(variable) => return Self::read_either(variable).await,
            Self::File(path) => (file_text(path.clone()).await, "does not exist"),
            Self::Dotenv { path, variable } => match file_text(path.clone()).await {
                Ok(Some(text)) => (dotenv::find(&text, variable), "is not set"),
                other => (other, "is not set, since the file does not exist"),
            },
            Self::SystemdCredential(credential) => match credential_path(credential) {
                Ok(Some(path)) => (file_text(path).await, "was not handed to this service"),
                Ok(None) => (Ok(None), "is missing, since CREDENTIALS_DIRECTORY is not set"),
                Err(failure) => (Err(failure), ""),
            },
            Self::Command(command) => (command.run().await.map(Some), ""),
            #[cfg(feature = "keyring")]
            Self::Keyring { service, user } => {
                (super::keyring::read(service.clone(), user.clone()).await, "does not exist")
            }
            #[cfg(test)]
            Self::Scripted(script) => (script.read().await, "is absent"),
        };
        match found {
            Ok(Some(text)) => Ok(Answer::Found { text, name }),
            Ok(None) => Ok(Answer::Absent(format!("{name} {absence}"))),
            Err(failure) => Err(TokenSourceError::failed(name, failure)),
        }
    }

    async fn read_either(variable: &str) -> Result<Answer, TokenSourceError> {
        let file_variable = file_variable(variable);
        let name = Self::EnvironmentOrFile(variable.to_owned()).name();
        match (variable_text(variable), env::var_os(&file_variable)) {
            (None, None) => {
                Ok(Answer::Absent(format!("{name} is not set, nor is {file_variable}")))
            }
            (Some(text), None) => Ok(Answer::Found { text, name }),
            (Some(_), Some(_)) => {
                Err(TokenSourceError::failed(name, Failure::BothSet(file_variable)))
            }
            (None, Some(path)) => {
                match file_text(PathBuf::from(path)).await {
                    Ok(Some(text)) => Ok(Answer::Found { text, name }),
                    // Somebody said that it is there.
                    Ok(None) => Err(TokenSourceError::failed(name, Failure::NoSuchFile)),
                    Err(failure) => Err(TokenSourceError::failed(name, failure)),
                }
            }
        }
    }

    /// As it stands in messages. Nothing in it is secret: not a command's arguments.
    fn name(&self) -> String {
        match self {
            Self::Environment(variable) => format!("environment variable {variable}"),
            // Not the path, which may be the token itself, by mistake.
            Self::EnvironmentOrFile(variable) => match file_variable(variable) {
                named if env::var_os(variable).is_none() && env::var_os(&named).is_some() => {
                    format!("the file that {named} names")
                }
                _ => format!("environment variable {variable}"),
            },
            Self::File(path) => format!("file {}", path.display()),
            Self::Dotenv { path, variable } => {
                format!("variable {variable} in file {}", path.display())
            }
            Self::SystemdCredential(credential) => format!("systemd credential {credential}"),
            Self::Command(command) => format!("the output of `{}`", command.program()),
            #[cfg(feature = "keyring")]
            Self::Keyring { service, user } => {
                format!("keyring entry for {user} at {service}")
            }
            #[cfg(test)]
            Self::Scripted(_) => "the script".to_owned(),
        }
    }

    fn file(&self) -> Option<PathBuf> {
        match self {
            Self::File(path) | Self::Dotenv { path, .. } => Some(path.clone()),
            Self::EnvironmentOrFile(variable) => {
                env::var_os(file_variable(variable)).map(PathBuf::from)
            }
            Self::SystemdCredential(credential) => credential_path(credential).ok().flatten(),
            _ => None,
        }
    }
}

fn file_variable(variable: &str) -> String {
    format!("{variable}_FILE")
}

fn variable_text(variable: &str) -> Option<Text> {
    env::var_os(variable).map(OsString::into_encoded_bytes).map(Zeroizing::new)
}

/// `None` if this process was not given any credentials.
fn credential_path(credential: &str) -> Result<Option<PathBuf>, Failure> {
    // It comes after a `join`, which takes `/etc/passwd` as it is.
    let is_name = Path::new(credential).file_name().is_some_and(|name| name == credential);
    if !is_name {
        return Err(Failure::NotAName);
    }
    let directory = env::var_os("CREDENTIALS_DIRECTORY");
    Ok(directory.map(|directory| PathBuf::from(directory).join(credential)))
}

async fn file_text(path: PathBuf) -> Result<Option<Text>, Failure> {
    blocking(move || file::read(&path)).await
}

/// Does what may block on a thread for that.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(_) => Err(Failure::Ended),
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.at.name())
    }
}
