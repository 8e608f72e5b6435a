use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    FieldError,
    field::{FieldProblem, check},
};

/// A few texts of the host's own that travel with a record, such as a ticket number.
///
/// At most [`Metadata::MAX_ENTRIES`] entries; keys of 1 to [`Metadata::MAX_KEY_LEN`] characters
/// of `A-Za-z0-9._-`; values of 1 to [`Metadata::MAX_VALUE_CHARS`] characters without control
/// characters. It is read with every record: keep it small, and put no secret in it.
///
/// ```
/// use api_tokens::Metadata;
///
/// let mut metadata = Metadata::default();
/// metadata.insert("ticket", "OPS-42")?;
/// assert_eq!(metadata.get("ticket"), Some("OPS-42"));
/// assert!(metadata.insert("bad key", "x").is_err());
/// # Ok::<_, api_tokens::FieldError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "BTreeMap<String, String>", try_from = "BTreeMap<String, String>")]
pub struct Metadata(BTreeMap<Box<str>, Box<str>>);

impl Metadata {
    /// The greatest number of entries.
    pub const MAX_ENTRIES: usize = 16;
    /// The greatest length of a key, in characters.
    pub const MAX_KEY_LEN: usize = 40;
    /// The greatest length of a value, in characters (Unicode scalar values).
    pub const MAX_VALUE_CHARS: usize = 500;

    /// Adds an entry, or replaces the value of the one with this key.
    ///
    /// # Errors
    ///
    /// [`FieldError`] if key, value or number of entries is outside the limits; nothing is
    /// changed then.
    pub fn insert(&mut self, key: &str, value: &str) -> Result<(), FieldError> {
        let refuse = |problem| Err(FieldError::new("metadata", problem));
        let printable = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if key.is_empty() || key.len() > Self::MAX_KEY_LEN || !key.bytes().all(printable) {
            return refuse(FieldProblem::Key(Self::MAX_KEY_LEN));
        }
        if let Err(problem) = check(value, Self::MAX_VALUE_CHARS) {
            return refuse(problem);
        }
        if self.0.len() >= Self::MAX_ENTRIES && !self.0.contains_key(key) {
            return refuse(FieldProblem::TooMany(Self::MAX_ENTRIES));
        }
        self.0.insert(key.into(), value.into());
        Ok(())
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(AsRef::as_ref)
    }

    /// All entries, ordered by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }
}

impl TryFrom<BTreeMap<String, String>> for Metadata {
    type Error = FieldError;

    fn try_from(entries: BTreeMap<String, String>) -> Result<Self, FieldError> {
        let mut metadata = Self::default();
        for (key, value) in entries {
            metadata.insert(&key, &value)?;
        }
        Ok(metadata)
    }
}

impl From<Metadata> for BTreeMap<String, String> {
    fn from(metadata: Metadata) -> Self {
        metadata.0.into_iter().map(|(key, value)| (key.into(), value.into())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        let mut metadata = Metadata::default();
        for i in 0..Metadata::MAX_ENTRIES {
            metadata.insert(&format!("k{i}"), "v").unwrap();
        }
        let error = metadata.insert("one-more", "v").unwrap_err();
        assert_eq!(error.to_string(), "metadata must have at most 16 entries");
        metadata.insert("k0", "replaced").unwrap();
        assert_eq!(metadata.get("k0"), Some("replaced"));

        let mut metadata = Metadata::default();
        assert!(metadata.insert("", "v").is_err());
        assert!(metadata.insert(&"k".repeat(41), "v").is_err());
        assert!(metadata.insert("ä", "v").is_err());
        assert!(metadata.insert("k", "").is_err());
        assert!(metadata.insert("k", "a\nb").is_err());
        assert!(metadata.insert("k", &"ä".repeat(501)).is_err());
        metadata.insert(&"k".repeat(40), &"ä".repeat(500)).unwrap();
        assert_eq!(metadata.iter().count(), 1);
    }

    #[test]
    fn serde_checks() {
        let metadata: Metadata = serde_json::from_str(r#"{"a":"1"}"#).unwrap();
        assert_eq!(serde_json::to_string(&metadata).unwrap(), r#"{"a":"1"}"#);
        assert!(serde_json::from_str::<Metadata>(r#"{"a b":"1"}"#).is_err());
    }
}
