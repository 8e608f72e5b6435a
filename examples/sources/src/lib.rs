//! The sources of each project: the text documents of a folder, listed and searched. It has nothing
//! to do with tokens, but that they say which project's.

mod arguments;
mod folder;
mod index;

use std::{
    collections::BTreeMap,
    error::Error,
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use api_tokens::Project;
use rusqlite::Connection;

use self::folder::Document;
pub use self::{
    arguments::{FIRST_PROJECT, Folders},
    folder::Source,
    index::Hit,
};

/// An error for the person at the terminal, in words.
pub type Failure = Box<dyn Error + Send + Sync>;

/// The greatest length of a query.
pub const MAX_QUERY_CHARS: usize = 1000;

/// Whether a query can be searched for.
///
/// # Errors
///
/// If it has nothing, or too much.
pub fn check_query(query: &str) -> Result<(), Failure> {
    if query.trim().is_empty() || query.chars().nth(MAX_QUERY_CHARS).is_some() {
        return Err(format!("query must have 1 to {MAX_QUERY_CHARS} characters").into());
    }
    Ok(())
}

/// All sources, as they were when the service started.
pub struct Sources {
    projects: BTreeMap<Project, Arc<ProjectSources>>,
    nothing: Arc<ProjectSources>,
}

impl Sources {
    /// Reads each project's folder.
    ///
    /// # Errors
    ///
    /// If one cannot be read, has too much, or if a project has two.
    pub fn read(folders: impl IntoIterator<Item = (Project, PathBuf)>) -> Result<Self, Failure> {
        let mut projects = BTreeMap::new();
        for (project, folder) in folders {
            if projects.contains_key(&project) {
                return Err(format!("project {project} has two folders").into());
            }
            let sources = ProjectSources::read(&folder).map_err(|error| {
                format!("cannot read the sources in {}: {error}", folder.display())
            })?;
            projects.insert(project, Arc::new(sources));
        }
        let nothing = ProjectSources::new(PathBuf::new(), Vec::new())?;
        Ok(Self { projects, nothing: Arc::new(nothing) })
    }

    /// The sources of one project; none if it has no folder.
    #[must_use]
    pub fn of(&self, project: &Project) -> Arc<ProjectSources> {
        Arc::clone(self.projects.get(project).unwrap_or(&self.nothing))
    }

    /// Each project's folder, and how many sources it has.
    pub fn summary(&self) -> impl Iterator<Item = (&Project, &Path, usize)> {
        self.projects
            .iter()
            .map(|(project, sources)| (project, sources.folder.as_path(), sources.list.len()))
    }
}

/// The sources of one project.
///
/// Each project has an index of its own, so no query can reach another project's documents.
pub struct ProjectSources {
    folder: PathBuf,
    list: Vec<Source>,
    index: Mutex<Connection>,
}

impl ProjectSources {
    fn read(folder: &Path) -> Result<Self, Failure> {
        let folder = folder.canonicalize()?;
        let documents = folder::documents(&folder)?;
        Ok(Self::new(folder, documents)?)
    }

    fn new(folder: PathBuf, documents: Vec<Document>) -> rusqlite::Result<Self> {
        let index = index::create(&documents)?;
        let list = documents.into_iter().map(|document| document.source).collect();
        Ok(Self { folder, list, index: Mutex::new(index) })
    }

    /// In order of their paths.
    #[must_use]
    pub fn list(&self) -> &[Source] {
        &self.list
    }

    /// The sources that have one of the query's words, the best first. Blocks.
    ///
    /// # Errors
    ///
    /// Those of SQLite.
    pub fn search(&self, query: &str) -> rusqlite::Result<Vec<Hit>> {
        let index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        index::search(&index, query)
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").finish_non_exhaustive()
    }
}

impl fmt::Debug for ProjectSources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProjectSources").field("folder", &self.folder).finish_non_exhaustive()
    }
}
