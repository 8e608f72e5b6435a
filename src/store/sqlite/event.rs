//! Events and usages as rows: the columns in order, writing them and reading them.

use rusqlite::{Row, types::Value};

use super::reader::Reader;
use crate::{DoneBy, Event, EventNumber, NumberedEvent, StoreError, Usage, clock::to_microseconds};

/// The first is the store's to choose; [`event_values`] has the others in this order.
pub(super) const EVENT_COLUMNS: [&str; 8] =
    ["number", "at", "token", "project", "type", "by_principal", "by_token", "detail"];

pub(super) fn event_values(event: &Event) -> [Value; EVENT_COLUMNS.len() - 1] {
    // No `..`: a field that is added must get its column.
    let Event { at, token, project, by, kind } = event;
    [
        Value::Integer(to_microseconds(*at).as_microsecond()),
        optional_text(token.as_ref()),
        optional_text(project.as_ref()),
        Value::Text(kind.as_str().to_owned()),
        optional_text(by.as_ref().map(|by| &by.principal)),
        optional_text(by.as_ref().and_then(|by| by.token)),
        // An enum of plain fields is always written.
        Value::Text(serde_json::to_string(kind).unwrap_or_default()),
    ]
}

/// Reads the event that a row of [`EVENT_COLUMNS`] holds; `table` is for errors.
pub(super) fn event(row: &Row<'_>, table: &str) -> Result<NumberedEvent, StoreError> {
    let row = Reader { row, table, columns: &EVENT_COLUMNS };
    let number: i64 = row.get("number")?;
    let by = match (row.optional("by_principal")?, row.optional("by_token")?) {
        (Some(principal), token) => Some(DoneBy { principal, token }),
        (None, None) => None,
        (None, Some(_)) => return Err(row.corrupt("by_principal")),
    };
    let detail: String = row.get("detail")?;
    Ok(NumberedEvent {
        number: EventNumber(number.unsigned_abs()),
        event: Event {
            at: row.time("at")?,
            token: row.optional("token")?,
            project: row.optional("project")?,
            by,
            kind: serde_json::from_str(&detail).map_err(|_| row.corrupt("detail"))?,
        },
    })
}

pub(super) const USAGE_COLUMNS: [&str; 4] = ["id", "last_used_at", "client_address", "user_agent"];

pub(super) fn usage_values(usage: &Usage) -> [Value; USAGE_COLUMNS.len()] {
    let Usage { id, last_used_at, client_address, user_agent } = usage;
    [
        Value::Text(id.to_string()),
        Value::Integer(to_microseconds(*last_used_at).as_microsecond()),
        optional_text(*client_address),
        optional_text(user_agent.as_ref()),
    ]
}

/// Reads the usage that a row of [`USAGE_COLUMNS`] holds; `table` is for errors.
pub(super) fn usage(row: &Row<'_>, table: &str) -> Result<Usage, StoreError> {
    let row = Reader { row, table, columns: &USAGE_COLUMNS };
    Ok(Usage {
        id: row.parse("id")?,
        last_used_at: row.time("last_used_at")?,
        client_address: row.optional("client_address")?,
        user_agent: row.get("user_agent")?,
    })
}

fn optional_text(value: Option<impl ToString>) -> Value {
    value.map_or(Value::Null, |value| Value::Text(value.to_string()))
}
