//! The route for whoever has found a token.

use api_tokens::{
    Changes, EventKind, MemoryStore, RefusalReason, TokenStore, leak::reports::LeakPolicy,
};
use axum::{
    body::Body,
    http::{Request, StatusCode, header::CONTENT_TYPE},
};

use crate::support::{
    LIVE, Signing, TEST, Tokens, app, found, found_request, in_memory, leak_reported, reports,
    revoked, send, unissued,
};

#[tokio::test]
async fn whoever_has_the_token_is_told_what_becomes_of_it() {
    let tokens = in_memory();
    let app = app(&reports(&tokens, LeakPolicy::Revoke), &Signing::new(1));
    let token = tokens.create().await;
    let text = token.expose_secret();
    let url = format!("https://paste.example/?q={text}");
    for _ in 0..2 {
        let answer = found(&app, text, Some(&url)).await;
        assert_eq!((answer.status, &*answer.body), (StatusCode::OK, r#"{"status":"revoked"}"#));
        assert_eq!(answer.headers["cache-control"], "no-store");
    }
    let kept = format!("https://paste.example/?q=[token {}]", token.id());
    let expected = [leak_reported("found", Some(&kept)), revoked("found")];
    assert_eq!(tokens.history(token.id()).await, expected);
    assert!(!format!("{:?}", tokens.events.kinds()).contains(&text[27..]));
}

#[tokio::test]
async fn a_form_does_as_well() {
    let tokens = in_memory();
    let app = app(&reports(&tokens, LeakPolicy::Quarantine), &Signing::new(1));
    let token = tokens.create().await;
    let body = format!("token={}&url=https%3A%2F%2Fa.example%2F", token.expose_secret());
    let form = |body: String, content_type: &str| {
        let request = Request::post("/found").header(CONTENT_TYPE, content_type);
        request.body(Body::from(body)).unwrap()
    };
    let content_type = "Application/X-WWW-form-urlencoded; charset=utf-8";
    let answer = send(&app, form(body.clone(), content_type)).await;
    assert_eq!((answer.status, &*answer.body), (StatusCode::OK, r#"{"status":"disabled"}"#));
    let expected = [leak_reported("found", Some("https://a.example/")), EventKind::Disabled];
    assert_eq!(tokens.history(token.id()).await, expected);

    let answer = send(&app, form(body.clone(), "text/plain")).await;
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    for body in [format!("{body}&token=a"), "url=a".into(), "token=".into(), String::new()] {
        let answer = send(&app, form(body, content_type)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn white_space_around_a_token_is_no_part_of_it() {
    let tokens = in_memory();
    let app = app(&reports(&tokens, LeakPolicy::Revoke), &Signing::new(1));
    for (before, after) in [(" ", ""), ("", "\n"), ("", "\r\n"), ("\n\t ", " \u{c}\r\n")] {
        let token = tokens.create().await;
        let text = format!("{before}{}{after}", token.expose_secret());
        let answer = found(&app, &text, None).await;
        assert_eq!(answer.status, StatusCode::OK, "{before:?} {after:?}");
        assert!(!tokens.is_accepted(&token).await);

        let token = tokens.create().await;
        let text = format!("{before}{}{after}", token.expose_secret());
        let form =
            form_urlencoded::Serializer::new(String::new()).append_pair("token", &text).finish();
        let request = Request::post("/found")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(form))
            .unwrap();
        assert_eq!(send(&app, request).await.status, StatusCode::OK, "{before:?} {after:?}");
        assert!(!tokens.is_accepted(&token).await);
    }
}

/// Every text but a token with the right secret has one answer, to the byte.
#[tokio::test]
async fn nobody_learns_anything_without_the_secret() {
    let [live, test] = [LIVE, TEST].map(|prefix| Tokens::new(prefix, MemoryStore::new()));
    let reports = reports(&live, LeakPolicy::Revoke).issuer(&test.issuer, LeakPolicy::Revoke);
    let app = app(&reports, &Signing::new(1));
    let [active, dead] = [live.create().await, live.create().await];
    live.issuer.revoke(dead.id(), &crate::util::ann(), None).await.unwrap();

    let unknown = found(&app, unissued().expose_secret(), None).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    let with_id = |id: &str| forged(id);
    let texts = [
        unissued().expose_secret().to_owned(),
        with_id(active.id().as_str()),
        with_id(dead.id().as_str()),
        active.expose_secret().replace("live", "test"),
        active.expose_secret().to_uppercase(),
        format!("{}\u{a0}", active.expose_secret()),
        active.expose_secret().replacen('_', "_ ", 1),
        " \n".into(),
        active.expose_secret()[..71].to_owned(),
        format!("{}0", active.expose_secret()),
        "a".into(),
        "🚀".into(),
        "a".repeat(10_000),
    ];
    for text in texts {
        let answer = found(&app, &text, Some("https://a.example/")).await;
        assert_eq!(answer.status, unknown.status, "{text}");
        assert_eq!(answer.headers, unknown.headers, "{text}");
        assert_eq!(answer.body, unknown.body, "{text}");
    }
    assert!(live.is_accepted(&active).await);
    assert_eq!(live.history(active.id()).await, []);
}

/// A token of this id, with a right checksum and another secret.
fn forged(id: &str) -> String {
    let mut text = format!("acme_live_{id}_{}", "A".repeat(39));
    let mut rest = crc32fast::hash(text.as_bytes());
    let digits = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut checksum = [b'0'; 6];
    for place in checksum.iter_mut().rev() {
        *place = digits[(rest % 62) as usize];
        rest /= 62;
    }
    text.push_str(std::str::from_utf8(&checksum).unwrap());
    text
}

#[tokio::test]
async fn a_flood_of_guesses_writes_nothing() {
    let store = api_tokens::DynTokenStore::new(MemoryStore::new());
    let tokens = Tokens::new(LIVE, store.clone());
    let app = app(&reports(&tokens, LeakPolicy::Revoke), &Signing::new(1));
    let token = tokens.create().await;
    let record = tokens.record(token.id()).await;
    let revision = async || match store.changes_since(None, 1).await.unwrap() {
        Changes::Reset { next } => next.revision,
        Changes::Since { .. } => panic!("no cursor was given"),
    };
    let before = revision().await;
    for number in 0..500 {
        let url = format!("https://a.example/{number}");
        let guess = forged(token.id().as_str());
        assert_eq!(found(&app, &guess, Some(&url)).await.status, StatusCode::NOT_FOUND);
    }
    assert_eq!(revision().await, before);
    assert_eq!(tokens.record(token.id()).await, record);
    assert_eq!(tokens.history(token.id()).await, []);
    // Counted, and told up to ten times in a second.
    let refused = EventKind::Refused { reason: RefusalReason::WrongSecret };
    assert_eq!(tokens.events.kinds().iter().filter(|kind| **kind == refused).count(), 10);
}

#[tokio::test]
async fn what_is_no_report_is_refused() {
    let app = app(&reports(&in_memory(), LeakPolicy::Revoke), &Signing::new(1));
    for (status, body) in [
        (StatusCode::BAD_REQUEST, String::new()),
        (StatusCode::BAD_REQUEST, "[]".to_owned()),
        (StatusCode::BAD_REQUEST, "{}".to_owned()),
        (StatusCode::BAD_REQUEST, r#"["a",null,null,null,null]"#.to_owned()),
        (StatusCode::BAD_REQUEST, r#"{"token":""}"#.to_owned()),
        (StatusCode::BAD_REQUEST, r#"{"token":17}"#.to_owned()),
        (StatusCode::BAD_REQUEST, r#"{"token":"a","token":"b"}"#.to_owned()),
        (StatusCode::NOT_FOUND, r#"{"token":"a","more":1}"#.to_owned()),
        (StatusCode::NOT_FOUND, "\r\n {\"token\":\"a\"}\n".to_owned()),
        (StatusCode::PAYLOAD_TOO_LARGE, format!(r#"{{"token":"{}"}}"#, "a".repeat(16 * 1024))),
    ] {
        let answer = send(&app, found_request(body.clone())).await;
        assert_eq!(answer.status, status, "{body}");
    }
    let bytes = send(&app, found_request(Body::from(b"{\"token\":\"\xff\"}".to_vec()))).await;
    assert_eq!(bytes.status, StatusCode::BAD_REQUEST);
    assert_eq!(bytes.headers[CONTENT_TYPE], "application/problem+json");
}
