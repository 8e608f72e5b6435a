//! Some verifier processes, and a revoker.

use std::{sync::Arc, time::Duration};

use api_tokens::{Cache, DynTokenStore, Expiry, Issuer, Token, TokenId, Verifier, prefix};
use rand::{
    RngExt, SeedableRng,
    rngs::{ChaCha8Rng, SysRng},
};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    fault::Fault,
    keyring,
    node::Node,
    now,
    seen::Summary,
    table::Row,
    verifying::{Settings, Store},
};
use crate::util::{ann, new_token, say};

const VERIFIERS: usize = 2;
const LIVING: usize = 5;
/// What is revoked around the beginning of a fault, and how long around it.
const EARLY: usize = 4;
const AROUND: Duration = Duration::from_millis(150);
/// Until a revocation is acknowledged, also after a failover.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(60);

pub(crate) struct Rig {
    issuer: Arc<Issuer<DynTokenStore>>,
    nodes: Vec<Node>,
    max_staleness: Duration,
    rng: ChaCha8Rng,
    row: Row,
}

/// A token, and when its revocation was acknowledged.
struct Acknowledged {
    place: usize,
    at: Duration,
}

impl Rig {
    /// `settings` are the verifiers'; the revoker has a way of its own to the same store.
    pub(crate) async fn start(fault: &str, settings: &Settings, revoker: &Store) -> Self {
        let store = revoker.open().await;
        let cache = Cache::new().max_staleness(settings.max_staleness);
        let (verifier, _) =
            Verifier::builder(prefix!("bound"), &keyring(), store).cache(cache).build();
        let row = Row {
            store: match revoker {
                Store::Postgres(_) => "PostgreSQL",
                Store::Sqlite(_) => "SQLite",
            }
            .to_owned(),
            fault: fault.to_owned(),
            ..Row::default()
        };
        Self {
            issuer: Arc::new(Issuer::new(&verifier)),
            nodes: (0..VERIFIERS).map(|_| Node::start(settings)).collect(),
            max_staleness: settings.max_staleness,
            rng: ChaCha8Rng::try_from_rng(&mut SysRng).expect("randomness"),
            row,
        }
    }

    /// A fault comes and goes while tokens are revoked.
    pub(crate) async fn window(&mut self, revocations: usize, fault: &Fault) {
        let (doomed, living) = self.begin(revocations).await;
        let early = revocations / EARLY;
        let mut revoking = JoinSet::new();
        for (place, id) in doomed.iter().enumerate().take(early) {
            let after = self.up_to(AROUND);
            self.revoke(&mut revoking, place, *id, after);
        }
        sleep(self.up_to(AROUND)).await;
        let lasting = fault.begin().await;
        for (place, id) in doomed.iter().enumerate().skip(early) {
            let after = self.up_to(self.max_staleness);
            self.revoke(&mut revoking, place, *id, after);
        }
        let acknowledged = timeout(ACKNOWLEDGED_WITHIN, revoking.join_all()).await;
        let acknowledged = acknowledged.expect("revocations are acknowledged");
        sleep(self.max_staleness.mul_f64(1.5)).await;
        lasting.end().await;
        self.end(&acknowledged, living, fault.changes_history()).await;
    }

    /// All verifiers are stopped, again and again, while tokens are revoked, and go on when it is too
    /// late to accept these.
    pub(crate) async fn stop_and_go_on(&mut self, rounds: usize, revocations: usize) {
        let (doomed, living) = self.begin(rounds * revocations).await;
        let mut acknowledged = Vec::new();
        for round in 0..rounds {
            let mut revoking = JoinSet::new();
            let these = doomed.iter().enumerate().skip(round * revocations).take(revocations);
            for (place, id) in these {
                let after = self.up_to(AROUND / 2);
                self.revoke(&mut revoking, place, *id, after);
            }
            sleep(self.up_to(AROUND / 2)).await;
            for node in &self.nodes {
                node.signal("-STOP").await;
            }
            acknowledged.extend(revoking.join_all().await);
            sleep(self.max_staleness + self.up_to(AROUND / 2)).await;
            for node in &self.nodes {
                node.signal("-CONT").await;
            }
            // For a poll or two.
            sleep(AROUND + self.up_to(AROUND)).await;
        }
        self.end(&acknowledged, living, false).await;
    }

    /// Lets the verifiers end, and says what came of it.
    pub(crate) async fn finish(self) -> Row {
        for node in self.nodes {
            node.stop().await;
        }
        for violation in &self.row.violations {
            say(&format!("VIOLATION: {}: {violation}", self.row.fault));
        }
        say(&self.row.line());
        self.row
    }

    async fn begin(&mut self, revocations: usize) -> (Vec<TokenId>, usize) {
        let mut tokens = Vec::new();
        for number in 0..revocations + LIVING {
            tokens.push(self.create(number).await);
        }
        let texts = |tokens: &[Token]| -> Vec<String> {
            tokens.iter().map(|token| token.expose_secret().to_owned()).collect()
        };
        let (doomed, living) = tokens.split_at(revocations);
        for node in &mut self.nodes {
            node.verify(texts(doomed), texts(living)).await;
        }
        (doomed.iter().map(Token::id).collect(), living.len())
    }

    async fn create(&self, number: usize) -> Token {
        // With an end, so that the wall clock counts.
        let new = new_token(&format!("token {number}")).with_expiry(Expiry::after_days(1));
        self.issuer.create(new, &ann()).await.expect("create").token
    }

    fn revoke(
        &self,
        revoking: &mut JoinSet<Acknowledged>,
        place: usize,
        id: TokenId,
        after: Duration,
    ) {
        let issuer = Arc::clone(&self.issuer);
        revoking.spawn(async move {
            sleep(after).await;
            while issuer.revoke(id, &ann(), None).await.is_err() {
                sleep(Duration::from_millis(20)).await;
            }
            Acknowledged { place, at: now() }
        });
    }

    async fn end(&mut self, acknowledged: &[Acknowledged], living: usize, has_forgotten: bool) {
        let ended = now();
        for node in &mut self.nodes {
            node.recover().await;
        }
        self.row.recovery = self.row.recovery.max(now().saturating_sub(ended));
        self.row.revocations += acknowledged.len();
        let mut reports = Vec::new();
        for node in &mut self.nodes {
            reports.push(node.report().await);
        }
        for (node, report) in reports.iter().enumerate() {
            assert_eq!(report.living.len(), living);
            self.row.verifications += report.verifications;
            self.row.spanning += report.spanning;
            for Acknowledged { place, at } in acknowledged {
                self.judge_revoked(node, &report.doomed[*place], *at);
            }
            for seen in &report.living {
                self.judge_living(node, seen, has_forgotten);
            }
        }
    }

    fn judge_revoked(&mut self, node: usize, seen: &Summary, acknowledged: Duration) {
        let bound = acknowledged + self.max_staleness;
        let last = |instant: Option<Duration>| instant.expect("it was accepted at first");
        let (begun, checked) = (last(seen.last_begun), last(seen.last_checked));
        self.row.delays.push(checked.saturating_sub(acknowledged));
        let ended = last(seen.last_ended);
        self.row.returned_late = self.row.returned_late.max(ended.saturating_sub(bound));
        let mut violation = |what: String| {
            self.row.violations.push(format!("verifier {node}: {what}"));
        };
        // The second follows from the first, and does not rest on the test's own clock.
        for (what, instant) in [("checked", checked), ("begun", begun)] {
            if instant > bound {
                let late = instant.saturating_sub(bound);
                violation(format!("accepted; {what} {late:?} after the bound"));
            }
        }
        if seen.came_back > 0 {
            violation(format!("accepted again {} times after a refusal", seen.came_back));
        }
        if let Some(unexpected) = &seen.unexpected {
            violation(format!("a revoked token was refused otherwise: {unexpected}"));
        }
    }

    fn judge_living(&mut self, node: usize, seen: &Summary, has_forgotten: bool) {
        self.row.outages += seen.outages;
        let mut violation = |what: String| {
            self.row.violations.push(format!("verifier {node}: {what}"));
        };
        if let Some(refused) = &seen.unexpected {
            violation(format!("a living token was refused: {refused}"));
        }
        if seen.first_revoked.is_some() {
            violation("a living token was taken for a revoked one".to_owned());
        }
        // Nobody changes it, so that it stays in memory, and the store is not needed while the lease
        // lasts.
        if let (false, Some(left)) = (has_forgotten, seen.lease_left) {
            violation(format!(
                "a living token was not accepted from memory, {left:?} before the end of the lease"
            ));
        }
    }

    fn up_to(&mut self, longest: Duration) -> Duration {
        longest.mul_f64(self.rng.random_range(0.0..1.0))
    }
}
