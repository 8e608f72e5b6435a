//! Edit, disable, enable, revoke.

use serde_json::{Value, json};

use super::support::{Call, Service, TOKENS};

#[tokio::test]
async fn edits_what_is_there() {
    let service = Service::new();
    let id = service.token("acme", "sources:read flows:run").await.record.id;
    let path = format!("{TOKENS}/{id}");
    let edit = async |body: Value| service.ann("PATCH", &path, body).await.ok(200);
    let before = edit(json!({})).await;
    assert_eq!(before["version"], 1, "nothing to do");
    let named = edit(json!({"name": "CI", "metadata": {"a": "b"}})).await;
    assert_eq!((&named["name"], &named["version"]), (&json!("CI"), &json!(2)));
    assert_eq!(named["metadata"], json!({"a": "b"}));
    let narrowed = edit(json!({"scopes": ["flows:run"]})).await;
    assert_eq!(narrowed["scopes"], json!(["flows:run"]));
    let ends = edit(json!({"expires_at": "2999-01-01T00:00:00Z"})).await;
    assert_eq!(ends["expires_at"], "2999-01-01T00:00:00Z");
    assert_eq!(ends["name"], "CI", "all else stays");
    assert_eq!(edit(json!({"expires_at": null})).await["expires_at"], Value::Null);
    for field in ["name", "scopes", "metadata"] {
        let problem = service.ann("PATCH", &path, json!({field: null})).await.problem(422);
        assert_eq!(problem, ("invalid_field".into(), field.into()));
    }
}

/// Nobody's change is overwritten unseen.
#[tokio::test]
async fn if_match() {
    let service = Service::new();
    let id = service.token("acme", "").await.record.id;
    let path = format!("{TOKENS}/{id}");
    let edit = async |if_match: &[&str], name: &str| {
        let mut call = Call::new("PATCH", &path).field("x-user", "ann");
        for value in if_match {
            call = call.field("if-match", value);
        }
        service.send(call.json(&json!({"name": name}))).await
    };
    let first = edit(&["\"1\""], "a").await;
    assert_eq!(
        (first.ok(200)["version"].clone(), &first.headers["etag"]),
        (json!(2), &"\"2\"".parse().unwrap())
    );
    for stale in [
        &["\"1\""][..],
        &["\"3\""],
        &["2"],
        &["W/\"2\""],
        &[""],
        &["\"1\", \"3\""],
        &["\"02\""],
        &["\"x,*,y\""],
    ] {
        assert_eq!(edit(stale, "b").await.error(412), "changed", "{stale:?}");
    }
    assert_eq!(service.ann("GET", &path, Value::Null).await.ok(200)["name"], "a");
    let call = Call::new("DELETE", &path).field("x-user", "ann").field("if-match", "*");
    assert_eq!(service.send(call.text("")).await.error(400), "malformed", "only for edits");
    assert_eq!(edit(&["\"1\""], "").await.error(422), "invalid_field", "comes first");
    for (version, fresh) in
        [(3, &["\"1\", \"2\""][..]), (4, &["*"]), (5, &["\"9\"", "\"4\""]), (6, &[])]
    {
        let name = version.to_string();
        assert_eq!(edit(fresh, &name).await.ok(200)["version"], version, "{fresh:?}");
    }
}

#[tokio::test]
async fn off_and_on_and_gone() {
    let service = Service::new();
    let token = service.token("acme", "").await;
    let text = token.token.expose_secret();
    let path = format!("{TOKENS}/{}", token.record.id);
    let verify = async || service.verifier.verify(text.as_bytes()).await.is_ok();
    let post = async |action: &str| {
        service.ann("POST", &format!("{path}/{action}"), Value::Null).await.ok(200)
    };
    assert!(verify().await);
    assert_eq!(post("disable").await["status"], "disabled");
    assert!(!verify().await);
    assert_eq!(post("enable").await["status"], "active");
    assert!(verify().await);

    let revoke =
        async |reason: &str| service.ann("DELETE", &format!("{path}{reason}"), Value::Null).await;
    let revoked = revoke("?reason=left%20the%20team").await.ok(200);
    assert_eq!(revoked["status"], "revoked");
    assert_eq!(revoked["revocation"]["by"], "ann");
    assert_eq!(revoked["revocation"]["reason"], "left the team");
    assert!(!verify().await);
    assert_eq!(revoke("?reason=again").await.ok(200), revoked, "the first one stays");
    assert_eq!(revoke("?reason=").await.problem(422).1, "reason");
    for action in ["enable", "disable", "rotate"] {
        let answer = service.ann("POST", &format!("{path}/{action}"), Value::Null).await;
        assert_eq!(answer.error(409), "not_allowed");
    }
    assert_eq!(service.ann("PATCH", &path, json!({"name": "x"})).await.error(409), "not_allowed");
}
