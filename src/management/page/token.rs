//! All that is known of one token, and what is done to it without a question.

use ::axum::{http::StatusCode, response::Response};
use askama::Template;
use jiff::Timestamp;

use super::{
    super::{Access, input::Id, problem::Problem},
    list::{LastUse, Row},
    place::Place,
    query::status_text,
    see_other,
    time::Moment,
    visit::Visit,
};
use crate::{RotationStatus, State, Status, TokenId, TokenRecord, TokenStore, Usage};

#[derive(Template)]
#[template(path = "token.html", config = "src/management/page/askama.toml")]
struct Dialog<'a> {
    place: &'a Place,
    may_write: bool,
    row: Row,
    rotation: Option<Progress>,
}

impl Dialog<'_> {
    /// Whether its predecessor is accepted still.
    fn is_being_introduced(&self) -> bool {
        let progress = self.rotation.as_ref();
        progress.is_some_and(|progress| !progress.is_predecessor() && progress.overlaps())
    }
}

/// How far a rotation has come.
struct Progress {
    status: RotationStatus,
    /// Of the one of the two that is looked at.
    id: TokenId,
    now: Timestamp,
}

impl Progress {
    fn is_predecessor(&self) -> bool {
        self.status.predecessor.id == self.id
    }

    fn other(&self) -> &TokenId {
        let RotationStatus { predecessor, successor, .. } = &self.status;
        if self.is_predecessor() { &successor.id } else { &predecessor.id }
    }

    /// Whether the overlap is not over. The old token may be disabled all the same.
    fn overlaps(&self) -> bool {
        State::of(&self.status.predecessor, self.now) == State::Rotating
    }

    /// What the old one is, if it is not accepted.
    fn status_of_predecessor(&self) -> Option<&'static str> {
        self.other_status(&self.status.predecessor)
    }

    /// What the new one is, if it is not accepted.
    fn status_of_successor(&self) -> Option<&'static str> {
        self.other_status(&self.status.successor)
    }

    fn other_status(&self, record: &TokenRecord) -> Option<&'static str> {
        let status = record.status(self.now);
        (status != Status::Active).then(|| status_text(status))
    }

    fn retires_on_use(&self) -> bool {
        self.status.successor.rotation.is_some_and(|rotation| rotation.retires_predecessor)
    }

    fn overlap_ends(&self) -> Moment {
        Moment { at: self.status.overlap_ends_at, now: self.now }
    }

    fn last_use_of_predecessor(&self) -> Option<LastUse> {
        self.last_use(self.status.predecessor_usage.clone())
    }

    fn last_use_of_successor(&self) -> Option<LastUse> {
        self.last_use(self.status.successor_usage.clone())
    }

    fn last_use(&self, usage: Option<Usage>) -> Option<LastUse> {
        usage.map(|usage| LastUse { usage, now: self.now })
    }
}

pub(super) async fn show<S: TokenStore, A: Access>(
    visit: Visit<S, A>,
    Id(id): Id,
) -> Result<Response, Problem> {
    let row = Row::read(&visit, id).await?;
    let rotation = visit.management.issuer.rotation_status(id, &visit.caller.actor).await?;
    let rotation = rotation.map(|status| Progress { status, id, now: row.now });
    let title = row.record.name.to_string();
    let may_write = visit.caller.may_write;
    let token = Dialog { place: &visit.place, may_write, row, rotation };
    Ok(visit.dialog(StatusCode::OK, title, &token).await)
}

pub(super) async fn disable<S: TokenStore, A: Access>(
    visit: Visit<S, A>,
    Id(id): Id,
) -> Result<Response, Problem> {
    visit.management.issuer.disable(id, &visit.caller.actor).await?;
    Ok(see_other(&visit.place.token(&id)))
}

pub(super) async fn enable<S: TokenStore, A: Access>(
    visit: Visit<S, A>,
    Id(id): Id,
) -> Result<Response, Problem> {
    visit.management.issuer.enable(id, &visit.caller.actor).await?;
    Ok(see_other(&visit.place.token(&id)))
}
