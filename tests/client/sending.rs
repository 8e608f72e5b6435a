//! Which requests the tower layer gives the token, and what it does after a 401.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use api_tokens::client::{OriginError, SendToken, SendTokenService, TokenSource};
use axum::http::{Request, Response, StatusCode, header::AUTHORIZATION};
use tower::{Layer, Service, ServiceExt};

use crate::{Files, load, server::authorization, text};

const ORIGIN: &str = "https://api.acme.example";

/// A service that accepts one token, notes what comes, and insists on being asked first whether it
/// is ready, each time.
#[derive(Default)]
struct Api {
    accepts: String,
    seen: Arc<Mutex<Vec<Request<String>>>>,
    is_ready: bool,
}

impl Clone for Api {
    fn clone(&self) -> Self {
        Self { accepts: self.accepts.clone(), seen: Arc::clone(&self.seen), is_ready: false }
    }
}

impl Service<Request<String>> for Api {
    type Response = Response<&'static str>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<String>) -> Self::Future {
        assert!(std::mem::take(&mut self.is_ready), "called without being ready");
        let mut response = Response::new("the sources");
        *response.status_mut() = match authorization(request.headers()) {
            Some(token) if token == self.accepts => StatusCode::OK,
            _ if request.uri().path() == "/forbidden" => StatusCode::FORBIDDEN,
            _ => StatusCode::UNAUTHORIZED,
        };
        self.seen.lock().unwrap().push(request);
        std::future::ready(Ok(response))
    }
}

struct Sending {
    files: Files,
    client: SendTokenService<Api>,
    seen: Arc<Mutex<Vec<Request<String>>>>,
}

impl Sending {
    /// With token 1, to a service that accepts the given one. Each reading leaves a line in `log`.
    async fn new(accepts: u64) -> Self {
        let files = Files::new();
        let (log, path) = (files.path("log"), files.write("token", text(1)));
        let script = format!("echo >>{}; cat {}", log.display(), path.display());
        let token = load(TokenSource::command("sh", ["-c", &script])).await.unwrap();
        let api = Api { accepts: text(accepts), ..Api::default() };
        let seen = Arc::clone(&api.seen);
        let send = SendToken::new(token, [ORIGIN, "http://localhost:3000"]).unwrap();
        Self { files, client: send.layer(api), seen }
    }

    async fn send(&self, uri: &str) -> StatusCode {
        self.send_request(Request::get(uri).body(String::new()).unwrap()).await
    }

    async fn send_request(&self, request: Request<String>) -> StatusCode {
        self.client.clone().oneshot(request).await.unwrap().status()
    }

    fn take(&self) -> Vec<Request<String>> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    /// The tokens of the requests that came.
    fn take_tokens(&self) -> Vec<Option<String>> {
        self.take().iter().map(|request| authorization(request.headers())).collect()
    }

    fn readings(&self) -> usize {
        self.files.lines("log")
    }
}

#[tokio::test]
async fn requests_to_the_origins_carry_the_token_and_no_others() {
    let sending = Sending::new(1).await;
    for uri in [
        "https://api.acme.example/sources",
        "https://api.acme.example:443/",
        "https://API.acme.example",
        "http://localhost:3000/",
    ] {
        assert_eq!(sending.send(uri).await, 200, "{uri}");
        assert_eq!(sending.take_tokens(), [Some(text(1))], "{uri}");
    }
    for uri in [
        "http://api.acme.example/sources",
        "https://acme.example/",
        "https://eu.api.acme.example/",
        "https://api.acme.example:8443/",
        "https://api.acme.example.evil.example/",
        "https://api.acme.example@evil.example/",
        "http://localhost/",
        "http://127.0.0.1:3000/",
        "/sources",
    ] {
        assert_eq!(sending.send(uri).await, 401, "{uri}");
        assert_eq!(sending.take_tokens(), [None], "{uri}");
    }
    // Nor was anything read for a 401 that was not the token's.
    assert_eq!(sending.readings(), 1);
}

#[tokio::test]
async fn the_header_is_not_printed() {
    let sending = Sending::new(1).await;
    sending.send(ORIGIN).await;
    let request = sending.take().pop().unwrap();
    assert!(request.headers()[AUTHORIZATION].is_sensitive());
    let printed = format!("{request:?} {:?}", sending.client.clone().ready().await.is_ok());
    assert!(!printed.contains(&text(1)[26..]), "{printed}");
}

#[tokio::test]
async fn a_request_with_credentials_of_its_own_keeps_them() {
    let sending = Sending::new(2).await;
    sending.files.write("token", text(2));
    for own in ["Bearer of-its-own", "Basic dTpw", ""] {
        let request = Request::get(ORIGIN).header(AUTHORIZATION, own).body(String::new()).unwrap();
        assert_eq!(sending.send_request(request).await, 401);
        let [request] = &sending.take()[..] else { panic!("more than one request") };
        assert_eq!(request.headers()[AUTHORIZATION], own);
    }
    assert_eq!(sending.readings(), 1);
}

#[tokio::test]
async fn after_a_401_the_same_request_is_sent_once_more_with_the_new_token() {
    let sending = Sending::new(2).await;
    sending.files.write("token", text(2));
    let request = Request::put("https://api.acme.example/sources?page=2")
        .header("x-request", "7")
        .body("a source".to_owned())
        .unwrap();
    assert_eq!(sending.send_request(request).await, 200);
    let requests = sending.take();
    assert_eq!(requests.len(), 2);
    for (request, seed) in requests.iter().zip(1..) {
        assert_eq!(authorization(request.headers()), Some(text(seed)));
        assert!(request.headers()[AUTHORIZATION].is_sensitive());
        assert_eq!(request.method(), "PUT");
        assert_eq!(request.uri(), "https://api.acme.example/sources?page=2");
        assert_eq!(request.headers()["x-request"], "7");
        assert_eq!(request.body(), "a source");
    }
    // The next one has it from the start.
    assert_eq!(sending.send(ORIGIN).await, 200);
    assert_eq!(sending.take_tokens(), [Some(text(2))]);
    assert_eq!(sending.readings(), 2);
}

#[tokio::test]
async fn the_401_is_passed_on_if_there_is_no_other_token() {
    let sending = Sending::new(2).await;
    for _ in 0..20 {
        assert_eq!(sending.send(ORIGIN).await, 401);
        assert_eq!(sending.take_tokens(), [Some(text(1))]);
    }
    assert_eq!(sending.readings(), 2);
}

#[tokio::test]
async fn the_401_is_passed_on_if_the_other_token_is_refused_too() {
    let sending = Sending::new(3).await;
    sending.files.write("token", text(2));
    assert_eq!(sending.send(ORIGIN).await, 401);
    assert_eq!(sending.take_tokens(), [Some(text(1)), Some(text(2))]);
}

#[tokio::test]
async fn other_answers_are_passed_on() {
    let sending = Sending::new(2).await;
    sending.files.write("token", text(2));
    assert_eq!(sending.send("https://api.acme.example/forbidden").await, 403);
    assert_eq!(sending.take_tokens(), [Some(text(1))]);
    assert_eq!(sending.readings(), 1);
}

#[tokio::test]
async fn origins_are_checked_when_it_is_made() {
    let files = Files::new();
    let token = load(TokenSource::file(files.write("token", text(1)))).await.unwrap();
    let refused = |origins: &[&str]| -> String {
        let error: OriginError = SendToken::new(token.clone(), origins).unwrap_err();
        error.to_string()
    };
    assert_eq!(
        refused(&[]),
        "no origins: name those that the token may be sent to, such as https://api.acme.example"
    );
    assert_eq!(
        refused(&[ORIGIN, "https://api.acme.example/v1"]),
        "origin 2 has a path, query or fragment: leave it out, the token is for all of an origin"
    );
    assert_eq!(
        refused(&["http://api.acme.example"]),
        "origin 1 is plain http, where anybody on the way could read the token: use https; http is \
         for localhost, 127.0.0.1 and [::1] only"
    );
    let send = SendToken::new(token, [ORIGIN.to_owned()]).unwrap();
    let printed = format!("{send:?}");
    assert!(printed.contains("api.acme.example") && !printed.contains(&text(1)[26..]), "{printed}");
}
