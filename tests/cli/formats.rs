//! What is told of what was found, to the letter.

use serde_json::{Value, json};

use crate::support::{EXAMPLE, Folder, Ran};

/// Of the example: the beginning of what `sha256sum` gives.
const FINGERPRINT: &str = "72aa0ca8d70b";

/// One token in four places of a repository.
fn places() -> Folder {
    let folder = Folder::with_repository();
    folder.write("src/config.py", format!("# ü\nTOKEN = \"{EXAMPLE}\"\n"));
    folder.commit("first");
    folder.write("url", format!("x={}", EXAMPLE.replace('_', "%5F")));
    folder
}

#[test]
fn text() {
    let folder = places();
    let ran = folder.scan(&[]);
    ran.assert_found(&[EXAMPLE]);
    assert_eq!(
        ran.out,
        "src/config.py:2:10: token acme_live_Ky9Pf34qY6Nb3wWD_…, fingerprint FINGERPRINT\n\
         url:1:3: token acme_live_Ky9Pf34qY6Nb3wWD_…, fingerprint FINGERPRINT, in percent\n"
            .replace("FINGERPRINT", FINGERPRINT)
    );
    assert_eq!(ran.err, "1 token was found in 2 places. Looked at 2 files, 168 B.\n");
    assert_eq!(
        folder.scan(&["--git-history"]).out,
        format!(
            "commit a14215adaf11 of 2026-01-31, src/config.py:2:10: \
             token acme_live_Ky9Pf34qY6Nb3wWD_…, fingerprint {FINGERPRINT}\n"
        )
    );
    let nothing = folder.scan(&[".git/HEAD"]);
    assert_eq!(
        (nothing.out.as_str(), nothing.err.as_str()),
        ("", "No token was found. Looked at 1 file, 21 B.\n")
    );
}

#[test]
fn json_lines() {
    let ran = places().scan(&["--format", "json"]);
    ran.assert_found(&[EXAMPLE]);
    let [config, url] = &ran.json()[..] else { panic!("{}", ran.out) };
    let fingerprint = &config["fingerprint"];
    assert!(fingerprint.as_str().unwrap().starts_with(FINGERPRINT));
    assert_eq!(
        *config,
        json!({
            "within": "file", "path": "src/config.py", "line": 2, "column": 10, "offset": 14,
            "length": 72, "prefix": "acme_live", "id": "Ky9Pf34qY6Nb3wWD", "encoding": "plain",
            "fingerprint": fingerprint,
        })
    );
    assert_eq!((&url["encoding"], &url["length"]), (&json!("percent"), &json!(78)));
}

#[track_caller]
fn assert_is_sarif(ran: &Ran) -> Value {
    // That of OASIS has two brackets too many, which no strict reader takes.
    let schema = include_str!("../data/sarif-2.1.0.json").replace("{2}]?$", "{2}$");
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let log: Value = serde_json::from_str(&ran.out).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let problems: Vec<String> =
        validator.iter_errors(&log).map(|error| error.to_string()).collect();
    assert_eq!(problems, [""; 0], "{log:#}");
    log
}

#[test]
fn sarif() {
    let folder = places();
    folder.write("a b/ü", EXAMPLE);
    let ran = folder.scan(&["--format", "sarif"]);
    ran.assert_found(&[EXAMPLE]);
    let log = assert_is_sarif(&ran);
    let run = &log["runs"][0];
    assert_eq!(run["tool"]["driver"]["rules"][0]["id"], "leaked-token/acme_live");
    assert_eq!(run["invocations"][0]["executionSuccessful"], true);
    let results = run["results"].as_array().unwrap();
    let uris: Vec<&Value> = results
        .iter()
        .map(|result| &result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"])
        .collect();
    assert_eq!(uris, ["a%20b/%C3%BC", "src/config.py", "url"]);
    let region = &results[1]["locations"][0]["physicalLocation"]["region"];
    assert_eq!(*region, json!({ "startLine": 2, "startColumn": 10 }));
    for result in results {
        assert_eq!(
            (&result["level"], &result["ruleId"]),
            (&json!("error"), &json!("leaked-token/acme_live"))
        );
        let fingerprint = result["partialFingerprints"]["tokenSha256/v1"].as_str().unwrap();
        assert!(fingerprint.starts_with(FINGERPRINT) && fingerprint.len() == 64);
    }
}

#[test]
fn sarif_of_everything_else() {
    let folder = places();
    folder.git(&["tag", "--annotate", "--message", EXAMPLE, "v1"]);
    folder.commit(EXAMPLE);
    folder.git(&["notes", "add", "--message", EXAMPLE]);
    let log = assert_is_sarif(&folder.scan(&["--git-history", "--format", "sarif"]));
    assert_eq!(log["runs"][0]["results"].as_array().unwrap().len(), 5);
    assert_is_sarif(&folder.run_with(
        &["scan", "--prefix", "acme_live", "--format", "sarif", "-"],
        EXAMPLE.as_bytes(),
    ));
    let ran = folder.scan(&["missing", "--format", "sarif"]);
    ran.assert(2);
    let log = assert_is_sarif(&ran);
    let invocation = &log["runs"][0]["invocations"][0];
    assert_eq!(invocation["executionSuccessful"], false);
    let told = invocation["toolExecutionNotifications"][0]["message"]["text"].as_str().unwrap();
    assert!(told.contains("cannot read missing"), "{told}");
    assert_eq!(log["runs"][0]["results"], json!([]));
}

/// So that a test of the validation itself can fail.
#[test]
#[should_panic(expected = "is a required property")]
fn what_is_not_sarif() {
    assert_is_sarif(&Ran { code: 0, out: r#"{"runs": []}"#.to_owned(), err: String::new() });
}
