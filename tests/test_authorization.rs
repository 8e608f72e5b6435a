//! The `Authorization` field: published cases, and those at the edges of each rule.

use std::fmt::Debug;

use api_tokens::Credentials;
use serde::Deserialize;

const CASES: &str = include_str!("data/authorization-cases.json");

#[derive(Deserialize)]
struct Cases {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    field_values_hex: Vec<String>,
    verdict: String,
    why: String,
}

fn cases() -> Vec<Case> {
    serde_json::from_str::<Cases>(CASES).unwrap().cases
}

fn hex(text: &str) -> Vec<u8> {
    let digit = |byte: &u8| u8::try_from(char::from(*byte).to_digit(16).unwrap()).unwrap();
    let (pairs, rest) = text.as_bytes().as_chunks();
    assert!(rest.is_empty());
    pairs.iter().map(|[high, low]| digit(high) << 4 | digit(low)).collect()
}

fn read<'a>(fields: &[&'a [u8]]) -> Credentials<'a> {
    Credentials::from_authorization(fields.iter().copied())
}

fn verdict(credentials: Credentials<'_>) -> &'static str {
    match credentials {
        Credentials::Absent => "absent",
        Credentials::OtherScheme => "other_scheme",
        Credentials::Bearer(_) => "bearer",
        Credentials::InvalidRequest => "invalid_request",
        Credentials::MalformedToken => "malformed_token",
    }
}

// `Debug` leaves the token out, so these compare and print by themselves.

#[track_caller]
fn assert_reads(value: impl AsRef<[u8]>, expected: Credentials<'_>) {
    let value = value.as_ref();
    let read = read(&[value]);
    assert!(read == expected, "{}: {read:?}, not {expected:?}", value.escape_ascii());
}

#[track_caller]
fn assert_bearer(value: impl AsRef<[u8]>, token: impl AsRef<[u8]>) {
    assert_reads(value, Credentials::Bearer(token.as_ref()));
}

#[track_caller]
fn assert_malformed(value: impl AsRef<[u8]>) {
    assert_reads(value, Credentials::MalformedToken);
}

#[track_caller]
fn assert_invalid(value: impl AsRef<[u8]>) {
    assert_reads(value, Credentials::InvalidRequest);
}

#[track_caller]
fn assert_other_scheme(value: impl AsRef<[u8]>) {
    assert_reads(value, Credentials::OtherScheme);
}

// Published cases.

#[test]
fn published_cases() {
    let cases = cases();
    assert_eq!(cases.len(), 36);
    for Case { name, field_values_hex, verdict: expected, why } in cases {
        let fields: Vec<Vec<u8>> = field_values_hex.iter().map(|text| hex(text)).collect();
        let fields: Vec<&[u8]> = fields.iter().map(Vec::as_slice).collect();
        let found = verdict(read(&fields));
        match &*expected {
            // No server lets these through; whoever calls this directly is told no all the same.
            "rejected_by_http_server" => {
                assert!(matches!(found, "malformed_token" | "invalid_request"), "{name}: {found}");
            }
            _ => assert_eq!(found, expected, "{name}: {why}"),
        }
    }
}

/// The token is what follows the scheme, without any white space around it.
#[test]
fn published_cases_yield_the_token_alone() {
    for case in cases().iter().filter(|case| case.verdict == "bearer") {
        let value = hex(&case.field_values_hex[0]);
        let text = String::from_utf8(value.clone()).unwrap();
        let token = text.split_whitespace().nth(1).unwrap();
        assert_bearer(value, token);
    }
}

// The number of fields.

#[test]
fn no_field_is_absent() {
    assert!(read(&[]) == Credentials::Absent);
}

#[test]
fn a_field_of_white_space_is_absent() {
    for value in ["", " ", "\t", " \t \t ", &" ".repeat(10_000)] {
        assert_reads(value, Credentials::Absent);
    }
}

/// Different programs would pick different ones.
#[test]
fn more_than_one_field_is_refused_whatever_they_hold() {
    let bearer: &[u8] = b"Bearer abc";
    for fields in [
        &[bearer, bearer][..],
        &[bearer, b""],
        &[b"", bearer],
        &[b"", b""],
        &[b"Basic dTpw", bearer],
        &[bearer, b"Basic dTpw"],
        &[bearer, bearer, bearer],
        &[b"", b"", b""],
    ] {
        assert!(read(fields) == Credentials::InvalidRequest);
    }
}

#[test]
fn endless_fields_are_refused() {
    let fields = std::iter::repeat(&b"Bearer abc"[..]);
    assert!(Credentials::from_authorization(fields) == Credentials::InvalidRequest);
}

// The scheme.

#[test]
fn the_scheme_is_read_in_any_case() {
    for cases in 0_u32..64 {
        let scheme: String = ("bearer".chars().enumerate())
            .map(|(i, c)| if cases >> i & 1 == 1 { c.to_ascii_uppercase() } else { c })
            .collect();
        assert_bearer(format!("{scheme} abc"), "abc");
    }
}

#[test]
fn other_schemes() {
    for value in [
        "Basic dTpw",
        "Bear abc",
        "Beare abc",
        "Bearers abc",
        "Bearer_ abc",
        "Bearer-Token abc",
        "Bearer2 abc",
        "Bearer! abc",
        "Bearer~",
        "xBearer abc",
        "b",
        "bearerbearer",
        "Token Bearer abc",
        "=",
        ",",
        ", Bearer abc",
        "\"Bearer\" abc",
    ] {
        assert_other_scheme(value);
    }
}

/// Every byte that can go on with the name of a scheme makes it another one; every other byte
/// ends it, and only a space may.
#[test]
fn every_byte_after_the_scheme() {
    for byte in 0..=u8::MAX {
        let value = [b"Bearer", &[byte][..], b"abc"].concat();
        match byte {
            b' ' => assert_bearer(value, "abc"),
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => assert_other_scheme(value),
            _ if "!#$%&'*+-.^_`|~".contains(char::from(byte)) => assert_other_scheme(value),
            _ => assert_invalid(value),
        }
    }
}

#[test]
fn a_scheme_that_is_not_ascii_is_another_one() {
    for value in ["Béarer abc", "\u{ff22}earer abc", "bea\u{ff52}er abc", "\u{feff}Bearer abc", "é"]
    {
        assert_other_scheme(value);
    }
    assert_other_scheme(b"\xff\xfe\xfd\xfc\xfb\xfa abc");
}

#[test]
fn a_scheme_without_a_token_is_refused() {
    for value in ["Bearer", "bearer ", " Bearer\t", "Bearer \t ", "\t BEARER \t"] {
        assert_invalid(value);
    }
    assert_invalid(format!("Bearer{}", " ".repeat(10_000)));
}

#[test]
fn a_scheme_followed_by_something_else_is_refused() {
    for value in
        ["Bearer,abc", "Bearer, abc", "Bearer=abc", "Bearer:abc", "Bearer\"abc\"", "Bearer/"]
    {
        assert_invalid(value);
    }
}

// White space.

#[test]
fn white_space_around_the_value_is_dropped() {
    for value in ["\tBearer abc", "Bearer abc\t", "\t \tBearer abc \t ", "  Bearer abc  "] {
        assert_bearer(value, "abc");
    }
}

/// Only spaces and tabs are white space in HTTP.
#[test]
fn other_white_space_is_not_dropped() {
    for space in ["\x0b", "\x0c", "\r", "\n", "\r\n", "\0", "\u{a0}", "\u{85}", "\u{2003}"] {
        assert_malformed(format!("Bearer abc{space}"));
        assert_malformed(format!("Bearer {space}abc"));
        assert_other_scheme(format!("{space}Bearer abc"));
        assert_invalid(format!("Bearer{space}abc"));
    }
}

#[test]
fn spaces_between_scheme_and_token_are_skipped() {
    for count in [1, 2, 100, 10_000] {
        assert_bearer(format!("Bearer{}abc", " ".repeat(count)), "abc");
    }
}

#[test]
fn a_tab_between_scheme_and_token_is_refused() {
    assert_invalid("Bearer\tabc");
    assert_invalid("Bearer\t abc");
    assert_malformed("Bearer \tabc");
    assert_malformed("Bearer  \t abc");
}

#[test]
fn white_space_within_the_token_is_refused() {
    for value in ["Bearer a c", "Bearer a\tc", "Bearer abc =", "Bearer abc, def", "Bearer a  b"] {
        assert_malformed(value);
    }
}

// The token.

/// RFC 6750 §2.1: `b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`.
#[test]
fn every_byte_within_the_token() {
    for byte in 0..=u8::MAX {
        let value = [b"Bearer a", &[byte][..], b"c"].concat();
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' | b'+' | b'/' => {
                assert_bearer(&value, &value[7..]);
            }
            _ => assert_malformed(value),
        }
    }
}

#[test]
fn one_character_is_a_token() {
    for token in ["a", "0", "-", ".", "_", "~", "+", "/"] {
        assert_bearer(format!("Bearer {token}"), token);
    }
}

#[test]
fn padding_is_part_of_the_token() {
    for token in ["a=", "a==", "abc===", "a=========="] {
        assert_bearer(format!("Bearer {token}"), token);
    }
}

#[test]
fn padding_alone_is_refused() {
    for token in ["=", "==", &"=".repeat(1024)] {
        assert_malformed(format!("Bearer {token}"));
    }
}

#[test]
fn padding_before_the_end_is_refused() {
    for token in ["=a", "a=b", "a==b=", "=a="] {
        assert_malformed(format!("Bearer {token}"));
    }
}

#[test]
fn the_length_is_bounded() {
    for (len, padding) in [(1024, 0), (1023, 1), (1, 1023)] {
        let token = "a".repeat(len) + &"=".repeat(padding);
        assert_eq!(token.len(), Credentials::MAX_TOKEN_LEN);
        assert_bearer(format!("Bearer {token}"), &token);
        assert_malformed(format!("Bearer {token}="));
        assert_malformed(format!("Bearer a{token}"));
    }
    assert_malformed(format!("Bearer {}", "a".repeat(1_000_000)));
}

/// The limit is on the token, not on what stands around it.
#[test]
fn spaces_do_not_count_for_the_length() {
    let token = "a".repeat(1024);
    assert_bearer(format!("  bearer{}{token}\t\t", " ".repeat(100)), &token);
}

// What it prints.

#[test]
fn debug_leaves_the_token_out() {
    #[track_caller]
    fn assert_debug(value: &impl Debug, expected: &str) {
        assert_eq!(format!("{value:?}"), expected);
        assert_eq!(format!("{value:#?}"), expected);
    }

    assert_debug(&Credentials::Bearer(b"abc"), "Bearer(..)");
    assert_debug(&Credentials::Absent, "Absent");
    assert_debug(&Credentials::OtherScheme, "OtherScheme");
    assert_debug(&Credentials::InvalidRequest, "InvalidRequest");
    assert_debug(&Credentials::MalformedToken, "MalformedToken");
}
