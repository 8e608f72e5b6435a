//! What a statement is given: rows as one array for each column.

use tokio_postgres::types::{ToSql, Type};

use crate::{
    Event, StoreError, TokenId, TokenRecord, Usage, WriteBatch,
    store::row::{self, COLUMNS, Column, EVENT_COLUMNS, Kind, USAGE_COLUMNS, Value},
};

/// The parameters of a statement, in order.
#[derive(Default)]
pub(super) struct Parameters(Vec<(Box<dyn ToSql + Sync + Send>, Type)>);

impl Parameters {
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = (&(dyn ToSql + Sync), &Type)> {
        self.0.iter().map(|(value, of)| (&**value as &(dyn ToSql + Sync), of))
    }

    pub(super) fn text(&mut self, text: &str) -> usize {
        self.push(text.to_owned(), Type::TEXT)
    }

    pub(super) fn integer(&mut self, integer: i64) -> usize {
        self.push(integer, Type::INT8)
    }

    pub(super) fn ids(&mut self, ids: impl Iterator<Item = TokenId>) -> usize {
        let ids: Vec<String> = ids.map(|id| id.as_str().to_owned()).collect();
        self.push(ids, Type::TEXT_ARRAY)
    }

    /// The ids that must have a record, and then their versions.
    pub(super) fn expectations(&mut self, batch: &WriteBatch) -> usize {
        let expected =
            || batch.expectations().filter_map(|(id, version)| Some((id, i64::from(version?))));
        let first = self.ids(expected().map(|(id, _)| id));
        let versions: Vec<i64> = expected().map(|(_, version)| version).collect();
        self.push(versions, Type::INT8_ARRAY);
        first
    }

    pub(super) fn records(&mut self, records: &[TokenRecord]) -> Result<usize, StoreError> {
        let rows = records.iter().map(row::values).collect::<Result<Vec<_>, _>>()?;
        Ok(self.rows(&COLUMNS, rows))
    }

    pub(super) fn events(&mut self, events: &[Event]) -> usize {
        self.rows(EVENT_COLUMNS.get(1..).unwrap_or_default(), events.iter().map(row::event_values))
    }

    pub(super) fn usages(&mut self, usages: &[Usage]) -> usize {
        let without_nul = |value| match value {
            // PostgreSQL has no text with a NUL in it, and no verifier notes one.
            Value::Text(Some(text)) if text.contains('\0') => {
                Value::Text(Some(text.replace('\0', "")))
            }
            value => value,
        };
        self.rows(
            &USAGE_COLUMNS,
            usages.iter().map(|usage| row::usage_values(usage).map(without_nul)),
        )
    }

    /// One array for each column. Returns the place of the first.
    fn rows<const N: usize>(
        &mut self,
        columns: &[Column],
        rows: impl IntoIterator<Item = [Value; N]>,
    ) -> usize {
        let first = self.0.len() + 1;
        let mut arrays: Vec<Array> = columns.iter().map(|(_, kind)| Array::new(*kind)).collect();
        for row in rows {
            for (array, value) in arrays.iter_mut().zip(row) {
                array.push(value);
            }
        }
        for array in arrays {
            match array {
                Array::Text(values) => self.push(values, Type::TEXT_ARRAY),
                Array::Integer(values) => self.push(values, Type::INT8_ARRAY),
                Array::Flag(values) => self.push(values, Type::BOOL_ARRAY),
            };
        }
        first
    }

    fn push(&mut self, value: impl ToSql + Sync + Send + 'static, of: Type) -> usize {
        self.0.push((Box::new(value), of));
        self.0.len()
    }
}

enum Array {
    Text(Vec<Option<String>>),
    Integer(Vec<Option<i64>>),
    Flag(Vec<Option<bool>>),
}

impl Array {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Text => Self::Text(Vec::new()),
            Kind::Integer => Self::Integer(Vec::new()),
            Kind::Flag => Self::Flag(Vec::new()),
        }
    }

    /// A value of another kind than its column's, which no row has, would be null.
    fn push(&mut self, value: Value) {
        match (self, value) {
            (Self::Text(values), Value::Text(value)) => values.push(value),
            (Self::Text(values), _) => values.push(None),
            (Self::Integer(values), Value::Integer(value)) => values.push(value),
            (Self::Integer(values), _) => values.push(None),
            (Self::Flag(values), Value::Flag(value)) => values.push(value),
            (Self::Flag(values), _) => values.push(None),
        }
    }
}

/// The parameters that hold these columns as arrays, from `$first` on.
pub(super) fn placeholders(columns: &[Column], first: usize) -> String {
    let placeholder = |((_, kind), place): (&Column, usize)| match kind {
        Kind::Text => format!("${place}::text[]"),
        Kind::Integer => format!("${place}::bigint[]"),
        Kind::Flag => format!("${place}::boolean[]"),
    };
    let placeholders: Vec<String> = columns.iter().zip(first..).map(placeholder).collect();
    placeholders.join(", ")
}
