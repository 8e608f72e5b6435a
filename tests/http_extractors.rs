//! What axum handlers ask of a token, and what happens when it is not there.

#[path = "http_support/requests.rs"]
mod requests;
#[path = "http_support/service.rs"]
mod service;

use core::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use api_tokens::{Authorized, Realm, Refused, RequiredScopes, Verified, VerifyError};
use axum::{Extension, Router, extract::FromRequestParts, http::Request, routing::get};
use requests::{challenge, get_path, layer, reason, text};
use service::{Service, bearer};

struct EditSources;

impl RequiredScopes for EditSources {
    const SCOPES: &'static [&'static str] = &["sources:write", "sources:read"];
}

#[tokio::test]
async fn scopes_that_a_handler_declares() {
    let service = Service::new();
    let handler = async |token: Authorized<EditSources>| token.project().to_string();
    let app = Router::new().route("/", get(handler)).route_layer(layer(&service));

    for scopes in ["", "sources:read", "sources:write", "flows:*", "sources:reader sources:write"] {
        let created = service.token(scopes).await;
        let response = get_path(&app, "/", Some(&bearer(&created))).await;
        assert_eq!(response.status(), 403, "{scopes:?}");
        assert_eq!(
            challenge(&response),
            r#"Bearer realm="acme", error="insufficient_scope", scope="sources:read sources:write""#
        );
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(
            reason(&response),
            format!(
                "token {} does not cover the scopes sources:read sources:write",
                created.record.id
            )
        );
        let body: serde_json::Value = serde_json::from_str(&text(response).await).unwrap();
        assert_eq!(body["scope"], "sources:read sources:write");
    }
    for scopes in ["sources:read sources:write", "sources:*", "*", "a sources:* z"] {
        let created = service.token(scopes).await;
        let response = get_path(&app, "/", Some(&bearer(&created))).await;
        assert_eq!(response.status(), 200, "{scopes:?}");
    }
    // Without a token, nothing is said about scopes.
    let response = get_path(&app, "/", None).await;
    assert_eq!(response.status(), 401);
    assert_eq!(challenge(&response), r#"Bearer realm="acme""#);
}

#[tokio::test]
async fn a_handler_that_decides_for_itself() {
    let service = Service::new();
    let handler = async |token: Verified, Extension(realm): Extension<Realm>| {
        let required = "flows:run:7".parse().unwrap();
        token.require(&required).map_err(|error| Refused::new(error, realm))
    };
    let app = Router::new().route("/", get(handler)).route_layer(layer(&service));
    let lacking = service.token("flows:run:8").await;
    let response = get_path(&app, "/", Some(&bearer(&lacking))).await;
    assert_eq!(response.status(), 403);
    assert_eq!(
        challenge(&response),
        r#"Bearer realm="acme", error="insufficient_scope", scope="flows:run:7""#
    );
    let covering = service.token("flows:run:*").await;
    assert_eq!(get_path(&app, "/", Some(&bearer(&covering))).await.status(), 200);
}

#[tokio::test]
async fn a_route_without_the_layer_is_closed() {
    let service = Service::new();
    let created = service.token("*").await;
    let app = Router::new()
        .route("/verified", get(async |_: Verified| "never reached"))
        .route("/authorized", get(async |_: Authorized<EditSources>| "never reached"));
    for path in ["/verified", "/authorized"] {
        let response = get_path(&app, path, Some(&bearer(&created))).await;
        assert_eq!(response.status(), 500);
        assert!(!response.headers().contains_key("www-authenticate"));
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let refused = response.extensions().get::<Refused>().unwrap();
        assert!(matches!(refused.reason(), VerifyError::NotVerified));
        assert_eq!(refused.to_string(), "not verified: there is no `BearerLayer` on this route");
        assert!(!text(response).await.contains("BearerLayer"));
    }
}

#[tokio::test]
async fn a_token_that_may_costs_no_allocation() {
    let service = Service::new();
    let created = service.token("flows:run sources:*").await;
    let verified = service.verifier.verify_authorization([bearer(&created).as_bytes()]).await;
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.extensions.insert(verified.unwrap());

    let measured = allocation_counter::measure(|| {
        let mut extracted = pin!(Authorized::<EditSources>::from_request_parts(&mut parts, &()));
        let Poll::Ready(Ok(token)) =
            extracted.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        else {
            panic!("refused, or not at once")
        };
        assert_eq!(token.project().as_str(), "acme");
    });
    assert_eq!(measured.count_total, 0);
}
