//! Events and usages as rows: the columns in order, writing them and reading them.

use super::{Column, Kind, Row, Value, reader::Reader};
use crate::{DoneBy, Event, EventNumber, NumberedEvent, StoreError, Usage, clock::to_microseconds};

/// The first is the store's to choose; [`event_values`] has the others in this order.
pub(in crate::store) const EVENT_COLUMNS: [Column; 8] = [
    ("number", Kind::Integer),
    ("at", Kind::Integer),
    ("token", Kind::Text),
    ("project", Kind::Text),
    ("type", Kind::Text),
    ("by_principal", Kind::Text),
    ("by_token", Kind::Text),
    ("detail", Kind::Text),
];

pub(in crate::store) fn event_values(event: &Event) -> [Value; EVENT_COLUMNS.len() - 1] {
    // No `..`: a field that is added must get its column.
    let Event { at, token, project, by, kind } = event;
    [
        Value::Integer(Some(to_microseconds(*at).as_microsecond())),
        Value::optional_text(token.as_ref()),
        Value::optional_text(project.as_ref()),
        Value::Text(Some(kind.as_str().to_owned())),
        Value::optional_text(by.as_ref().map(|by| &by.principal)),
        Value::optional_text(by.as_ref().and_then(|by| by.token)),
        // An enum of plain fields is always written.
        Value::Text(Some(serde_json::to_string(kind).unwrap_or_default())),
    ]
}

/// Reads the event that a row of [`EVENT_COLUMNS`] holds; `table` is for errors.
pub(in crate::store) fn event(row: &impl Row, table: &str) -> Result<NumberedEvent, StoreError> {
    let row = Reader { row, table, columns: &EVENT_COLUMNS };
    let number: i64 = row.number("number")?;
    let by = match (row.optional("by_principal")?, row.optional("by_token")?) {
        (Some(principal), token) => Some(DoneBy { principal, token }),
        (None, None) => None,
        (None, Some(_)) => return Err(row.corrupt("by_principal")),
    };
    Ok(NumberedEvent {
        number: EventNumber(number.unsigned_abs()),
        event: Event {
            at: row.time("at")?,
            token: row.optional("token")?,
            project: row.optional("project")?,
            by,
            kind: serde_json::from_str(row.text("detail")?).map_err(|_| row.corrupt("detail"))?,
        },
    })
}

pub(in crate::store) const USAGE_COLUMNS: [Column; 4] = [
    ("id", Kind::Text),
    ("last_used_at", Kind::Integer),
    ("client_address", Kind::Text),
    ("user_agent", Kind::Text),
];

pub(in crate::store) fn usage_values(usage: &Usage) -> [Value; USAGE_COLUMNS.len()] {
    let Usage { id, last_used_at, client_address, user_agent } = usage;
    [
        Value::text(id),
        Value::Integer(Some(to_microseconds(*last_used_at).as_microsecond())),
        Value::optional_text(*client_address),
        Value::optional_text(user_agent.as_ref()),
    ]
}

/// Reads the usage that a row of [`USAGE_COLUMNS`] holds; `table` is for errors.
pub(in crate::store) fn usage(row: &impl Row, table: &str) -> Result<Usage, StoreError> {
    let row = Reader { row, table, columns: &USAGE_COLUMNS };
    Ok(Usage {
        id: row.parse("id")?,
        last_used_at: row.time("last_used_at")?,
        client_address: row.optional("client_address")?,
        user_agent: row.optional_text("user_agent")?.map(str::to_owned),
    })
}
