//! The sending side: where a program gets its token from, and whom it sends it to.

mod commands;
mod dotenv;
mod environment;
mod files;
mod keyring;
mod redirects;
mod renewal;
mod reqwest_client;
mod rotation;
mod secrecy;
mod sending;
mod server;
mod values;

#[path = "../util/mod.rs"]
mod util;

use std::{
    fmt::{Debug, Write},
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
};

use api_tokens::{
    Token,
    client::{ClientToken, TokenSource, TokenSourceError},
    prefix,
};
use rand::{SeedableRng, rngs::ChaCha20Rng};
use tempfile::TempDir;

/// What the tests look for, in messages.
const EXPECTED: &str = "expected a token, which begins with acme_live_";

/// The text of a token; the same for the same seed.
fn text(seed: u64) -> String {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let token = Token::generate(&prefix!("acme_live"), &mut rng).unwrap();
    token.expose_secret().to_owned()
}

async fn load(source: TokenSource) -> Result<ClientToken, TokenSourceError> {
    ClientToken::load(prefix!("acme_live"), source).await
}

#[track_caller]
fn assert_holds(token: Result<ClientToken, TokenSourceError>, seed: u64) {
    let token = token.unwrap();
    // The files were looked at just now, so nobody waits.
    assert_eq!(util::at_once(token.current()).expose_secret(), text(seed));
}

/// Files that none but their owner may read, for as long as this is kept.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A new file, in the place of an old one.
    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        let new = self.path(".new");
        fs::write(&new, content).unwrap();
        set_mode(&new, 0o600);
        fs::rename(&new, &path).unwrap();
        path
    }

    /// How many lines a file has.
    fn lines(&self, name: &str) -> usize {
        fs::read_to_string(self.path(name)).unwrap_or_default().lines().count()
    }
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;

    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Runs a test that is ignored in a process of its own, with these variables in its environment:
/// setting them in this one would race with other tests. What it says between `<<` and `>>`, and its
/// standard error.
#[track_caller]
fn in_child(test: &str, variables: &[(&str, &str)]) -> (String, String) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", test, "--ignored", "--nocapture"]);
    child.env_remove("CREDENTIALS_DIRECTORY").envs(variables.iter().copied());
    // Something that a command would find there.
    child.stdin(fs::File::open("Cargo.toml").unwrap());
    let output = child.output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let (_, said) = stdout.split_once("<<").unwrap_or_else(|| panic!("{stdout}\n{stderr}"));
    (said.split_once(">>").unwrap().0.to_owned(), stderr)
}

/// What a child says of a source.
async fn describe(source: TokenSource) -> String {
    match load(source).await {
        Ok(token) => token.current().await.expose_secret().to_owned(),
        Err(error) if error.is_absent() => format!("absent: {error}"),
        Err(error) if error.is_malformed() => format!("malformed: {error}"),
        Err(error) => format!("failed: {error}"),
    }
}

/// Keeps what is logged by this thread, as long as the guard is kept.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn start() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let guard = tracing::subscriber::set_default(log.clone());
        (log, guard)
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "api_tokens"
    }

    fn event(&self, event: &tracing::Event<'_>) {
        struct Line(String);

        impl tracing::field::Visit for Line {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn Debug) {
                write!(self.0, " {field}={value:?}").unwrap();
            }
        }

        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}
