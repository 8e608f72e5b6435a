//! On a terminal, which `script` of util-linux makes.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use crate::{
    support::{EXAMPLE, Folder, Ran, id},
    util::or_skip,
};

/// Runs a line of a shell on a terminal, where somebody types this. What it says on stdout and stderr
/// is in `out`.
fn on_terminal(folder: &Folder, line: &str, typed: &str) -> Option<Ran> {
    let version = Command::new("script").arg("--version").output();
    let version = version.map_err(|error| error.to_string()).and_then(|output| {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if text.contains("util-linux") { Ok(()) } else { Err(format!("another one: {text}")) }
    });
    or_skip("script of util-linux", version)?;
    let mut script = Command::new("script");
    let environment = folder.command();
    for (name, value) in environment.get_envs() {
        match value {
            Some(value) => script.env(name, value),
            None => script.env_remove(name),
        };
    }
    script.env("PROGRAM", env!("CARGO_BIN_EXE_api-tokens")).env("TERM", "xterm");
    script.env("API_TOKENS_STORE", "sqlite:db");
    script.args(["--quiet", "--return", "--command", line, "/dev/null"]);
    script
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = script.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(typed.as_bytes()).unwrap();
    // Kept open: its end would be the end of the terminal.
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    Some(output.into())
}

#[test]
fn a_token_is_shown_and_the_terminal_says_what_it_is() {
    let folder = Folder::with_store();
    let new = "$PROGRAM token new --prefix acme_live --project acme --name CI --key-file key";
    let Some(ran) = on_terminal(&folder, new, "") else { return };
    ran.assert(0);
    let id =
        folder.on_store(&["token", "list", "--json"]).json()[0]["id"].as_str().unwrap().to_owned();
    assert!(
        ran.out.contains(&format!(
            "The new token {id} is shown this once: copy it now.\r\nacme_live_{id}_"
        )),
        "{}",
        ran.out
    );
}

#[test]
fn a_person_is_asked_before_a_revocation() {
    let folder = Folder::with_store();
    let token = folder.new_token("CI");
    let line = format!("$PROGRAM token revoke {}", id(&token));
    let status =
        || folder.on_store(&["token", "show", id(&token), "--json"]).json()[0]["status"].clone();
    for typed in ["n\n", "\n", "yess\n"] {
        let Some(ran) = on_terminal(&folder, &line, typed) else { return };
        ran.assert(2);
        assert!(ran.out.contains("CI, of ann in project acme"), "{}", ran.out);
        assert!(ran.out.contains("Revoke this token, for good? [y/N]"), "{}", ran.out);
        assert!(ran.out.contains("error: nothing was changed"), "{}", ran.out);
        assert_eq!(status(), "active");
    }
    let ran = on_terminal(&folder, &line, "y\n").unwrap();
    ran.assert(0);
    assert_eq!(status(), "revoked");
}

#[test]
fn a_person_is_asked_before_a_scan_revokes() {
    let folder = Folder::with_store();
    let token = folder.new_token("CI");
    folder.write("found", &token);
    let line = "$PROGRAM scan --prefix acme_live found --revoke --key-file key";
    let Some(ran) = on_terminal(&folder, line, "n\n") else { return };
    ran.assert(2);
    assert!(ran.out.contains(&format!("{}  acme_live, live", id(&token))), "{}", ran.out);
    let ran = on_terminal(&folder, line, "y\n").unwrap();
    ran.assert(1);
    assert!(ran.out.contains(", revoked now"), "{}", ran.out);
}

#[test]
fn progress_is_on_a_terminal_alone() {
    let folder = Folder::new();
    let slow = "(sleep 1; printf '%s' \"$TOKEN\") | $PROGRAM scan --prefix acme_live -";
    let line = format!("TOKEN={EXAMPLE}; {slow}");
    let Some(ran) = on_terminal(&folder, &line, "") else { return };
    ran.assert(1);
    let (before, after) = ran.out.split_once("stdin:1:1: token").unwrap();
    assert!(before.contains("0 streams, 0 B"), "{before:?}");
    // Taken away before anything else is written.
    assert!(
        before.ends_with("\u{1b}[2K") || before.ends_with("\u{1b}[0J") || before.ends_with('\r'),
        "{before:?}"
    );
    assert!(!after.contains("streams"), "{after:?}");
    let shell = Command::new("sh")
        .args(["-c", &line])
        .env("PROGRAM", env!("CARGO_BIN_EXE_api-tokens"))
        .output();
    assert!(!Ran::from(shell.unwrap()).err.contains("streams"));
}
