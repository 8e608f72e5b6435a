//! Tokens in the environment, and in the files that it names. Each case is a process of its own.

use api_tokens::client::TokenSource;

use crate::{EXPECTED, Files, describe, in_child, load, text};

const VARIABLE: &str = "API_TOKENS_TEST_TOKEN";
const FILE_VARIABLE: &str = "API_TOKENS_TEST_TOKEN_FILE";

#[tokio::test]
#[ignore = "what the tests below run in a process of its own"]
async fn child_reads_the_variable() {
    println!("<<{}>>", describe(TokenSource::environment(VARIABLE)).await);
}

#[tokio::test]
#[ignore = "what the tests below run in a process of its own"]
async fn child_reads_the_variable_or_the_file() {
    println!("<<{}>>", describe(TokenSource::environment_or_file(VARIABLE)).await);
}

#[tokio::test]
#[ignore = "what the tests below run in a process of its own"]
async fn child_reads_a_credential() {
    println!("<<{}>>", describe(TokenSource::systemd_credential("acme-api-token")).await);
}

/// Replaces the file that both sources lead to, and says what they hold a second later.
#[tokio::test]
#[ignore = "what the test below runs in a process of its own"]
async fn child_sees_the_file_change() {
    let first = load(TokenSource::environment_or_file(VARIABLE)).await.unwrap();
    let second = load(TokenSource::systemd_credential("acme-api-token")).await.unwrap();
    let path = std::env::var(FILE_VARIABLE).unwrap();
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, text(2)).unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let (first, second) = (first.current().await, second.current().await);
    println!("<<{} {}>>", first.expose_secret(), second.expose_secret());
}

#[test]
fn files_that_the_environment_names_are_looked_at_again() {
    let files = Files::new();
    let (path, directory) = (files.write("acme-api-token", text(1)), files.path(""));
    let variables = [
        (FILE_VARIABLE, path.to_str().unwrap()),
        ("CREDENTIALS_DIRECTORY", directory.to_str().unwrap()),
    ];
    let (said, _) = in_child("environment::child_sees_the_file_change", &variables);
    assert_eq!(said, format!("{0} {0}", text(2)));
}

#[track_caller]
fn variable(variables: &[(&str, &str)]) -> String {
    in_child("environment::child_reads_the_variable", variables).0
}

#[track_caller]
fn variable_or_file(variables: &[(&str, &str)]) -> String {
    in_child("environment::child_reads_the_variable_or_the_file", variables).0
}

#[track_caller]
fn credential(variables: &[(&str, &str)]) -> String {
    in_child("environment::child_reads_a_credential", variables).0
}

#[test]
fn a_variable_is_a_token_or_nothing_or_wrong() {
    let name = format!("environment variable {VARIABLE}");
    assert_eq!(variable(&[(VARIABLE, &text(1))]), text(1));
    assert_eq!(variable(&[]), format!("absent: {name} is not set: {EXPECTED}"));
    assert_eq!(variable(&[(VARIABLE, "")]), format!("malformed: {name} is empty: {EXPECTED}"));
    assert!(variable(&[(VARIABLE, "${TOKEN}")]).contains(&format!("{name} is a placeholder")));
    // The other one is of no concern to it.
    assert!(variable(&[(FILE_VARIABLE, "/run/secrets/x")]).starts_with("absent"));
}

#[test]
fn a_variable_that_is_not_unicode_is_refused() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt, process::Command};

    let mut child = Command::new(std::env::current_exe().unwrap());
    let value = [text(1).as_bytes(), b"\xff"].concat();
    child
        .args(["--exact", "environment::child_reads_the_variable", "--ignored", "--nocapture"])
        .env(VARIABLE, OsStr::from_bytes(&value));
    let output = String::from_utf8(child.output().unwrap().stdout).unwrap();
    assert!(output.contains("<<malformed:") && output.contains("is not text in UTF-8"), "{output}");
    assert!(!output.contains(&text(1)[10..]));
}

#[test]
fn a_variable_or_the_file_that_another_names() {
    let files = Files::new();
    let path = files.write("token", text(2));
    let path = path.to_str().unwrap();
    assert_eq!(variable_or_file(&[(VARIABLE, &text(1))]), text(1));
    assert_eq!(variable_or_file(&[(FILE_VARIABLE, path)]), text(2));
    assert_eq!(
        variable_or_file(&[]),
        format!(
            "absent: environment variable {VARIABLE} is not set, nor is {FILE_VARIABLE}: {EXPECTED}"
        )
    );
    // Even if one of them is empty, somebody meant something by it.
    for value in [&text(1), ""] {
        assert_eq!(
            variable_or_file(&[(VARIABLE, value), (FILE_VARIABLE, path)]),
            format!(
                "failed: environment variable {VARIABLE} is set, and so is {FILE_VARIABLE}: \
                 unset one of them"
            )
        );
    }
    let missing = files.path("missing");
    assert_eq!(
        variable_or_file(&[(FILE_VARIABLE, missing.to_str().unwrap())]),
        format!("failed: the file that {FILE_VARIABLE} names does not exist")
    );
    files.write("token", "");
    assert_eq!(
        variable_or_file(&[(FILE_VARIABLE, path)]),
        format!("malformed: the file that {FILE_VARIABLE} names is empty: {EXPECTED}")
    );
}

#[test]
fn a_credential_of_systemd() {
    let files = Files::new();
    files.write("acme-api-token", text(1));
    let directory = files.path("");
    let name = "systemd credential acme-api-token";
    let here = ("CREDENTIALS_DIRECTORY", directory.to_str().unwrap());
    assert_eq!(credential(&[here]), text(1));
    assert_eq!(
        credential(&[]),
        format!("absent: {name} is missing, since CREDENTIALS_DIRECTORY is not set: {EXPECTED}")
    );
    std::fs::remove_file(files.path("acme-api-token")).unwrap();
    assert_eq!(
        credential(&[here]),
        format!("absent: {name} was not handed to this service: {EXPECTED}")
    );
}

#[tokio::test]
async fn a_credential_has_a_name_and_not_a_path() {
    for name in ["", ".", "..", "a/b", "/etc/passwd", "../a", "a/", "./a"] {
        assert_eq!(
            describe(TokenSource::systemd_credential(name)).await,
            format!(
                "failed: systemd credential {name} cannot be read: a credential has a name, not a path"
            )
        );
    }
}
