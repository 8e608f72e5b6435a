//! Create a token: a form, and what becomes of it.

use ::axum::{http::StatusCode, response::Response};
use askama::Template;

use super::{
    super::{Access, input, problem::Problem},
    form::{Choice, Flaw, Form},
    lifetime,
    place::Place,
    shown::Shown,
    time::date,
    visit::Visit,
};
use crate::{Created, NewToken, Scope, TokenStore};

/// The form, as somebody has filled it in so far.
#[derive(Template)]
#[template(path = "create.html", config = "src/management/page/askama.toml")]
struct Dialog<'a> {
    place: &'a Place,
    filled: &'a Filled,
    /// What can be chosen; nothing if scopes are written as text.
    offers: Vec<Offer<'a>>,
    lifetimes: Vec<Choice>,
    /// The days from which an expiry can be chosen.
    first_day: String,
    last_day: Option<String>,
    flaw: Flaw<'a>,
}

/// What is in the form.
struct Filled {
    name: String,
    scopes: Vec<String>,
    /// The value of a choice.
    lifetime: String,
    /// A day, for one that is chosen.
    expires_on: String,
    /// Names the request: whoever sends the form twice has one token.
    key: String,
}

/// A scope that can be given.
struct Offer<'a> {
    scope: &'a Scope,
    explanation: &'a str,
    is_chosen: bool,
}

/// The empty form.
pub(super) async fn ask<S: TokenStore, A: Access>(visit: Visit<S, A>) -> Result<Response, Problem> {
    visit.caller.require_write()?;
    let issuer = &visit.management.issuer;
    let filled = Filled {
        name: String::new(),
        scopes: Vec::new(),
        lifetime: lifetime::preselected(issuer.policy()),
        expires_on: String::new(),
        key: visit.key()?,
    };
    Ok(filled.show(Flaw(None), &visit).await)
}

/// Creates the token, and shows it this once.
pub(super) async fn create<S: TokenStore, A: Access>(visit: Visit<S, A>, form: Form) -> Response {
    let filled = Filled {
        name: form.text("name").to_owned(),
        scopes: form.all("scope").flat_map(str::split_whitespace).map(str::to_owned).collect(),
        lifetime: form.text("lifetime").to_owned(),
        expires_on: form.text("expires_on").to_owned(),
        key: form.text("key").to_owned(),
    };
    match filled.create(&visit).await {
        Ok(Created { token, record, replaced }) => {
            let shown = Shown::new(&token, &record, None, &visit.management.product, &visit.place)
                .in_place_of(replaced);
            visit.dialog(StatusCode::CREATED, "Your new token", &shown).await
        }
        Err(problem) => {
            let key = visit.key_after(&problem, filled.key);
            Filled { key, ..filled }.show(Flaw(Some(&problem)), &visit).await
        }
    }
}

impl Filled {
    async fn create<S: TokenStore, A: Access>(
        &self,
        Visit { management, caller, .. }: &Visit<S, A>,
    ) -> Result<Created, Problem> {
        if self.scopes.is_empty() && !management.product.scopes.is_empty() {
            return Err(Problem::in_field("scopes", "must be chosen: at least one"));
        }
        let (project, owner) = (caller.project.clone(), caller.actor.principal().clone());
        let new = NewToken {
            scopes: input::scopes(self.scopes.clone())?,
            expiry: lifetime::expiry(&self.lifetime, &self.expires_on)?,
            idempotency_key: Some(self.key.parse()?),
            ..NewToken::new(project, owner, self.name.parse()?)
        };
        Ok(management.issuer.create(new, &caller.actor).await?)
    }

    async fn show<S: TokenStore, A: Access>(
        &self,
        flaw: Flaw<'_>,
        visit: &Visit<S, A>,
    ) -> Response {
        let Visit { management, caller, place } = visit;
        let (now, policy) = (management.issuer.now(), management.issuer.policy());
        let scopes = management.product.scopes.iter();
        let scopes = scopes.filter(|(scope, _)| caller.actor.may_give(scope));
        let offers = scopes.map(|(scope, explanation)| Offer {
            scope,
            explanation,
            is_chosen: self.scopes.iter().any(|chosen| chosen == scope.as_str()),
        });
        let status = flaw.status();
        let form = Dialog {
            place,
            filled: self,
            offers: offers.collect(),
            lifetimes: lifetime::choices(policy, now, &self.lifetime),
            first_day: date(now),
            last_day: lifetime::last_day(policy, now),
            flaw,
        };
        visit.dialog(status, "Create New Token", &form).await
    }
}
