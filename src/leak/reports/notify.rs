use core::{error::Error, pin::Pin};

use super::Leak;

/// Tells owners that their tokens have leaked: by mail, in the product, or however the host reaches
/// people.
///
/// # Contract
///
/// - `notify` is called after what it tells of has been committed, in a task of its own: neither
///   the answer to the report nor another token waits for it, and if it fails, or panics, nothing
///   is undone. The error goes to the operator, by [`tracing`].
/// - It is called once for each leak that is recorded, so that of a thousand reports of one token
///   at one place there is one call, on one node. There is another one for each new place, up to
///   [`LeakPlace::MAX_RECORDED`](super::LeakPlace::MAX_RECORDED): whoever does not want to tell people each goes by
///   [`Leak::action`], which is other than `None` once, or again after somebody has enabled the
///   token.
/// - **At most once**: if the process dies between commit and call, or the store fails without
///   saying whether it has written, there is no call, and a report that is sent again is no news.
///   The event is stored, however: whoever must not miss one reads the events of tokens that were
///   revoked or disabled.
/// - The URL of a place comes from others: show it as text.
///
/// ```
/// use api_tokens::leak::reports::{Leak, LeakNotifier, NotifyError};
///
/// struct Mail;
///
/// impl LeakNotifier for Mail {
///     async fn notify(&self, leak: Leak) -> Result<(), NotifyError> {
///         let text = format!("Your token \"{}\" was found in public.", leak.record.name);
///         send(leak.record.owner.as_str(), &text).await?;
///         Ok(())
///     }
/// }
///
/// async fn send(person: &str, text: &str) -> std::io::Result<()> {
///     Ok(())
/// }
/// ```
pub trait LeakNotifier: Send + Sync + 'static {
    /// Tells of a leak.
    ///
    /// # Errors
    ///
    /// If nobody could be told. It is not tried again.
    fn notify(&self, leak: Leak) -> impl Future<Output = Result<(), NotifyError>> + Send;
}

/// Why nobody could be told.
pub type NotifyError = Box<dyn Error + Send + Sync>;

/// [`LeakNotifier`] with a boxed future, which makes a trait that can be `dyn`.
pub(super) trait DynLeakNotifier: Send + Sync {
    fn notify(
        &self,
        leak: Leak,
    ) -> Pin<Box<dyn Future<Output = Result<(), NotifyError>> + Send + '_>>;
}

impl<N: LeakNotifier> DynLeakNotifier for N {
    fn notify(
        &self,
        leak: Leak,
    ) -> Pin<Box<dyn Future<Output = Result<(), NotifyError>> + Send + '_>> {
        Box::pin(LeakNotifier::notify(self, leak))
    }
}
