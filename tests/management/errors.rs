//! What is refused, and how that is told.

use api_tokens::{Issuer, Keyring, Verifier, management, prefix};
use axum::Router;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{
    broken_store::BrokenStore,
    support::{Call, Service, TOKENS, Team},
};

#[tokio::test]
async fn refused_fields_are_named_and_not_repeated() {
    const HOSTILE: &str = "hostile<b>";
    let service = Service::new();
    let good = json!({"name": "Test", "scopes": ["sources:read"]});
    for (field, value) in [
        ("name", json!("")),
        ("name", json!("hostile<b>\u{202e}b")),
        ("name", json!(HOSTILE.repeat(11))),
        ("name", json!(null)),
        ("name", json!([HOSTILE])),
        ("scopes", json!(["hostile<b> x"])),
        ("scopes", json!([HOSTILE, 7])),
        ("scopes", json!(HOSTILE)),
        (
            "scopes",
            json!(
                vec![HOSTILE; 65]
                    .iter()
                    .enumerate()
                    .map(|(i, s)| format!("{s}{i}"))
                    .collect::<Vec<_>>()
            ),
        ),
        ("metadata", json!({"hostile<b> key": "x"})),
        ("metadata", json!({"key": {"hostile<b>": HOSTILE}})),
        ("metadata", json!(HOSTILE)),
        ("not_before", json!(HOSTILE)),
        ("expires_at", json!("2020-01-01T00:00:00Z")),
        ("expires_at", json!(HOSTILE)),
        ("expires_at", json!({"hostile<b>": 1})),
    ] {
        let mut body = good.clone();
        body[field] = value;
        let answer = service.ann("POST", TOKENS, body).await;
        let (error, named) = answer.problem(422);
        assert_eq!((&*error, &*named), ("invalid_field", field), "{answer:?}");
        assert!(!answer.body.contains("hostile"), "{answer:?}");
    }
    let answer = service.ann("POST", TOKENS, json!({"scopes": []})).await;
    assert_eq!(answer.problem(422), ("invalid_field".into(), "name".into()));
    let answer = service.ann("POST", TOKENS, json!({"name": "x", HOSTILE: 1})).await;
    assert_eq!(answer.error(422), "malformed");
    assert!(!answer.body.contains("hostile") && answer.body.contains("expires_at"), "{answer:?}");

    let long = format!("?name={}", "x".repeat(201));
    for (parameters, named) in [
        ("?status=hostile", "status"),
        ("?owner=", "owner"),
        ("?owner=a%00", "owner"),
        ("?created_by=%20hostile", "created_by"),
        ("?created_through=hostile", "created_through"),
        ("?created_before=hostile", "created_before"),
        ("?ends_before=hostile", "ends_before"),
        ("?living=hostile", "living"),
        ("?sort=hostile", "sort"),
        ("?sort=name&after=hostile", "after"),
        ("?sort=name&after=aaaaaaaaaaaaaaaa", "after"),
        ("?after=hostile", "after"),
        ("?limit=hostile", "limit"),
        ("?limit=0", "limit"),
        ("?limit=1001", "limit"),
        ("?limit=99999999999999999999", "limit"),
        (&*long, "name"),
    ] {
        let answer = service.ann("GET", &format!("{TOKENS}{parameters}"), Value::Null).await;
        assert_eq!(answer.problem(422), ("invalid_field".into(), named.into()), "{parameters}");
        assert!(!answer.body.contains("hostile"), "{answer:?}");
    }
    for (parameters, status) in [("?hostile=1", 422), ("?limit=1&limit=2", 400), ("?hostile", 422)]
    {
        let answer = service.ann("GET", &format!("{TOKENS}{parameters}"), Value::Null).await;
        assert_eq!(answer.error(status), "malformed", "{parameters}");
        assert!(!answer.body.contains("hostile"), "{answer:?}");
    }
    assert_eq!(service.list("").await["tokens"], json!([]), "nothing was created");
}

#[tokio::test]
async fn bodies_that_are_none() {
    let service = Service::new();
    let call = || Call::new("POST", TOKENS).field("x-user", "ann");
    let json = "application/json";
    let long = format!("{{\"name\": \"{}\"}}", "x".repeat(129 * 1024));
    let deep = format!("{{\"name\": {}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
    for (content_type, body, status, error) in [
        (json, "{", 400, "malformed"),
        (json, "{\"name\": \"x\"} x", 400, "malformed"),
        (json, "\u{0}", 400, "malformed"),
        (json, &*deep, 400, "malformed"),
        (json, "[]", 422, "malformed"),
        (json, "\"x\"", 422, "malformed"),
        (json, "null", 422, "malformed"),
        (json, "", 400, "malformed"),
        (json, &*long, 413, "too_large"),
        ("text/plain", "{\"name\": \"x\"}", 415, "unsupported_media_type"),
        ("application/jsonx", "{\"name\": \"x\"}", 415, "unsupported_media_type"),
        ("", "{\"name\": \"x\"}", 415, "unsupported_media_type"),
    ] {
        let answer = service.send(call().field("content-type", content_type).text(body)).await;
        assert_eq!(answer.error(status), error, "{content_type} {}", &body[..body.len().min(40)]);
    }
    for content_type in ["application/json; charset=utf-8", "Application/JSON"] {
        let request = call().field("content-type", content_type).text("{\"name\": \"x\"}");
        service.send(request).await.ok(201);
    }
}

/// All that a token may have, each character written as JSON allows at its longest.
#[tokio::test]
async fn the_longest_body_that_means_something() {
    let service = Service::new();
    let escaped = |count: usize| "\\ud83d\\ude80".repeat(count);
    let metadata: Vec<String> =
        (0..16).map(|i| format!("\"{i:040}\": \"{}\"", escaped(500))).collect();
    let scopes: Vec<String> = (0..64).map(|i| format!("\"{i:0128}\"")).collect();
    let body = format!(
        "{{\"name\": \"{}\", \"metadata\": {{{}}}, \"scopes\": [{}]}}",
        escaped(100),
        metadata.join(", "),
        scopes.join(", "),
    );
    assert!(body.len() > 100 * 1024, "{}", body.len());
    let call = Call::new("POST", TOKENS).field("x-user", "ann");
    let created = service.send(call.field("content-type", "application/json").text(&body)).await;
    assert_eq!(created.ok(201)["scopes"].as_array().unwrap().len(), 64);
}

#[tokio::test]
async fn paths_and_methods_that_are_none() {
    let service = Service::new();
    for path in ["", "/api", "/api/", "/api/tokens", "/api/projects/acme", "/x?y=z"] {
        let answer = service.ann("GET", &format!("/settings{path}"), Value::Null).await;
        assert_eq!(answer.error(404), "not_found", "{path}");
    }
    for (method, path) in [("PUT", TOKENS), ("DELETE", TOKENS), ("GET", "/settings/api/revoke")] {
        let answer = service.ann(method, path, Value::Null).await;
        assert_eq!(answer.error(405), "method_not_allowed");
        assert!(answer.headers.contains_key("allow"), "{answer:?}");
    }
}

/// Of the store: a 503, whoever asks, and not a word of where it is.
#[tokio::test]
async fn an_outage_is_an_outage() {
    let keyring = Keyring::unkeyed();
    let verifier = Verifier::new(prefix!("acme_live"), &keyring, BrokenStore);
    let app = Router::new().nest("/settings", management::router(Issuer::new(&verifier), Team));
    let token = Service::new().token("acme", "*").await;
    let text = token.token.expose_secret();
    let path = format!("{TOKENS}/{}", token.record.id);
    let ann = |method, path: &str| Call::new(method, path).field("x-user", "ann");
    for request in [
        ann("GET", TOKENS).text(""),
        ann("POST", TOKENS).json(&json!({"name": "x"})),
        ann("GET", &path).text(""),
        ann("DELETE", &path).text(""),
        ann("PATCH", &path).json(&json!({"name": "x"})),
        Call::new("GET", TOKENS).bearer(text).text(""),
        Call::new("GET", "/settings/api/token").bearer(text).text(""),
        Call::new("POST", "/settings/api/introspect").bearer(text).form("token=x"),
        Call::new("POST", "/settings/api/revoke").form(&format!("token={text}")),
    ] {
        let what = format!("{request:?}");
        let response = app.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 503, "{what}");
        assert!(response.headers().contains_key("retry-after"), "{what}");
        assert!(!response.headers().contains_key("www-authenticate"), "{what}");
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        assert!(!String::from_utf8_lossy(&body).contains("db.internal"), "{what}");
    }
}
