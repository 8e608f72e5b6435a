//! Clients of reqwest, apart from redirects.

use std::sync::{Arc, Mutex};

use api_tokens::client::{SendToken, TokenSource};
use axum::{Router, http::HeaderMap, routing::any};
use reqwest_middleware::ClientWithMiddleware;

use crate::{
    Files, load,
    server::{Server, authorization},
    text,
};

/// A service that accepts the token of this number, and a client that has token 1.
struct Setting {
    files: Files,
    server: Server,
    accepts: Arc<Mutex<u64>>,
    client: ClientWithMiddleware,
}

impl Setting {
    async fn new() -> Self {
        let accepts = Arc::new(Mutex::new(1));
        let accepted = Arc::clone(&accepts);
        let answer = async move |headers: HeaderMap| {
            let is_accepted = authorization(&headers) == Some(text(*accepted.lock().unwrap()));
            if is_accepted { (axum::http::StatusCode::OK, "ok") } else { REFUSED }
        };
        let server = Server::start(Router::new().fallback(any(answer))).await;
        let files = Files::new();
        let token = load(TokenSource::file(files.write("token", text(1)))).await.unwrap();
        let send = SendToken::new(token, [server.url("")]).unwrap();
        let client = send.client(reqwest::Client::builder()).unwrap();
        Self { files, server, accepts, client }
    }

    fn rotate(&self) {
        self.files.write("token", text(2));
        *self.accepts.lock().unwrap() = 2;
    }
}

const REFUSED: (axum::http::StatusCode, &str) = (axum::http::StatusCode::UNAUTHORIZED, "refused");

#[tokio::test]
async fn the_token_goes_to_its_origin_alone() {
    let setting = Setting::new().await;
    let server = &setting.server;
    let response = setting.client.get(server.url("/a")).send().await.unwrap();
    assert_eq!(response.status(), 200);
    // The same server, by a name that it was not made for.
    let response = setting.client.get(server.local_url("/b")).send().await.unwrap();
    assert_eq!(response.status(), 401);
    let response =
        setting.client.get(server.url("/c")).basic_auth("ann", Some("x")).send().await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(
        server.take(),
        [
            ("/a".to_owned(), Some(text(1))),
            ("/b".to_owned(), None),
            ("/c".to_owned(), Some("Basic YW5uOng=".to_owned())),
        ]
    );
}

#[tokio::test]
async fn after_a_401_the_same_request_is_sent_once_more_with_the_new_token() {
    let setting = Setting::new().await;
    setting.rotate();
    let url = setting.server.url("/a");
    let response = setting.client.post(&url).body("a source").send().await.unwrap();
    assert_eq!(response.status(), 200);
    let entry = |seed| ("/a".to_owned(), Some(text(seed)), "a source".into());
    assert_eq!(setting.server.take_all(), [entry(1), entry(2)]);
}

#[tokio::test]
async fn a_body_that_cannot_be_repeated_is_not() {
    let setting = Setting::new().await;
    setting.rotate();
    let url = setting.server.url("/a");
    let once = || reqwest::Body::wrap("once".to_owned());
    let response = setting.client.post(&url).body(once()).send().await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(response.text().await.unwrap(), "refused");
    // But the new token is here.
    let response = setting.client.post(&url).body(once()).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let entry = |seed| ("/a".to_owned(), Some(text(seed)), "once".into());
    assert_eq!(setting.server.take_all(), [entry(1), entry(2)]);
}

#[tokio::test]
async fn what_goes_over_plain_http_goes_past_proxies() {
    let setting = Setting::new().await;
    let proxy = Server::start(Router::new().fallback(any(async || "the proxy"))).await;
    let files = Files::new();
    let token = load(TokenSource::file(files.write("token", text(1)))).await.unwrap();
    let builder = || reqwest::Client::builder().proxy(reqwest::Proxy::http(proxy.url("")).unwrap());

    let mixed = ["https://api.acme.example".to_owned(), setting.server.url("")];
    let client = SendToken::new(token.clone(), mixed).unwrap().client(builder()).unwrap();
    let response = client.get(setting.server.url("/a")).send().await.unwrap();
    assert_eq!(response.text().await.unwrap(), "ok");
    assert_eq!(proxy.take(), []);

    // Where no token goes over plain http, proxies are as they were.
    let send = SendToken::new(token, ["https://api.acme.example"]).unwrap();
    let response = send.client(builder()).unwrap().get("http://other.example/").send().await;
    assert_eq!(response.unwrap().text().await.unwrap(), "the proxy");
    assert_eq!(proxy.take(), [("/".to_owned(), None)]);
}
