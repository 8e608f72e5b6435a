//! Where the tokens are.

use std::path::Path;

use api_tokens::{DynTokenStore, PostgresOptions, SqliteOptions};
use secrecy::{ExposeSecret, SecretString};

use crate::{Failure, setup::Files};

/// The value of `--store`, which may hold a password. Checked when it is used: clap would repeat in
/// its error what it does not like.
pub(crate) type Location = SecretString;

/// Makes what is missing of the tables, and opens them.
pub(crate) async fn open(
    location: Option<&Location>,
    file: &Path,
) -> Result<DynTokenStore, Failure> {
    if let Some(url) = location {
        let url = url.expose_secret();
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err("--store must begin with postgres://".into());
        }
        let options = PostgresOptions::new(url);
        options.migrate().await?;
        return Ok(DynTokenStore::new(options.open().await?));
    }
    let options = SqliteOptions::new(file);
    options.migrate()?;
    Ok(DynTokenStore::new(options.open()?))
}

/// For people: without the password that a URL may hold.
pub(crate) fn described(location: Option<&Location>, files: &Files) -> String {
    match location {
        Some(_) => "the PostgreSQL database of --store".to_owned(),
        None => files.database.display().to_string(),
    }
}
