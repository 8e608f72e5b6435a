//! Records: which status a token has at which instant, and the JSON that stores keep.

use api_tokens::{Metadata, Revocation, Rotation, Status, Successor, TokenRecord};
use jiff::{Timestamp, ToSpan};
use proptest::prelude::*;

const FULL: &str = include_str!("data/record-full.json");
const MINIMAL: &str = include_str!("data/record-minimal.json");

#[track_caller]
fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

/// The instant that the tests below turn around.
fn noon() -> Timestamp {
    at("2026-01-01T12:00:00Z")
}

fn just_before(time: Timestamp) -> Timestamp {
    time - 1.microsecond()
}

/// A record of a token that is accepted for ever.
fn minimal() -> TokenRecord {
    TokenRecord {
        id: "Ky9Pf34qY6Nb3wWD".parse().unwrap(),
        prefix: "acme_live".parse().unwrap(),
        digest: "sha256:69UKPP-fD9m6xMjtf0PWPxVLYrKa8BtQdDPevbQZ6P0".parse().unwrap(),
        project: "acme".parse().unwrap(),
        name: "CI".parse().unwrap(),
        owner: "ann".parse().unwrap(),
        created_by: "ann".parse().unwrap(),
        created_through: None,
        scopes: "".parse().unwrap(),
        metadata: Metadata::default(),
        created_at: at("2026-01-01T00:00:00Z"),
        not_before: None,
        expires_at: None,
        disabled: false,
        revocation: None,
        rotation: None,
        version: 1,
    }
}

/// A record with every field set.
fn full() -> TokenRecord {
    let mut metadata = Metadata::default();
    metadata.insert("ticket", "OPS-42").unwrap();
    metadata.insert("env", "été \"7\"").unwrap();
    TokenRecord {
        id: "Ky9Pf34qY6Nb3wWD".parse().unwrap(),
        prefix: "acme_live".parse().unwrap(),
        digest: "hmac-sha256:9fd8fca32d9a:PuGSC48GDqMlsSZojcJsXKX6BWOGJghRvKVDmaoeUow"
            .parse()
            .unwrap(),
        project: "acme".parse().unwrap(),
        name: "Production REST API".parse().unwrap(),
        owner: "ann".parse().unwrap(),
        created_by: "bob".parse().unwrap(),
        created_through: Some("AAAAAAAAAAAAAAA4".parse().unwrap()),
        scopes: "sources:* flows:run".parse().unwrap(),
        metadata,
        created_at: at("2026-01-01T00:00:00.000001Z"),
        not_before: Some(at("2026-01-02T00:00:00Z")),
        expires_at: Some(at("2027-01-01T00:00:00Z")),
        disabled: true,
        revocation: Some(Revocation {
            at: at("2026-06-01T12:34:56.789012Z"),
            by: Some("carol".parse().unwrap()),
            reason: Some("left the company".parse().unwrap()),
        }),
        rotation: Some(Rotation {
            family: "AAAAAAAAAAAAAAA1".parse().unwrap(),
            predecessor: Some("AAAAAAAAAAAAAAA2".parse().unwrap()),
            successor: Some(Successor {
                id: "AAAAAAAAAAAAAAA3".parse().unwrap(),
                overlap_ends_at: at("2026-06-02T00:00:00Z"),
            }),
            retires_predecessor: true,
        }),
        version: 4_294_967_295,
    }
}

fn revoked(at: Timestamp) -> Revocation {
    Revocation { at, by: None, reason: None }
}

/// Replaced by a successor, with an overlap until `overlap_ends_at`.
fn rotated(overlap_ends_at: Timestamp) -> Rotation {
    let id = "AAAAAAAAAAAAAAA3".parse().unwrap();
    let family = "Ky9Pf34qY6Nb3wWD".parse().unwrap();
    let successor = Some(Successor { id, overlap_ends_at });
    Rotation { family, predecessor: None, successor, retires_predecessor: false }
}

#[track_caller]
fn assert_status(record: &TokenRecord, now: Timestamp, status: Status) {
    assert_eq!(record.status(now), status, "at {now}");
}

// One rule at a time.

#[test]
fn a_plain_token_is_active_at_any_time() {
    for now in [Timestamp::MIN, at("1970-01-01T00:00:00Z"), noon(), Timestamp::MAX] {
        assert_status(&minimal(), now, Status::Active);
    }
    assert_eq!(minimal().ends_at(), None);
}

#[test]
fn not_before_is_valid_at_that_very_instant() {
    let record = TokenRecord { not_before: Some(noon()), ..minimal() };
    assert_status(&record, Timestamp::MIN, Status::NotYetValid);
    assert_status(&record, just_before(noon()), Status::NotYetValid);
    assert_status(&record, noon(), Status::Active);
    assert_status(&record, Timestamp::MAX, Status::Active);
    assert_eq!(record.ends_at(), None);
}

#[test]
fn expires_at_is_expired_at_that_very_instant() {
    let record = TokenRecord { expires_at: Some(noon()), ..minimal() };
    assert_status(&record, Timestamp::MIN, Status::Active);
    assert_status(&record, just_before(noon()), Status::Active);
    assert_status(&record, noon(), Status::Expired);
    assert_status(&record, Timestamp::MAX, Status::Expired);
    assert_eq!(record.ends_at(), Some(noon()));
}

#[test]
fn an_overlap_is_over_at_that_very_instant() {
    let record = TokenRecord { rotation: Some(rotated(noon())), ..minimal() };
    assert_status(&record, Timestamp::MIN, Status::Active);
    assert_status(&record, just_before(noon()), Status::Active);
    assert_status(&record, noon(), Status::RotatedOut);
    assert_status(&record, Timestamp::MAX, Status::RotatedOut);
    assert_eq!(record.ends_at(), Some(noon()));
}

#[test]
fn the_latest_of_a_family_is_not_rotated_out() {
    let rotation = Rotation { successor: None, ..rotated(noon()) };
    let record = TokenRecord { rotation: Some(rotation), ..minimal() };
    assert_status(&record, Timestamp::MAX, Status::Active);
    assert_eq!(record.ends_at(), None);
}

#[test]
fn disabled_at_any_time() {
    let record = TokenRecord { disabled: true, ..minimal() };
    for now in [Timestamp::MIN, noon(), Timestamp::MAX] {
        assert_status(&record, now, Status::Disabled);
    }
    assert_eq!(record.ends_at(), None, "it may be enabled again");
}

/// A clock that was set back does not bring a revoked token to life.
#[test]
fn revoked_at_any_time_even_before_the_revocation() {
    let record = TokenRecord { revocation: Some(revoked(noon())), ..minimal() };
    for now in [Timestamp::MIN, just_before(noon()), noon(), Timestamp::MAX] {
        assert_status(&record, now, Status::Revoked);
    }
    assert_eq!(record.ends_at(), Some(noon()));
}

// Several rules at once.

/// Every combination of reasons: the first in this order is the one that is told.
#[test]
fn precedence() {
    let order = [
        Status::Revoked,
        Status::RotatedOut,
        Status::Expired,
        Status::Disabled,
        Status::NotYetValid,
        Status::Active,
    ];
    let hour = 1.hour();
    for reasons in 0_u32..32 {
        let applies = |place: u32| reasons >> place & 1 == 1;
        let record = TokenRecord {
            revocation: applies(0).then(|| revoked(noon())),
            rotation: applies(1).then(|| rotated(noon())),
            expires_at: applies(2).then(noon),
            disabled: applies(3),
            not_before: applies(4).then(|| noon() + hour),
            ..minimal()
        };
        let first = usize::try_from((reasons | 1 << 5).trailing_zeros()).unwrap();
        assert_status(&record, noon(), order[first]);
    }
}

#[test]
fn ends_at_is_the_earliest_end() {
    let times = [noon(), noon() + 1.hour(), noon() + 2.hours()];
    for [a, b, c] in [[0, 1, 2], [1, 0, 2], [2, 1, 0], [1, 2, 0], [0, 0, 1]] {
        let record = TokenRecord {
            revocation: Some(revoked(times[a])),
            rotation: Some(rotated(times[b])),
            expires_at: Some(times[c]),
            not_before: Some(noon() - 1.hour()),
            ..minimal()
        };
        assert_eq!(record.ends_at(), Some(noon()));
    }
}

// Any record at any time. All times are from so few that they often coincide.

fn any_time() -> impl Strategy<Value = Timestamp> {
    (0..12_i64)
        .prop_map(|offset| Timestamp::from_microsecond(1_767_225_600_000_000 + offset).unwrap())
}

prop_compose! {
    fn any_record()(
        not_before in prop::option::of(any_time()),
        expires_at in prop::option::of(any_time()),
        disabled in any::<bool>(),
        revoked_at in prop::option::weighted(0.3, any_time()),
        rotated_at in prop::option::of(any_time()),
    ) -> TokenRecord {
        TokenRecord {
            not_before,
            expires_at,
            disabled,
            revocation: revoked_at.map(revoked),
            rotation: rotated_at.map(rotated),
            ..minimal()
        }
    }
}

/// The rules again, as they stand in the documentation: each with its own condition, all of them
/// asked, and the one that is told chosen by rank.
fn status_slowly(record: &TokenRecord, now: Timestamp) -> Status {
    let is_past = |end: i64| end <= now.as_microsecond();
    let mut reasons = vec![(5, Status::Active)];
    if let Some(start) = record.not_before
        && !is_past(start.as_microsecond())
    {
        reasons.push((4, Status::NotYetValid));
    }
    if record.disabled {
        reasons.push((3, Status::Disabled));
    }
    if let Some(end) = record.expires_at
        && is_past(end.as_microsecond())
    {
        reasons.push((2, Status::Expired));
    }
    if let Some(Rotation { successor: Some(successor), .. }) = &record.rotation
        && is_past(successor.overlap_ends_at.as_microsecond())
    {
        reasons.push((1, Status::RotatedOut));
    }
    if record.revocation.is_some() {
        reasons.push((0, Status::Revoked));
    }
    reasons.into_iter().min_by_key(|(rank, _)| *rank).unwrap().1
}

fn is_final(status: Status) -> bool {
    matches!(status, Status::Revoked | Status::RotatedOut | Status::Expired)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    #[test]
    fn status_agrees_with_the_rules(record in any_record(), now in any_time()) {
        prop_assert_eq!(record.status(now), status_slowly(&record, now));
    }

    #[test]
    fn what_is_final_stays_final(record in any_record(), now in any_time(), later in any_time()) {
        let (now, later) = (now.min(later), now.max(later));
        if is_final(record.status(now)) {
            prop_assert!(is_final(record.status(later)));
        }
    }

    /// Nothing that a person may change about a dead token revives it.
    #[test]
    fn what_is_final_is_not_revived(record in any_record(), other in any_record(), now in any_time()) {
        if is_final(record.status(now)) {
            let changed =
                TokenRecord { disabled: other.disabled, not_before: other.not_before, ..record };
            prop_assert!(is_final(changed.status(now)));
        }
    }

    #[test]
    fn ends_at_agrees_with_status(record in any_record(), now in any_time()) {
        let dead = is_final(record.status(now));
        let ended = record.ends_at().is_some_and(|end| end <= now);
        if record.revocation.is_some() {
            // Dead before, too: revocation does not depend on the clock.
            prop_assert!(dead);
            prop_assert!(record.ends_at().is_some());
        } else {
            prop_assert_eq!(dead, ended);
        }
    }

    #[test]
    fn json_round_trips(record in any_record()) {
        let json = serde_json::to_string(&record).unwrap();
        prop_assert_eq!(serde_json::from_str::<TokenRecord>(&json).unwrap(), record);
    }
}

// As text.

#[test]
fn status_as_text() {
    for (status, text) in [
        (Status::Active, "active"),
        (Status::NotYetValid, "not_yet_valid"),
        (Status::Disabled, "disabled"),
        (Status::Expired, "expired"),
        (Status::RotatedOut, "rotated_out"),
        (Status::Revoked, "revoked"),
    ] {
        assert_eq!(status.as_str(), text);
        assert_eq!(status.to_string(), text);
        let json = format!("{text:?}");
        assert_eq!(serde_json::to_string(&status).unwrap(), json);
        assert_eq!(serde_json::from_str::<Status>(&json).unwrap(), status);
    }
}

/// Stores may keep this text, so what was written must be read for ever.
#[track_caller]
fn assert_json(record: &TokenRecord, json: &str) {
    assert_eq!(serde_json::to_string_pretty(record).unwrap(), json.trim_end());
    assert_eq!(serde_json::from_str::<TokenRecord>(json).unwrap(), *record);
}

#[test]
fn json_of_a_full_record() {
    assert_json(&full(), FULL);
}

#[test]
fn json_of_a_minimal_record() {
    assert_json(&minimal(), MINIMAL);
}

#[track_caller]
fn assert_no_record(from: &str, to: &str) {
    let json = FULL.replacen(from, to, 1);
    assert_ne!(json, FULL, "{from} is not in it");
    assert!(serde_json::from_str::<TokenRecord>(&json).is_err(), "{json}");
}

/// A record that exists is well-formed, wherever it came from.
#[test]
fn json_with_a_bad_field_is_refused() {
    assert_no_record("Ky9Pf34qY6Nb3wWD", "Ky9Pf34qY6Nb3wW");
    assert_no_record("Ky9Pf34qY6Nb3wWD", "Ky9Pf34qY6Nb3wW_");
    assert_no_record("acme_live", "ACME_live");
    assert_no_record("hmac-sha256", "hmac-sha1");
    assert_no_record("9fd8fca32d9a", "9FD8FCA32D9A");
    assert_no_record("\"acme\"", "\"\"");
    assert_no_record("\"acme\"", "\" acme\"");
    assert_no_record("Production REST API", "\\u0000");
    assert_no_record("\"ann\"", "\"\"");
    assert_no_record("\"bob\"", "\"\\n\"");
    assert_no_record("flows:run", "flows run");
    assert_no_record("\"ticket\"", "\"the ticket\"");
    assert_no_record("OPS-42", "");
    assert_no_record("2026-01-01T00:00:00.000001Z", "2026-01-01");
    assert_no_record("\"disabled\": true", "\"disabled\": null");
    assert_no_record("carol", "");
    assert_no_record("left the company", "");
    assert_no_record("AAAAAAAAAAAAAAA1", "");
    assert_no_record("AAAAAAAAAAAAAAA2", "-");
    assert_no_record("AAAAAAAAAAAAAAA3", "+");
    assert_no_record("AAAAAAAAAAAAAAA4", "?");
    assert_no_record("\"retires_predecessor\": true", "\"retires_predecessor\": null");
    assert_no_record("4294967295", "4294967296");
    assert_no_record("4294967295", "-1");
}

#[test]
fn json_without_a_needed_field_is_refused() {
    for field in [
        "id",
        "prefix",
        "digest",
        "project",
        "name",
        "owner",
        "created_by",
        "scopes",
        "metadata",
        "created_at",
        "disabled",
        "version",
    ] {
        let mut json: serde_json::Value = serde_json::from_str(FULL).unwrap();
        assert!(json.as_object_mut().unwrap().remove(field).is_some());
        let refused = serde_json::from_value::<TokenRecord>(json).unwrap_err().to_string();
        assert!(refused.contains(field), "{field}: {refused}");
    }
}

/// The digest is worthless without the key, but a log is no place for it.
#[test]
fn debug_leaves_the_digest_out() {
    let debug = format!("{:?}", full());
    assert!(debug.contains("Production REST API"), "{debug}");
    assert!(!debug.contains("PuGSC48GDqMl"), "{debug}");
}
