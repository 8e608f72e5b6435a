//! The API Tokens page, and the API beside it: what a product mounts so that its people and programs
//! manage tokens.
//!
//! One router, for axum 0.8, mounted with [`nest`](::axum::Router::nest) under any path that begins
//! with a fixed part; as a whole service, it is the
//! [`fallback_service`](::axum::Router::fallback_service). The host says who the people are
//! ([`Access`]), by its own sign-in; a program comes with an API token that has the scope
//! `tokens:read` or `tokens:write`, and never gets further with it than [`Actor`](crate::Actor)
//! allows a token.
//!
//! ```
//! use api_tokens::{
//!     Issuer, Keyring, MemoryStore, Project, Verifier,
//!     management::{self, Access, AccessError, Grant},
//!     prefix,
//! };
//! use axum::{Router, http::request::Parts};
//!
//! struct Team;
//!
//! impl Access for Team {
//!     async fn grant(&self, request: &Parts, project: &Project) -> Result<Grant, AccessError> {
//!         // A real one looks at its session cookie, and at who is a member of the project.
//!         let user = request.headers.get("x-user").ok_or(AccessError::SignedOut)?;
//!         match user.to_str() {
//!             Ok("ann") if project.as_str() == "acme" => Ok(Grant::write("ann".parse().unwrap())),
//!             _ => Err(AccessError::NoAccess),
//!         }
//!     }
//! }
//!
//! let keyring = Keyring::unkeyed();
//! let builder = Verifier::builder(prefix!("acme_live"), &keyring, MemoryStore::new());
//! // Run it, as its docs say: without, nobody knows when tokens were used.
//! let (verifier, background) = builder.build();
//! let app: Router =
//!     Router::new().nest("/settings", management::router(Issuer::new(&verifier), Team));
//! ```
//!
//! The page of a project is then at `/settings/projects/acme/tokens`.
//!
//! # The page
//!
//! Its tokens: searched by name or id, filtered by status, sorted (up to 10,000; any number as they
//! were created), 50 on a page. People with [`Grant::write`] create a token, which is shown once with
//! what to paste where, such as into [each MCP client](crate::mcp::Client); rotate one with an
//! overlap and follow how far that has come; disable, enable and delete. Deleting is revoking: the
//! row leaves the list of what is in use, and its record stays. What the page says of the product,
//! such as which scopes there are and what they are for, is [`Access::product`].
//!
//! It is plain HTML, with one stylesheet and one script of its own, nothing of another host and
//! nothing inline: it works without the script, except for *Copy*, and for the question before
//! somebody leaves with a token uncopied. Each dialog is a page of its own. A light and a dark look
//! follow the browser.
//!
//! - Everything but stylesheet and script is `no-store`, with a `Content-Security-Policy` that lets
//!   nothing else run or load, and no other site frame it.
//! - A plaintext is in the answer to the `POST` that made it and in no other: not in a URL, nor in
//!   the history, nor in what the browser keeps for its button *Back*. Who looks for a token by
//!   pasting it is shown which one it is: the form is posted, and its answer is a URL with the id.
//!   What else looks like a secret, 30 letters and digits in a row, is left out of that.
//! - Whoever sends a form twice has one token, as with an `Idempotency-Key`: each form has its own.
//!   Where the second takes the place of the first, unused one, the page says so.
//! - Who is not signed in is sent to [`Product::sign_in`], if it is set.
//!
//! # Routes of the API
//!
//! Below the path at which the router is mounted. `api/openapi.json` describes them all to whoever
//! asks, in OpenAPI 3.1.
//!
//! | | |
//! |---|---|
//! | `GET POST api/projects/{project}/tokens` | list, create |
//! | `GET PATCH DELETE …/tokens/{id}` | read, edit, revoke |
//! | `POST …/tokens/{id}/disable`, `…/enable` | switch off and on |
//! | `POST …/tokens/{id}/rotate` | replace by a successor |
//! | `GET DELETE …/tokens/{id}/rotation`, `POST …/rotation/finish` | look at a rotation, cancel, finish it |
//! | `GET …/tokens/{id}/events` | what happened to a token |
//! | `POST api/projects/{project}/revocations` | revoke all that match, or say which those are |
//! | `GET api/projects/{project}/policy` | how long tokens may live |
//! | `GET DELETE api/token` | what the presented token is; revoke it |
//! | `POST api/introspect` | RFC 7662: of the presented token itself, or with `tokens:read` of any in its project |
//! | `POST api/revoke` | RFC 7009: whoever has a token may revoke it |
//!
//! # What every answer of the API has in common
//!
//! - Errors are `application/problem+json` (RFC 9457) with the additional members `error`, a word
//!   for programs, and where a field is at fault, `field`. The document lists the words. What cannot
//!   be read is a 400, and what is not valid a 422. No error repeats what the client sent.
//! - A project without access is a project without tokens: 404, whether it exists or not. So is
//!   a token of another project.
//! - `Cache-Control: no-store`. The plaintext of a token is in one answer only: that to `create` or
//!   `rotate`. Both take an `Idempotency-Key`.
//! - `ETag` is the version of a token's record, for `If-Match` on an edit, which then overwrites
//!   nothing that somebody else has changed. (Whether the token has expired, and when it was used,
//!   changes without it.)
//! - Bodies are JSON of at most 128 KiB; where members or parameters are known, others are refused.
//! - A token acts for whoever creates it. What a list filters by, except for the owner, is decided
//!   token by token, and a list in another order than `newest` is sorted here, up to 10,000 tokens:
//!   see [`Selection`](crate::Selection) for what that costs. Tokens that expire soon are those with
//!   `living=true` and `ends_before`.
//!
//! `tokens:write` also shows what it changes.
//!
//! A request comes with a token in `Authorization`, or a [`BearerLayer`](crate::BearerLayer) around
//! the router has verified it already. A token goes before a session. Put a CORS layer, if you want
//! one, around the router: preflights have no credentials.
//!
//! # Cross-site requests
//!
//! A browser adds a person's cookie to requests that other sites make. A request of a person that
//! changes something is refused if the browser says that another origin makes it
//! (`Sec-Fetch-Site`, or `Origin` compared with `Host`): all browsers of today send one of the
//! two. A session cookie had better be `SameSite=Lax` or `Strict` all the same. Another
//! subdomain is another origin; what is served from the same origin is trusted. A proxy must pass
//! `Host` and the path on as they are. A token is not looked at in this way, since browsers add none
//! by themselves: a host that puts tokens into cookies must see to that itself.

mod access;
mod api;
mod caller;
mod input;
mod openapi;
mod origin;
mod page;
mod presented;
mod problem;
mod product;
mod sort;
mod view;

use std::sync::Arc;

use ::axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{HeaderValue, header::CACHE_CONTROL},
    middleware,
    response::Response,
};

pub use access::{Access, AccessError, Grant};
pub use product::Product;

use self::problem::Problem;
use crate::{Issuer, TokenStore};

/// The greatest size of a body, in KiB. Names, scopes and metadata at their limits, each character
/// escaped as JSON allows (12 bytes), are 110 KiB.
const MAX_BODY_KIB: usize = 128;

/// The router, for the tokens of `issuer` and the people of `access`.
///
/// It answers all paths below the one at which it is mounted, also those that do not exist: so it
/// is to be nested, not merged.
pub fn router<S: TokenStore, A: Access>(issuer: Issuer<S>, access: A) -> Router {
    let product = access.product();
    let management = Arc::new(Management { issuer, access, product });
    let api = api::routes().merge(presented::routes()).merge(openapi::routes());
    Router::new()
        .nest("/api", api)
        .nest("/assets", page::assets())
        .nest("/projects", page::routes(&management))
        .fallback(async || Problem::no_path())
        .method_not_allowed_fallback(async || Problem::no_method())
        .layer(DefaultBodyLimit::max(MAX_BODY_KIB * 1024))
        .layer(middleware::map_response(forbid_caching))
        .with_state(management)
}

type Managed<S, A> = ::axum::extract::State<Arc<Management<S, A>>>;

/// What the handlers work with.
struct Management<S, A> {
    issuer: Issuer<S>,
    access: A,
    product: Product,
}

/// In every answer but those that set their own.
async fn forbid_caching(mut response: Response) -> Response {
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().entry(CACHE_CONTROL).or_insert(no_store);
    response
}
