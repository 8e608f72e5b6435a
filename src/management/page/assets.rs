//! What the page loads: one stylesheet, and one script that makes it more convenient.

use ::axum::{
    Router,
    http::{
        HeaderValue,
        header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
    },
    response::IntoResponse,
    routing::get,
};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

pub(in super::super) fn routes<State: Clone + Send + Sync + 'static>() -> Router<State> {
    Router::new()
        .route("/page.css", get(async || asset("text/css; charset=utf-8", STYLE)))
        .route("/page.js", get(async || asset("text/javascript; charset=utf-8", SCRIPT)))
}

/// For an hour only: while one release takes the place of another, an old node may answer what a new
/// one's page asks for.
fn asset(content_type: &'static str, text: &'static str) -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, content_type),
        (CACHE_CONTROL, "public, max-age=3600"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers.map(|(name, value)| (name, HeaderValue::from_static(value))), text)
}

/// Changes with the content, so that browsers load it anew.
pub(super) fn version() -> u32 {
    crc32fast::hash(STYLE.as_bytes()) ^ crc32fast::hash(SCRIPT.as_bytes())
}
