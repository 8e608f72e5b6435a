use std::{
    ffi::OsString,
    io,
    path::{self, Path},
    process::Stdio,
};

use tokio::io::AsyncReadExt;

use super::{
    error::Failure,
    file::{self, MAX_LEN},
    place::Text,
};

/// A program that prints the token.
#[derive(Clone)]
pub(super) struct Command {
    program: OsString,
    arguments: Vec<OsString>,
}

impl Command {
    pub(super) fn new(program: OsString, arguments: Vec<OsString>) -> Self {
        Self { program, arguments }
    }

    /// As it stands in messages, without the arguments: they may be secret.
    pub(super) fn program(&self) -> path::Display<'_> {
        Path::new(&self.program).display()
    }

    /// What the program prints. Dropping the future kills it.
    pub(super) async fn run(&self) -> Result<Text, Failure> {
        let mut child = tokio::process::Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => Failure::NoSuchProgram,
                _ => Failure::NotStarted(error),
            })?;
        let mut text = file::buffer();
        if let Some(output) = child.stdout.take() {
            let mut output = output.take(MAX_LEN as u64 + 1);
            output.read_to_end(&mut text).await.map_err(Failure::Unreadable)?;
        }
        if text.len() > MAX_LEN {
            return Err(Failure::TooLong);
        }
        let status = child.wait().await.map_err(Failure::Unreadable)?;
        // A program that failed may have printed a part, or its help.
        if status.success() { Ok(text) } else { Err(Failure::Failed(status)) }
    }
}
