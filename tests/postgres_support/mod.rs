//! A real PostgreSQL server for tests: its own data directory, its own port, gone when the test
//! process is, however that ends.

#![expect(dead_code, unreachable_pub, reason = "each test program uses a part of this")]

use std::{
    fs,
    hash::{BuildHasher, RandomState},
    net::TcpListener,
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        LazyLock, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use api_tokens::{PostgresOptions, PostgresStore};

use crate::util::or_skip;

/// A role that has a password. All others are trusted.
pub const GUARDED: (&str, &str) = ("guarded", "tr0ub4dor");

/// The options of an empty schema on the server that the tests of this program share; `None`, and
/// a line on stderr, if there is no PostgreSQL on this machine.
pub fn options() -> Option<PostgresOptions> {
    Some(PostgresOptions::new(&shared()?.url("postgres")).schema(&new_schema()))
}

/// An empty store on the shared server, in a schema of its own.
pub async fn store() -> Option<PostgresStore> {
    let options = options()?;
    options.migrate().await.expect("migrate");
    Some(options.open().await.expect("open"))
}

/// An empty store on the shared server, for any runtime, also if none runs here. It does not
/// listen.
pub fn blocking_store() -> Option<PostgresStore> {
    let options = options()?.notifications(false);
    let open = async move {
        options.migrate().await.expect("migrate");
        options.open().await.expect("open")
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let open = std::thread::spawn(move || runtime.expect("a runtime").block_on(open));
    Some(open.join().expect("an open store"))
}

/// The server that the tests of this program share. Whoever stops or kills a server starts its own.
pub fn shared() -> Option<&'static Server> {
    static SHARED: LazyLock<Option<Server>> = LazyLock::new(Server::start);
    SHARED.as_ref()
}

/// A name that no other test has.
pub fn new_schema() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Runs SQL as the superuser, and returns the first value of the last row as text.
pub async fn sql(url: &str, text: &str) -> Result<Option<String>, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
    let connection = tokio::spawn(connection);
    let messages = client.simple_query(text).await;
    connection.abort();
    let value = messages?.into_iter().rev().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => Some(row.get(0).map(str::to_owned)),
        _ => None,
    });
    Ok(value.flatten())
}

pub struct Server {
    binaries: PathBuf,
    directory: PathBuf,
    port: u16,
    /// Whom the server runs as, if not as we do: it refuses to run as root.
    user: Option<(u32, u32)>,
    postmaster: Mutex<Option<Child>>,
    /// Waits for its input to end, which happens when we do, and cleans up.
    janitor: Child,
}

impl Server {
    /// Makes a data directory and starts a server on it.
    ///
    /// `None`, and a line on stderr, if PostgreSQL is not installed; a panic if this is CI.
    pub fn start() -> Option<Self> {
        let server = Self::prepare()?;
        server.run("initdb", &["-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8"]);
        let rules = server.data().join("pg_hba.conf");
        let trusted = fs::read_to_string(&rules).expect("the rules");
        let guarded = format!("host all {} 127.0.0.1/32 scram-sha-256\n", GUARDED.0);
        fs::write(&rules, guarded + &trusted).expect("write the rules");
        server.restart();
        let create = format!("CREATE ROLE {} LOGIN PASSWORD '{}'", GUARDED.0, GUARDED.1);
        server.psql(&create);
        Some(server)
    }

    /// A standby that follows this server, started.
    pub fn standby(&self) -> Self {
        let standby = Self::prepare().expect("there is a primary");
        let port = self.port.to_string();
        standby
            .command("pg_basebackup")
            .args(["-h", "127.0.0.1", "-U", "postgres", "-p", &port, "-R", "-c", "fast", "-D"])
            .arg(standby.data())
            .status()
            .ok()
            .filter(std::process::ExitStatus::success)
            .expect("a copy of the primary");
        standby.restart();
        standby
    }

    /// Makes a standby the primary.
    pub fn promote(&self) {
        self.psql("SELECT pg_promote()");
    }

    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whom to run programs as that refuse to run as root; `None` for whom we are.
    pub fn user(&self) -> Option<(u32, u32)> {
        self.user
    }

    /// Gives the server a certificate and its key, as PEM files, and restarts it with TLS.
    pub fn secure(&self, certificate: &Path, key: &Path) {
        for (from, name) in [(certificate, "server.crt"), (key, "server.key")] {
            let to = self.data().join(name);
            fs::copy(from, &to).expect("copy a file");
            fs::set_permissions(&to, PermissionsExt::from_mode(0o600)).expect("its mode");
            if let Some((user, group)) = self.user {
                chown(&to, Some(user), Some(group)).expect("give it away");
            }
        }
        self.psql("ALTER SYSTEM SET ssl = on");
        self.stop();
        self.restart();
    }

    /// Of the postmaster, whose children serve the connections.
    pub fn pid(&self) -> u32 {
        self.postmaster.lock().expect("no panic").as_ref().expect("a running server").id()
    }

    /// Starts the server, on the port and the data directory that it had.
    pub fn restart(&self) {
        let log = fs::File::create(self.directory.join("log")).expect("a log");
        let version = fs::read_to_string(self.data().join("PG_VERSION")).expect("a version");
        // After a kill, one call instead of one for each of a thousand files.
        let sync = ["-c", "recovery_init_sync_method=syncfs"];
        let knows_it = version.trim().parse::<u32>().is_ok_and(|version| version >= 14);
        let postmaster = self
            .command("postgres")
            .args(if knows_it { &sync[..] } else { &[] })
            .arg("-D")
            .arg(self.data())
            .args(["-p", &self.port.to_string(), "-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "max_connections=300", "-c", "unix_socket_directories="])
            .stdout(log.try_clone().expect("the log"))
            .stderr(log)
            .spawn()
            .expect("start postgres");
        *self.postmaster.lock().expect("no panic") = Some(postmaster);
        let begun = Instant::now();
        loop {
            let mut ready = self.command("pg_isready");
            ready.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
            if ready.status().expect("pg_isready").success() {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Stops the server in order; connections are closed.
    pub fn stop(&self) {
        signal("-INT", &[self.pid()]);
        self.reap();
    }

    /// Kills the postmaster and all its children at once, so that nobody cleans anything up.
    pub fn kill(&self) {
        let pid = self.pid();
        let children = children(pid);
        // First the postmaster, that it may not start others.
        signal("-KILL", &[pid]);
        signal("-KILL", &children);
        self.reap();
        while children.iter().any(|pid| is_alive(*pid)) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Stops all processes of the server from running, or lets them go on: what clients see of it is
    /// a network that swallows everything.
    pub fn freeze(&self, frozen: bool) {
        let pid = self.pid();
        let mut all = children(pid);
        all.push(pid);
        signal(if frozen { "-STOP" } else { "-CONT" }, &all);
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    /// A program of PostgreSQL's, run by the server's user.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.binaries.join(program));
        command.current_dir("/").stdin(Stdio::null());
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
    }

    fn prepare() -> Option<Self> {
        // Said once, not by each test.
        static BINARIES: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
            or_skip("tests on PostgreSQL", binaries().ok_or("it is not installed"))
        });
        let binaries = BINARIES.clone()?;
        let directory = tempfile::tempdir().expect("a temporary directory").keep();
        let is_root = fs::metadata("/proc/self")
            .is_ok_and(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata) == 0);
        let user = is_root.then(|| user("postgres").or_else(|| user("nobody")).expect("a user"));
        if let Some((user, group)) = user {
            chown(&directory, Some(user), Some(group)).expect("give the directory away");
        }
        let mut janitor = Command::new("sh");
        janitor
            .args(["-c", JANITOR, "janitor"])
            .arg(&directory)
            .stdin(Stdio::piped())
            .process_group(0);
        let janitor = janitor.spawn().expect("start the janitor");
        let port = free_port();
        Some(Self { binaries, directory, port, user, postmaster: Mutex::default(), janitor })
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = self.command(program);
        command.arg("-D").arg(self.data()).args(arguments);
        let output = command.output().expect("run a program of PostgreSQL's");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    pub fn psql(&self, text: &str) {
        let mut command = self.command("psql");
        command.args(["-q", "-v", "ON_ERROR_STOP=1", "-d", &self.url("postgres"), "-c", text]);
        let output = command.output().expect("run psql");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn reap(&self) {
        if let Some(mut postmaster) = self.postmaster.lock().expect("no panic").take() {
            postmaster.wait().expect("wait for the server");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let running = self.postmaster.get_mut().ok().is_some_and(|server| server.is_some());
        if running {
            self.freeze(false);
            signal("-QUIT", &[self.pid()]);
            self.reap();
        }
        drop(self.janitor.stdin.take());
        let _ = self.janitor.wait();
    }
}

/// A port outside of the range from which the kernel takes those of clients, so that none is taken
/// while the server is down.
fn free_port() -> u16 {
    loop {
        // Differs each time.
        let number = RandomState::new().hash_one(());
        let port = 15_000 + u16::try_from(number % 17_000).expect("a small number");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Stops the server of the directory `$1`, and deletes it.
const JANITOR: &str = r#"
read -r _
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null) && kill -QUIT "$pid" 2>/dev/null &&
    while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
rm -rf "$1"
"#;

/// The newest that is installed.
fn binaries() -> Option<PathBuf> {
    let version = |path: &Path| -> u32 {
        let version = path.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        version.and_then(|version| version.parse().ok()).unwrap_or(0)
    };
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let installed = debian.map(|entry| entry.path().join("bin"));
    let newest = installed.filter(|path| path.join("initdb").exists()).max_by_key(|p| version(p));
    newest.or_else(|| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).find(|path| path.join("initdb").exists())
    })
}

/// The user's number and the group's.
fn user(name: &str) -> Option<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

fn signal(signal: &str, pids: &[u32]) {
    let pids = pids.iter().map(u32::to_string);
    // Some may have ended by themselves, so that its exit code says nothing.
    Command::new("kill").arg(signal).args(pids).stderr(Stdio::null()).status().expect("run kill");
}

fn children(pid: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|child| status(*child).is_some_and(|(_, parent)| parent == pid)).collect()
}

/// A zombie that nobody waits for is not.
fn is_alive(pid: u32) -> bool {
    status(pid).is_some_and(|(state, _)| !matches!(state, 'Z' | 'X'))
}

/// The state of a process, and its parent.
fn status(pid: u32) -> Option<(char, u32)> {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it is in parentheses, and may have any character.
    let (_, status) = status.rsplit_once(')')?;
    let mut fields = status.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}
