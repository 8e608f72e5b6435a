use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering},
    },
};

use api_tokens::{
    Actor, EventKind, EventNumber, Issuer, NewToken, NumberedEvent, Principal, Project, Scopes,
    Selection, SqliteStore, Status, TokenId, TokenRecord, Verified, Verifier, VerifyError,
};
use rand::{RngExt, rngs::ChaCha8Rng};

use super::{
    act::{Creation, Job, Made, Outcome, admin, perform, verifier},
    other::Other,
};

/// Which of two conflicting jobs came first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    First,
    Second,
}

impl Side {
    pub(crate) fn first_if(condition: bool) -> Self {
        if condition { Self::First } else { Self::Second }
    }
}

/// What the pairs of one scenario have in common.
#[derive(Default)]
pub(crate) struct Tally {
    won: [AtomicU64; 2],
    pub(crate) conflicts: AtomicU32,
    /// By how many microseconds the first job is held back, so that each wins about as often.
    handicap: AtomicI64,
}

impl Tally {
    /// How often each side came first.
    pub(crate) fn won(&self) -> [u64; 2] {
        self.won.each_ref().map(|won| won.load(Ordering::Relaxed))
    }

    fn count(&self, winner: Side) {
        const STEP: i64 = 200;
        const MOST: i64 = 100_000;
        let (side, step) = match winner {
            Side::First => (0, STEP),
            Side::Second => (1, -STEP),
        };
        self.won[side].fetch_add(1, Ordering::Relaxed);
        let handicap = self.handicap.load(Ordering::Relaxed).saturating_add(step);
        self.handicap.store(handicap.clamp(-MOST, MOST), Ordering::Relaxed);
    }
}

/// Two conflicting jobs, in a project of their own.
pub(crate) struct Pair {
    pub(crate) number: u64,
    pub(crate) rng: ChaCha8Rng,
    pub(crate) project: Project,
    /// Whose tokens they are.
    pub(crate) owner: Principal,
    pub(crate) store: SqliteStore,
    pub(crate) issuer: Issuer<SqliteStore>,
    verifier: Verifier<SqliteStore>,
    other: Arc<Other>,
    tally: Arc<Tally>,
    /// All tokens whose text anybody has.
    known: Vec<Made>,
}

impl Pair {
    pub(crate) fn new(
        number: u64,
        rng: ChaCha8Rng,
        store: SqliteStore,
        other: Arc<Other>,
        tally: Arc<Tally>,
    ) -> Self {
        let verifier = verifier(store.clone());
        Self {
            number,
            rng,
            project: format!("project-{number}").parse().expect("a project"),
            owner: format!("owner-{number}").parse().expect("a name"),
            store,
            issuer: Issuer::new(&verifier),
            verifier,
            other,
            tally,
            known: Vec::new(),
        }
    }

    pub(crate) fn count(&self, winner: Side) {
        self.tally.count(winner);
    }

    pub(crate) fn flip(&mut self) -> bool {
        self.rng.random()
    }

    /// One of these.
    pub(crate) fn choose<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.rng.random_range(0..from.len())].clone()
    }

    /// No overlap, or one that outlasts the test.
    pub(crate) fn overlap_seconds(&mut self) -> i64 {
        self.choose(&[0, 3600])
    }

    /// What creates tokens of these scopes here.
    pub(crate) fn creation(&self, scopes: &str) -> Creation {
        Creation {
            project: self.project.clone(),
            owner: self.owner.clone(),
            scopes: parse(scopes),
            key: None,
            times: 1,
            chained: false,
        }
    }

    /// A token to begin with, which its owner has created.
    pub(crate) async fn token(&mut self, scopes: &str) -> Made {
        let new = self.creation(scopes).new_token();
        self.create(new).await
    }

    pub(crate) async fn create(&mut self, new: NewToken) -> Made {
        let owner = Actor::from(self.owner.clone());
        let made = Made::of(&self.issuer.create(new, &owner).await.expect("create").token);
        self.known.push(made.clone());
        made
    }

    /// Does something before the others begin.
    pub(crate) async fn prepare(&mut self, job: Job) -> Vec<Made> {
        let outcome = perform(&self.store, &job).await;
        assert_eq!(outcome.refusal, None, "prepare");
        self.known.extend(outcome.made.iter().cloned());
        outcome.made
    }

    /// Does both at once, one of them in the other process.
    pub(crate) async fn race(&mut self, mut first: Job, mut second: Job) -> [Outcome; 2] {
        const LONGEST: u64 = 6000;
        let handicap = self.tally.handicap.load(Ordering::Relaxed);
        let held_back = handicap.unsigned_abs();
        for (job, is_held_back) in [(&mut first, handicap > 0), (&mut second, handicap < 0)] {
            job.seed = self.rng.random();
            job.delay = self.rng.random_range(0..LONGEST);
            job.delay += if is_held_back { held_back } else { 0 };
        }
        let is_first_here = self.flip();
        let (here, there) = if is_first_here { (&first, &second) } else { (&second, &first) };
        let (here, there) =
            tokio::join!(perform(&self.store, here), self.other.perform(self.number, there));
        let outcomes = if is_first_here { [here, there] } else { [there, here] };
        for (job, outcome) in [first, second].iter().zip(&outcomes) {
            let accepted = &outcome.accepted_still;
            assert!(accepted.is_empty(), "accepted after {:?}: {accepted:?}", job.act);
            self.known.extend(outcome.made.iter().cloned());
            self.tally.conflicts.fetch_add(outcome.conflicts, Ordering::Relaxed);
        }
        outcomes
    }

    /// The token of a request that came in now.
    pub(crate) async fn verify(&self, token: &Made) -> Verified {
        self.verifier.verify(token.text.as_bytes()).await.expect("an accepted token")
    }

    pub(crate) async fn status(&self, token: &Made) -> Status {
        match self.verifier.verify(token.text.as_bytes()).await {
            Ok(_) => Status::Active,
            Err(VerifyError::NotActive { status, .. }) => status,
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) async fn record(&self, id: TokenId) -> TokenRecord {
        self.issuer.get(id, &admin()).await.expect("get").expect("a record")
    }

    /// Those that are accepted, or disabled for now.
    pub(crate) async fn living(&self) -> BTreeSet<TokenId> {
        let living = Selection { living: true, ..Selection::of_project(self.project.clone()) };
        let page = self.issuer.list(&living, &admin(), None, 1000).await.expect("list");
        page.records.iter().map(|record| record.id).collect()
    }

    /// These tokens are accepted, and no others, whoever has them.
    pub(crate) async fn check_living(&self, expected: impl IntoIterator<Item = TokenId>) {
        let expected: BTreeSet<TokenId> = expected.into_iter().collect();
        assert_eq!(self.living().await, expected, "which tokens live");
        for token in &self.known {
            let accepted = self.status(token).await == Status::Active;
            assert_eq!(accepted, expected.contains(&token.id), "whether {} is accepted", token.id);
        }
    }

    /// All that happened to a token, the oldest first.
    pub(crate) async fn events(&self, id: TokenId) -> Vec<NumberedEvent> {
        let mut events = self.issuer.events(id, &admin(), None, 1000).await.expect("events");
        events.reverse();
        events
    }

    /// When the first such thing happened to a token.
    pub(crate) async fn number(&self, id: TokenId, kind: &str) -> Option<EventNumber> {
        let events = self.events(id).await;
        events.iter().find(|event| event.event.kind.as_str() == kind).map(|event| event.number)
    }

    /// The last thing that was done through a token.
    pub(crate) async fn last_done_through(&self, id: TokenId) -> Option<EventNumber> {
        let mut last = None;
        for token in &self.known {
            for event in self.events(token.id).await {
                if event.event.by.and_then(|by| by.token) == Some(id) {
                    last = last.max(Some(event.number));
                }
            }
        }
        last
    }

    /// No change is lost: each has its version and its event. Nothing comes after a revocation.
    pub(crate) async fn check_histories(&self) {
        for token in &self.known {
            let events = self.events(token.id).await;
            let record = self.record(token.id).await;
            let is_created =
                events.first().is_some_and(|event| event.event.kind == EventKind::Created);
            // A successor is made by an event of its predecessor.
            let versions = events.len() + usize::from(!is_created);
            let version = usize::try_from(record.version).expect("a small number");
            assert_eq!(version, versions, "changes of {}: {events:?}", token.id);
            let revoked = events
                .iter()
                .position(|event| matches!(event.event.kind, EventKind::Revoked { .. }));
            assert_eq!(record.revocation.is_some(), revoked.is_some(), "{}: {events:?}", token.id);
            if let Some(revoked) = revoked {
                assert_eq!(revoked + 1, events.len(), "after a revocation: {events:?}");
            }
        }
    }
}

pub(crate) fn parse(scopes: &str) -> Scopes {
    scopes.parse().expect("scopes")
}
