//! Tokens that somebody has found.

use std::fs;

use serde_json::json;

use crate::support::{Answer, Place, Service};

#[test]
fn a_found_token_is_revoked() {
    let place = Place::new();
    let service = place.start();
    let (token, id) = service.create("demo", &["sources:read"]);
    let report = json!({ "token": token, "url": "https://a.example/" }).to_string();
    for _ in 0..2 {
        let answer = post(&service, "/reports/found", &report, &[]);
        assert_eq!((answer.status, &*answer.body), (200, r#"{"status":"revoked"}"#));
    }
    let other = report.replace(&token[22..], "");
    assert_eq!(post(&service, "/reports/found", &other, &[]).status, 404);

    let events = service.manage("GET", &format!("/{id}/events"), &serde_json::Value::Null).json();
    let kinds: Vec<_> =
        events["events"].as_array().unwrap().iter().map(|one| &one["kind"]).collect();
    assert_eq!(kinds, ["revoked", "leak_reported", "created"]);
    let details = json!({ "source": "found", "url": "https://a.example/" });
    assert_eq!(events["events"][1]["details"], details);

    // There is no such route without the keys.
    assert_eq!(post(&service, "/reports/github", "[]", &[]).status, 404);
    let (_, log) = service.stop("TERM");
    assert_eq!(log.matches(&format!("token {id} of admin has leaked; it is revoked")).count(), 1);
    assert!(!log.contains(&token[22..]));
}

/// The sample that GitHub has published.
#[test]
fn reports_of_github_are_received() {
    let place = Place::new();
    let keys = place.sources.join("../keys.json");
    let (first, second) = (
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYAGMWO8XgCamYKMJS6jc/qgvSlAd",
        "AjPuDPRcXU22YxgBrz+zoN19MzuRyW87qEt9/AmtoNP5GrobzUvQSyJFVw==",
    );
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{first}\n{second}\n-----END PUBLIC KEY-----\n");
    let id = "bcb53661c06b4728e59d897fb6165d5c9cda0fd9cdf9d09ead458168deb7518c";
    let document = json!({ "public_keys": [{ "key_identifier": id, "key": pem }] });
    fs::write(&keys, document.to_string()).unwrap();
    let service = place.start_with(&["--github-keys", keys.to_str().unwrap()]);
    let body = r#"[{"source":"commit","token":"some_token","type":"some_type","url":"https://example.com/base-repo-url/"}]"#;
    let signature = "MEQCIQDaMKqrGnE27S0kgMrEK0eYBmyG0LeZismAEz/BgZyt7AIfXt9fErtRS4XaeSt/AO1RtBY66YcAdjxji410VQV4xg==";
    let fields = [
        format!("Github-Public-Key-Identifier: {id}"),
        format!("Github-Public-Key-Signature: {signature}"),
    ];
    let report = |body: &str| post(&service, "/reports/github", body, &fields);
    let answer = report(body);
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.json()[0]["label"], "false_positive");
    assert_eq!(report(&body.replace("commit", "content")).status, 403);
}

fn post(service: &Service, path: &str, body: &str, fields: &[String]) -> Answer {
    let mut arguments = vec!["-H", "Content-Type: application/json", "--data-binary", "@-"];
    arguments.extend(fields.iter().flat_map(|field| ["-H", &**field]));
    service.curl(path, &arguments, body.as_bytes())
}
