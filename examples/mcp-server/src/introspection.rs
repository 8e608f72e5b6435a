//! Asks a service what a token is (RFC 7662).

use std::time::Duration;

use api_tokens::{
    TokenId,
    client::{ClientToken, HeldToken, SendToken, SendTokenService},
};
use axum::{
    body::Bytes,
    http::{Request, StatusCode, Uri, header::CONTENT_TYPE},
};
use http_body_util::{BodyExt, Collected, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use jiff::Timestamp;
use rustls::crypto::ring;
use serde::Deserialize;
use sources::Failure;
use tokio::time::timeout;
use tower::{Layer, ServiceExt};

use crate::{caller::Caller, stdio::Problem};

/// Follows no redirects.
type HttpClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// How long the service may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How much it may answer.
const MAX_BYTES: usize = 64 * 1024;

/// A service's introspection endpoint.
pub(crate) struct Introspection {
    uri: Uri,
    client: SendTokenService<HttpClient>,
}

impl Introspection {
    /// The endpoint at a URL, which is asked with this token.
    pub(crate) fn at(url: &str, token: ClientToken) -> Result<Self, Failure> {
        // It may hold a password, which must not be repeated.
        let uri: Uri = url.parse().map_err(|_| "--introspect: this is not a URL")?;
        let send = SendToken::new(token, [origin(&uri)])
            .map_err(|_| "--introspect: the URL must be https, or http of this machine")?;
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(ring::default_provider())?
            .https_or_http()
            .enable_http1()
            .build();
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { uri, client: send.layer(client) })
    }

    /// What a token is. It is asked for itself, which every token may be.
    pub(crate) async fn ask(&self, token: &HeldToken) -> Result<Caller, Problem> {
        let request = Request::post(self.uri.clone())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            // A token needs no escaping.
            .body(Full::from(format!("token={}", token.expose_secret())))
            .map_err(|_| self.unchecked("is not a URL that can be asked"))?;
        let asking = async {
            let response = self.client.clone().oneshot(request).await.ok()?;
            let status = response.status();
            let answer = Limited::new(response.into_body(), MAX_BYTES).collect().await;
            Some((status, answer.ok().map(Collected::to_bytes)))
        };
        let answered = timeout(PATIENCE, asking).await.ok().flatten();
        let (status, answer) =
            answered.ok_or_else(|| self.unchecked("does not answer: is the service running?"))?;
        let answer = answer.ok_or_else(|| self.something_else())?;
        match status {
            StatusCode::OK => {
                let answer: Answer =
                    serde_json::from_slice(&answer).map_err(|_| self.something_else())?;
                if !answer.active {
                    return Err(Problem::Refused("The access token is invalid".to_owned()));
                }
                answer.caller(token.id()).ok_or_else(|| self.something_else())
            }
            // The service says what is wrong with the token that it was asked with.
            StatusCode::UNAUTHORIZED => {
                let said: Said =
                    serde_json::from_slice(&answer).map_err(|_| self.something_else())?;
                Err(Problem::Refused(said.sentence()))
            }
            _ => Err(self.unchecked(&format!("answered {status}: does it end in /introspect?"))),
        }
    }

    fn something_else(&self) -> Problem {
        self.unchecked("answered something else: does it end in /introspect?")
    }

    fn unchecked(&self, why: &str) -> Problem {
        // Without what may be secret in it.
        let (origin, path) = (origin(&self.uri), self.uri.path());
        Problem::Unchecked(format!("The access token could not be checked: {origin}{path} {why}"))
    }
}

/// Scheme, host and port.
fn origin(uri: &Uri) -> String {
    let (scheme, host) = (uri.scheme_str().unwrap_or_default(), uri.host().unwrap_or_default());
    let port = uri.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{scheme}://{host}{port}")
}

/// The parts of the answer that are used here, and what the service adds to them.
#[derive(Deserialize)]
struct Answer {
    active: bool,
    #[serde(default)]
    scope: String,
    sub: Option<String>,
    jti: Option<String>,
    project: Option<String>,
    exp: Option<i64>,
    replaced_by: Option<String>,
}

impl Answer {
    /// `None` if it does not say what is needed, or speaks of another token.
    fn caller(self, asked: TokenId) -> Option<Caller> {
        let token = self.jti?.parse().ok().filter(|token| *token == asked)?;
        Some(Caller {
            token,
            project: self.project?.parse().ok()?,
            owner: self.sub?,
            scopes: self.scope.parse().ok()?,
            ends_at: self.exp.map(Timestamp::from_second).transpose().ok()?,
            is_replaced: self.replaced_by.is_some(),
        })
    }
}

/// RFC 9457.
#[derive(Deserialize)]
struct Said {
    detail: String,
}

impl Said {
    /// In one line, whatever it is.
    fn sentence(&self) -> String {
        const MAX_CHARS: usize = 200;

        self.detail.chars().filter(|character| !character.is_control()).take(MAX_CHARS).collect()
    }
}
