//! For whoever has found a token.

use axum::{
    Json,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
    routing::{MethodRouter, post},
};
use serde::Serialize;
use zeroize::Zeroizing;

use super::{Reports, answer::Refusal, body, body::Entry};
use crate::{LeakSource, Status, header::has_media_type};

const MAX_BYTES: usize = 16 * 1024;

pub(super) fn route(reports: Reports) -> MethodRouter {
    post(receive).layer(DefaultBodyLimit::max(MAX_BYTES)).with_state(reports)
}

/// For whoever has proved that they hold the token.
#[derive(Serialize)]
struct Outcome {
    status: Status,
}

async fn receive(State(reports): State<Reports>, request: Request) -> Result<Response, Refusal> {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    let content_type = content_type.map(HeaderValue::as_bytes).unwrap_or_default();
    let entry = if has_media_type(content_type, "application/json") {
        let body = body::bytes(request).await?;
        core::str::from_utf8(&body).map(Entry::read).unwrap_or_default()
    } else if has_media_type(content_type, "application/x-www-form-urlencoded") {
        form(&body::bytes(request).await?)
    } else {
        return Err(Refusal::UnsupportedMediaType);
    };
    let token = entry.token.ok_or(Refusal::Malformed("there must be one `token`, a text"))?;
    let source = LeakSource::fixed("found");
    // The work goes on when the client does not: so the permit goes with it.
    let Some(permit) = reports.found.begin() else {
        return Err(Refusal::Unavailable { retry_after: Refusal::SOON });
    };
    match reports.report_with(&token, &source, entry.url.as_deref(), Some(permit)).await {
        Ok(Some(leak)) => {
            let outcome = Outcome { status: leak.status };
            Ok(([(header::CACHE_CONTROL, "no-store")], Json(outcome)).into_response())
        }
        Ok(None) => Err(Refusal::NotOurs),
        Err(error) => Err(Refusal::outage(&error)),
    }
}

fn form(body: &[u8]) -> Entry {
    let mut entry = Entry::default();
    for (name, value) in form_urlencoded::parse(body) {
        match &*name {
            // One that comes twice is as bad as none.
            "token" if entry.token.is_some() => return Entry::default(),
            "token" if !value.is_empty() => {
                entry.token = Some(Zeroizing::new(value.into_owned().into_bytes()));
            }
            "url" => entry.url = Some(value.into_owned()),
            _ => {}
        }
    }
    entry
}
