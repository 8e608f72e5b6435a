use core::fmt;
use std::sync::Arc;

use super::{HeldToken, TokenSource, TokenSourceError, holding::Holding};
use crate::Prefix;

/// A program's own API token, held for as long as it runs.
///
/// When the token is rotated, the new one is taken without a restart: [`current`](Self::current)
/// sees that a file has changed, and [`renew`](Self::renew) reads the source again after a 401.
/// [`SendToken`](super::SendToken) calls both.
///
/// Cloning is cheap; clones hold the same token. `Debug` prints the token's id alone.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// use api_tokens::{
///     client::{ClientToken, TokenSource},
///     prefix,
/// };
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("token");
/// # let text = "acme_live_Ky9Pf34qY6Nb3wWD_25RQ4F5ZR3qa7yEeeby3abP3E2Zs8IQ9Y7aJZqh1H1ztQ";
/// # std::fs::write(&path, text)?;
/// let token = ClientToken::load(prefix!("acme_live"), TokenSource::file(path)).await?;
/// let held = token.current().await;
/// assert_eq!(held.id().as_str(), "Ky9Pf34qY6Nb3wWD");
/// assert!(held.authorization().is_sensitive());
/// # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct ClientToken {
    holding: Arc<Holding>,
}

impl ClientToken {
    /// Reads the token from its source.
    ///
    /// # Errors
    ///
    /// [`TokenSourceError`] if there is none, it is not a token of this prefix, or a place cannot
    /// be asked.
    pub async fn load(prefix: Prefix, source: TokenSource) -> Result<Self, TokenSourceError> {
        Ok(Self { holding: Arc::new(Holding::begin(prefix, source).await?) })
    }

    /// The token to send now.
    ///
    /// If the source has files, they are looked at, at most once a second: modification, length and
    /// identity, so that a file that was written anew or replaced, and a symlink that was turned, are
    /// seen. After a change, the source is read again. If that fails, the old token stays, a warning
    /// is logged once for each change, and the next look tries again.
    ///
    /// # Cost
    ///
    /// A lock and a reading of the clock. Once a second, one caller also waits for a thread to look
    /// at the files, some tens of microseconds, and if there was a change for the reading; all others
    /// have the token at once. Without files, nothing but a load of a pointer.
    pub async fn current(&self) -> Arc<HeldToken> {
        self.holding.look().await;
        self.holding.token()
    }

    /// The token that replaces `used`, which was just refused with a 401; `None` if there is none.
    ///
    /// If another one is held already, that one, at once. Otherwise the source is read again: once
    /// for all who wait, and on even if they stop waiting. If this brings nothing new, it is not
    /// done again within 5 seconds, so that a revoked token does not start a command for each
    /// request. A warning is logged if the source cannot be read, once until it can.
    pub async fn renew(&self, used: &HeldToken) -> Option<Arc<HeldToken>> {
        let newer = || Some(self.holding.token()).filter(|held| !held.is_same(used));
        if let Some(held) = newer() {
            return Some(held);
        }
        self.holding.read_again().await;
        newer()
    }
}

impl fmt::Debug for ClientToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientToken({})", self.holding.token().id())
    }
}
