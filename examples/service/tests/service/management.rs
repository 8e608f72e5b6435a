//! What the admin may do, and nobody else.

use std::fs;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::support::{Place, Service};

const SOURCES: &str = "/api/public/v1/sources";

#[test]
fn create_shows_the_token_once() {
    let place = Place::new();
    let service = place.start();
    let body = json!({
        "project": "demo",
        "name": " Claude Integration 🚀 ",
        "owner": "ann",
        "scopes": ["sources:read"],
        "metadata": {"ticket": "OPS-42"},
        "not_before": "2026-01-01T00:00:00Z",
        "expires_at": "2999-01-01T00:00:00Z",
    });
    let created = service.manage("POST", "", &body);
    assert_eq!(created.status, 201, "{created:?}");
    assert!(created.headers.contains("cache-control: no-store"), "{created:?}");
    let mut json = created.json();
    let id = json["id"].as_str().unwrap().to_owned();
    let location = format!("location: /management/tokens/{id}");
    assert!(created.headers.contains(&location.to_lowercase()), "{created:?}");
    let token = json.as_object_mut().unwrap().remove("token").unwrap();

    assert_eq!(
        json,
        json!({
            "id": id,
            "status": "active",
            "project": "demo",
            "name": "Claude Integration 🚀",
            "owner": "ann",
            "created_by": "admin",
            "scopes": ["sources:read"],
            "metadata": {"ticket": "OPS-42"},
            "created_at": json["created_at"],
            "not_before": "2026-01-01T00:00:00Z",
            "expires_at": "2999-01-01T00:00:00Z",
            "rotation": null,
            "revocation": null,
            "last_used": null,
        })
    );
    // The same, without the token and without the digest.
    assert_eq!(service.manage("GET", &format!("/{id}"), &Value::Null).json(), json);
    assert_eq!(list(&service, "?owner=ann")["tokens"], json!([json]));
    assert_eq!(service.get(SOURCES, token.as_str().unwrap()).status, 200);
}

#[test]
fn refused_fields_are_named() {
    let place = Place::new();
    let service = place.start();
    let good = json!({"project": "demo", "name": "Test", "scopes": ["sources:read"]});
    for (field, value, status) in [
        ("name", json!(""), 422),
        ("name", json!("a\u{202e}b"), 422),
        ("name", json!("é".repeat(101)), 422),
        ("name", json!(null), 422),
        ("project", json!(" demo"), 422),
        ("owner", json!(""), 422),
        ("scopes", json!(["sources read"]), 422),
        ("scopes", json!("sources:read"), 422),
        ("metadata", json!({"bad key": "x"}), 422),
        ("expires_at", json!("2020-01-01T00:00:00Z"), 422),
        ("expires_at", json!("soon"), 422),
        ("expired_at", json!("2999-01-01T00:00:00Z"), 422),
    ] {
        let mut body = good.clone();
        body[field] = value;
        let detail = service.manage("POST", "", &body).problem(status);
        assert!(detail.contains(field), "{field}: {detail}");
    }
    for field in ["project", "name", "scopes"] {
        let mut body = good.clone();
        body.as_object_mut().unwrap().remove(field);
        let detail = service.manage("POST", "", &body).problem(422);
        assert!(detail.contains(field), "{field}: {detail}");
    }
    for (parameters, named) in [
        ("?project=", "project"),
        ("?status=dead", "status"),
        ("?after=x", "after"),
        ("?limit=many", "limit"),
        ("?projct=demo", "projct"),
    ] {
        let detail = service.manage("GET", parameters, &Value::Null).problem(400);
        assert!(detail.contains(named), "{named}: {detail}");
    }
    assert_eq!(list(&service, "")["tokens"].as_array().unwrap().len(), 1, "nothing was created");
}

#[test]
fn list_filters_and_pages() {
    let place = Place::new();
    let service = place.start();
    let mut ids: Vec<String> =
        (0..5).map(|i| service.create(&format!("p{}", i % 2), &["flows:run"]).1).collect();
    ids.reverse();
    let revoked = &ids[0];
    assert_eq!(service.manage("DELETE", &format!("/{revoked}"), &Value::Null).status, 200);

    let ids_of = |page: &Value| -> Vec<String> {
        let tokens = page["tokens"].as_array().unwrap();
        tokens.iter().map(|token| token["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids_of(&list(&service, "?name=tes*")), ids);
    assert_eq!(ids_of(&list(&service, "?name=tes")), [""; 0]);
    assert_eq!(ids_of(&list(&service, "?project=p1")), [ids[1].clone(), ids[3].clone()]);
    assert_eq!(ids_of(&list(&service, "?status=revoked")), ids[..1]);
    assert_eq!(ids_of(&list(&service, "?owner=nobody")), [""; 0]);

    let mut seen = Vec::new();
    let mut page = list(&service, "?name=test&limit=2");
    loop {
        seen.extend(ids_of(&page));
        let Some(next) = page["next"].as_str() else { break };
        page = list(&service, &format!("?name=test&limit=2&after={next}"));
    }
    assert_eq!(seen, ids);
}

#[test]
fn revoked_is_refused_at_once_and_for_good() {
    let place = Place::new();
    let service = place.start();
    let (token, id) = service.create("demo", &["sources:read"]);
    assert_eq!(service.get(SOURCES, &token).status, 200);

    let revoke = |reason: &str| service.manage("DELETE", &format!("/{id}{reason}"), &Value::Null);
    let revoked = revoke("?reason=left%20the%20team");
    assert_eq!(revoked.status, 200, "{revoked:?}");
    assert_eq!(service.get(SOURCES, &token).problem(401), "The access token has been revoked");

    let revocation = &revoked.json()["revocation"];
    assert_eq!(revocation["by"], "admin");
    assert_eq!(revocation["reason"], "left the team");
    assert_eq!(revoke("?reason=again").json(), revoked.json(), "the first one stays");
    assert!(revoke("?reason=").problem(400).contains("reason"));

    let (_, log) = service.stop("TERM");
    assert!(log.contains(&format!("401: token {id} is revoked\n")), "{log}");
    assert_eq!(place.start().get(SOURCES, &token).status, 401);
}

#[test]
fn unknown_ids_are_not_found() {
    let place = Place::new();
    let service = place.start();
    for id in ["/aaaaaaaaaaaaaaaa", "/x", "/%ff", "/..%2f"] {
        for (method, action) in [
            ("GET", ""),
            ("DELETE", ""),
            ("PATCH", ""),
            ("POST", "/rotate"),
            ("POST", "/disable"),
            ("POST", "/enable"),
        ] {
            let detail = service.manage(method, &format!("{id}{action}"), &json!({})).problem(404);
            assert_eq!(detail, "there is no such token");
        }
    }
    service.manage("PUT", "", &Value::Null).problem(405);
}

#[test]
fn nobody_but_the_admin() {
    let place = Place::new();
    let service = place.start();
    let password = fs::read_to_string(place.data.join("admin-password")).unwrap();
    let password = password.trim();
    let login = |login: &str| service.curl("/management/tokens", &["-u", login], b"");
    assert_eq!(login(&format!("admin:{password}")).status, 200);
    for wrong in [
        "admin:",
        "admin:wrong",
        &format!("root:{password}"),
        &format!("admin:{password}x"),
        &format!("admin:{}", &password[1..]),
    ] {
        let refused = login(wrong);
        refused.problem(401);
        assert!(refused.headers.contains(r#"www-authenticate: basic realm="management""#));
    }
    let encoded = STANDARD.encode(format!("admin:{password}"));
    let basic = format!("Authorization: Basic {encoded}");
    let header = |headers: &[&str]| {
        let arguments: Vec<&str> = headers.iter().flat_map(|header| ["-H", header]).collect();
        service.curl("/management/tokens", &arguments, b"").status
    };
    assert_eq!(header(&[&basic]), 200);
    assert_eq!(header(&[&basic.replace("Basic", "bAsIc")]), 200);
    assert_eq!(header(&[&format!("{}A", basic.trim_end_matches('='))]), 401);
    assert_eq!(header(&[&basic.replace("Basic", "Bearer")]), 401);
    assert_eq!(header(&[&basic, &basic]), 401);
    service.curl("/management/tokens", &[], b"").problem(401);
    for (method, action) in [
        ("GET", ""),
        ("DELETE", ""),
        ("PATCH", ""),
        ("POST", "/rotate"),
        ("POST", "/disable"),
        ("POST", "/enable"),
    ] {
        let path = format!("/management/tokens/aaaaaaaaaaaaaaaa{action}");
        service.curl(&path, &["-X", method], b"").problem(401);
    }
    service.curl("/management/tokens", &["-X", "PUT"], b"").problem(405);
    // A token is no password, whatever its scopes.
    let (all, _) = service.create("demo", &["*"]);
    service.get("/management/tokens", &all).problem(401);

    let (_, log) = service.stop("TERM");
    assert!(log.contains("refused management: 401"), "{log}");
    assert!(!log.contains(password), "{log}");
}

fn list(service: &Service, parameters: &str) -> Value {
    let answer = service.manage("GET", parameters, &Value::Null);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}
