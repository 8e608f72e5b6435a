//! Tokens that a program prints.

use std::{
    fs,
    time::{Duration, Instant},
};

use api_tokens::client::TokenSource;

use crate::{Files, assert_holds, describe, in_child, load, text};

fn shell(script: &str) -> TokenSource {
    TokenSource::command("sh", ["-c", script])
}

#[tokio::test]
async fn what_a_program_prints_is_the_token() {
    assert_holds(load(TokenSource::command("printf", ["%s\\n", &text(1)])).await, 1);
    assert_holds(load(shell(&format!("echo {}", text(1)))).await, 1);
}

#[tokio::test]
#[ignore = "what the test below runs in a process of its own"]
async fn child_runs_a_command_that_reads() {
    println!("<<{}>>", describe(shell("cat")).await);
}

#[test]
fn its_input_is_closed() {
    let (said, _) = in_child("commands::child_runs_a_command_that_reads", &[]);
    assert!(said.starts_with("malformed: the output of `sh` is empty"), "{said}");
}

#[tokio::test]
async fn it_is_started_without_a_shell() {
    let error = load(TokenSource::command("echo", ["$HOME"])).await.unwrap_err();
    assert!(error.to_string().starts_with("the output of `echo` is a placeholder"), "{error}");
}

#[tokio::test]
async fn if_it_fails_what_it_printed_does_not_count() {
    let failed = "and may have written why to standard error";
    assert_eq!(
        describe(shell(&format!("echo {}; exit 3", text(1)))).await,
        format!(
            "failed: the output of `sh` does not count: the program failed (exit status: 3), {failed}"
        )
    );
    assert_eq!(
        describe(shell(&format!("echo {}; kill -9 $$", text(1)))).await,
        format!(
            "failed: the output of `sh` does not count: the program failed (signal: 9 (SIGKILL)), {failed}"
        )
    );
}

#[tokio::test]
#[ignore = "what the test below runs in a process of its own"]
async fn child_runs_a_command() {
    println!("<<{}>>", describe(shell("echo reason >&2; echo output; exit 3")).await);
}

#[test]
fn what_it_writes_to_standard_error_is_seen_and_its_output_is_not() {
    let (said, stderr) = in_child("commands::child_runs_a_command", &[]);
    assert!(said.contains("exit status: 3") && !said.contains("output\n"), "{said}");
    assert!(stderr.lines().any(|line| line == "reason"), "{stderr}");
    assert!(!stderr.lines().any(|line| line == "output"), "{stderr}");
}

#[tokio::test]
async fn what_it_prints_is_checked() {
    let error = load(shell("true")).await.unwrap_err();
    assert!(error.is_malformed());
    assert!(error.to_string().starts_with("the output of `sh` is empty"), "{error}");
}

#[tokio::test]
async fn a_program_that_is_missing_or_none_is_told() {
    let source = TokenSource::command("api-tokens-test-missing", ["secret-argument"]);
    assert_eq!(
        describe(source).await,
        "failed: the output of `api-tokens-test-missing` cannot be read: there is no such program; \
         is it installed, and in PATH?"
    );
    let files = Files::new();
    let path = files.write("no-program", "");
    let said = describe(TokenSource::command(&path, ["secret-argument"])).await;
    let start = format!(
        "failed: the output of `{}` cannot be read: the program does not start: ",
        path.display()
    );
    assert!(said.starts_with(&start), "{said}");
    assert!(!said.contains("secret-argument"), "{said}");
}

#[tokio::test]
async fn its_output_may_have_64_kib_and_no_more() {
    let fill = |count: usize| shell(&format!("printf '%{count}s' ''; printf %s {}", text(1)));
    assert_holds(load(fill(65_536 - 72)).await, 1);
    let problem = "has more than 64 KiB: expected a token and nothing else";
    assert_eq!(describe(fill(65_537 - 72)).await, format!("failed: the output of `sh` {problem}"));
    // One without an end is stopped.
    let endless = TokenSource::command("yes", [] as [&str; 0]);
    assert_eq!(describe(endless).await, format!("failed: the output of `yes` {problem}"));
}

#[tokio::test]
async fn what_takes_too_long_is_killed() {
    let files = Files::new();
    let pid = files.path("pid");
    let script = format!("echo $$ >{}; exec sleep 600", pid.display());
    let began = Instant::now();
    let said = describe(shell(&script).timeout(Duration::from_millis(500))).await;
    assert_eq!(
        said,
        "failed: the output of `sh` is not there after 500ms: is it waiting for somebody?"
    );
    assert!(began.elapsed() < Duration::from_secs(60));
    assert_ends(&pid).await;
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_killed() {
    let files = Files::new();
    let pid = files.path("pid");
    let script = format!("echo $$ >{}; exec sleep 600", pid.display());
    let loading = tokio::spawn(load(shell(&script)));
    while files.lines("pid") == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    loading.abort();
    assert_ends(&pid).await;
}

/// Waits until the process has ended whose number is in the file.
async fn assert_ends(pid: &std::path::Path) {
    let pid = fs::read_to_string(pid).unwrap();
    let status = format!("/proc/{}/stat", pid.trim());
    for _ in 0..1000 {
        // A zombie has ended; it is reaped at some time.
        match fs::read_to_string(&status) {
            Ok(status) if !status.contains(") Z ") => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            _ => return,
        }
    }
    panic!("process {pid} goes on");
}
