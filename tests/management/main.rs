//! The management API and page, mounted as a product mounts it.

mod access;
#[path = "../http_support/broken_store.rs"]
mod broken_store;
mod document;
mod edits;
mod errors;
mod page;
mod page_clients;
mod page_forms;
mod page_rotation;
mod presented;
mod revocations;
mod rotation;
mod support;
mod tokens;
#[path = "../http_support/unlisted_store.rs"]
mod unlisted_store;
#[path = "../util/mod.rs"]
mod util;
