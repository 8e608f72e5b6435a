//! What the systems of `tests/data/imported` issued, and how it is imported.

use std::collections::HashSet;

use api_tokens::{ImportError, ImportFormat, ImportedDigest, TokenId};
use serde_json::Value;

/// A system whose tokens can be imported, by the name of its fixture.
pub(crate) struct System {
    pub(crate) name: &'static str,
    pub(crate) format: ImportFormat,
    row: fn(&Value) -> Result<ImportedDigest, ImportError>,
}

impl System {
    #[track_caller]
    pub(crate) fn new(name: &'static str) -> Self {
        let (format, row): (_, fn(&Value) -> _) = match name {
            "sha256" => {
                (ImportFormat::sha256(), |row| ImportedDigest::sha256_hex(column(row, "hash")))
            }
            "sanctum" => (ImportFormat::sanctum(), |row| {
                ImportedDigest::sanctum(column(row, "id"), column(row, "token"))
            }),
            "rest_framework_api_key" => (ImportFormat::rest_framework_api_key(), |row| {
                let (prefix, hashed_key) = (column(row, "prefix"), column(row, "hashed_key"));
                ImportedDigest::rest_framework_api_key(prefix, hashed_key)
            }),
            "knox" => (ImportFormat::knox(), |row| ImportedDigest::knox(column(row, "digest"))),
            "knox_4" => {
                (ImportFormat::knox_4(), |row| ImportedDigest::knox_4(column(row, "digest")))
            }
            "better_auth" => {
                (ImportFormat::better_auth(), |row| ImportedDigest::better_auth(column(row, "key")))
            }
            _ => panic!("no system {name}"),
        };
        Self { name, format, row }
    }

    #[track_caller]
    pub(crate) fn import(&self, row: &Value) -> Result<ImportedDigest, ImportError> {
        (self.row)(row)
    }

    /// The format for a token: Knox alone needs to know its prefix.
    pub(crate) fn format_of(&self, token: &str) -> ImportFormat {
        match token.split_once('_') {
            Some((prefix, _)) if self.name == "knox" => {
                self.format.clone().with_start(format!("{prefix}_"))
            }
            _ => self.format.clone(),
        }
    }

    /// What the system issued: each token gives the digest of its own row, and no other text does.
    #[track_caller]
    pub(crate) fn check(&self, issued: &Value) {
        let tokens = tokens(issued);
        assert!(tokens.len() >= 2, "{issued}");
        let mut ids = HashSet::<TokenId>::new();
        for (token, row) in tokens {
            let format = self.format_of(token);
            let imported = self.import(row).unwrap();
            assert_eq!(format.digest_of(token.as_bytes()), Some(imported), "{token}");
            assert!(ids.insert(imported.id()), "{token}");
            for other in others(token) {
                assert_ne!(format.digest_of(&other), Some(imported), "{}", other.escape_ascii());
            }
        }
    }
}

/// Token and row, of each that a fixture has.
#[track_caller]
pub(crate) fn tokens(issued: &Value) -> Vec<(&str, &Value)> {
    let tokens = issued["tokens"].as_array().unwrap();
    tokens.iter().map(|token| (column(token, "token"), &token["row"])).collect()
}

#[track_caller]
fn column<'a>(row: &'a Value, name: &str) -> &'a str {
    row[name].as_str().unwrap()
}

/// Texts that differ a little: a byte changed, left out, doubled or added.
pub(crate) fn others(token: &str) -> Vec<Vec<u8>> {
    let token = token.as_bytes();
    let mut others = Vec::new();
    for (at, byte) in token.iter().enumerate() {
        for changed in [byte ^ 1, byte ^ 0x20, b'0', b'f', b'|', b'.', b' ', 0, 0xff] {
            others.push([&token[..at], &[changed], &token[at + 1..]].concat());
        }
        others.push([&token[..at], &token[at + 1..]].concat());
        others.push([&token[..=at], &token[at..]].concat());
        others.push(token[..at].to_vec());
        others.push(token[at + 1..].to_vec());
    }
    for more in [b"0", b"a", b" ", b"\n", b"\0", b"=", b"|"] {
        others.push([token, more].concat());
        others.push([more, token].concat());
    }
    // A byte may have been changed to itself, or one of a run left out; `others` are others.
    others.retain(|other| other != token);
    others
}
