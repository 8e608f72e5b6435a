//! The management API and page, mounted as a product mounts it.

mod access;
mod document;
mod edits;
mod errors;
mod page;
mod page_forms;
mod presented;
mod revocations;
mod rotation;
mod support;
mod tokens;
#[path = "../util/mod.rs"]
mod util;
