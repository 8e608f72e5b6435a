//! What the operator sees: lines on standard error.

use std::{
    fmt::Arguments,
    io::{self, Write},
};

use api_tokens::{Event, EventKind, EventSink, Refused};
use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};

/// Middleware that writes one line for each refused token: why, which the client is not told.
///
/// Nothing that the client sent is in it: the path is the route's, such as `/flows/{flow}`, and
/// the reason names a token by its id at most.
pub(crate) async fn refusals(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    if let Some(refused) = response.extensions().get::<Refused>() {
        let route = route.as_ref().map_or("", MatchedPath::as_str);
        line(format_args!("refused {route}: {}: {}", refused.answer().status(), refused.reason()));
    }
    response
}

/// What happens beside the requests, as far as somebody must look after it.
pub(crate) struct Events;

impl EventSink for Events {
    fn record(&self, event: &Event) {
        match &event.kind {
            EventKind::BackgroundDelayed { error } => {
                line(format_args!("the store fails: {error}"));
            }
            EventKind::BackgroundResumed => line(format_args!("the store works again")),
            EventKind::ReuseDetected => {
                let token = event.token.map(|id| id.to_string()).unwrap_or_default();
                line(format_args!("token {token} was used after it was replaced"));
            }
            _ => {}
        }
    }
}

/// A server whose standard error is closed serves on: `eprintln!` would panic.
pub(crate) fn line(text: Arguments<'_>) {
    let _closed = writeln!(io::stderr(), "{text}");
}
