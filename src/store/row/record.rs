//! A record as a row: the columns in order, writing them and reading them.

use jiff::Timestamp;

use super::{Column, Kind, Row, Value, reader::Reader};
use crate::{
    Revocation, Rotation, StoreError, StoreErrorKind, Successor, TokenRecord,
    clock::to_microseconds,
};

/// Everything below goes by this order. The first is the key.
pub(in crate::store) const COLUMNS: [Column; 24] = [
    ("id", Kind::Text),
    ("version", Kind::Integer),
    ("prefix", Kind::Text),
    ("digest", Kind::Text),
    ("project", Kind::Text),
    ("name", Kind::Text),
    ("owner", Kind::Text),
    ("created_by", Kind::Text),
    ("created_through", Kind::Text),
    ("scopes", Kind::Text),
    ("metadata", Kind::Text),
    ("created_at", Kind::Integer),
    ("not_before", Kind::Integer),
    ("expires_at", Kind::Integer),
    ("disabled", Kind::Flag),
    ("revoked_at", Kind::Integer),
    ("revoked_by", Kind::Text),
    ("revocation_reason", Kind::Text),
    ("family", Kind::Text),
    ("predecessor", Kind::Text),
    ("successor", Kind::Text),
    ("overlap_ends_at", Kind::Integer),
    ("retires_predecessor", Kind::Flag),
    ("ends_at", Kind::Integer),
];

/// The values of a record's row.
pub(in crate::store) fn values(record: &TokenRecord) -> Result<[Value; COLUMNS.len()], StoreError> {
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
    let microsecond = |time: Option<Timestamp>| {
        Value::Integer(time.map(|time| to_microseconds(time).as_microsecond()))
    };
    Ok([
        Value::text(id),
        Value::Integer(Some(i64::from(*version))),
        Value::text(prefix),
        Value::text(digest),
        Value::text(project),
        Value::text(name),
        Value::text(owner),
        Value::text(created_by),
        Value::optional_text(created_through.as_ref()),
        Value::text(scopes),
        Value::Text(Some(metadata)),
        microsecond(Some(*created_at)),
        microsecond(*not_before),
        microsecond(*expires_at),
        Value::Flag(Some(*disabled)),
        microsecond(revocation.as_ref().map(|revocation| revocation.at)),
        Value::optional_text(revocation.as_ref().and_then(|revocation| revocation.by.as_ref())),
        Value::optional_text(revocation.as_ref().and_then(|revocation| revocation.reason.as_ref())),
        Value::optional_text(rotation.map(|rotation| rotation.family)),
        Value::optional_text(rotation.and_then(|rotation| rotation.predecessor)),
        Value::optional_text(successor.map(|successor| successor.id)),
        microsecond(successor.map(|successor| successor.overlap_ends_at)),
        Value::Flag(rotation.map(|rotation| rotation.retires_predecessor)),
        microsecond(record.ends_at()),
    ])
}

/// Reads the record that a row of [`COLUMNS`] holds; `table` is for errors.
pub(in crate::store) fn record(row: &impl Row, table: &str) -> Result<TokenRecord, StoreError> {
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
    let retires_predecessor = row.optional_flag("retires_predecessor")?;
    let rotation = match (row.optional("family")?, retires_predecessor) {
        (Some(family), Some(retires_predecessor)) => {
            Some(Rotation { family, predecessor, successor, retires_predecessor })
        }
        (Some(_), None) => return Err(row.corrupt("retires_predecessor")),
        (None, None) if predecessor.is_none() && successor.is_none() => None,
        (None, _) => return Err(row.corrupt("family")),
    };
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
        metadata: serde_json::from_str(row.text("metadata")?)
            .map_err(|_| row.corrupt("metadata"))?,
        created_at: row.time("created_at")?,
        not_before: row.optional_time("not_before")?,
        expires_at: row.optional_time("expires_at")?,
        disabled: row.flag("disabled")?,
        revocation,
        rotation,
        version: row.number("version")?,
    })
}
