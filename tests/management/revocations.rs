//! Many at once.

use serde_json::{Value, json};

use super::support::{Call, Service, TOKENS};

const REVOCATIONS: &str = "/settings/api/projects/acme/revocations";

#[tokio::test]
async fn a_dry_run_and_then_in_earnest() {
    let service = Service::new();
    for name in ["ci-1", "ci-2", "web"] {
        service.ann("POST", TOKENS, json!({"name": name})).await.ok(201);
    }
    let other = service.token("beta", "").await;
    let run = async |body: Value| service.ann("POST", REVOCATIONS, body).await;
    let dry = run(json!({"name": "CI-*", "dry_run": true})).await.ok(200);
    assert_eq!((&dry["count"], dry["ids"].as_array().unwrap().len()), (&json!(2), 2));
    let living = async || service.list("?living=true").await["tokens"].as_array().unwrap().len();
    assert_eq!(living().await, 3);
    let done = run(json!({"name": "CI-*", "reason": "left the team"})).await.ok(200);
    assert_eq!(done, json!({"count": 2, "ids": null}));
    assert_eq!(living().await, 1);
    let revoked = service.list("?status=revoked").await;
    assert_eq!(revoked["tokens"][0]["revocation"]["reason"], "left the team");
    assert_eq!(run(json!({"created_before": "2999-01-01T00:00:00Z"})).await.ok(200)["count"], 1);
    assert!(service.verifier.verify(other.token.expose_secret().as_bytes()).await.is_ok());
}

/// An empty body would be all of them: nobody does that by mistake.
#[tokio::test]
async fn something_must_be_chosen() {
    let service = Service::new();
    service.token("acme", "").await;
    for body in [json!({}), json!({"dry_run": false}), json!({"reason": "x"})] {
        assert_eq!(service.ann("POST", REVOCATIONS, body).await.error(422), "malformed");
    }
    for (field, value) in [
        ("owner", json!("")),
        ("created_through", json!("x")),
        ("created_before", json!("soon")),
        ("unused_since", json!(7)),
        ("reason", json!("")),
    ] {
        let mut body = json!({"name": "*"});
        body[field] = value;
        let problem = service.ann("POST", REVOCATIONS, body).await.problem(422);
        assert_eq!(problem, ("invalid_field".into(), field.into()));
    }
    assert_eq!(service.list("?living=true").await["tokens"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_token_that_asks_stays() {
    let service = Service::new();
    let asking = service.token("acme", "tokens:*").await;
    let text = asking.token.expose_secret();
    let create = Call::new("POST", TOKENS).bearer(text).json(&json!({"name": "child"}));
    service.send(create).await.ok(201);
    let body = json!({"created_by": "ann"});
    let call = Call::new("POST", REVOCATIONS).bearer(text).json(&body);
    assert_eq!(service.send(call).await.ok(200)["count"], 1);
    assert!(service.verifier.verify(text.as_bytes()).await.is_ok());
    let body = json!({"created_through": asking.record.id.as_str()});
    assert_eq!(service.ann("POST", REVOCATIONS, body).await.ok(200)["count"], 0);
}
