use std::{
    fs::{File, OpenOptions},
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use zeroize::Zeroizing;

use crate::{
    failure::{Failure, reason},
    output::{shown_path, tell},
};

#[derive(Debug, Args)]
#[command(next_help_heading = "Where the secret goes")]
pub(crate) struct SecretArguments {
    /// Write it to this file, which must not exist, and which its owner alone can read
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// Write it to stdout although that is no terminal, for a program that reads it
    ///
    /// Without this nothing is done, since what is written there often stays in a log.
    #[arg(long, conflicts_with = "to")]
    print: bool,
}

/// Where a secret will go. It is made before the secret is, so that none is lost.
#[derive(Debug)]
pub(crate) enum Destination {
    File(NewFile),
    Stdout,
}

impl SecretArguments {
    /// # Errors
    ///
    /// [`Failure`] if the file cannot be made, or if the secret would go where nobody expects it.
    pub(crate) fn open(&self) -> Result<Destination, Failure> {
        match &self.to {
            Some(path) => Ok(Destination::File(NewFile::create(path)?)),
            None if self.print || io::stdout().is_terminal() => Ok(Destination::Stdout),
            None => Err(Failure::new(
                "nothing was done: stdout is no terminal, and a secret must not end in a log; add \
                 --to FILE, or --print if a program reads it there",
            )),
        }
    }
}

impl Destination {
    /// Gives the secret out, once, and says so on stderr.
    pub(crate) fn deliver(self, what: &str, secret: &str) -> Result<(), Failure> {
        match self {
            Self::File(file) => {
                let path = file.path.clone();
                file.finish(secret)?;
                tell(&format!("{what} is in {}, which only you can read.\n", shown_path(&path)));
            }
            Self::Stdout => {
                tell(&format!("{what} is shown this once: copy it now.\n"));
                let mut stdout = io::stdout().lock();
                stdout.write_all(&line(secret)).and_then(|()| stdout.flush()).map_err(|error| {
                    Failure::new(format!("cannot write to stdout: {}", reason(&error)))
                })?;
            }
        }
        Ok(())
    }
}

/// The secret with a line's end, for one call: the buffer of stdout keeps what has none, and nobody
/// wipes that.
fn line(secret: &str) -> Zeroizing<Vec<u8>> {
    let mut line = Zeroizing::new(Vec::with_capacity(secret.len().saturating_add(1)));
    line.extend_from_slice(secret.as_bytes());
    line.push(b'\n');
    line
}

/// A file that is removed again if nothing comes into it.
#[derive(Debug)]
pub(crate) struct NewFile {
    file: File,
    path: PathBuf,
    is_complete: bool,
}

impl NewFile {
    /// An empty file that its owner alone can read and write. There must be none before.
    pub(crate) fn create(path: &Path) -> Result<Self, Failure> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.open(path) {
            Ok(file) => Ok(Self { file, path: path.to_owned(), is_complete: false }),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(Failure::new(format!("{} exists; it was not changed", shown_path(path))))
            }
            Err(error) => Err(Failure::of_file("create", path, &error)),
        }
    }

    /// Writes the secret and a line's end, and waits until it is on the disk.
    pub(crate) fn finish(mut self, secret: &str) -> Result<(), Failure> {
        self.file
            .write_all(&line(secret))
            .and_then(|()| self.file.sync_all())
            .map_err(|error| Failure::of_file("write", &self.path, &error))?;
        self.is_complete = true;
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.is_complete {
            // It is empty, or has a part of a secret that does not count.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
