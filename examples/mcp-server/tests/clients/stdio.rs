//! The server as a program: what it says when the token is not good, and where it asks.

use std::{
    fs,
    process::{Command, Output, Stdio},
};

use api_tokens::{
    Issuer, Project,
    management::{self, Access, AccessError, Grant},
};
use axum::{Router, http::request::Parts};
use jiff::SignedDuration;
use serde_json::json;
use tokio::net::TcpListener;

use crate::{
    client::Kind,
    rig::{Rig, SERVER},
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
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url =
        format!("http://{}/management/api/introspect", listener.local_addr().expect("its port"));
    let issuer = Issuer::new(&rig.verifier);
    let app = Router::new().nest("/management", management::router(issuer, Nobody));
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
             not put the variable's value in its place",
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
    let (host, _) = url.split_once("/management").expect("a path");
    let nowhere = format!("{host}/management/api/nothing");
    let good = rig.create("").await.token;
    let environment = [("GRAPHOR_API_KEY", good.expose_secret())];
    assert_ends(
        &start(&rig, &["--introspect", &nowhere], &environment),
        "The access token could not be checked: the introspection endpoint answered 404 Not Found",
        good.expose_secret(),
    );
    assert_ends(
        &start(&rig, &["--introspect", "http://127.0.0.1:1/introspect"], &environment),
        "The access token could not be checked: the introspection endpoint does not answer",
        good.expose_secret(),
    );
    assert_ends(
        &start(&rig, &["--introspect", "http://service.example/introspect"], &environment),
        "origin 1 is plain http, where anybody on the way could read the token: use https; http is for \
         localhost, 127.0.0.1 and [::1] only",
        good.expose_secret(),
    );
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
