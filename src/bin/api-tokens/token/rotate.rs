use api_tokens::{Expiry, Rotate, TokenId};
use jiff::SignedDuration;

use super::{IdParser, issuer, keyless_issuer, read, view::time};
use crate::{
    actor::ActorArguments,
    duration::{self, parse_expiry},
    failure::Failure,
    keyring::KeyArguments,
    output::tell,
    secret::SecretArguments,
    store::StoreArguments,
};

/// Replace a token by a new one, and show that once
///
/// Both are accepted until the overlap ends. The new one has the name, project, owner, scopes and
/// metadata of the old one.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  api-tokens token rotate Ky9Pf34qY6Nb3wWD --overlap 7d --to production.token")]
pub(super) struct Arguments {
    /// The id of the old token: the 16 characters after its prefix
    #[arg(value_parser = IdParser)]
    id: TokenId,
    /// How long the old token is still accepted, such as 7d; 0s for not at all
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = duration::parse)]
    overlap: SignedDuration,
    /// End the overlap as soon as the new token is used; the service's background does that
    #[arg(long)]
    retire_on_use: bool,
    /// When the new token ends [default: it lives as long as the old one was to]
    #[arg(long, value_name = "WHEN", value_parser = parse_expiry)]
    expires: Option<Expiry>,
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
    let keys = arguments.keys.read()?;
    let store = arguments.store.open().await?;
    let old = read(&keyless_issuer(store.clone())?, arguments.id).await?;
    let destination = arguments.secret.open()?;
    let issuer = issuer(old.prefix, &keys, store).await?;
    let rotate = Rotate {
        retire_on_use: arguments.retire_on_use,
        expiry: arguments.expires.unwrap_or_default(),
        ..Rotate::with_overlap(arguments.overlap)
    };
    let rotated = issuer.rotate(arguments.id, &actor, rotate).await?;
    let new = rotated.record.id;
    let what = format!("The new token {new}");
    if let Err(failure) = destination.deliver(&what, rotated.token.expose_secret()) {
        let undone = match issuer.cancel_rotation(arguments.id, &actor).await {
            Ok(_) => "The rotation was undone.".to_owned(),
            // There was no overlap, so the old one cannot come back.
            Err(_) => format!("Nobody has the new token {new}: revoke it, and create another."),
        };
        return Err(Failure::new(format!("{failure}\n{undone}")));
    }
    let old = arguments.id;
    match rotated.predecessor.rotation.and_then(|rotation| rotation.successor) {
        Some(successor) if !arguments.overlap.is_zero() => {
            let end = time(successor.overlap_ends_at);
            tell(&format!("The old token {old} is accepted until {end}.\n"));
        }
        _ => tell(&format!("The old token {old} is no longer accepted.\n")),
    }
    Ok(())
}
