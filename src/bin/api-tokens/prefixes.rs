use std::collections::HashSet;

use api_tokens::Prefix;
use clap::Args;

use crate::failure::{Context, Failure};

const VARIABLE: &str = "API_TOKENS_PREFIXES";

#[derive(Debug, Args)]
pub(crate) struct PrefixArguments {
    /// What the tokens begin with, such as acme_live; may be repeated [env: API_TOKENS_PREFIXES,
    /// with commas between]
    #[arg(long, value_name = "PREFIX")]
    prefix: Vec<Prefix>,
}

impl PrefixArguments {
    /// At least one, each once, in the order in which they are given.
    pub(crate) fn read(&self) -> Result<Vec<Prefix>, Failure> {
        let mut prefixes = self.prefix.clone();
        if prefixes.is_empty() {
            let variable = std::env::var(VARIABLE).unwrap_or_default();
            for text in variable.split([',', ' ']).filter(|text| !text.is_empty()) {
                prefixes.push(text.parse().context(VARIABLE)?);
            }
        }
        if prefixes.is_empty() {
            return Err(Failure::new(format!(
                "which tokens? Add --prefix with what they begin with, such as acme_live, or set \
                 the environment variable {VARIABLE}"
            )));
        }
        let mut seen = HashSet::new();
        prefixes.retain(|prefix| seen.insert(*prefix));
        Ok(prefixes)
    }
}
