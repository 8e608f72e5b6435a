//! All that is known of one token, and what is done to it without a question.

use ::axum::{Extension, extract::State, http::StatusCode, response::Response};
use askama::Template;
use jiff::Timestamp;

use super::{
    super::{Access, Managed, Management, caller::Caller, input::Id, problem::Problem},
    document::dialog,
    list::Row,
    place::Place,
    see_other,
    time::Moment,
};
use crate::{
    RotationStatus, Status, TokenId, TokenRecord, TokenStore, Usage, transition::Operation,
    transition::State as TokenState,
};

#[derive(Template)]
#[template(path = "token.html", config = "src/management/page/askama.toml")]
struct Dialog<'a> {
    place: &'a Place,
    may_write: bool,
    row: Row,
    last_use: Option<LastUse>,
    owner: String,
    created_by: String,
    revocation: Option<Revoked>,
    rotation: Option<Progress>,
    can_be_disabled: bool,
    can_be_enabled: bool,
}

/// When a token was last used, and from where.
pub(super) struct LastUse {
    pub(super) at: Moment,
    pub(super) address: Option<String>,
    pub(super) user_agent: Option<String>,
}

struct Revoked {
    at: Moment,
    by: Option<String>,
    reason: Option<String>,
}

/// How far a rotation has come.
struct Progress {
    is_predecessor: bool,
    /// The other one of the two.
    other: TokenId,
    predecessor: TokenId,
    overlap_ends: Moment,
    /// Whether both are accepted.
    overlaps: bool,
    predecessor_last_use: Option<LastUse>,
    successor_last_use: Option<LastUse>,
    predecessor_is_still_used: bool,
}

impl LastUse {
    pub(super) fn new(usage: Usage, now: Timestamp) -> Self {
        Self {
            at: Moment { at: usage.last_used_at, now },
            address: usage.client_address.map(|address| address.to_string()),
            user_agent: usage.user_agent,
        }
    }
}

impl Progress {
    fn new(status: RotationStatus, id: TokenId, now: Timestamp) -> Self {
        let last_use = |usage: Option<Usage>| usage.map(|usage| LastUse::new(usage, now));
        let is_predecessor = status.predecessor.id == id;
        let accepted = |record: &TokenRecord| record.status(now) == Status::Active;
        Self {
            is_predecessor,
            other: if is_predecessor { status.successor.id } else { status.predecessor.id },
            predecessor: status.predecessor.id,
            overlap_ends: Moment { at: status.overlap_ends_at, now },
            overlaps: TokenState::of(&status.predecessor, now) == TokenState::Rotating
                && accepted(&status.successor),
            predecessor_is_still_used: status.predecessor_is_still_used(),
            predecessor_last_use: last_use(status.predecessor_usage),
            successor_last_use: last_use(status.successor_usage),
        }
    }
}

/// The token as it is in the list, and when it was last used.
pub(super) async fn seen<S: TokenStore, A: Access>(
    management: &Management<S, A>,
    caller: &Caller,
    id: TokenId,
) -> Result<(Row, Option<LastUse>), Problem> {
    let (record, usage) = read(management, caller, id).await?;
    let now = management.issuer.now();
    let last_use = usage.clone().map(|usage| LastUse::new(usage, now));
    Ok((Row::new(record, usage, now), last_use))
}

async fn read<S: TokenStore, A: Access>(
    management: &Management<S, A>,
    caller: &Caller,
    id: TokenId,
) -> Result<(TokenRecord, Option<Usage>), Problem> {
    let issuer = &management.issuer;
    let record = issuer.get(id, &caller.actor).await?.ok_or_else(Problem::not_found)?;
    let usage = issuer.usage(core::slice::from_ref(&record)).await?.pop().flatten();
    Ok((record, usage))
}

pub(super) async fn show<S: TokenStore, A: Access>(
    State(management): Managed<S, A>,
    Extension(place): Extension<Place>,
    caller: Caller,
    Id(id): Id,
) -> Result<Response, Problem> {
    let (record, usage) = read(&management, &caller, id).await?;
    let rotation = management.issuer.rotation_status(id, &caller.actor).await?;
    let now = management.issuer.now();
    let state = TokenState::of(&record, now);
    let revocation = record.revocation.clone().map(|revocation| Revoked {
        at: Moment { at: revocation.at, now },
        by: revocation.by.map(String::from),
        reason: revocation.reason.map(String::from),
    });
    let token = Dialog {
        place: &place,
        may_write: caller.may_write,
        last_use: usage.clone().map(|usage| LastUse::new(usage, now)),
        owner: record.owner.to_string(),
        created_by: record.created_by.to_string(),
        revocation,
        rotation: rotation.map(|status| Progress::new(status, id, now)),
        can_be_disabled: !record.disabled && state.allows(Operation::Disable),
        can_be_enabled: record.disabled && state.allows(Operation::Enable),
        row: Row::new(record, usage, now),
    };
    let title = token.row.name.clone();
    Ok(dialog(StatusCode::OK, title, &token, &management, &place, &caller).await)
}

pub(super) async fn disable<S: TokenStore, A: Access>(
    State(management): Managed<S, A>,
    Extension(place): Extension<Place>,
    caller: Caller,
    Id(id): Id,
) -> Result<Response, Problem> {
    management.issuer.disable(id, &caller.actor).await?;
    Ok(see_other(&place.token(&id)))
}

pub(super) async fn enable<S: TokenStore, A: Access>(
    State(management): Managed<S, A>,
    Extension(place): Extension<Place>,
    caller: Caller,
    Id(id): Id,
) -> Result<Response, Problem> {
    management.issuer.enable(id, &caller.actor).await?;
    Ok(see_other(&place.token(&id)))
}

/// From now on the old token is refused.
pub(super) async fn finish_rotation<S: TokenStore, A: Access>(
    State(management): Managed<S, A>,
    Extension(place): Extension<Place>,
    caller: Caller,
    Id(id): Id,
) -> Result<Response, Problem> {
    management.issuer.finish_rotation(id, &caller.actor).await?;
    Ok(see_other(&place.token(&id)))
}

/// The new token is revoked, and the old one goes on.
pub(super) async fn cancel_rotation<S: TokenStore, A: Access>(
    State(management): Managed<S, A>,
    Extension(place): Extension<Place>,
    caller: Caller,
    Id(id): Id,
) -> Result<Response, Problem> {
    management.issuer.cancel_rotation(id, &caller.actor).await?;
    Ok(see_other(&place.token(&id)))
}
