//! A store of one's own in one file: `cargo run --example custom_store`.
//!
//! It keeps all records in one JSON file, which is written anew at each change: right for a few
//! hundred tokens of one process. What it does is in the contract of [`TokenStore`], and that it
//! does it is shown by the conformance suite, which the crate in `tests/integrator` runs on it.

use std::{
    collections::BTreeMap,
    error::Error,
    fs::{File, OpenOptions},
    io::{self, BufReader, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use api_tokens::{
    Actor, Change, Changes, Cursor, Event, EventNumber, Found, Issuer, Keyring, ListFilter,
    NewToken, NumberedEvent, PageKey, Revision, StoreError, StoreErrorKind, TokenId, TokenRecord,
    TokenStore, Usage, Verifier, WriteBatch, prefix,
};
use jiff::Timestamp;
use rand::{Rng, rand_core::UnwrapErr, rngs::SysRng};
use serde::{Deserialize, Serialize};

/// Records in a JSON file.
#[derive(Clone)]
pub(crate) struct FileStore {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    /// What the file holds. Changed only after the file was, and never locked for long, since
    /// `find` must not block.
    content: Mutex<Content>,
    /// Locked by the one who writes the file.
    writing: Mutex<()>,
    /// Locked as long as the store lives, so that no other process writes the file.
    _lock: File,
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Content {
    incarnation: u64,
    records: BTreeMap<TokenId, TokenRecord>,
    /// Every change there ever was; the first has revision 1.
    changes: Vec<TokenId>,
    usage: BTreeMap<TokenId, Usage>,
    /// Every event there ever was; the first has number 1.
    events: Vec<Event>,
}

impl FileStore {
    /// Opens the file, or begins an empty one.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or another process has it open.
    pub(crate) fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref().to_owned();
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.with_extension("lock"))?;
        lock.try_lock()?;
        let content = match File::open(&path) {
            Ok(file) => serde_json::from_reader(BufReader::new(file))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let incarnation = UnwrapErr(SysRng).next_u64();
                Content { incarnation, ..Content::default() }
            }
            Err(error) => return Err(error),
        };
        let (content, writing) = (Mutex::new(content), Mutex::new(()));
        Ok(Self { shared: Arc::new(Shared { path, content, writing, _lock: lock }) })
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.shared.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Applies a change to the file and then to memory, on a thread that may block.
    async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Content) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = self.clone();
        let write = move || {
            let _writing = store.shared.writing.lock().unwrap_or_else(PoisonError::into_inner);
            // A copy, so that nobody reads what is not in the file, or half a change.
            let mut changed = store.content().clone();
            let answer = change(&mut changed)?;
            replace(&store.shared.path, &changed).map_err(|error| {
                StoreError::new(StoreErrorKind::Unavailable, "write the file").with_source(error)
            })?;
            *store.content() = changed;
            Ok(answer)
        };
        tokio::task::spawn_blocking(write).await.unwrap_or_else(|error| {
            Err(StoreError::new(StoreErrorKind::Other, "write the file").with_source(error))
        })
    }
}

/// The old file or the new one, whole, whatever happens meanwhile.
fn replace(path: &Path, content: &Content) -> io::Result<()> {
    let next = path.with_extension("next");
    let mut file = File::create(&next)?;
    file.write_all(&serde_json::to_vec(content)?)?;
    file.sync_all()?;
    std::fs::rename(&next, path)?;
    // The new name must reach the disk too.
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => File::open(directory)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

impl Content {
    fn head(&self) -> Cursor {
        let revision = u64::try_from(self.changes.len()).unwrap_or(u64::MAX);
        Cursor { incarnation: self.incarnation, revision: Revision(revision) }
    }
}

impl TokenStore for FileStore {
    async fn find(&self, id: &TokenId) -> Result<Option<Found>, StoreError> {
        let content = self.content();
        let as_of = content.head().revision;
        let record = content.records.get(id).cloned();
        Ok(record.map(|record| Found { record: Arc::new(record), as_of }))
    }

    async fn write(&self, batch: &WriteBatch) -> Result<(), StoreError> {
        let batch = batch.clone();
        self.change(move |content| {
            let version = |id| content.records.get(&id).map(|record| record.version);
            if batch.expectations().any(|(id, expected)| version(id) != expected) {
                return Err(StoreError::new(StoreErrorKind::Conflict, "write records"));
            }
            content.changes.extend(batch.updates.iter().map(|record| record.id));
            let records = batch.inserts.into_iter().chain(batch.updates);
            content.records.extend(records.map(|record| (record.id, record)));
            content.events.extend(batch.events);
            Ok(())
        })
        .await
    }

    async fn list(
        &self,
        filter: &ListFilter,
        after: Option<&PageKey>,
        limit: usize,
    ) -> Result<Vec<TokenRecord>, StoreError> {
        let content = self.content();
        let mut records: Vec<_> = content
            .records
            .values()
            .filter(|record| filter.matches(record))
            .filter(|record| after.is_none_or(|after| PageKey::of(record) < *after))
            .collect();
        records.sort_by_key(|record| std::cmp::Reverse(PageKey::of(record)));
        Ok(records.into_iter().take(limit).cloned().collect())
    }

    async fn changes_since(
        &self,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Changes, StoreError> {
        let content = self.content();
        let head = content.head();
        let cursor = match cursor {
            Some(cursor)
                if cursor.incarnation == head.incarnation && cursor.revision <= head.revision =>
            {
                *cursor
            }
            _ => return Ok(Changes::Reset { next: head }),
        };
        let noted = (1..).map(Revision).zip(&content.changes);
        let changes: Vec<_> = noted
            .filter(|(revision, _)| *revision > cursor.revision)
            .take(limit)
            .map(|(revision, id)| Change { id: *id, revision })
            .collect();
        let revision = changes.last().map_or(cursor.revision, |change| change.revision);
        Ok(Changes::Since { changes, next: Cursor { revision, ..cursor } })
    }

    async fn changed(&self) {
        // No signal: readers wait for their next poll.
        core::future::pending::<()>().await;
    }

    async fn record_usage(&self, batch: &[Usage]) -> Result<(), StoreError> {
        let batch = batch.to_vec();
        self.change(move |content| {
            for usage in batch {
                let kept = content.usage.get(&usage.id);
                if content.records.contains_key(&usage.id)
                    && kept.is_none_or(|kept| kept.last_used_at < usage.last_used_at)
                {
                    content.usage.insert(usage.id, usage);
                }
            }
            Ok(())
        })
        .await
    }

    async fn usage(&self, ids: &[TokenId]) -> Result<Vec<Usage>, StoreError> {
        let content = self.content();
        Ok(ids.iter().filter_map(|id| content.usage.get(id).cloned()).collect())
    }

    async fn events(
        &self,
        token: &TokenId,
        before: Option<EventNumber>,
        limit: usize,
    ) -> Result<Vec<NumberedEvent>, StoreError> {
        let content = self.content();
        let mut events: Vec<_> = (1..)
            .map(EventNumber)
            .zip(&content.events)
            .filter(|(_, event)| event.token.as_ref() == Some(token))
            .take_while(|(number, _)| before.is_none_or(|before| *number < before))
            .map(|(number, event)| NumberedEvent { number, event: event.clone() })
            .collect();
        events.reverse();
        events.truncate(limit);
        Ok(events)
    }

    async fn prune(&self, ended_before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.change(move |content| {
            let has_ended = |record: &&TokenRecord| {
                record.ends_at().is_some_and(|ends_at| ends_at < ended_before)
            };
            let ended = content.records.values().filter(has_ended).map(|record| record.id);
            let ids: Vec<_> = ended.take(limit).collect();
            for id in &ids {
                content.records.remove(id);
                content.usage.remove(id);
            }
            Ok(ids.len())
        })
        .await
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "tokens.json".to_owned());
    let store = FileStore::open(&path)?;
    // Without a key, to have one thing less to keep: see `Keyring::unkeyed` for what that costs.
    let verifier = Verifier::new(prefix!("acme_live"), &Keyring::unkeyed(), store);
    let issuer = Issuer::new(&verifier);

    let new = NewToken::new("acme".parse()?, "ann".parse()?, "Production REST API".parse()?);
    let ann: Actor = "ann".parse()?;
    let created = issuer.create(new, &ann).await?;
    let verified = verifier.verify(created.token.expose_secret().as_bytes()).await?;
    println!("created and verified {}, kept in {path}", verified.id());
    Ok(())
}
