//! Two processes on one SQLite file, for `test_interleavings.rs`: what a side of a pair does, how
//! the other process is told to do it, and what holds after every pair.

pub(crate) mod act;
pub(crate) mod other;
pub(crate) mod pair;
mod pausing;
pub(crate) mod run;
