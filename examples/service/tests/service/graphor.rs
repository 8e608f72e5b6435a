//! The official `graphor` client for Python, which was not written for this service.

use std::process::Command;

use serde_json::{Value, json};

use crate::{
    python::python_with,
    support::{Place, run},
    util::or_skip,
};

const GRAPHOR: &str = "graphor==0.26.0";

/// For each token: the names of the sources, or the error's class, status and `detail`.
const SCRIPT: &str = r#"
import json, sys
import graphor

def outcome(token):
    client = graphor.Graphor(api_key=token, max_retries=0) if token else graphor.Graphor()
    try:
        sources = client.sources.list()
        assert all(type(source).__name__ == "PublicSource" for source in sources)
        picked = client.sources.list(file_ids=["none", sources[0].file_id])
        return [[source.file_name for source in sources], [source.file_name for source in picked]]
    except graphor.APIStatusError as error:
        return [type(error).__name__, error.status_code, error.body["detail"]]

print(json.dumps([outcome(token) for token in sys.argv[1:]]))
"#;

#[test]
fn the_python_client_works_and_understands_refusals() {
    let Some(python) = or_skip("the graphor client in Python", python_with(&[GRAPHOR])) else {
        return;
    };
    let place = Place::new();
    let service = place.start();
    let token = service.token();
    let (revoked, id) = service.create("demo", &["sources:read"]);
    assert_eq!(service.manage("DELETE", &format!("/{id}"), &Value::Null).status, 200);
    let (elsewhere, _) = service.create("demo", &["flows:run"]);
    let garbled = token.replacen("demo_", "demo_x", 1);

    let output = run(
        Command::new(&python)
            .args(["-c", SCRIPT, "", &token, &revoked, &garbled, &elsewhere])
            .env("GRAPHOR_BASE_URL", format!("{}/api/public/v1", service.base()))
            .env("GRAPHOR_API_KEY", &token),
        b"",
    );
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let outcomes: Value = serde_json::from_slice(&output.stdout).unwrap();
    let good = json!([["deep/er/giraffe.txt", "zebra.md"], ["deep/er/giraffe.txt"]]);
    assert_eq!(
        outcomes,
        json!([
            good, // by the environment
            good,
            ["AuthenticationError", 401, "The access token has been revoked"],
            ["AuthenticationError", 401, "The access token is invalid"],
            ["PermissionDeniedError", 403, "The access token lacks a required scope: sources:read"],
        ])
    );

    // The printed command, with a `python3` that has the client.
    let line = service.greeting.lines().find(|line| line.contains("python3 -c")).unwrap();
    let printed = crate::support::shell(&line.replace("python3", &python.display().to_string()));
    assert_eq!(printed, "['deep/er/giraffe.txt', 'zebra.md']\n");
}
