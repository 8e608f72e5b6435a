//! The server for one client, which has started it with a token in its environment.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use api_tokens::{
    Answer, DynTokenStore, Realm, Verifier, VerifyError,
    client::{ClientToken, HeldToken, SendToken, TokenSource},
};
use jiff::Timestamp;
use reqwest::{StatusCode, Url, header::CONTENT_TYPE};
use reqwest_middleware::ClientWithMiddleware;
use rmcp::{ServiceExt, service::ServerInitializeError, transport::stdio};
use serde::Deserialize;
use sources::{Failure, Folders};
use tokio_util::sync::CancellationToken;

use crate::{
    PREFIX, VARIABLE,
    caller::Caller,
    tools::{Callers, Tools},
};

/// How long the service may take.
const PATIENCE: Duration = Duration::from_secs(10);

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
        // The client has gone before it said anything.
        Err(ServerInitializeError::ConnectionClosed(_)) => Ok(()),
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
    There { introspection: Url, client: ClientWithMiddleware },
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

    /// The same, with the URL of an introspection endpoint (RFC 7662) in place of the store.
    pub(crate) async fn asking(introspection: Url, token: ClientToken) -> Result<Self, Failure> {
        // What reqwest uses for https.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let origin = introspection.origin().ascii_serialization();
        let builder = reqwest::Client::builder().timeout(PATIENCE);
        let client = SendToken::new(token.clone(), [origin])?.client(builder)?;
        Self::new(token, Verifying::There { introspection, client }).await
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
            Verifying::There { introspection, client } => {
                // A token needs no escaping in a form.
                let form = format!("token={}", token.expose_secret());
                let request = client
                    .post(introspection.clone())
                    .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                    .body(form);
                let response =
                    request.send().await.map_err(|_| Problem::unchecked("does not answer"))?;
                let status = response.status();
                let answer = response.bytes().await;
                let answer = answer.map_err(|_| Problem::unchecked("broke off"))?;
                Introspection::read(status, &answer)
            }
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

impl Problem {
    fn unchecked(why: &str) -> Self {
        let endpoint = "The access token could not be checked: the introspection endpoint";
        Self::Unchecked(format!("{endpoint} {why}"))
    }
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

/// The parts of RFC 7662 that are used here, and what the service adds to them.
#[derive(Deserialize)]
#[serde(untagged)]
enum Introspection {
    Active {
        #[serde(default)]
        scope: String,
        sub: String,
        jti: String,
        project: String,
        exp: Option<i64>,
        replaced_by: Option<String>,
    },
    Inactive {},
}

impl Introspection {
    fn read(status: StatusCode, answer: &[u8]) -> Result<Caller, Problem> {
        let something_else = |_| Problem::unchecked("answered something else");
        match status {
            StatusCode::OK => {
                let known: Self = serde_json::from_slice(answer).map_err(something_else)?;
                known.caller()
            }
            // The service says what is wrong with the token that it was asked with.
            StatusCode::UNAUTHORIZED => {
                let said: Said = serde_json::from_slice(answer).map_err(something_else)?;
                Err(Problem::Refused(said.detail))
            }
            _ => Err(Problem::unchecked(&format!("answered {status}"))),
        }
    }

    fn caller(self) -> Result<Caller, Problem> {
        let Self::Active { scope, sub, jti, project, exp, replaced_by } = self else {
            return Err(Problem::Refused("The access token is invalid".to_owned()));
        };
        let known = || -> Result<Caller, Failure> {
            Ok(Caller {
                token: jti.parse()?,
                project: project.parse()?,
                owner: sub,
                scopes: scope.parse()?,
                ends_at: exp.map(Timestamp::from_second).transpose()?,
                is_replaced: replaced_by.is_some(),
            })
        };
        known().map_err(|_| Problem::unchecked("answered something else"))
    }
}

/// RFC 9457.
#[derive(Deserialize)]
struct Said {
    detail: String,
}
