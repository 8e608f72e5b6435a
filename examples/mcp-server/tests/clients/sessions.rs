//! Sessions, with the server's library and the clients' that have them.

use jiff::SignedDuration;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::{client::Kind, rig::Rig};

const ALL: &str = "sources:read flows:run";

/// Those that have sessions.
const KINDS: [Kind; 2] = [Kind::TypeScriptSdk, Kind::TypeScriptClient];

#[tokio::test(flavor = "multi_thread")]
async fn a_session_goes_on_with_the_new_token() {
    let rig = Rig::new();
    let server = rig.serve();
    for kind in KINDS {
        let first = rig.create(ALL).await;
        let Some(mut client) = kind.http(&server.url, first.token.expose_secret()) else { return };
        let id = client.connect().expect("a connection");
        assert!(id.is_string(), "it has a session");
        let second = rig.rotate(&first.token, SignedDuration::from_hours(1)).await;
        client.who_am_i().expect("during the overlap");
        client.use_token(second.token.expose_secret());
        let who = client.who_am_i().expect("the same session");
        assert_eq!(who["structuredContent"]["token_id"], second.record.id.as_str());
        rig.finish(&first.token).await;
        client.who_am_i().expect("and after");

        // Another token of the same owner has no part in it, and so the client is told.
        let other = rig.create(ALL).await;
        client.use_token(other.token.expose_secret());
        let error = client.who_am_i().unwrap_err();
        client.report("with the session of another token", &error);
        client.use_token(second.token.expose_secret());
        client.who_am_i().expect("it is not harmed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_of_another_is_none() {
    let rig = Rig::new();
    let server = rig.serve();
    let ours = rig.create(ALL).await.token;
    let Some(mut client) = Kind::TypeScriptSdk.http(&server.url, ours.expose_secret()) else {
        return;
    };
    let id = client.connect().expect("a connection");
    let http = reqwest::Client::new();
    let send = async |method: Method, token: &str, id: &str| {
        let request = http
            .request(method, &server.url)
            .bearer_auth(token)
            .header("mcp-session-id", id)
            .header("accept", "application/json, text/event-stream")
            .json(&json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }));
        request.send().await.expect("an answer").status()
    };
    let id = id.as_str().expect("an id");
    for project in ["demo", "other"] {
        let theirs = rig.create_in(project, ALL).await.token;
        let theirs = theirs.expose_secret();
        for method in [Method::POST, Method::GET, Method::DELETE] {
            assert_eq!(send(method.clone(), theirs, id).await, StatusCode::NOT_FOUND, "{method}");
            let unknown = "00000000-0000-0000-0000-000000000000";
            assert_eq!(send(method, theirs, unknown).await, StatusCode::NOT_FOUND);
        }
    }
    client.who_am_i().expect("it is not harmed");
    assert_eq!(send(Method::POST, ours.expose_secret(), id).await, StatusCode::OK);
    assert!(send(Method::DELETE, ours.expose_secret(), id).await.is_success());
    assert_eq!(send(Method::POST, ours.expose_secret(), id).await, StatusCode::NOT_FOUND);
}
