//! Which folders: what the examples are told in the same way.

use std::path::{Path, PathBuf};

use api_tokens::Project;
use clap::Args;

use crate::{Failure, Sources};

/// The project whose sources are given first.
pub const FIRST_PROJECT: &str = "demo";

/// Arguments of a command.
#[derive(Debug, Args)]
pub struct Folders {
    /// The folder with the sources of project `demo` [default: the documents of this repository]
    folder: Option<PathBuf>,

    /// The sources of one more project; may be repeated. A project without a folder has none
    #[arg(long = "project", value_name = "NAME=FOLDER", value_parser = name_and_folder)]
    projects: Vec<(Project, PathBuf)>,
}

impl Folders {
    /// Reads them all.
    ///
    /// # Errors
    ///
    /// As [`Sources::read`].
    pub fn read(&self) -> Result<Sources, Failure> {
        let documents = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let folder = self.folder.clone().unwrap_or_else(documents);
        // Which may hold a password, that must not be repeated.
        if folder.as_os_str().as_encoded_bytes().windows(3).any(|text| text == b"://") {
            return Err(
                "a URL is no folder: the database of the tokens is given with --store".into()
            );
        }
        let demo: Project = FIRST_PROJECT.parse()?;
        Sources::read([(demo, folder)].into_iter().chain(self.projects.iter().cloned()))
    }
}

fn name_and_folder(text: &str) -> Result<(Project, PathBuf), Failure> {
    let (name, folder) = text.split_once('=').ok_or("expected NAME=FOLDER")?;
    Ok((name.parse()?, folder.into()))
}
