use core::{fmt, time::Duration};
use std::{ffi::OsString, path::PathBuf};

use super::{
    command::Command,
    error::TokenSourceError,
    held::HeldToken,
    place::{Answer, Place, Where},
    value,
};
use crate::Prefix;

/// Where a program gets its token from.
///
/// ```
/// use api_tokens::client::TokenSource;
///
/// // What most services want: the variable, or the file that a container has it in.
/// let source = TokenSource::environment_or_file("ACME_API_TOKEN");
///
/// // What a command-line tool may want.
/// let source = TokenSource::environment("ACME_API_TOKEN")
///     .or(TokenSource::dotenv(".env", "ACME_API_TOKEN"))
///     .or(TokenSource::command("op", ["read", "op://Private/Acme/token"]));
/// ```
///
/// Nothing is read before [`ClientToken::load`](super::ClientToken::load).
///
/// # What is accepted
///
/// One whole token of the expected prefix. White space around it does not matter, nor a byte order
/// mark before it: files end with a newline. Everything else is an error that says what is wrong
/// and what to do: a value that is empty, in quotes, cut off, misspelt, of another prefix, with
/// `Bearer` before it, or a `${VARIABLE}` that nobody replaced. No error holds any part of the value.
///
/// # Defaults
///
/// - timeout: 30 s for each place, see [`timeout`](Self::timeout)
///
/// # Where the value remains
///
/// It is read into memory that is zeroized, and held in one place. Out of reach are the process's
/// environment, the buffers of dotenvy, of the keyring's client and of the HTTP client, and pipes.
#[derive(Clone)]
pub struct TokenSource {
    /// In the order in which they are asked; never empty.
    places: Vec<Place>,
}

impl TokenSource {
    /// An environment variable. Without it there is nothing.
    #[must_use]
    pub fn environment(variable: impl Into<String>) -> Self {
        Self::at(Where::Environment(variable.into()))
    }

    /// A file that holds the token and nothing else. Without the file there is nothing.
    ///
    /// If others than its owner may read it, a warning says so, once. It may have 64 KiB. When it
    /// changes, it is read again: see [`ClientToken::current`](super::ClientToken::current).
    #[must_use]
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::at(Where::File(path.into()))
    }

    /// An environment variable, or else the file that the variable of that name with `_FILE` at
    /// its end names, as many container images have it: `ACME_API_TOKEN` or `ACME_API_TOKEN_FILE`.
    ///
    /// It is an error if both are set, or if the file does not exist.
    #[must_use]
    pub fn environment_or_file(variable: impl Into<String>) -> Self {
        Self::at(Where::EnvironmentOrFile(variable.into()))
    }

    /// A variable in a `.env` file. Without the file, or the variable in it, there is nothing.
    ///
    /// The process's environment is not changed, and asked only for what stands as `${OTHER}` in the
    /// file's values. A variable that is set twice in the file is an error.
    #[must_use]
    pub fn dotenv(path: impl Into<PathBuf>, variable: impl Into<String>) -> Self {
        Self::at(Where::Dotenv { path: path.into(), variable: variable.into() })
    }

    /// A credential that systemd hands to a service, by `LoadCredential=` or
    /// `LoadCredentialEncrypted=`: the file of this name in `$CREDENTIALS_DIRECTORY`. Without
    /// either there is nothing.
    #[must_use]
    pub fn systemd_credential(name: impl Into<String>) -> Self {
        Self::at(Where::SystemdCredential(name.into()))
    }

    /// What a program prints, such as a password manager's. It is started without a shell.
    ///
    /// It reads nothing, since its standard input is closed; what it writes to standard error goes
    /// where this process's does, so that a person sees it. If it fails, or takes longer than the
    /// [`timeout`](Self::timeout), it is an error; in the second case it is killed. It may print
    /// 64 KiB. Errors name the program, and never its arguments.
    #[must_use]
    pub fn command(
        program: impl Into<OsString>,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Self {
        Self::at(Where::Command(Command::new(
            program.into(),
            arguments.into_iter().map(Into::into).collect(),
        )))
    }

    /// An entry in the keyring of the person's desktop: the Keychain of macOS, the Credential
    /// Manager of Windows, the Secret Service elsewhere; or in the default store of the crate
    /// keyring-core, if this program has set one. Without the entry there is nothing.
    ///
    /// A keyring may ask the person to unlock it: see [`timeout`](Self::timeout).
    #[cfg(feature = "keyring")]
    #[must_use]
    pub fn keyring(service: impl Into<String>, user: impl Into<String>) -> Self {
        Self::at(Where::Keyring { service: service.into(), user: user.into() })
    }

    /// Asks `other` if there is nothing here: a variable that is not set, a file that does not
    /// exist, no such credential. What is there but wrong is an error, and `other` is not asked; a
    /// variable that is set and empty is there. Once there was something, `other` is not asked any
    /// more: the token that is held stays, and a warning says why.
    #[must_use]
    pub fn or(mut self, other: Self) -> Self {
        self.places.extend(other.places);
        self
    }

    /// How long reading from each of the places that this source has so far may take. A thread that
    /// waits for a file, such as a pipe that nobody writes to, or for a keyring, waits on after that,
    /// and tokio's runtime for it when it ends.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        for place in &mut self.places {
            place.timeout = timeout;
        }
        self
    }

    /// The token of the first place that has anything, and the number of this place.
    pub(super) async fn read(
        &self,
        prefix: &Prefix,
    ) -> Result<(HeldToken, usize), TokenSourceError> {
        self.read_up_to(self.places.len(), prefix).await
    }

    /// The same, but not of the places after this one: while a file is replaced, it may be missing for
    /// a moment, and the token of another place may be one for something else.
    pub(super) async fn read_again(
        &self,
        place: usize,
        prefix: &Prefix,
    ) -> Result<(HeldToken, usize), TokenSourceError> {
        self.read_up_to(place.saturating_add(1), prefix).await
    }

    async fn read_up_to(
        &self,
        count: usize,
        prefix: &Prefix,
    ) -> Result<(HeldToken, usize), TokenSourceError> {
        let mut absences = Vec::new();
        for (number, place) in self.places.iter().take(count).enumerate() {
            match place.read().await? {
                Answer::Found { text, name } => {
                    return value::check(prefix, &text)
                        .map(|token| (token, number))
                        .map_err(|malformed| TokenSourceError::malformed(name, malformed));
                }
                Answer::Absent(absence) => absences.push(absence),
            }
        }
        Err(TokenSourceError::absent(absences.join(", and "), prefix))
    }

    /// The files whose change may bring another token.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.places.iter().filter_map(Place::file).collect()
    }

    pub(super) fn at(place: Where) -> Self {
        Self { places: vec![Place::new(place)] }
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.places).finish()
    }
}
