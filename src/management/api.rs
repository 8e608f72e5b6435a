//! The tokens of a project, for people and for tokens.

mod body;
mod change;
mod create;
mod list;
mod rotation;

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

use super::{
    Access, Management,
    view::{Shown, TokenView},
};
use crate::TokenStore;

pub(super) use body::{CreateBody, EditBody, RevokeAllBody, RotateBody};

/// As [`openapi`](super::openapi) lists them.
pub(super) mod paths {
    pub(in super::super) use super::{change::*, create::*, list::*, rotation::*};
}

type Shared<S, A> = ::axum::extract::State<Arc<Management<S, A>>>;

pub(super) fn routes<S: TokenStore, A: Access>() -> Router<Arc<Management<S, A>>> {
    const TOKEN: &str = "/projects/{project}/tokens/{id}";
    let token = Router::new()
        .route(
            "/",
            get(list::read::<S, A>).patch(change::edit::<S, A>).delete(change::revoke::<S, A>),
        )
        .route("/disable", post(change::disable::<S, A>))
        .route("/enable", post(change::enable::<S, A>))
        .route("/events", get(list::events::<S, A>))
        .route("/rotate", post(rotation::rotate::<S, A>))
        .route("/rotation", get(rotation::status::<S, A>).delete(rotation::cancel::<S, A>))
        .route("/rotation/finish", post(rotation::finish::<S, A>));
    Router::new()
        .route("/projects/{project}/tokens", get(list::list::<S, A>).post(create::create::<S, A>))
        .nest(TOKEN, token)
        .route("/projects/{project}/revocations", post(change::revoke_all::<S, A>))
        .route("/projects/{project}/policy", get(list::policy::<S, A>))
}

/// A token, with its version as `ETag`.
impl IntoResponse for TokenView {
    fn into_response(self) -> Response {
        ([(ETAG, etag(self.version()))], Json(self)).into_response()
    }
}

fn etag(version: u32) -> String {
    format!("\"{version}\"")
}

/// The answer to a request that has made a token: `up` says how many segments of its path lead
/// from the tokens to it.
fn shown(shown: Shown, OriginalUri(uri): &OriginalUri, up: usize) -> Response {
    let mut tokens = uri.path();
    for _ in 0..up {
        tokens = tokens.rsplit_once('/').map_or("", |(parent, _)| parent);
    }
    let location = format!("{tokens}/{}", shown.record.id());
    let headers = [(LOCATION, location), (ETAG, etag(shown.record.version()))];
    (StatusCode::CREATED, headers, Json(shown)).into_response()
}
