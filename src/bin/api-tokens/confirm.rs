use std::io::{self, IsTerminal};

use clap::Args;

use crate::{failure::Failure, output::tell};

#[derive(Debug, Args)]
pub(crate) struct Confirmation {
    /// Do it without asking; needed where there is no terminal to ask on
    #[arg(long, short = 'y')]
    yes: bool,
}

impl Confirmation {
    /// Asks on the terminal whether to go on.
    ///
    /// # Errors
    ///
    /// [`Failure`] if they do not want to, or if there is no terminal.
    pub(crate) fn ask(&self, question: &str) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            let advice = "nothing was changed: there is no terminal to ask on; add --yes";
            return Err(Failure::new(advice));
        }
        tell(&format!("{question} [y/N] "));
        let mut answer = String::new();
        io::stdin()
            .read_line(&mut answer)
            .map_err(|_| Failure::new("nothing was changed: the answer cannot be read"))?;
        match answer.trim().to_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(Failure::new("nothing was changed")),
        }
    }
}
