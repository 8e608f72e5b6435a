//! `token new`, `list`, `show`, `rotate` and `revoke`.

use std::{fs, process::Stdio};

use api_tokens::{ParsedToken, prefix};
use serde_json::{Value, json};

use crate::support::{Folder, Ran, id, token};

fn parse(text: &str) -> String {
    ParsedToken::parse(&prefix!("acme_live"), text.as_bytes()).unwrap().id().to_string()
}

#[track_caller]
fn shown(folder: &Folder, id: &str) -> Value {
    let ran = folder.on_store(&["token", "show", id, "--json"]);
    ran.assert(0);
    ran.json().remove(0)
}

const NEW: [&str; 8] =
    ["token", "new", "--prefix", "acme_live", "--project", "acme", "--name", "Production REST API"];

#[test]
fn a_new_token_is_what_was_asked_for() {
    let folder = Folder::with_store();
    let options = [
        "--owner",
        "ben",
        "--scope",
        "sources:read",
        "--scope",
        "flows:*",
        "--expires",
        "2099-01-31T12:00:00Z",
        "--metadata",
        "ticket=OPS-42=x",
        "--actor",
        "carol",
        "--print",
    ];
    let ran = folder.on_store(&[&NEW[..], &options].concat());
    ran.assert(0);
    let id = parse(ran.out.strip_suffix('\n').unwrap());
    assert_eq!(ran.err, format!("The new token {id} is shown this once: copy it now.\n"));
    let token = shown(&folder, &id);
    for (name, value) in [
        ("prefix", json!("acme_live")),
        ("project", json!("acme")),
        ("name", json!("Production REST API")),
        ("owner", json!("ben")),
        ("created_by", json!("carol")),
        ("scopes", json!(["flows:*", "sources:read"])),
        ("expires_at", json!("2099-01-31T12:00:00Z")),
        ("metadata", json!({"ticket": "OPS-42=x"})),
        ("status", json!("active")),
        ("last_used", Value::Null),
    ] {
        assert_eq!(token[name], value, "{name}");
    }
    assert_eq!(token["events"][0]["kind"]["type"], "created");
    assert!(token.get("digest").is_none());
}

#[test]
fn without_a_terminal_a_secret_goes_where_it_was_told() {
    let folder = Folder::with_store();
    folder.on_store(&NEW).assert_fails("nothing was done: stdout is no terminal");
    assert_eq!(folder.on_store(&["token", "list", "--json"]).out, "");

    let ran = folder.on_store(&[&NEW[..], &["--to", "token"]].concat());
    ran.assert(0);
    assert_eq!(ran.out, "");
    let text = folder.read("token");
    parse(text.strip_suffix('\n').unwrap());
    assert!(!ran.err.contains(crate::support::secret(text.trim_end())), "{}", ran.err);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(folder.path().join("token")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    // It is not overwritten, and then no token is made.
    folder
        .on_store(&[&NEW[..], &["--to", "token"]].concat())
        .assert_fails("token exists; it was not changed");
    assert_eq!(folder.read("token"), text);
    assert_eq!(folder.on_store(&["token", "list", "--json"]).json().len(), 1);
    folder
        .on_store(&[&NEW[..], &["--to", "no/such/folder"]].concat())
        .assert_fails("cannot create no/such/folder");
}

/// A token that nobody got is revoked.
#[test]
fn a_token_that_cannot_be_shown_is_revoked() {
    let folder = Folder::with_store();
    let key = folder.read("key");
    let mut command = folder.command();
    command.env("API_TOKENS_STORE", "sqlite:db").env("API_TOKENS_KEY", key.trim_end());
    command.args(NEW).arg("--print").stdin(Stdio::null()).stderr(Stdio::piped());
    // Nothing fits into it.
    let full = fs::OpenOptions::new().write(true).open("/dev/full");
    let Some(full) = crate::util::or_skip("/dev/full", full.map_err(|error| error.to_string()))
    else {
        return;
    };
    let ran = Ran::from(command.stdout(full).output().unwrap());
    ran.assert_fails("was revoked again");
    let list = folder.on_store(&["token", "list", "--json"]).json();
    assert_eq!(list[0]["status"], "revoked");
    // If nothing is made, no file stays.
    folder
        .on_store(&[&NEW[..], &["--to", "token", "--expires", "2001-01-01T00:00:00Z"]].concat())
        .assert_fails("expires_at must lie in the future");
    assert!(!folder.path().join("token").exists());
}

#[test]
fn expiry() {
    let folder = Folder::with_store();
    let end = |expires: &[&str]| {
        let ran = folder.on_store(&[&NEW[..], &["--print"], expires].concat());
        ran.assert(0);
        let token = shown(&folder, &parse(ran.out.trim_end()));
        let time =
            |name: &str| token[name].as_str().map(|time| time.parse::<jiff::Timestamp>().unwrap());
        time("expires_at").map(|end| end.duration_since(time("created_at").unwrap()).as_hours())
    };
    assert_eq!(end(&[]), Some(90 * 24));
    assert_eq!(end(&["--expires", "12h"]), Some(12));
    assert_eq!(end(&["--expires", "never"]), None);
    folder
        .on_store(&[&NEW[..], &["--print", "--expires", "soon"]].concat())
        .assert_fails("or never");
}

#[test]
fn lists() {
    let folder = Folder::with_store();
    folder.on_store(&["token", "list"]).assert(0);
    for (project, owner, name) in
        [("acme", "ann", "CI 1"), ("acme", "ben", "CI 2"), ("beta", "ben", "x")]
    {
        folder
            .on_store(&[
                "token",
                "new",
                "--prefix",
                "acme_live",
                "--project",
                project,
                "--owner",
                owner,
                "--name",
                name,
                "--print",
                "--expires",
                "30d",
            ])
            .assert(0);
    }
    let count = |filter: &[&str]| {
        let ran = folder.on_store(&[&["token", "list", "--json"], filter].concat());
        ran.assert(0);
        ran.json().len()
    };
    for (filter, expected) in [
        (&[][..], 3),
        (&["--project", "acme"], 2),
        (&["--owner", "ben"], 2),
        (&["--owner", "ben", "--project", "acme"], 1),
        (&["--created-by", "ann"], 3),
        (&["--created-by", "ben"], 0),
        (&["--name", "ci*"], 2),
        (&["--status", "active"], 3),
        (&["--status", "revoked"], 0),
        (&["--ends-within", "31d"], 3),
        (&["--ends-within", "29d"], 0),
        (&["--unused-for", "1h"], 0),
        (&["--unused-for", "0s", "--living"], 3),
    ] {
        assert_eq!(count(filter), expected, "{filter:?}");
    }
    let ran = folder.on_store(&["token", "list", "--project", "beta"]);
    let mut lines = ran.out.lines();
    let headings: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
    assert_eq!(headings.join(" "), "ID PREFIX PROJECT OWNER STATUS ENDS LAST USED NAME");
    assert!(lines.next().unwrap().ends_with("never      x"), "{}", ran.out);
    folder.on_store(&["token", "list", "--status", "lost"]).assert_fails("possible values: active");
}

#[test]
fn rotation() {
    let folder = Folder::with_store();
    let old = folder.new_token("CI");
    folder.on_store(&["token", "rotate", id(&old)]).assert_fails("nothing was done: stdout");
    let ran = folder.on_store(&["token", "rotate", id(&old), "--overlap", "2h", "--print"]);
    ran.assert(0);
    let new = ran.out.trim_end();
    assert!(
        ran.err.contains(&format!("The old token {} is accepted until 20", id(&old))),
        "{}",
        ran.err
    );
    let (before, after) = (shown(&folder, id(&old)), shown(&folder, id(new)));
    assert_eq!(before["rotation"]["successor"]["id"], id(new));
    assert_eq!(after["rotation"]["predecessor"], id(&old));
    assert_eq!((&before["status"], &after["name"]), (&json!("active"), &json!("CI")));
    folder
        .on_store(&["token", "rotate", id(&old), "--print"])
        .assert_fails("cannot rotate a token that is being replaced");
    folder
        .on_store(&["token", "rotate", id(&token(1)), "--print"])
        .assert_fails("there is no token");

    let other = folder.new_token("other");
    let ran = folder.on_store(&["token", "rotate", id(&other), "--overlap", "0s", "--to", "new"]);
    ran.assert(0);
    assert!(ran.err.contains("is no longer accepted"), "{}", ran.err);
    assert_eq!(shown(&folder, id(&other))["status"], "rotated_out");
    let text = folder.on_store(&["token", "show", id(&other)]);
    assert!(
        text.out.contains("rotated, successor ") && text.out.contains(", by ann"),
        "{}",
        text.out
    );
}

#[test]
fn revocation() {
    let folder = Folder::with_store();
    let tokens = ["a", "b", "c"].map(|name| folder.new_token(name));
    let [a, b, c] = [&tokens[0], &tokens[1], &tokens[2]].map(|token| id(token));
    folder
        .on_store(&["token", "revoke", a])
        .assert_fails("nothing was changed: there is no terminal");
    // One that is not there stops all.
    folder
        .on_store(&["token", "revoke", "--yes", a, "0000000000000000"])
        .assert_fails("there is no token 0000000000000000");
    assert_eq!(shown(&folder, a)["status"], "active");
    let ran = folder.on_store(&["token", "revoke", "--yes", a, b, "--reason", "leaked"]);
    ran.assert(0);
    assert_eq!(ran.out, format!("{a}  revoked\n{b}  revoked\n"));
    for id in [a, b] {
        assert_eq!(shown(&folder, id)["revocation"]["reason"], "leaked");
    }
    let ran = folder.on_store(&["token", "rotate", c, "--print"]);
    let successor = id(&ran.out).to_owned();
    folder.on_store(&["token", "revoke", "--yes", "--family", c]).assert(0);
    for id in [c, &successor] {
        assert_eq!(shown(&folder, id)["status"], "revoked");
    }
}

#[test]
fn stores() {
    let folder = Folder::with_store();
    folder.run(&["token", "list"]).assert_fails("which store? Add --store");
    folder
        .run(&["token", "list", "--store", "mysql:x"])
        .assert_fails("the store must be sqlite:PATH or");
    folder.run(&["token", "list", "--store", "sqlite:missing"]).assert_fails("api-tokens migrate");
    assert!(!folder.path().join("missing").exists());
    let absolute = format!("sqlite://{}/db", folder.path().display());
    folder.run(&["token", "list", "--store", &absolute]).assert(0);
    // Whoever uses the machine can read arguments.
    let url = "postgres://ann:hunter2@127.0.0.1:1/db";
    let ran = folder.run(&["token", "list", "--store", url]);
    ran.assert_fails("--store has a password");
    assert!(!ran.err.contains("hunter2"), "{}", ran.err);
    let mut command = folder.command();
    let ran = Ran::of(command.env("API_TOKENS_STORE", url).args(["token", "list"]));
    ran.assert_fails("store unavailable");
    // Tables would not help.
    assert!(!ran.err.contains("migrate"), "{}", ran.err);
    assert!(!ran.err.contains("hunter2"), "{}", ran.err);
    let mut command = folder.command();
    let ran =
        Ran::of(command.env_remove("USER").env_remove("LOGNAME").env_remove("USERNAME").args([
            "token",
            "revoke",
            "Ky9Pf34qY6Nb3wWD",
            "--store",
            "sqlite:db",
        ]));
    ran.assert_fails("who does this?");
    // To read, nobody has to say.
    for (arguments, code) in [(&["list"][..], 0), (&["show", "Ky9Pf34qY6Nb3wWD"], 2)] {
        let mut command = folder.command();
        for name in ["USER", "LOGNAME", "USERNAME"] {
            command.env_remove(name);
        }
        let ran = Ran::of(command.arg("token").args(arguments).args(["--store", "sqlite:db"]));
        ran.assert(code);
        assert!(!ran.err.contains("who does this?"), "{}", ran.err);
    }
}

#[test]
fn other_tables() {
    let folder = Folder::new();
    let store = ["--store", "sqlite:db", "--table-prefix", "acme_"];
    folder.run(&[&["migrate"], &store[..]].concat()).assert(0);
    folder.run(&[&["token", "list"], &store[..]].concat()).assert(0);
    let ran = folder.run(&["token", "list", "--store", "sqlite:db"]);
    ran.assert_fails("and this program needs");
    assert!(ran.err.ends_with(": run api-tokens migrate --store STORE\n"), "{}", ran.err);
}

/// With the key of another service, tokens are made that it refuses.
#[test]
fn a_key_that_no_token_is_under() {
    const WARNING: &str = "warning: all tokens of acme_live in this store are under other keys";
    let folder = Folder::with_store();
    let first = folder.on_store(&[&NEW[..], &["--print"]].concat());
    assert!(!first.err.contains(WARNING), "{}", first.err);
    folder.run(&["keys", "new", "--to", "other"]).assert(0);
    let with = |arguments: &[&str], key: &[&str]| {
        let store = ["--store", "sqlite:db", "--print"];
        let ran = folder.run(&[arguments, &store, key].concat());
        ran.assert(0);
        ran.err
    };
    assert!(!with(&NEW, &["--key-file", "key"]).contains(WARNING));
    let rotate = ["token", "rotate", &parse(first.out.trim_end())];
    assert!(with(&rotate, &["--key-file", "other"]).contains(WARNING));
    // The rotation has brought one that is.
    assert!(!with(&NEW, &["--key-file", "other"]).contains(WARNING));
    assert!(with(&NEW, &["--unkeyed"]).contains(WARNING));
    // A deployment that knows the key, beside a new one.
    assert!(!with(&NEW, &["--key-file", "other", "--earlier-key-file", "key"]).contains(WARNING));
}
