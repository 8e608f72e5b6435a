//! What the tower layer does with a request.

#[path = "http_support/broken_store.rs"]
mod broken_store;
#[path = "http_support/requests.rs"]
mod requests;
#[path = "http_support/service.rs"]
mod service;

use core::{
    convert::Infallible,
    task::{Context, Poll},
};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use api_tokens::{
    BearerLayer, DynTokenStore, Issuer, Keyring, MasterKey, MemoryStore, Realm, Refused,
    TokenRecord, TokenStore, Verified, Verifier, WriteBatch, prefix,
};
use axum::{
    Extension, Router,
    body::{Body, HttpBody},
    http::{HeaderMap, Request, Response, StatusCode},
    routing::get,
};
use broken_store::BrokenStore;
use requests::{challenge, get_path, layer, reason, request, text};
use secrecy::ExposeSecret;
use service::{Service, bearer};
use tokio::sync::Barrier;
use tower::{Layer, Service as _, ServiceExt, service_fn};

#[tokio::test]
async fn what_passes_has_the_verified_token_instead_of_its_text() {
    let service = Service::new();
    let created = service.token("sources:read").await;
    let handler = async |token: Verified, realm: Extension<Realm>, headers: HeaderMap| {
        assert!(!headers.contains_key("authorization"));
        assert_eq!(headers["x-other"], "kept");
        assert_eq!(realm.as_str(), "acme");
        assert_eq!(token.record().scopes.to_string(), "sources:read");
        token.id().to_string()
    };
    let app = Router::new().route("/", get(handler)).route_layer(layer(&service));

    let mut request = request("/", Some(&bearer(&created)));
    request.headers_mut().insert("x-other", "kept".parse().unwrap());
    let response = app.oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.extensions().get::<Refused>().is_none());
    assert!(!response.headers().contains_key("cache-control"));
    assert_eq!(text(response).await, created.record.id.as_str());
}

#[tokio::test]
async fn refusals_in_json_rpc_have_the_same_status_and_header() {
    let service = Service::new();
    let app = |layer| Router::new().route("/", get("inside")).route_layer(layer);
    let plain = get_path(&app(layer(&service)), "/", Some("Bearer acme_live_x")).await;
    let json_rpc =
        get_path(&app(layer(&service).json_rpc()), "/", Some("Bearer acme_live_x")).await;
    assert_eq!(json_rpc.status(), plain.status());
    assert_eq!(json_rpc.headers()["content-type"], "application/json");
    assert_eq!(challenge(&json_rpc), challenge(&plain));
    assert_eq!(json_rpc.headers()["cache-control"], "no-store");
    let expected = json_rpc.extensions().get::<Refused>().unwrap().answer().json_rpc_body();
    assert_eq!(text(json_rpc).await, expected);
}

#[tokio::test]
async fn the_reason_is_seen_outside_of_the_layer_and_not_by_the_client() {
    let store = MemoryStore::new();
    let verifier = Verifier::new(prefix!("acme_live"), &Keyring::unkeyed(), store.clone());
    let service = Service { issuer: Issuer::new(&verifier), verifier };
    let created = service.token("").await;
    // A token whose id is in the store, but with the digest of another secret.
    let forged = Service::new().token("").await;
    let record = TokenRecord { id: forged.record.id, ..created.record };
    store.write(&WriteBatch::insert(record)).await.unwrap();
    let stranger = Service::new().token("").await;

    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let log = {
        let seen = Arc::clone(&seen);
        move |response: Response<Body>| {
            seen.lock().unwrap().push(reason(&response));
            async { response }
        }
    };
    let app = Router::new()
        .route("/", get("never reached"))
        .route_layer(layer(&service))
        .layer(axum::middleware::map_response(log));

    let mut answers = Vec::new();
    for authorization in [bearer(&forged), bearer(&stranger), "Bearer garbage".to_owned()] {
        let response = get_path(&app, "/", Some(&authorization)).await;
        let headers = format!("{:?}", response.headers());
        answers.push((response.status(), headers, text(response).await));
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0], answers[2]);
    let wrong_secret = format!("wrong secret for token {}", forged.record.id);
    assert_eq!(
        *seen.lock().unwrap(),
        [wrong_secret.as_str(), "unknown token", "malformed token: wrong length"]
    );
}

#[tokio::test]
async fn a_token_in_the_url_is_refused_even_beside_a_good_one() {
    let service = Service::new();
    let created = service.token("").await;
    let app = Router::new().route("/", get("ok")).route_layer(layer(&service));
    let authorization = bearer(&created);
    let path = format!("/?access_token={}", created.token.expose_secret());
    for (path, authorization) in [
        (path.as_str(), None),
        (path.as_str(), Some(authorization.as_str())),
        ("/?a=b&access%5Ftoken=", Some(authorization.as_str())),
    ] {
        let response = get_path(&app, path, authorization).await;
        assert_eq!(response.status(), 400);
        assert_eq!(challenge(&response), r#"Bearer realm="acme", error="invalid_request""#);
        assert_eq!(
            reason(&response),
            "invalid request: credentials repeated, incomplete or in the URL"
        );
    }
    let response = get_path(&app, "/?page=access_token", Some(&authorization)).await;
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn scopes_that_a_layer_requires() {
    let service = Service::new();
    let app = Router::new()
        .route("/", get("ok"))
        .route_layer(layer(&service).require("flows:run sources:read".parse().unwrap()));
    let lacking = service.token("flows:*").await;
    let response = get_path(&app, "/", Some(&bearer(&lacking))).await;
    assert_eq!(response.status(), 403);
    assert_eq!(
        challenge(&response),
        r#"Bearer realm="acme", error="insufficient_scope", scope="flows:run sources:read""#
    );
    let covering = service.token("flows:* sources:read").await;
    assert_eq!(get_path(&app, "/", Some(&bearer(&covering))).await.status(), 200);
}

#[tokio::test]
async fn an_outage_is_not_the_tokens_fault() {
    let created = Service::new().token("").await;
    let store = DynTokenStore::new(BrokenStore);
    let verifier = Verifier::new(prefix!("acme_live"), &Keyring::unkeyed(), store);
    let app = Router::new().route("/", get("ok")).route_layer(BearerLayer::new(verifier));

    let response = get_path(&app, "/", Some(&bearer(&created))).await;
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "5");
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert!(!response.headers().contains_key("www-authenticate"));
    assert_eq!(reason(&response), "store unavailable: connect to db.internal");
    assert!(!text(response).await.contains("internal"));

    // What is refused for its form does not need the store.
    let response = get_path(&app, "/", Some("Bearer garbage")).await;
    assert_eq!(response.status(), 401);
}

#[tokio::test]
async fn a_revoked_token_is_refused_on_the_next_request() {
    let service = Service::new();
    let created = service.token("").await;
    let app = Router::new().route("/", get("ok")).route_layer(layer(&service));
    assert_eq!(get_path(&app, "/", Some(&bearer(&created))).await.status(), 200);

    service.issuer.revoke(created.record.id, &"ann".parse().unwrap(), None).await.unwrap();
    let response = get_path(&app, "/", Some(&bearer(&created))).await;
    assert_eq!(response.status(), 401);
    assert_eq!(
        challenge(&response),
        r#"Bearer realm="acme", error="invalid_token", error_description="The access token has been revoked""#
    );
}

#[tokio::test]
async fn other_paths_methods_and_preflights() {
    let service = Service::new();
    let around_routes = Router::new().route("/", get("ok")).route_layer(layer(&service));
    let around_all = Router::new().route("/", get("ok")).layer(layer(&service));
    let path = "/.well-known/oauth-protected-resource";
    assert_eq!(get_path(&around_routes, path, None).await.status(), 404);
    assert_eq!(get_path(&around_all, path, None).await.status(), 401);
    for method in ["HEAD", "OPTIONS", "POST", "DELETE", "PROPFIND"] {
        let mut request = request("/", None);
        *request.method_mut() = method.parse().unwrap();
        let response = around_routes.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 401, "{method}");
    }
}

#[tokio::test]
async fn two_requests_at_once() {
    let service = Service::new();
    let tokens = [service.token("a").await, service.token("b").await];
    // Neither answers before both are inside.
    let barrier = Arc::new(Barrier::new(2));
    let handler = move |token: Verified| {
        let barrier = Arc::clone(&barrier);
        async move {
            barrier.wait().await;
            token.record().scopes.to_string()
        }
    };
    let app = Router::new().route("/", get(handler)).route_layer(layer(&service));
    let [first, second] = tokens.each_ref().map(bearer);
    let (first, second) =
        tokio::join!(get_path(&app, "/", Some(&first)), get_path(&app, "/", Some(&second)));
    assert_eq!((text(first).await, text(second).await), ("a".to_owned(), "b".to_owned()));
}

/// Panics if it is called without having been ready, as a rate limiter may.
struct Strict {
    ready: bool,
    clones: Arc<AtomicUsize>,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        self.clones.fetch_add(1, Ordering::Relaxed);
        Self { ready: false, clones: Arc::clone(&self.clones) }
    }
}

impl tower::Service<Request<Body>> for Strict {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = core::future::Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _request: Request<Body>) -> Self::Future {
        assert!(core::mem::take(&mut self.ready), "called without having been ready");
        core::future::ready(Ok(Response::new(Body::from("ok"))))
    }
}

#[tokio::test]
async fn the_service_inside_is_ready_when_it_is_called() {
    let service = Service::new();
    let created = service.token("").await;
    let clones = Arc::new(AtomicUsize::new(0));
    let strict = Strict { ready: false, clones: Arc::clone(&clones) };
    let mut layered = layer(&service).layer(strict);
    for _ in 0..3 {
        let response = layered.ready().await.unwrap().call(request("/", Some(&bearer(&created))));
        assert_eq!(response.await.unwrap().status(), 200);
        // A refused request does not use up a readiness of the next one.
        let response = layered.ready().await.unwrap().call(request("/", None));
        assert_eq!(response.await.unwrap().status(), 401);
    }
    assert_eq!(clones.load(Ordering::Relaxed), 6, "one a request");
}

#[tokio::test]
async fn errors_and_bodies_of_the_service_inside_pass() {
    let service = Service::new();
    let created = service.token("").await;

    let failing = service_fn(async |_: Request<Body>| Err::<Response<Body>, _>("inner error"));
    let response = layer(&service).layer(failing).oneshot(request("/", Some(&bearer(&created))));
    assert_eq!(response.await.unwrap_err(), "inner error");

    let inner = service_fn(async |_: Request<Body>| {
        Ok::<_, Infallible>(Response::builder().status(202).body(Body::from("inner")).unwrap())
    });
    let layered = layer(&service).layer(inner);
    let response = layered.clone().oneshot(request("/", Some(&bearer(&created)))).await.unwrap();
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    assert_eq!(response.body().size_hint().exact(), Some(5));
    assert!(!response.body().is_end_stream());
    assert_eq!(text(response).await, "inner");

    let refused = layered.oneshot(request("/", None)).await.unwrap();
    let announced = refused.body().size_hint().exact().unwrap();
    assert!(!refused.body().is_end_stream());
    assert_eq!(text(refused).await.len() as u64, announced);
}

#[test]
fn debug_tells_no_secret_and_the_parts_are_named() {
    let key = MasterKey::from_bytes(b"0123456789abcdef0123456789ABCDEF").unwrap();
    let secret = key.expose_base64().expose_secret().to_owned();
    let verifier = Verifier::new(prefix!("acme_live"), &Keyring::new(key), MemoryStore::new());
    let layer = BearerLayer::new(verifier).require("sources:read".parse().unwrap());
    let debug = format!("{layer:?} {:?}", layer.layer(()));
    assert!(!debug.contains(&secret) && !debug.contains("0123456789abcdef"), "{debug}");
    assert!(debug.contains("acme_live") && debug.contains("sources:read"), "{debug}");
}
