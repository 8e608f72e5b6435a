//! schemathesis, which reads the OpenAPI document, and holds the service to it.

use std::{fs, path::Path, process::Command};

use crate::{
    python::python_with,
    support::{Place, run},
    util::or_skip,
};

const SCHEMATHESIS: &str = "schemathesis==4.32.5";

/// Makes a token for each request, since some requests revoke the one that they come with.
const HOOKS: &str = r#"
import json, os, urllib.request
import schemathesis

@schemathesis.auth(refresh_interval=None)
class TokenOfItsOwn:
    def get(self, case, context):
        body = json.dumps({"name": "schemathesis", "scopes": ["*"]}).encode()
        headers = {"Content-Type": "application/json", "Cookie": os.environ["COOKIE"]}
        request = urllib.request.Request(os.environ["TOKENS"], body, headers)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)["token"]

    def set(self, case, token, context):
        case.headers["Authorization"] = "Bearer " + token
"#;

/// What a schema cannot say: that an instant must lie ahead, that a text must not have control
/// characters (422), that a token must be in a certain state (409) or version (412).
const CONFIGURATION: &str = r#"
[parameters]
"path.project" = "demo"

[checks.positive_data_acceptance]
expected-statuses = ["2xx", "401", "403", "404", "409", "412", "422"]
"#;

#[test]
fn the_service_is_as_it_is_described() {
    let Some(python) = or_skip("schemathesis", python_with(&[SCHEMATHESIS])) else { return };
    let place = Place::new();
    let service = place.start();
    let directory = place.data.parent().expect("a parent");
    fs::write(directory.join("hooks.py"), HOOKS).expect("write");
    fs::write(directory.join("schemathesis.toml"), CONFIGURATION).expect("write");
    let api = format!("{}/management/api", service.base());
    let program = python.parent().map(|bin| bin.join("schemathesis")).expect("a program");
    let output = run(
        Command::new(program)
            .current_dir(directory)
            .args(["run", &format!("{api}/openapi.json"), "--checks", "all", "--no-shrink"])
            // A token that was revoked (`DELETE`) stays, to be looked at.
            .args(["--exclude-checks", "use_after_free"])
            .args(["--max-examples", "30", "--seed", "1", "--report-dir", "report"])
            .env("SCHEMATHESIS_HOOKS", "hooks")
            .env("PYTHONPATH", Path::new("."))
            .env("TOKENS", format!("{api}/projects/demo/tokens"))
            .env("COOKIE", service.cookie()),
        b"",
    );
    let printed = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}{stderr}");
    assert!(printed.contains("Tested: 18"), "{printed}");
    let end = printed.rfind("Test cases:").expect("a summary");
    crate::util::say(&format!("schemathesis: {}", printed[end..].trim()));
}
