use core::str::FromStr;

use jiff::Timestamp;

use super::Column;
use crate::{StoreError, StoreErrorKind, TokenId};

/// A row as a database driver has it: its values by their place, `None` for null.
pub(in crate::store) trait Row {
    fn text(&self, index: usize) -> Result<Option<&str>, Unreadable>;
    fn integer(&self, index: usize) -> Result<Option<i64>, Unreadable>;
    fn flag(&self, index: usize) -> Result<Option<bool>, Unreadable>;
}

/// The value is not of this kind.
pub(in crate::store) struct Unreadable;

/// Takes a row apart, and says which column of which row is damaged.
pub(super) struct Reader<'a, R> {
    pub(super) row: &'a R,
    /// For errors.
    pub(super) table: &'a str,
    /// In the order of the row. The first names the row in errors.
    pub(super) columns: &'static [Column],
}

impl<R: Row> Reader<'_, R> {
    pub(super) fn text(&self, column: &'static str) -> Result<&str, StoreError> {
        self.optional_text(column)?.ok_or_else(|| self.corrupt(column))
    }

    pub(super) fn optional_text(&self, column: &'static str) -> Result<Option<&str>, StoreError> {
        let value = self.index(column).and_then(|index| self.row.text(index));
        value.map_err(|Unreadable| self.corrupt(column))
    }

    pub(super) fn parse<T: FromStr>(&self, column: &'static str) -> Result<T, StoreError> {
        self.text(column)?.parse().map_err(|_| self.corrupt(column))
    }

    pub(super) fn optional<T: FromStr>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let value = self.optional_text(column)?;
        value.map(str::parse).transpose().map_err(|_| self.corrupt(column))
    }

    pub(super) fn number<T: TryFrom<i64>>(&self, column: &'static str) -> Result<T, StoreError> {
        let value = self.optional_integer(column)?;
        value.and_then(|value| value.try_into().ok()).ok_or_else(|| self.corrupt(column))
    }

    pub(super) fn flag(&self, column: &'static str) -> Result<bool, StoreError> {
        self.optional_flag(column)?.ok_or_else(|| self.corrupt(column))
    }

    pub(super) fn optional_flag(&self, column: &'static str) -> Result<Option<bool>, StoreError> {
        let value = self.index(column).and_then(|index| self.row.flag(index));
        value.map_err(|Unreadable| self.corrupt(column))
    }

    pub(super) fn time(&self, column: &'static str) -> Result<Timestamp, StoreError> {
        self.optional_time(column)?.ok_or_else(|| self.corrupt(column))
    }

    pub(super) fn optional_time(
        &self,
        column: &'static str,
    ) -> Result<Option<Timestamp>, StoreError> {
        let time = self.optional_integer(column)?.map(Timestamp::from_microsecond).transpose();
        time.map_err(|_| self.corrupt(column))
    }

    pub(super) fn corrupt(&self, column: &'static str) -> StoreError {
        let key = self.columns.first().map_or("row", |(name, _)| *name);
        let row = match (self.row.integer(0), self.row.text(0)) {
            (Ok(Some(number)), _) => number.to_string(),
            // A text is only named if it is an id.
            (_, Ok(Some(id))) if id.parse::<TokenId>().is_ok() => id.to_owned(),
            _ => "unreadable".to_owned(),
        };
        let context = format!("table {}, column {column}, {key} {row}", self.table);
        StoreError::new(StoreErrorKind::Corrupt, context)
    }

    fn optional_integer(&self, column: &'static str) -> Result<Option<i64>, StoreError> {
        let value = self.index(column).and_then(|index| self.row.integer(index));
        value.map_err(|Unreadable| self.corrupt(column))
    }

    fn index(&self, column: &'static str) -> Result<usize, Unreadable> {
        self.columns.iter().position(|(name, _)| *name == column).ok_or(Unreadable)
    }
}
