//! The bound of the cache is attacked: verifier processes that never rest, a revoker, and all that can
//! fail between them. Nothing is accepted after its revocation was acknowledged and `max_staleness` has
//! passed, living tokens are never refused, and all verifiers come back by themselves.
//!
//! Prints for each fault how long after the acknowledgement a token was last accepted. With
//! `API_TOKENS_BOUND=full` or `CI=true` in the environment there are more than 2,000 revocations;
//! else there are a few of each kind.

mod bound_support;
#[expect(dead_code, reason = "the cluster's own test uses more of it")]
mod cluster_support;
mod postgres_support;
mod util;

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use api_tokens::{PostgresOptions, SqliteOptions};
use bound_support::{
    fault::Fault,
    network,
    proxy::{Flow, Proxy, Weather},
    rig::Rig,
    table::{self, Row},
    verifying::{self, Postgres, Settings, Store},
};
use cluster_support::Cluster;
use postgres_support::{Server, new_schema};
use util::{is_ci, or_skip, print, say, skip};

const MAX_STALENESS: Duration = Duration::from_millis(500);
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Of a call of the verifiers' to the store.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Of a call of the revoker's, who must create its tokens on a busy machine, too.
const LONG_TIMEOUT: Duration = Duration::from_secs(5);
/// What the verifiers' connections are called.
const APPLICATION: &str = "verifier";
/// The least that a full run must have.
const REVOCATIONS: usize = 2000;
/// Tells a row apart from what the test harness prints.
const MARK: &str = "row ";

/// How much there is of everything.
#[derive(Clone, Copy)]
struct Scale {
    /// How often a fault comes and goes.
    windows: usize,
    /// How many tokens are revoked meanwhile.
    revocations: usize,
    /// How often verifiers are stopped.
    stops: usize,
}

impl Scale {
    fn of_this_run() -> Self {
        if is_full() {
            Self { windows: 2, revocations: 50, stops: 30 }
        } else {
            Self { windows: 1, revocations: 30, stops: 8 }
        }
    }
}

fn is_full() -> bool {
    is_ci() || std::env::var_os("API_TOKENS_BOUND").is_some_and(|bound| bound == "full")
}

/// Started by the test below.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by nothing_is_accepted_after_the_bound, as a child process"]
async fn verifier_process() {
    verifying::verify_until_the_input_ends().await;
}

/// Started by the test below, where packets can be dropped.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "run by nothing_is_accepted_after_the_bound, as a child process"]
async fn network_of_its_own() {
    network::set_up();
    let server = Server::start().expect("a server");
    let database = Database::new(Arc::new(server)).await;
    print("");
    for (fault, ends) in [
        ("packets dropped", &["--dport", "--sport"] as &[&str]),
        ("packets to the server dropped", &["--dport"]),
        ("packets from the server dropped", &["--sport"]),
    ] {
        let proxy = database.proxy().await;
        let dropped = Fault::Dropped(Arc::clone(&proxy), ends);
        let settings = settings(Store::Postgres(database.behind(&proxy)));
        let row = database.windows(fault, &settings, &dropped).await;
        print(&format!("{MARK}{}", serde_json::to_string(&row).expect("a line")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_accepted_after_the_bound() {
    say(&table::head());
    let mut rows = on_sqlite().await;
    if let Some(server) = Server::start() {
        let server = Arc::new(server);
        rows.extend(on_postgres(Database::new(Arc::clone(&server)).await).await);
        rows.extend(in_a_network_of_its_own());
    }
    let violations: Vec<&String> = rows.iter().flat_map(|row| &row.violations).collect();
    assert!(violations.is_empty(), "{violations:#?}");
    let revocations: usize = rows.iter().map(|row| row.revocations).sum();
    say(&format!("{revocations} revocations, no token accepted after the bound"));
    assert!(!is_full() || revocations >= REVOCATIONS, "too few");
}

async fn on_sqlite() -> Vec<Row> {
    let scale = Scale::of_this_run();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("tokens.db");
    SqliteOptions::new(&path).migrate().expect("migrate");
    let store = Store::Sqlite(path.clone());
    let settings = settings(store.clone());
    let mut rows = Vec::new();
    for (name, fault) in [("none", Fault::None), ("file locked", Fault::FileLocked(path))] {
        let mut rig = Rig::start(name, &settings, &store).await;
        for _ in 0..scale.windows {
            rig.window(scale.revocations, &fault).await;
        }
        rows.push(rig.finish().await);
    }
    for stopped in Stopped::ALL {
        rows.push(stopped.run(&settings, &store).await);
    }
    rows
}

async fn on_postgres(database: Database) -> Vec<Row> {
    let proxy = database.proxy().await;
    let store = database.behind(&proxy);
    let revoker = Store::Postgres(database.revoker.clone());
    let settings = settings(Store::Postgres(store.clone()));
    let mut rows = Vec::new();
    let weather = |weather| Fault::Weather(Arc::clone(&proxy), weather);

    rows.push(database.windows("none", &settings, &Fault::None).await);
    let deaf = Store::Postgres(Postgres { notifications: false, ..store.clone() });
    let polling = Settings { store: deaf, ..settings.clone() };
    rows.push(database.windows("none, without notifications", &polling, &Fault::None).await);

    let url = database.server.url("postgres");
    let terminated = Fault::ListenersTerminated(url.clone());
    rows.push(database.windows("listeners terminated", &settings, &terminated).await);
    let silent = weather(Weather { to_listener: Flow::Stopped, ..Weather::default() });
    rows.push(database.windows("notifications lost", &settings, &silent).await);
    let stopped = Flow::Stopped;
    let to = Weather { to_server: stopped, ..Weather::default() };
    let from = Weather { from_server: stopped, to_listener: stopped, ..Weather::default() };
    let both = Weather { to_server: stopped, ..from };
    rows.push(database.windows("black hole", &settings, &weather(both)).await);
    rows.push(database.windows("nothing gets to the server", &settings, &weather(to)).await);
    rows.push(database.windows("nothing comes from the server", &settings, &weather(from)).await);
    let late = Flow::Delayed(Duration::from_millis(40));
    let late = Weather { to_server: late, from_server: late, to_listener: late };
    rows.push(database.windows("everything 40 ms late", &settings, &weather(late)).await);
    let slow = Flow::Trickling;
    let slow = Weather { to_server: slow, from_server: slow, to_listener: slow };
    rows.push(database.windows("trickle", &settings, &weather(slow)).await);

    let cut = Fault::LateThenSilent(Arc::clone(&proxy));
    rows.push(database.windows("answers late, then none", &settings, &cut).await);

    for stopped in Stopped::ALL {
        rows.push(stopped.run(&settings, &revoker).await);
    }
    // So that most of what stops a verifier does so while it waits for changes.
    let late = Flow::Delayed(Duration::from_millis(15));
    proxy.set(Weather { to_server: late, from_server: late, to_listener: late });
    let often = Settings { poll_interval: Duration::from_millis(10), ..polling };
    rows.push(Stopped::Waiting.run(&often, &revoker).await);
    proxy.set(Weather::default());

    let jumping = Settings { clock_jumps: true, ..settings.clone() };
    rows.push(database.windows("wall clock jumps, black hole", &jumping, &weather(both)).await);

    let few = Store::Postgres(Postgres { max_connections: 2, ..store });
    let crowded = Settings { store: few, competitors: 10, ..settings.clone() };
    let table = format!("{}.token_usage", database.schema);
    let locked = Fault::TableLocked { url: url.clone(), table };
    rows.push(database.windows("pool exhausted", &crowded, &locked).await);
    let full = Fault::ServerFull { url, application: APPLICATION };
    rows.push(database.windows("server out of connections", &settings, &full).await);

    let killed = Fault::ServerKilled(Arc::clone(&database.server));
    rows.push(database.windows("server killed", &settings, &killed).await);
    drop(database);
    rows.push(failover().await);
    if is_full() {
        rows.extend(on_a_cluster().await);
    }
    rows
}

/// Patroni notices that the primary is gone, and has a standby take its place.
async fn on_a_cluster() -> Option<Row> {
    let cluster = or_skip("the cluster", Cluster::start())?;
    let store = postgres(cluster.url(), "api_tokens");
    // Each of three hosts has a third of the time.
    let store = Store::Postgres(Postgres { timeout: LONG_TIMEOUT, ..store });
    PostgresOptions::new(cluster.url()).migrate().await.expect("migrate");
    let primary = cluster.node("leader").await;
    let fault = Fault::NodeKilled(cluster, primary);
    let mut rig = Rig::start("failover by Patroni", &settings(store.clone()), &store).await;
    rig.window(Scale::of_this_run().revocations, &fault).await;
    Some(rig.finish().await)
}

/// Each time there is a server and a synchronous standby; the one is killed and the other promoted.
async fn failover() -> Row {
    let scale = Scale::of_this_run();
    let mut all: Option<Row> = None;
    for _ in 0..scale.windows {
        let (primary, standby) = tokio::task::spawn_blocking(synchronous_pair).await.expect("two");
        let hosts = format!("127.0.0.1:{},127.0.0.1:{}", primary.port(), standby.port());
        let url = format!("postgres://postgres@{hosts}/postgres?sslmode=disable");
        let database = Database::new(Arc::clone(&primary)).await;
        let store = postgres(&url, &database.schema);
        let revoker = Store::Postgres(Postgres { timeout: LONG_TIMEOUT, ..store.clone() });
        let settings = settings(Store::Postgres(store));
        let fault = Fault::FailedOver(primary, standby);
        let mut rig = Rig::start("failover to a standby", &settings, &revoker).await;
        rig.window(scale.revocations, &fault).await;
        let row = rig.finish().await;
        all = Some(match all {
            Some(all) => all.and(row),
            None => row,
        });
    }
    all.expect("a window")
}

fn synchronous_pair() -> (Arc<Server>, Arc<Server>) {
    let primary = Server::start().expect("a server");
    let standby = primary.standby();
    primary.psql("ALTER SYSTEM SET synchronous_standby_names = '*'");
    primary.psql("SELECT pg_reload_conf()");
    let is_synchronous = "DO $$ BEGIN WHILE NOT EXISTS \
         (SELECT FROM pg_stat_replication WHERE sync_state = 'sync') LOOP \
         PERFORM pg_sleep(0.05); PERFORM pg_stat_clear_snapshot(); END LOOP; END $$";
    primary.psql(is_synchronous);
    (Arc::new(primary), Arc::new(standby))
}

fn in_a_network_of_its_own() -> Vec<Row> {
    if let Some(problem) = network::problem() {
        skip("dropped packets", &problem);
        return Vec::new();
    }
    let mut child =
        network::command("network_of_its_own").stdout(Stdio::piped()).spawn().expect("start it");
    let output = BufReader::new(child.stdout.take().expect("its output"));
    let lines = output.lines().map(|line| line.expect("a line"));
    let rows = lines
        .filter_map(|line| Some(serde_json::from_str(line.strip_prefix(MARK)?).expect("a row")))
        .collect();
    let status = child.wait().expect("wait for it");
    assert!(status.success(), "in a network of its own: {status}");
    rows
}

/// A schema on a server.
struct Database {
    server: Arc<Server>,
    schema: String,
    /// The revoker's way to it.
    revoker: Postgres,
}

impl Database {
    async fn new(server: Arc<Server>) -> Self {
        let schema = new_schema();
        let url = server.url("postgres");
        PostgresOptions::new(&url).schema(&schema).migrate().await.expect("migrate");
        let revoker = Postgres { timeout: LONG_TIMEOUT, ..postgres(&url, &schema) };
        Self { server, schema, revoker }
    }

    async fn proxy(&self) -> Arc<Proxy> {
        Arc::new(Proxy::start(self.server.port()).await)
    }

    /// The verifiers' way to it.
    fn behind(&self, proxy: &Proxy) -> Postgres {
        let options = format!("sslmode=disable&application_name={APPLICATION}");
        let url = format!("postgres://postgres@127.0.0.1:{}/postgres?{options}", proxy.port());
        postgres(&url, &self.schema)
    }

    async fn windows(&self, name: &str, settings: &Settings, fault: &Fault) -> Row {
        let scale = Scale::of_this_run();
        // As the verifiers are: who does not listen is not told either.
        let notifications =
            matches!(&settings.store, Store::Postgres(Postgres { notifications: true, .. }));
        let revoker = Store::Postgres(Postgres { notifications, ..self.revoker.clone() });
        let mut rig = Rig::start(name, settings, &revoker).await;
        for _ in 0..scale.windows {
            rig.window(scale.revocations, fault).await;
        }
        rig.finish().await
    }
}

fn settings(store: Store) -> Settings {
    Settings {
        store,
        max_staleness: MAX_STALENESS,
        poll_interval: POLL_INTERVAL,
        dawdles: false,
        clock_jumps: false,
        competitors: 0,
    }
}

fn postgres(url: &str, schema: &str) -> Postgres {
    Postgres {
        url: url.to_owned(),
        schema: schema.to_owned(),
        max_connections: 10,
        timeout: TIMEOUT,
        notifications: true,
    }
}

/// Where a verifier is when it is stopped.
#[derive(Clone, Copy)]
enum Stopped {
    Anywhere,
    /// As a rule between taking a record and the check.
    Dawdling,
    /// As a rule waiting for changes.
    Waiting,
}

impl Stopped {
    const ALL: [Self; 2] = [Self::Anywhere, Self::Dawdling];
    const AT_A_TIME: usize = 5;

    async fn run(self, settings: &Settings, revoker: &Store) -> Row {
        // As short as it can be, so that there are many rounds.
        let short = MAX_STALENESS / 2;
        let (name, dawdles, max_staleness) = match self {
            Self::Anywhere => ("verifiers stopped", false, short),
            Self::Dawdling => ("verifiers stopped before the check", true, short),
            Self::Waiting => ("verifiers stopped during polls", false, MAX_STALENESS),
        };
        let settings = Settings { max_staleness, dawdles, ..settings.clone() };
        let mut rig = Rig::start(name, &settings, revoker).await;
        let stops = Scale::of_this_run().stops;
        rig.stop_and_go_on(stops, Self::AT_A_TIME).await;
        let row = rig.finish().await;
        // A stop that no verification notices proves nothing.
        assert!(!dawdles || row.spanning > 0, "no verification was stopped");
        row
    }
}
