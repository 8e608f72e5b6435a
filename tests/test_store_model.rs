//! Random operations on a store and on a model that is too simple to be wrong: both must agree.

use std::collections::{BTreeMap, BTreeSet};

use api_tokens::{
    Change, Changes, Cursor, Digester, DynTokenStore, Event, EventKind, EventNumber, Keyring,
    ListFilter, MemoryStore, Metadata, NumberedEvent, PageKey, ParsedToken, Prefix, Revision,
    Revocation, Scopes, SqliteOptions, StoreErrorKind, Token, TokenId, TokenRecord, TokenStore,
    Usage, WriteBatch, prefix,
};
use jiff::Timestamp;
use proptest::prelude::*;
use rand::{SeedableRng, rngs::ChaCha8Rng};

const PREFIX: Prefix = prefix!("model");
const PARTIES: [&str; 3] = ["a", "b", "ä"];

/// Few ids, parties and times, so that operations meet.
#[derive(Debug, Clone)]
enum Operation {
    Write {
        inserts: Vec<Insert>,
        updates: Vec<Update>,
        unchanged: Vec<Unchanged>,
        events: Vec<Option<usize>>,
    },
    Find {
        id: usize,
    },
    List {
        project: Option<usize>,
        owner: Option<usize>,
        after: Option<(i64, usize)>,
        limit: usize,
    },
    Changes {
        read: u64,
        limit: usize,
    },
    RecordUsage {
        used: BTreeMap<usize, i64>,
    },
    Usage {
        ids: BTreeSet<usize>,
    },
    Events {
        id: usize,
        before: Option<u64>,
        limit: usize,
    },
    Prune {
        before: i64,
        limit: usize,
    },
}

/// An id; if it `fits`, one that has a record or has none, as the batch expects.
#[derive(Debug, Clone, Copy)]
struct Pick {
    id: usize,
    fits: bool,
}

#[derive(Debug, Clone)]
struct Insert {
    pick: Pick,
    project: usize,
    owner: usize,
    created_at: i64,
    expires_at: Option<i64>,
}

/// `ahead` of the stored version, mostly by one.
#[derive(Debug, Clone)]
struct Update {
    pick: Pick,
    ahead: u32,
    revoked_at: Option<i64>,
}

/// `ahead` of the stored version, mostly not.
#[derive(Debug, Clone)]
struct Unchanged {
    pick: Pick,
    ahead: u32,
}

const IDS: usize = 8;

fn write() -> impl Strategy<Value = Operation> {
    let party = || 0..PARTIES.len();
    let time = || 0..6_i64;
    let pick =
        || (0..IDS, prop::bool::weighted(0.9)).prop_map(|(id, fits)| Pick { id, fits }).boxed();
    let insert = (pick(), party(), party(), time(), prop::option::of(time())).prop_map(
        |(pick, project, owner, created_at, expires_at)| Insert {
            pick,
            project,
            owner,
            created_at,
            expires_at,
        },
    );
    let mostly = |usual: u32| prop_oneof![9 => Just(usual), 1 => 0..4_u32];
    let update = (pick(), mostly(1), prop::option::weighted(0.2, time()))
        .prop_map(|(pick, ahead, revoked_at)| Update { pick, ahead, revoked_at });
    let unchanged = (pick(), mostly(0)).prop_map(|(pick, ahead)| Unchanged { pick, ahead });
    (
        prop::collection::vec(insert, 0..3),
        prop::collection::vec(update, 0..3),
        prop::collection::vec(unchanged, 0..2),
        prop::collection::vec(prop::option::weighted(0.9, 0..IDS), 0..4),
    )
        .prop_map(|(inserts, updates, unchanged, events)| Operation::Write {
            inserts,
            updates,
            unchanged,
            events,
        })
}

fn operation() -> impl Strategy<Value = Operation> {
    let id = 0..IDS;
    let party = 0..PARTIES.len();
    let time = 0..6_i64;
    prop_oneof![
        8 => write(),
        2 => id.clone().prop_map(|id| Operation::Find { id }),
        2 => (
            prop::option::of(party.clone()),
            prop::option::of(party),
            prop::option::of((time.clone(), id.clone())),
            0..5_usize
        )
            .prop_map(|(project, owner, after, limit)| Operation::List {
                project, owner, after, limit
            }),
        2 => (0..10_u64, 0..5_usize).prop_map(|(read, limit)| Operation::Changes { read, limit }),
        2 => prop::collection::btree_map(id.clone(), time.clone(), 0..4)
            .prop_map(|used| Operation::RecordUsage { used }),
        1 => prop::collection::btree_set(id.clone(), 0..IDS)
            .prop_map(|ids| Operation::Usage { ids }),
        2 => (id, prop::option::of(0..30_u64), 0..5_usize)
            .prop_map(|(id, before, limit)| Operation::Events { id, before, limit }),
        1 => (time, 0..4_usize).prop_map(|(before, limit)| Operation::Prune { before, limit }),
    ]
}

#[derive(Default)]
struct Model {
    records: BTreeMap<TokenId, TokenRecord>,
    changes: Vec<TokenId>,
    usage: BTreeMap<TokenId, Usage>,
    events: Vec<Event>,
}

struct World {
    ids: Vec<TokenId>,
    digester: Digester,
    tokens: Vec<Token>,
}

impl World {
    fn new() -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let mut tokens: Vec<_> =
            (0..IDS).map(|_| Token::generate(&PREFIX, &mut rng).expect("a token")).collect();
        // So that what is in the order of these numbers is in the order of the ids.
        tokens.sort_by_key(Token::id);
        Self {
            ids: tokens.iter().map(Token::id).collect(),
            digester: Keyring::unkeyed().digester(&PREFIX),
            tokens,
        }
    }

    fn record(&self, id: usize, project: usize, owner: usize, created_at: i64) -> TokenRecord {
        let text = self.tokens[id].expose_secret().as_bytes();
        let parsed = ParsedToken::parse(&PREFIX, text).expect("a token");
        TokenRecord {
            id: self.ids[id],
            prefix: PREFIX,
            digest: self.digester.digest(&parsed),
            project: PARTIES[project].parse().expect("a project"),
            name: "a token".parse().expect("a name"),
            owner: PARTIES[owner].parse().expect("an owner"),
            created_by: "x".parse().expect("a creator"),
            created_through: None,
            scopes: Scopes::default(),
            metadata: Metadata::default(),
            created_at: at(created_at),
            not_before: None,
            expires_at: None,
            disabled: false,
            revocation: None,
            rotation: None,
            version: 1,
        }
    }

    fn picked(&self, Pick { id, fits }: Pick, exists: bool, model: &Model) -> usize {
        let possible: Vec<usize> = (0..IDS)
            .filter(|id| model.records.contains_key(&self.ids[*id]) == (exists == fits))
            .collect();
        possible.get(id % possible.len().max(1)).copied().unwrap_or(id)
    }

    /// Leaves out what no caller does: to name an id twice among inserts and updates.
    fn batch(
        &self,
        inserts: Vec<Insert>,
        updates: Vec<Update>,
        unchanged: &[Unchanged],
        events: &[Option<usize>],
        model: &Model,
    ) -> WriteBatch {
        let mut named = BTreeSet::new();
        let version = |id: usize| model.version(&self.ids[id]).unwrap_or(0);
        let mut batch = WriteBatch::default();
        for Insert { pick, project, owner, created_at, expires_at } in inserts {
            let id = self.picked(pick, false, model);
            if named.insert(id) {
                let record = self.record(id, project, owner, created_at);
                batch.inserts.push(TokenRecord { expires_at: expires_at.map(at), ..record });
            }
        }
        for Update { pick, ahead, revoked_at } in updates {
            let id = self.picked(pick, true, model);
            if named.insert(id) {
                let stored = model.records.get(&self.ids[id]);
                let mut record = stored.cloned().unwrap_or_else(|| self.record(id, 0, 0, 0));
                record.version = version(id) + ahead;
                record.revocation = revoked_at.map(revocation);
                batch.updates.push(record);
            }
        }
        for Unchanged { pick, ahead } in unchanged {
            let id = self.picked(*pick, true, model);
            batch.unchanged.push((self.ids[id], version(id) + ahead));
        }
        batch.events = events
            .iter()
            .zip(model.events.len()..)
            .map(|(id, count)| Event {
                at: at(1),
                token: id.map(|id| self.ids[id]),
                project: None,
                by: None,
                kind: EventKind::BulkChanged { count: count.try_into().expect("a count") },
            })
            .collect();
        batch
    }

    async fn apply(&self, operation: Operation, store: &DynTokenStore, model: &mut Model) {
        match operation {
            Operation::Write { inserts, updates, unchanged, events } => {
                let batch = self.batch(inserts, updates, &unchanged, &events, model);
                let result = store.write(&batch).await.map_err(|error| error.kind());
                assert_eq!(result, model.write(batch));
            }
            Operation::RecordUsage { used } => {
                let usage = |(id, second): (usize, i64)| Usage {
                    id: self.ids[id],
                    last_used_at: at(second),
                    client_address: None,
                    // Another one each time, so that it shows which one is kept.
                    user_agent: Some(format!("{second} after {} events", model.events.len())),
                };
                let batch: Vec<Usage> = used.into_iter().map(usage).collect();
                store.record_usage(&batch).await.expect("record_usage");
                model.record_usage(batch);
            }
            Operation::Usage { ids } => {
                let ids: Vec<TokenId> = ids.into_iter().map(|id| self.ids[id]).collect();
                let mut usages = store.usage(&ids).await.expect("usage");
                usages.sort_by_key(|usage| usage.id);
                let expected: Vec<_> =
                    ids.iter().filter_map(|id| model.usage.get(id).cloned()).collect();
                assert_eq!(usages, expected);
            }
            Operation::Events { id, before, limit } => {
                let before = before.map(EventNumber);
                let read = store.events(&self.ids[id], before, limit).await.expect("events");
                assert_eq!(read, model.events(&self.ids[id], before, limit));
            }
            Operation::Find { id } => {
                let found = store.find(&self.ids[id]).await.expect("find");
                if let Some(found) = &found {
                    assert_eq!(found.as_of, model.head());
                }
                let found = found.map(|found| (*found.record).clone());
                assert_eq!(found.as_ref(), model.records.get(&self.ids[id]));
            }
            Operation::List { project, owner, after, limit } => {
                let filter = ListFilter {
                    project: project.map(|i| PARTIES[i].parse().expect("a project")),
                    owner: owner.map(|i| PARTIES[i].parse().expect("an owner")),
                };
                let after =
                    after.map(|(time, id)| PageKey { created_at: at(time), id: self.ids[id] });
                let listed = store.list(&filter, after.as_ref(), limit).await.expect("list");
                assert_eq!(listed, model.list(&filter, after, limit));
            }
            Operation::Changes { read, limit } => {
                let Ok(Changes::Reset { next: head }) = store.changes_since(None, 1).await else {
                    panic!("a reader begins with a reset")
                };
                assert_eq!(head.revision, model.head());
                let cursor = Cursor { revision: Revision(read), ..head };
                let answer = store.changes_since(Some(&cursor), limit).await.expect("changes");
                assert_eq!(answer, model.changes_since(cursor, limit));
            }
            Operation::Prune { before, limit } => {
                let pruned = store.prune(at(before), limit).await.expect("prune");
                let mut gone = Vec::new();
                for id in model.records.keys() {
                    if store.find(id).await.expect("find").is_none() {
                        gone.push(*id);
                    }
                }
                assert_eq!(pruned, gone.len());
                model.prune(at(before), limit, &gone);
            }
        }
    }
}

impl Model {
    fn head(&self) -> Revision {
        Revision(self.changes.len().try_into().expect("a count"))
    }

    fn version(&self, id: &TokenId) -> Option<u32> {
        self.records.get(id).map(|record| record.version)
    }

    fn write(&mut self, batch: WriteBatch) -> Result<(), StoreErrorKind> {
        let WriteBatch { inserts, updates, unchanged, events } = batch;
        let as_expected = inserts.iter().all(|record| self.version(&record.id).is_none())
            && updates.iter().all(|record| {
                self.version(&record.id).is_some_and(|stored| stored + 1 == record.version)
            })
            && unchanged.iter().all(|(id, version)| self.version(id) == Some(*version));
        if !as_expected {
            return Err(StoreErrorKind::Conflict);
        }
        for record in inserts {
            self.records.insert(record.id, record);
        }
        for record in updates {
            self.changes.push(record.id);
            self.records.insert(record.id, record);
        }
        self.events.extend(events);
        Ok(())
    }

    fn record_usage(&mut self, batch: Vec<Usage>) {
        for usage in batch {
            let is_news = match self.usage.get(&usage.id) {
                Some(kept) => usage.last_used_at > kept.last_used_at,
                None => self.records.contains_key(&usage.id),
            };
            if is_news {
                self.usage.insert(usage.id, usage);
            }
        }
    }

    /// The stores of this crate number their events without gaps.
    fn events(
        &self,
        token: &TokenId,
        before: Option<EventNumber>,
        limit: usize,
    ) -> Vec<NumberedEvent> {
        let mut events: Vec<_> = (1..)
            .zip(self.events.iter().cloned())
            .map(|(number, event)| NumberedEvent { number: EventNumber(number), event })
            .filter(|event| event.event.token == Some(*token))
            .filter(|event| before.is_none_or(|before| event.number < before))
            .collect();
        events.reverse();
        events.truncate(limit);
        events
    }

    fn list(&self, filter: &ListFilter, after: Option<PageKey>, limit: usize) -> Vec<TokenRecord> {
        let place = |record: &TokenRecord| (record.created_at, record.id);
        let mut records: Vec<_> = self.records.values().cloned().collect();
        records.retain(|record| {
            (filter.project.is_none() || filter.project.as_ref() == Some(&record.project))
                && (filter.owner.is_none() || filter.owner.as_ref() == Some(&record.owner))
                && after.is_none_or(|after| place(record) < (after.created_at, after.id))
        });
        records.sort_by_key(place);
        records.reverse();
        records.truncate(limit);
        records
    }

    fn changes_since(&self, cursor: Cursor, limit: usize) -> Changes {
        if cursor.revision > self.head() {
            return Changes::Reset { next: Cursor { revision: self.head(), ..cursor } };
        }
        let noted =
            (1..).zip(&self.changes).map(|(i, id)| Change { id: *id, revision: Revision(i) });
        let changes: Vec<_> =
            noted.filter(|change| change.revision > cursor.revision).take(limit).collect();
        let revision = changes.last().map_or(cursor.revision, |change| change.revision);
        Changes::Since { changes, next: Cursor { revision, ..cursor } }
    }

    /// A store may choose which of the ended records it deletes first.
    fn prune(&mut self, before: Timestamp, limit: usize, gone: &[TokenId]) {
        let ended = |record: &TokenRecord| {
            let revoked_at = record.revocation.as_ref().map(|revocation| revocation.at);
            [record.expires_at, revoked_at].into_iter().flatten().any(|end| end < before)
        };
        let possible = self.records.values().filter(|record| ended(record)).count();
        assert_eq!(gone.len(), possible.min(limit));
        for id in gone {
            assert!(self.records.remove(id).is_some_and(|record| ended(&record)), "pruned {id}");
            self.usage.remove(id);
        }
    }
}

fn revocation(second: i64) -> Revocation {
    Revocation { at: at(second), by: "x".parse().ok(), reason: None }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

fn check(operations: Vec<Operation>, store: &DynTokenStore) {
    let world = World::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut model = Model::default();
    runtime.block_on(async {
        for operation in operations {
            world.apply(operation, store, &mut model).await;
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn memory_agrees_with_the_model(operations in prop::collection::vec(operation(), 1..80)) {
        check(operations, &DynTokenStore::new(MemoryStore::new()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn sqlite_agrees_with_the_model(operations in prop::collection::vec(operation(), 1..80)) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let options = SqliteOptions::new(directory.path().join("tokens.db"));
        options.migrate().expect("migrate");
        check(operations, &DynTokenStore::new(options.open().expect("open")));
    }
}
