//! A folder to work in, and the command in it.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use api_tokens::{Token, prefix};
use rand::{SeedableRng, rngs::ChaCha20Rng};
use tempfile::TempDir;

/// The published example of a token.
pub(crate) const EXAMPLE: &str =
    "acme_live_Ky9Pf34qY6Nb3wWD_25RQ4F5ZR3qa7yEeeby3abP3E2Zs8IQ9Y7aJZqh1H1ztQ";

/// The text of a token; the same for the same seed.
pub(crate) fn token(seed: u64) -> String {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    Token::generate(&prefix!("acme_live"), &mut rng).unwrap().expose_secret().to_owned()
}

/// What comes after the prefix.
pub(crate) fn id(token: &str) -> &str {
    &token["acme_live_".len()..][..16]
}

/// What nobody may see.
pub(crate) fn secret(token: &str) -> &str {
    &token["acme_live_".len() + 17..]
}

/// A folder of a test's own.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// With a key and a store that has tables.
    pub(crate) fn with_store() -> Self {
        let folder = Self::new();
        folder.run(&["keys", "new", "--to", "key"]).assert(0);
        folder.run(&["migrate", "--store", "sqlite:db"]).assert(0);
        folder
    }

    /// A git repository.
    pub(crate) fn with_repository() -> Self {
        let folder = Self::new();
        folder.git(&["init", "--quiet", "--initial-branch=main"]);
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn read(&self, path: impl AsRef<Path>) -> String {
        fs::read_to_string(self.path().join(path)).unwrap()
    }

    /// The command, here, with nothing of the tester's environment that it reads.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_api-tokens"));
        self.prepare(&mut command);
        command
    }

    fn prepare(&self, command: &mut Command) {
        command.current_dir(self.path()).env("USER", "ann").env("HOME", self.path());
        for name in ["STORE", "KEY", "API", "PREFIXES"] {
            command.env_remove(format!("API_TOKENS_{name}"));
        }
        for name in ["GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE", "XDG_CONFIG_HOME"] {
            command.env_remove(name);
        }
        command.env("GIT_CONFIG_NOSYSTEM", "1");
        for who in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{who}_NAME"), "Ann")
                .env(format!("GIT_{who}_EMAIL"), "ann@acme.example")
                .env(format!("GIT_{who}_DATE"), "2026-01-31T12:00:00Z");
        }
    }

    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command().args(arguments).stdin(Stdio::null()))
    }

    /// With this on stdin.
    #[track_caller]
    pub(crate) fn run_with(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let mut command = self.command();
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let output = std::thread::scope(|scope| {
            scope.spawn(move || stdin.write_all(input));
            child.wait_with_output().unwrap()
        });
        Ran::from(output)
    }

    /// `scan` for the tokens of `acme_live`.
    #[track_caller]
    pub(crate) fn scan(&self, arguments: &[&str]) -> Ran {
        self.run(&[&["scan", "--prefix", "acme_live"], arguments].concat())
    }

    /// A command on the store of [`with_store`](Self::with_store), which knows the key.
    #[track_caller]
    pub(crate) fn on_store(&self, arguments: &[&str]) -> Ran {
        let mut command = self.command();
        let key = self.read("key");
        command.env("API_TOKENS_STORE", "sqlite:db").env("API_TOKENS_KEY", key.trim_end());
        Ran::of(command.args(arguments).stdin(Stdio::null()))
    }

    /// A new token of the store.
    #[track_caller]
    pub(crate) fn new_token(&self, name: &str) -> String {
        let new =
            ["token", "new", "--prefix", "acme_live", "--project", "acme", "--print", "--name"];
        let ran = self.on_store(&[&new[..], &[name]].concat());
        ran.assert(0);
        ran.out.trim_end().to_owned()
    }

    #[track_caller]
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let ran = self.try_git(arguments);
        assert_eq!(ran.code, 0, "git {arguments:?}: {}", ran.err);
        ran.out
    }

    #[track_caller]
    pub(crate) fn try_git(&self, arguments: &[&str]) -> Ran {
        let mut command = Command::new("git");
        self.prepare(&mut command);
        Ran::of(command.args(arguments).stdin(Stdio::null()))
    }

    /// Commits everything that is there.
    #[track_caller]
    pub(crate) fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.git(&["rev-parse", "HEAD"]).trim_end().to_owned()
    }
}

/// How a command ended, and what it said.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    #[track_caller]
    pub(crate) fn of(command: &mut Command) -> Self {
        command.output().unwrap().into()
    }

    #[track_caller]
    pub(crate) fn assert(&self, code: i32) {
        assert_eq!(self.code, code, "stdout:\n{}stderr:\n{}", self.out, self.err);
        assert!(!self.err.contains("panicked"), "{}", self.err);
    }

    /// It found each of these tokens, and shows none.
    #[track_caller]
    pub(crate) fn assert_found(&self, tokens: &[&str]) {
        self.assert(1);
        self.assert_names(tokens);
    }

    #[track_caller]
    pub(crate) fn assert_names(&self, tokens: &[&str]) {
        assert!(!tokens.is_empty());
        for token in tokens {
            assert!(self.out.contains(id(token)), "{}: {}{}", id(token), self.out, self.err);
            for text in [&self.out, &self.err] {
                assert!(!text.contains(secret(token)), "{text}");
            }
        }
    }

    #[track_caller]
    pub(crate) fn assert_found_nothing(&self) {
        self.assert(0);
        assert_eq!(self.out, "", "{}", self.err);
    }

    /// It failed, and says this.
    #[track_caller]
    pub(crate) fn assert_fails(&self, message: &str) {
        self.assert(2);
        assert!(self.err.contains(message), "{}", self.err);
    }

    /// The lines of JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Vec<serde_json::Value> {
        self.out.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let Output { status, stdout, stderr } = output;
        // None if a signal ended it.
        Self { code: status.code().unwrap_or(-1), out: text(&stdout), err: text(&stderr) }
    }
}
