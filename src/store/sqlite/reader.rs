use core::str::FromStr;

use jiff::Timestamp;
use rusqlite::{
    Row,
    types::{FromSql, ValueRef},
};

use crate::{StoreError, StoreErrorKind, TokenId};

/// Takes a row apart, and says which column of which row is damaged.
pub(super) struct Reader<'a> {
    pub(super) row: &'a Row<'a>,
    /// For errors.
    pub(super) table: &'a str,
    /// In the order of the row. The first names the row in errors.
    pub(super) columns: &'static [&'static str],
}

impl Reader<'_> {
    pub(super) fn get<T: FromSql>(&self, column: &'static str) -> Result<T, StoreError> {
        let index = self.columns.iter().position(|name| *name == column);
        index.and_then(|index| self.row.get(index).ok()).ok_or_else(|| self.corrupt(column))
    }

    pub(super) fn parse<T: FromStr>(&self, column: &'static str) -> Result<T, StoreError> {
        self.optional(column)?.ok_or_else(|| self.corrupt(column))
    }

    pub(super) fn optional<T: FromStr>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let text: Option<String> = self.get(column)?;
        text.map(|text| text.parse()).transpose().map_err(|_| self.corrupt(column))
    }

    pub(super) fn time(&self, column: &'static str) -> Result<Timestamp, StoreError> {
        self.optional_time(column)?.ok_or_else(|| self.corrupt(column))
    }

    pub(super) fn optional_time(
        &self,
        column: &'static str,
    ) -> Result<Option<Timestamp>, StoreError> {
        let microsecond: Option<i64> = self.get(column)?;
        let time = microsecond.map(Timestamp::from_microsecond).transpose();
        time.map_err(|_| self.corrupt(column))
    }

    pub(super) fn corrupt(&self, column: &'static str) -> StoreError {
        let key = self.columns.first().copied().unwrap_or_default();
        let row = match self.row.get_ref(0) {
            Ok(ValueRef::Integer(number)) => number.to_string(),
            // A text is only named if it is an id.
            Ok(value) => value
                .as_str()
                .ok()
                .and_then(|id| id.parse::<TokenId>().ok())
                .map_or_else(|| "unreadable".to_owned(), |id| id.to_string()),
            Err(_) => "unreadable".to_owned(),
        };
        let context = format!("table {}, column {column}, {key} {row}", self.table);
        StoreError::new(StoreErrorKind::Corrupt, context)
    }
}
