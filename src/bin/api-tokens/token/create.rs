use api_tokens::{
    Expiry, Metadata, NewToken, Prefix, Principal, Project, RevocationReason, Scope, Scopes,
    TokenName,
};

use super::issuer;
use crate::{
    actor::ActorArguments,
    duration::parse_expiry,
    failure::{Context, Failure},
    keyring::KeyArguments,
    output::tell,
    secret::SecretArguments,
    store::StoreArguments,
};

/// Create a token, and show it once
///
/// On a terminal the token is shown. Elsewhere nothing is done without --to or --print, since what
/// is written to stdout there often stays in a log.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  api-tokens token new --store sqlite:tokens.db --key-file token.key --prefix acme_live \\
      --project acme --name 'Production REST API' --scope sources:read --expires 90d
  api-tokens token new … --to production.token
  api-tokens token new … --print | pass insert --echo acme/production")]
pub(super) struct Arguments {
    /// What the token begins with, such as acme_live
    #[arg(long)]
    prefix: Prefix,
    /// The project (tenant) that it belongs to
    #[arg(long)]
    project: Project,
    /// What people call it
    #[arg(long)]
    name: TokenName,
    /// Who it acts for [default: the actor]
    #[arg(long)]
    owner: Option<Principal>,
    /// What it may do, such as sources:read; may be repeated
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<Scope>,
    /// When it ends: 90d, 12h, 2030-01-31T12:00:00Z, or never
    #[arg(long, value_name = "WHEN", default_value = "90d", value_parser = parse_expiry)]
    expires: Expiry,
    /// A text of your own that stays with it; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    metadata: Vec<String>,
    #[command(flatten)]
    actor: ActorArguments,
    #[command(flatten)]
    secret: SecretArguments,
    #[command(flatten)]
    store: StoreArguments,
    #[command(flatten)]
    keys: KeyArguments,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let actor = arguments.actor.actor()?;
    let new = NewToken {
        scopes: Scopes::new(arguments.scope).context("--scope")?,
        metadata: metadata(&arguments.metadata)?,
        expiry: arguments.expires,
        ..NewToken::new(
            arguments.project,
            arguments.owner.unwrap_or_else(|| actor.principal().clone()),
            arguments.name,
        )
    };
    let keys = arguments.keys.read()?;
    let store = arguments.store.open().await?;
    let destination = arguments.secret.open()?;
    let issuer = issuer(arguments.prefix, &keys, store).await?;
    let created = issuer.create(new, &actor).await?;
    let id = created.record.id;
    let what = format!("The new token {id}");
    if let Err(failure) = destination.deliver(&what, created.token.expose_secret()) {
        // Nobody has it.
        let reason: RevocationReason = "could not be shown when it was created".parse()?;
        issuer.revoke(id, &actor, Some(reason)).await?;
        return Err(Failure::new(format!("{failure}\nThe token {id} was revoked again.")));
    }
    if created.record.scopes.is_empty() {
        tell("It has no scopes, so it may do only what needs none.\n");
    }
    Ok(())
}

fn metadata(entries: &[String]) -> Result<Metadata, Failure> {
    let mut metadata = Metadata::default();
    for entry in entries {
        let (key, value) =
            entry.split_once('=').ok_or_else(|| Failure::new("--metadata: expected KEY=VALUE"))?;
        metadata.insert(key, value).context("--metadata")?;
    }
    Ok(metadata)
}
