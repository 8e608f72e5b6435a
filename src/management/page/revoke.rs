//! Revoke a token, after a question.

use ::axum::{Extension, extract::State, http::StatusCode, response::Response};
use askama::Template;

use super::{
    super::{Access, Managed, Management, caller::Caller, input, input::Id, problem::Problem},
    document::dialog,
    form::Form,
    list::Row,
    place::Place,
    see_other,
    token::{LastUse, seen},
};
use crate::{TokenId, TokenStore};

#[derive(Template)]
#[template(path = "revoke.html", config = "src/management/page/askama.toml")]
struct Dialog<'a> {
    place: &'a Place,
    row: Row,
    last_use: Option<LastUse>,
    reason: &'a str,
    problem: Option<&'a Problem>,
}

pub(super) async fn ask<S: TokenStore, A: Access>(
    State(management): Managed<S, A>,
    Extension(place): Extension<Place>,
    caller: Caller,
    Id(id): Id,
) -> Result<Response, Problem> {
    caller.require_write()?;
    show(id, "", None, &management, &place, &caller).await
}

pub(super) async fn revoke<S: TokenStore, A: Access>(
    State(management): Managed<S, A>,
    Extension(place): Extension<Place>,
    caller: Caller,
    Id(id): Id,
    form: Form,
) -> Result<Response, Problem> {
    let text = form.text("reason");
    let revoke = async {
        let reason = Some(text).filter(|text| !text.is_empty());
        let reason = input::text("reason", reason.map(str::to_owned))?;
        management.issuer.revoke(id, &caller.actor, reason).await.map_err(Problem::from)
    };
    match revoke.await {
        Ok(_) => Ok(see_other(&place.after_revocation(&id))),
        Err(problem) => show(id, text, Some(&problem), &management, &place, &caller).await,
    }
}

async fn show<S: TokenStore, A: Access>(
    id: TokenId,
    reason: &str,
    problem: Option<&Problem>,
    management: &Management<S, A>,
    place: &Place,
    caller: &Caller,
) -> Result<Response, Problem> {
    let (row, last_use) = seen(management, caller, id).await?;
    let status = problem.map_or(StatusCode::OK, Problem::status);
    let question = Dialog { place, row, last_use, reason, problem };
    let title = format!("Delete {}", question.row.name);
    Ok(dialog(status, title, &question, management, place, caller).await)
}
