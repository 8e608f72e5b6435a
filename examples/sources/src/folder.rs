//! Finds the text documents of a folder.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::Path,
};

/// A file name ends with one of these.
const EXTENSIONS: [&str; 12] =
    ["adoc", "csv", "htm", "html", "markdown", "md", "org", "rst", "tex", "text", "tsv", "txt"];

const MAX_DOCUMENT_BYTES: u64 = 1024 * 1024;
/// All documents are held in memory.
const MAX_TOTAL_BYTES: u64 = 64 * 1024 * 1024;
/// Whoever names `/` by mistake gets an error in seconds, not in hours.
const MAX_ENTRIES: usize = 100_000;

/// A document that can be listed and searched.
#[derive(Debug)]
pub struct Source {
    /// The same as long as the path is.
    pub id: String,
    /// Within the folder, with `/` between its parts.
    pub path: String,
    /// Of the file's name, in lower case.
    pub extension: String,
    /// In bytes.
    pub size: u64,
}

/// A source and its text.
pub(super) struct Document {
    pub(super) source: Source,
    pub(super) text: String,
}

/// Reads the documents below a folder, in order of their paths.
///
/// Hidden folders and those that hold what was built or downloaded are left out, and so are links,
/// documents over 1 MiB and those that are not UTF-8. Below the folder itself, what cannot be read
/// is left out with a warning.
pub(super) fn documents(folder: &Path) -> io::Result<Vec<Document>> {
    let mut documents = Vec::new();
    let mut entries = 0;
    let mut bytes = 0;
    let mut open = vec![(folder.to_owned(), String::new())];
    while let Some((folder, path)) = open.pop() {
        let read_dir = match fs::read_dir(&folder) {
            Err(error) if !path.is_empty() => {
                warn(&folder, &error);
                continue;
            }
            read_dir => read_dir?,
        };
        for entry in read_dir {
            let entry = entry?;
            entries += 1;
            // A name that is not Unicode cannot be sent in JSON.
            let Ok(name) = entry.file_name().into_string() else { continue };
            let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
            let kind = entry.file_type()?;
            if kind.is_dir() && !is_skipped(&name) {
                open.push((entry.path(), path));
            } else if kind.is_file() {
                match read(&entry.path(), path) {
                    Ok(Some(document)) => {
                        bytes += document.source.size;
                        documents.push(document);
                    }
                    Ok(None) => {}
                    Err(error) => warn(&entry.path(), &error),
                }
            }
            if entries > MAX_ENTRIES || bytes > MAX_TOTAL_BYTES {
                return Err(io::Error::other(format!(
                    "there is more than an example takes: {MAX_ENTRIES} files, or {} MiB of text",
                    MAX_TOTAL_BYTES / (1024 * 1024)
                )));
            }
        }
    }
    documents.sort_by(|a, b| a.source.path.cmp(&b.source.path));
    Ok(documents)
}

fn is_skipped(folder: &str) -> bool {
    folder.starts_with('.') || matches!(folder, "target" | "node_modules" | "api-tokens-data")
}

fn warn(path: &Path, error: &io::Error) {
    // Nobody may be there to read it.
    let _ = writeln!(io::stderr(), "warning: left out {}: {error}", path.display());
}

/// `None` if the file is not a document.
fn read(file: &Path, path: String) -> io::Result<Option<Document>> {
    let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let extension = extension.to_lowercase();
    if !EXTENSIONS.contains(&extension.as_str()) {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    File::open(file)?.take(MAX_DOCUMENT_BYTES + 1).read_to_end(&mut bytes)?;
    let size = bytes.len() as u64;
    let Ok(text) = String::from_utf8(bytes) else { return Ok(None) };
    if size > MAX_DOCUMENT_BYTES {
        return Ok(None);
    }
    let source = Source { id: id_of(&path), path, extension, size };
    Ok(Some(Document { source, text }))
}

/// A short name for a path, without characters that mean something in a URL (FNV-1a, 64 bits).
fn id_of(path: &str) -> String {
    let hash = path.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}
