//! The whole life of API tokens for any service: issue, show once, store as a keyed hash,
//! verify, scope, revoke.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod answer;
#[cfg(feature = "axum")]
mod axum;
mod clock;
mod digest;
mod field;
mod header;
mod id;
mod issuer;
mod keyring;
mod metadata;
mod prefix;
mod record;
mod scope;
mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod token;
#[cfg(feature = "tower")]
mod tower;
mod verifier;

// The life of a token: whoever creates, lists and revokes starts at `Issuer`, whoever checks at
// `Verifier`.
pub use issuer::{Created, Issuer, IssuerError, ListQuery, NewToken, Page};
pub use verifier::{Verified, Verifier, VerifyError};

// What is known of a token: its record, and the checked types of the record's fields.
pub use field::{FieldError, Principal, Project, RevocationReason, TokenName};
pub use metadata::Metadata;
pub use record::{Revocation, Rotation, Status, Successor, TokenRecord};
pub use scope::{Scope, ScopeError, Scopes};

// The token's text and its parts.
pub use id::{TokenId, TokenIdError};
pub use prefix::{Prefix, PrefixError};
pub use token::{ParsedToken, Token, TokenFormatError};

// What is stored of the secret, and under which keys.
pub use digest::{DigestMatch, Digester, TokenDigest, TokenDigestError};
pub use keyring::{KeyError, KeyId, Keyring, MasterKey};

// Where records are kept.
pub use store::{
    Change, Changes, Cursor, DynTokenStore, Found, ListFilter, MemoryStore, PageKey, PageKeyError,
    Revision, StoreError, StoreErrorKind, TokenStore,
};
#[cfg(feature = "sqlite")]
pub use store::{SqliteOptions, SqliteStore};

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
