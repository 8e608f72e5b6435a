//! What the service says when it cannot start, and what when it can but should not be trusted.

use std::{
    fs,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::support::{Place, run};

/// Runs a command that fails, and returns what it says.
#[track_caller]
fn error(command: &mut Command) -> String {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while child.try_wait().unwrap().is_none() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(5));
    }
    // One that did not fail serves for ever.
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.code().is_some_and(|code| code != 0), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn the_port_is_taken() {
    let place = Place::new();
    let service = place.start();
    let port = service.base().rsplit_once(':').unwrap().1;
    let other = Place::new();
    let message = error(&mut other.command(&["--port", port]));
    assert!(
        message.starts_with(&format!("error: cannot listen on 127.0.0.1:{port}: ")),
        "{message}"
    );
    assert!(message.contains("try another --port"), "{message}");
    assert!(!other.data.exists(), "the first token is not wasted");
}

#[test]
fn the_sources_cannot_be_read() {
    let place = Place::new();
    let start = |folder: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_service"));
        error(command.arg(folder).args(["--port", "0", "--data"]).arg(&place.data))
    };
    let message = start("/no/such/folder");
    assert_eq!(
        message,
        "error: cannot read the sources in /no/such/folder: No such file or directory (os error 2)\n"
    );
    let file = place.sources.join("zebra.md");
    let message = start(file.to_str().unwrap());
    assert!(message.contains("Not a directory"), "{message}");
    let message = error(&mut place.command(&["--project", "demo=/"]));
    assert_eq!(message, "error: project demo has two folders\n");
    let message = error(&mut place.command(&["--project", "everything=/"]));
    assert!(message.contains("more than an example takes"), "{message}");
    assert!(!place.data.exists());
}

#[test]
fn the_data_directory_cannot_be_made() {
    let place = Place::new();
    let file = place.sources.join("zebra.md");
    for directory in [file.clone(), file.join("data")] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_service"));
        let message =
            error(command.arg(&place.sources).args(["--port", "0", "--data"]).arg(&directory));
        let start = format!("error: cannot make the directory {}: ", directory.display());
        assert!(message.starts_with(&start), "{message}");
    }
}

#[test]
fn the_key_file_is_no_key() {
    let place = Place::new();
    place.start().stop("TERM");
    let key = place.data.join("key");
    for (text, problem) in [
        ("", "is empty"),
        ("secret key!", "is not base64"),
        ("c2hvcnQ=", "has 5 bytes"),
        (&"A".repeat(44), "is not random"),
    ] {
        fs::write(&key, text).unwrap();
        let message = error(&mut place.command(&["--port", "0"]));
        let start = format!("error: key file {} {problem}", key.display());
        assert!(message.starts_with(&start), "{message}");
        assert_eq!(fs::read_to_string(&key).unwrap(), text, "is left alone");
    }
    fs::remove_file(&key).unwrap();
    let message = error(&mut place.command(&["--port", "0"]));
    assert!(message.contains("tokens.db is there, but"), "{message}");
    assert!(!key.exists(), "a new key would not help");
}

/// The tokens are as good as before, so no client is told that its token is invalid.
#[test]
fn the_key_is_another() {
    let place = Place::new();
    let first = place.start();
    let token = first.token();
    first.stop("TERM");
    let other = Place::new();
    other.start().stop("TERM");
    fs::copy(other.data.join("key"), place.data.join("key")).unwrap();

    let service = place.start();
    let refused = service.get("/api/public/v1/sources", &token);
    refused.problem(503);
    assert!(refused.headers.contains("retry-after: "), "{refused:?}");
    let (_, log) = service.stop("TERM");
    let id = &token[5..21];
    assert!(log.starts_with("warning: "), "{log}");
    assert!(log.contains("is not the key of 1 of the tokens"), "{log}");
    assert!(
        log.contains(&format!("503: token {id} was digested under a key that is not")),
        "{log}"
    );
}

#[test]
fn the_other_files_are_damaged() {
    let place = Place::new();
    place.start().stop("TERM");
    let password = place.data.join("admin-password");
    fs::write(&password, " \n").unwrap();
    let message = error(&mut place.command(&["--port", "0"]));
    assert!(
        message.ends_with("admin-password is empty: remove it to get a new one\n"),
        "{message}"
    );
    fs::remove_file(&password).unwrap();

    fs::write(place.data.join("tokens.db"), "no database, though long enough to be one".repeat(99))
        .unwrap();
    let message = error(&mut place.command(&["--port", "0"]));
    assert!(message.contains("tokens.db"), "{message}");
}

#[test]
fn help_says_what_there_is() {
    let output = run(Command::new(env!("CARGO_BIN_EXE_service")).arg("--help"), b"");
    assert!(output.status.success());
    let help = String::from_utf8(output.stdout).unwrap();
    for text in [
        "[FOLDER]",
        "--port <PORT>",
        "--data <DIR>",
        "--project <NAME=FOLDER>",
        "8787",
        "./api-tokens-data",
        "Ctrl-C",
    ] {
        assert!(help.contains(text), "{text}: {help}");
    }
    let message =
        error(Command::new(env!("CARGO_BIN_EXE_service")).args(["--project", "nameless"]));
    assert!(message.contains("expected NAME=FOLDER"), "{message}");
}
