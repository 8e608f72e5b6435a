use crate::{Event, TokenId, TokenRecord};

/// What [`TokenStore::write`](crate::TokenStore::write) does in one transaction.
///
/// All expectations are about what is stored before the batch:
///
/// - an id among the `inserts` has no record;
/// - a record among the `updates` is stored with the version before its own
///   (`record.version - 1`);
/// - a token among the `unchanged` is stored with exactly that version. It stays as it is: the
///   write relies on it, as one that was asked for through a token relies on that token. So this
///   must still hold when the write commits: where transactions see a snapshot, lock these rows
///   (`FOR SHARE`), or two writes that rely on what the other one changes both happen.
///
/// A batch of `unchanged` tokens alone makes sure of them: when it returns, what their records say
/// is as durable as what is written.
///
/// If one of them does not hold, nothing is written, and the store answers
/// [`StoreErrorKind::Conflict`](crate::StoreErrorKind::Conflict). A batch names no id twice among
/// its `inserts` and `updates`.
///
/// Exhaustive on purpose: a store that forgets a field does not compile.
#[derive(Debug, Clone, Default)]
pub struct WriteBatch {
    /// Records to add.
    pub inserts: Vec<TokenRecord>,
    /// Records to replace. Each is noted as a change.
    pub updates: Vec<TokenRecord>,
    /// Tokens that must be at these versions.
    pub unchanged: Vec<(TokenId, u32)>,
    /// Events to append, in this order.
    pub events: Vec<Event>,
}

impl WriteBatch {
    /// A batch that adds one record.
    #[must_use]
    pub fn insert(record: TokenRecord) -> Self {
        Self { inserts: vec![record], ..Self::default() }
    }

    /// A batch that replaces one record.
    #[must_use]
    pub fn update(record: TokenRecord) -> Self {
        Self { updates: vec![record], ..Self::default() }
    }

    /// The ids that must have a record, and its version, as the updates and the unchanged tokens
    /// have it; `None` where there must be none. What a store checks before it writes.
    pub fn expectations(&self) -> impl Iterator<Item = (TokenId, Option<u32>)> {
        let inserts = self.inserts.iter().map(|record| (record.id, None));
        let updates =
            self.updates.iter().map(|record| (record.id, Some(record.version.wrapping_sub(1))));
        let unchanged = self.unchanged.iter().map(|(id, version)| (*id, Some(*version)));
        inserts.chain(updates).chain(unchanged)
    }
}
