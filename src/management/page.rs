//! The page on which people manage the tokens of a project.
//!
//! HTML that is made here and works without JavaScript. A dialog is a page too: the list, which is
//! inert, and the dialog before it. So each has a URL and can be reloaded, and none is made in two
//! ways. A plaintext is only ever in the answer to a `POST`.

mod assets;
mod create;
mod document;
mod form;
mod lifetime;
mod list;
mod place;
mod query;
mod revoke;
mod rotate;
mod rotation;
mod shown;
mod time;
mod token;
mod visit;

use std::sync::Arc;

use ::axum::{
    Router,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};

pub(super) use assets::routes as assets;

use self::{document::ErrorDocument, place::Place};
use super::{Access, Managed, Management, problem::Problem};
use crate::TokenStore;

/// Below `/projects`.
pub(super) fn routes<S: TokenStore, A: Access>(
    management: &Arc<Management<S, A>>,
) -> Router<Arc<Management<S, A>>> {
    let token = Router::new()
        .route("/", get(token::show::<S, A>))
        .route("/disable", post(token::disable::<S, A>))
        .route("/enable", post(token::enable::<S, A>))
        .route("/rotate", get(rotate::ask::<S, A>).post(rotate::rotate::<S, A>))
        .route("/rotation/finish", get(rotation::ask_finish::<S, A>).post(rotation::finish::<S, A>))
        .route("/rotation/cancel", get(rotation::ask_cancel::<S, A>).post(rotation::cancel::<S, A>))
        .route("/revoke", get(revoke::ask::<S, A>).post(revoke::revoke::<S, A>));
    let tokens = Router::new()
        .route("/tokens", get(list::list::<S, A>).post(create::create::<S, A>))
        .route("/tokens/new", get(create::ask::<S, A>))
        .route("/tokens/search", post(list::search::<S, A>))
        .nest("/tokens/{id}", token);
    Router::new()
        .nest("/{project}", tokens)
        .fallback(async || Problem::no_path())
        .method_not_allowed_fallback(async || Problem::no_method())
        .layer(middleware::from_fn_with_state(Arc::clone(management), as_page::<S, A>))
}

/// Nothing is loaded but what this router serves, and nothing in the document itself is run. No
/// other site shows the page in a frame.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// For browsers, without a way for anything on the page to reach another site.
const HEADERS: [(HeaderName, &str); 4] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // Not `no-referrer`, which makes browsers send `Origin: null` with our own forms.
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// Tells handlers where things are, and turns their problems into pages.
async fn as_page<S: TokenStore, A: Access>(
    State(management): Managed<S, A>,
    mut request: Request,
    next: Next,
) -> Response {
    let place = Place::of(&request, management.issuer.prefix());
    let is_get = [Method::GET, Method::HEAD].contains(request.method());
    request.extensions_mut().insert(place.clone());
    let mut response = next.run(request).await;
    if let Some(problem) = Problem::of(&response) {
        let product = &management.product;
        let sign_in = product.sign_in.as_ref().filter(|_| problem.is_signed_out());
        response = match sign_in.map(|url| place.sign_in(url, is_get)) {
            Some(url) if is_get => Redirect::to(&url).into_response(),
            sign_in => {
                let page = ErrorDocument { product, place: &place, problem: &problem, sign_in };
                page.respond(response)
            }
        };
    }
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// To another page, after something was done.
fn see_other(path: &str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, path)]).into_response()
}
