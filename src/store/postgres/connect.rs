//! Connections: where to, how they are secured, and a pool of them.

use core::{
    pin::Pin,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use std::sync::Arc;

use deadpool_postgres::{Connect, Hook, HookError, Manager, ManagerConfig, Pool};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::task::JoinHandle;
use tokio_postgres::{
    Client, Config, Connection, Error, Socket,
    config::{Host, SslMode, TargetSessionAttrs},
    tls::MakeTlsConnect,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{error::kind, schema::Schema};
use crate::{StoreError, StoreErrorKind};

/// After this a connection is made anew, which finds out about a breaking migration, and spreads
/// connections again after a failover.
const MAX_AGE: Duration = Duration::from_secs(10 * 60);

/// Where what operators must know goes.
const TARGET: &str = "api_tokens";

type Stream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;

/// Makes connections to the primary.
#[derive(Clone)]
pub(super) struct Connector {
    /// One for each host, in the order of the URL.
    hosts: Arc<[Config]>,
    tls: MakeRustlsConnect,
    /// The place of the host that the latest connection was made to.
    latest: Arc<AtomicUsize>,
    /// How long each host but the last has to answer, that the next has its turn in time.
    patience: Duration,
}

impl Connector {
    pub(super) fn new(
        url: &SecretString,
        root_certificate: Option<&str>,
        timeout: Duration,
    ) -> Result<Self, StoreError> {
        let config = parse(url)?;
        let tls = MakeRustlsConnect::new(tls(&config, root_certificate)?);
        let hosts = single_hosts(&config, timeout)?;
        let share = u32::try_from(hosts.len().max(1)).unwrap_or(u32::MAX);
        Ok(Self { hosts: hosts.into(), tls, latest: Arc::default(), patience: timeout / share })
    }

    /// Connects to the first host that is there, answers and takes writes.
    ///
    /// Not by the driver's own loop, which stays for ever at a host that takes the connection and
    /// then says nothing.
    pub(super) async fn connect(&self) -> Result<(Client, Connection<Socket, Stream>), Error> {
        let connect = |config: &Config| {
            let (config, tls) = (config.clone(), self.tls.clone());
            async move { config.connect(tls).await }
        };
        // Where the last connection was made comes first, so that a host which is silent does not
        // cost its share each time.
        let count = self.hosts.len();
        let first = self.latest.load(Ordering::Relaxed);
        let mut told = None;
        for place in (first..count).chain(0..first).take(count.saturating_sub(1)) {
            let Some(host) = self.hosts.get(place) else { break };
            match tokio::time::timeout(self.patience, connect(host)).await {
                Ok(Ok(connected)) => {
                    self.latest.store(place, Ordering::Relaxed);
                    return Ok(connected);
                }
                Ok(Err(error)) => told = Some(more_telling(told, tell(host, error))),
                Err(_) => tracing::debug!(target: TARGET, host = %named(host), "no answer in time"),
            }
        }
        let last = first.checked_sub(1).unwrap_or(count.saturating_sub(1));
        let connected = match self.hosts.get(last) {
            Some(host) => connect(host).await.map_err(|error| tell(host, error)),
            None => connect(&Config::new()).await,
        };
        let connected = connected.map_err(|error| more_telling(told, error))?;
        self.latest.store(last, Ordering::Relaxed);
        Ok(connected)
    }

    /// How connections are secured.
    pub(super) fn tls(&self) -> MakeRustlsConnect {
        self.tls.clone()
    }

    /// A pool of connections, each of them checked and prepared before its first use.
    pub(super) fn pool(
        self,
        max_connections: usize,
        schema: Schema,
        prepare: Option<String>,
    ) -> Result<Pool, StoreError> {
        let (schema, prepare) = (Arc::new(schema), prepare.map(Arc::<str>::from));
        let post_create =
            Hook::async_fn(move |client: &mut deadpool_postgres::ClientWrapper, _| {
                let (schema, prepare) = (Arc::clone(&schema), prepare.clone());
                Box::pin(async move {
                    if let Some(prepare) = prepare {
                        client.batch_execute(&prepare).await.map_err(HookError::Backend)?;
                    }
                    let checked = schema.check(client).await.map_err(HookError::Backend)?;
                    checked.map_err(HookError::message)
                })
            });
        let pre_recycle = Hook::sync_fn(|_, metrics| {
            if metrics.age() < MAX_AGE { Ok(()) } else { Err(HookError::message("old")) }
        });
        let manager = Manager::from_connect(Config::new(), self, ManagerConfig::default());
        Pool::builder(manager)
            .max_size(max_connections)
            .post_create(post_create)
            .pre_recycle(pre_recycle)
            .build()
            .map_err(|error| {
                StoreError::new(StoreErrorKind::Other, "make a pool").with_source(error)
            })
    }
}

/// Which of several hosts it was, for whoever looks for the reason of an outage.
fn tell(host: &Config, error: Error) -> Error {
    let reason: &dyn std::error::Error = &error;
    tracing::debug!(target: TARGET, host = %named(host), error = reason, "cannot connect");
    error
}

/// The host and port of a configuration that has one.
fn named(host: &Config) -> String {
    let name = match host.get_hosts().first() {
        Some(Host::Tcp(name)) => name.clone(),
        #[cfg(unix)]
        Some(Host::Unix(path)) => path.display().to_string(),
        None => host.get_hostaddrs().first().map(ToString::to_string).unwrap_or_default(),
    };
    let port = host.get_ports().first().copied().unwrap_or(5432);
    format!("{name}:{port}")
}

/// Of the errors of two hosts: that one is away says less than that another refuses the password,
/// which no waiting will mend.
fn more_telling(told: Option<Error>, error: Error) -> Error {
    match told {
        Some(told) if kind(&told) != StoreErrorKind::Unavailable => told,
        _ => error,
    }
}

impl Connect for Connector {
    fn connect(
        &self,
        _config: &Config,
    ) -> Pin<Box<dyn Future<Output = Result<(Client, JoinHandle<()>), Error>> + Send + '_>> {
        Box::pin(async move {
            let (client, connection) = Self::connect(self).await?;
            let task = tokio::spawn(async move {
                // Whoever waits for an answer is told of the error as well.
                let _ = connection.await;
            });
            Ok((client, task))
        })
    }
}

fn parse(url: &SecretString) -> Result<Config, StoreError> {
    const NOT_VALID: &str = "the connection string is not a valid one: it must be \
        postgres://user:password@host/database, each part percent-encoded, or libpq's host=… \
        user=…; sslrootcert is PostgresOptions::root_certificate_pem, and sslmode one of disable, \
        prefer and require";
    // Whenever there is TLS, certificate and name are verified, so these are one.
    let url = url
        .expose_secret()
        .replace("sslmode=verify-full", "sslmode=require")
        .replace("sslmode=verify-ca", "sslmode=require");
    // Without the driver's own error, which may quote part of the password.
    url.parse().map_err(|_| StoreError::new(StoreErrorKind::Other, NOT_VALID))
}

fn tls(config: &Config, root_certificate: Option<&str>) -> Result<ClientConfig, StoreError> {
    let failed = |context| StoreError::new(StoreErrorKind::Other, context);
    let mut roots = RootCertStore::empty();
    match root_certificate {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                let certificate = certificate
                    .map_err(|error| failed("read a root certificate").with_source(error))?;
                roots
                    .add(certificate)
                    .map_err(|error| failed("use a root certificate").with_source(error))?;
            }
            if roots.is_empty() {
                return Err(failed("there is no root certificate in the text"));
            }
        }
        None if config.get_ssl_mode() == SslMode::Disable => {}
        None => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed("set up TLS").with_source(error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // What PostgreSQL expects of connections that begin with TLS (`sslnegotiation=direct`).
    tls.alpn_protocols = vec![b"postgresql".to_vec()];
    Ok(tls)
}

/// One configuration for each host, with what else is the same for all.
fn single_hosts(config: &Config, timeout: Duration) -> Result<Vec<Config>, StoreError> {
    let failed = |context| StoreError::new(StoreErrorKind::Other, context);
    let (hosts, addresses, ports) =
        (config.get_hosts(), config.get_hostaddrs(), config.get_ports());
    let count = hosts.len().max(addresses.len());
    if count == 0 {
        return Err(failed("the connection string has no host"));
    }
    if (!hosts.is_empty() && !addresses.is_empty() && hosts.len() != addresses.len())
        || (ports.len() > 1 && ports.len() != count)
    {
        return Err(failed("the connection string has not as many ports or addresses as hosts"));
    }
    let single = |place: usize| {
        let mut single = common(config, timeout);
        match hosts.get(place) {
            Some(Host::Tcp(host)) => {
                single.host(host);
            }
            #[cfg(unix)]
            Some(Host::Unix(path)) => {
                single.host_path(path);
            }
            None => {}
        }
        if let Some(address) = addresses.get(place) {
            single.hostaddr(*address);
        }
        if let Some(port) = ports.get(place).or(ports.first()) {
            single.port(*port);
        }
        single
    };
    Ok((0..count).map(single).collect())
}

fn common(config: &Config, timeout: Duration) -> Config {
    /// The driver's default, with which a dead connection is noticed after two hours.
    const UNSET: Duration = Duration::from_secs(2 * 60 * 60);

    let mut common = Config::new();
    if let Some(user) = config.get_user() {
        common.user(user);
    }
    if let Some(password) = config.get_password() {
        common.password(password);
    }
    if let Some(dbname) = config.get_dbname() {
        common.dbname(dbname);
    }
    if let Some(options) = config.get_options() {
        common.options(options);
    }
    common.application_name(config.get_application_name().unwrap_or("api-tokens"));
    let idle = config.get_keepalives_idle();
    common
        .ssl_mode(config.get_ssl_mode())
        .ssl_negotiation(config.get_ssl_negotiation())
        .channel_binding(config.get_channel_binding())
        // What is read must not be older than what was acknowledged.
        .target_session_attrs(TargetSessionAttrs::ReadWrite)
        .connect_timeout(config.get_connect_timeout().copied().unwrap_or(timeout))
        .tcp_user_timeout(
            config
                .get_tcp_user_timeout()
                .copied()
                .unwrap_or(timeout.max(Duration::from_secs(1)) * 2),
        )
        .keepalives(config.get_keepalives())
        .keepalives_idle(if idle == UNSET { Duration::from_secs(15) } else { idle })
        .keepalives_interval(config.get_keepalives_interval().unwrap_or(Duration::from_secs(5)))
        .keepalives_retries(config.get_keepalives_retries().unwrap_or(3));
    common
}
