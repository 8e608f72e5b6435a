//! Requests to an axum router, and what comes back, for the tests of the HTTP integrations.

use api_tokens::{BearerLayer, MemoryStore, Refused};
use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    http::{Request, Response, header::AUTHORIZATION},
};
use tower::ServiceExt;

use crate::service::Service;

pub(crate) fn layer(service: &Service) -> BearerLayer<MemoryStore> {
    BearerLayer::new(service.verifier.clone()).realm("acme".parse().unwrap())
}

pub(crate) fn request(path: &str, authorization: Option<&str>) -> Request<Body> {
    let mut request = Request::builder().uri(path);
    if let Some(authorization) = authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    request.body(Body::empty()).unwrap()
}

pub(crate) async fn get_path(
    app: &Router,
    path: &str,
    authorization: Option<&str>,
) -> Response<Body> {
    app.clone().oneshot(request(path, authorization)).await.unwrap()
}

pub(crate) async fn text(
    response: Response<impl HttpBody<Data = Bytes, Error: Into<axum::BoxError>> + Send + 'static>,
) -> String {
    let body = Body::new(response.into_body());
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    String::from_utf8(bytes.into()).unwrap()
}

pub(crate) fn challenge<B>(response: &Response<B>) -> &str {
    response.headers()["www-authenticate"].to_str().unwrap()
}

pub(crate) fn reason<B>(response: &Response<B>) -> String {
    response.extensions().get::<Refused>().unwrap().reason().to_string()
}
