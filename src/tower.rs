//! A tower layer that lets only verified requests through, for HTTP and gRPC.

mod body;
mod refused;
mod request;
mod watched;

use core::{
    fmt, mem,
    net::IpAddr,
    pin::Pin,
    task::{Context, Poll},
};
use std::sync::Arc;

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Request, Response,
    header::{AUTHORIZATION, USER_AGENT},
    request::Parts,
};
use http_body::Body;
use jiff::{SignedDuration, Timestamp};
use tower_layer::Layer;
use tower_service::Service;

use body::BoxError;
pub use body::ResponseBody;
pub use refused::Refused;
#[cfg(feature = "management")]
pub(crate) use request::has_token_in_query;
use watched::Watch;

use crate::{Client, Realm, Scopes, TokenStore, Verified, Verifier, VerifyError};

/// A tower layer that lets a request through if it carries an accepted token.
///
/// What passes has no `Authorization` field in its header any more, and a [`Verified`] and the
/// [`Realm`] in its extensions. Everything else is answered here, as [`Answer`](crate::Answer) has
/// it, and never reaches the service inside. Works with every server that takes tower services over
/// `http` 1 types, such as axum, hyper and tonic.
///
/// ```
/// use api_tokens::{BearerLayer, Keyring, MemoryStore, Verified, Verifier, prefix};
/// use axum::{Router, routing::get};
///
/// let verifier = Verifier::new(prefix!("acme_live"), &Keyring::unkeyed(), MemoryStore::new());
/// let app: Router = Router::new()
///     .route("/sources", get(async |token: Verified| format!("sources of {}", token.project())))
///     .route_layer(BearerLayer::new(verifier).realm("Acme REST API".parse()?))
///     .route("/health", get("ok")); // added after the layer: open to all
/// # Ok::<_, api_tokens::RealmError>(())
/// ```
///
/// # Defaults
///
/// - realm: `api`
/// - client address: not known
/// - refusals: problems in JSON (RFC 9457)
/// - end of the token: not announced, and long responses go on after it
/// - required scopes: none; a handler can ask for its own with `Authorized` (feature `axum`) or
///   [`Verified::require`]
///
/// # Which requests it refuses
///
/// Besides those without an accepted token: those with several `Authorization` fields, and those
/// with a parameter `access_token` in the URL (RFC 6750 §2.3), since URLs end up in logs. A
/// body is not looked into.
///
/// **Preflights.** A browser sends no token with a CORS preflight (`OPTIONS`), so it is refused
/// like any other request without one. Put the CORS layer outside of this one: in axum, *after*
/// it in the code.
///
/// **Unknown paths.** axum's `Router::layer` also wraps the fallback, which turns the 404 of a
/// path that does not exist into 401; `Router::route_layer` does not. This matters for MCP
/// servers, whose clients ask for `/.well-known/` paths and expect 404.
///
/// **Once per request.** The layer takes the token away, so one layer inside another refuses
/// everything.
///
/// # What the operator sees
///
/// A refusal's response carries [`Refused`] in its extensions, with the reason that the client
/// is not told. Middleware outside of this layer can log or count it.
///
/// # gRPC
///
/// A POST of HTTP/2 with the content type `application/grpc` is answered with HTTP status 200, and
/// the refusal in `grpc-status` and `grpc-message`. [`Answer`](crate::Answer) lists the codes.
/// In tonic: `Server::builder().layer(..)` for all services, `LayerExt::named_layer` for one.
///
/// # Cost
///
/// To the verification it adds, for each request, one boxed future, one clone of the service
/// inside, and two entries in the request's extensions.
pub struct BearerLayer<S> {
    policy: Arc<Policy<S>>,
}

impl<S: TokenStore> BearerLayer<S> {
    /// A layer that lets requests through whose token `verifier` accepts.
    #[must_use]
    pub fn new(verifier: Verifier<S>) -> Self {
        let policy = Policy {
            verifier,
            realm: Realm::default(),
            required: Scopes::default(),
            client_address: |_| None,
            announce_end: None,
            ends_streams: false,
            speaks_json_rpc: false,
        };
        Self { policy: Arc::new(policy) }
    }

    /// Puts this realm into its challenges.
    #[must_use]
    pub fn realm(mut self, realm: Realm) -> Self {
        Arc::make_mut(&mut self.policy).realm = realm;
        self
    }

    /// Tells where a request comes from, for [`Usage`](crate::Usage): only the host knows whether
    /// to believe a proxy's header. Without it, no address is kept. The user agent always is.
    ///
    /// ```
    /// # use api_tokens::{BearerLayer, Keyring, MemoryStore, Verifier, prefix};
    /// use std::net::SocketAddr;
    /// use axum::extract::ConnectInfo;
    ///
    /// # let verifier = Verifier::new(prefix!("acme_live"), &Keyring::unkeyed(), MemoryStore::new());
    /// // For axum's `into_make_service_with_connect_info::<SocketAddr>()`, without a proxy.
    /// let layer = BearerLayer::new(verifier).client_address(|request| {
    ///     let ConnectInfo(peer) = request.extensions.get::<ConnectInfo<SocketAddr>>()?;
    ///     Some(peer.ip())
    /// });
    /// ```
    #[must_use]
    pub fn client_address(mut self, address: fn(&Parts) -> Option<IpAddr>) -> Self {
        Arc::make_mut(&mut self.policy).client_address = address;
        self
    }

    /// Says in the responses to a token that comes to its end within this time, by expiry or by
    /// rotation, when that is: in a field `Token-Ends-At`, as RFC 3339 has it. Who reads their
    /// logs can renew it in time; afterwards, nothing can be said.
    #[must_use]
    pub fn announce_end(mut self, within: SignedDuration) -> Self {
        Arc::make_mut(&mut self.policy).announce_end = Some(within);
        self
    }

    /// Answers those whom it refuses in JSON-RPC, as
    /// [`Answer::json_rpc_body`](crate::Answer::json_rpc_body) has it, with the same status and
    /// header: for MCP servers, some of whose clients otherwise only say that there was an error.
    #[must_use]
    pub fn json_rpc(mut self) -> Self {
        Arc::make_mut(&mut self.policy).speaks_json_rpc = true;
        self
    }

    /// Ends responses that take long, such as event streams, when their token is no longer accepted,
    /// or nobody can tell for longer than the cache's bound: as
    /// [`Verified::revoked`] has it. The service inside need not know of it, and what it still makes
    /// of the response is dropped.
    ///
    /// An event stream (`text/event-stream`) ends as if it were done, and its client comes back to
    /// a refusal. A response of gRPC ends with the refusal's status. All others are broken off
    /// with an error, so that nobody takes a part for the whole. Bodies that know their exact size when
    /// they begin (`Body::size_hint`, not the field `Content-Length`) are let through whole, and so
    /// are connections that switch protocols (WebSocket).
    ///
    /// Needs a [`Cache`](crate::Cache); **without one, every such response ends at once**. Costs
    /// each such response what `revoked` costs, and one boxed future. A client that does not read is
    /// cut off as soon as it does.
    ///
    /// ```
    /// use api_tokens::{BearerLayer, Cache, Keyring, MemoryStore, Verifier, prefix};
    ///
    /// let (verifier, background) =
    ///     Verifier::builder(prefix!("acme_live"), &Keyring::unkeyed(), MemoryStore::new())
    ///         .cache(Cache::new())
    ///         .build();
    /// let layer = BearerLayer::new(verifier).end_streams();
    /// # drop((layer, background));
    /// ```
    #[cfg(feature = "cache")]
    #[must_use]
    pub fn end_streams(mut self) -> Self {
        if self.policy.verifier.cache_health().is_none() {
            tracing::error!(
                target: "api_tokens",
                "a BearerLayer is to end streams, but its verifier has no Cache: they end at once",
            );
        }
        Arc::make_mut(&mut self.policy).ends_streams = true;
        self
    }

    /// Asks every token to cover these scopes, which replace those of an earlier call.
    #[must_use]
    pub fn require(mut self, scopes: Scopes) -> Self {
        Arc::make_mut(&mut self.policy).required = scopes;
        self
    }
}

impl<S, Inner> Layer<Inner> for BearerLayer<S> {
    type Service = BearerService<S, Inner>;

    fn layer(&self, inner: Inner) -> Self::Service {
        BearerService { policy: Arc::clone(&self.policy), inner }
    }
}

impl<S> Clone for BearerLayer<S> {
    fn clone(&self) -> Self {
        Self { policy: Arc::clone(&self.policy) }
    }
}

impl<S> fmt::Debug for BearerLayer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BearerLayer").field("policy", &self.policy).finish()
    }
}

/// The service that [`BearerLayer`] makes of another one.
pub struct BearerService<S, Inner> {
    policy: Arc<Policy<S>>,
    inner: Inner,
}

impl<S, Inner, RequestBody, InnerBody> Service<Request<RequestBody>> for BearerService<S, Inner>
where
    S: TokenStore,
    Inner: Service<Request<RequestBody>, Response = Response<InnerBody>> + Clone + Send + 'static,
    Inner::Future: Send,
    RequestBody: Send + 'static,
    InnerBody: Body<Data = Bytes, Error: Into<BoxError>>,
{
    type Response = Response<ResponseBody<InnerBody>>;
    type Error = Inner::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let policy = Arc::clone(&self.policy);
        // The service that was polled until it was ready is the one that may be called; its
        // clone need not be ready.
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            match policy.verify(&parts).await {
                Ok(verified) => {
                    // No handler needs the plaintext, so none can log or forward it.
                    parts.headers.remove(AUTHORIZATION);
                    let ends_at = policy.end_to_announce(&verified);
                    let watched = policy.ends_streams.then(|| {
                        let grpc_realm = request::is_grpc(&parts).then(|| policy.realm.clone());
                        (verified.clone(), grpc_realm)
                    });
                    parts.extensions.insert(verified);
                    parts.extensions.insert(policy.realm.clone());
                    let mut response = inner.call(Request::from_parts(parts, body)).await?;
                    if let Some(refused) = response.extensions().get::<Refused>() {
                        policy.verifier.note_refusal(refused.reason());
                    }
                    if let Some(ends_at) = ends_at {
                        announce(ends_at, response.headers_mut());
                    }
                    let is_long = response.body().size_hint().exact().is_none();
                    let (head, body) = response.into_parts();
                    let body = match watched.filter(|_| is_long) {
                        Some((token, grpc_realm)) => {
                            let watch = Watch::new(token, &head.headers, grpc_realm);
                            ResponseBody::watched(body, watch)
                        }
                        None => ResponseBody::passed_on(body),
                    };
                    Ok(Response::from_parts(head, body))
                }
                Err(error) => {
                    let refused = Refused::new(error, policy.realm.clone());
                    let response = if request::is_grpc(&parts) {
                        refused.into_grpc_response()
                    } else if policy.speaks_json_rpc {
                        refused.into_json_rpc_response()
                    } else {
                        refused.into_http_response()
                    };
                    Ok(response.map(ResponseBody::own))
                }
            }
        })
    }
}

impl<S, Inner: Clone> Clone for BearerService<S, Inner> {
    fn clone(&self) -> Self {
        Self { policy: Arc::clone(&self.policy), inner: self.inner.clone() }
    }
}

impl<S, Inner: fmt::Debug> fmt::Debug for BearerService<S, Inner> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BearerService")
            .field("policy", &self.policy)
            .field("inner", &self.inner)
            .finish()
    }
}

/// What a request must bring, and what is said to those that do not.
struct Policy<S> {
    verifier: Verifier<S>,
    realm: Realm,
    required: Scopes,
    client_address: fn(&Parts) -> Option<IpAddr>,
    announce_end: Option<SignedDuration>,
    ends_streams: bool,
    speaks_json_rpc: bool,
}

impl<S: TokenStore> Policy<S> {
    async fn verify(&self, request: &Parts) -> Result<Verified, VerifyError> {
        let refuse = |error| {
            self.verifier.note_refusal(&error);
            error
        };
        if request::has_token_in_query(&request.uri) {
            return Err(refuse(VerifyError::InvalidRequest));
        }
        let client = Client {
            address: (self.client_address)(request),
            user_agent: request.headers.get(USER_AGENT).map(HeaderValue::as_bytes),
        };
        let fields = request.headers.get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes);
        let verified = self.verifier.verify_authorization_from(fields, client).await?;
        verified.require(&self.required).map_err(refuse)?;
        Ok(verified)
    }

    fn end_to_announce(&self, verified: &Verified) -> Option<Timestamp> {
        self.verifier.ends_within(verified, self.announce_end?)
    }
}

fn announce(ends_at: Timestamp, headers: &mut http::HeaderMap) {
    // A timestamp is printable ASCII, so it is never refused.
    if let Ok(value) = HeaderValue::try_from(ends_at.to_string()) {
        headers.insert(HeaderName::from_static("token-ends-at"), value);
    }
}

impl<S> Clone for Policy<S> {
    fn clone(&self) -> Self {
        Self {
            verifier: self.verifier.clone(),
            realm: self.realm.clone(),
            required: self.required.clone(),
            client_address: self.client_address,
            announce_end: self.announce_end,
            ends_streams: self.ends_streams,
            speaks_json_rpc: self.speaks_json_rpc,
        }
    }
}

impl<S> fmt::Debug for Policy<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("verifier", &self.verifier)
            .field("realm", &self.realm)
            .field("required", &self.required)
            .field("announce_end", &self.announce_end)
            .field("ends_streams", &self.ends_streams)
            .field("speaks_json_rpc", &self.speaks_json_rpc)
            .finish_non_exhaustive()
    }
}
