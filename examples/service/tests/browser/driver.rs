//! Starts chromedriver, and with it Chromium.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
    thread,
    time::Duration,
};

use fantoccini::{Client, ClientBuilder, wd::Capabilities};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;
use tempfile::TempDir;

/// No other machine is asked for anything.
const FLAGS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];

/// How a browser differs from one as people have it.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) is_without_scripts: bool,
    /// A question of the browser itself waits for an answer, instead of getting it at once.
    pub(crate) keeps_questions: bool,
}

impl Options {
    fn capabilities(&self, profile: &TempDir) -> Capabilities {
        let directory = format!("--user-data-dir={}", profile.path().display());
        let flags: Vec<&str> = FLAGS.into_iter().chain([&*directory]).collect();
        // 1 lets all scripts run, 2 none.
        let scripts = if self.is_without_scripts { 2 } else { 1 };
        let mut capabilities = Capabilities::new();
        let mut add = |name: &str, value| capabilities.insert(name.to_owned(), value);
        add(
            "goog:chromeOptions",
            json!({
                "args": flags,
                "prefs": {"profile.managed_default_content_settings.javascript": scripts},
            }),
        );
        add("goog:loggingPrefs", json!({"browser": "ALL", "performance": "ALL"}));
        if self.keeps_questions {
            // Without a WebSocket, chromedriver says yes when somebody leaves a page.
            add("webSocketUrl", json!(true));
            add("unhandledPromptBehavior", json!({"beforeUnload": "ignore"}));
        }
        capabilities
    }
}

/// A running chromedriver.
pub(crate) struct Driver {
    child: Child,
    address: String,
    /// Open for as long as it runs, since it writes there.
    output: BufReader<ChildStdout>,
    profile: TempDir,
}

impl Driver {
    pub(crate) fn start() -> Result<Self, String> {
        let profile = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut child = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("chromedriver: {error}"))?;
        let stdout = child.stdout.take().ok_or("no output")?;
        let mut driver =
            Self { child, address: String::new(), output: BufReader::new(stdout), profile };
        let port = driver.port()?;
        driver.address = format!("http://127.0.0.1:{port}");
        Ok(driver)
    }

    fn port(&mut self) -> Result<String, String> {
        let mut line = String::new();
        while self.output.read_line(&mut line).map_err(|error| error.to_string())? > 0 {
            if let Some((_, port)) = line.trim_end().rsplit_once("successfully on port ") {
                return Ok(port.trim_end_matches('.').to_owned());
            }
            line.clear();
        }
        Err("chromedriver does not say where it listens".to_owned())
    }

    /// Starts Chromium with a new profile.
    pub(crate) async fn connect(&self, options: &Options) -> Result<Client, String> {
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(options.capabilities(&self.profile));
        builder.connect(&self.address).await.map_err(|error| format!("chromium: {error}"))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
        // Chromium writes there until the last of its processes has ended.
        for _ in 0..200 {
            if fs::remove_dir_all(self.profile.path()).is_ok() {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}
