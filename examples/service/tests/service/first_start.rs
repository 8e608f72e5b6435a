//! A stranger starts the service and pastes what it prints.

use std::{fs, process::Stdio, thread, time::Duration};

use serde_json::{Value, json};

use crate::support::{Place, Service, mode, shell};

#[test]
fn the_printed_commands_work_as_printed() {
    let place = Place::new();
    let service = place.start();

    let list: Value = serde_json::from_str(&shell(&service.printed("/v1/sources"))).unwrap();
    assert_eq!(list[1]["file_name"], "zebra.md");

    place.write("late.md", "not read any more");
    let hits: Value = serde_json::from_str(&shell(&service.printed("/flows/search"))).unwrap();
    assert_eq!(hits, json!({"flow": "search", "hits": []}));

    let (manager, _) = service.create("demo", &["tokens:read", "tokens:write"]);
    let list = service.printed("/api/projects/demo/tokens").replace("TOKEN", &manager);
    let tokens: Value = serde_json::from_str(&shell(&list)).unwrap();
    assert_eq!(tokens["tokens"][1]["name"], "First token");
}

#[test]
fn the_page_and_the_way_in_are_printed_first() {
    let place = Place::new();
    let file = place.data.join("admin-password");
    let first = place.start();
    let lines = |service: &Service| {
        let lines: Vec<String> = service.greeting.lines().take(3).map(str::to_owned).collect();
        let page = format!("{}/management/projects/demo/tokens", service.base());
        assert_eq!(lines[1], format!("API Tokens page: {page}"));
        lines[2].clone()
    };
    let password = fs::read_to_string(&file).unwrap();
    assert_eq!(lines(&first), format!("Sign in with the password: {}", password.trim()));
    first.sign_in();
    first.stop("TERM");

    let second = place.start();
    assert_eq!(lines(&second), format!("Sign in with the password in {}", file.display()));
    assert!(!second.greeting.contains(password.trim()), "{}", second.greeting);
    second.sign_in();
}

#[test]
fn the_token_is_printed_once_and_stays_valid() {
    let place = Place::new();
    let first = place.start();
    let token = first.token();
    let (status, log) = first.stop("TERM");
    assert!(status.success());
    assert!(!log.contains(&token));

    let second = place.start();
    assert!(!second.greeting.contains("demo_"), "{}", second.greeting);
    assert!(second.greeting.contains("create another one on the page"), "{}", second.greeting);
    assert_eq!(second.get("/api/public/v1/sources", &token).file_names().len(), 2);
}

#[test]
fn what_it_makes_is_for_its_owner_alone() {
    let place = Place::new();
    let service = place.start();
    assert_eq!(mode(&place.data), 0o700);
    let mut names: Vec<String> = fs::read_dir(&place.data)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            assert_eq!(mode(&entry.path()), 0o600, "{entry:?}");
            entry.file_name().into_string().unwrap()
        })
        .collect();
    names.sort();
    assert_eq!(names, ["admin-password", "key", "tokens.db", "tokens.db-shm", "tokens.db-wal"]);

    // Nor is the token in any of them.
    let token = service.token();
    let secret = &token[token.len() - 45..];
    for name in names {
        let bytes = fs::read(place.data.join(&name)).unwrap();
        assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{name}");
    }
}

/// Whatever was there when the first start was interrupted, the next one makes the rest.
#[test]
fn an_interrupted_first_start_is_completed() {
    let place = Place::new();
    place.start().stop("KILL");
    let key = fs::read(place.data.join("key")).unwrap();
    for made in [&["key"][..], &["key", "admin-password"]] {
        for entry in fs::read_dir(&place.data).unwrap() {
            let entry = entry.unwrap();
            if !made.contains(&entry.file_name().to_str().unwrap()) {
                fs::remove_file(entry.path()).unwrap();
            }
        }
        let service = place.start();
        assert_eq!(service.get("/api/public/v1/sources", &service.token()).status, 200);
        assert_eq!(fs::read(place.data.join("key")).unwrap(), key, "is never overwritten");
        service.stop("KILL");
    }
}

/// Killed at some moment, it leaves nothing that the next start cannot go on from; and if the
/// token was made but not shown, there is a way to another one.
#[test]
fn a_first_start_that_is_killed_does_no_harm() {
    for milliseconds in (0..80).step_by(4) {
        let place = Place::new();
        let mut command = place.command(&["--port", "0"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_millis(milliseconds));
        child.kill().unwrap();
        child.wait().unwrap();

        let service = place.start();
        let token = if service.greeting.contains("create another one on the page") {
            service.create("demo", &["sources:read"]).0
        } else {
            service.token()
        };
        assert_eq!(service.get("/api/public/v1/sources", &token).status, 200);
    }
}

#[test]
fn without_a_folder_it_serves_the_documents_of_the_repository() {
    let place = Place::new();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_service"));
    let service = Service::start(command.args(["--port", "0", "--data"]).arg(&place.data));
    let names = service.get("/api/public/v1/sources", &service.token()).file_names();
    assert!(names.contains(&"examples/service/README.md".to_owned()), "{names:?}");
}
