//! Starts the real program, reads what it prints, and talks to it with `curl`.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::OnceLock,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// A folder with sources, and a place for data that does not exist yet.
pub(crate) struct Place {
    _directory: TempDir,
    pub(crate) sources: PathBuf,
    pub(crate) data: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // Absolute and without links, as the service prints it; and what a shell must not see.
        let root = directory.path().canonicalize().unwrap().join("it's a place");
        let place =
            Self { sources: root.join("sources"), data: root.join("data"), _directory: directory };
        place.write("zebra.md", "# Animals\nThe zebra has stripes.");
        place.write("deep/er/giraffe.txt", "The giraffe has a long neck.");
        place
    }

    pub(crate) fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.sources.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn start(&self) -> Service {
        self.start_with(&[])
    }

    pub(crate) fn start_with(&self, arguments: &[&str]) -> Service {
        Service::start(self.command(&["--port", "0"]).args(arguments))
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_service"));
        command.arg(&self.sources).arg("--data").arg(&self.data).args(arguments);
        command
    }
}

/// A running service.
pub(crate) struct Service {
    child: Child,
    /// All that it printed when it started.
    pub(crate) greeting: String,
    log: Option<JoinHandle<String>>,
    cookie: OnceLock<String>,
}

impl Service {
    #[track_caller]
    pub(crate) fn start(command: &mut Command) -> Self {
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let cookie = OnceLock::new();
        let mut service = Self { child, greeting: String::new(), log: None, cookie };
        let mut stderr = service.child.stderr.take().unwrap();
        let log = thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).unwrap();
            text
        });
        let stdout = service.child.stdout.take().unwrap();
        for line in BufReader::new(stdout).lines() {
            service.greeting += &line.unwrap();
            service.greeting.push('\n');
            if service.greeting.ends_with("/api/projects/demo/tokens\n") {
                service.log = Some(log);
                return service;
            }
        }
        panic!("it did not start: {}", log.join().unwrap());
    }

    pub(crate) fn base(&self) -> &str {
        let first = self.greeting.lines().next().unwrap();
        first.split_whitespace().find(|word| word.starts_with("http://127.0.0.1:")).unwrap()
    }

    /// The token that is shown once.
    pub(crate) fn token(&self) -> String {
        let line = self.greeting.lines().find(|line| line.starts_with("    demo_")).expect("shown");
        line.trim().to_owned()
    }

    /// The admin's password, as it is shown at the first start, or from the file that is named.
    pub(crate) fn password(&self) -> String {
        let line = self.greeting.lines().nth(2).unwrap();
        if let Some(path) = line.strip_prefix("Sign in with the password in ") {
            return fs::read_to_string(path).unwrap().trim().to_owned();
        }
        line.strip_prefix("Sign in with the password: ").expect("shown").to_owned()
    }

    /// The answer to a form with these fields, which have a new cookie if they are the password.
    pub(crate) fn submit(&self, path: &str, fields: &[(&str, &str)], cookie: &str) -> Answer {
        let fields: Vec<String> =
            fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let fields = fields.iter().flat_map(|field| ["--data-urlencode", field]);
        let arguments: Vec<&str> = ["-X", "POST", "-b", cookie].into_iter().chain(fields).collect();
        self.curl(path, &arguments, b"")
    }

    /// Signs the admin in, once, and returns the cookie.
    pub(crate) fn cookie(&self) -> &str {
        self.cookie.get_or_init(|| self.sign_in())
    }

    /// Signs the admin in and returns the cookie, as `NAME=VALUE`.
    #[track_caller]
    pub(crate) fn sign_in(&self) -> String {
        let answer = self.submit("/sign-in", &[("password", &self.password())], "");
        assert_eq!(answer.status, 303, "{answer:?}");
        let cookie = answer.header("set-cookie").expect("a cookie");
        cookie.split(';').next().unwrap().to_owned()
    }

    /// The printed command that ends like this, with `curl`'s progress silenced.
    #[track_caller]
    pub(crate) fn printed(&self, end: &str) -> String {
        let line = self.greeting.lines().find(|line| line.ends_with(end)).expect("printed");
        line.trim().replacen("curl ", "curl --silent --show-error ", 1)
    }

    pub(crate) fn get(&self, path: &str, token: &str) -> Answer {
        self.curl(path, &["-H", &format!("Authorization: Bearer {token}")], b"")
    }

    pub(crate) fn search(&self, token: &str, body: impl AsRef<[u8]>) -> Answer {
        let authorization = format!("Authorization: Bearer {token}");
        let json = "Content-Type: application/json";
        let arguments = ["-H", &authorization, "-H", json, "--data-binary", "@-"];
        self.curl("/flows/search", &arguments, body.as_ref())
    }

    /// A request concerning the tokens of project `demo` as the admin; without a body for null.
    pub(crate) fn manage(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.manage_with(method, &format!("demo/tokens{path}"), body, "")
    }

    /// The same for the project that the path begins with, and more arguments for `curl`.
    pub(crate) fn manage_with(
        &self,
        method: &str,
        path: &str,
        body: &Value,
        arguments: &str,
    ) -> Answer {
        let (body, header) = if body.is_null() {
            (String::new(), "")
        } else {
            (body.to_string(), "-H 'Content-Type: application/json' --data-binary @-")
        };
        let command = format!(
            "curl --silent --show-error --include -b {} -X {method} {header} {arguments} \
             '{}/management/api/projects/{path}'",
            self.cookie(),
            self.base(),
        );
        Answer::of(&run(Command::new("sh").args(["-c", &command]), body.as_bytes()))
    }

    /// Creates a token and returns its text and its id.
    pub(crate) fn create(&self, project: &str, scopes: &[&str]) -> (String, String) {
        let body = serde_json::json!({"name": "Test", "scopes": scopes});
        let path = format!("{}/tokens", project.replace(' ', "%20"));
        let answer = self.manage_with("POST", &path, &body, "");
        assert_eq!(answer.status, 201, "{answer:?}");
        let field = |name: &str| answer.json()[name].as_str().unwrap().to_owned();
        (field("token"), field("id"))
    }

    pub(crate) fn curl(&self, path: &str, arguments: &[&str], body: &[u8]) -> Answer {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--include"]).args(arguments);
        Answer::of(&run(command.arg(format!("{}{path}", self.base())), body))
    }

    /// Sends a signal, and waits for the end. Returns what was logged, too.
    #[track_caller]
    pub(crate) fn stop(mut self, signal: &str) -> (ExitStatus, String) {
        self.signal(signal);
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status, self.log.take().unwrap().join().unwrap());
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("still runs after SIG{signal}");
    }

    fn signal(&self, signal: &str) {
        let kill = format!("kill -{signal} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// What `curl --include` printed.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// One line for each, with its name in lower case.
    pub(crate) headers: String,
    pub(crate) body: String,
}

impl Answer {
    #[track_caller]
    fn of(output: &Output) -> Self {
        assert!(output.status.success(), "curl: {}", String::from_utf8_lossy(&output.stderr));
        let mut text = String::from_utf8(output.stdout.clone()).unwrap().replace('\r', "");
        // What comes before the answer to a large body.
        if let Some(rest) = text.strip_prefix("HTTP/1.1 100 Continue\n\n") {
            text = rest.to_owned();
        }
        let (headers, body) = text.split_once("\n\n").unwrap();
        let status = headers.split_whitespace().nth(1).unwrap().parse().unwrap();
        let headers = headers.lines().skip(1).map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            format!("{}:{value}\n", name.to_lowercase())
        });
        Self { status, headers: headers.collect(), body: body.to_owned() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.lines().filter_map(|line| line.split_once(": "));
        headers.find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Checks that this is a problem in JSON, and returns its `detail`.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert!(self.headers.contains("content-type: application/problem+json"), "{self:?}");
        assert!(self.headers.contains("cache-control: no-store"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], status, "{self:?}");
        problem["detail"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub(crate) fn file_names(&self) -> Vec<String> {
        assert_eq!(self.status, 200, "{self:?}");
        let json = self.json();
        let list = json.as_array().or_else(|| json["hits"].as_array()).unwrap();
        list.iter().map(|file| file["file_name"].as_str().unwrap().to_owned()).collect()
    }
}

/// Runs a command in a shell, as somebody does who pastes it.
#[track_caller]
pub(crate) fn shell(command: &str) -> String {
    let output = run(Command::new("sh").args(["-c", command]), b"");
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn run(command: &mut Command, input: &[u8]) -> Output {
    // A proxy is not for this machine itself.
    command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    // The server may answer, and `curl` go, before it has read everything.
    let _gone = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

pub(crate) fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}
