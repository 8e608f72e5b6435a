//! Tables, the statements that use them, and migrations.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, types::Value};

use super::failed;
use crate::store::row::{COLUMNS, EVENT_COLUMNS, USAGE_COLUMNS, names};
use crate::{ListFilter, PageKey, StoreError, StoreErrorKind};

/// The newest migration that this version of the crate knows, and needs.
const NEWEST: i64 = 1;

/// The names of our tables, made of a prefix that keeps them apart from the host's own.
#[derive(Debug, Clone)]
pub(super) struct Schema {
    prefix: String,
}

impl Schema {
    pub(super) fn new(prefix: &str) -> Result<Self, StoreError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let starts_well =
            prefix.starts_with(|first: char| first.is_ascii_lowercase() || first == '_');
        if prefix.len() <= 32
            && prefix.bytes().all(allowed)
            && (prefix.is_empty() || starts_well)
            // SQLite reserves these names for itself.
            && !prefix.starts_with("sqlite_")
        {
            Ok(Self { prefix: prefix.to_owned() })
        } else {
            Err(StoreError::new(
                StoreErrorKind::Other,
                "a table prefix must have at most 32 characters of a-z, 0-9 and _, \
                 and start with neither a digit nor sqlite_",
            ))
        }
    }

    /// The SQL of each migration; the first brings an empty schema to version 1, and so on.
    pub(super) fn migrations(&self) -> Vec<String> {
        vec![include_str!("001.sql").replace("{prefix}", &self.prefix)]
    }

    /// Applies the migrations that are missing, in one transaction.
    pub(super) fn migrate(&self, connection: &mut Connection) -> Result<(), StoreError> {
        // Immediate, so that of two processes that migrate at once the second sees the work of
        // the first.
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed("begin the migration"))?;
        let applied = usize::try_from(self.version(&transaction)?.unwrap_or(0)).unwrap_or(0);
        for migration in self.migrations().iter().skip(applied) {
            transaction.execute_batch(migration).map_err(failed("apply a migration"))?;
        }
        transaction.commit().map_err(failed("commit the migration"))
    }

    /// Checks that this version of the crate can work with the tables as they are.
    pub(super) fn check(&self, connection: &Connection) -> Result<(), StoreError> {
        let version = self.version(connection)?.unwrap_or(0);
        if version < NEWEST {
            return Err(StoreError::new(
                StoreErrorKind::Other,
                format!(
                    "the tables {}token… are at version {version} and this program needs {NEWEST}: \
                     run SqliteOptions::migrate, or the SQL of SqliteOptions::migrations",
                    self.prefix
                ),
            ));
        }
        let breaking: Option<i64> = connection
            .query_row(
                &format!(
                    "SELECT max(version) FROM {}token_migration WHERE version > {NEWEST} AND breaking",
                    self.prefix
                ),
                [],
                |row| row.get(0),
            )
            .map_err(failed("read the schema version"))?;
        match breaking {
            None => Ok(()),
            Some(breaking) => Err(StoreError::new(
                StoreErrorKind::Other,
                format!(
                    "the tables {}token… are at version {breaking}, which this program is too old \
                     to read: it knows version {NEWEST}",
                    self.prefix
                ),
            )),
        }
    }

    /// The newest migration that was applied; `None` if our tables are not there.
    fn version(&self, connection: &Connection) -> Result<Option<i64>, StoreError> {
        let table: Option<i64> = connection
            .query_row(
                "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1",
                [format!("{}token_migration", self.prefix)],
                |row| row.get(0),
            )
            .optional()
            .map_err(failed("read the schema"))?;
        if table.is_none() {
            return Ok(None);
        }
        connection
            .query_row(
                &format!("SELECT max(version) FROM {}token_migration", self.prefix),
                [],
                |row| row.get(0),
            )
            .map_err(failed("read the schema version"))
    }
}

/// The text of each statement, made once.
#[derive(Debug)]
pub(super) struct Statements {
    /// The tables' names, for errors.
    pub(super) token_table: String,
    pub(super) change_table: String,
    pub(super) usage_table: String,
    pub(super) event_table: String,
    pub(super) insert: String,
    pub(super) find: String,
    pub(super) update: String,
    pub(super) advance_head: String,
    pub(super) note_change: String,
    pub(super) forget_changes: String,
    pub(super) head: String,
    pub(super) changes: String,
    pub(super) version: String,
    pub(super) record_usage: String,
    pub(super) usage: String,
    pub(super) append_event: String,
    pub(super) events: String,
    pub(super) prune_usage: String,
    pub(super) prune: String,
}

impl Statements {
    pub(super) fn new(schema: &Schema) -> Self {
        let prefix = &schema.prefix;
        let columns = names(&COLUMNS);
        let parameters = numbered(COLUMNS.len());
        let assignments: Vec<String> =
            COLUMNS.iter().zip(1..).map(|((column, _), i)| format!("{column} = ?{i}")).collect();
        let assignments = assignments.join(", ");
        let (event_columns, usage_columns) = (names(&EVENT_COLUMNS), names(&USAGE_COLUMNS));
        let event_parameters = numbered(EVENT_COLUMNS.len() - 1);
        Self {
            token_table: format!("{prefix}token"),
            change_table: format!("{prefix}token_change"),
            usage_table: format!("{prefix}token_usage"),
            event_table: format!("{prefix}token_event"),
            insert: format!("INSERT INTO {prefix}token ({columns}) VALUES ({parameters})"),
            find: format!(
                "SELECT {columns}, (SELECT revision FROM {prefix}token_head) \
                 FROM {prefix}token WHERE id = ?1"
            ),
            // ?1 is the id: see `COLUMNS`.
            update: format!("UPDATE {prefix}token SET {assignments} WHERE id = ?1"),
            advance_head: format!(
                "UPDATE {prefix}token_head SET revision = revision + 1 RETURNING revision"
            ),
            note_change: format!("INSERT INTO {prefix}token_change (revision, id) VALUES (?1, ?2)"),
            forget_changes: format!("DELETE FROM {prefix}token_change WHERE revision <= ?1"),
            head: format!("SELECT incarnation, revision FROM {prefix}token_head"),
            changes: format!(
                "SELECT revision, id FROM {prefix}token_change \
                 WHERE revision > ?1 ORDER BY revision LIMIT ?2"
            ),
            version: format!("SELECT version FROM {prefix}token WHERE id = ?1"),
            record_usage: format!(
                "INSERT INTO {prefix}token_usage ({usage_columns}) \
                 SELECT ?1, ?2, ?3, ?4 WHERE EXISTS (SELECT 1 FROM {prefix}token WHERE id = ?1) \
                 ON CONFLICT (id) DO UPDATE SET last_used_at = excluded.last_used_at, \
                 client_address = excluded.client_address, user_agent = excluded.user_agent \
                 WHERE last_used_at < excluded.last_used_at"
            ),
            usage: format!("SELECT {usage_columns} FROM {prefix}token_usage WHERE id = ?1"),
            // The number is SQLite's to choose.
            append_event: format!(
                "INSERT INTO {prefix}token_event ({event_columns}) VALUES (NULL, {event_parameters})"
            ),
            events: format!(
                "SELECT {event_columns} FROM {prefix}token_event \
                 WHERE token = ?1 AND number < ?2 ORDER BY number DESC LIMIT ?3"
            ),
            // The same rows as the statement below, within one transaction.
            prune_usage: format!(
                "DELETE FROM {prefix}token_usage WHERE id IN \
                 (SELECT id FROM {prefix}token WHERE ends_at < ?1 ORDER BY ends_at, id LIMIT ?2)"
            ),
            prune: format!(
                "DELETE FROM {prefix}token WHERE id IN \
                 (SELECT id FROM {prefix}token WHERE ends_at < ?1 ORDER BY ends_at, id LIMIT ?2)"
            ),
        }
    }

    /// The query for a page of records, and its values. Project, owner and order each have their
    /// index.
    pub(super) fn list(
        &self,
        filter: &ListFilter,
        after: Option<&PageKey>,
        limit: i64,
    ) -> (String, Vec<Value>) {
        let ListFilter { project, owner } = filter;
        let mut conditions = String::new();
        let mut values = Vec::new();
        if let Some(project) = project {
            conditions.push_str(" AND project = ?");
            values.push(Value::from(project.as_str().to_owned()));
        }
        if let Some(owner) = owner {
            conditions.push_str(" AND owner = ?");
            values.push(Value::from(owner.as_str().to_owned()));
        }
        if let Some(after) = after {
            conditions.push_str(" AND (created_at, id) < (?, ?)");
            values.push(Value::from(after.created_at.as_microsecond()));
            values.push(Value::from(after.id.as_str().to_owned()));
        }
        values.push(Value::from(limit));
        let query = format!(
            "SELECT {} FROM {} WHERE true{conditions} ORDER BY created_at DESC, id DESC LIMIT ?",
            names(&COLUMNS),
            self.token_table,
        );
        (query, values)
    }
}

fn numbered(count: usize) -> String {
    let parameters: Vec<String> = (1..=count).map(|i| format!("?{i}")).collect();
    parameters.join(", ")
}

#[cfg(test)]
mod tests {
    use rusqlite::params_from_iter;

    use super::*;

    /// None reads a whole table, or sorts what it has read.
    #[test]
    fn statements_use_an_index() {
        let schema = Schema::new("x_").unwrap();
        let statements = Statements::new(&schema);
        let mut connection = Connection::open_in_memory().unwrap();
        schema.migrate(&mut connection).unwrap();
        let explain = |query: &str, values: Vec<Value>| -> Vec<String> {
            let mut explain = connection.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
            let steps = explain.query_map(params_from_iter(values), |row| row.get(3)).unwrap();
            steps.map(Result::unwrap).collect()
        };
        let check = |query: &str, values: Vec<Value>, index: &str| {
            let plan = explain(query, values);
            assert!(plan.iter().any(|step| step.contains(index)), "{query}: {plan:?}");
            assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{query}: {plan:?}");
        };

        let after = "1.0123456789abcdef".parse().unwrap();
        let (project, owner) = ("acme".parse().unwrap(), "ann".parse().unwrap());
        let by_project = ListFilter { project: Some(project), owner: None };
        let by_owner = ListFilter { project: None, owner: Some(owner) };
        for (filter, index) in [
            (ListFilter::default(), "x_token_by_creation"),
            (by_project, "x_token_by_project"),
            (by_owner, "x_token_by_owner"),
        ] {
            for after in [None, Some(&after)] {
                let (query, values) = statements.list(&filter, after, 10);
                check(&query, values, index);
            }
        }
        check(&statements.prune, vec![1.into(), 10.into()], "x_token_by_end");
        check(&statements.prune_usage, vec![1.into(), 10.into()], "x_token_by_end");
        let id = || Value::from("0123456789abcdef".to_owned());
        check(&statements.events, vec![id(), 1.into(), 10.into()], "x_token_event_by_token");
        check(&statements.usage, vec![id()], "PRIMARY KEY");
        check(&statements.find, vec!["0123456789abcdef".to_owned().into()], "PRIMARY KEY");
    }
}
