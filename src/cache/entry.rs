use core::{fmt, time::Duration};
use std::sync::Weak;

use super::Source;
use crate::TokenRecord;

/// A record in the cache.
pub(crate) struct Entry {
    pub(crate) record: TokenRecord,
    /// When the store was asked for it, by the monotonic clock.
    pub(super) read_at: Duration,
    /// Where a watch of the token asks again.
    pub(super) source: Weak<dyn Source>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.record.fmt(f)
    }
}
