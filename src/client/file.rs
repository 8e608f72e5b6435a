//! Reading a file, and seeing whether it has changed.

use std::{
    collections::BTreeSet,
    fs::{self, File, Metadata},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use zeroize::Zeroizing;

use super::{error::Failure, place::Text};

/// The greatest length of a file or of a command's output, in bytes.
pub(super) const MAX_LEN: usize = 64 * 1024;

/// Room for the greatest length and what readers want beyond it to see the end, so that a buffer
/// never moves and leaves a copy behind.
pub(super) fn buffer() -> Text {
    Zeroizing::new(Vec::with_capacity(MAX_LEN + 1024))
}

/// The content of a file; `None` if it does not exist.
pub(super) fn read(path: &Path) -> Result<Option<Text>, Failure> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::Unreadable(error)),
    };
    warn_if_others_may_read(path, &file.metadata().map_err(Failure::Unreadable)?);
    let mut text = buffer();
    // One byte more than fits, to tell a file that is too long.
    file.take(MAX_LEN as u64 + 1).read_to_end(&mut text).map_err(Failure::Unreadable)?;
    if text.len() > MAX_LEN {
        return Err(Failure::TooLong);
    }
    Ok(Some(text))
}

/// Says it once for each file, however often it is read.
#[cfg(unix)]
fn warn_if_others_may_read(path: &Path, metadata: &Metadata) {
    use std::os::unix::fs::PermissionsExt;

    static WARNED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

    let others_may_read = metadata.permissions().mode() & 0o044 != 0;
    if metadata.is_file()
        && others_may_read
        && WARNED.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned())
    {
        let path = path.display();
        tracing::warn!(
            target: "api_tokens",
            %path,
            "others than its owner may read this file with an API token: chmod 600 {path}, or what \
             gives it this mode where it is mounted",
        );
    }
}

#[cfg(not(unix))]
fn warn_if_others_may_read(_path: &Path, _metadata: &Metadata) {}

/// What tells that a file is another than before, without reading it: one for each file, `None`
/// for one that cannot be looked at.
pub(super) type Stamps = Vec<Option<Stamp>>;

#[derive(PartialEq)]
pub(super) struct Stamp {
    len: u64,
    modified: Option<SystemTime>,
    identity: Identity,
}

/// Looks at files, through symlinks: Kubernetes replaces a secret by turning one of them.
pub(super) fn stamps(paths: &[PathBuf]) -> Stamps {
    let stamp = |path: &PathBuf| {
        // What is not a file, such as a pipe, can be read once only.
        let metadata = fs::metadata(path).ok().filter(Metadata::is_file)?;
        Some(Stamp {
            len: metadata.len(),
            modified: metadata.modified().ok(),
            identity: identity(&metadata),
        })
    };
    paths.iter().map(stamp).collect()
}

/// Device, inode, and when either the content or the inode changed: tokens are all of one length,
/// and some tools keep the time of modification.
#[cfg(unix)]
type Identity = (u64, u64, i64, i64);

#[cfg(unix)]
fn identity(metadata: &Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;

    (metadata.dev(), metadata.ino(), metadata.ctime(), metadata.ctime_nsec())
}

#[cfg(not(unix))]
type Identity = ();

#[cfg(not(unix))]
fn identity(_metadata: &Metadata) -> Identity {}
