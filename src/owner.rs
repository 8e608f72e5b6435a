use core::pin::Pin;
use std::sync::Arc;

use crate::{Scopes, StoreError, TokenRecord};

/// What the owner of a token may still do, as the host knows it: a token never does more.
///
/// So a token loses its rights with its owner's, when they leave or get another role, without
/// anybody changing the token. Asked for each verification of a token that would otherwise be
/// accepted.
///
/// # Contract
///
/// `rights` answers from memory as a rule: every verification waits for it, and costs an
/// allocation besides. A host that cannot tell answers with an error, which is an outage (503),
/// never a guess.
///
/// ```
/// use api_tokens::{OwnerPolicy, OwnerRights, StoreError, TokenRecord};
///
/// struct Members(std::collections::HashSet<String>);
///
/// impl OwnerPolicy for Members {
///     async fn rights(&self, token: &TokenRecord) -> Result<OwnerRights, StoreError> {
///         let is_member = self.0.contains(token.owner.as_str());
///         Ok(if is_member { OwnerRights::All } else { OwnerRights::None })
///     }
/// }
/// ```
pub trait OwnerPolicy: Send + Sync + 'static {
    /// What the token's owner may do now.
    ///
    /// # Errors
    ///
    /// If that cannot be told.
    fn rights(
        &self,
        token: &TokenRecord,
    ) -> impl Future<Output = Result<OwnerRights, StoreError>> + Send;
}

/// What [`OwnerPolicy::rights`] answers.
#[derive(Debug, Clone)]
pub enum OwnerRights {
    /// All that the token's own scopes say.
    All,
    /// What both these scopes and the token's own cover.
    Only(Arc<Scopes>),
    /// Nothing any more: the token is refused.
    None,
}

/// [`OwnerPolicy`] with a boxed future, which makes a trait that can be `dyn`.
pub(crate) trait DynOwnerPolicy: Send + Sync {
    fn rights<'a>(
        &'a self,
        token: &'a TokenRecord,
    ) -> Pin<Box<dyn Future<Output = Result<OwnerRights, StoreError>> + Send + 'a>>;
}

impl<P: OwnerPolicy> DynOwnerPolicy for P {
    fn rights<'a>(
        &'a self,
        token: &'a TokenRecord,
    ) -> Pin<Box<dyn Future<Output = Result<OwnerRights, StoreError>> + Send + 'a>> {
        Box::pin(OwnerPolicy::rights(self, token))
    }
}
