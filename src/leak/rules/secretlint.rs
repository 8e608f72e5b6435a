//! A configuration in JSON, for the rule that looks for patterns.

use core::fmt::{self, Write};

use serde::Serialize;

use super::{Rules, pattern};

pub(super) fn write(rules: &Rules, out: &mut String) -> fmt::Result {
    let patterns = rules.prefixes().map(|prefix| Pattern {
        name: rules.title(prefix),
        // A regular expression of JavaScript, with its slashes.
        patterns: [format!("/{}/", pattern(prefix))],
    });
    let configuration = Configuration {
        rules: [Rule {
            id: "@secretlint/secretlint-rule-pattern",
            options: Options { patterns: patterns.collect() },
        }],
    };
    // Texts under texts: nothing in this can fail.
    writeln!(out, "{}", serde_json::to_string_pretty(&configuration).unwrap_or_default())
}

#[derive(Serialize)]
struct Configuration {
    rules: [Rule; 1],
}

#[derive(Serialize)]
struct Rule {
    id: &'static str,
    options: Options,
}

#[derive(Serialize)]
struct Options {
    patterns: Vec<Pattern>,
}

#[derive(Serialize)]
struct Pattern {
    name: String,
    patterns: [String; 1],
}
