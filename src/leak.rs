//! Leaked tokens: what to do about those that somebody has found.

pub mod reports;
