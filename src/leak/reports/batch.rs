//! What one request reports: each token once, with all its places.

use std::{collections::HashMap, sync::Arc};

use tokio::{
    sync::OwnedSemaphorePermit,
    task::{JoinError, JoinSet},
};
use zeroize::Zeroizing;

use super::{
    Leak, LeakPlace, Reports,
    notify::DynLeakNotifier,
    place::{Found, Redacted},
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

/// What a reported text turned out to be.
pub(super) enum Verdict {
    Ours(Fingerprint, Box<Leak>),
    NotOurs,
    Outage(VerifyError),
}

impl Batch {
    /// Adds a token that was found at a place.
    pub(super) fn add(
        &mut self,
        token: Zeroizing<Vec<u8>>,
        found: &Found<'_>,
        reports: &Reports,
    ) -> Fingerprint {
        let fingerprint = Fingerprint::of(&token);
        // Longer ones are never accepted.
        if token.len() > Credentials::MAX_TOKEN_LEN {
            return fingerprint;
        }
        let place = found.place(&Redacted { finder: &reports.finder, token: &token });
        let reported =
            self.0.entry(fingerprint).or_insert_with(|| Reported { token, places: Vec::new() });
        // More would not be recorded.
        if reported.places.len() < LeakPlace::MAX_RECORDED && !reported.places.contains(&place) {
            reported.places.push(place);
        }
        fingerprint
    }

    /// Does what is to be done about each, some at a time, to the end, also if nobody waits for it.
    pub(super) async fn receive(
        self,
        reports: &Reports,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Vec<Verdict> {
        let reports = reports.clone();
        let all = tokio::spawn(async move {
            let verdicts = receive_all(self, reports).await;
            drop(permit);
            verdicts
        });
        all.await.unwrap_or_else(|_| vec![failed()])
    }
}

async fn receive_all(batch: Batch, reports: Reports) -> Vec<Verdict> {
    const AT_ONCE: usize = 16;
    let mut verdicts = Vec::with_capacity(batch.0.len());
    let mut running = JoinSet::new();
    for (fingerprint, reported) in batch.0 {
        if running.len() >= AT_ONCE {
            verdicts.extend(running.join_next().await.map(joined));
        }
        let tokens = reports.tokens.clone();
        let notifier = reports.notifier.clone();
        running.spawn(async move { receive_one(fingerprint, &reported, &tokens, notifier).await });
    }
    while let Some(verdict) = running.join_next().await {
        verdicts.push(joined(verdict));
    }
    verdicts
}

fn joined(verdict: Result<Verdict, JoinError>) -> Verdict {
    verdict.unwrap_or_else(|_| failed())
}

/// The host's store has panicked: nothing is known.
fn failed() -> Verdict {
    let error = StoreError::new(StoreErrorKind::Other, "a task that received a report panicked");
    Verdict::Outage(error.into())
}

async fn receive_one(
    fingerprint: Fingerprint,
    reported: &Reported,
    tokens: &[Arc<dyn DynTokens>],
    notifier: Option<Arc<dyn DynLeakNotifier>>,
) -> Verdict {
    let mut outage = None;
    for tokens in tokens {
        match tokens.receive(&reported.token, &reported.places).await {
            Ok(Some(leak)) => {
                if let Some(notifier) = notifier.filter(|_| !leak.places.is_empty()) {
                    tokio::spawn(tell(notifier, leak.clone()));
                }
                return Verdict::Ours(fingerprint, Box::new(leak));
            }
            Ok(None) => {}
            // It may still be another issuer's.
            Err(error) => outage = Some(error),
        }
    }
    match outage {
        Some(error) => Verdict::Outage(error),
        None => Verdict::NotOurs,
    }
}

async fn tell(notifier: Arc<dyn DynLeakNotifier>, leak: Leak) {
    let token = leak.record.id;
    if let Err(error) = notifier.notify(leak).await {
        let error: &dyn core::error::Error = &*error;
        tracing::error!(target: "api_tokens::leak", %token, error, "nobody was told of a leak");
    }
}
