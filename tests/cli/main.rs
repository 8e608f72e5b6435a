//! The command `api-tokens`, run as people run it.

mod baseline;
mod formats;
mod history;
mod hooks;
mod hostile;
mod keys;
mod management;
#[path = "../packages_support/mod.rs"]
#[expect(dead_code, reason = "Node's packages are others' business")]
mod packages_support;
mod rules;
mod secrecy;
mod staged;
mod store_checks;
mod support;
mod terminal;
mod tokens;
mod tree;
mod usage;
#[path = "../util/mod.rs"]
mod util;
