use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    io::{self, Read},
    path::{Path, PathBuf},
};

use api_tokens::leak::{Fingerprint, Found};
use zeroize::Zeroizing;

use super::{
    finding::Collector,
    git::{Object, ObjectKind, Origin, Origins, Repository},
    place::{Commit, Place, Within},
    reader::Reader,
};
use crate::failure::Failure;

/// The longest message of a commit or tag that is looked at, in bytes.
const MAX_MESSAGE: u64 = 64 << 20;

/// Looks at all that the refs of a repository reach, which is one of several or alone.
pub(super) fn look(
    directory: &Path,
    is_alone: bool,
    collector: &Collector<'_>,
) -> Result<(), Failure> {
    let repository = Repository::open(directory)?;
    if repository.is_shallow()? {
        let why = "this shallow clone has a part of the history only, and no more was looked at; \
                   git fetch --unshallow gets the rest";
        collector.add_problem(directory, why);
    }
    let mut reader = Reader::new(collector.finder());
    let mut hits: Vec<Hit> = Vec::new();
    let looked = repository.each_reachable(|object| {
        hits.extend(look_at(object, &mut reader, collector)?);
        Ok(())
    });
    match looked {
        Ok(0) => {}
        Ok(missing) => {
            let why = format!("{missing} object(s) of its history are not in this repository");
            collector.add_problem(directory, &why);
        }
        // What was found before that is told in any case.
        Err(failure) => collector.add_failure(&failure),
    }
    if hits.is_empty() {
        return Ok(());
    }
    add(&repository, (!is_alone).then_some(directory), hits, collector)
}

/// Adds what was found, with where in the history it is: in a file, with the oldest version that has
/// it.
fn add(
    repository: &Repository,
    name: Option<&Path>,
    hits: Vec<Hit>,
    collector: &Collector<'_>,
) -> Result<(), Failure> {
    let wanted: HashSet<String> = hits.iter().map(|hit| hit.id.clone()).collect();
    let origins = repository.origins(&wanted)?;
    let notes = repository.note_commits()?;
    let mut oldest: HashMap<(Option<PathBuf>, Fingerprint), (u64, Place, Found)> = HashMap::new();
    for hit in hits {
        let mut place = place(&hit, &origins);
        place.repository = name.map(Path::to_owned);
        if place.commit.as_ref().is_some_and(|commit| notes.contains(&commit.id))
            && place.within == Within::History
        {
            place.within = Within::Note;
        }
        let Some(Origin { age, .. }) = origins.of_blobs.get(&hit.id) else {
            collector.add_found(&place, hit.found);
            continue;
        };
        for found in hit.found {
            match oldest.entry((place.path.clone(), found.fingerprint)) {
                Entry::Occupied(entry) if entry.get().0 >= *age => {}
                entry => drop(entry.insert_entry((*age, place.clone(), found))),
            }
        }
    }
    for (_, place, found) in oldest.into_values() {
        collector.add_found(&place, vec![found]);
    }
    Ok(())
}

/// Looks at what the index has and the last commit has not.
pub(super) fn look_at_index(
    directory: &Path,
    is_alone: bool,
    collector: &Collector<'_>,
) -> Result<(), Failure> {
    let repository = Repository::open(directory)?;
    let name = (!is_alone).then_some(directory);
    let mut paths: HashMap<String, Vec<PathBuf>> = HashMap::new();
    let mut ids = Vec::new();
    for staged in repository.staged()? {
        collector.add_name(&staged.path, name);
        ids.push(staged.id.clone());
        paths.entry(staged.id).or_default().push(staged.path);
    }
    let mut reader = Reader::new(collector.finder());
    // Content that several files have is looked at for each of them.
    repository.each_of(ids.into_iter(), |object| {
        let outcome = reader.read(object.content);
        outcome.result?;
        if let Some(path) = paths.get_mut(object.id).and_then(Vec::pop) {
            let repository = name.map(Path::to_owned);
            let place = || Place { repository, within: Within::Index, ..Place::file(&path) };
            collector.add(place, outcome.bytes, outcome.found);
        }
        Ok(())
    })
}

/// An object with tokens in it.
struct Hit {
    id: String,
    kind: ObjectKind,
    /// Of a tag.
    name: Option<PathBuf>,
    found: Vec<Found>,
}

fn look_at(
    object: Object<'_>,
    reader: &mut Reader,
    collector: &Collector<'_>,
) -> io::Result<Option<Hit>> {
    let Object { id, kind, content } = object;
    let (bytes, found, name) = if kind == ObjectKind::Blob {
        let outcome = reader.read(content);
        outcome.result?;
        (outcome.bytes, outcome.found, None)
    } else {
        let mut text = Zeroizing::new(Vec::new());
        content.take(MAX_MESSAGE).read_to_end(&mut text)?;
        if text.len() as u64 == MAX_MESSAGE {
            collector.add_problem(Path::new(id), "the message is too long to be looked at whole");
        }
        let found = after_header(collector.finder().find(&text), &text);
        (text.len() as u64, found, name_of(&text))
    };
    collector.progress().add(bytes);
    Ok((!found.is_empty()).then(|| Hit { id: id.to_owned(), kind, name, found }))
}

/// With the lines of the message counted, which begins after an empty line.
fn after_header(mut found: Vec<Found>, text: &[u8]) -> Vec<Found> {
    if found.is_empty() {
        return found;
    }
    let end = text.windows(2).position(|pair| pair == b"\n\n").unwrap_or_default();
    let header = text.get(..end).unwrap_or_default();
    // The lines of the header but its last have an end, and then there are two ends.
    let lines = header.split(|byte| *byte == b'\n').count() as u64 + 1;
    for found in &mut found {
        found.line = found.line.checked_sub(lines).filter(|line| *line > 0).unwrap_or(found.line);
    }
    found
}

/// Of a tag: `object`, `type`, `tag NAME`, `tagger`.
fn name_of(text: &[u8]) -> Option<PathBuf> {
    let line = text.split(|byte| *byte == b'\n').nth(2)?;
    Some(super::place::from_git(line.strip_prefix(b"tag ")?))
}

fn place(hit: &Hit, origins: &Origins) -> Place {
    let unknown = || Commit { id: hit.id.clone(), date: String::new() };
    match hit.kind {
        ObjectKind::Commit => Place {
            commit: Some(origins.of_commits.get(&hit.id).cloned().unwrap_or_else(unknown)),
            ..Place::of(Within::CommitMessage)
        },
        ObjectKind::Tag => Place { path: hit.name.clone(), ..Place::of(Within::TagMessage) },
        ObjectKind::Blob => match origins.of_blobs.get(&hit.id) {
            Some(Origin { path, commit, .. }) => Place {
                path: Some(path.clone()),
                commit: Some(commit.clone()),
                ..Place::of(Within::History)
            },
            // A tag may point to a file that no commit has.
            None => Place { path: Some(hit.id.clone().into()), ..Place::of(Within::Object) },
        },
    }
}
