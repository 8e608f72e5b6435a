//! Replace a token by a successor.

use ::axum::{Extension, extract::State, http::StatusCode, response::Response};
use askama::Template;
use jiff::SignedDuration;

use super::{
    super::{Access, Managed, Management, caller::Caller, input::Id, problem::Problem},
    document::dialog,
    form::{Choice, Form},
    list::Row,
    place::Place,
    shown::Shown,
    token::seen,
};
use crate::{Rotate, Rotated, TokenId, TokenStore};

#[derive(Template)]
#[template(path = "rotate.html", config = "src/management/page/askama.toml")]
struct Dialog<'a> {
    place: &'a Place,
    row: Row,
    overlaps: Vec<Choice>,
    retires_on_use: bool,
    key: &'a str,
    problem: Option<&'a Problem>,
}

/// How long the old token can be accepted beside the new one: hours, and in words.
const OVERLAPS: [(&str, &str); 4] = [
    ("0", "Not at all: the old token is refused at once"),
    ("1", "1 hour"),
    ("24", "24 hours"),
    ("168", "7 days"),
];

/// What is in the form.
struct Filled {
    overlap: String,
    retires_on_use: bool,
    key: String,
}

pub(super) async fn ask<S: TokenStore, A: Access>(
    State(management): Managed<S, A>,
    Extension(place): Extension<Place>,
    caller: Caller,
    Id(id): Id,
) -> Result<Response, Problem> {
    caller.require_write()?;
    let key = management.issuer.random_id()?.to_string();
    let filled = Filled { overlap: "24".to_owned(), retires_on_use: false, key };
    filled.show(id, None, &management, &place, &caller).await
}

/// Rotates the token, and shows the new one this once.
pub(super) async fn rotate<S: TokenStore, A: Access>(
    State(management): Managed<S, A>,
    Extension(place): Extension<Place>,
    caller: Caller,
    Id(id): Id,
    form: Form,
) -> Result<Response, Problem> {
    let filled = Filled {
        overlap: form.text("overlap").to_owned(),
        retires_on_use: !form.text("retire_on_use").is_empty(),
        key: form.text("key").to_owned(),
    };
    match filled.rotate(id, &management, &caller).await {
        Ok(Rotated { token, record, predecessor }) => {
            let before = Some((&predecessor, management.issuer.now()));
            let shown = Shown::new(&token, &record, before, &management.product, &place);
            Ok(dialog(StatusCode::CREATED, "New token", &shown, &management, &place, &caller).await)
        }
        Err(problem) => filled.show(id, Some(&problem), &management, &place, &caller).await,
    }
}

impl Filled {
    async fn rotate<S: TokenStore, A: Access>(
        &self,
        id: TokenId,
        management: &Management<S, A>,
        caller: &Caller,
    ) -> Result<Rotated, Problem> {
        let is_offered = OVERLAPS.iter().any(|(hours, _)| *hours == self.overlap);
        let hours = self.overlap.parse().ok().filter(|_| is_offered);
        let hours = hours.ok_or_else(|| Problem::in_field("overlap", "must be chosen"))?;
        let rotate = Rotate {
            overlap: SignedDuration::from_hours(hours),
            retire_on_use: self.retires_on_use,
            idempotency_key: Some(self.key.parse()?),
            ..Rotate::default()
        };
        Ok(management.issuer.rotate(id, &caller.actor, rotate).await?)
    }

    async fn show<S: TokenStore, A: Access>(
        &self,
        id: TokenId,
        problem: Option<&Problem>,
        management: &Management<S, A>,
        place: &Place,
        caller: &Caller,
    ) -> Result<Response, Problem> {
        let (row, _) = seen(management, caller, id).await?;
        let overlaps =
            OVERLAPS.map(|(value, text)| Choice { value, text, is_chosen: value == self.overlap });
        let form = Dialog {
            place,
            row,
            overlaps: overlaps.into(),
            retires_on_use: self.retires_on_use,
            key: &self.key,
            problem,
        };
        let status = problem.map_or(StatusCode::OK, Problem::status);
        let title = format!("Rotate {}", form.row.name);
        Ok(dialog(status, title, &form, management, place, caller).await)
    }
}
