//! MCP servers behind API tokens: over HTTP, a [`SessionLayer`].
//!
//! The guide `docs/protect-an-mcp-server.md` puts a server together.

mod session;
mod sessions;

pub use session::{SessionLayer, SessionService};
