//! What the tower layer notes of requests, and what it announces in responses.

use std::sync::{Arc, Mutex};

use api_tokens::{
    Actor, Authorized, BearerLayer, Event, EventKind, EventSink, Expiry, Issuer, Keyring,
    MemoryStore, NewToken, RefusalReason, RequiredScopes, Verifier, prefix, testing::ManualClock,
};
use axum::{Router, body::Body, http::Request, response::Response, routing::get};
use jiff::SignedDuration;
use tower::ServiceExt;

#[derive(Clone, Default)]
struct Refusals(Arc<Mutex<Vec<RefusalReason>>>);

impl EventSink for Refusals {
    fn record(&self, event: &Event) {
        if let EventKind::Refused { reason } = event.kind {
            self.0.lock().unwrap().push(reason);
        }
    }
}

struct RunFlows;

impl RequiredScopes for RunFlows {
    const SCOPES: &'static [&'static str] = &["flows:run"];
}

struct Service {
    issuer: Issuer<MemoryStore>,
    verifier: Verifier<MemoryStore>,
    clock: ManualClock,
    refusals: Refusals,
}

impl Service {
    fn new() -> Self {
        let clock = ManualClock::new("2026-01-01T00:00:00Z".parse().unwrap());
        let refusals = Refusals::default();
        let (verifier, _) =
            Verifier::builder(prefix!("acme_live"), &Keyring::unkeyed(), MemoryStore::new())
                .clock(clock.clone())
                .events(refusals.clone())
                .build();
        Self { issuer: Issuer::new(&verifier), verifier, clock, refusals }
    }

    async fn token(&self, expiry: Expiry) -> api_tokens::Created {
        let new = NewToken::new(
            "acme".parse().unwrap(),
            "ann".parse().unwrap(),
            "a token".parse().unwrap(),
        );
        let ann: Actor = "ann".parse().unwrap();
        self.issuer.create(new.with_expiry(expiry), &ann).await.unwrap()
    }

    /// The answer to a request through this layer.
    async fn send(
        &self,
        layer: BearerLayer<MemoryStore>,
        path: &str,
        created: &api_tokens::Created,
    ) -> Response {
        let app = Router::new()
            .route("/", get("ok"))
            .route("/flows", get(async |_: Authorized<RunFlows>| "ran"))
            .route_layer(layer);
        let request = Request::get(path)
            .header("authorization", format!("Bearer {}", created.token.expose_secret()))
            .header("user-agent", "curl/8.5.0")
            .header("x-real-ip", "192.0.2.7")
            .body(Body::empty())
            .unwrap();
        app.oneshot(request).await.unwrap()
    }
}

#[tokio::test]
async fn the_user_agent_and_the_address_that_the_host_believes_are_noted() {
    let service = Service::new();
    let created = service.token(Expiry::Never).await;
    let usage = async || {
        let usage = service.issuer.usage(std::slice::from_ref(&created.record)).await.unwrap();
        usage.into_iter().next().unwrap().unwrap()
    };
    let layer = || BearerLayer::new(service.verifier.clone());
    service.send(layer(), "/", &created).await;
    let noted = usage().await;
    assert_eq!(noted.user_agent.as_deref(), Some("curl/8.5.0"));
    assert_eq!(noted.client_address, None, "no header is believed unless the host says so");

    let other = service.token(Expiry::Never).await;
    let believing = layer()
        .client_address(|request| request.headers.get("x-real-ip")?.to_str().ok()?.parse().ok());
    service.send(believing, "/", &other).await;
    let noted = service.issuer.usage(&[other.record]).await.unwrap().pop().flatten().unwrap();
    assert_eq!(noted.client_address, Some("192.0.2.7".parse().unwrap()));
}

#[tokio::test]
async fn the_end_of_a_token_is_announced_when_it_is_near() {
    let service = Service::new();
    let day = SignedDuration::from_hours(24);
    let created = service.token(Expiry::After(day * 10)).await;
    let unlimited = service.token(Expiry::Never).await;
    let layer = || BearerLayer::new(service.verifier.clone()).announce_end(day * 7);
    let announced = async |layer, created| {
        let response = service.send(layer, "/", created).await;
        assert_eq!(response.status(), 200);
        response.headers().get("token-ends-at").map(|end| end.to_str().unwrap().to_owned())
    };
    service.clock.advance(day * 3 - SignedDuration::from_micros(1));
    assert_eq!(announced(layer(), &created).await, None);
    service.clock.advance(SignedDuration::from_micros(1));
    let end = "2026-01-11T00:00:00Z".to_owned();
    assert_eq!(announced(layer(), &created).await, Some(end));
    assert_eq!(announced(layer(), &unlimited).await, None);
    let silent = BearerLayer::new(service.verifier.clone());
    assert_eq!(announced(silent, &created).await, None);
}

#[tokio::test]
async fn every_refusal_is_told_once_wherever_it_is_decided() {
    let service = Service::new();
    let created = service.token(Expiry::Never).await;
    let layer = || BearerLayer::new(service.verifier.clone());
    for (layer, path, reason) in [
        (layer(), "/?access_token=x", RefusalReason::InvalidRequest),
        (layer().require("flows:run".parse().unwrap()), "/", RefusalReason::InsufficientScope),
        // In the handler's signature, behind the layer.
        (layer(), "/flows", RefusalReason::InsufficientScope),
    ] {
        let response = service.send(layer, path, &created).await;
        assert!(response.status().is_client_error());
        let told: Vec<_> = service.refusals.0.lock().unwrap().drain(..).collect();
        assert_eq!(told, [reason], "{path}");
    }
}
