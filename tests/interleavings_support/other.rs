//! The other process: this program again, which is told what to do line by line.

use std::{
    collections::HashMap,
    env,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex},
};

use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, Command},
    sync::oneshot,
};

use super::act::{Job, Outcome, open, perform};
use crate::util::print;

const DATABASE: &str = "API_TOKENS_INTERLEAVINGS_TEST_DATABASE";

/// Tells its lines apart from what the test harness prints.
const MARK: &str = "outcome ";

#[derive(Serialize, Deserialize)]
struct Numbered<T> {
    number: u64,
    what: T,
}

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Outcome>>>>;

pub(crate) struct Other {
    input: tokio::sync::Mutex<ChildStdin>,
    waiting: Waiting,
    process: Child,
}

impl Other {
    /// Starts the test named `child` with the database in its environment.
    pub(crate) fn start(path: &Path) -> Self {
        let mut process = Command::new(env::current_exe().expect("this program"))
            .args(["--exact", "child", "--ignored", "--nocapture"])
            .env(DATABASE, path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("start the other process");
        let output = process.stdout.take().expect("its output");
        let input = process.stdin.take().expect("its input").into();
        let waiting = Waiting::default();
        tokio::spawn({
            let waiting = Arc::clone(&waiting);
            async move {
                let mut lines = BufReader::new(output).lines();
                while let Some(line) = lines.next_line().await.expect("a line") {
                    let Some(line) = line.strip_prefix(MARK) else { continue };
                    let Numbered { number, what } = serde_json::from_str(line).expect("an outcome");
                    let asked = waiting.lock().expect("no panic").remove(&number);
                    let _ = asked.expect("an outcome that was asked for").send(what);
                }
                // Whoever waits for more is told by their senders' end.
                waiting.lock().expect("no panic").clear();
            }
        });
        Self { input, waiting, process }
    }

    /// Has it do a job; `number` is the job's own.
    pub(crate) async fn perform(&self, number: u64, job: &Job) -> Outcome {
        let (sender, outcome) = oneshot::channel();
        self.waiting.lock().expect("no panic").insert(number, sender);
        let mut line = serde_json::to_string(&Numbered { number, what: job }).expect("a line");
        line.push('\n');
        self.input.lock().await.write_all(line.as_bytes()).await.expect("tell the other process");
        outcome.await.expect("the other process goes on")
    }

    /// Lets it end.
    pub(crate) async fn stop(self) {
        let Self { input, mut process, .. } = self;
        drop(input);
        let status = process.wait().await.expect("wait for the other process");
        assert!(status.success(), "the other process: {status}");
    }
}

/// What the other process does, all jobs at once, until its input ends.
pub(crate) async fn serve() {
    let store = open(&PathBuf::from(env::var_os(DATABASE).expect("the database")));
    let (sender, mut jobs) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            let job: Numbered<Job> = serde_json::from_str(&line.expect("a line")).expect("a job");
            sender.send(job).expect("somebody who does it");
        }
    });
    // The harness may not have ended its line.
    print("");
    let mut performances = tokio::task::JoinSet::new();
    while let Some(Numbered { number, what: job }) = jobs.recv().await {
        let store = store.clone();
        performances.spawn(async move {
            let outcome = Numbered { number, what: perform(&store, &job).await };
            print(&format!("{MARK}{}", serde_json::to_string(&outcome).expect("a line")));
        });
        while let Some(performed) = performances.try_join_next() {
            performed.expect("no panic");
        }
    }
    performances.join_all().await;
}
