use std::{collections::BTreeMap, fs, io, path::Path};

use api_tokens::{
    Prefix, TokenId,
    leak::{Fingerprint, Found},
};
use serde::{Deserialize, Serialize};

use super::finding::Finding;
use crate::{
    failure::Failure,
    output::{shown, shown_path},
    replace::replace,
};

/// Tokens that are known to be dead, by their fingerprints.
#[derive(Debug, Default)]
pub(super) struct Baseline {
    tokens: BTreeMap<Fingerprint, Entry>,
}

/// The file. Only fingerprints count; all else is for whoever reads it.
#[derive(Serialize, Deserialize)]
struct File {
    #[serde(default)]
    about: String,
    version: u32,
    tokens: Vec<Line>,
}

/// What a file of any version has.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

#[derive(Serialize, Deserialize)]
struct Line {
    fingerprint: String,
    #[serde(flatten)]
    entry: Entry,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Entry {
    prefix: Prefix,
    id: TokenId,
    /// Where it was first seen.
    path: Option<String>,
}

const ABOUT: &str = "Tokens known to be dead: `api-tokens scan --baseline` does not report them.";
const VERSION: u32 = 1;

impl Baseline {
    /// Reads the file, which may be missing if it is to be written.
    pub(super) fn read(path: &Path, may_be_missing: bool) -> Result<Self, Failure> {
        let text = match fs::read_to_string(path) {
            Err(error) if may_be_missing && error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            read => read.map_err(|error| Failure::of_file("read the baseline", path, &error))?,
        };
        let wrong = |what: &str| Failure::new(format!("the baseline {} {what}", shown_path(path)));
        let no_baseline = |error: serde_json::Error| wrong(&format!("is not one: {error}"));
        let Versioned { version } = serde_json::from_str(&text).map_err(no_baseline)?;
        if version != VERSION {
            return Err(wrong(&format!(
                "has version {version}, and this program knows version {VERSION}"
            )));
        }
        let file: File = serde_json::from_str(&text).map_err(no_baseline)?;
        let tokens = file.tokens.into_iter().map(|line| {
            let fingerprint = line.fingerprint.parse().map_err(|_| {
                wrong(&format!("has a fingerprint that is none, for the token {}", line.entry.id))
            })?;
            Ok((fingerprint, line.entry))
        });
        Ok(Self { tokens: tokens.collect::<Result<_, Failure>>()? })
    }

    pub(super) fn contains(&self, fingerprint: Fingerprint) -> bool {
        self.tokens.contains_key(&fingerprint)
    }

    /// Adds the tokens that were found, and writes the file. With `dead_only`, those that are live
    /// stay among the findings. Returns how many were added.
    pub(super) fn write(
        mut self,
        path: &Path,
        findings: &mut Vec<Finding>,
        dead_only: bool,
    ) -> Result<usize, Failure> {
        let before = self.tokens.len();
        findings.retain(|finding| {
            if dead_only && !finding.verdict.is_some_and(super::check::Verdict::is_dead) {
                return true;
            }
            let place = finding.place.path.as_ref().map(|_| shown(&finding.path));
            let Found { prefix, id, fingerprint, .. } = finding.found;
            self.tokens.entry(fingerprint).or_insert(Entry { prefix, id, path: place });
            false
        });
        let added = self.tokens.len().saturating_sub(before);
        let lines = self
            .tokens
            .into_iter()
            .map(|(fingerprint, entry)| Line { fingerprint: fingerprint.to_string(), entry });
        let file = File { about: ABOUT.to_owned(), version: VERSION, tokens: lines.collect() };
        let written = serde_json::to_string_pretty(&file)
            .map_err(io::Error::from)
            .and_then(|text| replace(path, (text + "\n").as_bytes()));
        written.map_err(|error| Failure::of_file("write the baseline", path, &error))?;
        Ok(added)
    }
}
