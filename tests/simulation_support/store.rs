use std::sync::Arc;

use api_tokens::{
    Changes, Cursor, EventNumber, Found, ListFilter, NumberedEvent, PageKey, StoreError,
    StoreErrorKind, TokenId, TokenRecord, TokenStore, Usage, WriteBatch,
};
use jiff::Timestamp;

use super::{coverage::Seen, server::Server, world::World};

/// The store as a node sees it.
pub(crate) struct SimulatedStore {
    pub(crate) world: World,
    pub(crate) server: Server,
    pub(crate) node: usize,
    /// Whoever has the other half knows when the node is gone.
    pub(crate) _alive: Arc<()>,
}

impl TokenStore for SimulatedStore {
    async fn find(&self, id: &TokenId) -> Result<Option<Found>, StoreError> {
        let begun = self.world.now();
        let found = self.server.find(self.node, *id).await;
        if let Ok(Some(_)) = found {
            let is_barred =
                self.server.with_history(|history| history.note_read(self.node, begun, *id));
            if is_barred {
                self.world.count(Seen::Barred);
            }
        }
        self.world.log(|| match &found {
            Ok(Some(Found { record, as_of })) => {
                format!("found {id} v{} as of {}", record.version, as_of.0)
            }
            Ok(None) => format!("found no {id}"),
            Err(error) => format!("find: {error}"),
        });
        found
    }

    async fn write(&self, batch: &WriteBatch) -> Result<(), StoreError> {
        let written = self.server.write(self.node, batch.clone()).await;
        let now = self.world.now();
        self.server.with_history(|history| {
            for record in batch.inserts.iter().chain(&batch.updates) {
                history.note_forgotten(self.node, now, record.id);
            }
        });
        self.world.log(|| format!("written: {written:?}"));
        written
    }

    async fn changes_since(
        &self,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Changes, StoreError> {
        let begun = self.world.now();
        let changes = self.server.changes_since(self.node, cursor.copied(), limit).await;
        let now = self.world.now();
        self.server.with_history(|history| match &changes {
            Ok(Changes::Since { changes, .. }) => {
                for change in changes {
                    history.note_forgotten(self.node, now, change.id);
                }
                if history.has_changed_since(begun) {
                    self.world.count(Seen::PollAnsweredLate);
                }
            }
            Ok(Changes::Reset { .. }) => {
                history.note_all_forgotten(self.node, now);
                self.world.count_many(Seen::Reset, u64::from(cursor.is_some()));
            }
            Err(_) => {}
        });
        self.world.log(|| format!("changes: {changes:?}"));
        changes
    }

    async fn prune(&self, ended_before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.server.prune(self.node, ended_before, limit).await
    }

    // Nothing below is asked for here.

    async fn list(
        &self,
        _filter: &ListFilter,
        _after: Option<&PageKey>,
        _limit: usize,
    ) -> Result<Vec<TokenRecord>, StoreError> {
        unused()
    }

    async fn changed(&self) {
        std::future::pending::<()>().await;
    }

    async fn record_usage(&self, _batch: &[Usage]) -> Result<(), StoreError> {
        unused()
    }

    async fn usage(&self, _ids: &[TokenId]) -> Result<Vec<Usage>, StoreError> {
        unused()
    }

    async fn events(
        &self,
        _token: &TokenId,
        _before: Option<EventNumber>,
        _limit: usize,
    ) -> Result<Vec<NumberedEvent>, StoreError> {
        unused()
    }
}

fn unused<T>() -> Result<T, StoreError> {
    Err(StoreError::new(StoreErrorKind::Other, "not part of the simulation"))
}
