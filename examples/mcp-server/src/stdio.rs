//! The server for one client, which has started it with a token in its environment.

use std::{error::Error, fmt, sync::Arc};

use api_tokens::{
    Answer, DynTokenStore, Realm, Verifier, VerifyError,
    client::{ClientToken, HeldToken, TokenSource},
};
use rmcp::{ServiceExt, service::ServerInitializeError, transport::stdio};
use sources::{Failure, Folders};
use tokio_util::sync::CancellationToken;

use crate::{
    PREFIX, VARIABLE,
    caller::Caller,
    introspection::Introspection,
    tools::{Callers, Tools},
};

/// Serves until the client closes the connection, or `stop` is cancelled.
pub(crate) async fn serve(
    process: Process,
    folders: &Folders,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let sources = Arc::new(folders.read()?);
    let tools = Tools { sources, callers: Callers::Process(Arc::new(process)) };
    match Box::pin(tools.serve_with_ct(stdio(), stop)).await {
        Ok(server) => {
            server.waiting().await?;
            Ok(())
        }
        // The client has gone before it said anything, or somebody has stopped the program.
        Err(ServerInitializeError::ConnectionClosed(_) | ServerInitializeError::Cancelled) => {
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// The token that the client has given to this process.
pub(crate) async fn token() -> Result<ClientToken, Failure> {
    Ok(ClientToken::load(PREFIX, TokenSource::environment_or_file(VARIABLE)).await?)
}

/// The token of this process, and who knows what it is.
///
/// Each call asks anew, so a token that is revoked is refused at once; and a token that was
/// rotated is read again, if it comes from a file.
pub(crate) struct Process {
    token: ClientToken,
    verifying: Verifying,
}

enum Verifying {
    /// The store.
    Here(Verifier<DynTokenStore>),
    /// The service.
    There(Box<Introspection>),
}

impl Process {
    /// # Errors
    ///
    /// If the token is not accepted now.
    pub(crate) async fn with(
        verifier: Verifier<DynTokenStore>,
        token: ClientToken,
    ) -> Result<Self, Failure> {
        Self::new(token, Verifying::Here(verifier)).await
    }

    /// The same, with the URL of an introspection endpoint in place of the store.
    pub(crate) async fn asking(url: &str, token: ClientToken) -> Result<Self, Failure> {
        let introspection = Introspection::at(url, token.clone())?;
        Self::new(token, Verifying::There(Box::new(introspection))).await
    }

    async fn new(token: ClientToken, verifying: Verifying) -> Result<Self, Failure> {
        let process = Self { token, verifying };
        process.caller().await?;
        Ok(process)
    }

    /// What the token is now.
    pub(crate) async fn caller(&self) -> Result<Caller, Problem> {
        let token = self.token.current().await;
        match self.ask(&token).await {
            // It may have been rotated a moment ago.
            Err(Problem::Refused(why)) => match self.token.renew(&token).await {
                Some(newer) => self.ask(&newer).await,
                None => Err(Problem::Refused(why)),
            },
            known => known,
        }
    }

    async fn ask(&self, token: &HeldToken) -> Result<Caller, Problem> {
        match &self.verifying {
            Verifying::Here(verifier) => {
                let verified = verifier.verify(token.expose_secret().as_bytes()).await;
                verified.map(|token| Caller::from(&token)).map_err(|error| Problem::from(&error))
            }
            Verifying::There(introspection) => introspection.ask(token).await,
        }
    }
}

/// Why the token cannot be used, in the words that a client over HTTP would read.
#[derive(Debug)]
pub(crate) enum Problem {
    Refused(String),
    /// Nobody can tell.
    Unchecked(String),
}

impl From<&VerifyError> for Problem {
    fn from(error: &VerifyError) -> Self {
        let realm = Realm::default();
        let answer = Answer::new(error, &realm);
        let sentence = answer.detail().into_owned();
        if answer.status() == 401 { Self::Refused(sentence) } else { Self::Unchecked(sentence) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(sentence) | Self::Unchecked(sentence) => f.write_str(sentence),
        }
    }
}

impl Error for Problem {}
