use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use ignore::{DirEntry, Error, WalkBuilder, WalkState};

use super::{
    finding::Collector,
    git::{Refusal, Repository},
    place::Place,
    reader::Reader,
};
use crate::failure::reason;

/// Looks at files, and at all files in folders; with `no_ignore`, also at those that git ignores.
pub(super) fn look(paths: &[PathBuf], no_ignore: bool, collector: &Collector<'_>) {
    let mut reader = Reader::new(collector.finder());
    let mut folders: Option<WalkBuilder> = None;
    let repositories: Arc<Mutex<BTreeSet<PathBuf>>> = Arc::default();
    for path in paths {
        // Whatever was named is looked at: behind a link, and a pipe such as `<(command)`.
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                if is_in_repository(path) {
                    add_to(&repositories, path);
                }
                match &mut folders {
                    Some(builder) => drop(builder.add(path)),
                    None => folders = Some(WalkBuilder::new(path)),
                }
            }
            Ok(_) => look_at(path, &mut reader, collector),
            Err(error) => collector.add_problem(path, &reason(&error)),
        }
    }
    let Some(mut builder) = folders else { return };
    let seen = Arc::clone(&repositories);
    builder
        .hidden(false)
        // Files of search tools: that they leave something out does not keep it from being copied.
        .ignore(false)
        .git_ignore(!no_ignore)
        .git_global(!no_ignore)
        .git_exclude(!no_ignore)
        .parents(!no_ignore)
        .filter_entry(move |entry| {
            let is_git = entry.depth() > 0 && entry.file_name() == ".git";
            if let (true, Some(folder)) = (is_git, entry.path().parent()) {
                add_to(&seen, folder);
            }
            !is_git
        });
    builder.build_parallel().run(|| {
        let mut reader = Reader::new(collector.finder());
        Box::new(move |entry| {
            match entry {
                Ok(entry) => look_at_entry(&entry, &mut reader, collector),
                Err(error) => add_problem(&error, collector),
            }
            WalkState::Continue
        })
    });
    if !no_ignore {
        let repositories = repositories.lock().unwrap_or_else(PoisonError::into_inner);
        look_at_tracked(&repositories, &mut reader, collector);
    }
}

fn add_to(folders: &Mutex<BTreeSet<PathBuf>>, folder: &Path) {
    folders.lock().unwrap_or_else(PoisonError::into_inner).insert(folder.to_owned());
}

fn is_in_repository(folder: &Path) -> bool {
    fs::canonicalize(folder)
        .is_ok_and(|folder| folder.ancestors().any(|folder| folder.join(".git").exists()))
}

/// Looks at what git ignores and has all the same: that is pushed, too.
fn look_at_tracked(folders: &BTreeSet<PathBuf>, reader: &mut Reader, collector: &Collector<'_>) {
    let mut files = BTreeSet::new();
    for folder in folders {
        match Repository::ignored_and_tracked(folder) {
            Ok(paths) => files.extend(paths.into_iter().map(|path| folder.join(path))),
            Err(Refusal::NoRepository) => {}
            Err(Refusal::NoGit) => {
                return collector.progress().tell(
                    "note: there is no git here, so files that it ignores although they are \
                     tracked were not looked at; --no-ignore looks at all\n",
                );
            }
            Err(Refusal::Failed(failure)) => {
                collector.add_problem(folder, &failure.to_string());
            }
        }
    }
    for path in files {
        // What is deleted, a link or a submodule has nothing to look at.
        if fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file()) {
            collector.add_name(&path, None);
            look_at(&path, reader, collector);
        }
    }
}

pub(super) fn look_at_stdin(collector: &Collector<'_>) {
    let outcome = Reader::new(collector.finder()).read(&mut io::stdin().lock());
    collector.add(Place::stdin, outcome.bytes, outcome.found);
    if let Err(error) = outcome.result {
        collector.add_problem(Path::new("stdin"), &reason(&error));
    }
}

fn look_at_entry(entry: &DirEntry, reader: &mut Reader, collector: &Collector<'_>) {
    if entry.depth() > 0 {
        collector.add_name(entry.path(), None);
    }
    // Neither links, which lead to what is looked at anyway or is elsewhere, nor pipes and devices,
    // which may never end.
    if entry.file_type().is_some_and(|kind| kind.is_file()) {
        look_at(entry.path(), reader, collector);
    }
}

fn look_at(path: &Path, reader: &mut Reader, collector: &Collector<'_>) {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) => return collector.add_problem(path, &reason(&error)),
    };
    let outcome = reader.read(&mut file);
    collector.add(|| Place::file(path), outcome.bytes, outcome.found);
    if let Err(error) = outcome.result {
        collector.add_problem(path, &reason(&error));
    }
}

/// Of the walk: a folder that cannot be read, or that is gone.
fn add_problem(error: &Error, collector: &Collector<'_>) {
    let why = match error.io_error() {
        Some(error) => reason(error),
        None => "it cannot be walked through".to_owned(),
    };
    collector.add_problem(path_of(error).unwrap_or(Path::new("a folder")), &why);
}

fn path_of(error: &Error) -> Option<&Path> {
    match error {
        Error::WithPath { path, .. } => Some(path),
        Error::WithDepth { err, .. } | Error::WithLineNumber { err, .. } => path_of(err),
        _ => None,
    }
}
