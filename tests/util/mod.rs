//! What test programs do in the same way: say something, skip what cannot run here, and make the
//! simplest tokens.

#![expect(dead_code, unreachable_pub, reason = "each test program uses a part of this")]

use std::{
    io::Write,
    pin::pin,
    task::{Context, Poll, Waker},
};

use api_tokens::{Actor, Metadata, NewToken, Scopes, TokenId, TokenRecord, prefix};
use jiff::Timestamp;

/// Shows also if the test succeeds: the test harness hides what `eprintln!` prints then.
pub fn say(line: &str) {
    // Nobody may be there to read it.
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// To stdout, where the process reads it that has started this one: one call for each line, so that
/// lines are whole.
pub fn print(line: &str) {
    let mut output = std::io::stdout().lock();
    output.write_all(format!("{line}\n").as_bytes()).expect("print");
    output.flush().expect("print");
}

/// Whether this is the gate: it has time, and nothing may be missing.
pub fn is_ci() -> bool {
    std::env::var_os("CI").is_some_and(|ci| ci == "true")
}

/// A missing program or registry is no fault of a user's, who is told, but it is one of the gate's.
#[track_caller]
pub fn skip(what: &str, why: &str) {
    assert!(!is_ci(), "{what}: {why}");
    say(&format!("SKIPPED: {what}: {}", why.trim_end()));
}

/// Skips what has a problem.
#[track_caller]
pub fn or_skip<T>(what: &str, result: Result<T, impl AsRef<str>>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(why) => {
            skip(what, why.as_ref());
            None
        }
    }
}

/// Polls once: a store in memory never makes anyone wait.
#[track_caller]
pub fn at_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a store in memory made a future wait"),
    }
}

pub fn ann() -> Actor {
    "ann".parse().expect("an actor")
}

/// Ann's, in the project acme.
pub fn new_token(name: &str) -> NewToken {
    NewToken::new(
        "acme".parse().expect("a project"),
        "ann".parse().expect("an owner"),
        name.parse().expect("a name"),
    )
}

pub fn id(number: usize) -> TokenId {
    format!("{number:016}").parse().expect("an id")
}

/// For stores alone: there is no token that it is of.
pub fn record(id: TokenId, version: u32) -> TokenRecord {
    TokenRecord {
        id,
        prefix: prefix!("test"),
        digest: format!("sha256:{}", "A".repeat(43)).parse().expect("a digest"),
        project: "acme".parse().expect("a project"),
        name: "a token".parse().expect("a name"),
        owner: "ann".parse().expect("an owner"),
        created_by: "ann".parse().expect("a creator"),
        created_through: None,
        scopes: Scopes::default(),
        metadata: Metadata::default(),
        created_at: Timestamp::UNIX_EPOCH,
        not_before: None,
        expires_at: None,
        disabled: false,
        revocation: None,
        rotation: None,
        version,
    }
}
