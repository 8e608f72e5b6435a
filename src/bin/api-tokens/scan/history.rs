use std::{
    collections::{HashMap, HashSet},
    io::{self, Read},
    path::{Path, PathBuf},
};

use api_tokens::leak::Found;
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

/// Looks at all that the refs of a repository reach.
pub(super) fn look(directory: &Path, collector: &Collector<'_>) -> Result<(), Failure> {
    let repository = Repository::open(directory)?;
    if repository.is_shallow()? {
        collector.progress().tell(
            "warning: this clone has a part of the history only, and no more was looked at; git \
             fetch --unshallow gets the rest\n",
        );
    }
    let mut reader = Reader::new(collector.finder());
    let mut hits: Vec<Hit> = Vec::new();
    let looked = repository.each_reachable(|object| {
        hits.extend(look_at(object, &mut reader, collector)?);
        Ok(())
    });
    if !hits.is_empty() {
        add(&repository, hits, collector)?;
    }
    match looked? {
        0 => {}
        missing => {
            let why = format!("{missing} object(s) of its history are not in this repository");
            collector.add_problem(directory, &why);
        }
    }
    Ok(())
}

/// Adds what was found, with where in the history it is.
fn add(repository: &Repository, hits: Vec<Hit>, collector: &Collector<'_>) -> Result<(), Failure> {
    let wanted: HashSet<String> = hits.iter().map(|hit| hit.id.clone()).collect();
    let origins = repository.origins(&wanted)?;
    let notes = repository.note_commits()?;
    for hit in hits {
        let mut place = place(&hit, &origins);
        if place.commit.as_ref().is_some_and(|commit| notes.contains(&commit.id))
            && place.within == Within::History
        {
            place.within = Within::Note;
        }
        collector.add_found(&place, hit.found);
    }
    Ok(())
}

/// Looks at what the index has and the last commit has not.
pub(super) fn look_at_index(directory: &Path, collector: &Collector<'_>) -> Result<(), Failure> {
    let repository = Repository::open(directory)?;
    let mut paths: HashMap<String, Vec<PathBuf>> = HashMap::new();
    let mut ids = Vec::new();
    for staged in repository.staged()? {
        collector.add_name(&staged.path);
        ids.push(staged.id.clone());
        paths.entry(staged.id).or_default().push(staged.path);
    }
    let mut reader = Reader::new(collector.finder());
    // Content that several files have is looked at for each of them.
    repository.each_of(ids.into_iter(), |object| {
        let outcome = reader.read(object.content);
        outcome.result?;
        if let Some(path) = paths.get_mut(object.id).and_then(Vec::pop) {
            let place = || Place { within: Within::Index, ..Place::file(&path) };
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
            path: None,
            within: Within::CommitMessage,
            commit: Some(origins.of_commits.get(&hit.id).cloned().unwrap_or_else(unknown)),
        },
        ObjectKind::Tag => {
            Place { path: hit.name.clone(), within: Within::TagMessage, commit: None }
        }
        ObjectKind::Blob => match origins.of_blobs.get(&hit.id) {
            Some(Origin { path, commit }) => Place {
                path: Some(path.clone()),
                within: Within::History,
                commit: Some(commit.clone()),
            },
            // A tag may point to a file that no commit has.
            None => {
                Place { path: Some(hit.id.clone().into()), within: Within::Object, commit: None }
            }
        },
    }
}
