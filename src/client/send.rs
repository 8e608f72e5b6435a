use core::{
    fmt,
    future::poll_fn,
    mem,
    pin::Pin,
    task::{Context, Poll},
};
use std::sync::Arc;

use http::{HeaderMap, Request, Response, StatusCode, header::AUTHORIZATION};
use tower_layer::Layer;
use tower_service::Service;

use super::{
    ClientToken,
    held::HeldToken,
    origin::{Origin, OriginError},
};

/// Sends a token with the requests to some origins, and with no others.
///
/// It is a tower layer for HTTP clients, and makes clients of reqwest (feature `reqwest`).
///
/// ```
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use api_tokens::{
///     client::{ClientToken, SendToken, TokenSource},
///     prefix,
/// };
/// use axum::{body::Body, http::{Request, Response}};
/// use tower::{Layer, ServiceExt};
///
/// # let http_client = tower::service_fn(|_: Request<String>| async {
/// #     Ok::<_, std::convert::Infallible>(Response::new(Body::empty()))
/// # });
/// let source = TokenSource::environment("ACME_API_TOKEN");
/// let token = ClientToken::load(prefix!("acme_live"), source).await?;
/// let send = SendToken::new(token, ["https://api.acme.example"])?;
///
/// // Any service that sends requests, such as hyper-util's client.
/// let client = send.layer(http_client);
/// let request = Request::get("https://api.acme.example/sources").body(String::new())?;
/// let response = client.oneshot(request).await?;
/// # Ok(()) }
/// ```
///
/// # Which requests carry it
///
/// Those whose scheme, host and port are one of the origins, exactly: a subdomain is another host.
/// All others are sent as they are, and so are those that have an `Authorization` field already.
/// The URI must be absolute, as HTTP clients take it; a path alone says not where it goes.
///
/// # After a 401
///
/// If the request carried the token, [`ClientToken::renew`] is asked for a newer one. If there is
/// one, the request is sent once more with it, and what comes then is the answer. Otherwise the 401
/// is passed on. With reqwest, a request whose body cannot be repeated, or that changes something and
/// was redirected, is not sent again, but the next one has the new token.
///
/// # Redirects
///
/// As a tower layer, put what follows redirects *outside* of it, so that each hop is judged by its
/// own origin. The client of reqwest comes with a policy: see [`client`](Self::client).
///
/// # Cost
///
/// To [`ClientToken::current`] it adds, for each request, one boxed future and a clone of the
/// request, for which cloning its body should be cheap.
#[derive(Clone)]
pub struct SendToken {
    token: ClientToken,
    origins: Arc<[Origin]>,
}

impl SendToken {
    /// Sends `token` to these origins: `https://` with a host, and a port if it is not 443.
    ///
    /// `http://` is for the loopback interface alone: `localhost`, 127.0.0.0/8 and `[::1]`.
    ///
    /// # Errors
    ///
    /// [`OriginError`] if there are none, or one is more or less than an origin, or not safe.
    pub fn new(
        token: ClientToken,
        origins: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Self, OriginError> {
        let origins = origins.into_iter().zip(1..);
        let origins: Arc<[Origin]> = origins
            .map(|(origin, number)| Origin::parse(number, origin.as_ref()))
            .collect::<Result<_, _>>()?;
        if origins.is_empty() {
            return Err(OriginError::NONE);
        }
        Ok(Self { token, origins })
    }

    /// Puts the token into the header of a request that may carry it, and says which one.
    pub(super) async fn attach(
        &self,
        origin: Option<&Origin>,
        headers: &mut HeaderMap,
    ) -> Option<Arc<HeldToken>> {
        if headers.contains_key(AUTHORIZATION) {
            return None;
        }
        if !origin.is_some_and(|origin| self.is_for(origin)) {
            tracing::debug!(
                target: "api_tokens",
                "sends a request without the token, since it is for none of its origins",
            );
            return None;
        }
        let held = self.token.current().await;
        headers.insert(AUTHORIZATION, held.authorization());
        Some(held)
    }

    /// After the answer to a request that carried `used`: the token to repeat it with.
    pub(super) async fn renew(
        &self,
        status: StatusCode,
        used: &HeldToken,
    ) -> Option<Arc<HeldToken>> {
        if status != StatusCode::UNAUTHORIZED {
            return None;
        }
        self.token.renew(used).await
    }

    pub(super) fn is_for(&self, origin: &Origin) -> bool {
        self.origins.contains(origin)
    }

    #[cfg(feature = "reqwest")]
    pub(super) fn is_for_https_only(&self) -> bool {
        self.origins.iter().all(Origin::is_https)
    }
}

impl<Inner> Layer<Inner> for SendToken {
    type Service = SendTokenService<Inner>;

    fn layer(&self, inner: Inner) -> Self::Service {
        SendTokenService { send: self.clone(), inner }
    }
}

impl fmt::Debug for SendToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendToken")
            .field("token", &self.token)
            .field("origins", &self.origins)
            .finish()
    }
}

/// The service that [`SendToken`] makes of another one.
#[derive(Debug, Clone)]
pub struct SendTokenService<Inner> {
    send: SendToken,
    inner: Inner,
}

impl<Inner, RequestBody, ResponseBody> Service<Request<RequestBody>> for SendTokenService<Inner>
where
    Inner: Service<Request<RequestBody>, Response = Response<ResponseBody>>,
    Inner: Clone + Send + 'static,
    Inner::Future: Send,
    RequestBody: Clone + Send + 'static,
    ResponseBody: Send,
{
    type Response = Inner::Response;
    type Error = Inner::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<RequestBody>) -> Self::Future {
        let send = self.send.clone();
        // The service that was polled until it was ready is the one that may be called; its
        // clone need not be ready.
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            let origin = Origin::of_uri(request.uri());
            let Some(used) = send.attach(origin.as_ref(), request.headers_mut()).await else {
                return inner.call(request).await;
            };
            let mut again = request.clone();
            let response = inner.call(request).await?;
            let Some(newer) = send.renew(response.status(), &used).await else {
                return Ok(response);
            };
            // Its connection may be what the second request waits for.
            drop(response);
            again.headers_mut().insert(AUTHORIZATION, newer.authorization());
            poll_fn(|context| inner.poll_ready(context)).await?;
            inner.call(again).await
        })
    }
}
