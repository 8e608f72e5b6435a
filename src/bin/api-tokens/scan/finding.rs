use core::cmp::Ordering;
use std::{
    collections::HashMap,
    io::Write,
    path::Path,
    sync::{Mutex, PoisonError},
};

use api_tokens::{
    Prefix, TokenId,
    leak::{Encoding, Finder, Fingerprint, Found, Redactor},
};

use super::{
    check::Verdict,
    place::{self, Place, Within},
    progress::Progress,
};

/// A token in a place. It is not in it: only what may be told.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) place: Place,
    /// The place's path without any token in it.
    pub(super) path: Vec<u8>,
    pub(super) prefix: Prefix,
    pub(super) id: TokenId,
    pub(super) encoding: Encoding,
    /// In bytes.
    pub(super) offset: u64,
    pub(super) len: u64,
    pub(super) line: u64,
    pub(super) column: u64,
    pub(super) fingerprint: Fingerprint,
    /// What was said of it, if somebody was asked.
    pub(super) verdict: Option<Verdict>,
}

/// All that was found.
#[derive(Debug)]
pub(super) struct Collected {
    pub(super) findings: Vec<Finding>,
    /// Each token once, for whoever asks about it; empty if the finder does not keep tokens.
    pub(super) tokens: HashMap<Fingerprint, Found>,
    /// What could not be looked at, in words.
    pub(super) problems: Vec<String>,
    pub(super) is_complete: bool,
}

/// Takes what is found by several threads.
pub(super) struct Collector<'a> {
    finder: Finder,
    progress: &'a Progress,
    collected: Mutex<Collected>,
}

impl<'a> Collector<'a> {
    pub(super) fn new(finder: Finder, progress: &'a Progress) -> Self {
        let collected = Collected {
            findings: Vec::new(),
            tokens: HashMap::new(),
            problems: Vec::new(),
            is_complete: true,
        };
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
        let mut collected = self.collected.lock().unwrap_or_else(PoisonError::into_inner);
        for found in found {
            collected.findings.push(Finding {
                place: place.clone(),
                path: path.clone(),
                prefix: found.prefix,
                id: found.id,
                encoding: found.encoding,
                offset: found.range.start,
                len: found.range.end.saturating_sub(found.range.start),
                line: found.line,
                column: found.column,
                fingerprint: found.fingerprint,
                verdict: None,
            });
            if found.token().is_some() {
                collected.tokens.entry(found.fingerprint).or_insert(found);
            }
        }
    }

    /// Looks at the name of a file or folder, too: it is copied along with it.
    pub(super) fn add_name(&self, path: &Path) {
        let name = path.file_name().unwrap_or_default();
        let found = self.finder.find(name.as_encoded_bytes());
        if !found.is_empty() {
            self.add_found(&Place { within: Within::FileName, ..Place::file(path) }, found);
        }
    }

    /// Something could not be looked at, or not all of it.
    pub(super) fn add_problem(&self, what: &Path, why: &str) {
        let what = place::shown(&self.without_tokens(what));
        let problem = format!("cannot read {what}: {why}");
        self.progress.tell(&format!("warning: {problem}\n"));
        let mut collected = self.collected.lock().unwrap_or_else(PoisonError::into_inner);
        collected.problems.push(problem);
        collected.is_complete = false;
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

/// By place, as people look for it.
pub(super) fn order(a: &Finding, b: &Finding) -> Ordering {
    (&a.place, a.offset, a.encoding).cmp(&(&b.place, b.offset, b.encoding))
}
