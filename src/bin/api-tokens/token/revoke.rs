use api_tokens::{RevocationReason, TokenId};

use super::{IdParser, keyless_issuer, read};
use crate::{
    actor::ActorArguments,
    confirm::Confirmation,
    failure::Failure,
    output::{print, tell},
    store::StoreArguments,
};

/// Revoke tokens, for good
///
/// When this returns, every node that reads the store refuses them; one with a cache, within its
/// max_staleness. Needs no key.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  api-tokens token revoke Ky9Pf34qY6Nb3wWD --reason 'found in a public repository'

If you have a leaked token and not its id: the id is the 16 characters after its prefix.")]
pub(super) struct Arguments {
    /// The ids: the 16 characters after the prefix of each token
    #[arg(required = true, value_parser = IdParser)]
    ids: Vec<TokenId>,
    /// Why, as it stands in the record
    #[arg(long)]
    reason: Option<RevocationReason>,
    /// Also all tokens that each was rotated from and to
    #[arg(long)]
    family: bool,
    #[command(flatten)]
    confirmation: Confirmation,
    #[command(flatten)]
    actor: ActorArguments,
    #[command(flatten)]
    store: StoreArguments,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { ids, reason, family, confirmation, actor, store } = arguments;
    let actor = actor.actor()?;
    let issuer = keyless_issuer(store.open().await?)?;
    // All of them before the first is revoked: a mistyped one stops this here.
    for id in &ids {
        let record = read(&issuer, *id).await?;
        let (project, owner, name) = (&record.project, &record.owner, &record.name);
        tell(&format!("{id}  {name}, of {owner} in project {project}\n"));
    }
    let question = match (family, ids.len()) {
        (false, 1) => "Revoke this token, for good?",
        (false, _) => "Revoke these tokens, for good?",
        (true, _) => "Revoke all tokens of these families, for good?",
    };
    confirmation.ask(question)?;
    for id in ids {
        let text = if family {
            let revoked = issuer.revoke_family(id, &actor, reason.clone()).await?;
            format!("{id}  revoked, and with it its family: {revoked} in all\n")
        } else {
            issuer.revoke(id, &actor, reason.clone()).await?;
            format!("{id}  revoked\n")
        };
        print(&text)?;
    }
    Ok(())
}
