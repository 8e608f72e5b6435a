//! The server for one client, which has started it with a token in its environment.

use std::{sync::Arc, time::Duration};

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
    pub(crate) async fn caller(&self) -> Result<Caller, Failure> {
        let token = self.token.current().await;
        match self.ask(&token).await {
            Ok(caller) => Ok(caller),
            // It may have been rotated a moment ago.
            Err(error) => match self.token.renew(&token).await {
                Some(newer) => self.ask(&newer).await,
                None => Err(error),
            },
        }
    }

    async fn ask(&self, token: &HeldToken) -> Result<Caller, Failure> {
        match &self.verifying {
            Verifying::Here(verifier) => {
                match verifier.verify(token.expose_secret().as_bytes()).await {
                    Ok(verified) => Ok(Caller::from(&verified)),
                    Err(error) => Err(refusal(&error).into()),
                }
            }
            Verifying::There { introspection, client } => {
                // A token needs no escaping in a form.
                let form = format!("token={}", token.expose_secret());
                let request = client
                    .post(introspection.clone())
                    .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                    .body(form);
                let response = request.send().await.map_err(|_| unchecked("does not answer"))?;
                let status = response.status();
                let answer = response.bytes().await.map_err(|_| unchecked("broke off"))?;
                match status {
                    StatusCode::OK => {
                        let answer: Introspection = serde_json::from_slice(&answer)
                            .map_err(|_| unchecked("answered something else"))?;
                        answer.caller()
                    }
                    // The service says what is wrong with the token that it was asked with.
                    StatusCode::UNAUTHORIZED => {
                        let problem: Problem = serde_json::from_slice(&answer)
                            .map_err(|_| unchecked("answered 401 Unauthorized"))?;
                        Err(problem.detail.into())
                    }
                    _ => Err(unchecked(&format!("answered {status}")).into()),
                }
            }
        }
    }
}

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
    fn caller(self) -> Result<Caller, Failure> {
        let Self::Active { scope, sub, jti, project, exp, replaced_by } = self else {
            return Err("The access token is invalid".into());
        };
        Ok(Caller {
            token: jti.parse()?,
            project: project.parse()?,
            owner: sub,
            scopes: scope.parse()?,
            ends_at: exp.map(Timestamp::from_second).transpose()?,
            is_replaced: replaced_by.is_some(),
        })
    }
}

/// Nobody can tell.
fn unchecked(why: &str) -> String {
    format!("The access token could not be checked: the introspection endpoint {why}")
}

/// RFC 9457.
#[derive(Deserialize)]
struct Problem {
    detail: String,
}

/// In the words that a client over HTTP would read.
fn refusal(error: &VerifyError) -> String {
    Answer::new(error, &Realm::default()).detail().into_owned()
}
