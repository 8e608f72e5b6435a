use core::fmt::Write;

use api_tokens::{
    Prefix, TokenId,
    leak::{Encoding, Found},
};
use serde::Serialize;

use super::{finding::Finding, place::Within};
use crate::{
    failure::Failure,
    output::{json_line, shown},
};

/// How much of a fingerprint or a commit's id people are shown.
const SHORT: usize = 12;

/// A line for each place, for people.
pub(super) fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let Found { prefix, id, encoding, fingerprint, .. } = &finding.found;
        let fingerprint = fingerprint.to_string();
        // Writing to a string never fails.
        let _ = write!(
            text,
            "{}: token {prefix}_{id}_…, fingerprint {}",
            place(finding),
            short(&fingerprint)
        );
        if *encoding != Encoding::Plain {
            let _ = write!(text, ", in {encoding}");
        }
        if let Some(verdict) = finding.verdict {
            let _ = write!(text, ", {}{}", known(finding), verdict.text());
        }
        text.push('\n');
    }
    text
}

/// Before what is said of a token that should have been dead.
pub(super) fn known(finding: &Finding) -> &'static str {
    if finding.is_known { "in the baseline, but " } else { "" }
}

pub(super) fn place(finding: &Finding) -> String {
    match &finding.repository {
        Some(repository) => format!("{}: {}", shown(repository), within_repository(finding)),
        None => within_repository(finding),
    }
}

fn within_repository(Finding { place, path, found, .. }: &Finding) -> String {
    let Found { line, column, .. } = found;
    let path = shown(path);
    let (commit, date) = place.commit.as_ref().map_or(("", ""), |commit| {
        (short(&commit.id), commit.date.get(..10).unwrap_or(&commit.date))
    });
    match place.within {
        Within::File | Within::Index => format!("{path}:{line}:{column}"),
        Within::FileName => format!("{path}: in the name"),
        Within::Stdin => format!("stdin:{line}:{column}"),
        Within::History => format!("commit {commit} of {date}, {path}:{line}:{column}"),
        Within::CommitMessage => format!("commit {commit} of {date}, message:{line}:{column}"),
        Within::Object => format!("object {}:{line}:{column}", short(&path)),
        Within::TagMessage => format!("tag {path}, message:{line}:{column}"),
        Within::Note => format!("commit {commit} of {date}, note on {path}:{line}:{column}"),
    }
}

fn short(text: &str) -> &str {
    text.get(..SHORT).unwrap_or(text)
}

/// A JSON object for each place.
#[derive(Serialize)]
struct Told<'a> {
    within: Within,
    /// Of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    repository: Option<String>,
    /// What is no UTF-8 in it is written as `\xff`.
    path: Option<String>,
    line: u64,
    column: u64,
    offset: u64,
    length: u64,
    prefix: Prefix,
    id: TokenId,
    encoding: &'static str,
    fingerprint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    /// It should have been dead.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    in_baseline: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    author_date: Option<&'a str>,
}

pub(super) fn json(findings: &[Finding]) -> Result<String, Failure> {
    findings.iter().map(|finding| json_line(&told(finding))).collect()
}

fn told(finding: &Finding) -> Told<'_> {
    let Found { prefix, id, encoding, range, line, column, fingerprint, .. } = &finding.found;
    let commit = finding.place.commit.as_ref();
    Told {
        within: finding.place.within,
        repository: finding.repository.as_deref().map(shown),
        path: finding.place.path.as_ref().map(|_| shown(&finding.path)),
        line: *line,
        column: *column,
        offset: range.start,
        length: range.end.saturating_sub(range.start),
        prefix: *prefix,
        id: *id,
        encoding: encoding.as_str(),
        fingerprint: fingerprint.to_string(),
        status: finding.verdict.map(super::check::Verdict::as_str),
        in_baseline: finding.is_known,
        commit: commit.map(|commit| commit.id.as_str()),
        author_date: commit.map(|commit| commit.date.as_str()).filter(|date| !date.is_empty()),
    }
}
