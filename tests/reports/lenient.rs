//! What a signed body may look like.

use api_tokens::leak::reports::LeakPolicy;
use axum::http::StatusCode;
use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

use crate::support::{Signing, app, in_memory, leak_reported, reports, revoked, send, unissued};

#[tokio::test]
async fn entries_may_be_anything() {
    let (tokens, signing) = (in_memory(), Signing::new(1));
    let app = app(&reports(&tokens, LeakPolicy::Revoke), &signing);
    for (entry, source, url) in [
        (
            r#""type":"t","url":"https://a.example/","source":"commit""#,
            "github: commit",
            Some("https://a.example/"),
        ),
        (r#""type":"t","url":"","source":"""#, "github", None),
        (r#""type":null,"url":null,"source":null"#, "github", None),
        (r#""type":"t","new":{"a":[1]},"b":1e999,"c":"\ud800""#, "github", None),
        (r#""type":["t"],"url":17,"source":{"a":"b"}"#, "github", None),
        (r#""type":"t","url":"\ud800","source":1e999"#, "github", None),
        (r#""type":"t","url":"a\u0000\u202eb \n ","source":"\u200b""#, "github", Some("ab")),
    ] {
        let token = tokens.create().await;
        let entry = format!(r#"{{"token":"{}",{entry}}}"#, token.expose_secret());
        let bad = format!(
            r#"17, null, "a", [[]], {{}}, {{"token":null}}, {{"token":""}}, {{"token":5}},
            {{"token":"\ud800"}}, {{"\ud800":1}}, {{"token":"a","token":"b"}}, 1e999, {}1{}"#,
            "[".repeat(1000),
            "]".repeat(1000),
        );
        let body = format!("\n[{bad}, {entry}, {bad}]\r\n");
        let answer = send(&app, signing.request(body)).await;
        assert_eq!(answer.status, StatusCode::OK, "{entry}: {}", answer.body);
        let feedback = answer.json();
        let positive =
            feedback.as_array().unwrap().iter().filter(|one| one["label"] == "true_positive");
        let has_type = entry.contains(r#""type":"t""#);
        assert_eq!(positive.count(), usize::from(has_type), "{entry}: {feedback}");
        assert_eq!(tokens.history(token.id()).await, [leak_reported(source, url), revoked(source)]);
    }
}

#[tokio::test]
async fn only_names_are_sent_back_as_types() {
    let (tokens, signing) = (in_memory(), Signing::new(1));
    let app = app(&reports(&tokens, LeakPolicy::Revoke), &signing);
    let longest = "a".repeat(100);
    let token = unissued();
    for (kind, is_sent_back) in [
        ("acme_api_token", true),
        ("a", true),
        ("A-1.b_2", true),
        (&*longest, true),
        ("", false),
        (&format!("{longest}a"), false),
        ("<b>", false),
        ("a b", false),
        ("é", false),
        (token.expose_secret(), false),
        (&format!("a-{}.b", token.expose_secret()), false),
    ] {
        let body = json!([{ "token": "a", "type": kind }]).to_string();
        let answer = send(&app, signing.request(body)).await;
        let feedback = answer.json();
        let types: Vec<_> =
            feedback.as_array().unwrap().iter().map(|one| &one["token_type"]).collect();
        assert_eq!(types, if is_sent_back { vec![kind] } else { vec![] });
    }
}

#[tokio::test]
async fn what_is_no_array_or_too_large_is_refused() {
    let signing = Signing::new(1);
    let app = app(&api_tokens::leak::reports::Reports::new(), &signing);
    let many = |count: usize| format!("[{}]", vec!["1"; count].join(","));
    for (status, body) in [
        (StatusCode::OK, b"[]".to_vec()),
        (StatusCode::OK, many(10_000).into()),
        (StatusCode::PAYLOAD_TOO_LARGE, many(10_001).into()),
        (StatusCode::OK, format!("[{}]", " ".repeat(1024 * 1024 - 2)).into()),
        (StatusCode::PAYLOAD_TOO_LARGE, format!("[{}]", " ".repeat(1024 * 1024 - 1)).into()),
        (StatusCode::BAD_REQUEST, b"".to_vec()),
        (StatusCode::BAD_REQUEST, b"{}".to_vec()),
        (StatusCode::BAD_REQUEST, b"null".to_vec()),
        (StatusCode::BAD_REQUEST, b"[1".to_vec()),
        (StatusCode::BAD_REQUEST, b"[1]x".to_vec()),
        (StatusCode::BAD_REQUEST, b"[\"\xff\"]".to_vec()),
    ] {
        let shown = String::from_utf8_lossy(&body[..body.len().min(20)]).into_owned();
        assert_eq!(send(&app, signing.request(body)).await.status, status, "{shown}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        "acme_(live|test)_[0-9A-Za-z]{16}_[0-9A-Za-z]{45}".prop_map(Value::from),
    ];
    let name = prop_oneof!["token|type|url|source|location", ".{0,10}"];
    leaf.prop_recursive(3, 20, 5, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            vec((name.clone(), inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Whatever stands around it, a good entry counts.
#[test]
fn good_entries_count_among_any_others() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (tokens, signing) = (in_memory(), Signing::new(1));
    let app = app(&reports(&tokens, LeakPolicy::Revoke), &signing);
    proptest!(ProptestConfig::with_cases(256), |(
        before in vec(any_json(), 0..6),
        after in vec(any_json(), 0..6),
        members in vec(("[a-z]{1,8}", any_json()), 0..4),
    )| {
        runtime.block_on(async {
            let token = tokens.create().await;
            let mut good: serde_json::Map<_, _> = members.into_iter().collect();
            good.insert("token".into(), token.expose_secret().into());
            good.insert("type".into(), "good".into());
            let body: Vec<Value> =
                before.into_iter().chain([good.into()]).chain(after).collect();
            let answer = send(&app, signing.request(Value::from(body).to_string())).await;
            assert_eq!(answer.status, StatusCode::OK);
            let feedback = answer.json();
            let good = feedback.as_array().unwrap().iter().filter(|one| {
                one["label"] == "true_positive" && one["token_type"] == "good"
            });
            assert_eq!(good.count(), 1);
            assert!(!tokens.is_accepted(&token).await);
        });
    });
}
