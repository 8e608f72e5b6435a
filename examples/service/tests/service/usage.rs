//! When and from where tokens were last used.

use std::{thread, time::Duration};

use api_tokens::{Clock, SystemClock};
use jiff::Timestamp;
use serde_json::Value;

use crate::support::{Place, Service};

const SOURCES: &str = "/api/public/v1/sources";

#[test]
fn a_use_is_seen_at_once() {
    let place = Place::new();
    let service = place.start();
    let (token, id) = service.create("demo", &["flows:run"]);
    assert_eq!(last_used(&service, &id), Value::Null);

    // Accepted, though not for this.
    let before = SystemClock.now();
    visit(&service, &token, "backup/1.0", 403);
    let used = last_used(&service, &id);
    assert_eq!(used["address"], "127.0.0.1");
    assert_eq!(used["user_agent"], "backup/1.0");
    let at: Timestamp = used["at"].as_str().unwrap().parse().unwrap();
    assert!(before.as_microsecond() <= at.as_microsecond() && at <= SystemClock.now(), "{at}");

    let list = service.manage("GET", "", &Value::Null).json();
    let of = |id: &str| {
        let mut tokens = list["tokens"].as_array().unwrap().iter();
        tokens.find(|token| token["id"] == id).unwrap()["last_used"].clone()
    };
    assert_eq!(of(&id), used);
    assert_eq!(of(&service.token()[5..21]), Value::Null, "the first token was not used");
}

#[test]
fn a_refused_token_is_not_used() {
    let place = Place::new();
    let service = place.start();
    let (token, id) = service.create("demo", &["sources:read"]);
    service.manage("POST", &format!("/{id}/disable"), &Value::Null);
    visit(&service, &token, "backup/1.0", 401);
    assert_eq!(last_used(&service, &id), Value::Null);
}

/// A token's usage is written once a minute, so the second use waits in memory when the end comes.
#[test]
fn what_waits_in_memory_is_written_at_the_end() {
    let place = Place::new();
    let service = place.start();
    let token = service.token();
    visit(&service, &token, "first/1.0", 200);
    thread::sleep(Duration::from_millis(2500));
    visit(&service, &token, "last/1.0", 200);
    let id = &token[5..21];
    let used = last_used(&service, id);
    assert_eq!(used["user_agent"], "last/1.0");
    let (status, _) = service.stop("TERM");
    assert!(status.success());
    assert_eq!(last_used(&place.start(), id), used);
}

#[track_caller]
fn visit(service: &Service, token: &str, user_agent: &str, status: u16) {
    let authorization = format!("Authorization: Bearer {token}");
    let answer = service.curl(SOURCES, &["-A", user_agent, "-H", &authorization], b"");
    assert_eq!(answer.status, status, "{answer:?}");
}

fn last_used(service: &Service, id: &str) -> Value {
    service.manage("GET", &format!("/{id}"), &Value::Null).json()["last_used"].clone()
}
