//! The tokens of a store.

mod create;
mod list;
mod revoke;
mod rotate;
mod show;
mod view;

use api_tokens::{Actor, DynTokenStore, Issuer, Keyring, Prefix, TokenId, TokenRecord, Verifier};
use clap::Subcommand;
use tokio::runtime::{Builder, Runtime};

use crate::{
    Outcome,
    failure::{Context, Failure},
};

/// Create, list, show, rotate and revoke the tokens of a store
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    New(Box<create::Arguments>),
    List(Box<list::Arguments>),
    Show(show::Arguments),
    Rotate(Box<rotate::Arguments>),
    Revoke(Box<revoke::Arguments>),
}

pub(crate) fn run(arguments: Arguments) -> Result<Outcome, Failure> {
    let runtime = runtime()?;
    match arguments.command {
        Command::New(arguments) => runtime.block_on(create::run(*arguments))?,
        Command::List(arguments) => runtime.block_on(list::run(*arguments))?,
        Command::Show(arguments) => runtime.block_on(show::run(&arguments))?,
        Command::Rotate(arguments) => runtime.block_on(rotate::run(*arguments))?,
        Command::Revoke(arguments) => runtime.block_on(revoke::run(*arguments))?,
    }
    Ok(Outcome::Done)
}

/// A command does one thing after the other.
pub(crate) fn runtime() -> Result<Runtime, Failure> {
    Builder::new_current_thread().enable_all().build().context("cannot start")
}

/// For what neither makes nor checks a token: such an issuer sees the tokens of every prefix, and
/// needs no key.
fn keyless_issuer(store: DynTokenStore) -> Result<Issuer<DynTokenStore>, Failure> {
    let any = Prefix::new("any").context("prefix")?;
    Ok(Issuer::new(&Verifier::new(any, &Keyring::unkeyed(), store)))
}

async fn read(
    issuer: &Issuer<DynTokenStore>,
    id: TokenId,
    actor: &Actor,
) -> Result<TokenRecord, Failure> {
    let record = issuer.get(id, actor).await?;
    record.ok_or_else(|| Failure::new(format!("there is no token {id} in this store")))
}
