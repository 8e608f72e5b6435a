//! Statements on the connections of a pool, each within its time.

use core::{
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};
use std::sync::Arc;

use deadpool_postgres::{ClientWrapper, Object, Pool, PoolError};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout, timeout_at},
};
use tokio_postgres::{
    Row,
    types::{ToSql, Type},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{array::Parameters, connect::Connector, error::Failure};
use crate::{StoreError, StoreErrorKind};

/// How often a statement is tried, time permitting, before what should pass is taken for an
/// outage.
const ATTEMPTS: usize = 20;
/// How long it may take to tell the server that nobody waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) struct Connections {
    pub(super) pool: Pool,
    timeout: Duration,
    /// Whether statements are prepared and kept for their connection.
    prepared: bool,
    /// As many as connections: whoever has one need not wait for a connection, but perhaps make it.
    turns: Arc<Semaphore>,
    /// With what reads are cancelled that nobody waits for any more, if they are.
    cancel: Option<MakeRustlsConnect>,
}

impl Connections {
    pub(super) fn new(pool: Pool, timeout: Duration, prepared: bool) -> Self {
        let turns = Arc::new(Semaphore::new(pool.status().max_size));
        Self { pool, timeout, prepared, turns, cancel: None }
    }

    /// Cancels reads that get no answer. A read that waits for a standby which is away waits in the
    /// server, which no timeout of the server's ends, and takes a connection from everybody.
    pub(super) fn cancelling(self, connector: &Connector) -> Self {
        Self { cancel: Some(connector.tls()), ..self }
    }

    /// Runs a statement that changes nothing.
    pub(super) async fn read(
        &self,
        context: &'static str,
        statement: &str,
        parameters: Parameters,
    ) -> Result<Vec<Row>, StoreError> {
        self.run(context, statement, parameters, Nature { reads: true, standby: None }).await
    }

    /// Runs a statement that changes nothing, and whose column `standby` says whether the server
    /// must not be believed.
    pub(super) async fn read_primary(
        &self,
        context: &'static str,
        statement: &str,
        parameters: Parameters,
        standby: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let nature = Nature { reads: true, standby: Some(standby) };
        self.run(context, statement, parameters, nature).await
    }

    pub(super) async fn write(
        &self,
        context: &'static str,
        statement: &str,
        parameters: Parameters,
    ) -> Result<Vec<Row>, StoreError> {
        self.run(context, statement, parameters, Nature { reads: false, standby: None }).await
    }

    async fn run(
        &self,
        context: &'static str,
        statement: &str,
        parameters: Parameters,
        nature: Nature,
    ) -> Result<Vec<Row>, StoreError> {
        let call = Arc::new(Call {
            statement: statement.to_owned(),
            parameters,
            prepared: self.prepared,
            nature,
            deadline: Instant::now() + self.timeout,
            cancel: self.cancel.clone().filter(|_| nature.reads),
            progress: AtomicU8::new(WAITING),
        });
        // Each connection may have a statement that is stale by now.
        let attempts = ATTEMPTS + self.pool.status().max_size;
        let mut attempt = 1;
        loop {
            let rows = timeout_at(call.deadline, self.attempt(&call)).await;
            match rows.unwrap_or(Err(Failure::NoAnswer)) {
                Ok(rows) => return Ok(rows),
                Err(Failure::NoAnswer) => return Err(self.too_late(context, &call)),
                Err(failure) if attempt < attempts && failure.is_passing(nature.reads) => {
                    attempt += 1;
                }
                Err(failure) => return Err(failure.into_error(context)),
            }
        }
    }

    async fn attempt(&self, call: &Arc<Call>) -> Result<Vec<Row>, Failure> {
        call.progress.store(WAITING, Ordering::Relaxed);
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        // A task of its own, which goes on if whoever asked gives up: else each client that hangs
        // up would cost a connection, made or half made. There are no more of them than turns.
        let (pool, call) = (self.pool.clone(), Arc::clone(call));
        let answer = tokio::spawn(async move {
            let answer = call.run(&pool).await;
            drop(turn);
            answer
        });
        // It fails to be joined when the runtime ends.
        answer.await.unwrap_or(Err(Failure::NoAnswer))
    }

    fn too_late(&self, context: &str, call: &Call) -> StoreError {
        let problem = match call.progress.load(Ordering::Relaxed) {
            WAITING => "no connection became free",
            CONNECTING => "no connection was made",
            _ => "no answer came",
        };
        let context = format!("{context}: {problem} within {:?}", self.timeout);
        StoreError::new(StoreErrorKind::Unavailable, context)
    }
}

/// How far a call has come.
const WAITING: u8 = 0;
const CONNECTING: u8 = 1;
const ASKING: u8 = 2;

#[derive(Clone, Copy)]
struct Nature {
    reads: bool,
    standby: Option<usize>,
}

/// A statement, with all that it needs.
struct Call {
    statement: String,
    parameters: Parameters,
    prepared: bool,
    nature: Nature,
    deadline: Instant,
    cancel: Option<MakeRustlsConnect>,
    progress: AtomicU8,
}

impl Call {
    async fn run(&self, pool: &Pool) -> Result<Vec<Row>, Failure> {
        self.progress.store(CONNECTING, Ordering::Relaxed);
        let connection = timeout_at(self.deadline, pool.get()).await;
        let connection = connection.map_err(|_| Failure::NoAnswer)?.map_err(Failure::Pool)?;
        let connection = Borrowed(Some(connection));
        self.progress.store(ASKING, Ordering::Relaxed);
        let result = timeout_at(self.deadline, self.on(&connection)).await;
        let result = result.unwrap_or(Err(Failure::NoAnswer));
        match &result {
            Err(Failure::NoAnswer) => self.cancel_on(connection),
            Err(failure) if !failure.keeps_connection() => {}
            _ => connection.give_back(),
        }
        result
    }

    /// Ends the statement in the server, and then the connection.
    fn cancel_on(&self, connection: Borrowed) {
        let Some(tls) = self.cancel.clone() else { return };
        let Some(token) = connection.0.as_ref().map(|client| client.cancel_token()) else { return };
        tokio::spawn(async move {
            let _ = timeout(PATIENCE, token.cancel_query(tls)).await;
            drop(connection);
        });
    }

    async fn on(&self, connection: &Borrowed) -> Result<Vec<Row>, Failure> {
        let client = connection.0.as_ref().ok_or(Failure::Pool(PoolError::Closed))?;
        let rows = self.query(client).await.map_err(Failure::Statement)?;
        let is_standby = self.nature.standby.is_some_and(|column| {
            rows.first().and_then(|row| row.try_get(column).ok()).unwrap_or(false)
        });
        if is_standby { Err(Failure::Standby) } else { Ok(rows) }
    }

    async fn query(&self, client: &ClientWrapper) -> Result<Vec<Row>, tokio_postgres::Error> {
        let parameters = self.parameters.iter();
        if self.prepared {
            let (values, types): (Vec<&(dyn ToSql + Sync)>, Vec<Type>) =
                parameters.map(|(value, of)| (value, of.clone())).unzip();
            let prepared = client.prepare_typed_cached(&self.statement, &types).await?;
            client.query(&prepared, &values).await
        } else {
            let parameters: Vec<(&(dyn ToSql + Sync), Type)> =
                parameters.map(|(value, of)| (value, of.clone())).collect();
            client.query_typed(&self.statement, &parameters).await
        }
    }
}

/// A connection that goes back to the pool only if it is given back: one that has not answered may
/// never do so, and would be handed out over and over.
struct Borrowed(Option<Object>);

impl Borrowed {
    fn give_back(mut self) {
        self.0 = None;
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        if let Some(object) = self.0.take() {
            // Closes it, too.
            drop(Object::take(object));
        }
    }
}
