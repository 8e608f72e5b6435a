use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::{Outcome, failure::Failure, output::print};

/// Print what makes a shell complete the words of this command
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  api-tokens completions bash >~/.local/share/bash-completion/completions/api-tokens
  api-tokens completions zsh  >\"${fpath[1]}/_api-tokens\"
  api-tokens completions fish >~/.config/fish/completions/api-tokens.fish")]
pub(crate) struct Arguments {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    let mut command = crate::Arguments::command();
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "api-tokens", &mut script);
    let script = String::from_utf8_lossy(&script);
    // In bash, clap_complete gives a command that has a dash two names, so that nothing below it is
    // completed.
    print(&script.replace("api__subcmd__tokens", "api__tokens"))?;
    Ok(Outcome::Done)
}
