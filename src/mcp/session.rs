//! A tower layer between the verification of tokens and an MCP server.

use core::{
    future::poll_fn,
    mem,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use std::sync::Arc;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, HOST},
};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::sessions::{Sessions, until_over};
use crate::{Answer, Realm, Refused, ResponseBody, Verified, VerifyError};

const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// A tower layer that binds the sessions of an MCP server (streamable HTTP) to those who opened
/// them, and ends them with their tokens.
///
/// The protocol's libraries take a session's id for enough: with another valid token and somebody's
/// `Mcp-Session-Id` one could post to the session, read its streams and delete it. Behind this layer
/// the id of another's session is answered like one that does not exist: 404, whatever the method,
/// which tells clients to begin a new session.
///
/// Put it between [`BearerLayer`](crate::BearerLayer) and the server; here in axum, where the
/// layer that is added last is the outermost:
///
/// ```
/// use api_tokens::{BearerLayer, TokenStore, Verifier, mcp::SessionLayer};
/// use axum::{Router, routing::any_service};
///
/// fn app<S: TokenStore>(verifier: Verifier<S>) -> Router {
///     Router::new()
///         .route("/mcp", any_service(mcp_server()))
///         .route_layer(SessionLayer::new())
///         .route_layer(BearerLayer::new(verifier).end_streams().json_rpc())
/// }
/// # fn mcp_server() -> Router { Router::new() } // of a library, such as rmcp
/// ```
///
/// # Whose a session is
///
/// It is the family's of the token that opened it ([`Rotation::family`](crate::Rotation::family)): of
/// this token, those that replace it by rotation, and while they are accepted, those that it replaced.
/// So it survives a rotation, and it is of one project and one owner. Another token of the same owner
/// has its own sessions, since it may have fewer scopes, and a session can repeat what was said to the
/// first.
///
/// # When a session ends
///
/// - when its client says so
/// - when the token that was used last in it is no longer accepted, within the bound of
///   [`Cache`](crate::Cache) as [`Verified::revoked`] has it. But if it was replaced, and only the
///   overlap has ended, the session waits for the successor
/// - when it is unused for [`idle_timeout`](Self::idle_timeout)
/// - when its family has more than [`max_sessions`](Self::max_sessions), the one that was unused for
///   longest
///
/// In an outage of the store a session stays, and its requests are refused. Without a cache the layer
/// does not learn of a token's end: requests are refused all the same, but what the session holds
/// stays until it is unused.
///
/// The server learns of the end by a `DELETE`, as if the client had sent it, with which it closes
/// streams and frees what it holds. A stream that was opened with a predecessor ends with that one,
/// if [`BearerLayer::end_streams`](crate::BearerLayer::end_streams) is asked to.
///
/// # What the server must keep apart
///
/// Among the sessions of one family, this layer does not look into what is said. If the server keeps
/// events to resume streams from (in rmcp, an `EventStore`), it must look for them within the session
/// that `Mcp-Session-Id` names: rmcp itself does not, so do not give it a store whose event ids can be
/// guessed. A session whose client went away before it had the answer to its first request is known
/// to the server alone, which ends it by its own timeout.
///
/// # Defaults
///
/// - idle timeout: an hour
/// - sessions: 64 for each family
///
/// # Nodes
///
/// A session is known to the node that opened it, which is where these libraries keep sessions,
/// too: let a load balancer send it there. On another node the answer is 404, and the client begins
/// anew. From 2026-07-28 on the protocol has no sessions; such requests pass.
///
/// # Cost
///
/// For each request a look into a table under a lock that few share, and two boxed futures; without a
/// session, as in the newest protocol, also a clone of the request's URI and extensions. For each
/// session a task, which each use wakes, and a watch of its token. Needs tokio with its timer. A clone
/// of the layer shares the sessions: make one for each server.
#[derive(Clone, Debug)]
pub struct SessionLayer {
    sessions: Arc<Sessions>,
    idle_timeout: Duration,
}

impl SessionLayer {
    /// With the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self {
            sessions: Arc::new(Sessions::with_max(64)),
            idle_timeout: Duration::from_secs(60 * 60),
        }
    }

    /// Ends sessions to which nothing was sent for this long, also if they have an open stream.
    #[must_use]
    pub fn idle_timeout(self, timeout: Duration) -> Self {
        Self { idle_timeout: timeout, ..self }
    }

    /// How many sessions a token may have at a time, together with its successors. The newest is
    /// always let in.
    #[must_use]
    pub fn max_sessions(self, count: usize) -> Self {
        Self { sessions: Arc::new(Sessions::with_max(count)), ..self }
    }
}

impl Default for SessionLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<Inner> Layer<Inner> for SessionLayer {
    type Service = SessionService<Inner>;

    fn layer(&self, inner: Inner) -> Self::Service {
        SessionService { layer: self.clone(), inner }
    }
}

/// The service that [`SessionLayer`] makes of an MCP server.
#[derive(Clone, Debug)]
pub struct SessionService<Inner> {
    layer: SessionLayer,
    inner: Inner,
}

impl<Inner, RequestBody, InnerBody> Service<Request<RequestBody>> for SessionService<Inner>
where
    Inner: Service<Request<RequestBody>, Response = Response<InnerBody>> + Clone + Send + 'static,
    Inner::Future: Send,
    RequestBody: Default + Send + 'static,
    InnerBody: Body<Data = Bytes>,
{
    type Response = Response<ResponseBody<InnerBody>>;
    type Error = Inner::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let layer = self.layer.clone();
        // The service that was polled until it was ready is the one that may be called; its
        // clone need not be ready.
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            let Some(token) = request.extensions().get::<Verified>().cloned() else {
                tracing::error!(target: "api_tokens", "there is no BearerLayer around a SessionLayer");
                let refused = Refused::new(VerifyError::NotVerified, Realm::default());
                return Ok(refused.into_json_rpc_response().map(ResponseBody::own));
            };
            let response = match Named::by(request.headers()) {
                Named::Nothing => {
                    let delete = delete_like(&request);
                    let response = inner.call(request).await?;
                    if let (true, Some(id)) =
                        (response.status().is_success(), response.headers().get(SESSION_ID))
                    {
                        layer.open(token, id.clone(), delete, inner);
                    }
                    response
                }
                Named::Session(id) if layer.sessions.join(&token, &id) => {
                    let is_delete = request.method() == Method::DELETE;
                    let response = inner.call(request).await?;
                    if is_delete && response.status().is_success() {
                        layer.sessions.remove(&token, &id);
                    }
                    response
                }
                Named::Session(_) | Named::Unclear => {
                    let token = token.id();
                    tracing::info!(target: "api_tokens", %token, "no session of this token's");
                    return Ok(no_such_session());
                }
            };
            Ok(response.map(ResponseBody::passed_on))
        })
    }
}

impl SessionLayer {
    /// Binds a new session, and ends it when its time has come.
    fn open<Inner, RequestBody, InnerBody>(
        &self,
        token: Verified,
        id: HeaderValue,
        mut delete: Request<RequestBody>,
        mut server: Inner,
    ) where
        Inner: Service<Request<RequestBody>, Response = Response<InnerBody>> + Send + 'static,
        Inner::Future: Send,
        RequestBody: Default + Send + 'static,
    {
        let mut uses = self.sessions.open(&token, id.clone());
        // It lives as long as the service, and must not keep the table alive.
        let sessions = Arc::downgrade(&self.sessions);
        let idle_timeout = self.idle_timeout;
        tokio::spawn(async move {
            until_over(&mut uses, idle_timeout).await;
            if let Some(sessions) = sessions.upgrade() {
                sessions.remove(&token, &id);
            }
            // Where the client has done it already, once more does no harm.
            delete.headers_mut().insert(SESSION_ID, id);
            if poll_fn(|context| server.poll_ready(context)).await.is_ok() {
                // A server that does not let sessions be deleted ends them by itself.
                let _ = server.call(delete).await;
            }
        });
    }
}

/// Which session a request speaks of.
enum Named {
    /// None: it opens one, or needs none.
    Nothing,
    Session(HeaderValue),
    /// More than one, or a stream of nobody knows whose session.
    Unclear,
}

impl Named {
    fn by(headers: &HeaderMap) -> Self {
        let mut ids = headers.get_all(SESSION_ID).iter();
        match (ids.next(), ids.next()) {
            (None, _) if headers.contains_key(LAST_EVENT_ID) => Self::Unclear,
            (None, _) => Self::Nothing,
            (Some(id), None) => Self::Session(id.clone()),
            (Some(_), Some(_)) => Self::Unclear,
        }
    }
}

/// What ends a session: what its client would send, to where this request goes, and with what was
/// found out about it.
fn delete_like<RequestBody: Default>(request: &Request<RequestBody>) -> Request<RequestBody> {
    let mut delete = Request::new(RequestBody::default());
    *delete.method_mut() = Method::DELETE;
    request.uri().clone_into(delete.uri_mut());
    *delete.version_mut() = request.version();
    request.extensions().clone_into(delete.extensions_mut());
    // Servers look at it.
    if let Some(host) = request.headers().get(HOST) {
        delete.headers_mut().insert(HOST, host.clone());
    }
    delete
}

/// The same whether there is one of somebody else's or none. Code and message are those of the
/// protocol's own library for servers.
fn no_such_session<InnerBody>() -> Response<ResponseBody<InnerBody>> {
    const BODY: &str =
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"Session not found"}}"#;

    let mut response = Response::new(ResponseBody::own(Bytes::from_static(BODY.as_bytes())));
    *response.status_mut() = StatusCode::NOT_FOUND;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(Answer::CACHE_CONTROL));
    response
}
