//! Full-text search with SQLite's FTS5, in memory.

use rusqlite::Connection;
use serde::Serialize;

use super::folder::Document;

const MAX_HITS: u32 = 10;

/// A document that matches a query.
#[derive(Debug, Serialize)]
pub struct Hit {
    file_id: String,
    file_name: String,
    /// Where the words occur, cut from the text.
    snippet: String,
}

pub(super) fn create(documents: &[Document]) -> rusqlite::Result<Connection> {
    let mut index = Connection::open_in_memory()?;
    index.execute_batch("CREATE VIRTUAL TABLE document USING fts5 (id UNINDEXED, path, text)")?;
    let transaction = index.transaction()?;
    {
        let mut insert = transaction.prepare("INSERT INTO document VALUES (?1, ?2, ?3)")?;
        for Document { source, text } in documents {
            insert.execute((&source.id, &source.path, text))?;
        }
    }
    transaction.commit()?;
    Ok(index)
}

/// The documents that have one of the query's words, the best first.
pub(super) fn search(index: &Connection, query: &str) -> rusqlite::Result<Vec<Hit>> {
    let expression = match_expression(query);
    if expression.is_empty() {
        return Ok(Vec::new());
    }
    let mut search = index.prepare_cached(
        "SELECT id, path, snippet(document, 2, '', '', '…', 24) FROM document \
         WHERE document MATCH ?1 ORDER BY rank LIMIT ?2",
    )?;
    let hits = search.query_map((expression, MAX_HITS), |row| {
        let snippet: String = row.get(2)?;
        Ok(Hit {
            file_id: row.get(0)?,
            file_name: row.get(1)?,
            snippet: snippet.split_whitespace().collect::<Vec<_>>().join(" "),
        })
    })?;
    hits.collect()
}

/// Each word in quotes, joined by `OR`. Within quotes FTS5 takes everything as text but quotes
/// and NUL, so nothing that a client sends is an operator or a syntax error.
fn match_expression(query: &str) -> String {
    let outside =
        |character: char| character == '"' || character.is_control() || character.is_whitespace();
    let words = query.split(outside).filter(|word| !word.is_empty());
    words.map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" OR ")
}
