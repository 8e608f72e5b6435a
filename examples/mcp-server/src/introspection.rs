//! Asks a service what a token is (RFC 7662).

use std::time::Duration;

use api_tokens::{
    TokenId,
    client::{ClientToken, HeldToken, SendToken},
};
use jiff::Timestamp;
use reqwest::{Response, StatusCode, Url, header::CONTENT_TYPE};
use reqwest_middleware::ClientWithMiddleware;
use serde::Deserialize;
use sources::Failure;

use crate::{caller::Caller, stdio::Problem};

/// How long the service may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How much it may answer.
const MAX_BYTES: usize = 64 * 1024;

/// A service's introspection endpoint.
pub(crate) struct Introspection {
    url: Url,
    client: ClientWithMiddleware,
}

impl Introspection {
    /// The endpoint at a URL, which is asked with this token.
    pub(crate) fn at(url: &str, token: ClientToken) -> Result<Self, Failure> {
        // It may hold a password, which must not be repeated.
        let url: Url = url.parse().map_err(|_| "--introspect: this is not a URL")?;
        // What reqwest uses for https.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let send = SendToken::new(token, [url.origin().ascii_serialization()])
            .map_err(|_| "--introspect: the URL must be https, or http of this machine")?;
        let client = send.client(reqwest::Client::builder().timeout(PATIENCE))?;
        Ok(Self { url, client })
    }

    /// What a token is. It is asked for itself, which every token may be.
    pub(crate) async fn ask(&self, token: &HeldToken) -> Result<Caller, Problem> {
        let request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            // A token needs no escaping.
            .body(format!("token={}", token.expose_secret()));
        let response = request.send().await;
        let response =
            response.map_err(|_| self.unchecked("does not answer: is the service running?"))?;
        let status = response.status();
        let answer = whole(response).await.ok_or_else(|| self.something_else())?;
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
        let (origin, path) = (self.url.origin().ascii_serialization(), self.url.path());
        Problem::Unchecked(format!("The access token could not be checked: {origin}{path} {why}"))
    }
}

async fn whole(mut response: Response) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if whole.len() + chunk.len() > MAX_BYTES {
            return None;
        }
        whole.extend_from_slice(&chunk);
    }
    Some(whole)
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
