//! What the admin may do, and nobody else.

use serde_json::Value;

use crate::support::Place;

const SOURCES: &str = "/api/public/v1/sources";
const TOKENS: &str = "/management/api/projects/demo/tokens";
const SIGNED_OUT: &str = "sign in, or send an API token: Authorization: Bearer TOKEN";

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
    let password = service.password();
    let cookie = service.sign_in();
    let list = |cookie: &str| service.curl(TOKENS, &["-b", cookie], b"");
    assert_eq!(list(&cookie).status, 200);
    assert_eq!(list(&format!("other=1; {cookie}")).status, 200);
    for wrong in [
        "session=",
        "session=x",
        &format!("session={password}"),
        &format!("{cookie}x"),
        &cookie[..cookie.len() - 1],
        &cookie.replace("session", "Session"),
    ] {
        assert_eq!(list(wrong).problem(401), SIGNED_OUT, "{wrong}");
    }
    for login in [format!("admin:{password}"), format!("admin:{cookie}")] {
        service.curl(TOKENS, &["-u", &login], b"").problem(401);
    }
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
    assert_eq!(log, "stopping\n", "to be signed out is nothing unusual");
}

/// A browser says of a request that another site makes it.
#[test]
fn another_site_changes_nothing_with_the_cookie() {
    let place = Place::new();
    let service = place.start();
    let create = |header: &str| {
        let body = serde_json::json!({"name": "Test", "scopes": ["sources:read"]});
        service.manage_with("POST", "demo/tokens", &body, &format!("-H '{header}'"))
    };
    create("Origin: https://evil.example").problem(403);
    create("Sec-Fetch-Site: cross-site").problem(403);
    assert_eq!(create(&format!("Origin: {}", service.base())).status, 201);
}
