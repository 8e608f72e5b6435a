//! The server for one client, which has started it with a token in its environment.

use api_tokens::{
    Answer, DynTokenStore, Realm, Scopes, Verifier, VerifyError,
    client::{ClientToken, SendToken, TokenSource},
};
use jiff::Timestamp;
use reqwest::{Url, header::CONTENT_TYPE};
use reqwest_middleware::ClientWithMiddleware;
use rmcp::{ServiceExt, transport::stdio};
use serde::Deserialize;
use sources::Failure;
use tokio_util::sync::CancellationToken;

use crate::{PREFIX, caller::Caller, tools::Tools};

/// Where the token is looked for.
const VARIABLE: &str = "GRAPHOR_API_KEY";

/// Serves until the client closes the connection, or `stop` is cancelled.
pub(crate) async fn serve(tools: Tools, stop: CancellationToken) -> Result<(), Failure> {
    let server = tools.serve_with_ct(stdio(), stop).await?;
    server.waiting().await?;
    Ok(())
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
    /// If there is no token, or it is not accepted now.
    pub(crate) async fn with(verifier: Verifier<DynTokenStore>) -> Result<Self, Failure> {
        Self::new(load().await?, Verifying::Here(verifier)).await
    }

    /// The same, with the URL of an introspection endpoint (RFC 7662) in place of the store.
    pub(crate) async fn asking(introspection: Url) -> Result<Self, Failure> {
        let token = load().await?;
        let origin = introspection.origin().ascii_serialization();
        let client = SendToken::new(token.clone(), [origin])?.client(reqwest::Client::builder())?;
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
        match &self.verifying {
            Verifying::Here(verifier) => {
                match verifier.verify(token.expose_secret().as_bytes()).await {
                    Ok(verified) => Ok(Caller::from(&verified)),
                    Err(error) => Err(refusal(&error).into()),
                }
            }
            Verifying::There { introspection, client } => {
                // It needs no escaping in a form.
                let form = format!("token={}", token.expose_secret());
                let request = client
                    .post(introspection.clone())
                    .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                    .body(form);
                introspected(request.send().await?).await
            }
        }
    }
}

async fn load() -> Result<ClientToken, Failure> {
    Ok(ClientToken::load(PREFIX, TokenSource::environment_or_file(VARIABLE)).await?)
}

/// In the words that a client over HTTP would read.
fn refusal(error: &VerifyError) -> String {
    Answer::new(error, &Realm::default()).detail().into_owned()
}
