//! A record as a row: the columns in order, writing them and reading them.

use jiff::Timestamp;
use rusqlite::{Row, ToSql};

use super::reader::Reader;
use crate::{
    Revocation, Rotation, StoreError, StoreErrorKind, Successor, TokenRecord,
    clock::to_microseconds,
};

/// Everything below goes by this order. The update statement relies on the first.
pub(super) const COLUMNS: [&str; 24] = [
    "id",
    "version",
    "prefix",
    "digest",
    "project",
    "name",
    "owner",
    "created_by",
    "created_through",
    "scopes",
    "metadata",
    "created_at",
    "not_before",
    "expires_at",
    "disabled",
    "revoked_at",
    "revoked_by",
    "revocation_reason",
    "family",
    "predecessor",
    "successor",
    "overlap_ends_at",
    "retires_predecessor",
    "ends_at",
];

/// The values of a record's row, owned, so that they can go to the thread that writes them.
pub(super) type Values = [Box<dyn ToSql + Send>; COLUMNS.len()];

pub(super) fn values(record: &TokenRecord) -> Result<Values, StoreError> {
    // No `..`: a field that is added must get its column.
    let TokenRecord {
        id,
        prefix,
        digest,
        project,
        name,
        owner,
        created_by,
        created_through,
        scopes,
        metadata,
        created_at,
        not_before,
        expires_at,
        disabled,
        revocation,
        rotation,
        version,
    } = record;
    let metadata = serde_json::to_string(metadata).map_err(|error| {
        StoreError::new(StoreErrorKind::Other, "write metadata as JSON").with_source(error)
    })?;
    let successor = rotation.and_then(|rotation| rotation.successor);
    let microsecond =
        |time: Option<Timestamp>| Box::new(time.map(|time| to_microseconds(time).as_microsecond()));
    Ok([
        text(id),
        Box::new(*version),
        text(prefix),
        text(digest),
        text(project),
        text(name),
        text(owner),
        text(created_by),
        optional_text(created_through.as_ref()),
        text(scopes),
        Box::new(metadata),
        microsecond(Some(*created_at)),
        microsecond(*not_before),
        microsecond(*expires_at),
        Box::new(*disabled),
        microsecond(revocation.as_ref().map(|revocation| revocation.at)),
        optional_text(revocation.as_ref().and_then(|revocation| revocation.by.as_ref())),
        optional_text(revocation.as_ref().and_then(|revocation| revocation.reason.as_ref())),
        optional_text(rotation.map(|rotation| rotation.family)),
        optional_text(rotation.and_then(|rotation| rotation.predecessor)),
        optional_text(successor.map(|successor| successor.id)),
        microsecond(successor.map(|successor| successor.overlap_ends_at)),
        Box::new(rotation.map(|rotation| rotation.retires_predecessor)),
        microsecond(record.ends_at()),
    ])
}

fn text(value: &impl ToString) -> Box<dyn ToSql + Send> {
    Box::new(value.to_string())
}

fn optional_text(value: Option<impl ToString>) -> Box<dyn ToSql + Send> {
    Box::new(value.map(|value| value.to_string()))
}

/// Reads the record that a row of [`COLUMNS`] holds; `table` is for errors.
pub(super) fn record(row: &Row<'_>, table: &str) -> Result<TokenRecord, StoreError> {
    let row = Reader { row, table, columns: &COLUMNS };
    let (by, reason) = (row.optional("revoked_by")?, row.optional("revocation_reason")?);
    let revocation = match row.optional_time("revoked_at")? {
        Some(at) => Some(Revocation { at, by, reason }),
        None if by.is_none() && reason.is_none() => None,
        None => return Err(row.corrupt("revoked_at")),
    };
    let successor = match (row.optional("successor")?, row.optional_time("overlap_ends_at")?) {
        (Some(id), Some(overlap_ends_at)) => Some(Successor { id, overlap_ends_at }),
        (None, None) => None,
        (None, Some(_)) => return Err(row.corrupt("successor")),
        (Some(_), None) => return Err(row.corrupt("overlap_ends_at")),
    };
    let predecessor = row.optional("predecessor")?;
    let retires_predecessor: Option<bool> = row.get("retires_predecessor")?;
    let rotation = match (row.optional("family")?, retires_predecessor) {
        (Some(family), Some(retires_predecessor)) => {
            Some(Rotation { family, predecessor, successor, retires_predecessor })
        }
        (Some(_), None) => return Err(row.corrupt("retires_predecessor")),
        (None, None) if predecessor.is_none() && successor.is_none() => None,
        (None, _) => return Err(row.corrupt("family")),
    };
    let metadata: String = row.get("metadata")?;
    Ok(TokenRecord {
        id: row.parse("id")?,
        prefix: row.parse("prefix")?,
        digest: row.parse("digest")?,
        project: row.parse("project")?,
        name: row.parse("name")?,
        owner: row.parse("owner")?,
        created_by: row.parse("created_by")?,
        created_through: row.optional("created_through")?,
        scopes: row.parse("scopes")?,
        metadata: serde_json::from_str(&metadata).map_err(|_| row.corrupt("metadata"))?,
        created_at: row.time("created_at")?,
        not_before: row.optional_time("not_before")?,
        expires_at: row.optional_time("expires_at")?,
        disabled: row.get("disabled")?,
        revocation,
        rotation,
        version: row.get("version")?,
    })
}
