//! The bodies of requests, as they are written. What they mean is checked afterwards.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use super::super::{
    input::{self, Shape},
    problem::Problem,
};
use crate::Expiry;

/// A token to be made.
#[derive(Deserialize, ToSchema)]
#[schema(as = CreateToken)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct CreateBody {
    /// What people call it.
    #[schema(min_length = 1, max_length = 100, example = "Production REST API")]
    pub(super) name: String,
    /// What it may do; nothing if this is left out.
    #[serde(default)]
    #[schema(value_type = Vec<ScopeText>, max_items = 64, example = json!(["sources:read"]))]
    pub(super) scopes: Vec<String>,
    /// Texts of the service's own.
    #[serde(default)]
    pub(super) metadata: BTreeMap<String, String>,
    /// The first instant at which it is accepted; at once if this is left out.
    #[schema(format = DateTime)]
    pub(super) not_before: Option<String>,
    /// The first instant at which it is no longer accepted; null for never. If this is left out, as
    /// the policy has it.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(super) expires_at: ExpiresAt,
}

impl Shape for CreateBody {
    const FIELDS: &'static [&'static str] =
        &["name", "scopes", "metadata", "not_before", "expires_at"];
    const REQUIRED: &'static [&'static str] = &["name"];
}

/// One permission (RFC 6749 §3.3), by convention `resource:action`; `*` at the end, alone or after
/// a colon, stands for everything that begins so.
#[derive(ToSchema)]
#[schema(as = Scope, max_length = 128, pattern = r"^(\*|[!#-)+-\[\]-~]*:\*|[!#-)+-\[\]-~]+)$")]
#[expect(dead_code, reason = "describes what is read as text")]
pub(in super::super) struct ScopeText(String);

/// What to change of a token: every member that is there.
#[derive(Deserialize, ToSchema)]
#[schema(as = EditToken)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct EditBody {
    /// What people call it.
    #[schema(value_type = String, required = false, min_length = 1, max_length = 100)]
    #[serde(default, deserialize_with = "not_null")]
    pub(super) name: Option<String>,
    /// What it may do, all of it.
    #[schema(value_type = Vec<ScopeText>, required = false, max_items = 64)]
    #[serde(default, deserialize_with = "not_null")]
    pub(super) scopes: Option<Vec<String>>,
    /// Texts of the service's own, all of them.
    #[schema(value_type = BTreeMap<String, String>, required = false)]
    #[serde(default, deserialize_with = "not_null")]
    pub(super) metadata: Option<BTreeMap<String, String>>,
    /// The first instant at which it is no longer accepted; null for never.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(super) expires_at: ExpiresAt,
}

impl Shape for EditBody {
    const FIELDS: &'static [&'static str] = &["name", "scopes", "metadata", "expires_at"];
}

/// How to replace a token.
#[derive(Deserialize, ToSchema)]
#[schema(as = RotateToken)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct RotateBody {
    /// How long the old token is accepted beside the new one, in seconds.
    #[serde(default)]
    pub(super) overlap_seconds: u32,
    /// Whether the overlap ends as soon as the new token is used.
    #[serde(default)]
    pub(super) retire_on_use: bool,
    /// When the new token comes to its end; null for never. If this is left out, it lives as long
    /// as the old one was given.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(super) expires_at: ExpiresAt,
}

impl Shape for RotateBody {
    const FIELDS: &'static [&'static str] = &["overlap_seconds", "retire_on_use", "expires_at"];
    const IS_OPTIONAL: bool = true;
}

/// Which tokens of the project to revoke: those that match every member that is there, of which
/// there must be one. What has ended already is left alone, and so is the token that asks.
#[derive(Deserialize, ToSchema)]
#[schema(as = RevokeTokens)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct RevokeAllBody {
    /// Only tokens that act for this owner.
    #[schema(min_length = 1, max_length = 200)]
    pub(super) owner: Option<String>,
    /// Only tokens that this person or service created, in person or through a token.
    #[schema(min_length = 1, max_length = 200)]
    pub(super) created_by: Option<String>,
    /// Only tokens that were created through the token with this id.
    #[schema(pattern = "^[0-9A-Za-z]{16}$")]
    pub(super) created_through: Option<String>,
    /// Only tokens that were created before this instant: now, for all.
    #[schema(format = DateTime)]
    pub(super) created_before: Option<String>,
    /// Only tokens whose whole name is like this, in upper or lower case; `*` stands for any text.
    #[schema(max_length = 200)]
    pub(super) name: Option<String>,
    /// Only tokens that were last used before this instant, or never, and created before it.
    #[schema(format = DateTime)]
    pub(super) unused_since: Option<String>,
    /// Why.
    #[schema(min_length = 1, max_length = 200)]
    pub(super) reason: Option<String>,
    /// Whether to say which tokens it would be, and to revoke none.
    #[serde(default)]
    pub(super) dry_run: bool,
}

impl Shape for RevokeAllBody {
    const FIELDS: &'static [&'static str] = &[
        "owner",
        "created_by",
        "created_through",
        "created_before",
        "name",
        "unused_since",
        "reason",
        "dry_run",
    ];
}

/// For a member that need not be there, but is never null.
fn not_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    value: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(value).map(Some)
}

/// An expiry: null is not the same as none.
#[derive(Default)]
pub(in super::super) enum ExpiresAt {
    /// Nothing is said.
    #[default]
    Absent,
    /// Null.
    Never,
    At(String),
}

impl<'de> Deserialize<'de> for ExpiresAt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text: Option<String> = Option::deserialize(deserializer)?;
        Ok(text.map_or(Self::Never, Self::At))
    }
}

impl ExpiresAt {
    /// What is said, if anything is.
    pub(super) fn read(self) -> Result<Option<Expiry>, Problem> {
        Ok(match self {
            Self::Absent => None,
            Self::Never => Some(Expiry::Never),
            Self::At(text) => input::instant("expires_at", Some(text))?.map(Expiry::At),
        })
    }
}
