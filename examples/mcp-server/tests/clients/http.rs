//! The answers over HTTP that keep clients from going astray.

use serde_json::{Value, json};

use crate::rig::Rig;

#[tokio::test]
async fn who_looks_for_an_authorization_server_is_told_that_there_is_none() {
    let rig = Rig::new();
    let server = rig.serve();
    let http = reqwest::Client::new();
    for (method, path) in [
        ("GET", "/.well-known/oauth-protected-resource"),
        ("GET", "/.well-known/oauth-protected-resource/mcp"),
        ("GET", "/.well-known/oauth-authorization-server"),
        ("GET", "/.well-known/openid-configuration"),
        ("POST", "/register"),
        ("GET", "/mcp/other"),
        ("GET", "/"),
    ] {
        let method = method.parse().expect("a method");
        let response = http.request(method, server.at(path)).send().await.expect("an answer");
        assert_eq!(response.status(), 404, "{path}");
        assert!(!response.headers().contains_key("www-authenticate"), "{path}");
        let body: Value = response.json().await.expect("JSON");
        assert_eq!(body["status"], 404, "{path}");
    }
}

#[tokio::test]
async fn a_refusal_names_no_authorization_server() {
    let rig = Rig::new();
    let server = rig.serve();
    let http = reqwest::Client::new();
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    for (token, challenge) in [
        (None, r#"Bearer realm="api""#),
        (
            Some("demo_wrong"),
            r#"Bearer realm="api", error="invalid_token", error_description="The access token is invalid""#,
        ),
    ] {
        let request = http.post(&server.url).json(&ping);
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), 401);
        assert_eq!(response.headers()["www-authenticate"], challenge);
    }
}

#[tokio::test]
async fn another_host_name_must_be_allowed_and_no_page_of_a_browser_is() {
    let rig = Rig::new();
    let server = rig.serve();
    let http = reqwest::Client::new();
    let token = rig.create("").await.token;
    let request = http.get(&server.url).bearer_auth(token.expose_secret());
    let response = request.header("host", "rebound.example").send().await.expect("an answer");
    assert_eq!(response.status(), 403);
    let request = http.get(&server.url).bearer_auth(token.expose_secret());
    let response = request.header("origin", "https://page.example").send().await;
    assert_eq!(response.expect("an answer").status(), 403);
    let server = rig.serve_with(&["--host", "mcp.example"]);
    let request = http.get(&server.url).bearer_auth(token.expose_secret());
    let response = request.header("host", "mcp.example").send().await.expect("an answer");
    // It is let in, and asks for nothing that there is.
    assert_eq!(response.status(), 406);
}
