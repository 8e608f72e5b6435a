//! `SessionLayer`, around a server that hands out ids and says what became of them. (The tests of
//! `examples/mcp-server` have real servers and clients.)

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use api_tokens::{BearerLayer, Expiry, NewToken, Token, Verified, mcp::SessionLayer};
use axum::{
    Router,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri, header::HOST},
    response::{IntoResponse, Response},
    routing::any,
};
use jiff::SignedDuration;
use tokio::time::{sleep, timeout};

use crate::{PATIENCE, Rig, bearer, send, util::new_token};

const SESSION_ID: &str = "mcp-session-id";
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// What a server of the protocol keeps of its sessions.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    keeps_sessions: bool,
    opened: usize,
    living: Vec<String>,
    /// The ids of all requests that named one, deletions among them.
    named: Vec<(Method, String)>,
}

impl Server {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().expect("a lock")
    }

    fn app(&self, rig: &Rig, layer: SessionLayer) -> Router {
        Router::new()
            .route("/mcp", any(answer))
            .route_layer(layer)
            .route_layer(BearerLayer::new(rig.verifier.clone()))
            .with_state(self.clone())
    }

    fn is_living(&self, id: &str) -> bool {
        self.kept().living.iter().any(|living| living == id)
    }

    async fn until_gone(&self, id: &str) {
        let gone = async {
            while self.is_living(id) {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE, gone).await.expect("an end of the session");
    }
}

async fn answer(
    State(server): State<Server>,
    // Of a deletion that no client has sent, too.
    _token: Verified,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    assert_eq!((uri.path(), &headers[HOST]), ("/mcp", &"here.example".parse().unwrap()));
    let mut kept = server.kept();
    let Some(id) = headers.get(SESSION_ID) else {
        if method != Method::POST {
            return StatusCode::BAD_REQUEST.into_response();
        }
        kept.opened += 1;
        let id = format!("session-{}", kept.opened);
        if headers.contains_key("x-fail") {
            return (StatusCode::INTERNAL_SERVER_ERROR, [(SESSION_ID, id)]).into_response();
        }
        kept.living.push(id.clone());
        return [(SESSION_ID, id)].into_response();
    };
    let id = id.to_str().unwrap().to_owned();
    kept.named.push((method.clone(), id.clone()));
    if !kept.living.contains(&id) {
        return StatusCode::NOT_FOUND.into_response();
    }
    if method == Method::DELETE {
        if kept.keeps_sessions {
            return StatusCode::METHOD_NOT_ALLOWED.into_response();
        }
        kept.living.retain(|living| *living != id);
    }
    StatusCode::OK.into_response()
}

async fn request(app: &Router, token: &Token, method: Method, id: &str) -> StatusCode {
    let request = bearer(token).method(method).header(HOST, "here.example");
    send(app, request.header(SESSION_ID, id)).await.status()
}

async fn post(app: &Router, token: &Token, id: &str) -> StatusCode {
    request(app, token, Method::POST, id).await
}

async fn open(app: &Router, token: &Token) -> String {
    let request = bearer(token).method(Method::POST).header(HOST, "here.example");
    let response = send(app, request).await;
    assert_eq!(response.status(), 200);
    response.headers()[SESSION_ID].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_session_is_of_the_token_that_opened_it() {
    let rig = Rig::new();
    let server = Server::default();
    let app = server.app(&rig, SessionLayer::new());
    let ours = rig.create().await.token;
    let same_owner = rig.create().await.token;
    let other_project = NewToken { project: "other".parse().unwrap(), ..new_token("theirs") };
    let other_project = rig.create_as(other_project).await.token;
    let id = open(&app, &ours).await;
    for method in [Method::POST, Method::GET, Method::DELETE, Method::PUT, Method::HEAD] {
        for theirs in [&same_owner, &other_project] {
            assert_eq!(request(&app, theirs, method.clone(), &id).await, 404, "{method}");
        }
        if method != Method::DELETE {
            assert_eq!(request(&app, &ours, method, &id).await, 200);
        }
    }
    assert!(server.is_living(&id));
    // What is not the session's own never reached the server.
    assert_eq!(server.kept().named.len(), 4);
}

#[tokio::test]
async fn an_id_that_nobody_has_is_answered_like_that_of_another() {
    let rig = Rig::new();
    let server = Server::default();
    let app = server.app(&rig, SessionLayer::new());
    let (ours, theirs) = (rig.create().await.token, rig.create().await.token);
    let id = open(&app, &theirs).await;
    let mut answers = Vec::new();
    for id in [id.as_str(), "session-9", ""] {
        let request = bearer(&ours).header(HOST, "here.example").header(SESSION_ID, id);
        let response = send(&app, request).await;
        assert_eq!(response.status(), 404);
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(response.headers()["cache-control"], "no-store");
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        answers.push(String::from_utf8(body.into()).unwrap());
    }
    let expected =
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"Session not found"}}"#;
    assert_eq!(answers, [expected; 3]);
}

#[tokio::test]
async fn whose_session_must_be_clear() {
    let rig = Rig::new();
    let server = Server::default();
    let app = server.app(&rig, SessionLayer::new());
    let token = rig.create().await.token;
    let id = open(&app, &token).await;
    let request = || bearer(&token).method(Method::GET).header(HOST, "here.example");
    // A second id could be the one that the server looks at.
    let twice = request().header(SESSION_ID, &id).header(SESSION_ID, &id);
    assert_eq!(send(&app, twice).await.status(), 404);
    // A stream to be resumed is somebody's.
    let resumed = request().header("last-event-id", "1");
    assert_eq!(send(&app, resumed).await.status(), 404);
    let resumed = request().header("last-event-id", "1").header(SESSION_ID, &id);
    assert_eq!(send(&app, resumed).await.status(), 200);
    let bytes = request().header(SESSION_ID, b"\xff".as_slice());
    assert_eq!(send(&app, bytes).await.status(), 404);
    // A request that needs no session passes.
    assert_eq!(send(&app, request()).await.status(), 400);
}

#[tokio::test]
async fn a_session_survives_rotation() {
    let rig = Rig::new();
    let server = Server::default();
    let app = server.app(&rig, SessionLayer::new());
    let first = rig.create().await.token;
    let id = open(&app, &first).await;
    let second = rig.rotate(first.id(), HOUR).await.token;
    assert_eq!(post(&app, &second, &id).await, 200);
    assert_eq!(post(&app, &first, &id).await, 200, "both, during the overlap");
    assert_eq!(post(&app, &second, &id).await, 200);
    // The first comes to its end, and it goes on.
    rig.revoke(first.id()).await;
    until_refused(&app, &first).await;
    let third = rig.rotate(second.id(), HOUR).await.token;
    assert_eq!(post(&app, &third, &id).await, 200);
    rig.revoke(second.id()).await;
    until_refused(&app, &second).await;
    sleep(Duration::from_millis(100)).await;
    assert_eq!(post(&app, &third, &id).await, 200);
    // A session that the last one opens is of the same family.
    let later = open(&app, &third).await;
    assert_eq!(post(&app, &third, &later).await, 200);
    rig.revoke(third.id()).await;
    server.until_gone(&id).await;
    server.until_gone(&later).await;
}

#[tokio::test]
async fn a_session_waits_for_the_successor() {
    let rig = Rig::new();
    let server = Server::default();
    let app = server.app(&rig, SessionLayer::new());
    let first = rig.create().await.token;
    let id = open(&app, &first).await;
    let second = rig.rotate(first.id(), SignedDuration::ZERO).await.token;
    until_refused(&app, &first).await;
    sleep(Duration::from_millis(100)).await;
    assert!(server.is_living(&id));
    assert_eq!(post(&app, &second, &id).await, 200);
}

#[tokio::test]
async fn a_session_ends_with_its_token() {
    let rig = Rig::new();
    let server = Server::default();
    let app = server.app(&rig, SessionLayer::new());
    let (ours, theirs) = (rig.create().await.token, rig.create().await.token);
    let (one, two) = (open(&app, &ours).await, open(&app, &ours).await);
    let other = open(&app, &theirs).await;
    assert_eq!(post(&app, &ours, &one).await, 200);
    rig.revoke(ours.id()).await;
    server.until_gone(&one).await;
    server.until_gone(&two).await;
    assert!(server.is_living(&other));
    assert_eq!(post(&app, &theirs, &other).await, 200);
}

#[tokio::test]
async fn a_client_ends_its_session() {
    let rig = Rig::new();
    let server = Server::default();
    let app = server.app(&rig, SessionLayer::new());
    let token = rig.create().await.token;
    let id = open(&app, &token).await;
    assert_eq!(request(&app, &token, Method::DELETE, &id).await, 200);
    let requests = server.kept().named.len();
    assert_eq!(post(&app, &token, &id).await, 404);
    let named = |count| server.kept().named[count..].iter().any(|(method, _)| method == "POST");
    assert!(!named(requests), "it did not reach the server");
}

#[tokio::test]
async fn an_unused_session_ends() {
    let rig = Rig::new();
    let server = Server::default();
    let app = server.app(&rig, SessionLayer::new().idle_timeout(Duration::from_secs(1)));
    let token = rig.create().await.token;
    let (used, unused) = (open(&app, &token).await, open(&app, &token).await);
    while server.is_living(&unused) {
        assert_eq!(post(&app, &token, &used).await, 200);
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(post(&app, &token, &used).await, 200);
    assert_eq!(post(&app, &token, &unused).await, 404);
    server.until_gone(&used).await;
}

#[tokio::test]
async fn the_session_that_was_unused_for_longest_makes_room() {
    let rig = Rig::new();
    let server = Server::default();
    let app = server.app(&rig, SessionLayer::new().max_sessions(2));
    let (ours, theirs) = (rig.create().await.token, rig.create().await.token);
    let other = open(&app, &theirs).await;
    let (one, two) = (open(&app, &ours).await, open(&app, &ours).await);
    assert_eq!(post(&app, &ours, &one).await, 200);
    let three = open(&app, &ours).await;
    server.until_gone(&two).await;
    assert_eq!(post(&app, &ours, &two).await, 404);
    for living in [&one, &three] {
        assert_eq!(post(&app, &ours, living).await, 200);
    }
    assert_eq!(post(&app, &theirs, &other).await, 200);
}

#[tokio::test]
async fn a_session_ends_when_its_token_expires() {
    let rig = Rig::new();
    let server = Server::default();
    let app = server.app(&rig, SessionLayer::new());
    let life = Expiry::After(SignedDuration::from_secs(2));
    let token = rig.create_as(new_token("short").with_expiry(life)).await.token;
    let id = open(&app, &token).await;
    assert_eq!(post(&app, &token, &id).await, 200);
    server.until_gone(&id).await;
    assert_eq!(post(&app, &token, &id).await, 401);
}

#[tokio::test]
async fn a_session_that_the_server_keeps_is_kept() {
    let rig = Rig::new();
    let server = Server::default();
    server.kept().keeps_sessions = true;
    let app = server.app(&rig, SessionLayer::new());
    let token = rig.create().await.token;
    let id = open(&app, &token).await;
    assert_eq!(request(&app, &token, Method::DELETE, &id).await, 405);
    assert_eq!(post(&app, &token, &id).await, 200);
}

#[tokio::test]
async fn an_answer_that_is_an_error_opens_nothing() {
    let rig = Rig::new();
    let server = Server::default();
    let app = server.app(&rig, SessionLayer::new());
    let token = rig.create().await.token;
    let request = bearer(&token).method(Method::POST).header(HOST, "here.example");
    let response = send(&app, request.header("x-fail", "yes")).await;
    assert_eq!(response.status(), 500);
    let id = response.headers()[SESSION_ID].to_str().unwrap().to_owned();
    server.kept().living.push(id.clone());
    assert_eq!(post(&app, &token, &id).await, 404);
}

#[tokio::test]
async fn sessions_end_with_the_service() {
    let rig = Rig::new();
    let server = Server::default();
    let app = server.app(&rig, SessionLayer::new());
    let token = rig.create().await.token;
    let id = open(&app, &token).await;
    drop(app);
    server.until_gone(&id).await;
}

#[tokio::test]
async fn an_outage_ends_no_session() {
    let rig = Rig::new();
    let server = Server::default();
    let app = server.app(&rig, SessionLayer::new());
    let token = rig.create().await.token;
    let id = open(&app, &token).await;
    rig.store.fail(true);
    // Far past the bound, after which nobody can tell.
    sleep(Duration::from_millis(1500)).await;
    assert_eq!(post(&app, &token, &id).await, 503);
    assert!(server.is_living(&id));
    rig.store.fail(false);
    let begin = tokio::time::Instant::now();
    while post(&app, &token, &id).await != 200 {
        assert!(begin.elapsed() < PATIENCE);
    }
}

#[tokio::test]
async fn without_verification_it_is_a_mistake_of_the_server() {
    let server = Server::default();
    let app = Router::new()
        .route("/mcp", any(answer))
        .route_layer(SessionLayer::new())
        .with_state(server.clone());
    let request = axum::http::Request::builder().method(Method::POST).uri("/mcp");
    assert_eq!(send(&app, request).await.status(), 500);
    assert_eq!(server.kept().opened, 0);
}

async fn until_refused(app: &Router, token: &Token) {
    let refused = async {
        while post(app, token, "none").await != 401 {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, refused).await.expect("a refusal");
}
