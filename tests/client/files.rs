//! Tokens in files: which are read, which are warned of, and what `or` asks next.

use std::fs;

use api_tokens::client::TokenSource;

use crate::{EXPECTED, Files, Log, assert_holds, load, set_mode, text};

#[tokio::test]
async fn a_file_that_is_missing_is_nothing() {
    let files = Files::new();
    let path = files.path("token");
    let error = load(TokenSource::file(&path)).await.unwrap_err();
    assert_eq!(error.to_string(), format!("file {} does not exist: {EXPECTED}", path.display()));
    assert!(error.is_absent() && !error.is_malformed());
    assert_eq!(format!("{error:?}"), error.to_string());
}

#[tokio::test]
async fn what_cannot_be_read_is_an_error_that_says_why() {
    let files = Files::new();
    let directory = files.path("");
    let below = files.write("file", text(1)).join("token");
    for path in [directory, below] {
        let error = load(TokenSource::file(&path)).await.unwrap_err();
        let start = format!("file {} cannot be read: ", path.display());
        assert!(error.to_string().starts_with(&start), "{error}");
        assert!(!error.is_absent() && !error.is_malformed());
    }
}

#[tokio::test]
async fn a_file_may_have_64_kib_and_no_more() {
    let files = Files::new();
    let path = files.write("token", format!("{}{}", text(1), " ".repeat(65_536 - 72)));
    assert_holds(load(TokenSource::file(&path)).await, 1);
    let path = files.write("token", format!("{}{}", text(1), " ".repeat(65_537 - 72)));
    let error = load(TokenSource::file(&path)).await.unwrap_err();
    let problem = "has more than 64 KiB: expected a token and nothing else";
    assert_eq!(error.to_string(), format!("file {} {problem}", path.display()));
    // Nor is something without an end read to it.
    let error = load(TokenSource::file("/dev/zero")).await.unwrap_err();
    assert_eq!(error.to_string(), format!("file /dev/zero {problem}"));
}

#[tokio::test]
async fn only_what_is_nothing_lets_the_next_be_asked() {
    let files = Files::new();
    let first = || TokenSource::file(files.path("first"));
    let second = || TokenSource::file(files.path("second"));
    let third = || TokenSource::file(files.path("third"));
    files.write("third", text(3));
    assert_holds(load(first().or(second()).or(third())).await, 3);
    assert_holds(load(first().or(second().or(third()))).await, 3);

    // What is wrong is told, though the next is right.
    files.write("second", "");
    let error = load(first().or(second()).or(third())).await.unwrap_err();
    assert!(error.is_malformed() && error.to_string().contains("second is empty"), "{error}");
    fs::remove_file(files.path("second")).unwrap();
    fs::create_dir(files.path("second")).unwrap();
    let error = load(first().or(second()).or(third())).await.unwrap_err();
    assert!(error.to_string().contains("second cannot be read"), "{error}");

    files.write("first", text(1));
    assert_holds(load(first().or(second()).or(third())).await, 1);
}

#[tokio::test]
async fn if_there_is_nothing_anywhere_all_places_are_named() {
    let source = TokenSource::environment("API_TOKENS_TEST_NOT_SET")
        .or(TokenSource::file("/nonexistent/token"))
        .or(TokenSource::dotenv("/nonexistent/.env", "ACME_API_TOKEN"));
    let error = load(source).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "environment variable API_TOKENS_TEST_NOT_SET is not set, and \
             file /nonexistent/token does not exist, and \
             variable ACME_API_TOKEN in file /nonexistent/.env is not set, since the file does \
             not exist: {EXPECTED}"
        )
    );
    assert!(error.is_absent());
}

#[tokio::test]
async fn files_that_others_may_read_are_warned_of_once() {
    // The warning comes from the thread that reads.
    let log = Log::default();
    let _ = tracing::subscriber::set_global_default(log.clone());
    let warnings = |path: &std::path::Path| {
        let logged = log.0.lock().unwrap();
        let path = format!("path={}", path.display());
        logged.iter().filter(|line| line.contains(&path)).cloned().collect::<Vec<_>>()
    };

    let files = Files::new();
    for (mode, count) in [(0o600, 0), (0o400, 0), (0o622, 0), (0o640, 1), (0o604, 1), (0o444, 1)] {
        let path = files.write(&format!("token-{mode:o}"), text(1));
        set_mode(&path, mode);
        for _ in 0..3 {
            assert_holds(load(TokenSource::file(&path)).await, 1);
        }
        let warnings = warnings(&path);
        assert_eq!(warnings.len(), count, "{mode:o}: {warnings:?}");
        for warning in warnings {
            assert!(warning.starts_with("WARN "), "{warning}");
            assert!(warning.contains(&format!("chmod 600 {}", path.display())), "{warning}");
            assert!(!warning.contains(&text(1)[10..16]), "{warning}");
        }
    }
    // What is no file has no mode that matters.
    let _ = load(TokenSource::file("/dev/null")).await;
    assert_eq!(warnings("/dev/null".as_ref()), Vec::<String>::new());
}

#[tokio::test]
async fn debug_names_the_places() {
    let source = TokenSource::environment("ACME_API_TOKEN")
        .or(TokenSource::file("/run/secrets/acme"))
        .or(TokenSource::command("op", ["read", "op://secret"]));
    assert_eq!(
        format!("{source:?}"),
        "[environment variable ACME_API_TOKEN, file /run/secrets/acme, the output of `op`]"
    );
}

#[tokio::test]
async fn debug_of_what_is_held_shows_the_id_alone() {
    let files = Files::new();
    let token = load(TokenSource::file(files.write("token", text(1)))).await.unwrap();
    let held = token.current().await;
    assert_eq!(held.id().as_str(), &text(1)[10..26]);
    assert_eq!(format!("{token:?}"), format!("ClientToken({})", held.id()));
    assert_eq!(format!("{held:?}"), format!("HeldToken({})", held.id()));
    assert_eq!(format!("{:?}", held.authorization()), "Sensitive");
    assert_eq!(held.authorization().to_str().unwrap(), format!("Bearer {}", text(1)));
}
