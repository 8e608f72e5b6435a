//! Rule files for the scanners that others run.

use std::{
    fs,
    path::{Path, PathBuf},
};

use api_tokens::{
    Prefix,
    leak::{Rules, Scanner},
};
use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};

use crate::{
    Outcome,
    failure::{Context, Failure},
    output::{print, shown_path, tell},
    prefixes::PrefixArguments,
    replace::replace,
    table::table,
};

/// Write rules with which other scanners find these tokens
///
/// Without --scanner and --to: lists the scanners.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  api-tokens rules
  api-tokens rules --prefix acme_live --scanner gitleaks >gitleaks.toml
  api-tokens rules --prefix acme_live --prefix acme_test --name 'Acme API token' --to rules/")]
pub(crate) struct Arguments {
    /// The scanner to write for; may be repeated, with --to
    #[arg(long, value_name = "NAME", value_parser = scanners())]
    scanner: Vec<Scanner>,
    #[command(flatten)]
    prefixes: PrefixArguments,
    /// What people call such a token
    #[arg(long, default_value = "API token")]
    name: String,
    /// Where a scanner may ask whether a token is live: the address of /token in the management API
    #[arg(long, value_name = "URL")]
    live_check: Option<String>,
    /// Write the files into this folder, over those of an earlier call; without --scanner, for all
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
}

fn scanners() -> impl TypedValueParser<Value = Scanner> {
    PossibleValuesParser::new(Scanner::ALL.map(Scanner::as_str))
        .try_map(|text| text.parse::<Scanner>())
}

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    if arguments.scanner.is_empty() && arguments.to.is_none() {
        print(&list(&Rules::new("API token", api_tokens::prefix!("any")).context("--name")?))?;
        tell("Write a file: api-tokens rules --prefix acme_live --scanner NAME\n");
        return Ok(Outcome::Done);
    }
    match (&arguments.to, arguments.scanner.as_slice()) {
        (Some(folder), []) => write(&rules(arguments)?, &Scanner::ALL, folder)?,
        (Some(folder), scanners) => write(&rules(arguments)?, scanners, folder)?,
        (None, [scanner]) => print(&rules(arguments)?.file(*scanner).contents)?,
        (None, _) => {
            return Err(Failure::new(
                "the files of several scanners do not go into one: add --to FOLDER",
            ));
        }
    }
    Ok(Outcome::Done)
}

fn rules(arguments: &Arguments) -> Result<Rules, Failure> {
    let mut prefixes: Vec<Prefix> = arguments.prefixes.read()?;
    let first = prefixes.remove(0);
    let rules = Rules::new(&arguments.name, first).context("--name")?;
    let rules = prefixes.into_iter().fold(rules, Rules::with_prefix);
    match &arguments.live_check {
        Some(url) => rules.with_live_check(url).context("--live-check"),
        None => Ok(rules),
    }
}

fn list(rules: &Rules) -> String {
    let heading = ["SCANNER", "FILE"].map(str::to_owned);
    let row = |scanner: Scanner| [scanner.to_string(), rules.file(scanner).name.to_owned()];
    let rows: Vec<_> = [heading].into_iter().chain(Scanner::ALL.map(row)).collect();
    table(&rows)
}

fn write(rules: &Rules, scanners: &[Scanner], folder: &Path) -> Result<(), Failure> {
    fs::create_dir_all(folder).map_err(|error| Failure::of_file("create", folder, &error))?;
    for scanner in scanners {
        let file = rules.file(*scanner);
        let path = folder.join(file.name);
        replace(&path, file.contents.as_bytes())
            .map_err(|error| Failure::of_file("write", &path, &error))?;
        tell(&format!("{scanner}: {}\n", shown_path(&path)));
    }
    Ok(())
}
