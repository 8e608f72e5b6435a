//! Who calls a tool, and what they may.

use api_tokens::{Project, Scopes, TokenId, Verified};
use jiff::{SignedDuration, Timestamp};

/// So long before a token's end its users are told.
pub(crate) const NOTICE: SignedDuration = SignedDuration::from_hours(14 * 24);

/// What is known of the token that a call came with.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) token: TokenId,
    pub(crate) project: Project,
    pub(crate) owner: String,
    pub(crate) scopes: Scopes,
    pub(crate) ends_at: Option<Timestamp>,
    /// Another one has taken its place, and it is accepted for a while beside that.
    pub(crate) is_replaced: bool,
}

impl From<&Verified> for Caller {
    fn from(token: &Verified) -> Self {
        Self {
            token: token.id(),
            project: token.project().clone(),
            owner: token.owner().to_string(),
            scopes: token.scopes(),
            ends_at: token.ends_at(),
            is_replaced: token.successor().is_some(),
        }
    }
}

impl Caller {
    /// What the people behind an assistant should know in time: when the token has come to its
    /// end, nothing reaches them any more but a refusal.
    pub(crate) fn notice(&self, now: Timestamp) -> Option<String> {
        let end = self.ends_at.map(|end| format!("on {end:.0}"));
        if self.is_replaced {
            let end = end.unwrap_or_else(|| "soon".to_owned());
            return Some(format!(
                "The access token {} was rotated and will stop working {end}. Tell the user to put the \
                 new token into this server's configuration before that.",
                self.token
            ));
        }
        if self.ends_at?.duration_since(now) > NOTICE {
            return None;
        }
        Some(format!(
            "The access token {} expires {}. Tell the user to rotate it before that, and to put the new \
             token into this server's configuration.",
            self.token, end?
        ))
    }
}
