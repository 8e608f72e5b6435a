//! Three PostgreSQL nodes under Patroni fail over under load: nothing that was acknowledged is lost,
//! no revoked token comes back, an old primary that goes on answers no confirmed read, and a history that
//! did lose something is noticed.
//!
//! Needs PostgreSQL, Patroni and etcd; `docs/postgresql-cluster.md` says what it shows.

mod cluster_support;
mod util;

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use api_tokens::{
    Cache, Changes, Cursor, Issuer, Keyring, MasterKey, PostgresOptions, PostgresStore, Revision,
    Status, Token, TokenStore, Verifier, VerifyError, prefix,
};
use cluster_support::{Cluster, HEALTHY, Node, load::Load, observer::Observer};
use tokio_postgres::NoTls;
use util::{ann, new_token, or_skip, say};

/// For the ttl, for all that Patroni tries before it gives a node up, and for a busy machine.
const FAILOVER_WITHIN: Duration = Duration::from_secs(240);
/// Of load, before a fault and after it.
const A_WHILE: Duration = Duration::from_secs(2);
const MAX_STALENESS: Duration = Duration::from_secs(1);
/// For how long an old primary is read, after its answers must not count any more.
const OLD_PRIMARY_FOR: Duration = Duration::from_secs(4);
const REVOKED_ELSEWHERE: usize = 24;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_cluster_loses_nothing_and_tells_what_it_lost() {
    let Some(cluster) = or_skip("the cluster", Cluster::start()) else { return };
    let options = PostgresOptions::new(cluster.url());
    options.migrate().await.expect("migrate");
    // One client for all: it is never restarted.
    let store = options.open().await.expect("open");
    let key: Vec<u8> = (0..32).collect();
    let keyring = Keyring::new(MasterKey::from_bytes(&key).expect("a key"));
    let verifier = Verifier::new(prefix!("cluster"), &keyring, store.clone());
    let (cached, background) = Verifier::builder(prefix!("cluster"), &keyring, store.clone())
        .cache(Cache::new().max_staleness(MAX_STALENESS))
        .build();
    tokio::spawn(background.run_until(core::future::pending::<()>()));
    let service = Service { cluster, keyring, store, verifier, cached };

    service.measure_confirmed_reads().await;
    service.switch_over().await;
    service.kill_the_primary().await;
    service.freeze_the_primary().await;
    service.kill_patroni_alone().await;
    service.lose_a_revocation().await;
}

struct Service {
    cluster: Cluster,
    keyring: Keyring,
    store: PostgresStore,
    /// Reads the store each time.
    verifier: Verifier<PostgresStore>,
    /// Another node of the service: it does not know what this one revokes.
    cached: Verifier<PostgresStore>,
}

impl Service {
    /// Somebody asks Patroni for another primary.
    async fn switch_over(&self) {
        let (load, _) = self.load().await;
        let fault = Instant::now();
        self.cluster.command("switchover", &[]).await;
        load.wait_for_writes(FAILOVER_WITHIN).await;
        self.cluster.wait_for(HEALTHY).await;
        self.finish("switchover", load, fault, None).await;
    }

    /// The primary's machine loses power.
    async fn kill_the_primary(&self) {
        let (load, primary) = self.load().await;
        let fault = Instant::now();
        self.cluster.command("kill", &[&primary]).await;
        load.wait_for_writes(FAILOVER_WITHIN).await;
        self.cluster.command("revive", &[&primary]).await;
        self.cluster.wait_for(HEALTHY).await;
        self.finish("killed primary", load, fault, None).await;
    }

    /// The primary's machine is paused, loses its place, and comes back believing that it has it.
    async fn freeze_the_primary(&self) {
        let (load, primary) = self.load().await;
        let fault = Instant::now();
        let old = OldPrimary::watch(self.cluster.url_of(&primary)).await;
        self.cluster.command("freeze", &[&primary]).await;
        load.wait_for_writes(FAILOVER_WITHIN).await;
        tokio::time::sleep(A_WHILE).await;
        let (revision, thaw) = (self.head().await.revision, Instant::now());
        self.cluster.command("thaw", &[&primary]).await;
        tokio::time::sleep(A_WHILE).await;
        self.cluster.wait_for(HEALTHY).await;
        let stale = old.stale_answers(revision, thaw).await;
        let window = stale.first().zip(stale.last()).map(|(first, last)| (*first, *last));
        let lasted = window.map_or(Duration::ZERO, |(first, last)| last - first).as_millis();
        say(&format!("thawed primary: {} stale answers within {lasted} ms", stale.len()));
        let excepted = window.map(|(_, last)| (fault, last + MAX_STALENESS));
        self.finish("frozen primary", load, fault, excepted).await;
    }

    /// Patroni alone dies on the primary's machine. Another node is promoted, and the old primary goes on
    /// as if nothing had happened, until Patroni is back.
    async fn kill_patroni_alone(&self) {
        // The node of the last fault may only now be rewound.
        self.cluster.wait_for(HEALTHY).await;
        let old = self.cluster.node("leader").await;
        let issuer = Issuer::new(&self.verifier);
        let mut tokens = Vec::new();
        for _ in 0..REVOKED_ELSEWHERE {
            tokens.push(create(&issuer).await);
        }
        let tokens: Arc<[Token]> = tokens.into();
        let url = self.cluster.url_preferring(&old);
        let cache = Cache::new().max_staleness(MAX_STALENESS);
        let observe = |name, confirmed, cache| {
            Observer::start(name, &url, &self.keyring, &tokens, confirmed, cache)
        };
        let rarely = cache.poll_interval(MAX_STALENESS / 4);
        let mut confirmed = observe("confirmed", true, rarely).await;
        let mut unconfirmed = observe("unconfirmed", false, cache).await;
        for observer in [&confirmed, &unconfirmed] {
            observer.wait_until(true, FAILOVER_WITHIN).await;
        }
        tokio::time::sleep(A_WHILE).await;

        self.cluster.command("kill", &[&old, "--only", "patroni"]).await;
        let fault = Instant::now();
        let successor = self.wait_for_successor(&old).await;
        let deadlines = self.revoke_at(&successor, &tokens).await;
        let revoked = fault.elapsed().as_secs_f64();
        tokio::time::sleep(MAX_STALENESS + OLD_PRIMARY_FOR).await;
        let places =
            [self.places(confirmed.name).await, self.places(unconfirmed.name).await].join("; ");
        let revived = Instant::now();
        self.cluster.command("revive", &[&old]).await;
        let (confirmed_took, unconfirmed_took) = tokio::join!(
            confirmed.wait_until(false, FAILOVER_WITHIN),
            unconfirmed.wait_until(false, FAILOVER_WITHIN),
        );
        self.cluster.wait_for(HEALTHY).await;
        confirmed.stop().await;
        unconfirmed.stop().await;

        say(&format!(
            "old primary {old}: {REVOKED_ELSEWHERE} revocations at {successor} after {revoked:.1} s; \
             connections before Patroni was back: {places}"
        ));
        for (observer, took) in [(&confirmed, confirmed_took), (&unconfirmed, unconfirmed_took)] {
            let [accepted, refused, outages] = observer.after(&deadlines, revived);
            let later = observer.after(&deadlines, Instant::now())[0] - accepted;
            let outage = observer.longest_outage().as_secs_f64();
            say(&format!(
                "{}: {accepted} stale, {refused} refused, {outages} outages, an outage for {outage:.1} s; \
                 {later} stale since Patroni was back, all refused after {:.1} s",
                observer.name,
                took.as_secs_f64(),
            ));
        }
        let [stale, refused, outages] = confirmed.after(&deadlines, Instant::now());
        assert_eq!(stale, 0, "accepted revoked tokens, by confirmed reads");
        assert!(refused + outages > 0, "nothing was read");
        let [stale, ..] = unconfirmed.after(&deadlines, revived);
        assert!(stale > 0, "the old primary accepted nothing, so this test shows nothing");
    }

    /// The primary that Patroni made after this one.
    async fn wait_for_successor(&self, old: &str) -> String {
        let begin = Instant::now();
        loop {
            let nodes = self.cluster.status().await;
            let is_new = |node: &&Node| node.role == "leader" && node.name != old;
            if let Some(node) = nodes.iter().find(is_new) {
                return node.name.clone();
            }
            assert!(begin.elapsed() < FAILOVER_WITHIN, "no new primary: {nodes:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Revokes tokens on a further node of the service, whose database is this one, and returns from
    /// when on each must be refused everywhere.
    async fn revoke_at(&self, node: &str, tokens: &[Token]) -> Vec<Instant> {
        let (begin, options) = (Instant::now(), PostgresOptions::new(self.cluster.url_of(node)));
        // It may be a standby still.
        let store = loop {
            match options.open().await {
                Ok(store) => break store,
                Err(error) => assert!(begin.elapsed() < FAILOVER_WITHIN, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let issuer = Issuer::new(&Verifier::new(prefix!("cluster"), &self.keyring, store));
        let mut deadlines = Vec::new();
        for token in tokens {
            while let Err(error) = issuer.revoke(token.id(), &ann(), None).await {
                assert!(begin.elapsed() < FAILOVER_WITHIN, "{error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            deadlines.push(Instant::now() + MAX_STALENESS);
        }
        deadlines
    }

    /// Where the connections of this name are, and how many of them wait for a standby.
    async fn places(&self, name: &str) -> String {
        let query = format!(
            "SELECT count(*) || ' (' || count(*) FILTER (WHERE wait_event = 'SyncRep') || ' waiting)' \
             FROM pg_stat_activity WHERE application_name = '{name}'"
        );
        let mut places = Vec::new();
        for node in ["node1", "node2", "node3"] {
            let connections = self.query(node, &query).await.expect("a number");
            places.push(format!("{node} {connections}"));
        }
        format!("{name}: {}", places.join(", "))
    }

    /// What a poll and the reading of a record cost, when nothing is wrong.
    async fn measure_confirmed_reads(&self) {
        let token = create(&Issuer::new(&self.verifier)).await;
        let head = self.head().await;
        let options = PostgresOptions::new(self.cluster.url());
        let confirmed = options.confirmed_reads(true).open().await.expect("open");
        let mut figures = Vec::new();
        for (name, store) in [("unconfirmed", &self.store), ("confirmed", &confirmed)] {
            let poll = median(async || {
                store.changes_since(Some(&head), 1000).await.expect("no changes");
            });
            let find = median(async || {
                store.find(&token.id()).await.expect("a record");
            });
            let (poll, find) = (poll.await.as_micros(), find.await.as_micros());
            figures.push(format!("{name}: a poll takes {poll} µs, a find {find} µs"));
        }
        say(&figures.join("; "));
    }

    /// The machines fail one after the other, and are not synchronous any more: what was
    /// acknowledged last is lost, which no database can prevent and each reader has to be told.
    async fn lose_a_revocation(&self) {
        let without = r#"{"synchronous_mode": false, "synchronous_mode_strict": false}"#;
        self.cluster.command("configure", &[without]).await;
        self.cluster.wait_for(["replica", "replica"]).await;
        let primary = self.cluster.node("leader").await;
        self.wait_until_asynchronous(&primary).await;
        let nodes = self.cluster.status().await;
        let standbys = nodes.iter().map(|node| &*node.name).filter(|name| **name != *primary);
        let standbys: Vec<&str> = standbys.collect();

        let issuer = Issuer::new(&self.verifier);
        let (lost, later) = (create(&issuer).await, create(&issuer).await);
        self.wait_until_replicated(&primary, &standbys).await;
        for standby in &standbys {
            self.cluster.command("kill", &[standby]).await;
        }
        issuer.revoke(lost.id(), &ann(), None).await.expect("revoke");
        let cursor = self.head().await;
        self.cluster.command("kill", &[&primary]).await;
        for standby in &standbys {
            self.cluster.command("revive", &[standby]).await;
        }
        let began = Instant::now();
        // As many changes as were lost, so that the revision alone tells nothing.
        while let Err(error) = issuer.revoke(later.id(), &ann(), None).await {
            assert!(began.elapsed() < FAILOVER_WITHIN, "{error}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }

        let accepted = self.verifier.verify(lost.expose_secret().as_bytes()).await;
        assert!(accepted.is_ok(), "nothing was lost, so this test shows nothing: {accepted:?}");
        let refused = self.verifier.verify(later.expose_secret().as_bytes()).await;
        let revoked = |error: &VerifyError| {
            matches!(error, VerifyError::NotActive { status: Status::Revoked, .. })
        };
        assert!(refused.as_ref().is_err_and(revoked), "{refused:?}");
        let head = self.head().await;
        assert_eq!(head.revision, cursor.revision);
        assert_ne!(head.incarnation, cursor.incarnation);
        let changes = self.store.changes_since(Some(&cursor), 10).await.expect("changes");
        assert_eq!(changes, Changes::Reset { next: head });
        say("lost history: noticed");
    }

    async fn load(&self) -> (Load, String) {
        let verifiers = [(&self.verifier, Duration::ZERO), (&self.cached, MAX_STALENESS)];
        let load = Load::start(&self.store, verifiers);
        tokio::time::sleep(A_WHILE).await;
        (load, self.cluster.node("leader").await)
    }

    /// `except` is when an old primary answered; whatever is read meanwhile may be stale.
    async fn finish(
        &self,
        what: &str,
        load: Load,
        fault: Instant,
        except: Option<(Instant, Instant)>,
    ) {
        tokio::time::sleep(A_WHILE).await;
        let ledger = load.stop().await;
        let held = ledger.check(&self.verifier, what).await;
        let outage = ledger.longest_outage(fault).as_secs_f64();
        let (excepted, stale): (Vec<_>, Vec<_>) = ledger
            .stale()
            .into_iter()
            .partition(|began| except.is_some_and(|(from, until)| (from..=until).contains(began)));
        let after = |stale: &Vec<Instant>| {
            stale.iter().map(|began| began.duration_since(fault)).collect::<Vec<_>>()
        };
        assert!(stale.is_empty(), "{what}: accepted revoked tokens, after {:?}", after(&stale));
        say(&format!("{what}: no writes for {outage:.1} s; {held}; {} stale", excepted.len()));
    }

    async fn head(&self) -> Cursor {
        match self.store.changes_since(None, 1).await.expect("the head") {
            Changes::Reset { next } | Changes::Since { next, .. } => next,
        }
    }

    async fn query(&self, node: &str, query: &str) -> Option<String> {
        let client = connect(self.cluster.url_of(node)).await;
        client.query_one(query, &[]).await.expect("query").get(0)
    }

    async fn wait_until_asynchronous(&self, primary: &str) {
        let query = "SELECT (current_setting('synchronous_standby_names') = '')::text";
        self.wait_until(primary, query).await;
    }

    /// Waits until these nodes have replayed what the primary has written. It is the primary that
    /// tells: only it knows who follows it.
    async fn wait_until_replicated(&self, primary: &str, standbys: &[&str]) {
        let written = self.query(primary, "SELECT pg_current_wal_lsn()::text").await;
        let query = format!(
            "SELECT (count(*) = {})::text FROM pg_stat_replication WHERE state = 'streaming' \
             AND replay_lsn >= '{}' AND application_name IN ('{}')",
            standbys.len(),
            written.expect("a place in the log"),
            standbys.join("', '"),
        );
        self.wait_until(primary, &query).await;
    }

    async fn wait_until(&self, node: &str, query: &str) {
        let begin = Instant::now();
        while self.query(node, query).await.as_deref() != Some("true") {
            assert!(begin.elapsed() < FAILOVER_WITHIN, "not true at {node}: {query}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// A connection that is open when the primary is frozen, as a client has it that knows no timeout,
/// and what is read there.
struct OldPrimary {
    answers: Arc<Mutex<Vec<(Instant, Revision)>>>,
    reading: tokio::task::JoinHandle<()>,
}

impl OldPrimary {
    async fn watch(url: &str) -> Self {
        let client = connect(url).await;
        let answers = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&answers);
        let reading = tokio::spawn(async move {
            let query = "SELECT revision FROM api_tokens.token_head";
            while let Ok(row) = client.query_one(query, &[]).await {
                let revision = u64::try_from(row.get::<_, i64>(0)).expect("a revision");
                noted.lock().expect("no panic").push((Instant::now(), Revision(revision)));
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        Self { answers, reading }
    }

    /// When answers came after `since` that were older than `revision`, until the connection was
    /// closed, as Patroni must do: the first is of what was asked before the freeze.
    async fn stale_answers(self, revision: Revision, since: Instant) -> Vec<Instant> {
        self.reading.await.expect("no panic");
        let answers = self.answers.lock().expect("no panic");
        let stale = answers.iter().filter(|(at, read)| *at > since && *read < revision);
        stale.map(|(at, _)| *at).collect()
    }
}

async fn create(issuer: &Issuer<PostgresStore>) -> Token {
    issuer.create(new_token("a token"), &ann()).await.expect("create").token
}

async fn median(run: impl AsyncFn()) -> Duration {
    let mut took = Vec::new();
    for _ in 0..300 {
        let begin = Instant::now();
        run().await;
        took.push(begin.elapsed());
    }
    took.sort();
    took[took.len() / 2]
}

async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("connect");
    tokio::spawn(connection);
    client
}
