//! Looks for tokens where none should be.

mod api;
mod baseline;
mod check;
mod finding;
mod git;
mod history;
mod place;
mod progress;
mod reader;
mod report;
mod sarif;
mod tree;

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use api_tokens::leak::{Encoding, Finder, Fingerprint};
use clap::{
    Args, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};

use self::{
    baseline::Baseline,
    check::{CheckArguments, Verdict},
    finding::{Collected, Collector, Finding},
    progress::Progress,
};
use crate::{
    Outcome,
    failure::Failure,
    output::{print, shown_path, tell},
    prefixes::PrefixArguments,
    token::runtime,
};

/// Find tokens in files, in the history of git, in what is about to be committed, or in stdin
///
/// Says where tokens are and which ones, by their ids, and never shows one. Looks at each file as
/// bytes, whatever its kind: also hidden ones, but none that git ignores, unless it was committed
/// or staged all the same, and nothing in .git. So a token in an .env that git ignores, which is
/// where one may be, is not reported; --no-ignore looks there, too. A path that is given is looked
/// at in any case. Symbolic links are not followed.
///
/// Exit status: 0 if nothing was found, 1 if something was, 2 if something could not be looked at or
/// asked, whatever was found.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, mut_args(check::require_asking))]
pub(crate) struct Arguments {
    /// Files and folders; with --git-history and --staged, repositories; - for stdin [default: .]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The same, whatever they are called: also -, and what begins with a dash
    #[arg(value_name = "PATH", last = true)]
    paths_as_they_are: Vec<PathBuf>,
    #[command(flatten)]
    prefixes: PrefixArguments,
    #[command(flatten)]
    source: SourceArguments,
    /// Also look into what git ignores
    #[arg(long, conflicts_with = "SourceArguments")]
    no_ignore: bool,
    /// How tokens may be written there besides plain, with commas between [default: all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = encodings())]
    encoding: Vec<Encoding>,
    /// How to tell what was found
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    baseline: BaselineArguments,
    #[command(flatten)]
    check: CheckArguments,
}

fn encodings() -> impl TypedValueParser<Value = Encoding> {
    PossibleValuesParser::new(Encoding::ALL.map(Encoding::as_str))
        .try_map(|text| text.parse::<Encoding>())
}

#[derive(Debug, Args)]
#[group(multiple = false)]
struct SourceArguments {
    /// Read stdin
    #[arg(long)]
    stdin: bool,
    /// Look at all that refs of a git repository reach: every version of every file, the messages of
    /// commits and tags, and notes
    #[arg(long)]
    git_history: bool,
    /// Look at what is about to be committed: the files of git's index that differ from the last
    /// commit
    #[arg(long)]
    staged: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Tokens known to be dead")]
struct BaselineArguments {
    /// Leave out the tokens of this file
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Add what is found to the baseline, instead of reporting it; with --check, only what has come
    /// to its end
    #[arg(long, requires = "baseline")]
    write_baseline: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A line for each place, for people
    Text,
    /// A JSON object for each place, one a line
    Json,
    /// SARIF 2.1.0, which code hosts and editors read
    Sarif,
}

const EXAMPLES: &str = "\
Examples:
  api-tokens scan --prefix acme_live
  api-tokens scan --prefix acme_live --prefix acme_test --no-ignore /srv/app
  api-tokens scan --prefix acme_live --git-history
  api-tokens scan --prefix acme_live --staged          (in a pre-commit hook)
  journalctl -u app | api-tokens scan --prefix acme_live -
  api-tokens scan --prefix acme_live --check --store sqlite:tokens.db --key-file token.key
  api-tokens scan --prefix acme_live --revoke --api https://acme.example/settings/api

A token that was public is known to others, also after it was removed: revoke it first.";

/// What is looked at.
#[derive(Debug, Clone, Copy)]
enum Source {
    Tree,
    Stdin,
    History,
    Index,
}

impl Source {
    /// What it is counted in: one, and several.
    fn pieces(self) -> [&'static str; 2] {
        match self {
            Self::Tree => ["file", "files"],
            Self::Stdin => ["stream", "streams"],
            Self::History => ["object of git", "objects of git"],
            Self::Index => ["staged file", "staged files"],
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    let asks = arguments.check.asks();
    let source = arguments.source()?;
    let runtime = runtime()?;
    let finder = finder(arguments, asks)?;
    let known = match &arguments.baseline.baseline {
        Some(path) => Baseline::read(path, arguments.baseline.write_baseline)?,
        None => Baseline::default(),
    };
    let service = runtime.block_on(arguments.check.service())?;
    let progress = Progress::new(source.pieces());
    let collector = Collector::new(finder, &progress);
    look(source, &arguments.paths(), arguments.no_ignore, &collector);
    let mut collected = collector.finish();
    let looked_at = progress.finish();
    collected.sort();
    let found = fingerprints(&collected.findings);
    for finding in &mut collected.findings {
        finding.is_known = known.contains(finding.found.fingerprint);
    }
    if let Some(service) = service {
        collected.problems.extend(service.failure().map(Failure::shown));
        let asked = arguments.check.ask(service, &mut collected.findings);
        for failure in runtime.block_on(asked) {
            failure.print();
            collected.problems.push(failure.shown());
        }
    }
    let lives = |finding: &Finding| finding.verdict.is_some_and(Verdict::is_or_was_live);
    collected.findings.retain(|finding| !finding.is_known || lives(finding));
    if let Some(path) = &arguments.baseline.baseline
        && arguments.baseline.write_baseline
    {
        let added = known.write(path, &mut collected.findings, asks)?;
        let tokens = plural(added, "token was", "tokens were");
        tell(&format!("{added} {tokens} added to {}.\n", shown_path(path)));
        if added > 0 && !asks {
            tell(
                "warning: nobody was asked whether they are dead, and from now on they are not \
                 reported; with --check only the dead are added\n",
            );
        }
    }
    print(&match arguments.format {
        Format::Text => report::text(&collected.findings),
        Format::Json => report::json(&collected.findings)?,
        Format::Sarif => sarif::write(&collected)?,
    })?;
    let known = found.difference(&fingerprints(&collected.findings)).count();
    tell(&summary(&collected, known, &looked_at));
    Ok(match (collected.is_complete(), collected.findings.is_empty()) {
        (false, _) => Outcome::Incomplete,
        (true, true) => Outcome::Done,
        (true, false) => Outcome::Found,
    })
}

fn finder(arguments: &Arguments, keeps_tokens: bool) -> Result<Finder, Failure> {
    let finder = Finder::new(arguments.prefixes.read()?);
    let finder = if arguments.encoding.is_empty() {
        finder.with_all_encodings()
    } else {
        arguments.encoding.iter().copied().fold(finder, Finder::with_encoding)
    };
    Ok(if keeps_tokens { finder.keep_tokens() } else { finder })
}

fn look(source: Source, paths: &[PathBuf], no_ignore: bool, collector: &Collector<'_>) {
    let look_at_repository = match source {
        Source::Tree => return tree::look(paths, no_ignore, collector),
        Source::Stdin => return tree::look_at_stdin(collector),
        Source::History => history::look,
        Source::Index => history::look_at_index,
    };
    for path in paths {
        // One that cannot be looked at does not hide what is in the others.
        if let Err(failure) = look_at_repository(path, paths.len() == 1, collector) {
            collector.add_failure(&failure);
        }
    }
}

impl Arguments {
    fn source(&self) -> Result<Source, Failure> {
        let has_dash = self.paths.iter().any(|path| path == Path::new("-"));
        let is_alone = self.paths.len() == 1 && self.paths_as_they_are.is_empty();
        let SourceArguments { stdin, git_history, staged } = self.source;
        if has_dash && !(is_alone && !git_history && !staged) {
            return Err(Failure::new(
                "- stands for stdin, and must be alone; use --stdin, or ./- for a file of that name",
            ));
        }
        let has_paths = !self.paths.is_empty() || !self.paths_as_they_are.is_empty();
        if stdin && has_paths && !has_dash {
            return Err(Failure::new("--stdin and paths: look at one, and then at the other"));
        }
        Ok(match self.source {
            SourceArguments { git_history: true, .. } => Source::History,
            SourceArguments { staged: true, .. } => Source::Index,
            SourceArguments { stdin: true, .. } => Source::Stdin,
            SourceArguments { .. } if has_dash => Source::Stdin,
            SourceArguments { .. } => Source::Tree,
        })
    }

    fn paths(&self) -> Vec<PathBuf> {
        let paths: Vec<PathBuf> =
            self.paths.iter().chain(&self.paths_as_they_are).cloned().collect();
        if paths.is_empty() { vec![PathBuf::from(".")] } else { paths }
    }
}

fn fingerprints(findings: &[Finding]) -> HashSet<Fingerprint> {
    findings.iter().map(|finding| finding.found.fingerprint).collect()
}

/// `known` are the tokens that were found and are in the baseline.
fn summary(collected: &Collected, known: usize, looked_at: &str) -> String {
    let findings = &collected.findings;
    if findings.is_empty() {
        let in_what = if collected.is_complete() { "" } else { " in what could be looked at" };
        return match known {
            0 => format!("No token was found{in_what}. Looked at {looked_at}.\n"),
            _ => format!(
                "No other token was found{in_what}; {known} that the baseline knows. Looked at \
                 {looked_at}.\n"
            ),
        };
    }
    let tokens = fingerprints(findings).len();
    let places = findings.len();
    format!(
        "{tokens} {} in {places} {}. Looked at {looked_at}.\n",
        plural(tokens, "token was found", "tokens were found"),
        plural(places, "place", "places"),
    )
}

fn plural(count: usize, one: &'static str, many: &'static str) -> &'static str {
    if count == 1 { one } else { many }
}
