//! Tokens that are known to be dead.

use serde_json::Value;

use crate::support::{Folder, id, token};

#[test]
fn what_is_in_the_baseline_is_not_reported() {
    let folder = Folder::new();
    folder.write("a", token(1));
    folder.write("b", token(2));
    let write = ["--baseline", "known.json", "--write-baseline"];
    let ran = folder.scan(&write);
    ran.assert_found_nothing();
    assert!(ran.err.starts_with("2 tokens were added to known.json.\n"), "{}", ran.err);
    let ran = folder.scan(&["--baseline", "known.json"]);
    ran.assert_found_nothing();
    assert!(
        ran.err
            .starts_with("No other token was found; 2 that the baseline knows. Looked at 3 files"),
        "{}",
        ran.err
    );

    folder.write("c", token(3));
    let ran = folder.scan(&["--baseline", "known.json"]);
    ran.assert_found(&[&token(3)]);
    assert_eq!(ran.out.lines().count(), 1);
    // Wherever and however it is written.
    folder.write("a", token(2).replace('_', "%5F"));
    folder.write("c", "");
    folder.scan(&["--baseline", "known.json"]).assert_found_nothing();
}

#[test]
fn the_file_is_stable_sorted_and_without_secrets() {
    let folder = Folder::new();
    for seed in 1..20 {
        folder.write(format!("file-{seed}"), token(seed));
    }
    let write = ["--baseline", "known.json", "--write-baseline"];
    folder.scan(&write).assert_found_nothing();
    let first = folder.read("known.json");
    folder.scan(&write).assert_found_nothing();
    assert_eq!(folder.read("known.json"), first);
    let file: Value = serde_json::from_str(&first).unwrap();
    let entries = file["tokens"].as_array().unwrap();
    let fingerprints: Vec<&str> =
        entries.iter().map(|entry| entry["fingerprint"].as_str().unwrap()).collect();
    assert!(fingerprints.is_sorted());
    assert_eq!(entries.len(), 19);
    for seed in 1..20 {
        let token = token(seed);
        let entry = entries.iter().find(|entry| entry["id"] == id(&token)).unwrap();
        assert_eq!(entry["path"], format!("file-{seed}"));
        assert!(!first.contains(crate::support::secret(&token)));
    }
}

/// A token that was found elsewhere before stays known.
#[test]
fn it_grows() {
    let folder = Folder::new();
    folder.write("one/a", token(1));
    folder.write("two/b", token(2));
    let write = ["--baseline", "known.json", "--write-baseline"];
    folder.scan(&[&["one"], &write[..]].concat()).assert_found_nothing();
    folder.scan(&[&["two"], &write[..]].concat()).assert_found_nothing();
    folder.scan(&["--baseline", "known.json"]).assert_found_nothing();
}

#[test]
fn with_check_only_what_has_come_to_its_end_is_added() {
    let folder = Folder::with_store();
    let [live, dead, stranger] = ["live", "dead"]
        .map(|name| folder.new_token(name))
        .into_iter()
        .chain([token(9)])
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    folder.on_store(&["token", "revoke", id(&dead), "--yes"]).assert(0);
    folder.write("a", [&live, "\n", &dead, "\n", &stranger].map(String::from).concat());
    let scan = [
        "scan",
        "--prefix",
        "acme_live",
        "a",
        "--check",
        "--baseline",
        "known.json",
        "--write-baseline",
    ];
    let ran = folder.on_store(&scan);
    ran.assert_found(&[&live, &stranger]);
    assert!(!ran.out.contains(id(&dead)), "{}", ran.out);
    let known = folder.read("known.json");
    assert!(
        known.contains(id(&dead)) && !known.contains(id(&live)) && !known.contains(id(&stranger))
    );
}

#[test]
fn files_that_are_no_baseline() {
    let folder = Folder::new();
    folder.write("a", token(1));
    folder
        .scan(&["--baseline", "missing.json"])
        .assert_fails("cannot read the baseline missing.json: no such file");
    folder.scan(&["--write-baseline"]).assert_fails("--baseline");
    for (text, why) in [
        ("", "is not one"),
        ("{}", "is not one"),
        (r#"{"about":"","version":2,"tokens":[]}"#, "has version 2"),
        (r#"{"version":3,"entries":{}}"#, "has version 3, and this program knows version 1"),
        (
            r#"{"about":"","version":1,"tokens":[{"fingerprint":"x","prefix":"a","id":"Ky9Pf34qY6Nb3wWD","path":null}]}"#,
            "has a fingerprint that is none",
        ),
    ] {
        folder.write("known.json", text);
        folder.scan(&["--baseline", "known.json"]).assert_fails(why);
        // Nor is it written over.
        folder.scan(&["--baseline", "known.json", "--write-baseline"]).assert_fails(why);
        assert_eq!(folder.read("known.json"), text);
    }
    // What it is about is for people.
    folder.write("known.json", r#"{"version":1,"tokens":[]}"#);
    folder.scan(&["--baseline", "known.json"]).assert_found(&[&token(1)]);
}
