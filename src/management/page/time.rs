//! Instants for people.

use core::fmt;

use askama::filters::HtmlSafe;
use jiff::Timestamp;

/// An instant as it lies from another one, with the instant itself on hover.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub(super) at: Timestamp,
    pub(super) now: Timestamp,
}

/// As HTML.
impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (exact, relative) = (exact(self.at), relative(self.at, self.now));
        write!(f, "<time datetime=\"{}\" title=\"{exact}\">{relative}</time>", self.at)
    }
}

/// Nothing but instants and words of this file are in it.
impl HtmlSafe for Moment {}

impl Moment {
    /// Both, for where nobody can hover.
    pub(super) fn in_full(&self) -> String {
        format!("{} ({})", relative(self.at, self.now), exact(self.at))
    }
}

pub(super) fn exact(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// The day, in UTC, as a field for dates has it.
pub(super) fn date(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

/// In the greatest unit of which there is one at least, rounded.
fn relative(at: Timestamp, now: Timestamp) -> String {
    const UNITS: [(i64, i64, &str); 5] = [
        (60, 60, "minute"),
        (60 * 60, 24, "hour"),
        (24 * 60 * 60, 31, "day"),
        (2_629_746, 12, "month"), // a twelfth of 365.2425 days
        (31_556_952, i64::MAX, "year"),
    ];
    let seconds = at.duration_since(now).as_secs();
    let is_past = seconds <= 0;
    let seconds = seconds.saturating_abs();
    if seconds < 30 {
        return if is_past { "just now" } else { "in a moment" }.to_owned();
    }
    let in_units = |(unit, limit, name)| {
        let count = seconds.saturating_add(unit / 2) / unit;
        (count < limit).then_some((count, name))
    };
    let Some((count, name)) = UNITS.into_iter().find_map(in_units) else { return exact(at) };
    let plural = if count == 1 { "" } else { "s" };
    if is_past {
        format!("{count} {name}{plural} ago")
    } else {
        format!("in {count} {name}{plural}")
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn times_are_told_as_people_do() {
        let now: Timestamp = "2026-11-25T17:00:00Z".parse().unwrap();
        for (seconds, text) in [
            (-1, "just now"),
            (-30, "1 minute ago"),
            (-89, "1 minute ago"),
            (-90, "2 minutes ago"),
            (-59 * 60 - 29, "59 minutes ago"),
            (-59 * 60 - 30, "1 hour ago"),
            (-3 * 3600, "3 hours ago"),
            (-23 * 3600 - 1800, "1 day ago"),
            (-30 * 86400, "30 days ago"),
            (-31 * 86400, "1 month ago"),
            (-351 * 86400, "1 year ago"),
            (-800 * 86400, "2 years ago"),
            (0, "just now"),
            (1, "in a moment"),
            (90, "in 2 minutes"),
            (90 * 86400 - 1, "in 3 months"),
            (30 * 86400 - 1, "in 30 days"),
        ] {
            assert_eq!(relative(now + SignedDuration::from_secs(seconds), now), text, "{seconds}");
        }
        assert_eq!(relative(Timestamp::MIN, Timestamp::MAX), "19999 years ago");
        assert_eq!(
            Moment { at: now, now }.to_string(),
            "<time datetime=\"2026-11-25T17:00:00Z\" title=\"2026-11-25 17:00:00 UTC\">just \
             now</time>",
        );
    }
}
