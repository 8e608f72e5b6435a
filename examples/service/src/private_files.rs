//! Files that hold secrets: their owner's alone, complete or not there, never overwritten.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    path::Path,
};

use crate::Failure;

/// Creates a directory of mode 0700 unless it is there.
pub(crate) fn create_directory(path: &Path) -> Result<(), Failure> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(path)
        .map_err(|error| format!("cannot make the directory {}: {error}", path.display()).into())
}

/// Creates a file of mode 0600 with one line of text unless it is there.
pub(crate) fn create(path: &Path, line: &str) -> Result<(), Failure> {
    // The text goes to a file aside, which then gets its name: there is no moment in which the
    // name stands for half of the text. Unlike a rename, a link never replaces a file.
    let aside = path.with_extension(format!("new-{}", std::process::id()));
    let created = write(&aside, line).and_then(|()| fs::hard_link(&aside, path));
    let removed = fs::remove_file(&aside);
    match created {
        // Another process was faster; its file counts.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        created => created.and(removed),
    }
    .and_then(|()| sync_directory_of(path))
    .map_err(|error| format!("cannot create {}: {error}", path.display()).into())
}

fn write(path: &Path, line: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    writeln!(file, "{line}")?;
    file.sync_all()
}

/// A name has reached the disk when its directory has.
fn sync_directory_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(directory) if cfg!(unix) => File::open(directory)?.sync_all(),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_never_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        create(&path, "first").unwrap();
        create(&path, "second").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "first\n");
        let names = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert_eq!(names.collect::<Vec<_>>(), ["key"], "nothing is left aside");
    }
}
