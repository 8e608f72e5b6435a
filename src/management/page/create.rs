//! Create a token: a form, and what becomes of it.

use ::axum::{Extension, extract::State, http::StatusCode, response::Response};
use askama::Template;
use jiff::{
    SignedDuration, Timestamp,
    civil::{Date, Time},
    tz::TimeZone,
};

use super::{
    super::{Access, Managed, Management, Product, caller::Caller, input, problem::Problem},
    document::dialog,
    form::Form,
    place::Place,
    shown::Shown,
    time::date,
};
use crate::{Created, Expiry, LifetimePolicy, NewToken, Scope, TokenStore};

/// The form, as somebody has filled it in so far.
#[derive(Template)]
#[template(path = "create.html", config = "src/management/page/askama.toml")]
struct Dialog<'a> {
    place: &'a Place,
    filled: &'a Filled,
    /// What can be chosen; nothing if scopes are written as text.
    scopes: Vec<Offer>,
    lifetimes: Vec<Lifetime>,
    /// The days from which an expiry can be chosen.
    first_day: String,
    last_day: Option<String>,
    problem: Option<&'a Problem>,
}

impl Dialog<'_> {
    fn is_wrong(&self, field: &str) -> bool {
        self.problem.is_some_and(|problem| problem.field() == Some(field))
    }
}

/// What is in the form.
struct Filled {
    name: String,
    scopes: Vec<String>,
    /// The value of a [`Lifetime`].
    lifetime: String,
    /// A day, for one that is chosen.
    expires_on: String,
    /// Names the request: whoever sends the form twice has one token.
    key: String,
}

/// A scope that can be given.
struct Offer {
    scope: Scope,
    explanation: String,
    is_chosen: bool,
}

/// When a token expires, as a choice.
struct Lifetime {
    value: String,
    text: String,
    is_chosen: bool,
}

const OTHER_DAY: &str = "day";
const NEVER: &str = "never";
/// As the policy has it.
const DEFAULT: &str = "default";

/// The empty form.
pub(super) async fn ask<S: TokenStore, A: Access>(
    State(management): Managed<S, A>,
    Extension(place): Extension<Place>,
    caller: Caller,
) -> Result<Response, Problem> {
    caller.require_write()?;
    let filled = Filled {
        name: String::new(),
        scopes: Vec::new(),
        lifetime: preselected(management.issuer.policy()),
        expires_on: String::new(),
        key: management.issuer.random_id()?.to_string(),
    };
    Ok(filled.show(None, &management, &place, &caller).await)
}

/// Creates the token, and shows it this once.
pub(super) async fn create<S: TokenStore, A: Access>(
    State(management): Managed<S, A>,
    Extension(place): Extension<Place>,
    caller: Caller,
    form: Form,
) -> Response {
    let filled = Filled {
        name: form.text("name").to_owned(),
        scopes: form.all("scope").flat_map(str::split_whitespace).map(str::to_owned).collect(),
        lifetime: form.text("lifetime").to_owned(),
        expires_on: form.text("expires_on").to_owned(),
        key: form.text("key").to_owned(),
    };
    match filled.create(&management, &caller).await {
        Ok(Created { token, record }) => {
            let shown = Shown::new(&token, &record, None, &management.product, &place);
            dialog(StatusCode::CREATED, "New token", &shown, &management, &place, &caller).await
        }
        Err(problem) => filled.show(Some(&problem), &management, &place, &caller).await,
    }
}

impl Filled {
    async fn create<S: TokenStore, A: Access>(
        &self,
        management: &Management<S, A>,
        caller: &Caller,
    ) -> Result<Created, Problem> {
        if self.scopes.is_empty() && !management.product.scopes.is_empty() {
            return Err(Problem::in_field("scopes", "must be chosen: at least one"));
        }
        let (project, owner) = (caller.project.clone(), caller.actor.principal().clone());
        let new = NewToken {
            scopes: input::scopes(self.scopes.clone())?,
            expiry: self.expiry()?,
            idempotency_key: Some(self.key.parse()?),
            ..NewToken::new(project, owner, self.name.parse()?)
        };
        Ok(management.issuer.create(new, &caller.actor).await?)
    }

    fn expiry(&self) -> Result<Expiry, Problem> {
        match &*self.lifetime {
            DEFAULT => Ok(Expiry::Default),
            NEVER => Ok(Expiry::Never),
            OTHER_DAY => {
                let day: Option<Date> = self.expires_on.parse().ok();
                // To the end of the day.
                let end = day.and_then(|day| {
                    TimeZone::UTC
                        .to_timestamp(day.tomorrow().ok()?.to_datetime(Time::midnight()))
                        .ok()
                });
                let end = end.ok_or_else(|| Problem::in_field("expires_at", "must be a day"))?;
                Ok(Expiry::At(end))
            }
            days => {
                let days = days.parse().ok();
                let days = days.ok_or_else(|| Problem::in_field("expires_at", "must be chosen"))?;
                Ok(Expiry::after_days(days))
            }
        }
    }

    async fn show<S: TokenStore, A: Access>(
        &self,
        problem: Option<&Problem>,
        management: &Management<S, A>,
        place: &Place,
        caller: &Caller,
    ) -> Response {
        let (now, policy) = (management.issuer.now(), management.issuer.policy());
        let form = Dialog {
            place,
            filled: self,
            scopes: self.offers(&management.product, caller),
            lifetimes: self.lifetimes(policy, now),
            first_day: date(now),
            // The last day of which the end is allowed.
            last_day: policy
                .max
                .and_then(|max| now.checked_add(max - SignedDuration::from_hours(24)).ok())
                .map(date),
            problem,
        };
        let status = problem.map_or(StatusCode::OK, Problem::status);
        dialog(status, "Create New Token", &form, management, place, caller).await
    }

    /// The product's scopes, as far as the person can give them.
    fn offers(&self, product: &Product, caller: &Caller) -> Vec<Offer> {
        let can_give = |scope: &Scope| {
            caller.holds.as_ref().is_none_or(|holds| holds.iter().any(|held| held.covers(scope)))
        };
        let offered = product.scopes.iter().filter(|(scope, _)| can_give(scope));
        let offer = |(scope, explanation): &(Scope, String)| Offer {
            scope: scope.clone(),
            explanation: explanation.clone(),
            is_chosen: self.scopes.iter().any(|chosen| chosen == scope.as_str()),
        };
        offered.map(offer).collect()
    }

    fn lifetimes(&self, policy: LifetimePolicy, now: Timestamp) -> Vec<Lifetime> {
        let mut lifetimes = Vec::new();
        let mut add = |value: String, text: String| {
            let is_chosen = value == self.lifetime;
            lifetimes.push(Lifetime { value, text, is_chosen });
        };
        let until = |lifetime: SignedDuration| {
            let end = now.checked_add(lifetime);
            end.map(|end| end.strftime(", until %-d %B %Y").to_string()).unwrap_or_default()
        };
        if let Some(lifetime) = policy_lifetime(policy) {
            let text = match (lifetime.as_hours() / 24, lifetime.as_secs() % (24 * 60 * 60)) {
                (days, 0) => format!("{days} days"),
                _ => format!("{lifetime:#}"),
            };
            add(DEFAULT.to_owned(), text + &until(lifetime));
        }
        for days in days(policy) {
            let lifetime = SignedDuration::from_hours(24 * i64::from(days));
            add(days.to_string(), format!("{days} days{}", until(lifetime)));
        }
        if policy.max.is_none_or(|max| max >= SignedDuration::from_hours(24)) {
            add(OTHER_DAY.to_owned(), "Another day".to_owned());
        }
        if policy.allows_unlimited && policy.max.is_none() {
            add(NEVER.to_owned(), "Never".to_owned());
        }
        lifetimes
    }
}

/// In days of 24 hours, as far as the policy allows them.
fn days(policy: LifetimePolicy) -> impl Iterator<Item = u32> {
    [30, 60, 90].into_iter().filter(move |days| {
        policy.max.is_none_or(|max| SignedDuration::from_hours(24 * i64::from(*days)) <= max)
    })
}

/// What the policy gives if nothing is chosen, where that is none of the days.
fn policy_lifetime(policy: LifetimePolicy) -> Option<SignedDuration> {
    let is_one_of_the_days = |lifetime: &SignedDuration| {
        days(policy).any(|days| SignedDuration::from_hours(24 * i64::from(days)) == *lifetime)
    };
    match (policy.default, policy.max) {
        (Some(default), max) => Some(max.map_or(default, |max| max.min(default))),
        (None, max) => max.filter(|_| days(policy).next().is_none()),
    }
    .filter(|lifetime| !is_one_of_the_days(lifetime))
}

/// The policy's default, and else as long as the days offer: a token without an end is to be
/// chosen.
fn preselected(policy: LifetimePolicy) -> String {
    if policy_lifetime(policy).is_some() {
        return DEFAULT.to_owned();
    }
    let default = policy.default.map(|lifetime| lifetime.as_hours() / 24);
    let last = days(policy).last();
    default.map(|days| days.to_string()).or(last.map(|days| days.to_string())).unwrap_or_default()
}
