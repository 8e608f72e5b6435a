//! What all test programs do in the same way: say something, and skip what cannot run here.

#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of this")]

use std::io::Write;

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
