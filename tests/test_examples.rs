//! The examples run, and print what they say. `cargo test` builds them beforehand.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

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
    let [shown, accepted, lacking, listed, revoked] = lines.as_slice() else { panic!("{lines:?}") };
    let token = shown.strip_prefix("your token, shown once: ").expect("the token");
    let [prefix, live, id, secret] = *token.split('_').collect::<Vec<_>>() else {
        panic!("{token}")
    };
    assert_eq!((prefix, live, secret.len()), ("acme", "live", 45));
    assert_eq!(accepted, "accepted for project acme: flows:run sources:read");
    assert_eq!(*lacking, format!("refused: token {id} lacks one of the scopes sources:write"));
    assert_eq!(*listed, format!("listed: Claude Integration ({id})"));
    assert_eq!(*revoked, format!("refused: token {id} is revoked"));
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
