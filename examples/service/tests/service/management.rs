//! What the admin may do, and nobody else.

use std::fs;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::support::Place;

const SOURCES: &str = "/api/public/v1/sources";
const TOKENS: &str = "/management/api/projects/demo/tokens";

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
    assert!(revoke("?reason=").problem(422).contains("reason"));

    let (_, log) = service.stop("TERM");
    assert!(log.contains(&format!("401: token {id} is revoked\n")), "{log}");
    assert_eq!(place.start().get(SOURCES, &token).status, 401);
}

#[test]
fn nobody_but_the_admin() {
    let place = Place::new();
    let service = place.start();
    let password = fs::read_to_string(place.data.join("admin-password")).unwrap();
    let password = password.trim();
    let login = |login: &str| service.curl(TOKENS, &["-u", login], b"");
    assert_eq!(login(&format!("admin:{password}")).status, 200);
    for wrong in [
        "admin:",
        "admin:wrong",
        &format!("root:{password}"),
        &format!("admin:{password}x"),
        &format!("admin:{}", &password[1..]),
    ] {
        login(wrong).problem(401);
    }
    let encoded = STANDARD.encode(format!("admin:{password}"));
    let basic = format!("Authorization: Basic {encoded}");
    let header = |headers: &[&str]| {
        let arguments: Vec<&str> = headers.iter().flat_map(|header| ["-H", header]).collect();
        service.curl(TOKENS, &arguments, b"").status
    };
    assert_eq!(header(&[&basic]), 200);
    assert_eq!(header(&[&basic.replace("Basic", "bAsIc")]), 200);
    assert_eq!(header(&[&format!("{}A", basic.trim_end_matches('='))]), 401);
    assert_eq!(header(&[&basic.replace("Basic", "Bearer")]), 401);
    assert_eq!(header(&[&basic, &basic]), 400);
    service.curl(TOKENS, &[], b"").problem(401);
    for (method, action) in [
        ("GET", ""),
        ("DELETE", ""),
        ("PATCH", ""),
        ("POST", "/rotate"),
        ("POST", "/disable"),
        ("POST", "/enable"),
    ] {
        let path = format!("{TOKENS}/aaaaaaaaaaaaaaaa{action}");
        service.curl(&path, &["-X", method], b"").problem(401);
    }
    service.curl(TOKENS, &["-X", "PUT"], b"").problem(405);
    // A token manages those of its own project, and no others.
    let (all, _) = service.create("demo", &["*"]);
    assert_eq!(service.get(TOKENS, &all).status, 200);
    service.get("/management/api/projects/other/tokens", &all).problem(404);

    let (_, log) = service.stop("TERM");
    assert!(log.contains("refused management: not the admin"), "{log}");
    assert!(!log.contains(password), "{log}");
}
