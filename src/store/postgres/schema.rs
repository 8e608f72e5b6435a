//! Where the tables are, and migrations.

use sha2::{Digest, Sha256};
use tokio_postgres::{Client, Error, IsolationLevel, error::SqlState, types::Type};

use super::error::failed;
use crate::{StoreError, StoreErrorKind};

/// The newest migration that this version of the crate knows, and needs.
const NEWEST: i64 = 1;

/// The schema that has our tables.
#[derive(Debug, Clone)]
pub(super) struct Schema {
    name: String,
}

impl Schema {
    pub(super) fn new(name: &str) -> Result<Self, StoreError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if name.len() <= 48
            && name.bytes().all(allowed)
            && name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
            // PostgreSQL reserves these names for itself.
            && !name.starts_with("pg_")
        {
            Ok(Self { name: name.to_owned() })
        } else {
            Err(StoreError::new(
                StoreErrorKind::Other,
                "a schema must have 1 to 48 characters of a-z, 0-9 and _, \
                 and start with neither a digit nor pg_",
            ))
        }
    }

    /// A name in this schema, quoted, since some words that are allowed are SQL's.
    pub(super) fn qualified(&self, name: &str) -> String {
        format!("\"{}\".{name}", self.name)
    }

    /// On which listeners are told of changes.
    pub(super) fn channel(&self) -> String {
        format!("{}_changed", self.name)
    }

    /// The SQL of each migration; the first makes the schema and brings it to version 1, and so
    /// on.
    pub(super) fn migrations(&self) -> Vec<String> {
        let mut migrations = self.tables();
        if let Some(first) = migrations.first_mut() {
            *first = format!("CREATE SCHEMA IF NOT EXISTS \"{}\";\n\n{first}", self.name);
        }
        migrations
    }

    fn tables(&self) -> Vec<String> {
        vec![include_str!("001.sql").replace("{schema}", &format!("\"{}\"", self.name))]
    }

    /// Applies the migrations that are missing, in one transaction.
    pub(super) async fn migrate(&self, client: &mut Client) -> Result<(), StoreError> {
        let transaction = client
            .build_transaction()
            // Whoever waited for another migration sees what that has done.
            .isolation_level(IsolationLevel::ReadCommitted)
            .start()
            .await
            .map_err(|error| failed("begin the migration", error))?;
        // Of two processes that migrate at once the second waits, and sees the work of the first.
        transaction
            .query_typed("SELECT pg_advisory_xact_lock($1)", &[(&self.lock(), Type::INT8)])
            .await
            .map_err(|error| failed("wait for another migration", error))?;
        let applied = self
            .applied(transaction.client())
            .await
            .map_err(|error| failed("read the schema version", error))?;
        // Not by `IF NOT EXISTS`, which needs the right to create even where nothing is created.
        let migrations = match applied {
            Applied::NoSchema => self.migrations(),
            Applied::Version(_) => self.tables(),
        };
        let applied = match applied {
            Applied::NoSchema => 0,
            Applied::Version(version) => usize::try_from(version).unwrap_or(0),
        };
        for migration in migrations.iter().skip(applied) {
            transaction
                .batch_execute(migration)
                .await
                .map_err(|error| failed("apply a migration", error))?;
        }
        transaction.commit().await.map_err(|error| failed("commit the migration", error))
    }

    async fn applied(&self, client: &Client) -> Result<Applied, Error> {
        let schema = "SELECT to_regnamespace($1) IS NOT NULL, to_regclass($2) IS NOT NULL";
        let quoted = format!("\"{}\"", self.name);
        let table = self.qualified("token_migration");
        let row =
            client.query_typed_one(schema, &[(&quoted, Type::TEXT), (&table, Type::TEXT)]).await?;
        if !row.try_get::<_, bool>(0)? {
            return Ok(Applied::NoSchema);
        }
        if !row.try_get::<_, bool>(1)? {
            return Ok(Applied::Version(0));
        }
        let version = format!("SELECT max(version) FROM {table}");
        let row = client.query_typed_one(&version, &[]).await?;
        Ok(Applied::Version(row.try_get::<_, Option<i64>>(0)?.unwrap_or(0)))
    }

    /// Checks that this version of the crate can work with the tables as they are; if not, the
    /// text says why.
    pub(super) async fn check(&self, client: &Client) -> Result<Result<(), String>, Error> {
        let query = format!(
            "SELECT max(version), max(version) FILTER (WHERE version > {NEWEST} AND breaking) \
             FROM {}",
            self.qualified("token_migration")
        );
        let (version, breaking) = match client.query_typed_one(&query, &[]).await {
            Ok(row) => (row.try_get::<_, Option<i64>>(0)?, row.try_get::<_, Option<i64>>(1)?),
            Err(error)
                if [Some(&SqlState::UNDEFINED_TABLE), Some(&SqlState::INVALID_SCHEMA_NAME)]
                    .contains(&error.code()) =>
            {
                (None, None)
            }
            Err(error) => return Err(error),
        };
        let (schema, version) = (&self.name, version.unwrap_or(0));
        Ok(match breaking {
            _ if version < NEWEST => Err(format!(
                "the tables of schema {schema} are at version {version} and this program needs \
                 {NEWEST}: run PostgresOptions::migrate, or the SQL of PostgresOptions::migrations",
            )),
            Some(breaking) => Err(format!(
                "the tables of schema {schema} are at version {breaking}, which this program is \
                 too old to read: it knows version {NEWEST}",
            )),
            None => Ok(()),
        })
    }

    /// What those who migrate this schema lock.
    fn lock(&self) -> i64 {
        first_eight(&Sha256::digest(format!("api-tokens migration {}", self.name))).cast_signed()
    }
}

enum Applied {
    NoSchema,
    Version(i64),
}

/// The first eight bytes of a hash, as a number.
pub(super) fn first_eight(hash: &[u8]) -> u64 {
    hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}
