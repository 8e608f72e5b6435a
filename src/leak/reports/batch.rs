//! What one request reports: each token once, with all its places.

use std::{collections::HashMap, sync::Arc};

use tokio::{sync::OwnedSemaphorePermit, task::JoinSet};
use zeroize::Zeroizing;

use super::{
    Leak, LeakPlace, Reports,
    notify::DynLeakNotifier,
    place::{Claim, Redacted},
    tokens::DynTokens,
};
use crate::{Credentials, StoreError, StoreErrorKind, VerifyError, leak::Fingerprint};

#[derive(Default)]
pub(super) struct Batch(HashMap<Fingerprint, Reported>);

/// A token of a batch.
struct Reported {
    token: Zeroizing<Vec<u8>>,
    places: Vec<LeakPlace>,
}

impl Batch {
    /// Adds a text that is said to be a token, with or without white space around it. Returns the
    /// fingerprint of the token in it.
    pub(super) fn add(&mut self, text: &[u8], claim: &Claim<'_>, reports: &Reports) -> Fingerprint {
        let token = text.trim_ascii();
        let fingerprint = Fingerprint::of(token);
        // Longer ones are never accepted.
        if !(1..=Credentials::MAX_TOKEN_LEN).contains(&token.len()) {
            return fingerprint;
        }
        let place = claim.place(&Redacted { finder: &reports.finder, token });
        let reported = self.0.entry(fingerprint).or_insert_with(|| Reported {
            token: Zeroizing::new(token.to_vec()),
            places: Vec::new(),
        });
        // More would not be recorded.
        if reported.places.len() < LeakPlace::MAX_RECORDED && !reported.places.contains(&place) {
            reported.places.push(place);
        }
        fingerprint
    }

    /// Does what is to be done about each, some at a time, also if nobody waits for it. Returns the
    /// leaks of tokens of ours, or why some could not be decided; all are done before that counts.
    pub(super) async fn receive(
        self,
        reports: &Reports,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<HashMap<Fingerprint, Leak>, VerifyError> {
        let reports = reports.clone();
        let all = tokio::spawn(async move {
            let leaks = receive_all(self, reports).await;
            drop(permit);
            leaks
        });
        all.await.unwrap_or_else(|_| Err(panicked()))
    }
}

async fn receive_all(
    batch: Batch,
    reports: Reports,
) -> Result<HashMap<Fingerprint, Leak>, VerifyError> {
    const AT_ONCE: usize = 16;
    let mut received = Vec::with_capacity(batch.0.len());
    let mut running = JoinSet::new();
    for (fingerprint, reported) in batch.0 {
        if running.len() >= AT_ONCE {
            received.extend(running.join_next().await);
        }
        let tokens = reports.tokens.clone();
        let notifier = reports.notifier.clone();
        running.spawn(async move {
            let leak = receive_one(&reported, &tokens, notifier).await?;
            Ok(leak.map(|leak| (fingerprint, leak)))
        });
    }
    while let Some(one) = running.join_next().await {
        received.push(one);
    }
    let received = received.into_iter().map(|one| one.unwrap_or_else(|_| Err(panicked())));
    received.filter_map(Result::transpose).collect()
}

/// The host's store has panicked: nothing is known.
fn panicked() -> VerifyError {
    StoreError::new(StoreErrorKind::Other, "a task that received a report panicked").into()
}

async fn receive_one(
    reported: &Reported,
    tokens: &[Arc<dyn DynTokens>],
    notifier: Option<Arc<dyn DynLeakNotifier>>,
) -> Result<Option<Leak>, VerifyError> {
    let mut undecided = None;
    for tokens in tokens {
        match tokens.receive(&reported.token, &reported.places).await {
            Ok(Some(leak)) => {
                if let Some(notifier) = notifier.filter(|_| !leak.places.is_empty()) {
                    tokio::spawn(tell(notifier, leak.clone()));
                }
                return Ok(Some(leak));
            }
            Ok(None) => {}
            // It may still be another issuer's.
            Err(error) => undecided = Some(error),
        }
    }
    undecided.map_or(Ok(None), Err)
}

async fn tell(notifier: Arc<dyn DynLeakNotifier>, leak: Leak) {
    let token = leak.record.id;
    if let Err(error) = notifier.notify(leak).await {
        let error: &dyn core::error::Error = &*error;
        tracing::error!(target: "api_tokens::leak", %token, error, "nobody was told of a leak");
    }
}
