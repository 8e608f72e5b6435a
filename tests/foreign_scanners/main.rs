//! Scanners that others wrote, installed from their registries, with the rule files that are written
//! for them: they find the tokens that are planted in files of many kinds.
#![cfg(unix)]

mod corpus;
mod golden;
mod names;
mod scanners;
mod scans;

#[path = "../packages_support/mod.rs"]
mod packages_support;
#[path = "../util/mod.rs"]
mod util;
