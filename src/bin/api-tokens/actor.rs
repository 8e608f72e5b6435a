use api_tokens::Actor;
use clap::Args;

use crate::failure::{Context, Failure};

#[derive(Debug, Args)]
pub(crate) struct ActorArguments {
    /// Who does this, as it stands in the events of the tokens [default: your user name, $USER]
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
}

impl ActorArguments {
    pub(crate) fn actor(&self) -> Result<Actor, Failure> {
        let user = || {
            ["USER", "LOGNAME", "USERNAME"]
                .into_iter()
                .find_map(|name| std::env::var(name).ok().filter(|name| !name.is_empty()))
        };
        let name = self.actor.clone().or_else(user);
        let name = name.ok_or_else(|| {
            Failure::new("who does this? The variable USER is not set: add --actor NAME")
        })?;
        name.parse().context("--actor")
    }
}
