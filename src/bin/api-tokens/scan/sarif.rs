use api_tokens::leak::Found;
use serde_json::{Value, json};

use super::{
    finding::{Collected, Finding},
    place::{Within, uri},
    report,
};
use crate::{
    failure::Failure,
    output::{json_line, shown},
};

/// What was found, in SARIF 2.1.0 (OASIS): one run, one rule for each prefix.
pub(super) fn write(collected: &Collected) -> Result<String, Failure> {
    let mut rules: Vec<String> = collected.findings.iter().map(rule).collect();
    rules.sort_unstable();
    rules.dedup();
    let rules: Vec<Value> = rules.iter().map(|rule| describe(rule)).collect();
    let problems = collected
        .problems
        .iter()
        .map(|problem| json!({ "level": "error", "message": { "text": problem } }));
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "api-tokens",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "columnKind": "unicodeCodePoints",
            "invocations": [{
                "executionSuccessful": collected.is_complete(),
                "toolExecutionNotifications": problems.collect::<Vec<Value>>(),
            }],
            "results": collected.findings.iter().map(result).collect::<Vec<Value>>(),
        }],
    });
    json_line(&log)
}

fn rule(finding: &Finding) -> String {
    format!("leaked-token/{}", finding.found.prefix)
}

fn describe(rule: &str) -> Value {
    json!({
        "id": rule,
        "name": "LeakedToken",
        "shortDescription": { "text": "An API token is in a file" },
        "fullDescription": { "text":
            "Whoever can read the file can use the token. Revoke it first: that it is removed does \
             not make others forget it." },
        "defaultConfiguration": { "level": "error" },
        "properties": { "tags": ["security", "secret"] },
    })
}

fn result(finding: &Finding) -> Value {
    let Found { prefix, id, encoding, fingerprint, .. } = &finding.found;
    let verdict = finding.verdict;
    let said = verdict.map_or(String::new(), |verdict| {
        format!(" It is {}{}.", report::known(finding), verdict.text())
    });
    let commit = finding.place.commit.as_ref();
    let is_dead = verdict.is_some_and(super::check::Verdict::is_dead);
    json!({
        "ruleId": rule(finding),
        "level": if is_dead { "note" } else { "error" },
        "message": { "text": format!("{}: the token {prefix}_{id}_… is here.{said}", report::place(finding)) },
        "locations": [{ "physicalLocation": {
            "artifactLocation": { "uri": artifact(finding) },
            "region": region(finding),
        } }],
        "partialFingerprints": { "tokenSha256/v1": fingerprint.to_string() },
        "properties": {
            "within": finding.place.within,
            "repository": finding.repository.as_deref().map(shown),
            "tokenId": id,
            "encoding": encoding.as_str(),
            "inBaseline": finding.is_known,
            "status": verdict.map(super::check::Verdict::as_str),
            "commit": commit.map(|commit| &commit.id),
            "authorDate": commit.map(|commit| &commit.date),
        },
    })
}

/// Of several repositories, each is a folder.
fn artifact(finding: &Finding) -> String {
    match &finding.repository {
        Some(repository) => {
            let base = uri(repository);
            format!("{}/{}", base.trim_end_matches('/'), within_repository(finding))
        }
        None => within_repository(finding),
    }
}

/// Messages are no files; they have names all the same, since readers of SARIF ask for one.
fn within_repository(finding: &Finding) -> String {
    let commit = finding.place.commit.as_ref().map_or("", |commit| commit.id.as_str());
    match finding.place.within {
        Within::Stdin => "stdin".to_owned(),
        Within::CommitMessage => format!("commit/{commit}"),
        Within::TagMessage => format!("tag/{}", uri(&finding.path)),
        Within::Note => format!("note/{}", uri(&finding.path)),
        Within::Object => format!("object/{}", uri(&finding.path)),
        Within::File | Within::FileName | Within::Index | Within::History => uri(&finding.path),
    }
}

fn region(finding: &Finding) -> Value {
    if finding.place.within == Within::FileName {
        return json!({ "startLine": 1 });
    }
    json!({ "startLine": finding.found.line, "startColumn": finding.found.column })
}
