//! What happens to a token between its creation and its end.

use serde_json::{Value, json};

use crate::support::{Answer, Place, Service};

const SOURCES: &str = "/api/public/v1/sources";

#[test]
fn rotation_lets_both_tokens_in_for_a_while() {
    let place = Place::new();
    let service = place.start();
    let (old, old_id) = service.create("demo", &["sources:read"]);
    assert!(!service.get(SOURCES, &old).headers.contains("token-ends-at"));

    let rotated = rotate(&service, &old_id, &json!({"overlap_seconds": 2}));
    assert_eq!(rotated.status, 201, "{rotated:?}");
    assert!(rotated.headers.contains("cache-control: no-store"), "{rotated:?}");
    let new = text(&rotated, "token");
    let new_id = text(&rotated, "id");
    let location = format!("/management/api/projects/demo/tokens/{new_id}");
    assert_eq!(rotated.header("location"), Some(location.as_str()));

    let before = show(&service, &old_id);
    let overlap_ends_at = before["rotation"]["overlap_ends_at"].as_str().unwrap();
    assert_eq!(before["rotation"]["successor"], *new_id);
    let after = show(&service, &new_id);
    assert_eq!(after["rotation"]["predecessor"], *old_id);
    for field in ["project", "name", "owner", "scopes"] {
        assert_eq!(after[field], before[field], "{field}");
    }

    // Whoever still sends the old one can see that in what they are answered.
    let answer = service.get(SOURCES, &old);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("token-ends-at"), Some(overlap_ends_at));
    assert!(!service.get(SOURCES, &new).headers.contains("token-ends-at"));

    let detail = rotate(&service, &old_id, &json!({})).problem(409);
    assert_eq!(detail, "cannot rotate a token that is being replaced");
    let detail = rotate(&service, &new_id, &json!({})).problem(409);
    let expected =
        format!("cannot rotate a token while its predecessor {old_id} is still accepted");
    assert_eq!(detail, expected);

    std::thread::sleep(std::time::Duration::from_secs(2));
    service.get(SOURCES, &old).problem(401);
    assert_eq!(show(&service, &old_id)["status"], "rotated_out");
    assert_eq!(service.get(SOURCES, &new).status, 200);
}

#[test]
fn rotation_without_overlap_ends_the_old_token_at_once() {
    let place = Place::new();
    let service = place.start();
    let (old, id) = service.create("demo", &["sources:read"]);
    let rotated = rotate(&service, &id, &Value::Null);
    assert_eq!(rotated.status, 201, "{rotated:?}");
    service.get(SOURCES, &old).problem(401);
    assert_eq!(service.get(SOURCES, &text(&rotated, "token")).status, 200);

    let (_, id) = service.create("demo", &["sources:read"]);
    for (body, named) in [
        (json!({"overlap_seconds": -1}), "overlap_seconds"),
        (json!({"overlap_seconds": "an hour"}), "overlap_seconds"),
        (json!({"overlap": 1}), "known are: overlap_seconds"),
    ] {
        let detail = rotate(&service, &id, &body).problem(422);
        assert!(detail.contains(named), "{detail}");
    }
    assert_eq!(show(&service, &id)["rotation"], Value::Null);
}

#[test]
fn a_repeated_request_leaves_one_token() {
    let place = Place::new();
    let service = place.start();
    let body = json!({"name": "Test", "scopes": ["sources:read"]});
    let create = || service.manage_with("POST", "demo/tokens", &body, "-H 'Idempotency-Key: 7c1e'");
    let (lost, kept) = (create(), create());
    assert_eq!([lost.status, kept.status], [201, 201]);
    service.get(SOURCES, &text(&lost, "token")).problem(401);
    assert_eq!(show(&service, &text(&lost, "id"))["status"], "revoked");
    let token = text(&kept, "token");
    assert_eq!(service.get(SOURCES, &token).status, 200);
    let id = text(&kept, "id");
    let expected = format!("the request was made before: its token {id} has been used");
    assert_eq!(create().problem(409), expected);

    let path = format!("demo/tokens/{id}/rotate");
    let rotate = || {
        let body = json!({"overlap_seconds": 60});
        service.manage_with("POST", &path, &body, "-H 'Idempotency-Key: 7c1e'")
    };
    let (lost, kept) = (rotate(), rotate());
    assert_eq!([lost.status, kept.status], [201, 201]);
    service.get(SOURCES, &text(&lost, "token")).problem(401);
    assert_eq!(show(&service, &id)["rotation"]["successor"], *text(&kept, "id"));
    assert_eq!(service.get(SOURCES, &token).status, 200);
    assert_eq!(service.get(SOURCES, &text(&kept, "token")).status, 200);
    rotate().problem(409);
}

#[test]
fn disabled_until_enabled() {
    let place = Place::new();
    let service = place.start();
    let (token, id) = service.create("demo", &["sources:read"]);
    let post = |action: &str| service.manage("POST", &format!("/{id}/{action}"), &Value::Null);
    for _twice in 0..2 {
        assert_eq!(post("disable").json()["status"], "disabled");
    }
    service.get(SOURCES, &token).problem(401);
    let detail = rotate(&service, &id, &json!({})).problem(409);
    assert_eq!(detail, "cannot rotate a token that is disabled");
    assert_eq!(post("enable").json()["status"], "active");
    assert_eq!(service.get(SOURCES, &token).status, 200);

    assert_eq!(service.manage("DELETE", &format!("/{id}"), &Value::Null).status, 200);
    assert_eq!(post("enable").problem(409), "cannot enable a token that is revoked");
    assert_eq!(post("disable").problem(409), "cannot disable a token that is revoked");
}

#[test]
fn edits_hold_from_the_next_request_on() {
    let place = Place::new();
    let service = place.start();
    let (token, id) = service.create("demo", &["flows:run"]);
    service.get(SOURCES, &token).problem(403);
    let edit = |body: &Value| service.manage("PATCH", &format!("/{id}"), body);

    let end = "2999-01-01T00:00:00Z";
    let body = json!({"name": "Renamed", "scopes": ["sources:read"], "expires_at": end});
    let edited = edit(&body);
    assert_eq!(edited.status, 200, "{edited:?}");
    for field in ["name", "scopes", "expires_at"] {
        assert_eq!(edited.json()[field], body[field], "{field}");
    }
    assert_eq!(edited.json(), show(&service, &id));
    assert_eq!(service.get(SOURCES, &token).status, 200);

    assert_eq!(edit(&json!({})).json()["expires_at"], end, "what is not given stays");
    assert_eq!(edit(&json!({"expires_at": null})).json()["expires_at"], Value::Null);

    for (body, named) in [
        (json!({"name": ""}), "name"),
        (json!({"scopes": ["sources read"]}), "scopes"),
        (json!({"expires_at": "2020-01-01T00:00:00Z"}), "expires_at"),
        (json!({"expires_at": "soon"}), "expires_at"),
        (json!({"project": "other"}), "known are: name"),
    ] {
        let detail = edit(&body).problem(422);
        assert!(detail.contains(named), "{named}: {detail}");
    }
    assert_eq!(service.manage("DELETE", &format!("/{id}"), &Value::Null).status, 200);
    assert_eq!(edit(&json!({"name": "x"})).problem(409), "cannot edit a token that is revoked");
}

fn rotate(service: &Service, id: &str, body: &Value) -> Answer {
    service.manage("POST", &format!("/{id}/rotate"), body)
}

#[track_caller]
fn show(service: &Service, id: &str) -> Value {
    let answer = service.manage("GET", &format!("/{id}"), &Value::Null);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

#[track_caller]
fn text(answer: &Answer, field: &str) -> String {
    answer.json()[field].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
}
