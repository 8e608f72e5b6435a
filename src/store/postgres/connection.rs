//! Statements on the connections of a pool, each within its time.

use core::time::Duration;

use deadpool_postgres::{ClientWrapper, Object, Pool, PoolError};
use tokio::time::{Instant, timeout_at};
use tokio_postgres::{
    Row,
    types::{ToSql, Type},
};

use super::{array::Parameters, error::Failure};
use crate::{StoreError, StoreErrorKind};

/// How often a statement is tried, time permitting, before what should pass is taken for an
/// outage.
const ATTEMPTS: u32 = 20;

pub(super) struct Connections {
    pub(super) pool: Pool,
    pub(super) timeout: Duration,
    /// Whether statements are prepared and kept for their connection.
    pub(super) prepared: bool,
}

impl Connections {
    /// Runs a statement that changes nothing.
    pub(super) async fn read(
        &self,
        context: &'static str,
        statement: &str,
        parameters: &Parameters,
    ) -> Result<Vec<Row>, StoreError> {
        self.run(context, statement, parameters, Nature { reads: true, standby: None }).await
    }

    /// Runs a statement that changes nothing, and whose column `standby` says whether the server
    /// must not be believed.
    pub(super) async fn read_primary(
        &self,
        context: &'static str,
        statement: &str,
        parameters: &Parameters,
        standby: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let nature = Nature { reads: true, standby: Some(standby) };
        self.run(context, statement, parameters, nature).await
    }

    pub(super) async fn write(
        &self,
        context: &'static str,
        statement: &str,
        parameters: &Parameters,
    ) -> Result<Vec<Row>, StoreError> {
        self.run(context, statement, parameters, Nature { reads: false, standby: None }).await
    }

    async fn run(
        &self,
        context: &'static str,
        statement: &str,
        parameters: &Parameters,
        nature: Nature,
    ) -> Result<Vec<Row>, StoreError> {
        let deadline = Instant::now() + self.timeout;
        let mut attempt = 1;
        loop {
            let mut connected = false;
            let rows = self.attempt(statement, parameters, nature, &mut connected);
            let Ok(result) = timeout_at(deadline, rows).await else {
                return Err(self.too_late(context, connected));
            };
            match result {
                Ok(rows) => return Ok(rows),
                Err(failure) if attempt < ATTEMPTS && failure.is_passing(nature.reads) => {
                    attempt += 1;
                }
                Err(failure) => return Err(failure.into_error(context)),
            }
        }
    }

    async fn attempt(
        &self,
        statement: &str,
        parameters: &Parameters,
        nature: Nature,
        connected: &mut bool,
    ) -> Result<Vec<Row>, Failure> {
        let connection = Borrowed(Some(self.pool.get().await.map_err(Failure::Pool)?));
        *connected = true;
        let client = connection.0.as_ref().ok_or(Failure::Pool(PoolError::Closed))?;
        let result = query(client, statement, parameters, self.prepared).await;
        let result = result.and_then(|rows| {
            let standby = nature.standby.is_some_and(|column| {
                rows.first().and_then(|row| row.try_get(column).ok()).unwrap_or(false)
            });
            if standby { Err(Failure::Standby) } else { Ok(rows) }
        });
        if result.as_ref().err().is_none_or(Failure::keeps_connection) {
            connection.give_back();
        }
        result
    }

    fn too_late(&self, context: &str, connected: bool) -> StoreError {
        let status = self.pool.status();
        let problem = if connected {
            "no answer came"
        } else if status.size >= status.max_size {
            "no connection became free"
        } else {
            "no connection was made"
        };
        let context = format!("{context}: {problem} within {:?}", self.timeout);
        StoreError::new(StoreErrorKind::Unavailable, context)
    }
}

#[derive(Clone, Copy)]
struct Nature {
    reads: bool,
    standby: Option<usize>,
}

async fn query(
    client: &ClientWrapper,
    statement: &str,
    parameters: &Parameters,
    prepared: bool,
) -> Result<Vec<Row>, Failure> {
    let rows = if prepared {
        let types: Vec<Type> = parameters.iter().map(|(_, of)| of.clone()).collect();
        let values: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|(value, _)| value).collect();
        match client.prepare_typed_cached(statement, &types).await {
            Ok(prepared) => client.query(&prepared, &values).await,
            Err(error) => Err(error),
        }
    } else {
        let parameters: Vec<(&(dyn ToSql + Sync), Type)> =
            parameters.iter().map(|(value, of)| (value, of.clone())).collect();
        client.query_typed(statement, &parameters).await
    };
    rows.map_err(Failure::Statement)
}

/// A connection that goes back to the pool only if it is given back: one whose call was given up
/// may never answer again, and would be handed out over and over.
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
