//! When a new token expires, as a choice.

use jiff::{
    SignedDuration, Timestamp,
    civil::{Date, Time},
    tz::TimeZone,
};

use super::{super::problem::Problem, form::Choice, time::date};
use crate::{Expiry, LifetimePolicy};

const DAYS: [u32; 3] = [30, 60, 90];

/// As the policy has it.
const DEFAULT: &str = "default";
const NEVER: &str = "never";
/// Another field says which. `page.css` knows this word, too.
const OTHER_DAY: &str = "day";

/// All that the policy allows. The values are read by [`expiry`].
pub(super) fn choices(policy: LifetimePolicy, now: Timestamp, chosen: &str) -> Vec<Choice> {
    let mut choices = Vec::new();
    let mut add = |value: String, text: String| {
        let is_chosen = value == chosen;
        choices.push(Choice { value: value.into(), text: text.into(), is_chosen });
    };
    let until = |lifetime: SignedDuration| {
        let end = now.checked_add(lifetime);
        end.map(|end| end.strftime(", until %-d %B %Y").to_string()).unwrap_or_default()
    };
    if let Some(lifetime) = other_default(policy) {
        let text = match (lifetime.as_hours() / 24, lifetime.as_secs() % (24 * 60 * 60)) {
            (days, 0) => format!("{days} days"),
            _ => format!("{lifetime:#}"),
        };
        add(DEFAULT.to_owned(), text + &until(lifetime));
    }
    for days in allowed_days(policy) {
        add(days.to_string(), format!("{days} days{}", until(of_days(days))));
    }
    if policy.max.is_none_or(|max| max >= of_days(1)) {
        add(OTHER_DAY.to_owned(), "Another day".to_owned());
    }
    if policy.allows_never() {
        add(NEVER.to_owned(), "Never".to_owned());
    }
    choices
}

/// The policy's default, and else as long as the days offer: a token without an end is to be
/// chosen.
pub(super) fn preselected(policy: LifetimePolicy) -> String {
    let is_default = |days: &u32| policy.default == Some(of_days(*days));
    let days = allowed_days(policy).find(is_default).or_else(|| allowed_days(policy).last());
    match days {
        Some(days) if other_default(policy).is_none() => days.to_string(),
        _ => DEFAULT.to_owned(),
    }
}

/// The last day to whose end a token may live, if there is one.
pub(super) fn last_day(policy: LifetimePolicy, now: Timestamp) -> Option<String> {
    let max = policy.max?.checked_sub(of_days(1))?;
    now.checked_add(max).ok().map(date)
}

/// What was chosen; `day` is what the field for another day has.
pub(super) fn expiry(chosen: &str, day: &str) -> Result<Expiry, Problem> {
    match chosen {
        DEFAULT => Ok(Expiry::Default),
        NEVER => Ok(Expiry::Never),
        OTHER_DAY => {
            let end = end_of(day).ok_or_else(|| {
                Problem::in_field("expires_on", "must be given, such as 2030-01-31")
            })?;
            Ok(Expiry::At(end))
        }
        days => {
            let days = days.parse().ok();
            let days = days.ok_or_else(|| Problem::in_field("expires_at", "must be chosen"))?;
            Ok(Expiry::after_days(days))
        }
    }
}

/// The first instant of the day after, in UTC.
fn end_of(day: &str) -> Option<Timestamp> {
    let day: Date = day.parse().ok()?;
    TimeZone::UTC.to_timestamp(day.tomorrow().ok()?.to_datetime(Time::midnight())).ok()
}

fn of_days(days: u32) -> SignedDuration {
    SignedDuration::from_hours(i64::from(days).saturating_mul(24))
}

fn allowed_days(policy: LifetimePolicy) -> impl Iterator<Item = u32> {
    DAYS.into_iter().filter(move |days| policy.max.is_none_or(|max| of_days(*days) <= max))
}

/// What the policy gives if nothing is chosen, where that is none of the days.
fn other_default(policy: LifetimePolicy) -> Option<SignedDuration> {
    let lifetime = match (policy.default, policy.max) {
        (Some(default), max) => Some(max.map_or(default, |max| max.min(default))),
        (None, max) => max.filter(|_| allowed_days(policy).next().is_none()),
    };
    lifetime.filter(|lifetime| !allowed_days(policy).any(|days| of_days(days) == *lifetime))
}
