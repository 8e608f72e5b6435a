//! Nothing: what this crate does is in its tests.
