use core::time::Duration;
use std::sync::Arc;

use secrecy::SecretString;
use tokio::sync::watch;

use super::{
    PostgresStore, Shared, connect::Connector, connection::Connections, error::Failure,
    features::Features, listener::Listener, schema::Schema, statements::Statements,
};
use crate::{StoreError, StoreErrorKind};

/// How a [`PostgresStore`] is opened: which database, which schema in it, and how to connect.
///
/// # Defaults
///
/// - schema: `api_tokens`, a PostgreSQL schema of its own, so that the tables are
///   `api_tokens.token`, `token_head`, `token_change`, `token_usage`, `token_event` and
///   `token_migration`
/// - connections: 10 at most, one or two that read changes, and one that listens
/// - timeout: 5 seconds
/// - notifications: on
/// - transaction pooler: none
/// - confirmed reads: off
///
/// ```no_run
/// # async fn open() -> Result<(), api_tokens::StoreError> {
/// use api_tokens::PostgresOptions;
///
/// let options = PostgresOptions::new("postgres://service:secret@a,b,c/service?sslmode=require");
/// options.migrate().await?;
/// let store = options.open().await?;
/// # Ok(()) }
/// ```
///
/// # TLS
///
/// By the `sslmode` of the connection string: `disable`, `prefer` (the default: if the server
/// offers it) and `require`. Whenever there is TLS, the server's certificate is verified, its name
/// included, against the system's roots, or against those of
/// [`root_certificate_pem`](Self::root_certificate_pem) alone; a certificate that fails this is an
/// error in every mode, unlike with libpq, whose `prefer` takes any. So `verify-ca` and
/// `verify-full` are taken for `require`. With `prefer`, somebody on the network can keep the
/// server from offering TLS: use `require` on any network.
/// Passwords are bound to the connection's certificate where the server can
/// (`channel_binding=require` insists on it).
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    url: SecretString,
    schema: String,
    max_connections: usize,
    timeout: Duration,
    notifications: bool,
    transaction_pooler: bool,
    confirmed_reads: bool,
    root_certificate: Option<String>,
}

impl PostgresOptions {
    /// The defaults, for the database at `url`: `postgres://user:password@host:port/database`, or
    /// libpq's `host=… user=…`.
    ///
    /// Several hosts (`a,b,c`) are tried in this order, until one takes writes; each has its share
    /// of the timeout. So `target_session_attrs` is ignored: only servers that take writes are
    /// used. `tcp_user_timeout` is in seconds, unlike libpq's milliseconds. Keepalives are sent
    /// after 15 seconds, if the string does not say otherwise.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self {
            url: url.into(),
            schema: "api_tokens".to_owned(),
            max_connections: 10,
            timeout: Duration::from_secs(5),
            notifications: true,
            transaction_pooler: false,
            confirmed_reads: false,
            root_certificate: None,
        }
    }

    /// The PostgreSQL schema of the tables: 1 to 48 characters of `a-z`, `0-9` and `_`, which
    /// neither start with a digit nor with `pg_`.
    #[must_use]
    pub fn schema(self, schema: &str) -> Self {
        Self { schema: schema.to_owned(), ..self }
    }

    /// The largest number of connections for calls, at least 1; a call beyond that waits for one.
    /// Besides these, one reads changes, or two while the first hangs, so that a cache's polls
    /// never wait behind its lookups; and one listens, if there are
    /// [`notifications`](Self::notifications).
    #[must_use]
    pub fn max_connections(self, connections: usize) -> Self {
        Self { max_connections: connections.max(1), ..self }
    }

    /// How long a call takes at most, from a millisecond to a day, with all that belongs to it:
    /// waiting for a connection, making one, the answer. Beyond it the store is
    /// [`Unavailable`](StoreErrorKind::Unavailable), and the connection is closed. The server gives
    /// up after the same time, so that no statement waits for a lock without anybody waiting for
    /// it.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self { timeout: timeout.clamp(Duration::from_millis(1), DAY), ..self }
    }

    /// Whether changes are announced with `NOTIFY` and listened for on a connection of its own, so
    /// that [`changed`](crate::TokenStore::changed) resolves. Only updates are announced. It costs
    /// an update little, but all commits with a `NOTIFY` in one server wait for one another: the
    /// host's as well, if it uses them.
    #[must_use]
    pub fn notifications(self, notifications: bool) -> Self {
        Self { notifications, ..self }
    }

    /// Whether the URL leads to a pooler that gives each transaction another connection, such as
    /// PgBouncer in transaction mode. Then no statement is prepared, which costs each call the
    /// parsing and planning of its statement; no session is configured, so that the server's own
    /// `statement_timeout` holds; and nobody listens, since a pooler does not pass notifications
    /// on. [`migrate`](Self::migrate) works through the pooler, too.
    #[must_use]
    pub fn transaction_pooler(self, pooler: bool) -> Self {
        Self { transaction_pooler: pooler, ..self }
    }

    /// Whether a `find`, a `list` and a `changes_since` wait for the **synchronous standby**, as a
    /// write does.
    ///
    /// PostgreSQL lets a primary that has been replaced, and has not noticed, go on answering reads
    /// from the past. What stops it is fencing, such as Patroni's watchdog; a machine that runs on
    /// without its Patroni is not stopped. With this, such a server answers nothing: its standby
    /// has left it. So the promise of `Cache` then needs no fencing, as long as the server's
    /// `synchronous_standby_names` is not emptied: with Patroni, set `synchronous_mode_strict`.
    ///
    /// It costs a commit for each poll and for each record that is not in the cache: what one write
    /// takes, an entry in the write-ahead log, and a transaction number. So use it with a cache,
    /// and with a `poll_interval` of about a quarter of `max_staleness`: hints still make a
    /// revocation count within milliseconds. Without a synchronous standby it confirms nothing.
    /// Where that is away, reads wait as writes do, and are cancelled in the server when their time
    /// is up, since they would take its connections from everybody.
    #[must_use]
    pub fn confirmed_reads(self, confirmed: bool) -> Self {
        Self { confirmed_reads: confirmed, ..self }
    }

    /// The certificates, as PEM, of the authorities that the server's certificate must be signed
    /// by, instead of the system's: what `sslrootcert` names for libpq.
    #[must_use]
    pub fn root_certificate_pem(self, pem: &str) -> Self {
        Self { root_certificate: Some(pem.to_owned()), ..self }
    }

    /// Creates the schema and its tables, or brings them to the version that this crate needs.
    ///
    /// In one transaction. Several processes may do this at once: one does it, and the others wait
    /// for that. The role needs the right to create a schema in the database, or if the schema
    /// exists, to create tables in it; a role that only uses the store needs `USAGE` of the schema
    /// and `SELECT, INSERT, UPDATE, DELETE` on its tables.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database cannot be reached within the timeout or a migration fails; no
    /// table is changed then.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        const CONTEXT: &str = "connect, to migrate";
        let schema = Schema::new(&self.schema)?;
        let connecting = self.connector()?;
        let Ok(connected) = tokio::time::timeout(self.timeout, connecting.connect()).await else {
            let context = format!("{CONTEXT}: no connection was made within {:?}", self.timeout);
            return Err(StoreError::new(StoreErrorKind::Unavailable, context));
        };
        let (mut client, connection) =
            connected.map_err(|error| super::error::failed(CONTEXT, error))?;
        let connection = tokio::spawn(connection);
        let result = schema.migrate(&mut client).await;
        connection.abort();
        result
    }

    /// The SQL of each migration, for those who run their own: the first makes the schema and
    /// version 1 of its tables, and so on. Each belongs in a transaction.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the schema's name is not valid.
    pub fn migrations(&self) -> Result<Vec<String>, StoreError> {
        Ok(Schema::new(&self.schema)?.migrations())
    }

    /// Opens the store: makes a first connection, and begins to listen.
    ///
    /// Every connection that is made later checks the tables again, and none is used for longer
    /// than ten minutes. So when the tables are migrated to a version that this program is too old
    /// for, every call fails within ten minutes, with [`Other`](StoreErrorKind::Other); other
    /// versions do not disturb it, so that nodes can be replaced one after the other.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database cannot be reached within the timeout, if its tables are
    /// missing or older than this crate needs ([`migrate`](Self::migrate) was not run), or newer
    /// than it understands.
    pub async fn open(&self) -> Result<PostgresStore, StoreError> {
        const CONTEXT: &str = "open the store";
        let schema = Schema::new(&self.schema)?;
        let connector = self.connector()?;
        let prepare = (!self.transaction_pooler).then(|| {
            format!(
                "SET statement_timeout = {}; \
                 SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED",
                self.timeout.as_millis(),
            )
        });
        let connections = |number| -> Result<Connections, StoreError> {
            let pool = connector.clone().pool(number, schema.clone(), prepare.clone())?;
            let connections = Connections::new(pool, self.timeout, !self.transaction_pooler);
            Ok(if self.confirmed_reads { connections.cancelling(&connector) } else { connections })
        };
        // A second one for the feed while the first one hangs.
        let (feed, connections) = (connections(2)?, connections(self.max_connections)?);
        let first = async {
            let client = connections
                .pool
                .get()
                .await
                .map_err(|error| Failure::Pool(error).into_error(CONTEXT))?;
            Features::probe(&client).await
        };
        let Ok(features) = tokio::time::timeout(self.timeout, first).await else {
            let context = format!("{CONTEXT}: no answer came within {:?}", self.timeout);
            return Err(StoreError::new(StoreErrorKind::Unavailable, context));
        };
        let hints = watch::Sender::new(());
        let listener = (self.notifications && !self.transaction_pooler)
            .then(|| Listener::start(connector, schema.channel(), self.timeout, hints.clone()));
        Ok(PostgresStore {
            shared: Arc::new(Shared {
                statements: Statements::new(
                    &schema,
                    features?,
                    self.notifications,
                    self.confirmed_reads,
                ),
                connections,
                feed,
                hints,
                _listener: listener,
            }),
        })
    }

    fn connector(&self) -> Result<Connector, StoreError> {
        Connector::new(&self.url, self.root_certificate.as_deref(), self.timeout)
    }
}
