//! The examples run, and print what they say. `cargo test` builds them beforehand.

mod util;

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use util::skip;

fn example(name: &str) -> Command {
    let test = std::env::current_exe().expect("this program");
    let directory: PathBuf =
        test.ancestors().nth(2).expect("the target directory").join("examples");
    let program = directory.join(name).with_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        program.exists(),
        "the example {name} is not built: run `cargo test` or `cargo build --examples` first"
    );
    let mut command = Command::new(program);
    command.stderr(Stdio::inherit());
    command
}

#[track_caller]
fn lines(command: &mut Command) -> Vec<String> {
    let output = command.output().expect("run the example");
    assert!(output.status.success(), "{}", output.status);
    String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect()
}

#[test]
fn quickstart() {
    let lines = lines(&mut example("quickstart"));
    let [shown, accepted, lacking, new, replaced, newest, oldest, revoked] = lines.as_slice()
    else {
        panic!("{lines:?}")
    };
    let token = shown.strip_prefix("your token, shown once: ").expect("the token");
    let [prefix, live, id, secret] = *token.split('_').collect::<Vec<_>>() else {
        panic!("{token}")
    };
    assert_eq!((prefix, live, secret.len()), ("acme", "live", 45));
    assert_eq!(accepted, "accepted for project acme: flows:run sources:read");
    assert_eq!(*lacking, format!("refused: token {id} does not cover the scopes sources:write"));
    let new_id = new.split('_').nth(2).expect("the new token");
    assert!(new.starts_with("your new token, shown once: acme_live_"), "{new}");
    assert_eq!(*replaced, format!("refused: token {id} is rotated_out"));
    assert_eq!(*newest, format!("listed: Claude Integration ({new_id})"));
    assert_eq!(*oldest, format!("listed: Claude Integration ({id})"));
    assert_eq!(*revoked, format!("refused: token {new_id} is revoked"));
}

#[test]
fn custom_store() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("tokens.json");
    for count in 1..=2 {
        let lines = lines(example("custom_store").arg(&path));
        let [line] = lines.as_slice() else { panic!("{lines:?}") };
        let id = line
            .strip_prefix("created and verified ")
            .and_then(|rest| rest.strip_suffix(&format!(", kept in {}", path.display())))
            .unwrap_or_else(|| panic!("{line}"));
        let content = std::fs::read_to_string(&path).expect("the file");
        let content: serde_json::Value = serde_json::from_str(&content).expect("JSON");
        assert_eq!(content["records"][id]["name"], "Production REST API");
        assert_eq!(content["records"].as_object().map(serde_json::Map::len), Some(count));
    }
}

/// A child that does not outlive its test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().expect("kill the server");
        self.0.wait().expect("wait for the server");
    }
}

/// The lines that it prints are run as they are.
#[test]
fn axum() {
    if Command::new("curl").arg("--version").output().is_err() {
        return skip("the example axum", "curl is not installed");
    }
    let mut child =
        example("axum").arg("0").stdout(Stdio::piped()).spawn().expect("start the example");
    let output = child.stdout.take().expect("its output");
    let _server = Server(child);
    let printed: Vec<String> =
        BufReader::new(output).lines().take(6).map(|line| line.expect("a line")).collect();
    let answer = |line: &str| {
        let output = Command::new("sh").args(["-c", line]).output().expect("run curl");
        assert!(output.status.success(), "{line}: {output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    let [reader, whoami, refused, runner, whoami_too, ran] = printed.as_slice() else {
        panic!("{printed:?}")
    };
    assert_eq!([reader, runner], ["# reader: sources:read", "# runner: sources:read flows:run"]);
    assert!(answer(whoami).ends_with("\r\n\r\nreader of project acme\n"));
    assert!(answer(whoami_too).ends_with("\r\n\r\nrunner of project acme\n"));
    assert!(answer(ran).ends_with("\r\n\r\nran a flow for ann\n"));
    let refused = answer(refused);
    assert!(refused.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{refused}");
    let challenge =
        r#"Bearer realm="Acme REST API", error="insufficient_scope", scope="flows:run""#;
    assert!(refused.contains(challenge), "{refused}");
    // One digit of the token is changed, or one letter.
    let (start, end) = whoami.split_at(whoami.find("acme_test_").expect("a token") + 12);
    let typo = start.to_owned() + if end.starts_with('0') { "1" } else { "0" } + &end[1..];
    let refused = answer(&typo);
    assert!(refused.starts_with("HTTP/1.1 401 Unauthorized\r\n"), "{refused}");
    assert!(refused.contains(r#"error="invalid_token""#), "{refused}");
}
