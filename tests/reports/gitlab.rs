//! GitLab's token revocation API.

use api_tokens::leak::reports::LeakPolicy;
use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode, header::AUTHORIZATION},
};
use serde_json::json;

use crate::{
    outage::GatedStore,
    support::{
        Answer, GITLAB_TOKEN, GITLAB_TYPE, LIVE, Signing, Tokens, app, in_memory, leak_reported,
        reports, revoked, send, unissued,
    },
};

async fn revoke(app: &Router, body: &str) -> Answer {
    let request = Request::post("/gitlab/v1/revoke_tokens").header(AUTHORIZATION, GITLAB_TOKEN);
    send(app, request.body(Body::from(body.to_owned())).unwrap()).await
}

#[tokio::test]
async fn listed_types_are_revoked() {
    let tokens = in_memory();
    let app = app(&reports(&tokens, LeakPolicy::Revoke), &Signing::new(1));
    let request = Request::get("/gitlab/v1/revocable_token_types");
    let request = request.header(AUTHORIZATION, GITLAB_TOKEN).body(Body::empty()).unwrap();
    let answer = send(&app, request).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json(), json!({ "types": ["acme_other", GITLAB_TYPE] }));

    let token = tokens.create().await;
    let location = "https://gitlab.example/some-repo/blob/abcdef/compromised.java";
    let body = json!([
        { "type": GITLAB_TYPE, "token": token.expose_secret(), "location": location },
        { "type": GITLAB_TYPE, "token": unissued().expose_secret(), "location": location },
        { "type": "acme_other", "token": "something" },
    ]);
    for _ in 0..2 {
        let answer = revoke(&app, &body.to_string()).await;
        assert_eq!((answer.status, &*answer.body), (StatusCode::NO_CONTENT, ""));
    }
    let expected = [leak_reported("gitlab", Some(location)), revoked("gitlab")];
    assert_eq!(tokens.history(token.id()).await, expected);
    assert_eq!(revoke(&app, "[]").await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn white_space_around_a_token_is_no_part_of_it() {
    let tokens = in_memory();
    let app = app(&reports(&tokens, LeakPolicy::Revoke), &Signing::new(1));
    let token = tokens.create().await;
    let text = format!("\t{}\r\n", token.expose_secret());
    let body = json!([{ "type": GITLAB_TYPE, "token": text }]).to_string();
    assert_eq!(revoke(&app, &body).await.status, StatusCode::NO_CONTENT);
    assert_eq!(
        tokens.history(token.id()).await,
        [leak_reported("gitlab", None), revoked("gitlab")]
    );
}

#[tokio::test]
async fn other_types_are_refused_and_the_rest_is_done() {
    let tokens = in_memory();
    let app = app(&reports(&tokens, LeakPolicy::Revoke), &Signing::new(1));
    for bad in [
        json!({ "type": "aws_secret", "token": "something" }),
        json!({ "type": GITLAB_TYPE }),
        json!({ "token": "something" }),
        json!(17),
    ] {
        let token = tokens.create().await;
        let good = json!({ "type": GITLAB_TYPE, "token": token.expose_secret() });
        let answer = revoke(&app, &json!([bad, good]).to_string()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{bad}");
        assert!(!tokens.is_accepted(&token).await);
    }
    for body in ["", "{}", "[", "null"] {
        assert_eq!(revoke(&app, body).await.status, StatusCode::BAD_REQUEST, "{body}");
    }
    let large = format!("[{}]", " ".repeat(1024 * 1024));
    assert_eq!(revoke(&app, &large).await.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn only_the_shared_token_opens_the_routes() {
    let tokens = in_memory();
    let app = app(&reports(&tokens, LeakPolicy::Revoke), &Signing::new(1));
    let token = tokens.create().await;
    let body = json!([{ "type": GITLAB_TYPE, "token": token.expose_secret() }]).to_string();
    let bearer = format!("bearer {GITLAB_TOKEN}");
    let longer = format!("{GITLAB_TOKEN}a");
    let other = GITLAB_TOKEN.replace("not", "nor");
    for (is_open, fields) in [
        (false, &[][..]),
        (false, &[""]),
        (false, &["Bearer "]),
        (false, &[&GITLAB_TOKEN[1..]]),
        (false, &[&GITLAB_TOKEN[..20]]),
        (false, &[&*longer]),
        (false, &[&*other]),
        (false, &[GITLAB_TOKEN, GITLAB_TOKEN]),
        (false, &["Basic of the tests, not a secret"]),
        (true, &[GITLAB_TOKEN]),
        (true, &[&*bearer]),
    ] {
        let with = |mut request: axum::http::request::Builder, body: String| {
            for field in fields {
                request = request.header(AUTHORIZATION, *field);
            }
            request.body(Body::from(body)).unwrap()
        };
        let types = with(Request::get("/gitlab/v1/revocable_token_types"), String::new());
        let types = send(&app, types).await;
        let revoke =
            send(&app, with(Request::post("/gitlab/v1/revoke_tokens"), body.clone())).await;
        if is_open {
            assert_eq!((types.status, revoke.status), (StatusCode::OK, StatusCode::NO_CONTENT));
        } else {
            assert!(tokens.is_accepted(&token).await);
            for answer in [types, revoke] {
                assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{fields:?}");
                assert!(answer.headers.contains_key("www-authenticate"));
            }
        }
    }
}

#[tokio::test]
async fn whoever_sends_too_much_at_once_is_told_to_wait() {
    // Each batch waits for the store, which waits for the gate.
    let (store, gate) = GatedStore::new();
    let tokens = Tokens::new(LIVE, store);
    let app = app(&reports(&tokens, LeakPolicy::Revoke), &Signing::new(1));
    let body = json!([{ "type": GITLAB_TYPE, "token": unissued().expose_secret() }]).to_string();
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (app, body) = (app.clone(), body.clone());
        running.spawn(async move { revoke(&app, &body).await.status });
    }
    gate.wait_for(16).await;
    let answer = revoke(&app, &body).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(answer.headers.contains_key("retry-after"));
    let signed = send(&app, Signing::new(1).request("[]")).await;
    assert_eq!(signed.status, StatusCode::SERVICE_UNAVAILABLE);

    gate.open();
    assert!(running.join_all().await.iter().all(|status| *status == StatusCode::NO_CONTENT));
    assert_eq!(revoke(&app, &body).await.status, StatusCode::NO_CONTENT);
}
