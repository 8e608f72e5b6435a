//! For tests: the conformance suite for [`TokenStore`](crate::TokenStore) implementations, and a
//! clock that is set by hand. Feature `testing`.
//!
//! Whoever writes a store runs the suite with one macro call, naming the attribute of their
//! runtime's tests and how to open a store that is empty and not shared with any other test. What
//! must outlive the store, such as a temporary directory, goes beside it:
//!
//! ```
//! mod my_store {
//!     # use api_tokens as _;
//!     api_tokens::conformance_tests! {
//!         #[tokio::test]
//!         (api_tokens::MemoryStore::new(), ())
//!     }
//! }
//! ```
//!
//! Each function of [`conformance`] becomes a test of that name.

mod clock;
pub mod conformance;
mod fixture;

pub use clock::ManualClock;
