use core::cmp::Ordering;
use std::{
    io::Write,
    path::Path,
    sync::{Mutex, PoisonError},
};

use api_tokens::leak::{Finder, Found, Redactor};

use super::{
    check::Verdict,
    place::{self, Place, Within},
    progress::Progress,
};
use crate::{failure::Failure, output::shown};

/// A token in a place.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) place: Place,
    /// The place's path without any token in it.
    pub(super) path: Vec<u8>,
    /// The same of its repository.
    pub(super) repository: Option<Vec<u8>>,
    /// With the token itself only for whoever asks about it.
    pub(super) found: Found,
    /// Whether the baseline has it.
    pub(super) is_known: bool,
    /// What was said of it, if somebody was asked.
    pub(super) verdict: Option<Verdict>,
}

/// All that was found.
#[derive(Debug)]
pub(super) struct Collected {
    pub(super) findings: Vec<Finding>,
    /// What could not be looked at or asked, in words.
    pub(super) problems: Vec<String>,
}

impl Collected {
    pub(super) fn is_complete(&self) -> bool {
        self.problems.is_empty()
    }

    /// By place, as people look for it, and each once: paths that are given may overlap.
    pub(super) fn sort(&mut self) {
        self.findings.sort_unstable_by(order);
        self.findings.dedup_by(|a, b| order(a, b).is_eq());
    }
}

/// Takes what is found by several threads.
pub(super) struct Collector<'a> {
    finder: Finder,
    progress: &'a Progress,
    collected: Mutex<Collected>,
}

impl<'a> Collector<'a> {
    pub(super) fn new(finder: Finder, progress: &'a Progress) -> Self {
        let collected = Collected { findings: Vec::new(), problems: Vec::new() };
        Self { finder, progress, collected: Mutex::new(collected) }
    }

    pub(super) fn finder(&self) -> &Finder {
        &self.finder
    }

    pub(super) fn progress(&self) -> &Progress {
        self.progress
    }

    /// Something of so many bytes was looked at.
    pub(super) fn add(&self, place: impl FnOnce() -> Place, bytes: u64, found: Vec<Found>) {
        self.progress.add(bytes);
        if !found.is_empty() {
            self.add_found(&place(), found);
        }
    }

    pub(super) fn add_found(&self, place: &Place, found: Vec<Found>) {
        let path = place.path.as_deref().map(|path| self.without_tokens(path)).unwrap_or_default();
        let repository = place.repository.as_deref().map(|path| self.without_tokens(path));
        let mut collected = self.collected.lock().unwrap_or_else(PoisonError::into_inner);
        for found in found {
            collected.findings.push(Finding {
                place: place.clone(),
                path: path.clone(),
                repository: repository.clone(),
                found,
                is_known: false,
                verdict: None,
            });
        }
    }

    /// Looks at the name of a file or folder, too: it is copied along with it.
    pub(super) fn add_name(&self, path: &Path, repository: Option<&Path>) {
        let name = path.file_name().unwrap_or_default();
        let found = self.finder.find(name.as_encoded_bytes());
        if !found.is_empty() {
            let repository = repository.map(Path::to_owned);
            let place = Place { repository, within: Within::FileName, ..Place::file(path) };
            self.add_found(&place, found);
        }
    }

    /// Something could not be looked at, or not all of it.
    pub(super) fn add_problem(&self, what: &Path, why: &str) {
        let what = shown(&self.without_tokens(what));
        let problem = format!("cannot read {what}: {why}");
        self.progress.tell(&format!("warning: {problem}\n"));
        self.note(problem);
    }

    /// A whole repository could not be looked at to its end.
    pub(super) fn add_failure(&self, failure: &Failure) {
        self.progress.tell(&failure.line());
        self.note(failure.shown());
    }

    fn note(&self, problem: String) {
        let mut collected = self.collected.lock().unwrap_or_else(PoisonError::into_inner);
        collected.problems.push(problem);
    }

    pub(super) fn finish(self) -> Collected {
        self.collected.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// A path in which tokens, also those that are cut off, are replaced by their ids.
    fn without_tokens(&self, path: &Path) -> Vec<u8> {
        let mut path = place::bytes(path);
        for found in self.finder.find(&path).iter().rev() {
            let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(path.len());
            let range = place(found.range.start)..place(found.range.end);
            path.splice(range, format!("[token {}]", found.id).into_bytes());
        }
        let mut redactor = Redactor::new(&self.finder, Vec::new());
        // A vector takes everything.
        let _ = redactor.write_all(&path);
        redactor.finish().unwrap_or_default()
    }
}

fn order(a: &Finding, b: &Finding) -> Ordering {
    let of = |finding: &Finding| {
        let Found { range, encoding, fingerprint, .. } = &finding.found;
        (range.start, *encoding, *fingerprint)
    };
    a.place.cmp(&b.place).then_with(|| of(a).cmp(&of(b)))
}
