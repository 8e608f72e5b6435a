//! The text of each statement, made once.

use super::{
    array::{Parameters, placeholders},
    features::Features,
    schema::Schema,
};
use crate::{
    ListFilter, PageKey, StoreError, StoreErrorKind, WriteBatch,
    store::row::{COLUMNS, Column, EVENT_COLUMNS, USAGE_COLUMNS, names},
};

#[derive(Debug)]
pub(super) struct Statements {
    /// The tables' names, for errors.
    pub(super) token_table: String,
    pub(super) change_table: String,
    pub(super) usage_table: String,
    pub(super) event_table: String,
    pub(super) find: String,
    pub(super) changes: String,
    pub(super) forget_changes: String,
    pub(super) record_usage: String,
    pub(super) usage: String,
    pub(super) events: String,
    pub(super) prune: String,
    head_table: String,
    /// Whether the server is a standby, and what confirms that it is the primary: the end of a
    /// read.
    primary: String,
    durable: &'static str,
    /// What tells the listeners, if they are to be told.
    notify: Option<String>,
}

impl Statements {
    pub(super) fn new(
        schema: &Schema,
        features: Features,
        notifications: bool,
        confirmed: bool,
    ) -> Self {
        let table = |name: &str| schema.qualified(name);
        let (token, head, change) = (table("token"), table("token_head"), table("token_change"));
        let (usage, event) = (table("token_usage"), table("token_event"));
        let Features { recovery, timeline, started, system, notify, durable } = features;
        // What is written to the log makes the transaction's end a commit, which waits for the
        // synchronous standby: the answer comes only from a primary that the standby has not left.
        // (A transaction number alone does not: a commit without anything in the log never waits.)
        let confirm = if confirmed {
            format!(
                ", (SELECT {durable}), (SELECT CASE WHEN NOT {recovery} \
                 THEN pg_logical_emit_message(true, 'api_tokens', '') END)"
            )
        } else {
            String::new()
        };
        let primary = format!("{recovery}{confirm}");
        let token_columns: Vec<String> =
            COLUMNS.iter().map(|(name, _)| format!("t.{name}")).collect();
        let token_columns = token_columns.join(", ");
        let (event_columns, usage_columns) = (names(&EVENT_COLUMNS), names(&USAGE_COLUMNS));
        Self {
            // Joined to the head, so that there is a row that tells about the server even if there
            // is no record. By its key, so that the planner knows there is but one: it plans for
            // thousands of rows in a table that it knows nothing of, and compiles the plan.
            find: format!(
                "SELECT {token_columns}, h.revision, {primary} \
                 FROM {head} h LEFT JOIN {token} t ON t.id = $1 WHERE h.one = 1"
            ),
            changes: format!(
                "SELECT c.revision, c.id, h.incarnation, h.revision, h.tableoid::bigint, \
                 {recovery}, (SELECT {timeline}), (SELECT {started}), (SELECT {system}){confirm} \
                 FROM {head} h LEFT JOIN LATERAL (SELECT revision, id FROM {change} \
                 WHERE revision > $1 AND revision <= h.revision ORDER BY revision LIMIT $2) c \
                 ON true WHERE h.one = 1 ORDER BY c.revision"
            ),
            forget_changes: format!("DELETE FROM {change} WHERE revision <= $1"),
            record_usage: format!(
                "INSERT INTO {usage} AS kept ({usage_columns}) SELECT {usage_columns} \
                 FROM unnest({arrays}) AS given ({usage_columns}) \
                 WHERE EXISTS (SELECT 1 FROM {token} t WHERE t.id = given.id) ORDER BY id \
                 ON CONFLICT (id) DO UPDATE SET last_used_at = excluded.last_used_at, \
                 client_address = excluded.client_address, user_agent = excluded.user_agent \
                 WHERE kept.last_used_at < excluded.last_used_at",
                arrays = placeholders(&USAGE_COLUMNS, 1),
            ),
            usage: format!("SELECT {usage_columns} FROM {usage} WHERE id = ANY($1)"),
            events: format!(
                "SELECT {event_columns} FROM {event} \
                 WHERE token = $1 AND number < $2 ORDER BY number DESC LIMIT $3"
            ),
            // Usage goes with its record, by the foreign key.
            prune: format!(
                "WITH durable AS MATERIALIZED (SELECT {durable} AS setting), ended AS MATERIALIZED \
                 (SELECT id FROM {token} WHERE ends_at < $1 \
                 AND (SELECT setting FROM durable) IS NOT NULL \
                 ORDER BY ends_at, id LIMIT $2 FOR UPDATE), \
                 gone AS (DELETE FROM {token} t USING ended WHERE t.id = ended.id RETURNING 1) \
                 SELECT count(*) FROM gone"
            ),
            token_table: token,
            head_table: head,
            primary,
            change_table: change,
            usage_table: usage,
            event_table: event,
            durable,
            notify: (notifications && notify)
                .then(|| format!("pg_notify('{}', '')", schema.channel())),
        }
    }

    /// The statement that writes a batch, and what it is given. It answers in one row whether the
    /// stored records were as expected, and the revision if there were updates.
    ///
    /// One statement is one transaction and one round trip, and nothing can come between its parts,
    /// not even the death of whoever sent it. The order of the parts matters: first the records are
    /// locked, in the order of their ids, and compared with what is expected; the head is last,
    /// since everybody who updates waits for it. Subqueries force that order.
    pub(super) fn write(&self, batch: &WriteBatch) -> Result<(String, Parameters), StoreError> {
        let WriteBatch { inserts, updates, unchanged, events } = batch;
        let Self { token_table: token, head_table: head, .. } = self;
        let mut parameters = Parameters::default();
        let mut parts =
            vec![format!("durable AS MATERIALIZED (SELECT {} AS setting)", self.durable)];

        let mut as_expected = "(SELECT setting FROM durable) IS NOT NULL";
        if !updates.is_empty() || !unchanged.is_empty() {
            // Those that are only relied on may be relied on by many at once. With updates, one
            // kind of lock: two kinds would have to be taken in two passes, which may deadlock.
            let lock = if updates.is_empty() { "SHARE" } else { "NO KEY UPDATE" };
            let ids = parameters.expectations(batch);
            parts.push(format!(
                "expected AS MATERIALIZED \
                 (SELECT id, version FROM unnest(${ids}::text[], ${}::bigint[]) AS e (id, version)), \
                 locked AS MATERIALIZED (SELECT id, version FROM {token} \
                 WHERE id = ANY(${ids}::text[]) AND {as_expected} ORDER BY id FOR {lock})",
                ids + 1,
            ));
            as_expected = "(SELECT count(*) FROM expected e JOIN locked l \
                 ON l.id = e.id AND l.version = e.version) = (SELECT count(*) FROM expected)";
        }
        parts.push(format!("as_expected AS MATERIALIZED (SELECT {as_expected} AS yes)"));

        let mut written = vec!["0".to_owned()];
        let mut part = |name: &str, statement: String| {
            parts.push(format!("{name} AS ({statement} RETURNING 1)"));
            written.push(format!("(SELECT count(*) FROM {name})"));
        };
        let columns = names(&COLUMNS);
        let yes = "(SELECT yes FROM as_expected)";
        if !inserts.is_empty() {
            let first = parameters.records(inserts)?;
            let arrays = placeholders(&COLUMNS, first);
            part(
                "inserted",
                format!(
                    "INSERT INTO {token} ({columns}) SELECT {columns} \
                     FROM unnest({arrays}) AS given ({columns}) WHERE {yes} ORDER BY id"
                ),
            );
        }
        let mut updated_ids = 0;
        if !updates.is_empty() {
            updated_ids = parameters.records(updates)?;
            let arrays = placeholders(&COLUMNS, updated_ids);
            part(
                "updated",
                format!(
                    "UPDATE {token} t SET {} FROM unnest({arrays}) AS given ({columns}) \
                     WHERE t.id = given.id AND {yes}",
                    assignments(&COLUMNS),
                ),
            );
        }
        if !events.is_empty() {
            // The number is the server's to choose.
            let columns = EVENT_COLUMNS.get(1..).unwrap_or_default();
            let first = parameters.events(events);
            let (arrays, columns) = (placeholders(columns, first), names(columns));
            part(
                "appended",
                format!(
                    "INSERT INTO {} ({columns}) SELECT {columns} FROM unnest({arrays}) \
                     WITH ORDINALITY AS given ({columns}, place) WHERE {yes} ORDER BY place",
                    self.event_table
                ),
            );
        }
        let end = if updates.is_empty() {
            format!("SELECT {yes}, NULL::bigint")
        } else {
            let all = written.join(" + ");
            parts.push(format!(
                "head AS (UPDATE {head} SET revision = revision + \
                 cardinality(${updated_ids}::text[]) WHERE one = 1 AND {yes} AND {all} >= 0 \
                 RETURNING revision), \
                 noted AS (INSERT INTO {change} (revision, id) \
                 SELECT head.revision - cardinality(${updated_ids}::text[]) + place, given.id \
                 FROM head, unnest(${updated_ids}::text[]) WITH ORDINALITY AS given (id, place))",
                change = self.change_table,
            ));
            let notify = self.notify.as_ref().map_or_else(String::new, |notify| {
                format!(", CASE WHEN {yes} THEN {notify} IS NULL END")
            });
            format!("SELECT {yes}, (SELECT revision FROM head){notify}")
        };
        Ok((format!("WITH {} {end}", parts.join(", ")), parameters))
    }

    /// The one row of the head is gone.
    pub(super) fn no_head(&self) -> StoreError {
        let context = format!("table {}, column revision, one 1", self.head_table);
        StoreError::new(StoreErrorKind::Corrupt, context)
    }

    /// The query for a page of records. Project, owner and order each have their index.
    pub(super) fn list(
        &self,
        filter: &ListFilter,
        after: Option<&PageKey>,
        limit: i64,
    ) -> (String, Parameters) {
        let ListFilter { project, owner } = filter;
        let mut parameters = Parameters::default();
        let mut conditions = vec!["true".to_owned()];
        if let Some(project) = project {
            let place = parameters.text(project.as_str());
            conditions.push(format!("project = ${place}"));
        }
        if let Some(owner) = owner {
            let place = parameters.text(owner.as_str());
            conditions.push(format!("owner = ${place}"));
        }
        if let Some(after) = after {
            let created_at = parameters.integer(after.created_at.as_microsecond());
            let id = parameters.text(after.id.as_str());
            conditions.push(format!("(created_at, id) < (${created_at}, ${id})"));
        }
        let limit = parameters.integer(limit);
        let columns = names(&COLUMNS);
        // Joined to the head as in `find`.
        let query = format!(
            "SELECT {columns}, {primary} FROM {head} h LEFT JOIN (SELECT {columns} FROM {token} \
             WHERE {conditions} ORDER BY created_at DESC, id DESC LIMIT ${limit}) t ON true \
             WHERE h.one = 1 ORDER BY created_at DESC, id DESC",
            primary = self.primary,
            head = self.head_table,
            token = self.token_table,
            conditions = conditions.join(" AND "),
        );
        (query, parameters)
    }
}

/// All but the first column, which is the key.
fn assignments(columns: &[Column]) -> String {
    let assignments: Vec<String> =
        columns.iter().skip(1).map(|(name, _)| format!("{name} = given.{name}")).collect();
    assignments.join(", ")
}
