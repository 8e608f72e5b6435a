//! What each client makes of a token that is good, lacks a scope, is revoked, or was rotated.

use std::time::Instant;

use api_tokens::{
    Token,
    mcp::{Client as Assistant, Server as Configured},
};
use jiff::SignedDuration;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    client::{Client, Kind, Way},
    rig::Rig,
    wire::{Caller, PATIENCE},
};

const ALL: &str = "sources:read flows:run";
const HOUR: SignedDuration = SignedDuration::from_hours(1);

#[tokio::test(flavor = "multi_thread")]
async fn over_http() {
    let rig = Rig::new();
    let server = rig.serve();
    for kind in Kind::ALL {
        let start = |token: &Token| kind.http(&server.url, token.expose_secret());
        if all_of(&rig, Some(&server.url), start).await.is_none() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_stdio() {
    let rig = Rig::new();
    let arguments = [rig.arguments(), vec!["--stdio".to_owned()]].concat();
    for kind in Kind::ALL {
        let start = |token: &Token| {
            kind.stdio(&arguments, &json!({ "GRAPHOR_API_KEY": token.expose_secret() }))
        };
        if all_of(&rig, None, start).await.is_none() {
            return;
        }
    }
}

/// As Claude Desktop reaches a server: with what the library gives its users for that.
#[tokio::test(flavor = "multi_thread")]
async fn over_mcp_remote() {
    let rig = Rig::new();
    let server = rig.serve();
    let configured = Configured::http("example", &server.url);
    let start = |token: &Token| {
        let text = configured.configuration(Assistant::ClaudeDesktop, Some(token));
        let file: Value = serde_json::from_str(&text).expect("JSON");
        let entry = &file["mcpServers"]["example"];
        assert_eq!(entry["command"], "npx");
        let arguments = entry["args"].as_array().expect("arguments");
        let arguments: Vec<_> = arguments.iter().map(|one| one.as_str().expect("text")).collect();
        assert_eq!(arguments[..2], ["-y", "mcp-remote"]);
        Kind::TypeScriptSdk.bridge(&rig, &arguments[2..], &entry["env"])
    };
    all_of(&rig, Some(&server.url), start).await;
}

/// With a server at this URL, or one that the client starts. `None` if a client is missing on this
/// machine.
async fn all_of(
    rig: &Rig,
    url: Option<&str>,
    start: impl Fn(&Token) -> Option<Client>,
) -> Option<()> {
    a_good_one(rig, &start).await?;
    one_without_the_scope(rig, &start).await?;
    a_revoked_one(rig, url, &start).await?;
    a_rotated_one(rig, url, &start).await
}

async fn a_good_one(rig: &Rig, start: impl Fn(&Token) -> Option<Client>) -> Option<()> {
    let created = rig.create(ALL).await;
    let mut client = start(&created.token)?;
    client.connect().expect("a connection");
    assert_eq!(client.list().unwrap(), json!(["search_sources", "run_flow", "whoami"]));
    let found = client.search("demoword").unwrap();
    assert_eq!(found["structuredContent"]["hits"][0]["file_name"], "demo.md", "{found}");
    let run = client.call("run_flow", &json!({ "flow": "search", "query": "demoword" })).unwrap();
    assert_eq!(run["structuredContent"]["hits"][0]["file_name"], "demo.md", "{run}");
    let who = client.who_am_i().unwrap();
    let expected = json!({
        "token_id": created.record.id.as_str(), "project": "demo", "owner": "ann",
        "scopes": "flows:run sources:read", "ends_at": null,
    });
    assert_eq!(who["structuredContent"], expected);
    assert_eq!(who["content"].as_array().unwrap().len(), 1, "no notice: {who}");

    // What an assistant can mend comes as a result.
    let wrong = client.call("run_flow", &json!({ "flow": "other", "query": "x" })).unwrap();
    assert_eq!(wrong["isError"], true);
    assert_eq!(wrong["content"][0]["text"], "There is no such flow, only `search`");
    assert_eq!(client.search("  ").unwrap()["isError"], true);
    Some(())
}

async fn one_without_the_scope(rig: &Rig, start: impl Fn(&Token) -> Option<Client>) -> Option<()> {
    let created = rig.create("sources:read").await;
    let mut client = start(&created.token)?;
    client.connect().expect("a connection");
    assert_eq!(client.list().unwrap(), json!(["search_sources", "whoami"]));
    assert!(client.search("demoword").is_ok());
    let error = client.call("run_flow", &json!({ "flow": "search", "query": "x" })).unwrap_err();
    client.report("without the scope", &error);
    assert!(error.contains("The access token lacks a required scope: flows:run"), "{error}");
    Some(())
}

async fn a_revoked_one(
    rig: &Rig,
    url: Option<&str>,
    start: impl Fn(&Token) -> Option<Client>,
) -> Option<()> {
    let created = rig.create(ALL).await;
    let mut client = start(&created.token)?;
    client.connect().expect("a connection");
    client.who_am_i().expect("it is not revoked yet");
    rig.revoke(created.record.id).await;
    until_refused(url, &created.token).await;
    let error = client.who_am_i().unwrap_err();
    client.report("revoked while connected", &error);
    assert_tells(&client, &error, "The access token has been revoked");

    let mut client = start(&created.token)?;
    let error = client.connect().expect_err("it is revoked");
    client.report("revoked before", &error);
    // What a program that was started says is on its standard error.
    if client.way == Way::Http {
        assert_tells(&client, &error, "The access token has been revoked");
    }
    Some(())
}

async fn a_rotated_one(
    rig: &Rig,
    url: Option<&str>,
    start: impl Fn(&Token) -> Option<Client>,
) -> Option<()> {
    let first = rig.create(ALL).await;
    let second = rig.rotate(&first.token, HOUR).await;
    let mut old = start(&first.token)?;
    old.connect().expect("a connection during the overlap");
    let who = old.who_am_i().unwrap();
    let notice = who["content"][1]["text"].as_str().expect("a notice");
    let expected =
        format!("The access token {} was rotated and will stop working", first.record.id);
    assert!(notice.starts_with(&expected), "{notice}");
    assert_eq!(who["structuredContent"]["notice"], notice);
    old.report("rotated, during the overlap", notice);

    let mut new = start(&second.token)?;
    new.connect().expect("a connection with the successor");
    assert_eq!(new.who_am_i().unwrap()["structuredContent"]["notice"], Value::Null);

    rig.finish(&first.token).await;
    until_refused(url, &first.token).await;
    let error = old.who_am_i().unwrap_err();
    old.report("rotated, after the overlap", &error);
    assert_tells(&old, &error, "The access token has been replaced by a newer one");
    assert!(start(&first.token)?.connect().is_err());
    new.who_am_i().expect("the successor goes on");
    Some(())
}

/// Waits until the server knows. A request that is under way just then gets no answer, and some
/// clients wait a minute for it.
async fn until_refused(url: Option<&str>, token: &Token) {
    let Some(url) = url else { return };
    let caller = Caller::new(url, token.expose_secret());
    let begin = Instant::now();
    while caller.send(Method::GET, None, &Value::Null).await.status() != 401 {
        assert!(begin.elapsed() < PATIENCE, "it is still accepted");
    }
}

/// `mcp-remote` only tells that there is nobody to sign in with.
#[track_caller]
fn assert_tells(client: &Client, error: &str, sentence: &str) {
    let bridge = "takes API tokens, so check the one in the client's configuration";
    let expected = if client.way == Way::Bridge { bridge } else { sentence };
    assert!(error.contains(expected), "{error}");
}
