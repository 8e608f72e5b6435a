use std::path::{Path, PathBuf};

use serde::Serialize;

/// Where something was found: in what, and where that is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Of several, the one that it is in.
    pub(super) repository: Option<PathBuf>,
    pub(super) path: Option<PathBuf>,
    pub(super) within: Within,
    /// The commit that brought it, for what is in the history.
    pub(super) commit: Option<Commit>,
}

/// What it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Within {
    File,
    /// In the name itself, whatever the file has.
    FileName,
    Stdin,
    /// What is about to be committed.
    Index,
    /// A file of a commit.
    History,
    CommitMessage,
    TagMessage,
    /// A file that no commit has, under its id.
    Object,
    /// What `git notes` keeps.
    Note,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Commit {
    pub(super) id: String,
    /// The author's date, in ISO 8601.
    pub(super) date: String,
}

impl Place {
    pub(super) fn file(path: &Path) -> Self {
        let path = path.strip_prefix("./").unwrap_or(path);
        Self { path: Some(path.to_owned()), ..Self::of(Within::File) }
    }

    pub(super) fn stdin() -> Self {
        Self::of(Within::Stdin)
    }

    pub(super) fn of(within: Within) -> Self {
        Self { repository: None, path: None, within, commit: None }
    }
}

/// The bytes of a path, as the system has them. Not on systems where paths are no bytes: there, what
/// is no text is replaced.
pub(super) fn bytes(path: &Path) -> Vec<u8> {
    path.as_os_str().as_encoded_bytes().to_vec()
}

/// A path as git has it.
#[cfg(unix)]
pub(super) fn from_git(bytes: &[u8]) -> PathBuf {
    PathBuf::from(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(bytes))
}

#[cfg(not(unix))]
pub(super) fn from_git(bytes: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
}

/// Bytes of a path as a relative or `file:` URI (RFC 3986).
pub(super) fn uri(bytes: &[u8]) -> String {
    use core::fmt::Write;

    let mut text = String::new();
    if bytes.starts_with(b"/") {
        text.push_str("file://");
    }
    for &byte in bytes {
        let byte = if cfg!(windows) && byte == b'\\' { b'/' } else { byte };
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_uris_byte_by_byte() {
        assert_eq!(uri(b"a b/\xff%.rs"), "a%20b/%FF%25.rs");
        assert_eq!(uri(b"/etc/x"), "file:///etc/x");
        assert_eq!(uri(b"a:b"), "a%3Ab");
    }
}
