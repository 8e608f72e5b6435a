use clap::Args;

use crate::{Outcome, failure::Failure, output::tell, store::StoreArguments, token::runtime};

/// Make the tables of a store, or bring them to the version of this program
///
/// It needs the right to create tables. The other commands never do this by themselves.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    store: StoreArguments,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    runtime()?.block_on(arguments.store.migrate())?;
    tell("The tables are in order.\n");
    Ok(Outcome::Done)
}
