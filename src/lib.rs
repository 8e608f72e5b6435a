//! The whole life of API tokens, for any service: create, show once, store as a keyed hash,
//! verify, scope, list, rotate, revoke. (Also known as API keys.)
//!
//! A person creates a token on a page of your product, sees it once and copies it. Programs send
//! it as `Authorization: Bearer …`. Somebody revokes it, and it is refused from then on.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! use api_tokens::{Actor, Issuer, Keyring, MasterKey, MemoryStore, NewToken, Verifier, prefix};
//! use rand::rngs::SysRng;
//!
//! let keyring = Keyring::new(MasterKey::generate(&mut SysRng)?);
//! let verifier = Verifier::new(prefix!("acme_live"), &keyring, MemoryStore::new());
//! let issuer = Issuer::new(&verifier);
//!
//! // Somebody, whom the host has signed in, creates a token. The plaintext exists here only.
//! let ann: Actor = "ann".parse()?;
//! let new = NewToken::new("acme".parse()?, "ann".parse()?, "Production REST API".parse()?)
//!     .with_scopes("sources:read".parse()?);
//! let created = issuer.create(new, &ann).await?;
//! let header = format!("Bearer {}", created.token.expose_secret());
//!
//! // A request comes with it.
//! let verified = verifier.verify_authorization([header.as_bytes()]).await?;
//! verified.require(&"sources:read".parse()?)?;
//! assert_eq!(verified.project().as_str(), "acme");
//!
//! // Somebody revokes it.
//! issuer.revoke(verified.id(), &ann, None).await?;
//! assert!(verifier.verify_authorization([header.as_bytes()]).await.is_err());
//! # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
//! # Ok::<_, std::io::Error>(())
//! ```
//!
//! # Where to begin
//!
//! - **A service** makes a [`Verifier`] of a [`Prefix`], a [`Keyring`] and a store, and an
//!   [`Issuer`] of the verifier. `BearerLayer` (feature `tower`) verifies every request, and
//!   handlers take a [`Verified`] (feature `axum`). Without a framework, [`Answer`] says what to
//!   answer.
//! - **People and programs** manage tokens through the router of the module `management` (feature
//!   `management`), mounted in the service's own.
//! - **An MCP server** puts the layer of the module `mcp` (feature `mcp`) behind `BearerLayer`; the same
//!   module says what people paste into the clients that they use it with.
//! - **A store** implements [`TokenStore`], whose contract is there, and runs the suite of the
//!   module `testing` (feature `testing`). [`MemoryStore`], `SqliteStore` (feature `sqlite`) and
//!   `PostgresStore` (feature `postgres`) exist.
//! - **Reports of leaked tokens** come to the routes of the module `leak::reports` (feature
//!   `reports`).
//! - **A program that sends a token** gets, holds and sends it by the module `client` (feature
//!   `client`).
//! - **Several nodes** give the builder a `Cache` (feature `cache`), which says how soon a
//!   revocation counts on all of them.
//! - **An operator** runs the verifier's [`Background`], which notes when tokens are used, sends
//!   [`Event`]s somewhere with an [`EventSink`], and finds in [`State`] what may happen to a token
//!   when.
//! - **A reviewer** reads `SECURITY.md`, then [`ParsedToken`], [`Digester`], [`Credentials`] and
//!   [`TokenRecord::status`].
//!
//! # Features
//!
//! None is on by default. Features add; they never change what is there.
//!
//! - `sqlite`: `SqliteStore`, on rusqlite with a bundled SQLite.
//! - `postgres`: `PostgresStore`, on tokio-postgres with rustls.
//! - `cache`: `Cache`, verification from memory, with a bound on how long a revocation can go
//!   unnoticed; switches `tokio` on.
//! - `tokio`: `Background::run_until`, which does on tokio what no request should wait for.
//! - `metrics`: metrics for operators, through the facade of the crate of that name.
//! - `tower`: `BearerLayer`, for HTTP and gRPC.
//! - `axum`: extractors for axum 0.8, with required scopes; switches `tower` on.
//! - `management`: the router with which people and programs manage tokens, for axum 0.8.
//! - `mcp`: MCP servers: a layer that binds their sessions, and what people paste into their clients,
//!   which comes with `management`, too; switches `cache` and `tower` on.
//! - `client`: the sending side: where a program gets its token from, and a tower layer that sends it.
//! - `reqwest`: the same for clients of reqwest; switches `client` on.
//! - `keyring`: tokens from the keyring of the person's desktop; switches `client` on.
//! - `leak`: leaked tokens: finds them in any bytes, keeps them out of logs, teaches other scanners to
//!   find them.
//! - `reports`: routes that receive reports of leaked tokens, for axum 0.8.
//! - `testing`: the conformance suite for stores, and a manual clock.
//! - `cli`: the command `api-tokens`, and nothing in the library; switches `leak`, `postgres` and
//!   `sqlite` on.
//!
//! # What is kept through every release
//!
//! The text of tokens, the stored form of digests, the derivation of their keys, the JSON of
//! records, and the tables of stores, which change by migration only.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod actor;
mod answer;
#[cfg(feature = "axum")]
mod axum;
mod background;
#[cfg(feature = "cache")]
mod cache;
#[cfg(feature = "client")]
pub mod client;
mod clock;
mod digest;
mod error;
mod event;
mod field;
mod header;
mod held;
mod id;
mod import;
mod issuer;
mod keyring;
#[cfg(feature = "leak")]
pub mod leak;
#[cfg(feature = "management")]
pub mod management;
#[cfg(any(feature = "management", feature = "mcp"))]
pub mod mcp;
mod metadata;
#[cfg(feature = "metrics")]
mod metered;
mod owner;
mod pending;
mod prefix;
mod record;
mod scope;
mod sharded;
mod shared;
mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod token;
#[cfg(feature = "tower")]
mod tower;
mod transition;
mod usage;
mod verifier;

// The life of a token: whoever changes tokens starts at `Issuer`, whoever checks them at
// `Verifier`.
pub use actor::Actor;
pub use error::{IssuerError, Limit, RepeatConflict};
pub use issuer::{
    Bulk, Created, Edit, Expiry, Import, Issuer, KeyCount, LifetimePolicy, NewToken, Page, Revoked,
    Rotate, Rotated, RotationStatus, Selection,
};
pub use transition::{Operation, State};
pub use verifier::{Verified, Verifier, VerifierBuilder, VerifyError};

// Verification from memory.
#[cfg(feature = "cache")]
pub use cache::{Cache, CacheHealth};

// What happens beside a verification: usage, events, and what owners may still do.
pub use background::Background;
pub use event::{DoneBy, EditedField, Event, EventKind, EventSink, RefusalReason, TracingSink};
pub use owner::{OwnerPolicy, OwnerRights};
pub use usage::{Client, Usage};

// What is known of a token: its record, and the checked types of the record's fields.
pub use field::{
    FieldError, IdempotencyKey, LeakSource, LeakUrl, Principal, Project, RevocationReason,
    TokenName,
};
pub use metadata::Metadata;
pub use record::{Revocation, Rotation, Status, Successor, TokenRecord};
pub use scope::{Scope, ScopeError, Scopes};

// The token's text and its parts.
pub use id::{TokenId, TokenIdError};
pub use prefix::{Prefix, PrefixError};
pub use token::{ParsedToken, Token, TokenFormatError};

// What is stored of the secret, and under which keys.
pub use self::keyring::{KeyError, KeyId, KeyIdError, Keyring, MasterKey};
pub use digest::{DigestMatch, Digester, TokenDigest, TokenDigestError};

// Tokens that another system issued, to be accepted here.
pub use import::{ImportError, ImportFormat, ImportedDigest};

// Where records are kept.
pub use store::{
    Change, Changes, Cursor, DynTokenStore, EventNumber, Found, ListFilter, MemoryStore,
    NumberedEvent, PageKey, PageKeyError, Revision, StoreError, StoreErrorKind, TokenStore,
    WriteBatch,
};
#[cfg(feature = "postgres")]
pub use store::{PostgresOptions, PostgresStore};
#[cfg(feature = "sqlite")]
pub use store::{SqliteOptions, SqliteStore};

#[cfg(feature = "metrics")]
pub use metered::MeteredStore;

// HTTP, independent of any framework.
pub use answer::{Answer, Realm, RealmError};
pub use header::Credentials;

// HTTP and gRPC servers.
#[cfg(feature = "axum")]
pub use axum::{Authorized, RequiredScopes};
#[cfg(feature = "tower")]
pub use tower::{BearerLayer, BearerService, Refused, ResponseBody};

// Time as a parameter.
pub use clock::{Clock, SystemClock};

/// The code in the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// And that in the guide for those who protect an MCP server.
#[cfg(all(doctest, feature = "mcp"))]
#[doc = include_str!("../docs/protect-an-mcp-server.md")]
struct ProtectAnMcpServer;

/// And that in the guide to other scanners.
#[cfg(all(doctest, feature = "leak"))]
#[doc = include_str!("../docs/scanners.md")]
struct Scanners;

/// And that in the guide for those who send tokens.
#[cfg(all(doctest, feature = "reqwest"))]
#[doc = include_str!("../docs/send-a-token.md")]
struct SendAToken;

/// And that in the guide about leaked tokens.
#[cfg(all(doctest, feature = "reports", feature = "reqwest"))]
#[doc = include_str!("../docs/leaked-tokens.md")]
struct LeakedTokens;
