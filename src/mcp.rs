//! MCP servers, whose clients are AI assistants that come with API tokens.
//!
//! - [`Server::configuration`] is what people paste into their client
//! - `SessionLayer` (feature `mcp`) binds sessions over HTTP to the tokens that opened them
//!
//! The guide `docs/protect-an-mcp-server.md` puts a server together.

mod configuration;
#[cfg(feature = "mcp")]
mod session;
#[cfg(feature = "mcp")]
mod sessions;

#[cfg(feature = "management")]
pub(crate) use configuration::TokenFrom;
pub use configuration::{Client, Server};
#[cfg(feature = "mcp")]
pub use session::{SessionLayer, SessionService};
