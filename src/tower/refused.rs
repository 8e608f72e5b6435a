use core::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};

use crate::{Answer, Realm, VerifyError};

/// Why a request was refused: for the operator, in the extensions of the response.
///
/// It is not sent to the client. The id of a token is in it where one is known.
///
/// ```
/// use api_tokens::Refused;
/// use axum::response::Response;
///
/// /// For `axum::middleware::map_response`, outside of the `BearerLayer`.
/// async fn log(response: Response) -> Response {
///     if let Some(refused) = response.extensions().get::<Refused>() {
///         eprintln!("refused: {}", refused.reason()); // refused: wrong secret for token …
///     }
///     response
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Refused {
    reason: Arc<VerifyError>,
    realm: Realm,
}

impl Refused {
    /// A refusal for `reason`.
    ///
    /// [`BearerLayer`](crate::BearerLayer) makes them by itself. An axum handler (feature `axum`)
    /// that decides for itself can return one:
    ///
    /// ```
    /// use api_tokens::{Realm, Refused, Scopes, Verified};
    /// use axum::{Extension, extract::Path};
    ///
    /// async fn run(
    ///     token: Verified,
    ///     Path(flow): Path<String>,
    ///     Extension(realm): Extension<Realm>, // of the `BearerLayer`
    /// ) -> Result<(), Refused> {
    ///     let required: Scopes = needed_to_run(&flow);
    ///     token.require(&required).map_err(|error| Refused::new(error, realm))?;
    ///     Ok(())
    /// }
    /// # fn needed_to_run(flow: &str) -> Scopes { format!("flows:run:{flow}").parse().unwrap() }
    /// # axum::Router::<()>::new().route("/{flow}", axum::routing::post(run));
    /// ```
    #[must_use]
    pub fn new(reason: VerifyError, realm: Realm) -> Self {
        Self { reason: Arc::new(reason), realm }
    }

    /// Why the request was refused.
    #[must_use]
    pub fn reason(&self) -> &VerifyError {
        &self.reason
    }

    /// What the client is told.
    #[must_use]
    pub fn answer(&self) -> Answer<'_> {
        Answer::new(&self.reason, &self.realm)
    }

    pub(crate) fn into_http_response(self) -> Response<Bytes> {
        let answer = self.answer();
        let mut response = Response::new(Bytes::from(answer.body()));
        // Every status of an answer is a valid one.
        *response.status_mut() =
            StatusCode::from_u16(answer.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let fields = response.headers_mut();
        insert(fields, CONTENT_TYPE, Some(Answer::CONTENT_TYPE));
        insert(fields, CACHE_CONTROL, Some(Answer::CACHE_CONTROL));
        insert(fields, WWW_AUTHENTICATE, answer.www_authenticate());
        insert(fields, RETRY_AFTER, answer.retry_after().map(|seconds| seconds.to_string()));
        response.extensions_mut().insert(self);
        response
    }

    /// The same for a client of JSON-RPC.
    pub(crate) fn into_json_rpc_response(self) -> Response<Bytes> {
        let body = Bytes::from(self.answer().json_rpc_body());
        let mut response = self.into_http_response().map(|_| body);
        insert(response.headers_mut(), CONTENT_TYPE, Some("application/json"));
        response
    }

    /// A "Trailers-Only" response: status and message are header fields, and there is no body.
    pub(crate) fn into_grpc_response(self) -> Response<Bytes> {
        let mut response = Response::new(Bytes::new());
        let fields = response.headers_mut();
        insert(fields, CONTENT_TYPE, Some("application/grpc"));
        insert(fields, CACHE_CONTROL, Some(Answer::CACHE_CONTROL));
        fields.extend(self.grpc_fields());
        response.extensions_mut().insert(self);
        response
    }

    /// Status and message.
    pub(super) fn grpc_fields(&self) -> HeaderMap {
        let answer = self.answer();
        // Of printable ASCII, "Percent-Encoded" escapes the percent sign alone.
        let message = answer.detail().replace('%', "%25");
        let mut fields = HeaderMap::new();
        let status = HeaderName::from_static("grpc-status");
        insert(&mut fields, status, Some(answer.grpc_status().to_string()));
        insert(&mut fields, HeaderName::from_static("grpc-message"), Some(message));
        fields
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.reason, f)
    }
}

impl core::error::Error for Refused {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        // The message is the reason's, so what follows is the reason's own source.
        self.reason.source()
    }
}

fn insert(fields: &mut HeaderMap, name: HeaderName, value: Option<impl AsRef<str>>) {
    // All values are printable ASCII, so none is refused.
    if let Some(value) = value
        && let Ok(value) = HeaderValue::from_str(value.as_ref())
    {
        fields.insert(name, value);
    }
}
