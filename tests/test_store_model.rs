//! Random operations on a store and on a model that is too simple to be wrong: both must agree.

use std::collections::{BTreeMap, btree_map::Entry};

use api_tokens::{
    Change, Changes, Cursor, Digester, DynTokenStore, Keyring, ListFilter, MemoryStore, Metadata,
    PageKey, ParsedToken, Prefix, Revision, Revocation, Scopes, SqliteOptions, StoreErrorKind,
    Token, TokenId, TokenRecord, TokenStore, prefix,
};
use jiff::Timestamp;
use proptest::prelude::*;
use rand::{SeedableRng, rngs::ChaCha8Rng};

const PREFIX: Prefix = prefix!("model");
const PARTIES: [&str; 3] = ["a", "b", "ä"];

/// Few ids, parties and times, so that operations meet.
#[derive(Debug, Clone)]
enum Operation {
    Insert { id: usize, project: usize, owner: usize, created_at: i64, expires_at: Option<i64> },
    Update { id: usize, version: u32, revoked_at: Option<i64> },
    Find { id: usize },
    List { project: Option<usize>, owner: Option<usize>, after: Option<(i64, usize)>, limit: usize },
    Changes { read: u64, limit: usize },
    Prune { before: i64, limit: usize },
}

fn operation() -> impl Strategy<Value = Operation> {
    let id = 0..8_usize;
    let party = 0..PARTIES.len();
    let time = 0..6_i64;
    prop_oneof![
        4 => (id.clone(), party.clone(), party.clone(), time.clone(), prop::option::of(time.clone()))
            .prop_map(|(id, project, owner, created_at, expires_at)| Operation::Insert {
                id, project, owner, created_at, expires_at
            }),
        4 => (id.clone(), 0..4_u32, prop::option::of(time.clone()))
            .prop_map(|(id, version, revoked_at)| Operation::Update { id, version, revoked_at }),
        2 => id.clone().prop_map(|id| Operation::Find { id }),
        2 => (
            prop::option::of(party.clone()),
            prop::option::of(party),
            prop::option::of((time.clone(), id)),
            0..5_usize
        )
            .prop_map(|(project, owner, after, limit)| Operation::List {
                project, owner, after, limit
            }),
        2 => (0..10_u64, 0..5_usize).prop_map(|(read, limit)| Operation::Changes { read, limit }),
        1 => (time, 0..4_usize).prop_map(|(before, limit)| Operation::Prune { before, limit }),
    ]
}

#[derive(Default)]
struct Model {
    records: BTreeMap<TokenId, TokenRecord>,
    changes: Vec<TokenId>,
}

struct World {
    ids: Vec<TokenId>,
    digester: Digester,
    tokens: Vec<Token>,
}

impl World {
    fn new() -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let tokens: Vec<_> =
            (0..8).map(|_| Token::generate(&PREFIX, &mut rng).expect("a token")).collect();
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

    async fn apply(&self, operation: Operation, store: &DynTokenStore, model: &mut Model) {
        match operation {
            Operation::Insert { id, project, owner, created_at, expires_at } => {
                let record = TokenRecord {
                    expires_at: expires_at.map(at),
                    ..self.record(id, project, owner, created_at)
                };
                let result = store.insert(&record).await.map_err(|error| error.kind());
                assert_eq!(result, model.insert(record));
            }
            Operation::Update { id, version, revoked_at } => {
                let stored = model.records.get(&self.ids[id]);
                let mut update = stored.cloned().unwrap_or_else(|| self.record(id, 0, 0, 0));
                update.version = version;
                update.revocation = revoked_at.map(revocation);
                let result = store.update(&update).await.map_err(|error| error.kind());
                assert_eq!(result, model.update(update));
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

    fn insert(&mut self, record: TokenRecord) -> Result<(), StoreErrorKind> {
        match self.records.entry(record.id) {
            Entry::Occupied(_) => Err(StoreErrorKind::AlreadyExists),
            Entry::Vacant(entry) => {
                entry.insert(record);
                Ok(())
            }
        }
    }

    fn update(&mut self, record: TokenRecord) -> Result<(), StoreErrorKind> {
        match self.records.get_mut(&record.id) {
            Some(stored) if stored.version + 1 == record.version => {
                self.changes.push(record.id);
                *stored = record;
                Ok(())
            }
            _ => Err(StoreErrorKind::Conflict),
        }
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
        }
    }
}

fn revocation(second: i64) -> Revocation {
    Revocation { at: at(second), by: "x".parse().expect("a name"), reason: None }
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
