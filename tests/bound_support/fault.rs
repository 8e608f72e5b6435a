//! What goes wrong while tokens are revoked.

use std::{path::PathBuf, sync::Arc, time::Duration};

use rusqlite::Connection;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio_postgres::{Client, NoTls};

use super::{
    network,
    proxy::{Flow, Proxy, Weather},
};
use crate::{cluster_support::Cluster, postgres_support::Server};

pub(crate) enum Fault {
    None,
    /// In the proxy.
    Weather(Arc<Proxy>, Weather),
    /// The last answer comes late, to a question that is older than revocations which it does not
    /// know of.
    LateThenSilent(Arc<Proxy>),
    /// In the kernel: packets from or to the proxy's port are dropped, as `iptables` calls them.
    Dropped(Arc<Proxy>, &'static [&'static str]),
    /// Whoever listens for notifications is thrown out again and again.
    ListenersTerminated(String),
    /// SIGKILL, and a restart after a while.
    ServerKilled(Arc<Server>),
    /// SIGKILL to the one, and the other is promoted.
    FailedOver(Arc<Server>, Arc<Server>),
    /// SIGKILL to all processes of a node of the cluster, the primary's.
    NodeKilled(Cluster, String),
    /// What verifiers use their connections for hangs, all but the reading of records and changes.
    TableLocked {
        url: String,
        table: String,
    },
    /// There are no connections left, and the applications of this name lose theirs.
    ServerFull {
        url: String,
        application: &'static str,
    },
    /// Another connection writes to the file most of the time.
    FileLocked(PathBuf),
}

/// A fault that lasts.
pub(crate) enum Lasting {
    None,
    Weather(Arc<Proxy>),
    Dropped(Arc<Proxy>, &'static [&'static str]),
    /// Until it is stopped.
    Task(JoinHandle<()>),
    /// Until it ends by itself.
    Repair(JoinHandle<()>),
}

impl Fault {
    /// Whether the server is another one afterwards, or starts anew: that is another history, so that the
    /// verifiers must forget all that is in memory.
    pub(crate) fn changes_history(&self) -> bool {
        matches!(self, Self::ServerKilled(_) | Self::FailedOver(..) | Self::NodeKilled(..))
    }

    /// Returns when it has happened.
    pub(crate) async fn begin(&self) -> Lasting {
        match self {
            Self::None => Lasting::None,
            Self::Weather(proxy, weather) => {
                proxy.set(*weather);
                Lasting::Weather(Arc::clone(proxy))
            }
            Self::LateThenSilent(proxy) => {
                let late = Flow::Delayed(Duration::from_millis(80));
                let weather = Weather { from_server: late, ..Weather::default() };
                proxy.set(weather);
                tokio::time::sleep(Duration::from_millis(120)).await;
                proxy.set(Weather { to_server: Flow::Stopped, ..weather });
                Lasting::Weather(Arc::clone(proxy))
            }
            Self::Dropped(proxy, ends) => {
                network::drop_packets(proxy.port(), ends);
                Lasting::Dropped(Arc::clone(proxy), ends)
            }
            Self::ListenersTerminated(url) => {
                let client = connect(url).await.expect("connect");
                Lasting::Task(tokio::spawn(async move {
                    terminate_listeners(&client).await;
                }))
            }
            Self::ServerKilled(server) => {
                let dead = Arc::clone(server);
                spawn_blocking(move || dead.kill()).await.expect("no panic");
                let dead = Arc::clone(server);
                Lasting::Repair(spawn_blocking(move || {
                    std::thread::sleep(Duration::from_millis(300));
                    dead.restart();
                }))
            }
            Self::FailedOver(primary, standby) => {
                let dead = Arc::clone(primary);
                spawn_blocking(move || dead.kill()).await.expect("no panic");
                let standby = Arc::clone(standby);
                Lasting::Repair(spawn_blocking(move || standby.promote()))
            }
            Self::NodeKilled(cluster, primary) => {
                cluster.command("kill", &[primary]).await;
                Lasting::None
            }
            Self::TableLocked { url, table } => {
                let client = connect(url).await.expect("connect");
                let lock = format!("BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE");
                client.batch_execute(&lock).await.expect("lock the table");
                Lasting::Task(tokio::spawn(async move {
                    let _client = client;
                    std::future::pending::<()>().await;
                }))
            }
            Self::ServerFull { url, application } => {
                let client = connect(url).await.expect("connect");
                let mut hoarded = Vec::new();
                hoard(url, &mut hoarded).await;
                let (url, application) = (url.clone(), *application);
                let left = format!(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                     WHERE application_name = '{application}'"
                );
                while client.query_one(&left, &[]).await.expect("count").get::<_, i64>(0) > 0 {
                    hoard(&url, &mut hoarded).await;
                }
                Lasting::Task(tokio::spawn(async move {
                    loop {
                        hoard(&url, &mut hoarded).await;
                        client.query_one(&left, &[]).await.expect("terminate");
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                }))
            }
            Self::FileLocked(path) => {
                let path = path.clone();
                let (stop, stopped) = std::sync::mpsc::channel::<()>();
                let writing = spawn_blocking(move || {
                    let file = Connection::open(path).expect("open the file");
                    file.busy_timeout(Duration::from_secs(5)).expect("a timeout");
                    let is_stopped = |pause| {
                        let wait = stopped.recv_timeout(Duration::from_millis(pause));
                        wait != Err(std::sync::mpsc::RecvTimeoutError::Timeout)
                    };
                    let mut ends = false;
                    while !ends {
                        file.execute_batch("BEGIN IMMEDIATE").expect("begin");
                        ends = is_stopped(200);
                        file.execute_batch("ROLLBACK").expect("end");
                        ends = ends || is_stopped(5);
                    }
                });
                Lasting::Task(tokio::spawn(async move {
                    let _stop = stop;
                    writing.await.expect("no panic");
                }))
            }
        }
    }
}

impl Lasting {
    pub(crate) async fn end(self) {
        match self {
            Self::None => {}
            Self::Weather(proxy) => proxy.set(Weather::default()),
            Self::Dropped(proxy, ends) => network::let_packets_pass(proxy.port(), ends),
            Self::Task(task) => {
                task.abort();
                let ended = task.await;
                assert!(ended.is_err_and(|error| error.is_cancelled()), "the fault had ended");
            }
            Self::Repair(repair) => repair.await.expect("no panic"),
        }
    }
}

async fn connect(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn terminate_listeners(client: &Client) {
    const TERMINATE: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                             WHERE query LIKE 'LISTEN %'";
    loop {
        client.batch_execute(TERMINATE).await.expect("terminate listeners");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Takes all connections that are left.
async fn hoard(url: &str, hoarded: &mut Vec<Client>) {
    const AT_ONCE: usize = 20;
    loop {
        let mut connecting = tokio::task::JoinSet::new();
        for _ in 0..AT_ONCE {
            let url = url.to_owned();
            connecting.spawn(async move { connect(&url).await });
        }
        let connected = connecting.join_all().await;
        let is_full = connected.iter().any(Result::is_err);
        hoarded.extend(connected.into_iter().flatten());
        if is_full {
            return;
        }
    }
}
