//! The tokens of one issuer, whatever its store.

use core::pin::Pin;

use super::{Leak, LeakPlace, LeakPolicy};
use crate::{TokenStore, Verifier, VerifyError};

/// [`Tokens`] without the type of their store.
pub(super) trait DynTokens: Send + Sync {
    /// Decides whether this is a token of ours, and if so, does what is to be done; `None` if it is
    /// not.
    fn receive<'a>(
        &'a self,
        token: &'a [u8],
        places: &'a [LeakPlace],
    ) -> Pin<Box<dyn Future<Output = Result<Option<Leak>, VerifyError>> + Send + 'a>>;
}

pub(super) struct Tokens<S> {
    pub(super) verifier: Verifier<S>,
    pub(super) policy: LeakPolicy,
}

impl<S: TokenStore> Tokens<S> {
    async fn receive(
        &self,
        token: &[u8],
        places: &[LeakPlace],
    ) -> Result<Option<Leak>, VerifyError> {
        // Not a use of the token.
        let id = match self.verifier.decide(token).await {
            Ok(token) => token.id(),
            // Also what might be accepted again.
            Err(VerifyError::NotActive { id, .. } | VerifyError::OwnerWithoutAccess { id }) => id,
            // Another issuer's, or nobody's.
            Err(VerifyError::Malformed(_)) => return Ok(None),
            Err(error) => {
                self.verifier.note_refusal(&error);
                return match error {
                    VerifyError::Outage(_) | VerifyError::UnknownKey { .. } => Err(error),
                    _ => Ok(None),
                };
            }
        };
        Ok(self.verifier.shared.record_leak(id, self.policy, places).await?)
    }
}

impl<S: TokenStore> DynTokens for Tokens<S> {
    fn receive<'a>(
        &'a self,
        token: &'a [u8],
        places: &'a [LeakPlace],
    ) -> Pin<Box<dyn Future<Output = Result<Option<Leak>, VerifyError>> + Send + 'a>> {
        Box::pin(self.receive(token, places))
    }
}
