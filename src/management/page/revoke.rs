//! Revoke a token, after a question. On the page it is called deleting, as people do.

use ::axum::response::Response;
use askama::Template;

use super::{
    super::{Access, input, input::Id, problem::Problem},
    form::{Flaw, Form},
    list::Row,
    place::Place,
    see_other,
    time::exact,
    visit::Visit,
};
use crate::{Status, TokenStore};

#[derive(Template)]
#[template(path = "revoke.html", config = "src/management/page/askama.toml")]
struct Dialog<'a> {
    place: &'a Place,
    row: Row,
    /// Until when its predecessor is accepted still.
    overlap_ends: Option<String>,
    reason: &'a str,
    flaw: Flaw<'a>,
}

/// The question, if it has not been answered yet.
pub(super) async fn ask<S: TokenStore, A: Access>(
    visit: Visit<S, A>,
    Id(id): Id,
) -> Result<Response, Problem> {
    visit.caller.require_write()?;
    let row = Row::read(&visit, id).await?;
    if row.status() == Status::Revoked {
        return Ok(see_other(&visit.place.token(&id)));
    }
    show(row, "", Flaw(None), &visit).await
}

pub(super) async fn revoke<S: TokenStore, A: Access>(
    visit: Visit<S, A>,
    Id(id): Id,
    form: Form,
) -> Result<Response, Problem> {
    let text = form.text("reason");
    let revoke = async {
        let reason = Some(text).filter(|text| !text.is_empty());
        let reason = input::text("reason", reason.map(str::to_owned))?;
        let issuer = &visit.management.issuer;
        issuer.revoke(id, &visit.caller.actor, reason).await.map_err(Problem::from)
    };
    match revoke.await {
        Ok(_) => Ok(see_other(&visit.place.after_revocation(&id))),
        Err(problem) => {
            let row = Row::read(&visit, id).await?;
            show(row, text, Flaw(Some(&problem)), &visit).await
        }
    }
}

async fn show<S: TokenStore, A: Access>(
    row: Row,
    reason: &str,
    flaw: Flaw<'_>,
    visit: &Visit<S, A>,
) -> Result<Response, Problem> {
    let (title, status) = (format!("Delete {}", row.record.name), flaw.status());
    let Visit { management, caller, place } = visit;
    let rotation = management.issuer.rotation_status(row.record.id, &caller.actor).await?;
    let overlap_ends = rotation
        .filter(|rotation| rotation.successor.id == row.record.id)
        .filter(|rotation| rotation.predecessor.status(row.now) == Status::Active)
        .map(|rotation| exact(rotation.overlap_ends_at));
    let question = Dialog { place, row, overlap_ends, reason, flaw };
    Ok(visit.dialog(status, title, &question).await)
}
