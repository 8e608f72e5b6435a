//! Replace a token, and look at how far that has come.

use serde_json::{Value, json};

use super::{
    support::{Call, Service, TOKENS},
    util::ann,
};

#[tokio::test]
async fn from_the_old_token_to_the_new_one() {
    let service = Service::new();
    let old = service.token("acme", "sources:read").await;
    let old_path = format!("{TOKENS}/{}", old.record.id);
    let verify = async |token: &str| service.verifier.verify(token.as_bytes()).await.is_ok();
    let status = format!("{old_path}/rotation");
    assert_eq!(service.ann("GET", &status, Value::Null).await.ok(200), Value::Null);

    let body = json!({"overlap_seconds": 3600});
    let answer = service.ann("POST", &format!("{old_path}/rotate"), body).await;
    let new = answer.ok(201);
    let new_path = format!("{TOKENS}/{}", new["id"].as_str().unwrap());
    assert_eq!(answer.headers["location"], new_path);
    assert_eq!(new["scopes"], json!(["sources:read"]));
    let new_token = new["token"].as_str().unwrap();
    assert!(verify(new_token).await);

    let seen = service.ann("GET", &status, Value::Null).await.ok(200);
    assert_eq!(seen["predecessor"]["id"], old.record.id.as_str());
    assert_eq!(seen["successor"]["id"], new["id"]);
    assert_eq!(seen["predecessor_is_still_used"], false);
    let link = &seen["predecessor"]["rotation"];
    assert_eq!(link["overlap_ends_at"], seen["overlap_ends_at"]);
    assert_eq!(link["successor"], new["id"]);
    let by_new = service.ann("GET", &format!("{new_path}/rotation"), Value::Null).await.ok(200);
    assert_eq!(by_new, seen);

    assert!(verify(old.token.expose_secret()).await);
    let seen = service.ann("GET", &status, Value::Null).await.ok(200);
    assert_eq!(seen["predecessor_is_still_used"], true);
    assert!(seen["predecessor"]["last_used"]["at"].is_string(), "{seen}");

    let again = service.ann("POST", &format!("{old_path}/rotate"), json!({})).await;
    assert_eq!(again.error(409), "not_allowed");
    let early = service.ann("POST", &format!("{new_path}/rotate"), json!({})).await;
    assert_eq!(early.error(409), "predecessor_in_use");

    let finished = service.ann("POST", &format!("{status}/finish"), Value::Null).await.ok(200);
    assert_eq!(finished["status"], "rotated_out");
    assert!(!verify(old.token.expose_secret()).await && verify(new_token).await);
}

#[tokio::test]
async fn without_an_overlap_and_cancelled() {
    let service = Service::new();
    let old = service.token("acme", "").await;
    let path = format!("{TOKENS}/{}", old.record.id);
    let verify = async |token: &str| service.verifier.verify(token.as_bytes()).await.is_ok();
    let body = json!({"overlap_seconds": 60, "retire_on_use": true, "expires_at": null});
    let new = service.ann("POST", &format!("{path}/rotate"), body).await.ok(201);
    assert_eq!(new["expires_at"], Value::Null);
    let record = service.issuer.get(new["id"].as_str().unwrap().parse().unwrap(), &ann()).await;
    assert!(record.unwrap().unwrap().rotation.unwrap().retires_predecessor);
    let cancelled = service.ann("DELETE", &format!("{path}/rotation"), Value::Null).await.ok(200);
    assert_eq!(cancelled["status"], "active");
    assert!(verify(old.token.expose_secret()).await);
    assert!(!verify(new["token"].as_str().unwrap()).await);

    // Without a body: at once.
    let new = service.ann("POST", &format!("{path}/rotate"), Value::Null).await.ok(201);
    assert!(!verify(old.token.expose_secret()).await);
    assert!(verify(new["token"].as_str().unwrap()).await);
}

#[tokio::test]
async fn a_repeated_request_leaves_one_successor() {
    let service = Service::new();
    let old = service.token("acme", "").await;
    let path = format!("{TOKENS}/{}/rotate", old.record.id);
    let rotate = async || {
        let call = Call::new("POST", &path).field("x-user", "ann").field("idempotency-key", "k");
        service.send(call.json(&json!({"overlap_seconds": 60}))).await.ok(201)
    };
    let (lost, kept) = (rotate().await, rotate().await);
    let verify = async |token: &Value| {
        service.verifier.verify(token["token"].as_str().unwrap().as_bytes()).await.is_ok()
    };
    assert!(!verify(&lost).await && verify(&kept).await);
    let problem = service.ann("POST", &path, json!({"overlap_seconds": -1})).await.problem(422);
    assert_eq!(problem.1, "overlap_seconds");
}
