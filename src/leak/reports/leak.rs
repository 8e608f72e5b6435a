use super::LeakPlace;
use crate::{Status, TokenRecord};

/// A token that was reported, and what was done about it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Leak {
    /// Its record, as it is now.
    pub record: TokenRecord,
    /// Its status, after that.
    pub status: Status,
    /// What was done.
    pub action: LeakAction,
    /// The places that were recorded with it: those that are new.
    pub places: Vec<LeakPlace>,
}

/// What was done about a reported token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LeakAction {
    /// It was revoked.
    Revoked,
    /// It was disabled.
    Disabled,
    /// Nothing: it has come to its end, is disabled already, or the places are known.
    None,
}
