//! The tokens of a store.

mod create;
mod list;
mod revoke;
mod rotate;
mod show;
mod view;

use std::ffi::OsStr;

use api_tokens::{Actor, DynTokenStore, Issuer, Keyring, Prefix, TokenId, TokenRecord, Verifier};
use clap::{Arg, Command as Parser, Subcommand, builder::TypedValueParser, error::ErrorKind};
use tokio::runtime::{Builder, Runtime};

use crate::{
    Outcome,
    failure::{Context, Failure},
    keyring::Keys,
    output::tell,
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

/// Whoever only reads, which stands in no event.
fn reader() -> Result<Actor, Failure> {
    Ok("api-tokens".parse()?)
}

async fn read(issuer: &Issuer<DynTokenStore>, id: TokenId) -> Result<TokenRecord, Failure> {
    let record = issuer.get(id, &reader()?).await?;
    record.ok_or_else(|| Failure::new(format!("there is no token {id} in this store")))
}

/// For what makes a token: says so if no living one is under a key that was given, since the service
/// then has another.
async fn issuer(
    prefix: Prefix,
    keys: &Keys,
    store: DynTokenStore,
) -> Result<Issuer<DynTokenStore>, Failure> {
    let issuer = Issuer::new(&Verifier::new(prefix, &keys.keyring, store));
    let counts = issuer.key_counts().await?;
    if !counts.is_empty() && counts.iter().all(|count| !count.is_known) {
        tell(&format!(
            "warning: all tokens of {prefix} in this store are under other keys: is this the key \
             that the service has? `api-tokens keys status` shows them\n"
        ));
    }
    Ok(issuer)
}

/// Reads an id. A token, or a part of one, that stands in its place is not repeated.
#[derive(Debug, Clone)]
struct IdParser;

impl TypedValueParser for IdParser {
    type Value = TokenId;

    fn parse_ref(
        &self,
        command: &Parser,
        _: Option<&Arg>,
        value: &OsStr,
    ) -> Result<TokenId, clap::Error> {
        value.to_str().and_then(|text| text.parse().ok()).ok_or_else(|| {
            let text = "give only the id: the 16 characters after the prefix\n";
            clap::Error::raw(ErrorKind::ValueValidation, text).with_cmd(command)
        })
    }
}
