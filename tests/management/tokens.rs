//! Create, list, read; what is shown, and what is not.

use api_tokens::LifetimePolicy;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::support::{Call, Service, TOKENS};

#[tokio::test]
async fn create_shows_the_token_once() {
    let service = Service::new();
    let body = json!({
        "name": " Claude Integration 🚀 ",
        "scopes": ["sources:read"],
        "metadata": {"ticket": "OPS-42"},
        "not_before": "2026-01-01T00:00:00Z",
        "expires_at": "2999-01-01T01:00:00+01:00",
    });
    let answer = service.ann("POST", TOKENS, body).await;
    let mut created = answer.ok(201);
    let id = created["id"].as_str().unwrap().to_owned();
    assert_eq!(answer.headers["location"], format!("{TOKENS}/{id}"));
    assert_eq!(answer.headers["etag"], "\"1\"");
    let token = created.as_object_mut().unwrap().remove("token").unwrap();
    assert_eq!(
        created,
        json!({
            "id": id,
            "status": "active",
            "project": "acme",
            "name": "Claude Integration 🚀",
            "owner": "ann",
            "created_by": "ann",
            "created_through": null,
            "scopes": ["sources:read"],
            "metadata": {"ticket": "OPS-42"},
            "created_at": created["created_at"],
            "not_before": "2026-01-01T00:00:00Z",
            "expires_at": "2999-01-01T00:00:00Z",
            "rotation": null,
            "revocation": null,
            "last_used": null,
            "version": 1,
        })
    );
    // The same, without the token and without the digest.
    let read = service.ann("GET", &format!("{TOKENS}/{id}"), Value::Null).await;
    assert_eq!(read.ok(200), created);
    assert_eq!(read.headers["etag"], "\"1\"");
    assert_eq!(service.list("").await, json!({"tokens": [created], "next": null}));
    let token = token.as_str().unwrap();
    assert!(service.verifier.verify(token.as_bytes()).await.is_ok());
}

#[tokio::test]
async fn the_expiry_is_absent_or_null_or_an_instant() {
    let days = |days: i64| SignedDuration::from_hours(24 * days);
    let policy =
        LifetimePolicy { default: Some(days(30)), max: Some(days(90)), allows_unlimited: true };
    let service = Service::with_policy(policy);
    let create = async |body: Value| service.ann("POST", TOKENS, body).await;
    let absent = create(json!({"name": "x"})).await.ok(201);
    assert!(absent["expires_at"].is_string());
    let (error, field) = create(json!({"name": "x", "expires_at": null})).await.problem(422);
    assert_eq!((&*error, &*field), ("invalid_field", "expires_at"));
    let far = json!({"name": "x", "expires_at": "2999-01-01T00:00:00Z"});
    assert_eq!(create(far).await.problem(422).1, "expires_at");

    let path = "/settings/api/projects/acme/policy";
    let expected = json!({
        "default_lifetime_seconds": 30 * 86_400,
        "max_lifetime_seconds": 90 * 86_400,
        "allows_unlimited": false,
    });
    assert_eq!(service.ann("GET", path, Value::Null).await.ok(200), expected);
    let free = Service::new().ann("GET", path, Value::Null).await.ok(200);
    let expected = json!({
        "default_lifetime_seconds": null,
        "max_lifetime_seconds": null,
        "allows_unlimited": true,
    });
    assert_eq!(free, expected);
    let service = Service::new();
    let never = json!({"name": "x", "expires_at": null});
    assert_eq!(service.ann("POST", TOKENS, never).await.ok(201)["expires_at"], Value::Null);
}

#[tokio::test]
async fn lists_filter_and_page() {
    let service = Service::new();
    let mut ids = Vec::new();
    for number in 0..5 {
        let body = json!({"name": format!("CI {number}"), "expires_at": "2999-01-01T00:00:00Z"});
        let created = service.ann("POST", TOKENS, body).await.ok(201);
        ids.insert(0, created["id"].as_str().unwrap().to_owned());
    }
    service.token("beta", "").await;
    let own = |count: usize| {
        Call::new("POST", TOKENS).field("x-user", "sam").json(&json!({
            "name": format!("Sam's {count}"),
        }))
    };
    let sams = service.send(own(1)).await.ok(201)["id"].as_str().unwrap().to_owned();
    let revoked = format!("{TOKENS}/{}", ids[2]);
    service.ann("DELETE", &revoked, Value::Null).await.ok(200);

    let listed = async |parameters: &str| -> Vec<String> {
        let page = service.list(parameters).await;
        let tokens = page["tokens"].as_array().unwrap();
        tokens.iter().map(|token| token["id"].as_str().unwrap().to_owned()).collect()
    };
    let all: Vec<String> = [sams.clone()].into_iter().chain(ids.clone()).collect();
    assert_eq!(listed("").await, all);
    assert_eq!(listed("?name=ci*").await, ids);
    assert_eq!(listed("?name=%2A3&living=false").await, ids[1..2]);
    assert_eq!(listed("?status=revoked").await, ids[2..3]);
    assert_eq!(listed("?owner=sam").await, std::slice::from_ref(&sams));
    assert_eq!(listed("?created_by=sam").await, std::slice::from_ref(&sams));
    assert_eq!(listed("?ends_before=2999-01-01T00:00:01Z&living=true").await.len(), 4);
    assert_eq!(listed("?ends_before=2999-01-01T00:00:00Z&living=true").await.len(), 0);
    assert_eq!(listed("?unused_since=2999-01-01T00:00:00Z").await, all);
    assert_eq!(listed("?unused_since=2000-01-01T00:00:00Z").await.len(), 0);
    assert_eq!(listed("?owner=nobody").await.len(), 0);
    assert_eq!(listed("?created_before=2999-01-01T00:00:00Z").await, all);
    assert_eq!(listed("?created_before=2000-01-01T00:00:00Z").await.len(), 0);
    assert_eq!(listed(&format!("?created_through={}", ids[0])).await.len(), 0);

    let mut seen = Vec::new();
    let mut parameters = "?name=ci*&limit=2".to_owned();
    loop {
        seen.extend(listed(&parameters).await);
        let page = service.list(&parameters).await;
        let Some(next) = page["next"].as_str() else { break };
        parameters = format!("?name=ci*&limit=2&after={next}");
    }
    assert_eq!(seen, ids);
}

#[tokio::test]
async fn lists_are_sorted() {
    let service = Service::new();
    let mut ids = Vec::new();
    for (name, end) in
        [("b", Some("2999-01-02")), ("A", None), ("a", Some("2999-01-01")), ("Ä", None)]
    {
        let end = end.map(|day| format!("{day}T00:00:00Z"));
        let created = service.ann("POST", TOKENS, json!({"name": name, "expires_at": end})).await;
        let created = created.ok(201);
        ids.push(created["id"].as_str().unwrap().to_owned());
        if ids.len() != 2 {
            let text = created["token"].as_str().unwrap();
            service.verifier.verify(text.as_bytes()).await.unwrap();
        }
    }
    let places = async |parameters: &str| -> Vec<usize> {
        let page = service.list(parameters).await;
        let tokens = page["tokens"].as_array().unwrap().iter();
        tokens.map(|token| ids.iter().position(|id| token["id"] == **id).unwrap()).collect()
    };
    for (sort, expected) in [
        ("newest", [3, 2, 1, 0]),
        ("oldest", [0, 1, 2, 3]),
        ("name", [2, 1, 0, 3]),
        ("ends_first", [2, 0, 3, 1]),
        ("last_used", [3, 2, 0, 1]),
    ] {
        assert_eq!(places(&format!("?sort={sort}")).await, expected, "{sort}");
        // In pages.
        let mut seen = Vec::new();
        let mut parameters = format!("?sort={sort}&limit=3");
        loop {
            seen.extend(places(&parameters).await);
            let page = service.list(&parameters).await;
            let Some(next) = page["next"].as_str() else { break };
            parameters = format!("?sort={sort}&limit=3&after={next}");
        }
        assert_eq!(seen, expected, "{sort}");
        assert_eq!(service.list(&format!("?sort={sort}&limit=4")).await["next"], Value::Null);
    }
    assert_eq!(places("?sort=name&living=true&name=A").await, [2, 1]);
}

/// To sort more would take too long.
#[tokio::test]
async fn very_many_are_listed_as_they_were_created_only() {
    let service = Service::new();
    for _ in 0..10_001 {
        service.token("acme", "").await;
    }
    let sorted =
        async || service.ann("GET", &format!("{TOKENS}?sort=oldest&limit=1"), Value::Null).await;
    assert_eq!(sorted().await.problem(422).1, "sort");
    assert!(service.list("?limit=1").await["next"].is_string());
    let one = service.list("?limit=1").await["tokens"][0]["id"].as_str().unwrap().to_owned();
    service.ann("DELETE", &format!("{TOKENS}/{one}"), Value::Null).await.ok(200);
    let path = format!("{TOKENS}?sort=oldest&living=true&limit=1");
    assert_eq!(service.ann("GET", &path, Value::Null).await.ok(200)["tokens"][0]["version"], 1);
}

/// Whoever repeats a request that got lost has one token in the end.
#[tokio::test]
async fn a_repeated_request() {
    let service = Service::new();
    let create = async |key: &str, name: &str| {
        let call = Call::new("POST", TOKENS).field("x-user", "ann").field("idempotency-key", key);
        let answer = service.send(call.json(&json!({"name": name}))).await;
        (answer.status.as_u16(), answer.json())
    };
    let (status, first) = create("k1", "x").await;
    assert_eq!(status, 201);
    let (status, second) = create("k1", "x").await;
    assert_eq!(status, 201);
    assert_ne!(first["id"], second["id"]);
    let verify = async |token: &Value| {
        service.verifier.verify(token["token"].as_str().unwrap().as_bytes()).await.is_ok()
    };
    assert!(!verify(&first).await, "it is replaced");
    assert!(verify(&second).await);
    let (status, problem) = create("k1", "x").await;
    assert_eq!((status, &problem["error"]), (409, &json!("repeated")), "it has been used");
    let (status, problem) = create("k2", "x").await;
    assert_eq!(status, 201, "{problem}");
    let (status, problem) = create("k2", "y").await;
    assert_eq!((status, &problem["error"]), (409, &json!("repeated")), "something else");
    let call = Call::new("POST", TOKENS).field("x-user", "ann");
    let call = call.field("idempotency-key", "a").field("idempotency-key", "b");
    let twice = service.send(call.json(&json!({"name": "x"}))).await;
    assert_eq!(twice.problem(422).1, "idempotency_key");
    let (status, problem) = create(" k", "x").await;
    assert_eq!((status, &problem["field"]), (422, &json!("idempotency_key")));
}

#[tokio::test]
async fn events_tell_who_did_what() {
    let service = Service::new();
    let token = service.token("acme", "tokens:*").await;
    let id = token.record.id;
    let path = format!("{TOKENS}/{id}");
    service.ann("PATCH", &path, json!({"name": "other"})).await.ok(200);
    let call = Call::new("POST", &format!("{path}/disable"));
    let through = service.token("acme", "tokens:*").await;
    service.send(call.bearer(through.token.expose_secret()).text("")).await.ok(200);
    let events = service.ann("GET", &format!("{path}/events"), Value::Null).await.ok(200);
    assert_eq!(events["next"], Value::Null);
    let events = &events["events"];
    let seen: Vec<_> = events
        .as_array()
        .unwrap()
        .iter()
        .map(|event| (event["kind"].clone(), event["through"].clone(), event["details"].clone()))
        .collect();
    assert_eq!(
        seen,
        [
            (json!("disabled"), json!(through.record.id.as_str()), json!({})),
            (json!("edited"), Value::Null, json!({"fields": ["name"]})),
            (json!("created"), Value::Null, json!({})),
        ]
    );
    assert!(events.as_array().unwrap().iter().all(|event| event["by"] == "ann"));
    let before = &events[1]["number"];
    let path = format!("{path}/events?limit=1&before={before}");
    let page = service.ann("GET", &path, Value::Null).await.ok(200);
    assert_eq!(page["events"], json!([events[2]]));
    assert_eq!(page["next"], events[2]["number"]);
}

/// The plaintext is in the answer that shows it, and the digest in none.
#[tokio::test]
async fn nothing_else_shows_a_secret() {
    let service = Service::new();
    let created = service.ann("POST", TOKENS, json!({"name": "x"})).await;
    let token = created.ok(201)["token"].as_str().unwrap().to_owned();
    let secret = token.rsplit('_').next().unwrap().to_owned();
    assert_eq!(created.body.matches(&secret).count(), 1);
    let id = created.json()["id"].as_str().unwrap().to_owned();
    let record = service.issuer.get(id.parse().unwrap(), &super::util::ann()).await.unwrap();
    let digest = record.unwrap().digest.to_string();
    let path = format!("{TOKENS}/{id}");
    for (method, path, body) in [
        ("GET", TOKENS.to_owned(), json!(null)),
        ("GET", path.clone(), json!(null)),
        ("PATCH", path.clone(), json!({"name": "y"})),
        ("POST", format!("{path}/rotate"), json!({"overlap_seconds": 60})),
        ("GET", format!("{path}/rotation"), json!(null)),
        ("GET", format!("{path}/events"), json!(null)),
        ("DELETE", path.clone(), json!(null)),
    ] {
        let answer = service.ann(method, &path, body).await;
        assert!(answer.status.is_success(), "{answer:?}");
        let text = format!("{answer:?}");
        assert!(!text.contains(&secret) && !text.contains(&digest), "{method} {path}: {text}");
    }
}
