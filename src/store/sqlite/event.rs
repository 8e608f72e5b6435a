//! Events and usages as rows.

use core::str::FromStr;

use jiff::Timestamp;
use rusqlite::{
    Row,
    types::{FromSql, Value},
};

use super::super::{EventNumber, NumberedEvent, StoreError, StoreErrorKind};
use crate::{DoneBy, Event, TokenId, Usage};

/// The values that an event's statement appends.
pub(super) fn values(event: &Event) -> [Value; 7] {
    let text = |value: Option<String>| value.map_or(Value::Null, Value::Text);
    // No `..`: a field that is added must get its column.
    let Event { at, token, project, by, kind } = event;
    [
        Value::Integer(at.as_microsecond()),
        text(token.map(|token| token.to_string())),
        text(project.as_ref().map(ToString::to_string)),
        Value::Text(kind.as_str().to_owned()),
        text(by.as_ref().map(|by| by.principal.to_string())),
        text(by.as_ref().and_then(|by| by.token).map(|token| token.to_string())),
        // An enum of plain fields is always written.
        Value::Text(serde_json::to_string(kind).unwrap_or_default()),
    ]
}

/// Reads the event in a row; `table` is the record table's name, for errors.
pub(super) fn event(row: &Row<'_>, table: &str) -> Result<NumberedEvent, StoreError> {
    let row = Reader { row, table };
    let number: i64 = row.get(0, "number")?;
    let principal = row.parse(4, "by_principal")?;
    let by = match (principal, row.parse(5, "by_token")?) {
        (Some(principal), token) => Some(DoneBy { principal, token }),
        (None, None) => None,
        (None, Some(_)) => return Err(row.corrupt("by_principal")),
    };
    let detail: String = row.get(6, "detail")?;
    Ok(NumberedEvent {
        number: EventNumber(number.unsigned_abs()),
        event: Event {
            at: row.time(1, "at")?,
            token: row.parse(2, "token")?,
            project: row.parse(3, "project")?,
            by,
            kind: serde_json::from_str(&detail).map_err(|_| row.corrupt("detail"))?,
        },
    })
}

/// Reads the usage in a row; `table` is the record table's name, for errors.
pub(super) fn usage(id: TokenId, row: &Row<'_>, table: &str) -> Result<Usage, StoreError> {
    let row = Reader { row, table };
    Ok(Usage {
        id,
        last_used_at: row.time(0, "last_used_at")?,
        client_address: row.parse(1, "client_address")?,
        user_agent: row.get(2, "user_agent")?,
    })
}

struct Reader<'a> {
    row: &'a Row<'a>,
    table: &'a str,
}

impl Reader<'_> {
    fn get<T: FromSql>(&self, index: usize, column: &str) -> Result<T, StoreError> {
        self.row.get(index).map_err(|_| self.corrupt(column))
    }

    fn parse<T: FromStr>(&self, index: usize, column: &str) -> Result<Option<T>, StoreError> {
        let text: Option<String> = self.get(index, column)?;
        text.map(|text| text.parse()).transpose().map_err(|_| self.corrupt(column))
    }

    fn time(&self, index: usize, column: &str) -> Result<Timestamp, StoreError> {
        let microsecond = self.get(index, column)?;
        Timestamp::from_microsecond(microsecond).map_err(|_| self.corrupt(column))
    }

    fn corrupt(&self, column: &str) -> StoreError {
        StoreError::new(
            StoreErrorKind::Corrupt,
            format!("table {}_event or {}_usage, column {column}", self.table, self.table),
        )
    }
}
