//! Whether this process should get requests.

use api_tokens::{DynTokenStore, Verifier};
use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use serde::Serialize;

/// `GET /ready`, for a load balancer or an orchestrator. A process that is not ready answers correctly,
/// but asks the database for each request, and if that is down, cannot answer at all.
pub(crate) fn routes(verifier: Verifier<DynTokenStore>) -> Router {
    Router::new().route("/ready", get(ready)).with_state(verifier)
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    /// How long ago the last look for revocations began.
    feed_age_ms: Option<u128>,
    /// For how long tokens are accepted from memory if none succeeds any more.
    lease_left_ms: u128,
    hit_rate: f64,
}

async fn ready(State(verifier): State<Verifier<DynTokenStore>>) -> (StatusCode, Json<Readiness>) {
    let health = verifier.cache_health();
    let ready = health.is_some_and(|health| health.is_ready());
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let readiness = Readiness {
        ready,
        feed_age_ms: health.and_then(|health| Some(health.feed_age?.as_millis())),
        lease_left_ms: health.map_or(0, |health| health.lease_left.as_millis()),
        hit_rate: health.map_or(0.0, |health| health.hit_rate()),
    };
    (status, Json(readiness))
}
