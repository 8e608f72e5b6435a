use api_tokens::Expiry;
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};

/// A length of time, such as `90d`, `24h` or `1h30m`. A day has 24 hours.
pub(crate) fn parse(text: &str) -> Result<SignedDuration, String> {
    const EXPECTED: &str = "expected a length of time such as 90d, 24h or 30m";
    let span: Span = text.parse().map_err(|_| EXPECTED)?;
    let days = SpanRelativeTo::days_are_24_hours();
    let duration = span.to_duration(days).map_err(|_| EXPECTED)?;
    if duration.is_negative() {
        return Err(EXPECTED.to_owned());
    }
    Ok(duration)
}

/// When a token comes to its end: a length of time from now, an instant, or `never`.
pub(crate) fn parse_expiry(text: &str) -> Result<Expiry, String> {
    if text == "never" {
        return Ok(Expiry::Never);
    }
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(Expiry::At(instant));
    }
    parse(text).map(Expiry::After).map_err(|_| {
        "expected a length of time such as 90d, an instant such as 2030-01-31T12:00:00Z, or never"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time() {
        for (text, hours) in [("90d", 90 * 24), ("24h", 24), ("2w", 14 * 24), ("120m", 2)] {
            assert_eq!(parse(text), Ok(SignedDuration::from_hours(hours)), "{text}");
        }
        for text in ["", "90", "d", "-1h", "1 month", "never"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ends() {
        assert_eq!(parse_expiry("never"), Ok(Expiry::Never));
        assert_eq!(parse_expiry("90d"), Ok(Expiry::after_days(90)));
        let instant = "2030-01-31T12:00:00Z";
        assert_eq!(parse_expiry(instant), Ok(Expiry::At(instant.parse().unwrap())));
        assert!(parse_expiry("soon").unwrap_err().contains("or never"));
    }
}
