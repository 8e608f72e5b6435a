//! The sending side: where a program gets its API token from, how it holds it, and how it sends it
//! to the right service and to no other.
//!
//! Any program that calls an API can use this, whether or not it issues tokens itself.
//!
//! ```no_run
//! # #[cfg(feature = "reqwest")]
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use api_tokens::{
//!     client::{ClientToken, SendToken, TokenSource},
//!     prefix,
//! };
//!
//! let source = TokenSource::environment_or_file("ACME_API_TOKEN");
//! let token = ClientToken::load(prefix!("acme_live"), source).await?;
//! let send = SendToken::new(token, ["https://api.acme.example"])?;
//!
//! // Feature `reqwest`. For other clients, `SendToken` is a tower layer.
//! let client = send.client(reqwest::Client::builder())?;
//! client.get("https://api.acme.example/sources").send().await?;
//! # Ok(()) }
//! ```
//!
//! - [`TokenSource`] says where the token comes from: a variable, a file, a command, a keyring.
//! - [`ClientToken`] holds it, and takes the new one when it was rotated, without a restart.
//! - [`SendToken`] sends it, to the origins that it was made for, and once more after a 401 if
//!   there is a newer one.
//!
//! What is read is checked before it is sent: a token has a checksum, so a value that was cut off,
//! quoted or never filled in is an error at the start, which says what to do and holds nothing of
//! the value.
//!
//! All of it needs tokio: [`ClientToken::load`], [`ClientToken::current`] and
//! [`ClientToken::renew`] are called within its runtime, with time and I/O enabled.

mod command;
mod dotenv;
mod error;
mod file;
mod held;
mod holding;
#[cfg(feature = "keyring")]
mod keyring;
mod origin;
mod place;
#[cfg(feature = "reqwest")]
mod reqwest;
mod send;
mod source;
mod token;
mod value;

// What is held, and where it comes from.
pub use error::TokenSourceError;
pub use held::HeldToken;
pub use source::TokenSource;
pub use token::ClientToken;

// Sending it.
pub use origin::OriginError;
pub use send::{SendToken, SendTokenService};
