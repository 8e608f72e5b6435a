//! End a rotation before its time, after a question: neither can be undone.

use ::axum::{http::StatusCode, response::Response};
use askama::Template;

use super::{
    super::{Access, input::Id, problem::Problem},
    list::Row,
    place::Place,
    see_other,
    visit::Visit,
};
use crate::{State, TokenId, TokenStore};

#[derive(Template)]
#[template(path = "rotation.html", config = "src/management/page/askama.toml")]
struct Dialog<'a> {
    place: &'a Place,
    /// The old token.
    id: TokenId,
    end: End,
    /// The token that is not accepted any more then.
    row: Row,
}

impl Dialog<'_> {
    fn is_finish(&self) -> bool {
        self.end == End::Finish
    }

    fn path(&self) -> &'static str {
        if self.is_finish() { "rotation/finish" } else { "rotation/cancel" }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// The old token ends.
    Finish,
    /// The new token is revoked, and the old one goes on.
    Cancel,
}

pub(super) async fn ask_finish<S: TokenStore, A: Access>(
    visit: Visit<S, A>,
    Id(id): Id,
) -> Result<Response, Problem> {
    ask(visit, id, End::Finish).await
}

pub(super) async fn ask_cancel<S: TokenStore, A: Access>(
    visit: Visit<S, A>,
    Id(id): Id,
) -> Result<Response, Problem> {
    ask(visit, id, End::Cancel).await
}

async fn ask<S: TokenStore, A: Access>(
    visit: Visit<S, A>,
    id: TokenId,
    end: End,
) -> Result<Response, Problem> {
    visit.caller.require_write()?;
    let old = Row::read(&visit, id).await?;
    let successor = old.record.rotation.and_then(|rotation| rotation.successor);
    let Some(successor) = successor.filter(|_| old.state() == State::Rotating) else {
        return Ok(see_other(&visit.place.token(&id)));
    };
    let row = match end {
        End::Finish => old,
        End::Cancel => Row::read(&visit, successor.id).await?,
    };
    let title = match end {
        End::Finish => "End the old token",
        End::Cancel => "Delete the new token",
    };
    let question = Dialog { place: &visit.place, id, end, row };
    Ok(visit.dialog(StatusCode::OK, title, &question).await)
}

pub(super) async fn finish<S: TokenStore, A: Access>(
    visit: Visit<S, A>,
    Id(id): Id,
) -> Result<Response, Problem> {
    visit.management.issuer.finish_rotation(id, &visit.caller.actor).await?;
    Ok(see_other(&visit.place.token(&id)))
}

pub(super) async fn cancel<S: TokenStore, A: Access>(
    visit: Visit<S, A>,
    Id(id): Id,
) -> Result<Response, Problem> {
    visit.management.issuer.cancel_rotation(id, &visit.caller.actor).await?;
    Ok(see_other(&visit.place.token(&id)))
}
