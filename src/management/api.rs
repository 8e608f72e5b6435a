//! The tokens of a project, for people and for tokens.

mod body;
pub(super) mod change;
pub(super) mod create;
pub(super) mod read;
pub(super) mod rotation;

use std::sync::Arc;

use ::axum::{
    Json, Router,
    extract::OriginalUri,
    http::{
        StatusCode,
        header::{ETAG, LOCATION},
    },
    response::{IntoResponse, Response},
    routing::{get, post},
};

use super::{Access, Management, view::CreatedView};
use crate::TokenStore;

pub(super) fn routes<S: TokenStore, A: Access>() -> Router<Arc<Management<S, A>>> {
    let token = Router::new()
        .route(
            "/",
            get(read::read::<S, A>).patch(change::edit::<S, A>).delete(change::revoke::<S, A>),
        )
        .route("/disable", post(change::disable::<S, A>))
        .route("/enable", post(change::enable::<S, A>))
        .route("/events", get(read::events::<S, A>))
        .route("/rotate", post(rotation::rotate::<S, A>))
        .route("/rotation", get(rotation::status::<S, A>).delete(rotation::cancel::<S, A>))
        .route("/rotation/finish", post(rotation::finish::<S, A>));
    let project = Router::new()
        .route("/tokens", get(read::list::<S, A>).post(create::create::<S, A>))
        .nest("/tokens/{id}", token)
        .route("/revocations", post(change::revoke_all::<S, A>))
        .route("/policy", get(read::policy::<S, A>));
    Router::new().nest("/projects/{project}", project)
}

/// The answer to a request that has made a token: `up` says how many segments of its path lead
/// from the tokens to it.
fn created(created: CreatedView, OriginalUri(uri): &OriginalUri, up: usize) -> Response {
    let mut tokens = uri.path();
    for _ in 0..up {
        tokens = tokens.rsplit_once('/').map_or("", |(parent, _)| parent);
    }
    let location = format!("{tokens}/{}", created.record.id());
    let headers = [(LOCATION, location), (ETAG, created.record.etag())];
    (StatusCode::CREATED, headers, Json(created)).into_response()
}
