//! Several processes on one store, in a SQLite file and in PostgreSQL.

use std::{
    process::Command,
    thread,
    time::{Duration, Instant},
};

use crate::{
    postgres_support,
    support::{Answer, Place, Service, run},
};

const SOURCES: &str = "/api/public/v1/sources";

#[test]
fn on_sqlite_a_revocation_counts_in_each_process() {
    let place = Place::new();
    let services = [place.start(), place.start()];
    a_revocation_counts_in_each_process(&services);
}

#[test]
fn on_postgres_a_revocation_counts_in_each_process() {
    let Some(server) = postgres_support::shared() else { return };
    server.psql("CREATE DATABASE several");
    let place = Place::new();
    let services = [(); 2].map(|()| place.start_with(&["--store", &server.url("several")]));
    assert!(!place.data.join("tokens.db").exists());
    let greeting = &services[0].greeting;
    assert!(greeting.contains("Tokens are kept in the PostgreSQL database"), "{greeting}");
    a_revocation_counts_in_each_process(&services);
}

fn a_revocation_counts_in_each_process(services: &[Service; 2]) {
    // The bound, and time for a machine that does other things as well.
    const PATIENCE: Duration = Duration::from_secs(10);

    let [one, other] = services;
    for (revoker, user) in [(one, other), (other, one)] {
        let (token, id) = revoker.create("demo", &["sources:read"]);
        for _ in 0..3 {
            assert_eq!(user.get(SOURCES, &token).status, 200);
        }
        assert_eq!(
            revoker.manage("DELETE", &format!("/{id}"), &serde_json::Value::Null).status,
            200
        );
        assert_eq!(revoker.get(SOURCES, &token).status, 401, "at once where it was revoked");
        let begun = Instant::now();
        while user.get(SOURCES, &token).status != 401 {
            assert!(begun.elapsed() < PATIENCE);
            thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(user.get(SOURCES, &token).status, 401);
    }
}

/// Tokens of another service in the same tables are not this one's first.
#[test]
fn the_first_token_is_made_beside_those_of_another_prefix() {
    use api_tokens::{Issuer, Keyring, NewToken, PostgresOptions, Verifier, prefix};

    let Some(server) = postgres_support::shared() else { return };
    server.psql("CREATE DATABASE beside");
    let options = PostgresOptions::new(&server.url("beside"));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        options.migrate().await.expect("migrate");
        let store = options.open().await.expect("open");
        let verifier = Verifier::new(prefix!("other"), &Keyring::unkeyed(), store);
        let new = NewToken::new(
            "demo".parse().expect("a project"),
            "admin".parse().expect("an owner"),
            "Another".parse().expect("a name"),
        );
        let admin = "admin".parse().expect("an actor");
        Issuer::new(&verifier).create(new, &admin).await.expect("create");
    });
    let place = Place::new();
    let service = place.start_with(&["--store", &server.url("beside")]);
    assert_eq!(service.get(SOURCES, &service.token()).status, 200);
}

#[test]
fn it_says_whether_it_is_ready() {
    let place = Place::new();
    let service = place.start();
    let ready = || service.curl("/ready", &[], b"");
    let begun = Instant::now();
    while ready().status != 200 {
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", ready());
        thread::sleep(Duration::from_millis(10));
    }
    let answer = ready().json();
    assert_eq!(answer["ready"], true);
    assert!(answer["lease_left_ms"].as_u64().is_some_and(|left| left <= 1000), "{answer}");
}

/// While the database is away, tokens work for a second, and then nothing is decided.
#[test]
fn an_outage_of_the_database_ends_by_itself() {
    let Some(server) = postgres_support::Server::start() else { return };
    let place = Place::new();
    let service = place.start_with(&["--store", &server.url("postgres")]);
    let token = service.token();
    let until = |path: &str, status: u16| {
        let begun = Instant::now();
        loop {
            let answer = service.get(path, &token);
            if answer.status == status {
                return answer;
            }
            assert!(answer.status != 401, "an outage is never a refusal: {answer:?}");
            assert!(begun.elapsed() < Duration::from_secs(60), "{answer:?}");
            thread::sleep(Duration::from_millis(50));
        }
    };
    until(SOURCES, 200);
    server.kill();
    let answer: Answer = until(SOURCES, 503);
    answer.problem(503);
    until("/ready", 503);
    server.restart();
    until(SOURCES, 200);
    until("/ready", 200);
    let (_, log) = service.stop("TERM");
    let (fails, works) = (log.find("the store fails: "), log.find("the store works again"));
    assert!(fails.is_some() && fails < works, "{log}");
}

#[test]
fn a_store_that_cannot_be_used_is_an_error_in_words() {
    let place = Place::new();
    let fails = |store: &str| {
        let output = run(place.command(&["--port", "0"]).args(["--store", store]), b"");
        assert!(!output.status.success());
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!error.contains("s3cret"), "{error}");
        error
    };
    assert!(
        fails("mysql://root:s3cret@db/tokens")
            .contains("error: --store must begin with postgres://")
    );
    let refused = fails("postgres://ann:s3cret@127.0.0.1:1/tokens");
    assert!(refused.contains("error: store unavailable: "), "{refused}");
    let help = run(
        Command::new(env!("CARGO_BIN_EXE_service"))
            .arg("--help")
            .env("SERVICE_STORE", "postgres://ann:s3cret@db/"),
        b"",
    );
    assert!(!String::from_utf8(help.stdout).unwrap().contains("s3cret"));
}
