use api_tokens::{
    KeyId, Metadata, Prefix, Principal, Project, Revocation, Rotation, Scopes, Status, TokenId,
    TokenName, TokenRecord, Usage,
};
use jiff::{Timestamp, Unit};
use serde::Serialize;

/// What is shown of a token, as JSON: all but its digest.
#[derive(Debug, Serialize)]
pub(super) struct TokenView<'a> {
    id: TokenId,
    prefix: Prefix,
    project: &'a Project,
    name: &'a TokenName,
    owner: &'a Principal,
    created_by: &'a Principal,
    created_through: Option<TokenId>,
    scopes: &'a Scopes,
    metadata: &'a Metadata,
    status: Status,
    created_at: Timestamp,
    not_before: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    ends_at: Option<Timestamp>,
    revocation: Option<&'a Revocation>,
    rotation: Option<Rotation>,
    /// The key that its digest was made under.
    key: Option<KeyId>,
    last_used: Option<&'a Usage>,
}

impl<'a> TokenView<'a> {
    pub(super) fn new(record: &'a TokenRecord, usage: Option<&'a Usage>, now: Timestamp) -> Self {
        Self {
            id: record.id,
            prefix: record.prefix,
            project: &record.project,
            name: &record.name,
            owner: &record.owner,
            created_by: &record.created_by,
            created_through: record.created_through,
            scopes: &record.scopes,
            metadata: &record.metadata,
            status: record.status(now),
            created_at: record.created_at,
            not_before: record.not_before,
            expires_at: record.expires_at,
            ends_at: record.ends_at(),
            revocation: record.revocation.as_ref(),
            rotation: record.rotation,
            key: record.digest.key_id(),
            last_used: usage,
        }
    }
}

/// An instant for people, to the second.
pub(super) fn time(time: Timestamp) -> String {
    time.round(Unit::Second).unwrap_or(time).to_string()
}
