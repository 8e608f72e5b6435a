//! The server as a program: what it says when the token is not good, and where it asks.

use std::{
    fs,
    process::{Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use api_tokens::{
    Issuer, Project,
    management::{self, Access, AccessError, Grant},
};
use axum::{
    Json, Router,
    http::{StatusCode, header::LOCATION, request::Parts},
};
use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{
    client::Kind,
    rig::{Rig, SERVER},
    wire::PATIENCE,
};

/// Who has nobody to manage tokens.
struct Nobody;

impl Access for Nobody {
    async fn grant(&self, _: &Parts, _: &Project) -> Result<Grant, AccessError> {
        Err(AccessError::SignedOut)
    }
}

/// A service with the introspection endpoint, and its URL.
async fn service(rig: &Rig) -> String {
    let issuer = Issuer::new(&rig.verifier);
    let app = Router::new().nest("/management", management::router(issuer, Nobody));
    format!("{}/management/api/introspect", serve(app).await)
}

async fn serve(app: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("its port"));
    tokio::spawn(async move { axum::serve(listener, app).await.expect("a server") });
    url
}

/// What the program does if nobody speaks to it.
fn start(rig: &Rig, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(SERVER);
    command.args(rig.arguments()).arg("--stdio").args(arguments);
    command.envs(environment.iter().copied()).stdin(Stdio::null()).output().expect("the program")
}

/// One line, and no part of what was wrong.
#[track_caller]
fn assert_ends(output: &Output, expected: &str, secret: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(stderr, format!("error: {expected}\n"));
    assert!(output.stdout.is_empty());
    assert_eq!(output.status.code(), Some(1));
    assert!(secret.is_empty() || !stderr.contains(secret));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_good_token_it_ends_with_one_line() {
    let rig = Rig::new();
    let url = service(&rig).await;
    let revoked = rig.create("sources:read").await;
    rig.revoke(revoked.record.id).await;
    let revoked = revoked.token.expose_secret();
    let unknown = Rig::new().create("").await.token.expose_secret().to_owned();

    for arguments in [&[][..], &["--introspect", &url][..]] {
        let ends = |token: &str, expected: &str| {
            let output = start(&rig, arguments, &[("GRAPHOR_API_KEY", token)]);
            assert_ends(&output, expected, token);
        };
        assert_ends(
            &start(&rig, arguments, &[]),
            "environment variable GRAPHOR_API_KEY is not set, nor is GRAPHOR_API_KEY_FILE: expected a \
             token, which begins with demo_",
            "",
        );
        ends(
            "${GRAPHOR_API_KEY}",
            "environment variable GRAPHOR_API_KEY is a placeholder: whatever starts this program did \
             not put the token in its place",
        );
        ends(revoked, "The access token has been revoked");
        // From a file that others may read, which is worth a warning if the token is good.
        fs::write(rig.path("revoked"), revoked).expect("the token");
        let file = rig.path("revoked").display().to_string();
        assert_ends(
            &start(&rig, arguments, &[("GRAPHOR_API_KEY_FILE", &file)]),
            "The access token has been revoked",
            revoked,
        );
        ends(&unknown, "The access token is invalid");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_answer_as_it_should_is_named() {
    let rig = Rig::new();
    let url = service(&rig).await;
    let token = rig.create("").await.token;
    let ends = |url: &str, expected: &str| {
        let environment = [("GRAPHOR_API_KEY", token.expose_secret())];
        let output = start(&rig, &["--introspect", url], &environment);
        assert_ends(&output, expected, token.expose_secret());
    };
    let unchecked = "The access token could not be checked:";
    let (host, _) = url.split_once("/management").expect("a path");
    let nowhere = format!("{host}/management/api/nothing");
    let answered = "answered 404 Not Found: does it end in /introspect?";
    ends(&format!("{nowhere}?a=b"), &format!("{unchecked} {nowhere} {answered}"));
    let down = "http://127.0.0.1:1/introspect";
    ends(down, &format!("{unchecked} {down} does not answer: is the service running?"));
    ends("http://u:secret@[", "--introspect: this is not a URL");
    let plain = "--introspect: the URL must be https, or http of this machine";
    ends("http://service.example/introspect", plain);

    let id = token.id();
    let known = json!({ "active": true, "sub": "a", "project": "demo", "jti": id.as_str() });
    let something_else = "answered something else: does it end in /introspect?";
    for (answer, expected) in [
        (json!({ "active": false, "jti": id.as_str(), "sub": "a", "project": "demo" }), None),
        (json!({ "active": true }), Some(something_else)),
        (json!([]), Some(something_else)),
        (json!({ "sub": "a", "project": "demo", "jti": id.as_str() }), Some(something_else)),
        (
            json!({ "active": true, "sub": "a", "project": "demo", "jti": "K".repeat(16) }),
            Some(something_else),
        ),
    ] {
        let url = answering(StatusCode::OK, answer).await;
        let expected = expected.map_or_else(
            || "The access token is invalid".to_owned(),
            |expected| format!("{unchecked} {url} {expected}"),
        );
        ends(&url, &expected);
    }
    let url = answering(StatusCode::UNAUTHORIZED, json!({ "detail": "one\nline\u{1b}[0m" })).await;
    ends(&url, "oneline[0m");
    let url = answering(StatusCode::OK, known).await;
    let environment = [("GRAPHOR_API_KEY", token.expose_secret())];
    assert_eq!(start(&rig, &["--introspect", &url], &environment).status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_sends_it_elsewhere_gives_nobody_the_token() {
    let rig = Rig::new();
    let token = rig.create("").await.token;
    let reached = Arc::new(AtomicBool::new(false));
    let here = Arc::clone(&reached);
    let elsewhere = serve(Router::new().fallback(async move || here.store(true, SeqCst))).await;
    for status in [302, 307, 308] {
        let location = format!("{elsewhere}/introspect");
        let status = StatusCode::from_u16(status).expect("a status");
        let app = Router::new().fallback(async move || (status, [(LOCATION, location)]));
        let url = format!("{}/introspect", serve(app).await);
        let environment = [("GRAPHOR_API_KEY", token.expose_secret())];
        let output = start(&rig, &["--introspect", &url], &environment);
        assert_eq!(output.status.code(), Some(1));
        assert!(!reached.load(SeqCst), "{status}");
    }
}

/// A service that always answers the same, and the URL of its endpoint.
async fn answering(status: StatusCode, body: Value) -> String {
    format!(
        "{}/introspect",
        serve(Router::new().fallback(async move || (status, Json(body)))).await
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn it_stops_when_it_is_told_to() {
    let rig = Rig::new();
    let token = rig.create("").await.token;
    for signal in ["-TERM", "-INT"] {
        let mut command = Command::new(SERVER);
        command.args(rig.arguments()).arg("--stdio").env("GRAPHOR_API_KEY", token.expose_secret());
        let mut process = command.stdin(Stdio::piped()).spawn().expect("the program");
        // Until it listens to signals.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let pid = process.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().expect("kill").success());
        let begin = Instant::now();
        let status = loop {
            if let Some(status) = process.try_wait().expect("its end") {
                break status;
            }
            assert!(begin.elapsed() < PATIENCE, "{signal}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        assert!(status.success(), "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_at_once_is_no_error() {
    let rig = Rig::new();
    let token = rig.create("").await.token;
    let output = start(&rig, &[], &[("GRAPHOR_API_KEY", token.expose_secret())]);
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_asks_the_service() {
    let rig = Rig::new();
    let url = service(&rig).await;
    let first = rig.create("sources:read").await;
    let file = rig.path("token");
    fs::write(&file, first.token.expose_secret()).expect("the token");
    let arguments = ["--stdio", "--introspect", &url].map(str::to_owned);
    let arguments = [rig.arguments(), arguments.to_vec()].concat();
    for kind in Kind::ALL {
        let token = json!({ "GRAPHOR_API_KEY": first.token.expose_secret() });
        let Some(mut client) = kind.stdio(&arguments, &token) else { return };
        client.connect().expect("a connection");
        assert_eq!(client.list().unwrap(), json!(["search_sources", "whoami"]));
        let who = client.who_am_i().unwrap();
        assert_eq!(who["structuredContent"]["token_id"], first.record.id.as_str());
        assert_eq!(who["structuredContent"]["scopes"], "sources:read");
        assert!(client.search("demoword").is_ok());
    }

    // A token in a file is taken anew when it was rotated.
    let token = json!({ "GRAPHOR_API_KEY_FILE": file });
    let Some(mut client) = Kind::TypeScriptSdk.stdio(&arguments, &token) else { return };
    client.connect().expect("a connection");
    let second = rig.rotate(&first.token, SignedDuration::from_hours(1)).await;
    let who = client.who_am_i().unwrap();
    assert!(who["structuredContent"]["notice"].as_str().unwrap().contains("was rotated"), "{who}");
    fs::write(&file, second.token.expose_secret()).expect("the new token");
    rig.finish(&first.token).await;
    let who = client.who_am_i().unwrap();
    assert_eq!(who["structuredContent"]["token_id"], second.record.id.as_str());

    rig.revoke(second.record.id).await;
    let error = client.who_am_i().unwrap_err();
    assert!(error.contains("The access token has been revoked"), "{error}");
}
