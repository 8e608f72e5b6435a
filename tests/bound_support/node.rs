//! A verifier process, as the revoker sees it.

use std::{env, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command as Process},
    time::timeout,
};

use super::verifying::{Answer, Command, MARK, Report, SETTINGS, Settings};

/// For whatever a process is asked, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct Node {
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    process: Child,
}

impl Node {
    /// Starts the test named `verifier_process`.
    pub(crate) fn start(settings: &Settings) -> Self {
        let mut process = Process::new(env::current_exe().expect("this program"))
            .args(["--exact", "verifier_process", "--ignored", "--nocapture"])
            .env(SETTINGS, serde_json::to_string(settings).expect("the settings"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("start a verifier");
        let output = BufReader::new(process.stdout.take().expect("its output")).lines();
        let input = process.stdin.take().expect("its input");
        Self { input, output, process }
    }

    pub(crate) async fn verify(&mut self, doomed: Vec<String>, living: Vec<String>) {
        let answer = self.ask(&Command::Verify { doomed, living }).await;
        assert!(matches!(answer, Answer::Warm), "{answer:?}");
    }

    pub(crate) async fn recover(&mut self) {
        let answer = self.ask(&Command::Recover).await;
        assert!(matches!(answer, Answer::Recovered), "{answer:?}");
    }

    pub(crate) async fn report(&mut self) -> Report {
        match self.ask(&Command::Report).await {
            Answer::Report(report) => report,
            other => panic!("{other:?}"),
        }
    }

    async fn ask(&mut self, command: &Command) -> Answer {
        let mut line = serde_json::to_string(command).expect("a line");
        line.push('\n');
        self.input.write_all(line.as_bytes()).await.expect("ask a verifier");
        let answer = async {
            loop {
                let line = self.output.next_line().await.expect("a line");
                let line = line.expect("the verifier goes on");
                if let Some(answer) = line.strip_prefix(MARK) {
                    return serde_json::from_str(answer).expect("an answer");
                }
            }
        };
        let answer = timeout(PATIENCE, answer).await;
        answer.unwrap_or_else(|_| panic!("no answer within {PATIENCE:?} to {line:.60}"))
    }

    /// SIGSTOP, SIGCONT.
    pub(crate) async fn signal(&self, signal: &str) {
        let pid = self.process.id().expect("a running process").to_string();
        let status = Process::new("kill").args([signal, &pid]).status().await.expect("run kill");
        assert!(status.success(), "kill {signal}: {status}");
    }

    /// Lets it end.
    pub(crate) async fn stop(self) {
        let Self { input, output, mut process } = self;
        drop(input);
        let status =
            timeout(PATIENCE, process.wait()).await.expect("it ends").expect("wait for it");
        drop(output);
        assert!(status.success(), "a verifier: {status}");
    }
}
