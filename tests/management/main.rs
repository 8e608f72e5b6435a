//! The management API, mounted as a product mounts it.

mod access;
mod document;
mod edits;
mod errors;
mod presented;
mod revocations;
mod rotation;
mod support;
mod tokens;
#[path = "../util/mod.rs"]
mod util;
