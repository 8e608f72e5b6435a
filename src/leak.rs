//! Leaked tokens: finding them wherever they ended up, and keeping them out of logs.
//!
//! A [`Finder`] finds tokens in any bytes, by their prefix, their shape and their checksum: of 10^12
//! random texts of the right shape, about 18 would be taken for a token, and none of those would be
//! accepted. What it reports says where a token is and which one, never the token itself, unless it
//! was asked to [keep](Finder::keep_tokens) them. A [`Redactor`] replaces tokens in what is written
//! through it. [`Rules`] teaches other scanners to find
//! them. The module `reports` (feature `reports`) receives reports of tokens that others found.
//!
//! ```
//! use api_tokens::{leak::Finder, prefix};
//!
//! let text = b"curl -H 'Authorization: Bearer \
//!     acme_live_Ky9Pf34qY6Nb3wWD_25RQ4F5ZR3qa7yEeeby3abP3E2Zs8IQ9Y7aJZqh1H1ztQ'";
//! let found = Finder::new([prefix!("acme_live")]).find(text);
//! assert_eq!(found[0].id.as_str(), "Ky9Pf34qY6Nb3wWD");
//! assert_eq!((found[0].line, found[0].column), (1, 32));
//! ```

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod characters;
mod encoding;
mod finder;
mod found;
mod hits;
mod needles;
mod position;
mod redactor;
#[cfg(feature = "reports")]
pub mod reports;
mod rules;
mod scan;
mod shape;

pub use encoding::{Encoding, EncodingError};
pub use finder::Finder;
pub use found::{Fingerprint, FingerprintError, Found};
pub use redactor::Redactor;
pub use rules::{RuleFile, Rules, RulesError, Scanner, ScannerError};
pub use scan::Scan;
