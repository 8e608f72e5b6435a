//! Leaked tokens: rule files with which the scanners that others run find this application's tokens.
//!
//! ```
//! use api_tokens::{leak::{Rules, Scanner}, prefix};
//!
//! let rules = Rules::new("Acme API token", prefix!("acme_live"))?;
//! let file = rules.file(Scanner::Gitleaks);
//! assert_eq!(file.name, "gitleaks.toml");
//! assert!(file.contents.contains("acme_live_[0-9A-Za-z]{16}_"));
//! # Ok::<_, api_tokens::leak::RulesError>(())
//! ```

mod rules;

pub use rules::{RuleFile, Rules, RulesError, Scanner, ScannerError};
