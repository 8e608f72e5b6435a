//! When and from where tokens are used: coalesced in memory, written off the request path.

use core::{
    net::IpAddr,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{TokenId, clock::to_microseconds, sharded::Sharded};

/// When a token was last used, and from where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// The token.
    pub id: TokenId,
    /// When it was last accepted, to about a second, whether or not its scopes were enough for the
    /// request. Kept to the microsecond.
    pub last_used_at: Timestamp,
    /// The client's address, if the host told it.
    pub client_address: Option<IpAddr>,
    /// What the client says it is: at most [`Client::MAX_USER_AGENT_LEN`] characters of printable
    /// ASCII. It comes from the client: show it as text.
    pub user_agent: Option<String>,
}

/// What is known of the program that sent a request, for [`Usage`].
///
/// ```
/// use api_tokens::Client;
///
/// let client = Client { user_agent: Some(b"curl/8.5"), ..Client::default() };
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Client<'a> {
    /// Its address. Behind a proxy, only the host knows which header to believe.
    pub address: Option<IpAddr>,
    /// The value of `User-Agent`. All but printable ASCII is left out, and so is what is beyond
    /// [`Client::MAX_USER_AGENT_LEN`].
    pub user_agent: Option<&'a [u8]>,
}

impl Client<'_> {
    /// How much of a user agent is kept, in characters.
    pub const MAX_USER_AGENT_LEN: usize = 200;
}

/// The usages that wait to be written, and for each token that is in use, when it was.
///
/// Each token is looked at once in a tick of the background; all its other requests in that tick
/// find that out and go on. So neither a clock nor memory is needed for them.
pub(crate) struct UsageTracker {
    shards: Sharded<Mutex<Entries>>,
    tick: AtomicU32,
    entries_per_shard: usize,
    untracked: AtomicU64,
}

type Entries = HashMap<TokenId, Entry, foldhash::fast::RandomState>;

struct Entry {
    last_used_at: Timestamp,
    client_address: Option<IpAddr>,
    /// Empty for none.
    user_agent: String,
    tick: u32,
    written: Option<Written>,
}

/// What the store has of a token's usage.
#[derive(Clone, Copy)]
struct Written {
    last_used_at: Timestamp,
    at: Timestamp,
}

impl Entry {
    fn new(now: Timestamp, tick: u32) -> Self {
        Self {
            last_used_at: now,
            client_address: None,
            user_agent: String::new(),
            tick,
            written: None,
        }
    }

    fn note(&mut self, now: Timestamp, tick: u32, client: Client<'_>) {
        self.tick = tick;
        self.last_used_at = self.last_used_at.max(now);
        self.client_address = client.address;
        self.user_agent.clear();
        let printable =
            client.user_agent.unwrap_or_default().iter().filter(|byte| matches!(byte, b' '..=b'~'));
        self.user_agent
            .extend(printable.take(Client::MAX_USER_AGENT_LEN).map(|&byte| char::from(byte)));
    }

    fn is_written(&self) -> bool {
        self.written.is_some_and(|written| written.last_used_at == self.last_used_at)
    }

    fn usage(&self, id: TokenId) -> Usage {
        Usage {
            id,
            last_used_at: self.last_used_at,
            client_address: self.client_address,
            user_agent: (!self.user_agent.is_empty()).then(|| self.user_agent.clone()),
        }
    }
}

impl UsageTracker {
    /// Room for about `capacity` tokens.
    pub(crate) fn new(capacity: usize) -> Self {
        let shards = Sharded::<Mutex<Entries>>::COUNT;
        Self {
            shards: Sharded::default(),
            tick: AtomicU32::new(0),
            entries_per_shard: capacity.div_ceil(shards),
            untracked: AtomicU64::new(0),
        }
    }

    /// Notes that a token was used.
    pub(crate) fn note(&self, id: TokenId, client: Client<'_>, now: impl FnOnce() -> Timestamp) {
        let tick = self.tick.load(Ordering::Relaxed);
        let mut entries = lock(self.shards.of(&id));
        if let Some(entry) = entries.get_mut(&id) {
            if entry.tick != tick {
                entry.note(to_microseconds(now()), tick, client);
            }
        } else if entries.len() < self.entries_per_shard {
            let now = to_microseconds(now());
            entries.entry(id).or_insert(Entry::new(now, tick)).note(now, tick, client);
        } else {
            self.untracked.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What is known here of a token's usage, written or not.
    pub(crate) fn usage(&self, id: TokenId) -> Option<Usage> {
        lock(self.shards.of(&id)).get(&id).map(|entry| entry.usage(id))
    }

    /// Begins another tick, forgets what was written longer than `interval` ago, and returns the
    /// usages to write, sorted by id: of tokens for which nothing was written for `interval`, or
    /// of `all`.
    pub(crate) fn due(&self, now: Timestamp, interval: SignedDuration, all: bool) -> Vec<Usage> {
        self.tick.fetch_add(1, Ordering::Relaxed);
        // A clock that was set back must not keep anything from being written.
        let is_old =
            |written: Written| now < written.at || now.duration_since(written.at) >= interval;
        let mut due = Vec::new();
        for shard in self.shards.iter() {
            let mut entries = lock(shard);
            entries.retain(|_, entry| !(entry.is_written() && entry.written.is_some_and(is_old)));
            due.extend(
                entries
                    .iter()
                    .filter(|(_, entry)| !entry.is_written())
                    .filter(|(_, entry)| all || entry.written.is_none_or(is_old))
                    .map(|(id, entry)| entry.usage(*id)),
            );
        }
        due.sort_unstable_by_key(|usage| usage.id);
        due
    }

    /// Notes that the store has these usages.
    pub(crate) fn written(&self, batch: &[Usage], now: Timestamp) {
        for usage in batch {
            if let Some(entry) = lock(self.shards.of(&usage.id)).get_mut(&usage.id) {
                entry.written = Some(Written { last_used_at: usage.last_used_at, at: now });
            }
        }
    }

    /// How many usages wait to be written.
    #[cfg(feature = "tokio")]
    pub(crate) fn waiting(&self) -> usize {
        let unwritten = |shard| lock(shard).values().filter(|entry| !entry.is_written()).count();
        self.shards.iter().map(unwritten).sum()
    }

    /// How many times a token was not noted for lack of room since this was last asked.
    pub(crate) fn take_untracked(&self) -> u64 {
        self.untracked.swap(0, Ordering::Relaxed)
    }
}

fn lock(shard: &Mutex<Entries>) -> MutexGuard<'_, Entries> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
