//! Behind PgBouncer in transaction mode.

use std::{
    fs,
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::{util::or_skip, *};

struct Pooler {
    process: Child,
    port: u16,
    directory: tempfile::TempDir,
}

impl Pooler {
    fn start(server: &Server) -> Option<Self> {
        let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"]
            .into_iter()
            .find(|path| fs::exists(path).unwrap_or(false));
        let program = or_skip("tests behind PgBouncer", program.ok_or("it is not installed"))?;
        let directory = tempfile::tempdir().expect("a temporary directory");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("its number").port();
        drop(listener);
        let pooler = |process, directory| Self { process, port, directory };
        configure(directory.path(), port, server);
        let mut command = Command::new(program);
        let path = directory.path().join("pgbouncer.ini");
        command.arg("-q").arg(&path).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some((user, group)) = server.user() {
            for path in [directory.path(), &path] {
                std::os::unix::fs::chown(path, Some(user), Some(group)).expect("give it away");
            }
            command.uid(user).gid(group);
        }
        let process = command.spawn().expect("start PgBouncer");
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(60), "PgBouncer does not answer");
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(pooler(process, directory))
    }

    fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres?sslmode=disable", self.port)
    }

    /// Leads to another server from now on, without its clients noticing.
    fn switch(&self, server: &Server) {
        configure(self.directory.path(), self.port, server);
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-HUP", &pid]).status().expect("kill").success());
    }
}

fn configure(directory: &std::path::Path, port: u16, server: &Server) {
    let configuration = format!(
        "[databases]\npostgres = host=127.0.0.1 port={} user=postgres\n[pgbouncer]\n\
         listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
         pool_mode = transaction\ndefault_pool_size = 3\n",
        server.port(),
    );
    fs::write(directory.join("pgbouncer.ini"), configuration).expect("write its configuration");
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_works_behind_a_transaction_pooler() {
    let Some(server) = shared() else { return };
    let Some(pooler) = Pooler::start(server) else { return };
    let options =
        PostgresOptions::new(&pooler.url()).schema(&new_schema()).transaction_pooler(true);
    options.migrate().await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for node in 0..3 {
        let store = options.open().await.unwrap();
        for worker in 0..6 {
            let (issuer, verifier) = issuer(&store);
            let store = store.clone();
            tasks.spawn(async move {
                for _ in 0..10 {
                    let token = create(&issuer).await;
                    assert!(is_accepted(&verifier, &token).await);
                    store.record_usage(&[usage(token.id(), 1)]).await.unwrap();
                    issuer.revoke(token.id(), &ann(), None).await.unwrap();
                    assert!(!is_accepted(&verifier, &token).await, "{node} {worker}");
                    assert_eq!(store.usage(&[token.id()]).await.unwrap().len(), 1);
                    assert_eq!(store.events(&token.id(), None, 9).await.unwrap().len(), 2);
                }
            });
        }
    }
    tasks.join_all().await;
    let store = options.open().await.unwrap();
    let end = head(&store).await;
    assert_eq!(end.revision.0, 180);
    let start = Cursor { revision: api_tokens::Revision(0), ..end };
    let answer = store.changes_since(Some(&start), 1_000).await.unwrap();
    assert!(matches!(answer, Changes::Since { changes, .. } if changes.len() == 180));
    assert_eq!(store.prune(Timestamp::MAX, 1_000).await.unwrap(), 180);
}

/// A connection that was made to the primary, and now leads to a standby: which answers, but must
/// not be believed.
#[tokio::test]
async fn a_standby_behind_an_open_connection_is_an_outage_and_not_an_answer() {
    let Some(primary) = Server::start() else { return };
    let Some(pooler) = Pooler::start(&primary) else { return };
    let direct = PostgresOptions::new(&primary.url("postgres"));
    direct.migrate().await.unwrap();
    let standby = primary.standby();
    let options = PostgresOptions::new(&pooler.url()).transaction_pooler(true).max_connections(1);
    let store = options.open().await.unwrap();
    insert(&store, id(1)).await;
    assert!(store.find(&id(1)).await.unwrap().is_some());
    pooler.switch(&standby);
    let begun = Instant::now();
    while store.find(&id(2)).await.is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(60), "the standby answers");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for error in [
        store.find(&id(1)).await.unwrap_err(),
        store.changes_since(None, 1).await.unwrap_err(),
        store.write(&WriteBatch::insert(record(id(2), 1))).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), api_tokens::StoreErrorKind::Unavailable, "{error}");
    }
    pooler.switch(&primary);
    let begun = Instant::now();
    while let Err(error) = store.find(&id(1)).await {
        assert!(begun.elapsed() < Duration::from_secs(60), "{error}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
