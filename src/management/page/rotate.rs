//! Replace a token by a successor.

use ::axum::{http::StatusCode, response::Response};
use askama::Template;
use jiff::SignedDuration;

use super::{
    super::{Access, input::Id, problem::Problem},
    form::{Choice, Flaw, Form},
    list::Row,
    place::Place,
    see_other,
    shown::Shown,
    visit::Visit,
};
use crate::{Rotate, Rotated, State, TokenId, TokenStore};

#[derive(Template)]
#[template(path = "rotate.html", config = "src/management/page/askama.toml")]
struct Dialog<'a> {
    place: &'a Place,
    row: Row,
    overlaps: Vec<Choice>,
    filled: &'a Filled,
    flaw: Flaw<'a>,
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

/// The question, where it can be answered by yes.
pub(super) async fn ask<S: TokenStore, A: Access>(
    visit: Visit<S, A>,
    Id(id): Id,
) -> Result<Response, Problem> {
    visit.caller.require_write()?;
    let row = Row::read(&visit, id).await?;
    let rotation = visit.management.issuer.rotation_status(id, &visit.caller.actor).await?;
    // While its own predecessor is accepted still, it cannot be rotated: that rotation comes first.
    let is_new = rotation.is_some_and(|status| {
        status.successor.id == id && State::of(&status.predecessor, row.now) == State::Rotating
    });
    if !row.can_be_rotated() || is_new {
        return Ok(see_other(&visit.place.token(&id)));
    }
    let filled = Filled { overlap: "24".to_owned(), retires_on_use: false, key: visit.key()? };
    Ok(filled.show(row, Flaw(None), &visit).await)
}

/// Rotates the token, and shows the new one this once.
pub(super) async fn rotate<S: TokenStore, A: Access>(
    visit: Visit<S, A>,
    Id(id): Id,
    form: Form,
) -> Result<Response, Problem> {
    let filled = Filled {
        overlap: form.text("overlap").to_owned(),
        retires_on_use: !form.text("retire_on_use").is_empty(),
        key: form.text("key").to_owned(),
    };
    match filled.rotate(id, &visit).await {
        Ok(Rotated { token, record, predecessor, replaced }) => {
            let Visit { management, place, .. } = &visit;
            let before = Some((&predecessor, management.issuer.now()));
            let shown = Shown::new(&token, &record, before, &management.product, place)
                .in_place_of(replaced);
            Ok(visit.dialog(StatusCode::CREATED, "Your new token", &shown).await)
        }
        Err(problem) => {
            let row = Row::read(&visit, id).await?;
            let filled = Filled { key: visit.key_after(&problem, filled.key), ..filled };
            Ok(filled.show(row, Flaw(Some(&problem)), &visit).await)
        }
    }
}

impl Filled {
    async fn rotate<S: TokenStore, A: Access>(
        &self,
        id: TokenId,
        Visit { management, caller, .. }: &Visit<S, A>,
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
        row: Row,
        flaw: Flaw<'_>,
        visit: &Visit<S, A>,
    ) -> Response {
        let choice = |(value, text): (&'static str, &'static str)| Choice {
            value: value.into(),
            text: text.into(),
            is_chosen: value == self.overlap,
        };
        let (title, status) = (format!("Rotate {}", row.record.name), flaw.status());
        let overlaps = OVERLAPS.map(choice).into();
        let form = Dialog { place: &visit.place, row, overlaps, filled: self, flaw };
        visit.dialog(status, title, &form).await
    }
}
