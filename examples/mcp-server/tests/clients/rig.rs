//! The real server, the tokens of a service beside it, and where both keep them.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use api_tokens::{
    Created, Issuer, Keyring, MasterKey, NewToken, Rotate, Rotated, SqliteOptions, SqliteStore,
    Token, TokenId, Verifier, prefix,
};
use jiff::SignedDuration;
use rand::rngs::SysRng;
use secrecy::ExposeSecret;
use tempfile::TempDir;

/// The program.
pub(crate) const SERVER: &str = env!("CARGO_BIN_EXE_mcp-server");

/// Two projects with a source each, and the data directory of a service.
pub(crate) struct Rig {
    place: TempDir,
    pub(crate) issuer: Issuer<SqliteStore>,
    pub(crate) verifier: Verifier<SqliteStore>,
}

impl Rig {
    pub(crate) fn new() -> Self {
        let place = tempfile::tempdir().expect("a directory");
        let at = |name: &str| place.path().join(name);
        for project in ["demo", "other"] {
            fs::create_dir(at(project)).expect("a directory");
            let text = format!("Only {project} has the word {project}word.");
            fs::write(at(project).join(format!("{project}.md")), text).expect("a source");
        }
        let key = MasterKey::generate(&mut SysRng).expect("a key");
        fs::create_dir(at("data")).expect("a directory");
        fs::write(at("data/key"), key.expose_base64().expose_secret()).expect("the key");
        let options = SqliteOptions::new(at("data/tokens.db"));
        options.migrate().expect("tables");
        let store = options.open().expect("a store");
        let verifier = Verifier::new(prefix!("demo"), &Keyring::new(key), store);
        Self { issuer: Issuer::new(&verifier), verifier, place }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// What the program is started with, in any mode.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let path = |name| self.path(name).display().to_string();
        let other = format!("other={}", path("other"));
        vec![path("demo"), "--project".to_owned(), other, "--data".to_owned(), path("data")]
    }

    pub(crate) fn serve(&self) -> Server {
        self.serve_with(&[])
    }

    pub(crate) fn serve_with(&self, arguments: &[&str]) -> Server {
        let mut command = Command::new(SERVER);
        Server::start(command.args(self.arguments()).args(["--port", "0"]).args(arguments))
    }

    pub(crate) async fn create(&self, scopes: &str) -> Created {
        self.create_in("demo", scopes).await
    }

    pub(crate) async fn create_in(&self, project: &str, scopes: &str) -> Created {
        let owner = "ann".parse().expect("an owner");
        let new = NewToken::new(
            project.parse().expect("a project"),
            owner,
            "mcp".parse().expect("a name"),
        );
        let new = new.with_scopes(scopes.parse().expect("scopes"));
        self.issuer.create(new, &"ann".parse().expect("an actor")).await.expect("create")
    }

    pub(crate) async fn revoke(&self, id: TokenId) {
        let ann = "ann".parse().expect("an actor");
        self.issuer.revoke(id, &ann, None).await.expect("revoke");
    }

    pub(crate) async fn rotate(&self, token: &Token, overlap: SignedDuration) -> Rotated {
        let ann = "ann".parse().expect("an actor");
        let rotate = Rotate::with_overlap(overlap);
        self.issuer.rotate(token.id(), &ann, rotate).await.expect("rotate")
    }

    /// Ends the overlap.
    pub(crate) async fn finish(&self, predecessor: &Token) {
        let ann = "ann".parse().expect("an actor");
        self.issuer.finish_rotation(predecessor.id(), &ann).await.expect("finish");
    }
}

/// A process that serves HTTP; it is killed in the end.
pub(crate) struct Server {
    process: Child,
    pub(crate) url: String,
}

impl Server {
    fn start(command: &mut Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().expect("the server");
        let mut line = String::new();
        let output = process.stdout.as_mut().expect("its output");
        BufReader::new(output).read_line(&mut line).expect("a line");
        let url = line.trim().strip_prefix("MCP server: ").expect("its URL").to_owned();
        Self { process, url }
    }

    /// A URL of the same server.
    pub(crate) fn at(&self, path: &str) -> String {
        self.url.strip_suffix("/mcp").expect("its path").to_owned() + path
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _gone = self.process.wait();
    }
}

/// A file of the tests' own.
pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}
