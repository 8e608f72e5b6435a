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
        // A token that is replaced has an end as well.
        let (id, end) = (self.token, self.ends_at?);
        if self.is_replaced {
            return Some(format!(
                "The access token {id} was rotated and will stop working on {end:.0}. Tell the user to \
                 put the new token into this server's configuration before that."
            ));
        }
        (end.duration_since(now) <= NOTICE).then(|| {
            format!(
                "The access token {id} expires on {end:.0}. Tell the user to rotate it before that, and \
                 to put the new token into this server's configuration."
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(ends_at: Option<&str>, is_replaced: bool) -> Caller {
        Caller {
            token: "Ky9Pf34qY6Nb3wWD".parse().unwrap(),
            project: "demo".parse().unwrap(),
            owner: "ann".to_owned(),
            scopes: Scopes::default(),
            ends_at: ends_at.map(|end| end.parse().unwrap()),
            is_replaced,
        }
    }

    #[test]
    fn the_end_is_told_in_time() {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        for (ends_at, is_replaced, expected) in [
            (None, false, None),
            (Some("2026-01-15T00:00:01Z"), false, None),
            (Some("2026-01-15T00:00:00Z"), false, Some("expires on 2026-01-15T00:00:00Z")),
            (Some("2026-01-01T00:00:01.5Z"), false, Some("expires on 2026-01-01T00:00:01Z")),
            (
                Some("2026-02-01T00:00:00Z"),
                true,
                Some("was rotated and will stop working on 2026-02-01T00:00:00Z"),
            ),
        ] {
            let notice = caller(ends_at, is_replaced).notice(now);
            match expected {
                None => assert_eq!(notice, None),
                Some(expected) => {
                    let begin = format!("The access token Ky9Pf34qY6Nb3wWD {expected}. ");
                    let notice = notice.expect("a notice");
                    assert!(notice.starts_with(&begin), "{notice}");
                    assert!(notice.contains("new token into this server's configuration"));
                }
            }
        }
    }
}
