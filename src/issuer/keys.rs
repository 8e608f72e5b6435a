use std::{collections::HashMap, sync::Arc};

use super::{Issuer, Page};
use crate::{
    Event, EventKind, IssuerError, KeyId, ListFilter, PageKey, TokenStore, WriteBatch,
    transition::State,
};

/// How many tokens there are under one key. See [`Issuer::key_counts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyCount {
    /// The key; `None` for plain SHA-256.
    pub key: Option<KeyId>,
    /// How many tokens that may still be accepted are under it.
    pub tokens: u64,
    /// Whether it is in this issuer's keyring. Tokens under a key that is not cannot be verified.
    pub is_known: bool,
}

impl<S: TokenStore> Issuer<S> {
    /// Counts the tokens of this issuer's prefix under each key, those that have come to their end
    /// left out: what remains to be digested again before an earlier key can be retired.
    ///
    /// Reads all records: about 3 seconds for a million in SQLite.
    ///
    /// # Errors
    ///
    /// [`IssuerError::Store`].
    pub async fn key_counts(&self) -> Result<Vec<KeyCount>, IssuerError> {
        let now = self.now();
        let mut counts: HashMap<Option<KeyId>, u64> = HashMap::new();
        let mut after: Option<PageKey> = None;
        loop {
            let all = ListFilter::default();
            let records = self.shared().store.list(&all, after.as_ref(), Page::MAX_LIMIT).await?;
            // What was imported and not used since is under no key at all.
            let ours = records.iter().filter(|record| {
                record.prefix == self.shared().prefix && !record.digest.is_imported()
            });
            for record in ours.filter(|record| !State::of(record, now).is_final()) {
                let count = counts.entry(record.digest.key_id()).or_default();
                *count = count.saturating_add(1);
            }
            if records.len() < Page::MAX_LIMIT {
                break;
            }
            after = records.last().map(PageKey::of);
        }
        let digester = self.shared().digester.load();
        let count = |(key, tokens)| KeyCount { key, tokens, is_known: digester.knows(key) };
        let mut counts: Vec<KeyCount> = counts.into_iter().map(count).collect();
        counts.sort_unstable_by_key(|count| count.key);
        Ok(counts)
    }

    /// Takes an earlier or upcoming key out of the keyring of this issuer and its verifier; `None`
    /// for plain SHA-256. Leave it out of the program's own configuration too, or the next start
    /// brings it back.
    ///
    /// With `force`, it is taken out even if tokens still need it. To verify one of those is an
    /// outage from then on ([`VerifyError::UnknownKey`](crate::VerifyError::UnknownKey)): revoke
    /// them. Returns how many they are.
    ///
    /// # Errors
    ///
    /// - [`IssuerError::KeyInUse`], with the number of tokens, if there are any, without `force`.
    /// - [`IssuerError::KeyNotRetirable`] if the key is the current one or not in the keyring.
    /// - [`IssuerError::Store`].
    pub async fn retire_key(&self, key: Option<KeyId>, force: bool) -> Result<u64, IssuerError> {
        if self.shared().digester.load().without(key).is_none() {
            return Err(IssuerError::KeyNotRetirable);
        }
        let counts = self.key_counts().await?;
        let tokens = counts.iter().find(|count| count.key == key).map_or(0, |count| count.tokens);
        if tokens > 0 && !force {
            return Err(IssuerError::KeyInUse { tokens });
        }
        let mut is_retired = false;
        // From the keyring as it is now: while the tokens were counted, it may have been replaced.
        self.shared().digester.rcu(|digester| {
            let remaining = digester.without(key).map(Arc::new);
            is_retired = remaining.is_some();
            remaining.unwrap_or_else(|| Arc::clone(digester))
        });
        if !is_retired {
            return Err(IssuerError::KeyNotRetirable);
        }
        let kind = EventKind::KeyRetired { key, abandoned: tokens };
        let event = Event::general(self.now(), None, kind);
        self.shared().write(&WriteBatch { events: vec![event], ..WriteBatch::default() }).await?;
        Ok(tokens)
    }
}
