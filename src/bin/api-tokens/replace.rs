use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::Path,
};

use rand::{TryRng, rngs::SysRng};

/// Writes a file, or over the one that is there: beside it, under a name that nobody can have taken
/// beforehand, which then takes its place. So a run that is cut off leaves the former file whole, and
/// a link that somebody put there is replaced and not followed.
pub(crate) fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    let random = SysRng.try_next_u64().map_err(io::Error::other)?;
    name.push(format!(".{random:016x}.new"));
    let beside = path.with_file_name(name);
    let mut file = OpenOptions::new().write(true).create_new(true).open(&beside)?;
    let replaced = file
        .write_all(contents)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&beside, path));
    if replaced.is_err() {
        let _ = fs::remove_file(&beside);
    }
    replaced
}
