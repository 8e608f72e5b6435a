//! What a client is told of each refusal, to the letter.

use api_tokens::{
    Answer, Realm, Scopes, Status, StoreError, StoreErrorKind, TokenFormatError, TokenId,
    VerifyError,
};

const ID: &str = "Ky9Pf34qY6Nb3wWD";

fn id() -> TokenId {
    ID.parse().unwrap()
}

fn not_active(status: Status) -> VerifyError {
    VerifyError::NotActive { id: id(), status }
}

fn insufficient_scope(required: &str) -> VerifyError {
    VerifyError::InsufficientScope { id: id(), required: required.parse().unwrap() }
}

/// Every variant there is, and every value inside that could make a difference.
fn all_errors() -> Vec<VerifyError> {
    let mut errors = vec![
        VerifyError::NoCredentials,
        VerifyError::OtherScheme,
        VerifyError::InvalidRequest,
        insufficient_scope("sources:read"),
        insufficient_scope("flows:run sources:read %41!#[]^_`{|}~"),
        VerifyError::UnknownKey { id: id() },
        VerifyError::NotVerified,
    ];
    errors.extend(indistinguishable());
    errors.extend(ended());
    errors.extend(outages());
    errors
}

/// What must look the same to whoever does not hold the secret.
fn indistinguishable() -> Vec<VerifyError> {
    let mut errors = vec![
        VerifyError::MalformedCredentials,
        VerifyError::UnknownToken,
        VerifyError::WrongSecret { id: id() },
        // Never made, since an active token is not refused; should it be, it says nothing.
        not_active(Status::Active),
    ];
    errors.extend(
        [
            TokenFormatError::Length,
            TokenFormatError::Prefix,
            TokenFormatError::Separator,
            TokenFormatError::Alphabet,
            TokenFormatError::Checksum,
        ]
        .map(VerifyError::Malformed),
    );
    errors
}

fn ended() -> Vec<VerifyError> {
    [Status::NotYetValid, Status::Disabled, Status::Expired, Status::RotatedOut, Status::Revoked]
        .map(not_active)
        .into()
}

fn outages() -> Vec<VerifyError> {
    [
        StoreErrorKind::Conflict,
        StoreErrorKind::Unavailable,
        StoreErrorKind::Corrupt,
        StoreErrorKind::Other,
    ]
    .map(|kind| VerifyError::Outage(StoreError::new(kind, "connect to db.internal:5432")))
    .into()
}

/// All that a client can see of an answer.
#[derive(Debug, PartialEq)]
struct Seen {
    status: u16,
    challenge: Option<String>,
    retry_after: Option<u32>,
    body: String,
    grpc: (u8, String),
}

fn seen(error: &VerifyError) -> Seen {
    let realm = "acme".parse().unwrap();
    let answer = Answer::new(error, &realm);
    Seen {
        status: answer.status(),
        challenge: answer.www_authenticate(),
        retry_after: answer.retry_after(),
        body: answer.body(),
        grpc: (answer.grpc_status(), answer.detail().into_owned()),
    }
}

#[track_caller]
fn assert_seen(
    error: &VerifyError,
    status: u16,
    challenge: &str,
    body: &str,
    grpc_status: u8,
    grpc_message: &str,
) {
    let expected = Seen {
        status,
        challenge: Some(challenge.to_owned()),
        retry_after: None,
        body: body.to_owned(),
        grpc: (grpc_status, grpc_message.to_owned()),
    };
    assert_eq!(seen(error), expected, "{error}");
}

#[test]
fn json_rpc_carries_the_same() {
    let realm = Realm::default();
    for error in all_errors() {
        let answer = Answer::new(&error, &realm);
        let body: serde_json::Value = serde_json::from_str(&answer.json_rpc_body()).unwrap();
        let problem: serde_json::Value = serde_json::from_str(&answer.body()).unwrap();
        assert_eq!(body["error"]["message"], problem["detail"], "{error}");
        assert_eq!(body["error"]["data"], problem);
        let is_ours = problem["status"].as_u64().unwrap() >= 500;
        assert_eq!(body["error"]["code"], if is_ours { -32603 } else { -32600 });
    }
    let answer = insufficient_scope("sources:read");
    assert_eq!(
        Answer::new(&answer, &realm).json_rpc_body(),
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"The access token lacks a required scope: sources:read","data":{"type":"about:blank","title":"Forbidden","status":403,"detail":"The access token lacks a required scope: sources:read","error":"insufficient_scope","scope":"sources:read"}}}"#
    );
}

#[test]
fn no_token_is_a_challenge_without_error() {
    for error in [VerifyError::NoCredentials, VerifyError::OtherScheme] {
        assert_seen(
            &error,
            401,
            r#"Bearer realm="acme""#,
            r#"{"type":"about:blank","title":"Unauthorized","status":401,"detail":"An access token is required: Authorization: Bearer TOKEN"}"#,
            16,
            "An access token is required: Authorization: Bearer TOKEN",
        );
    }
}

#[test]
fn invalid_request() {
    assert_seen(
        &VerifyError::InvalidRequest,
        400,
        r#"Bearer realm="acme", error="invalid_request""#,
        r#"{"type":"about:blank","title":"Bad Request","status":400,"detail":"An access token must follow Bearer, once, in the Authorization header only","error":"invalid_request"}"#,
        16,
        "An access token must follow Bearer, once, in the Authorization header only",
    );
}

#[test]
fn whoever_does_not_hold_the_secret_is_always_told_the_same() {
    for error in indistinguishable() {
        assert_seen(
            &error,
            401,
            r#"Bearer realm="acme", error="invalid_token", error_description="The access token is invalid""#,
            r#"{"type":"about:blank","title":"Unauthorized","status":401,"detail":"The access token is invalid","error":"invalid_token"}"#,
            16,
            "The access token is invalid",
        );
    }
}

#[test]
fn the_holder_is_told_the_state() {
    for (status, sentence) in [
        (Status::NotYetValid, "The access token is not yet valid"),
        (Status::Disabled, "The access token is disabled"),
        (Status::Expired, "The access token has expired"),
        (Status::RotatedOut, "The access token has been replaced by a newer one"),
        (Status::Revoked, "The access token has been revoked"),
    ] {
        assert_seen(
            &not_active(status),
            401,
            &format!(
                r#"Bearer realm="acme", error="invalid_token", error_description="{sentence}""#
            ),
            &format!(
                r#"{{"type":"about:blank","title":"Unauthorized","status":401,"detail":"{sentence}","error":"invalid_token"}}"#
            ),
            16,
            sentence,
        );
    }
}

#[test]
fn a_missing_scope_lists_all_that_are_required() {
    assert_seen(
        &insufficient_scope("sources:read flows:run"),
        403,
        r#"Bearer realm="acme", error="insufficient_scope", scope="flows:run sources:read""#,
        r#"{"type":"about:blank","title":"Forbidden","status":403,"detail":"The access token lacks a required scope: flows:run sources:read","error":"insufficient_scope","scope":"flows:run sources:read"}"#,
        7,
        "The access token lacks a required scope: flows:run sources:read",
    );
    // `scope` may not be empty (RFC 6750 §3).
    let none = VerifyError::InsufficientScope { id: id(), required: Scopes::default() };
    assert_seen(
        &none,
        403,
        r#"Bearer realm="acme", error="insufficient_scope""#,
        r#"{"type":"about:blank","title":"Forbidden","status":403,"detail":"The access token lacks a required scope","error":"insufficient_scope"}"#,
        7,
        "The access token lacks a required scope",
    );
}

#[test]
fn an_outage_is_no_challenge() {
    let mut errors = outages();
    errors.push(VerifyError::UnknownKey { id: id() });
    for error in errors {
        let expected = Seen {
            status: 503,
            challenge: None,
            retry_after: Some(5),
            body: r#"{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"The access token could not be checked, try again later"}"#.to_owned(),
            grpc: (14, "The access token could not be checked, try again later".to_owned()),
        };
        assert_eq!(seen(&error), expected, "{error}");
    }
}

#[test]
fn a_missing_layer_is_the_servers_fault_and_not_explained() {
    let expected = Seen {
        status: 500,
        challenge: None,
        retry_after: None,
        body: r#"{"type":"about:blank","title":"Internal Server Error","status":500,"detail":"The server failed to handle the request"}"#.to_owned(),
        grpc: (13, "The server failed to handle the request".to_owned()),
    };
    assert_eq!(seen(&VerifyError::NotVerified), expected);
}

/// RFC 6750 §3: one challenge, each attribute at most once, quoted strings; `error`, and
/// `error_description` of %x20-21 / %x23-5B / %x5D-7E; `scope` of scope-tokens and single spaces.
#[test]
fn every_challenge_follows_the_grammar() {
    let realm = "a realm with every kind: !#$%&'()*+,-./09:;<=>?@AZ[]^_`az{|}~".parse().unwrap();
    for error in all_errors() {
        let Some(challenge) = Answer::new(&error, &realm).www_authenticate() else { continue };
        let mut rest = challenge.strip_prefix("Bearer ").unwrap();
        let mut names = Vec::new();
        loop {
            let (name, value) = rest.split_once("=\"").unwrap();
            let (value, after) = value.split_once('"').unwrap();
            let allowed = match name {
                "scope" => |byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e | b' '),
                "realm" | "error" | "error_description" => {
                    |byte| matches!(byte, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e)
                }
                other => panic!("{other:?} in {challenge}"),
            };
            assert!(value.bytes().all(allowed), "{challenge}");
            assert!(!value.is_empty() && value.trim() == value, "{challenge}");
            assert!(!value.contains("  ") || name != "scope", "{challenge}");
            assert!(!names.contains(&name), "{challenge}");
            names.push(name);
            if after.is_empty() {
                break;
            }
            rest = after.strip_prefix(", ").unwrap();
        }
    }
}

#[test]
fn every_body_is_a_problem_in_json() {
    for error in all_errors() {
        let realm = Realm::default();
        let answer = Answer::new(&error, &realm);
        let body: serde_json::Value = serde_json::from_str(&answer.body()).unwrap();
        let members = body.as_object().unwrap();
        let allowed = ["type", "title", "status", "detail", "error", "scope"];
        assert!(members.keys().all(|name| allowed.contains(&name.as_str())), "{body}");
        assert_eq!(body["type"], "about:blank");
        assert_eq!(body["status"], answer.status());
        assert_eq!(body["detail"], *answer.detail());
        assert!(body["title"].is_string());
        // Body and challenge agree.
        let challenge = answer.www_authenticate().unwrap_or_default();
        for name in ["error", "scope"] {
            let attribute = body.get(name).map(|value| format!("{name}={value}"));
            match attribute {
                Some(attribute) => assert!(challenge.contains(&attribute), "{challenge} {body}"),
                None => assert!(!challenge.contains(&format!("{name}=")), "{challenge} {body}"),
            }
        }
    }
}

#[test]
fn nothing_of_the_token_or_the_server_comes_back() {
    for error in all_errors() {
        let seen = format!("{:?}", seen(&error));
        for secret in [ID, "db.internal", "checksum", "prefix", "secret", "unknown", "keyring"] {
            assert!(!seen.contains(secret), "{secret:?} in {seen}");
        }
    }
}

#[test]
fn realms() {
    assert_eq!(Realm::default().as_str(), "api");
    assert_eq!(Realm::default(), "api".parse().unwrap());
    for text in ["a", "Acme REST API", "!#$%&'()*+,-./:;<=>?@[]^_`{|}~", &"r".repeat(128)] {
        assert_eq!(text.parse::<Realm>().unwrap().to_string(), text);
    }
    let long = "r".repeat(129);
    for text in ["", "a\"b", "a\\b", "a\nb", "a\tb", "a\u{7f}b", "caf\u{e9}", long.as_str()] {
        let error = text.parse::<Realm>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "a realm must have 1 to 128 characters of printable ASCII, but no double quote or backslash"
        );
    }
}
