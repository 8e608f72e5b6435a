use core::fmt;
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use jiff::SignedDuration;

use super::Verifier;
use crate::{
    Clock, EventSink, ImportFormat, Keyring, OwnerPolicy, Prefix, SystemClock, TokenStore,
    TracingSink, background::Background, owner::DynOwnerPolicy, pending::Pending, shared::Shared,
};

/// Makes a [`Verifier`] and its [`Background`].
///
/// # Defaults
///
/// - clock: [`SystemClock`]
/// - events: go to [`TracingSink`], besides the store
/// - tokens of other systems: none
/// - what owners may do: everything that their tokens' scopes say
/// - a replaced token that is presented after its overlap: an event, and nothing else
/// - cache: none
/// - usage: written at most once a minute for each token, of up to 100,000 tokens at a time
///
/// ```
/// use api_tokens::{Keyring, MemoryStore, Verifier, prefix};
///
/// let (verifier, background) =
///     Verifier::builder(prefix!("acme_live"), &Keyring::unkeyed(), MemoryStore::new())
///         .revoke_family_on_reuse()
///         .build();
/// // With the feature `tokio`: background.run_until(serve(verifier)).await
/// ```
#[must_use = "call `build` to make the verifier"]
pub struct VerifierBuilder<S> {
    prefix: Prefix,
    keyring: crate::Digester,
    store: S,
    clock: Box<dyn Clock>,
    sink: Box<dyn EventSink>,
    imports: Vec<ImportFormat>,
    owner_policy: Option<Box<dyn DynOwnerPolicy>>,
    revoke_family_on_reuse: bool,
    usage_interval: SignedDuration,
    usage_capacity: usize,
    #[cfg(feature = "cache")]
    cache: Option<crate::Cache>,
}

impl<S: TokenStore> VerifierBuilder<S> {
    pub(super) fn new(prefix: Prefix, keyring: &Keyring, store: S) -> Self {
        Self {
            prefix,
            keyring: keyring.digester(&prefix),
            store,
            clock: Box::new(SystemClock),
            sink: Box::new(TracingSink),
            imports: Vec::new(),
            owner_policy: None,
            revoke_family_on_reuse: false,
            usage_interval: SignedDuration::from_mins(1),
            usage_capacity: 100_000,
            #[cfg(feature = "cache")]
            cache: None,
        }
    }

    /// Tells the time by another clock than the system's.
    pub fn clock(self, clock: impl Clock) -> Self {
        Self { clock: Box::new(clock), ..self }
    }

    /// Passes events to `sink` instead of [`TracingSink`].
    pub fn events(self, sink: impl EventSink) -> Self {
        Self { sink: Box::new(sink), ..self }
    }

    /// Also accepts tokens that another system issued and that [`Issuer::import`] has made records
    /// for; call it for each format. From the first use on, their digest is under the keyring, but
    /// the format is needed as long as a token of it lives: it finds the record.
    ///
    /// A text that is not one of our own then costs a hash and a look into the store for each
    /// format that it has the form of, and a Bearer token may have any visible ASCII, not only
    /// what RFC 6750 allows. A client that sends its old token in another field or scheme
    /// (`Token …`, `Api-Key …`, `x-api-key`) is for the host to read, by
    /// [`Verifier::verify_from`].
    ///
    /// [`Issuer::import`]: crate::Issuer::import
    pub fn accept_imported(mut self, format: ImportFormat) -> Self {
        self.imports.push(format);
        self
    }

    /// Limits every token to what its owner may still do.
    pub fn owner_policy(self, policy: impl OwnerPolicy) -> Self {
        Self { owner_policy: Some(Box::new(policy)), ..self }
    }

    /// Revokes a whole family when a token of it is presented after its overlap: whoever presents
    /// it may have stolen it, and its successor with it. Whoever was merely forgotten in a
    /// rotation cuts off all others, too; that is the price. So does a program that asks for its new
    /// token only once the old one is refused, as the module `client` does unless it is in a file.
    ///
    /// It happens in the background, within a moment.
    pub fn revoke_family_on_reuse(self) -> Self {
        Self { revoke_family_on_reuse: true, ..self }
    }

    /// How long to wait at least between two writes of one token's usage. Its first use is
    /// written within about a second.
    pub fn usage_interval(self, interval: SignedDuration) -> Self {
        Self { usage_interval: interval, ..self }
    }

    /// Of how many tokens usage is kept in memory at a time: of those that were used within the
    /// last interval, or could not be written yet. An entry takes about 150 bytes and up to 200
    /// for the user agent. Beyond that, usage is lost, which the background reports.
    pub fn usage_capacity(self, tokens: usize) -> Self {
        Self { usage_capacity: tokens, ..self }
    }

    /// Keeps records in memory, so that most verifications need no store; [`Cache`](crate::Cache)
    /// says what is promised. The background must run, else each verification reads the store.
    #[cfg(feature = "cache")]
    pub fn cache(self, cache: crate::Cache) -> Self {
        Self { cache: Some(cache), ..self }
    }

    /// Makes the verifier, and the background that does what no request should wait for. Without
    /// somebody who runs that, usage and what is to be digested again pile up to their bounds,
    /// reuse and [`Rotate::retire_on_use`](crate::Rotate::retire_on_use) have no effect, and
    /// refusals make ten events each.
    #[must_use]
    pub fn build(self) -> (Verifier<S>, Background<S>) {
        let pending = Pending::new(self.usage_capacity);
        let (interval, revokes) = (self.usage_interval, self.revoke_family_on_reuse);
        let shared = self.share(Some(pending));
        let background = Background::new(Arc::clone(&shared), interval, revokes);
        (Verifier { shared }, background)
    }

    /// Makes the verifier alone. When tokens are used is not noted, refusals make no events, reuse
    /// is not detected, a predecessor does not retire by the use of its successor, digests under
    /// earlier keys stay as they are, and a request with an idempotency key cannot be repeated.
    #[must_use]
    pub fn without_background(self) -> Verifier<S> {
        Verifier { shared: self.share(None) }
    }

    fn share(self, pending: Option<Pending>) -> Arc<Shared<S>> {
        Arc::new_cyclic(|own| self.shared(pending, own))
    }

    fn shared(
        self,
        pending: Option<Pending>,
        #[cfg_attr(not(feature = "cache"), expect(unused_variables, reason = "for the cache"))]
        own: &Weak<Shared<S>>,
    ) -> Shared<S> {
        Shared {
            prefix: self.prefix,
            digester: ArcSwap::from_pointee(self.keyring),
            store: self.store,
            clock: self.clock,
            imports: self.imports,
            owner_policy: self.owner_policy,
            sink: self.sink,
            pending,
            #[cfg(feature = "cache")]
            cache: {
                let cache = self.cache.filter(|cache| !cache.is_off());
                let source = Weak::<Shared<S>>::clone(own);
                cache.map(|cache| crate::cache::CachedRecords::new(cache, source))
            },
        }
    }
}

impl<S> fmt::Debug for VerifierBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifierBuilder").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}
