//! Records, events and usages as rows: what the stores on SQL databases share.

mod event;
mod reader;
mod record;

pub(super) use event::{EVENT_COLUMNS, USAGE_COLUMNS, event, event_values, usage, usage_values};
pub(super) use reader::{Row, Unreadable};
pub(super) use record::{COLUMNS, record, values};

/// A column: its name, and what is in it.
pub(super) type Column = (&'static str, Kind);

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Integer,
    Flag,
}

/// A value of the kind of its column; `None` is null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(Option<String>),
    Integer(Option<i64>),
    Flag(Option<bool>),
}

impl Value {
    fn text(value: &impl ToString) -> Self {
        Self::Text(Some(value.to_string()))
    }

    fn optional_text(value: Option<impl ToString>) -> Self {
        Self::Text(value.map(|value| value.to_string()))
    }
}

/// The names of columns, as they stand in a statement.
pub(super) fn names(columns: &[Column]) -> String {
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}
