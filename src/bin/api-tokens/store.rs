use std::path::{Path, PathBuf};

use api_tokens::{DynTokenStore, PostgresOptions, SqliteOptions};
use clap::Args;
use secrecy::{ExposeSecret, SecretString};

use crate::{failure::Failure, output::shown_path};

const VARIABLE: &str = "API_TOKENS_STORE";

const MIGRATE: &str = "api-tokens migrate --store STORE";

#[derive(Debug, Args)]
#[command(next_help_heading = "The store")]
pub(crate) struct StoreArguments {
    /// Where the tokens are: sqlite:PATH, or postgres://USER@HOST/DATABASE [env: API_TOKENS_STORE]
    ///
    /// A connection string with a password goes into the environment variable, never here: whoever
    /// uses this machine can read arguments.
    #[arg(long, value_name = "STORE")]
    store: Option<String>,
    /// What the names of the tables begin with, in SQLite
    #[arg(long, value_name = "PREFIX", default_value = "api_")]
    table_prefix: String,
    /// The schema of the tables, in PostgreSQL
    #[arg(long, value_name = "NAME", default_value = "api_tokens")]
    schema: String,
    /// A PEM file with the authorities that the certificate of PostgreSQL, or of the management API,
    /// must be signed by [default: those of the system]
    #[arg(long, value_name = "FILE")]
    root_certificate: Option<PathBuf>,
}

/// Which store, and how to open it.
enum Options {
    Sqlite(PathBuf, SqliteOptions),
    Postgres(Box<PostgresOptions>),
}

impl StoreArguments {
    /// Whether a store is named at all.
    pub(crate) fn is_given(&self) -> bool {
        self.store.is_some() || std::env::var_os(VARIABLE).is_some_and(|value| !value.is_empty())
    }

    pub(crate) fn root_certificate(&self) -> Option<&Path> {
        self.root_certificate.as_deref()
    }

    /// Whether it is clear which store is meant, without opening it.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        self.options().map(drop)
    }

    pub(crate) async fn open(&self) -> Result<DynTokenStore, Failure> {
        let opened = match self.options()? {
            Options::Sqlite(path, _) if !path.exists() => {
                return Err(Failure::new(format!(
                    "there is no store {}; make one: {MIGRATE}",
                    shown_path(&path)
                )));
            }
            Options::Sqlite(_, options) => options.open().map(DynTokenStore::new),
            Options::Postgres(options) => {
                options.notifications(false).open().await.map(DynTokenStore::new)
            }
        };
        opened.map_err(|error| {
            let text = error.to_string();
            // The library names what a program would call.
            Failure::new(match text.split_once(": run ") {
                Some((what, call)) if call.contains("Options::migrate") => {
                    format!("{what}: run {MIGRATE}")
                }
                _ => text,
            })
        })
    }

    pub(crate) async fn migrate(&self) -> Result<(), Failure> {
        match self.options()? {
            Options::Sqlite(_, options) => options.migrate()?,
            Options::Postgres(options) => options.migrate().await?,
        }
        Ok(())
    }

    fn options(&self) -> Result<Options, Failure> {
        let text = self.text()?;
        let text = text.expose_secret();
        if let Some(path) = text.strip_prefix("sqlite:") {
            // As in `sqlite:///var/lib/tokens.db`.
            let path = path.strip_prefix("//").unwrap_or(path);
            let options = SqliteOptions::new(path).table_prefix(&self.table_prefix);
            return Ok(Options::Sqlite(path.into(), options));
        }
        if !is_postgres(text) {
            return Err(Failure::new(
                "the store must be sqlite:PATH or postgres://USER@HOST/DATABASE",
            ));
        }
        let options = PostgresOptions::new(text).schema(&self.schema).max_connections(2);
        let options = match &self.root_certificate {
            Some(path) => {
                let pem = std::fs::read_to_string(path)
                    .map_err(|error| Failure::of_file("read", path, &error))?;
                options.root_certificate_pem(&pem)
            }
            None => options,
        };
        Ok(Options::Postgres(Box::new(options)))
    }

    fn text(&self) -> Result<SecretString, Failure> {
        match (&self.store, std::env::var(VARIABLE)) {
            (Some(text), _) if has_password(text) => Err(Failure::new(format!(
                "--store has a password, which whoever uses this machine can read: \
                 put it into the environment variable {VARIABLE}"
            ))),
            (Some(text), _) => Ok(text.as_str().into()),
            (None, Ok(text)) if !text.is_empty() => Ok(text.into()),
            (None, _) => Err(Failure::new(format!(
                "which store? Add --store sqlite:PATH, --store postgres://USER@HOST/DATABASE, or \
                 set the environment variable {VARIABLE}"
            ))),
        }
    }
}

fn is_postgres(text: &str) -> bool {
    text.starts_with("postgres://") || text.starts_with("postgresql://")
}

/// What cannot be read is refused later, by the store.
fn has_password(text: &str) -> bool {
    is_postgres(text)
        && text
            .parse::<tokio_postgres::Config>()
            .is_ok_and(|config| config.get_password().is_some())
}
