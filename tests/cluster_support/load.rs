//! Tasks that create, revoke, verify and follow the changes, and what they were told.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use api_tokens::{
    Changes, Cursor, Issuer, IssuerError, Status, StoreErrorKind, TokenId, TokenStore, Verifier,
    VerifyError,
};
use tokio::task::JoinSet;

use crate::util::{ann, new_token};

const WRITERS: usize = 4;
/// Between two turns of a writer, so that there are not more tokens than can be checked soon.
const WRITERS_PAUSE: Duration = Duration::from_millis(40);
/// As a cache would.
const POLL: Duration = Duration::from_millis(50);
/// After an outage, before the next attempt.
const RETRY: Duration = Duration::from_millis(50);

/// Runs until it is stopped.
pub(crate) struct Load {
    ledger: Arc<Ledger>,
    writers: JoinSet<()>,
    readers: JoinSet<()>,
}

/// What the tasks were told.
#[derive(Default)]
pub(crate) struct Ledger {
    stopped: AtomicBool,
    /// The writers have ended as well, so that there will be no further change.
    quiet: AtomicBool,
    tokens: Mutex<BTreeMap<TokenId, Entry>>,
    /// When a write was acknowledged.
    acknowledged: Mutex<Vec<Instant>>,
    /// When a verification began that accepted a token, though its revocation had been
    /// acknowledged, and for a cache its `max_staleness` was over.
    stale: Mutex<Vec<Instant>>,
    follower: Mutex<Follower>,
    /// Errors of a kind that no failover may cause.
    errors: Mutex<Vec<String>>,
}

#[derive(Clone)]
struct Entry {
    /// The token's text.
    token: String,
    created: Instant,
    /// When its revocation was first asked for.
    revoking: Option<Instant>,
    /// When it was acknowledged.
    revoked: Option<Instant>,
}

/// A reader of the changes.
#[derive(Default)]
struct Follower {
    cursor: Option<Cursor>,
    seen: HashSet<TokenId>,
    /// When the last answer came that said to forget everything.
    reset: Option<Instant>,
    resets: usize,
}

impl Load {
    /// A reader for each verifier, which accepts a revoked token for no longer than is said there.
    pub(crate) fn start<S: TokenStore + Clone>(
        store: &S,
        verifiers: [(&Verifier<S>, Duration); 2],
    ) -> Self {
        let ledger = Arc::new(Ledger::default());
        let (mut writers, mut readers) = (JoinSet::new(), JoinSet::new());
        for _ in 0..WRITERS {
            writers.spawn(write(Arc::clone(&ledger), Issuer::new(verifiers[0].0)));
        }
        for (verifier, staleness) in verifiers {
            readers.spawn(read(Arc::clone(&ledger), verifier.clone(), staleness));
        }
        readers.spawn(follow(Arc::clone(&ledger), store.clone()));
        Self { ledger, writers, readers }
    }

    /// Waits for some more acknowledgements: the store works again, for the clients that it had.
    pub(crate) async fn wait_for_writes(&self, within: Duration) -> Instant {
        let begin = Instant::now();
        let before = lock(&self.ledger.acknowledged).len();
        while lock(&self.ledger.acknowledged).len() < before + 10 * WRITERS {
            assert!(begin.elapsed() < within, "no writes for {within:?}: {}", self.ledger.errors());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Instant::now()
    }

    /// Ends the tasks, once they have been told the outcome of what they asked for.
    pub(crate) async fn stop(self) -> Arc<Ledger> {
        self.ledger.stopped.store(true, Ordering::Relaxed);
        self.writers.join_all().await;
        self.ledger.quiet.store(true, Ordering::Relaxed);
        self.readers.join_all().await;
        self.ledger
    }
}

impl Ledger {
    /// For how long no write was acknowledged, at most, after `since`.
    pub(crate) fn longest_outage(&self, since: Instant) -> Duration {
        let mut acknowledged = lock(&self.acknowledged).clone();
        acknowledged.sort();
        let pairs = acknowledged.windows(2).filter(|pair| pair[1] > since);
        pairs.map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }

    /// When tokens were accepted that must not have been.
    pub(crate) fn stale(&self) -> Vec<Instant> {
        lock(&self.stale).clone()
    }

    /// Everything acknowledged is there, and the follower has missed nothing.
    pub(crate) async fn check<S: TokenStore>(&self, verifier: &Verifier<S>, when: &str) -> String {
        assert_eq!(self.errors(), "", "{when}");
        let tokens = lock(&self.tokens).clone();
        let mut revoked = 0;
        for (id, entry) in &tokens {
            let accepted = match verifier.verify(entry.token.as_bytes()).await {
                Ok(_) => true,
                Err(VerifyError::NotActive { status: Status::Revoked, .. }) => false,
                Err(error) => panic!("{when}: {id}: {error}"),
            };
            if entry.revoked.is_some() {
                assert!(!accepted, "{when}: {id}, whose revocation was acknowledged, is accepted");
                revoked += 1;
            } else if entry.revoking.is_none() {
                assert!(accepted, "{when}: {id} was never revoked and is refused");
            }
        }
        let follower = lock(&self.follower);
        for (id, entry) in &tokens {
            // What was committed before a reset is covered by it.
            let covered = |begun| follower.reset.is_some_and(|reset| begun < reset);
            if let Entry { revoking: Some(begun), revoked: Some(_), .. } = entry {
                let noticed = follower.seen.contains(id) || covered(*begun);
                assert!(noticed, "{when}: the revocation of {id} was not among the changes");
            }
        }
        let (created, seen, resets) = (tokens.len(), follower.seen.len(), follower.resets);
        // Faults that come before the first change prove nothing.
        assert!(created > 50 && revoked > 20 && seen > 20, "{created}, {revoked}, {seen}");
        format!("{created} creations and {revoked} revocations held; {seen} seen, {resets} resets")
    }

    fn errors(&self) -> String {
        lock(&self.errors).join("\n")
    }

    /// An outage is expected; anything else is noted.
    fn note(&self, error: &IssuerError) {
        match error {
            IssuerError::Store(error) if error.kind() == StoreErrorKind::Unavailable => {}
            error => lock(&self.errors).push(error.to_string()),
        }
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}

async fn write<S: TokenStore>(ledger: Arc<Ledger>, issuer: Issuer<S>) {
    let acknowledge = || lock(&ledger.acknowledged).push(Instant::now());
    for turn in 0_u32.. {
        if ledger.is_stopped() {
            return;
        }
        tokio::time::sleep(WRITERS_PAUSE).await;
        let created = match issuer.create(new_token("a token"), &ann()).await {
            Ok(created) => created,
            Err(error) => {
                ledger.note(&error);
                continue;
            }
        };
        acknowledge();
        let id = created.token.id();
        let entry = Entry {
            token: created.token.expose_secret().to_owned(),
            created: Instant::now(),
            revoking: None,
            revoked: None,
        };
        lock(&ledger.tokens).insert(id, entry);
        if turn % 3 == 0 {
            continue;
        }
        let change = |change: fn(&mut Entry)| {
            lock(&ledger.tokens).get_mut(&id).into_iter().for_each(change);
        };
        change(|entry| entry.revoking = Some(Instant::now()));
        // Whether it happened is not known after an outage, so it is asked for again.
        while let Err(error) = issuer.revoke(id, &ann(), None).await {
            ledger.note(&error);
            if !matches!(error, IssuerError::Store(_)) {
                return;
            }
            tokio::time::sleep(RETRY).await;
        }
        change(|entry| entry.revoked = Some(Instant::now()));
        acknowledge();
    }
}

/// Verifies the latest tokens, and those whose revocation was acknowledged latest.
async fn read<S: TokenStore>(ledger: Arc<Ledger>, verifier: Verifier<S>, staleness: Duration) {
    while !ledger.is_stopped() {
        let mut entries: Vec<Entry> = lock(&ledger.tokens).values().cloned().collect();
        entries.sort_by_key(|entry| Reverse(entry.revoked.unwrap_or(entry.created)));
        for entry in entries.iter().take(16) {
            let begin = Instant::now();
            let revoked = entry.revoked.is_some_and(|revoked| begin > revoked + staleness);
            match verifier.verify(entry.token.as_bytes()).await {
                Ok(_) if revoked => lock(&ledger.stale).push(begin),
                Ok(_) | Err(VerifyError::NotActive { .. }) => {}
                Err(VerifyError::Outage(error)) => {
                    ledger.note(&IssuerError::Store(error));
                    tokio::time::sleep(RETRY).await;
                }
                Err(error) => lock(&ledger.errors).push(error.to_string()),
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Follows the changes to the end, as a cache does.
async fn follow<S: TokenStore>(ledger: Arc<Ledger>, store: S) {
    let mut last = false;
    loop {
        // Once more after the writers have ended.
        let quiet = ledger.quiet.load(Ordering::Relaxed);
        let cursor = lock(&ledger.follower).cursor;
        match store.changes_since(cursor.as_ref(), 1000).await {
            Ok(Changes::Since { changes, next }) => {
                let mut follower = lock(&ledger.follower);
                let from = cursor.expect("a cursor").revision.0;
                let revisions = changes.iter().map(|change| change.revision.0);
                if !revisions.eq((from + 1..).take(changes.len())) {
                    let problem = format!("gaps in the changes after {from}: {changes:?}");
                    lock(&ledger.errors).push(problem);
                }
                follower.seen.extend(changes.iter().map(|change| change.id));
                follower.cursor = Some(next);
                last |= quiet && changes.is_empty();
            }
            Ok(Changes::Reset { next }) => {
                let mut follower = lock(&ledger.follower);
                follower.cursor = Some(next);
                follower.reset = Some(Instant::now());
                follower.resets += 1;
            }
            Err(error) => ledger.note(&IssuerError::Store(error)),
        }
        if last {
            return;
        }
        tokio::time::sleep(POLL).await;
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
