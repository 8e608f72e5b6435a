//! Streams and sessions that end with their tokens.

mod sessions;
mod streams;

#[path = "../cache/store.rs"]
#[expect(dead_code, reason = "the tests of the cache need more of it")]
mod store;
#[path = "../util/mod.rs"]
mod util;

use std::time::Duration;

use api_tokens::{
    Cache, Created, Issuer, Keyring, NewToken, Rotate, Rotated, Token, TokenId, Verifier, prefix,
};
use axum::{
    Router,
    body::Body,
    http::{Request, Response, request},
};
use http_body_util::BodyExt;
use jiff::SignedDuration;
use store::HeldStore;
use tower::ServiceExt;
use util::{ann, new_token};

/// Much longer than anything takes here, and not for ever.
const PATIENCE: Duration = Duration::from_secs(20);

/// A service that serves, and another one on the same store, that changes tokens.
struct Rig {
    verifier: Verifier<HeldStore>,
    elsewhere: Issuer<HeldStore>,
    store: HeldStore,
}

impl Rig {
    fn new() -> Self {
        let store = HeldStore::default();
        let builder =
            || Verifier::builder(prefix!("acme_live"), &Keyring::unkeyed(), store.clone());
        let (verifier, background) = builder().cache(Cache::new()).build();
        tokio::spawn(background.run_until(std::future::pending::<()>()));
        let elsewhere = Issuer::new(&builder().without_background());
        Self { verifier, elsewhere, store }
    }

    async fn create(&self) -> Created {
        self.create_as(new_token("a token")).await
    }

    async fn create_as(&self, new: NewToken) -> Created {
        self.elsewhere.create(new, &ann()).await.expect("create")
    }

    async fn revoke(&self, id: TokenId) {
        self.elsewhere.revoke(id, &ann(), None).await.expect("revoke");
    }

    async fn rotate(&self, id: TokenId, overlap: SignedDuration) -> Rotated {
        let rotate = Rotate::with_overlap(overlap);
        self.elsewhere.rotate(id, &ann(), rotate).await.expect("rotate")
    }
}

fn bearer(token: &Token) -> request::Builder {
    Request::builder()
        .uri("/mcp")
        .header("authorization", format!("Bearer {}", token.expose_secret()))
}

async fn send(app: &Router, request: request::Builder) -> Response<Body> {
    let request = request.body(Body::empty()).expect("a request");
    app.clone().oneshot(request).await.expect("infallible")
}

/// The next piece of a body; `None` at its end.
async fn next(body: &mut Body) -> Option<Result<axum::body::Bytes, axum::Error>> {
    let frame = tokio::time::timeout(PATIENCE, body.frame()).await.expect("in time");
    Some(frame?.map(|frame| frame.into_data().expect("data")))
}
