//! MCP servers, whose clients are AI assistants that come with API tokens.

mod configuration;

pub use configuration::{Client, Server};
