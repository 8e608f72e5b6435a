use std::{
    collections::{HashMap, HashSet},
    fs,
    io::{self, BufRead, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    thread::{self, JoinHandle},
};

use super::place::{Commit, from_git};
use crate::{
    failure::{Failure, reason, without_tokens},
    output::{shown, shown_path, tell},
};

#[cfg(unix)]
const NOWHERE: &str = "/dev/null";
#[cfg(not(unix))]
const NOWHERE: &str = "NUL";

/// What counts instead of a repository's own configuration, which may be a stranger's: it could name
/// programs, hide commits, or change what git writes.
const SETTINGS: [&str; 8] = [
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "protocol.allow=never",
    "log.showSignature=false",
    "log.diffMerges=separate",
    "diff.autoRefreshIndex=false",
    "i18n.logOutputEncoding=UTF-8",
    // That an empty file of them counts is nothing to be told.
    "advice.graftFileDeprecated=false",
];

/// A repository, read by the system's git.
pub(super) struct Repository {
    directory: PathBuf,
}

/// An object on its way out of the repository. What is not read of it is passed over.
pub(super) struct Object<'a> {
    pub(super) id: &'a str,
    pub(super) kind: ObjectKind,
    pub(super) content: &'a mut dyn Read,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ObjectKind {
    Blob,
    Commit,
    Tag,
}

/// Where in the history a blob comes from.
pub(super) struct Origin {
    pub(super) commit: Commit,
    /// How many changes of the history come after it.
    pub(super) age: u64,
    pub(super) path: PathBuf,
}

/// What the history says of some objects.
#[derive(Default)]
pub(super) struct Origins {
    pub(super) of_blobs: HashMap<String, Origin>,
    pub(super) of_commits: HashMap<String, Commit>,
}

/// A file that is about to be committed.
pub(super) struct Staged {
    pub(super) id: String,
    pub(super) path: PathBuf,
}

/// Why git does not answer.
pub(super) enum Refusal {
    NoGit,
    /// There is none, or it has no files.
    NoRepository,
    Failed(Failure),
}

impl Repository {
    /// # Errors
    ///
    /// [`Failure`] if there is no git, or no repository.
    pub(super) fn open(directory: &Path) -> Result<Self, Failure> {
        // git would name the path that it cannot go to, whatever that is.
        fs::metadata(directory).map_err(|error| Failure::of_file("read", directory, &error))?;
        let repository = Self { directory: directory.to_owned() };
        match answer(&mut repository.command(&["rev-parse", "--git-dir"])) {
            Ok(_) => Ok(repository),
            Err(Refusal::NoGit) => Err(no_git()),
            Err(Refusal::NoRepository) => {
                let directory = shown_path(directory);
                Err(Failure::new(format!("{directory} is not in a git repository")))
            }
            Err(Refusal::Failed(failure)) => Err(failure),
        }
    }

    /// The files below a folder that are in the index of its repository although git ignores them:
    /// they were added before, or by force. As seen from the folder.
    pub(super) fn ignored_and_tracked(directory: &Path) -> Result<Vec<PathBuf>, Refusal> {
        let repository = Self { directory: directory.to_owned() };
        let list = ["ls-files", "-z", "--cached", "--ignored", "--exclude-standard"];
        let mut command = repository.command(&list);
        // In a hook these name the repository of the hook.
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
            command.env_remove(name);
        }
        let output = answer(&mut command)?;
        let paths = output.split(|byte| *byte == 0).filter(|path| !path.is_empty());
        Ok(paths.map(from_git).collect())
    }

    /// Whether older commits are missing, as in most checkouts of build services.
    pub(super) fn is_shallow(&self) -> Result<bool, Failure> {
        Ok(self.output(&["rev-parse", "--is-shallow-repository"])?.trim_ascii() == b"true")
    }

    /// Every blob, commit and annotated tag that a ref reaches, each once. Returns how many of them are
    /// not there, as in a clone that has only a part, or that is damaged.
    pub(super) fn each_reachable(
        &self,
        each: impl FnMut(Object<'_>) -> io::Result<()>,
    ) -> Result<u64, Failure> {
        let mut revisions = start(
            self.command(&["rev-list", "--objects", "--no-object-names", "--all"])
                .stdin(Stdio::null()),
        )?;
        let ids = revisions.stdout()?;
        let check = "--batch-check=%(objectname) %(objecttype)";
        let mut types =
            start(self.command(&["cat-file", "--buffer", check]).stdin(Stdio::from(ids)))?;
        let typed = BufReader::new(types.stdout()?);
        let missing = AtomicU64::new(0);
        let ids = typed.lines().map_while(Result::ok).filter_map(|line| {
            let (id, kind) = line.split_once(' ')?;
            if kind == "missing" {
                missing.fetch_add(1, Ordering::Relaxed);
            }
            ObjectKind::of(kind).map(|_| id.to_owned())
        });
        self.each_of(ids, each)?;
        finish(revisions, "rev-list")?;
        finish(types, "cat-file")?;
        Ok(missing.into_inner())
    }

    /// The files of the index that differ from those of the last commit.
    pub(super) fn staged(&self) -> Result<Vec<Staged>, Failure> {
        let raw = self.output(&[
            "diff",
            "--cached",
            "--raw",
            "-z",
            "--no-abbrev",
            "--no-renames",
            "--no-relative",
            "--no-ext-diff",
            "--ignore-submodules=all",
            "--diff-filter=ACMT",
        ])?;
        let mut fields = raw.split(|byte| *byte == 0);
        let mut staged = Vec::new();
        while let (Some(change), Some(path)) = (fields.next(), fields.next()) {
            if let Some(id) = new_blob(change) {
                staged.push(Staged { id, path: from_git(path) });
            }
        }
        Ok(staged)
    }

    /// The oldest commit that each of these blobs came with, and the dates of these commits.
    ///
    /// Walks the whole history once, however many they are.
    pub(super) fn origins(&self, wanted: &HashSet<String>) -> Result<Origins, Failure> {
        let mut log = start(
            self.command(&[
                "log",
                "--all",
                "--topo-order",
                "-m",
                "--root",
                "--raw",
                "-z",
                "--no-abbrev",
                "--no-renames",
                "--no-relative",
                "--no-ext-diff",
                "--no-show-signature",
                "--no-notes",
                "--no-color",
                "--format=%H %aI",
            ])
            .stdin(Stdio::null()),
        )?;
        let mut output = BufReader::new(log.stdout()?);
        let mut origins = Origins::default();
        let mut commit: Option<Commit> = None;
        let mut age = 0_u64;
        let mut field = Vec::new();
        while read_field(&mut output, &mut field)? {
            let text = field.trim_ascii_start();
            if text.starts_with(b":") {
                let blob = new_blob(text).filter(|id| wanted.contains(id));
                read_field(&mut output, &mut field)?;
                if let (Some(blob), Some(commit)) = (blob, &commit) {
                    // Children come before their parents, so the oldest is the last.
                    age = age.saturating_add(1);
                    let origin = Origin { commit: commit.clone(), age, path: from_git(&field) };
                    origins.of_blobs.insert(blob, origin);
                }
            } else if let Some((id, date)) =
                str::from_utf8(text).ok().and_then(|text| text.split_once(' '))
            {
                let read = Commit { id: id.to_owned(), date: date.trim_end().to_owned() };
                if wanted.contains(id) {
                    origins.of_commits.insert(id.to_owned(), read.clone());
                }
                commit = Some(read);
            }
        }
        finish(log, "log")?;
        Ok(origins)
    }

    /// The commits that keep notes, in which a file's name is the id of what it is about.
    pub(super) fn note_commits(&self) -> Result<HashSet<String>, Failure> {
        let output = self.output(&["rev-list", "--glob=refs/notes/*"])?;
        Ok(String::from_utf8_lossy(&output).lines().map(str::to_owned).collect())
    }

    /// Reads these objects, in this order.
    pub(super) fn each_of(
        &self,
        ids: impl Iterator<Item = String> + Send,
        mut each: impl FnMut(Object<'_>) -> io::Result<()>,
    ) -> Result<(), Failure> {
        let mut batch =
            start(self.command(&["cat-file", "--batch", "--buffer"]).stdin(Stdio::piped()))?;
        let input = batch.child.stdin.take().ok_or_else(no_pipe)?;
        let output = BufReader::with_capacity(128 * 1024, batch.stdout()?);
        let read = thread::scope(|scope| {
            // Beside the reading: git stops writing when nobody reads what it has written.
            scope.spawn(move || {
                let mut input = BufWriter::new(input);
                for id in ids {
                    if writeln!(input, "{id}").is_err() {
                        return; // git has stopped, which is told below
                    }
                }
                let _ = input.flush();
            });
            // Closed when this ends, so that git and the thread end, too.
            let mut output = output;
            let mut header = String::new();
            loop {
                header.clear();
                if output.read_line(&mut header)? == 0 {
                    return Ok(());
                }
                let mut words = header.split_ascii_whitespace();
                let (Some(id), Some(kind)) = (words.next(), words.next()) else { continue };
                let Some(size) = words.next().and_then(|size| size.parse().ok()) else {
                    return Err(io::Error::other(format!("{id} is {kind}")));
                };
                let mut content = (&mut output).take(size);
                if let Some(kind) = ObjectKind::of(kind) {
                    each(Object { id, kind, content: &mut content })?;
                }
                io::copy(&mut content, &mut io::sink())?;
                output.read_exact(&mut [0])?; // the line's end
            }
        });
        read.map_err(|error: io::Error| unreadable(&error))?;
        finish(batch, "cat-file")
    }

    fn output(&self, arguments: &[&str]) -> Result<Vec<u8>, Failure> {
        let mut child = start(self.command(arguments).stdin(Stdio::null()))?;
        let mut output = Vec::new();
        child.stdout()?.read_to_end(&mut output).map_err(|error| unreadable(&error))?;
        finish(child, arguments.first().unwrap_or(&""))?;
        Ok(output)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        if self.directory != Path::new(".") {
            command.arg("-C").arg(&self.directory);
        }
        command
            .arg("--no-pager")
            .args(SETTINGS.iter().flat_map(|setting| ["-c", *setting]))
            .args(arguments)
            .stdout(Stdio::piped())
            // Replacements hide what they replace, and that is what is pushed.
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("GIT_GRAFT_FILE", NOWHERE)
            .env("GIT_NO_LAZY_FETCH", "1")
            // No list of protocols has this one; a setting for a single one does not count then.
            .env("GIT_ALLOW_PROTOCOL", "none")
            .env("GIT_OPTIONAL_LOCKS", "0");
        command
    }
}

/// A git that runs.
struct Running {
    child: Child,
    /// Hands on what it says on stderr.
    told: JoinHandle<()>,
}

impl Running {
    fn stdout(&mut self) -> Result<ChildStdout, Failure> {
        self.child.stdout.take().ok_or_else(no_pipe)
    }
}

fn start(command: &mut Command) -> Result<Running, Failure> {
    let mut child = command.stderr(Stdio::piped()).spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => no_git(),
        _ => Failure::new(format!("cannot start git: {}", reason(&error))),
    })?;
    let stderr = child.stderr.take().ok_or_else(no_pipe)?;
    // It may quote a name with a token in it.
    let told = thread::spawn(move || {
        for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
            tell(&format!("{}\n", without_tokens(&shown(&line))));
        }
    });
    Ok(Running { child, told })
}

/// What git answers to a short question. What it says on stderr is not shown.
fn answer(command: &mut Command) -> Result<Vec<u8>, Refusal> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::piped()).env("LC_ALL", "C").output();
    let output = output.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Refusal::NoGit,
        _ => Refusal::Failed(Failure::new(format!("cannot start git: {}", reason(&error)))),
    })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    if ["not a git repository", "must be run in a work tree"].iter().any(|text| said.contains(text))
    {
        return Err(Refusal::NoRepository);
    }
    let said = said.trim().trim_start_matches("fatal: ");
    let said: Vec<String> = said.lines().map(|line| shown(line.as_bytes())).collect();
    Err(Refusal::Failed(Failure::new(format!("git: {}", said.join("\n")))))
}

impl ObjectKind {
    fn of(text: &str) -> Option<Self> {
        match text {
            "blob" => Some(Self::Blob),
            "commit" => Some(Self::Commit),
            "tag" => Some(Self::Tag),
            _ => None, // a tree has names and ids
        }
    }
}

/// The blob after a change, of git's raw format: `:MODE MODE OLD NEW STATUS`.
fn new_blob(change: &[u8]) -> Option<String> {
    const SUBMODULE: &str = "160000";
    let mut words = str::from_utf8(change).ok()?.split(' ');
    let mode = words.nth(1)?;
    let id = words.nth(1)?;
    let is_there = id.bytes().any(|byte| byte != b'0');
    (is_there && mode != SUBMODULE).then(|| id.to_owned())
}

/// Up to the next NUL, which is left out. `false` at the end.
fn read_field(input: &mut impl BufRead, field: &mut Vec<u8>) -> Result<bool, Failure> {
    field.clear();
    let read = input.read_until(0, field).map_err(|error| unreadable(&error))?;
    if field.last() == Some(&0) {
        field.pop();
    }
    Ok(read > 0)
}

fn finish(Running { mut child, told }: Running, what: &str) -> Result<(), Failure> {
    let status = child
        .wait()
        .map_err(|error| Failure::new(format!("cannot wait for git: {}", reason(&error))))?;
    let _ = told.join();
    if status.success() {
        return Ok(());
    }
    // It has said on stderr why.
    Err(Failure::new(format!("git {what} failed, so that the history was not read to its end")))
}

fn no_git() -> Failure {
    Failure::new("this needs git, and there is no program of that name")
}

fn unreadable(error: &io::Error) -> Failure {
    Failure::new(format!("cannot read what git writes: {}", reason(error)))
}

fn no_pipe() -> Failure {
    Failure::new("cannot read what git writes")
}
