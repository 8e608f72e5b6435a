//! The keys that digests are made under.

mod rotation;

use std::path::PathBuf;

use api_tokens::{Issuer, KeyCount, KeyId, MasterKey, Prefix, Verifier};
use clap::Subcommand;
use rand::rngs::SysRng;
use secrecy::ExposeSecret;

use crate::{
    Outcome,
    failure::{Context, Failure},
    keyring::{KeyArguments, Keys, Role},
    output::{print, tell},
    secret::SecretArguments,
    store::StoreArguments,
    table::table,
    token::runtime,
};

/// Make, replace and count the keys under which a store's digests are made
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a key, in a file that its owner alone can read
    New(SecretArguments),
    Status(CountArguments),
    Rotate(rotation::Arguments),
    Retire(RetireArguments),
}

/// Show the keys, and how many tokens there are under each
///
/// Tokens that have come to their end are not counted, nor those that were imported and not used
/// since. Reads all records: about 3 seconds for a million in SQLite.
#[derive(Debug, clap::Args)]
struct CountArguments {
    /// Count the tokens of this prefix
    #[arg(long)]
    prefix: Prefix,
    #[command(flatten)]
    keys: KeyArguments,
    #[command(flatten)]
    store: StoreArguments,
}

/// Make sure that no token needs a key any more, and put into the events that it is gone
///
/// Afterwards take the key out of the configuration of the service. With imported tokens that were
/// not used since, nothing has to be done: they are under no key.
#[derive(Debug, clap::Args)]
struct RetireArguments {
    /// The key, by its id: `api-tokens keys status` shows it
    key: KeyId,
    #[command(flatten)]
    count: CountArguments,
}

pub(crate) fn run(arguments: Arguments) -> Result<Outcome, Failure> {
    match arguments.command {
        Command::New(arguments) => new(&arguments)?,
        Command::Status(arguments) => runtime()?.block_on(status(arguments))?,
        Command::Rotate(arguments) => rotation::run(&arguments)?,
        Command::Retire(arguments) => runtime()?.block_on(retire(arguments))?,
    }
    Ok(Outcome::Done)
}

fn new(arguments: &SecretArguments) -> Result<(), Failure> {
    let destination = arguments.open()?;
    let key = generate()?;
    let what = format!("The new key {}", key.id());
    destination.deliver(&what, key.expose_base64().expose_secret())?;
    tell("Keep it apart from the database: without it, no token of the store can be verified.\n");
    Ok(())
}

fn generate() -> Result<MasterKey, Failure> {
    MasterKey::generate(&mut SysRng).context("the random number generator failed")
}

async fn status(arguments: CountArguments) -> Result<(), Failure> {
    let Keys { keyring, roles } = arguments.keys.read()?;
    let store = arguments.store.open().await?;
    let issuer = Issuer::new(&Verifier::new(arguments.prefix, &keyring, store));
    let counts = issuer.key_counts().await?;
    let row = |key: Option<KeyId>, role: &str, tokens: u64| {
        let id = key.map_or_else(|| "none".to_owned(), |key| key.to_string());
        [id, role.to_owned(), tokens.to_string()]
    };
    let of = |key| counts.iter().find(|count| count.key == key).map_or(0, |count| count.tokens);
    let mut rows = vec![["KEY", "ROLE", "TOKENS"].map(str::to_owned)];
    rows.extend(roles.iter().map(|&(key, role)| row(key, role.as_str(), of(key))));
    let unknown: Vec<&KeyCount> = counts.iter().filter(|count| !count.is_known).collect();
    rows.extend(unknown.iter().map(|count| row(count.key, "missing", count.tokens)));
    print(&table(&rows))?;
    let is_done = |(key, role): &(Option<KeyId>, Role)| *role == Role::Earlier && of(*key) == 0;
    for (key, _) in roles.iter().filter(|entry| is_done(entry)) {
        let key = key.map_or_else(|| "none".to_owned(), |key| key.to_string());
        tell(&format!("No token needs the earlier key {key} any more: it can be retired.\n"));
    }
    if !unknown.is_empty() {
        tell(
            "Tokens under a missing key cannot be verified: give its file with --earlier-key-file, \
             or revoke them.\n",
        );
    }
    Ok(())
}

async fn retire(arguments: RetireArguments) -> Result<(), Failure> {
    let RetireArguments { key, count } = arguments;
    let keys = count.keys.read()?;
    let store = count.store.open().await?;
    let issuer = Issuer::new(&Verifier::new(count.prefix, &keys.keyring, store));
    issuer.retire_key(Some(key), false).await?;
    tell(&format!(
        "No token of {} needs the key {key} any more.\n\
         Now take it out of the configuration of the service. Delete its file once no backup needs \
         it, and if it serves several prefixes, once no token of the others does.\n",
        count.prefix,
    ));
    Ok(())
}

/// The path with something behind its name.
fn beside(path: &std::path::Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
