//! The command `api-tokens`: finds leaked tokens in files and in the history of git, and manages
//! the tokens and keys of a store.
#![expect(clippy::doc_markdown, reason = "these comments are the help, which is shown as it is")]
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod actor;
mod completions;
mod confirm;
mod duration;
mod failure;
mod keyring;
mod keys;
mod migrate;
mod output;
mod prefixes;
mod replace;
mod rules;
mod scan;
mod secret;
mod store;
mod table;
mod token;

use std::{ffi::OsString, process::ExitCode};

use clap::{Parser, Subcommand};

use self::failure::{Failure, without_tokens};

/// Finds leaked API tokens, and manages the tokens and keys of a store.
#[derive(Debug, Parser)]
#[command(name = "api-tokens", version, after_help = EXAMPLES, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Scan(Box<scan::Arguments>),
    Token(token::Arguments),
    Keys(keys::Arguments),
    Migrate(migrate::Arguments),
    Rules(rules::Arguments),
    Completions(completions::Arguments),
}

const EXAMPLES: &str = "\
Examples:
  api-tokens scan --prefix acme_live
  api-tokens scan --prefix acme_live --git-history
  api-tokens keys new --to token.key
  api-tokens migrate --store sqlite:tokens.db
  api-tokens token new --store sqlite:tokens.db --key-file token.key \\
      --prefix acme_live --project acme --name 'Production REST API' --scope sources:read

No secret is ever an argument: keys, tokens and passwords come from files or from the
environment. Each command has its own --help.";

/// How the command ended, if it did what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Done,
    /// Tokens were found where none should be.
    Found,
    /// Something could not be looked at or asked.
    Incomplete,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Done => 0,
            Outcome::Found => 1,
            Outcome::Incomplete => 2,
        })
    }
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return refuse(&error),
    };
    match run(arguments.command) {
        Ok(outcome) => outcome.into(),
        Err(failure) => {
            failure.print();
            ExitCode::from(2)
        }
    }
}

fn run(command: Command) -> Result<Outcome, Failure> {
    match command {
        Command::Scan(arguments) => scan::run(&arguments),
        Command::Token(arguments) => token::run(arguments),
        Command::Keys(arguments) => keys::run(arguments),
        Command::Migrate(arguments) => migrate::run(&arguments),
        Command::Rules(arguments) => rules::run(&arguments),
        Command::Completions(arguments) => completions::run(&arguments),
    }
}

/// Help and version, which clap calls errors, too, and what is wrong with the arguments. It quotes
/// those: a token that somebody pasted there is not to get into a log.
fn refuse(error: &clap::Error) -> ExitCode {
    let holds_token = std::env::args_os().any(|argument: OsString| {
        let text = argument.to_string_lossy();
        without_tokens(&text) != text
    });
    if holds_token && error.use_stderr() {
        output::tell(&without_tokens(&error.render().to_string()));
    } else {
        // Nobody may be there to read it.
        let _ = error.print();
    }
    ExitCode::from(if error.use_stderr() { 2 } else { 0 })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_of_all_commands_are_in_order() {
        Arguments::command().debug_assert();
    }
}
