//! What the server can do beyond plain SQL: asked once, since engines that speak PostgreSQL's
//! protocol lack some of it.

use tokio_postgres::{Client, error::SqlState};

use super::error::failed;
use crate::StoreError;

const RECOVERY: &str = "pg_is_in_recovery()";
/// The first eight digits are the timeline: another one after each promotion and each recovery to
/// a point in time. Neither can be asked for during recovery.
const TIMELINE: &str = "left(CASE WHEN NOT pg_is_in_recovery() \
     THEN pg_walfile_name(pg_current_wal_lsn()) END, 8)";
/// When the server was started, by its own clock. A timeline's number alone tells less than it
/// seems: each of two standbys that are promoted one after the other may take the same one.
const STARTED: &str = "extract(epoch FROM pg_postmaster_start_time())::text";
/// The number that `initdb` gave the cluster.
const SYSTEM: &str = "system_identifier::text FROM pg_control_system()";
/// To nobody.
const NOTIFY: &str = "pg_notify('api_tokens_probe', '')::text";
/// Raises the commit's durability for this one transaction, whatever the server's, the database's
/// or the role's default is. Not a setting of the session, since behind a pooler there is none.
const DURABLE: &str = "set_config('synchronous_commit', \
     CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' \
     ELSE 'on' END, true)";

/// Expressions, as they are selected: what the server has, or else constants.
#[derive(Debug, Clone, Copy)]
pub(super) struct Features {
    /// Whether the server is a standby: boolean.
    pub(super) recovery: &'static str,
    /// The timeline: text or null.
    pub(super) timeline: &'static str,
    /// Which run of the server this is: text or null.
    pub(super) started: &'static str,
    /// Which cluster this is: text or null.
    pub(super) system: &'static str,
    /// Whether listeners can be told.
    pub(super) notify: bool,
    /// Makes the transaction's commit wait for the disk: text. Each statement that writes begins
    /// with it.
    pub(super) durable: &'static str,
}

impl Features {
    pub(super) async fn probe(client: &Client) -> Result<Self, StoreError> {
        Ok(Self {
            recovery: one_of(client, RECOVERY, "false").await?,
            timeline: one_of(client, TIMELINE, "NULL::text").await?,
            started: one_of(client, STARTED, "NULL::text").await?,
            system: one_of(client, SYSTEM, "NULL::text").await?,
            notify: one_of(client, NOTIFY, "").await? == NOTIFY,
            durable: one_of(client, DURABLE, "''::text").await?,
        })
    }
}

async fn one_of(
    client: &Client,
    expression: &'static str,
    without: &'static str,
) -> Result<&'static str, StoreError> {
    const MISSING: [SqlState; 7] = [
        SqlState::UNDEFINED_FUNCTION,
        SqlState::UNDEFINED_OBJECT,
        SqlState::FEATURE_NOT_SUPPORTED,
        SqlState::INSUFFICIENT_PRIVILEGE,
        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
        SqlState::INVALID_PARAMETER_VALUE,
        SqlState::SYNTAX_ERROR,
    ];
    match client.query_typed(&format!("SELECT {expression}"), &[]).await {
        Ok(_) => Ok(expression),
        Err(error) if error.code().is_some_and(|code| MISSING.contains(code)) => Ok(without),
        Err(error) => Err(failed("ask what the server can do", error)),
    }
}
