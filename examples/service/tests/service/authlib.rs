//! Authlib, a client of OAuth that was not written for this service, introspects and revokes.

use std::process::Command;

use serde_json::{Value, json};

use crate::{
    python::python_with,
    support::{Place, run},
    util::or_skip,
};

const PACKAGES: [&str; 2] = ["Authlib==1.9.10", "requests==2.34.2"];

const SCRIPT: &str = r#"
import json, sys
from authlib.integrations.requests_client import OAuth2Session, OAuth2Auth

api, caller, token = sys.argv[1:]
bearer = OAuth2Auth({"access_token": caller, "token_type": "Bearer"})
session = OAuth2Session(client_id="service", token_endpoint_auth_method="none")

def introspect():
    return session.introspect_token(api + "/introspect", token=token, auth=bearer).json()

def revoke(token):
    return session.revoke_token(api + "/revoke", token=token).status_code

before = introspect()
statuses = [revoke("unknown"), revoke(token), revoke(token)]
print(json.dumps([before, statuses, introspect()]))
"#;

#[test]
fn authlib_introspects_and_revokes() {
    let Some(python) = or_skip("Authlib", python_with(&PACKAGES)) else { return };
    let place = Place::new();
    let service = place.start();
    let (caller, _) = service.create("demo", &["tokens:read"]);
    let (token, id) = service.create("demo", &["sources:read", "flows:run"]);
    let api = format!("{}/management/api", service.base());
    let output = run(Command::new(&python).args(["-c", SCRIPT, &api, &caller, &token]), b"");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let outcome: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let before = &outcome[0];
    assert_eq!(before["active"], true, "{outcome}");
    assert_eq!(before["scope"], "flows:run sources:read");
    assert_eq!((&before["jti"], &before["sub"]), (&json!(id), &json!("admin")));
    assert_eq!(outcome[1], json!([200, 200, 200]));
    assert_eq!(outcome[2], json!({"active": false}));
    service.get("/api/public/v1/sources", &token).problem(401);
}
