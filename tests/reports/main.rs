//! Reports of leaked tokens, through the routes, as the services send them.

mod event;
mod found;
mod gitlab;
mod keys;
mod lenient;
mod notifier;
mod outage;
mod policy;
mod signed;
mod support;
mod thousand;

#[path = "../http_support/broken_store.rs"]
mod broken_store;
#[path = "../util/mod.rs"]
mod util;
