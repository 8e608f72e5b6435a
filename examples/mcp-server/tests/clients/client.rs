//! The official clients, each in a process of its own that does what it is told.

use std::{
    fmt, fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};

use crate::{
    python::python_with,
    rig::{Rig, SERVER, script},
    util::{or_skip, say},
};

const PYTHON: [&str; 1] = ["mcp==2.3.0"];
const NPM: [&str; 3] =
    ["@modelcontextprotocol/sdk@1.32.2", "@modelcontextprotocol/client@2.4.0", "mcp-remote@0.15.1"];

/// Which client.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// `@modelcontextprotocol/sdk`, version 1.
    TypeScriptSdk,
    /// `@modelcontextprotocol/client`, version 2.
    TypeScriptClient,
    /// `mcp`, which asks for the newest protocol first.
    Python,
    /// `mcp`, with the protocol that has sessions.
    PythonWithSessions,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TypeScriptSdk => f.write_str(NPM[0]),
            Self::TypeScriptClient => f.write_str(NPM[1]),
            Self::Python => f.write_str(PYTHON[0]),
            Self::PythonWithSessions => write!(f, "{} with sessions", PYTHON[0]),
        }
    }
}

impl Kind {
    pub(crate) const ALL: [Self; 4] =
        [Self::TypeScriptSdk, Self::TypeScriptClient, Self::Python, Self::PythonWithSessions];

    /// Over HTTP.
    pub(crate) fn http(self, url: &str, token: &str) -> Option<Client> {
        self.start(json!({ "url": url, "token": token }))
    }

    /// The server as a program that the client starts.
    pub(crate) fn stdio(self, arguments: &[String], environment: &Value) -> Option<Client> {
        self.start(json!({ "command": SERVER, "args": arguments, "env": environment }))
    }

    /// By way of `mcp-remote`, as clients do that only start programs: with the arguments and the
    /// environment that the library's configuration has for them.
    pub(crate) fn bridge(
        self,
        rig: &Rig,
        arguments: &[&str],
        environment: &Value,
    ) -> Option<Client> {
        let program = or_skip("npm", npm())?.join("node_modules/mcp-remote/dist/proxy.js");
        let arguments: Vec<_> = [program.to_str().expect("text")]
            .into_iter()
            .chain(arguments.iter().copied())
            .collect();
        let mut environment = environment.clone();
        environment["MCP_REMOTE_CONFIG_DIR"] = json!(rig.path("mcp-remote"));
        let client =
            self.start(json!({ "command": "node", "args": arguments, "env": environment }))?;
        Some(Client { way: Way::Bridge, ..client })
    }

    fn start(self, mut spec: Value) -> Option<Client> {
        let mut command = match self {
            Self::TypeScriptSdk | Self::TypeScriptClient => {
                spec["client"] = json!(if self == Self::TypeScriptSdk { "sdk" } else { "client" });
                let directory = or_skip("npm", npm())?;
                let mut command = Command::new("node");
                command.arg(directory.join("client.mjs"));
                command
            }
            Self::Python | Self::PythonWithSessions => {
                spec["mode"] = json!(if self == Self::Python { "auto" } else { "legacy" });
                let mut command = Command::new(or_skip("Python", python_with(&PYTHON))?);
                command.arg(script("client.py"));
                command
            }
        };
        command.arg(spec.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.stderr(Stdio::null()).spawn().expect("the client");
        let input = process.stdin.take().expect("its input");
        let output = BufReader::new(process.stdout.take().expect("its output"));
        let way = if spec.get("url").is_some() { Way::Http } else { Way::Stdio };
        Some(Client { kind: self, way, _process: Process(process), input, output })
    }
}

/// How it reaches the server.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Way {
    Http,
    Stdio,
    Bridge,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http => f.write_str("over HTTP"),
            Self::Stdio => f.write_str("over stdio"),
            Self::Bridge => write!(f, "by way of {}", NPM[2]),
        }
    }
}

/// A client that does what it is told, and says what came of it.
pub(crate) struct Client {
    kind: Kind,
    pub(crate) way: Way,
    _process: Process,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// It is killed in the end.
struct Process(Child);

/// Or what the client says is wrong.
pub(crate) type Outcome = Result<Value, String>;

impl Client {
    pub(crate) fn connect(&mut self) -> Outcome {
        self.step(&json!({ "do": "connect" }))
    }

    pub(crate) fn list(&mut self) -> Outcome {
        self.step(&json!({ "do": "list" }))
    }

    pub(crate) fn call(&mut self, tool: &str, arguments: &Value) -> Outcome {
        self.step(&json!({ "do": "call", "tool": tool, "args": arguments }))
    }

    pub(crate) fn search(&mut self, query: &str) -> Outcome {
        self.call("search_sources", &json!({ "query": query }))
    }

    pub(crate) fn who_am_i(&mut self) -> Outcome {
        self.call("whoami", &json!({}))
    }

    /// Goes on with another token, over HTTP.
    pub(crate) fn use_token(&mut self, token: &str) {
        self.step(&json!({ "do": "token", "token": token })).expect("another token");
    }

    /// What the client says on a failure, which people will see.
    pub(crate) fn report(&self, what: &str, error: &str) {
        say(&format!("{} {}: {what}: {error}", self.kind, self.way));
    }

    fn step(&mut self, step: &Value) -> Outcome {
        writeln!(self.input, "{step}").expect("a client that listens");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("an answer");
        let answer: Value =
            serde_json::from_str(&line).unwrap_or_else(|_| panic!("{}: {line:?}", self.kind));
        match answer.get("error") {
            Some(error) => Err(error.as_str().expect("text").to_owned()),
            None => Ok(answer["ok"].clone()),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

/// A directory with the packages and the script, kept for the next time.
fn npm() -> Result<PathBuf, String> {
    static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("npm");
    fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
    let done = directory.join(NPM.join(" ").replace('/', "-"));
    if !done.exists() {
        fs::write(directory.join("package.json"), "{}").map_err(|error| error.to_string())?;
        let mut command = Command::new("npm");
        command.current_dir(&directory).args([
            "install",
            "--silent",
            "--ignore-scripts",
            "--save-exact",
        ]);
        let output = command.args(NPM).output().map_err(|error| format!("npm: {error}"))?;
        if !output.status.success() {
            return Err(format!("npm: {}", String::from_utf8_lossy(&output.stderr)));
        }
        fs::write(done, "").map_err(|error| error.to_string())?;
    }
    fs::copy(script("client.mjs"), directory.join("client.mjs"))
        .map_err(|error| error.to_string())?;
    Ok(directory)
}
