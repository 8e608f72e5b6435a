//! The protocol by hand, for what no client does: others' sessions, and streams that are watched.

use std::time::Duration;

use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::timeout;

/// Much longer than anything takes here, and not for ever.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Somebody with a token.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) http: Client,
    pub(crate) url: String,
    pub(crate) token: String,
}

impl Caller {
    pub(crate) fn new(url: &str, token: &str) -> Self {
        Self { http: Client::new(), url: url.to_owned(), token: token.to_owned() }
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        session: Option<&str>,
        body: &Value,
    ) -> Response {
        let mut request = self
            .http
            .request(method, &self.url)
            .bearer_auth(&self.token)
            .header("accept", "application/json, text/event-stream")
            .json(body);
        if let Some(session) = session {
            request = request.header("mcp-session-id", session);
        }
        timeout(PATIENCE, request.send()).await.expect("in time").expect("an answer")
    }

    /// A new session's id.
    pub(crate) async fn open(&self) -> String {
        let initialize = json!({
            "jsonrpc": "2.0", "id": 0, "method": "initialize",
            "params": {
                "protocolVersion": "2025-06-18", "capabilities": {},
                "clientInfo": { "name": "test", "version": "1" },
            },
        });
        let response = self.send(Method::POST, None, &initialize).await;
        assert_eq!(response.status(), StatusCode::OK);
        let id = response.headers()["mcp-session-id"].to_str().expect("text").to_owned();
        response.text().await.expect("the answer");
        let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        let response = self.send(Method::POST, Some(&id), &initialized).await;
        assert!(response.status().is_success());
        id
    }

    /// Status and text of a request in a session.
    pub(crate) async fn request(
        &self,
        session: &str,
        method: &str,
        params: &Value,
    ) -> (StatusCode, String) {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let response = self.send(Method::POST, Some(session), &body).await;
        (response.status(), response.text().await.expect("the answer"))
    }

    /// What the server says by itself.
    pub(crate) async fn stream(&self, session: &str) -> Response {
        self.send(Method::GET, Some(session), &Value::Null).await
    }
}
