//! The cluster that the script beside this file runs, from Rust.

pub(crate) mod load;
pub(crate) mod observer;

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read},
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
    time::{Duration, Instant},
};

use serde::Deserialize;
use tempfile::TempDir;

use crate::util::say;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster_support/cluster");
/// The exit code of the script if a package is missing.
const SKIP: i32 = 77;
/// Seconds. The least that `loop_wait` and `retry_timeout` allow; newer versions of Patroni make 20
/// of it.
const TTL: &str = "8";
/// For a node that comes back: it may have to be rewound first.
const HEALTHY_WITHIN: Duration = Duration::from_secs(240);
/// The standbys, if nothing is wrong.
pub(crate) const HEALTHY: [&str; 2] = ["sync_standby", "replica"];

/// Runs for as long as this lives, and ends with this process even if that is killed.
pub(crate) struct Cluster {
    child: Child,
    /// Whose end ends the cluster.
    input: Option<ChildStdin>,
    directory: Option<TempDir>,
    urls: HashMap<String, String>,
}

/// What Patroni says of a node.
#[derive(Debug, Deserialize)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) role: String,
    pub(crate) state: String,
    /// Another one after each promotion.
    timeline: Option<u64>,
}

impl Cluster {
    /// Starts one, or says which packages are missing.
    pub(crate) fn start() -> Result<Self, String> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut child = Command::new(SCRIPT)
            .arg("run")
            .arg(directory.path())
            .args(["--ttl", TTL])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("python3: {error}"))?;
        let mut urls = HashMap::new();
        for line in BufReader::new(child.stdout.take().expect("its output")).lines().take(5) {
            let line = line.expect("a line");
            let (name, url) = line.split_once(' ').expect("a name and a URL");
            urls.insert(name.to_owned(), url.to_owned());
        }
        if urls.len() < 5 {
            let mut problem = String::new();
            let mut errors = child.stderr.take().expect("its errors");
            errors.read_to_string(&mut problem).expect("text");
            let status = child.wait().expect("wait for the script");
            assert_eq!(status.code(), Some(SKIP), "{problem}");
            return Err(problem);
        }
        let input = child.stdin.take();
        Ok(Self { child, input, directory: Some(directory), urls })
    }

    /// Of all three, for the service: it finds the primary.
    pub(crate) fn url(&self) -> &str {
        &self.urls["url"]
    }

    /// Of all three, but this node is the first that is tried.
    pub(crate) fn url_preferring(&self, node: &str) -> String {
        let host = |url: &str| {
            let host = url.split_once('@').and_then(|(_, rest)| rest.split_once('/'));
            host.expect("a URL with its user").0.to_owned()
        };
        let (hosts, first) = (host(self.url()), host(self.url_of(node)));
        let others = hosts.split(',').filter(|host| **host != *first);
        let preferring: Vec<&str> = core::iter::once(&*first).chain(others).collect();
        self.url().replace(&hosts, &preferring.join(","))
    }

    /// Of one, with all rights.
    pub(crate) fn url_of(&self, node: &str) -> &str {
        &self.urls[node]
    }

    /// Runs a command of the script.
    pub(crate) async fn command(&self, command: &str, arguments: &[&str]) -> String {
        let directory = self.directory.as_ref().expect("a directory").path();
        let output = tokio::process::Command::new(SCRIPT)
            .arg(command)
            .arg(directory)
            .args(arguments)
            .output()
            .await
            .expect("run the script");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command} {arguments:?}: {errors}");
        String::from_utf8(output.stdout).expect("text")
    }

    pub(crate) async fn status(&self) -> Vec<Node> {
        serde_json::from_str(&self.command("status", &[]).await).expect("what it says of the nodes")
    }

    /// The node of the role `leader`, `sync_standby` or `replica`, if all are there.
    pub(crate) async fn node(&self, role: &str) -> String {
        let nodes = self.status().await;
        let node = nodes.iter().find(|node| node.role == role);
        node.unwrap_or_else(|| panic!("no {role}: {nodes:?}")).name.clone()
    }

    /// Waits until there are a primary and these standbys, which follow it: an old primary that has not
    /// noticed is a running `replica`, too, but on an older timeline.
    pub(crate) async fn wait_for(&self, standbys: [&str; 2]) {
        let begin = Instant::now();
        loop {
            let nodes = self.status().await;
            let up = |role: &str, states: &[&str]| {
                let is = |node: &&Node| node.role == role && states.contains(&&*node.state);
                nodes.iter().filter(is).count()
            };
            // What newer versions of Patroni say of a standby is `streaming`.
            let expected = |role| standbys.iter().filter(|standby| **standby == role).count();
            let standby = |role| up(role, &["running", "streaming"]) == expected(role);
            let follow = nodes.windows(2).all(|pair| pair[0].timeline == pair[1].timeline);
            let there = up("leader", &["running"]) == 1;
            if there && follow && standby("sync_standby") && standby("replica") {
                return;
            }
            assert!(begin.elapsed() < HEALTHY_WITHIN, "not healthy: {nodes:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
        if std::thread::panicking()
            && let Some(directory) = self.directory.take()
        {
            let kept: PathBuf = directory.keep();
            say(&format!("the logs are in {}", kept.display()));
        }
    }
}
