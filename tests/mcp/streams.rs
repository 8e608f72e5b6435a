//! `BearerLayer::end_streams`.

use std::{convert::Infallible, sync::Arc, time::Duration};

use api_tokens::{BearerLayer, Issuer, Keyring, Verified, Verifier, VerifyError, prefix};
use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderMap, Method, Version, header::CONTENT_TYPE},
    routing::any,
};
use http_body_util::{
    BodyExt,
    channel::{Channel, Sender},
};
use tokio::sync::Mutex;

use crate::{PATIENCE, Rig, bearer, next, send, store::HeldStore, util::ann};

/// Who makes the body of a response.
type Making = Arc<Mutex<Option<Sender<Bytes, Infallible>>>>;

/// A service whose responses go on for as long as somebody makes them.
fn streaming(layer: BearerLayer<HeldStore>, content_type: &'static str) -> (Router, Making) {
    let making = Making::default();
    let sender = Arc::clone(&making);
    let stream = async move || {
        let (made, body) = Channel::<Bytes, Infallible>::new(16);
        *sender.lock().await = Some(made);
        ([(CONTENT_TYPE, content_type)], Body::new(body))
    };
    (Router::new().route("/mcp", any(stream)).route_layer(layer), making)
}

fn ending(rig: &Rig) -> BearerLayer<HeldStore> {
    BearerLayer::new(rig.verifier.clone()).end_streams()
}

async fn make(making: &Making, text: &'static str) -> bool {
    let mut making = making.lock().await;
    making.as_mut().expect("begun").send_data(Bytes::from_static(text.as_bytes())).await.is_ok()
}

#[tokio::test]
async fn an_event_stream_ends_when_its_token_is_revoked() {
    let rig = Rig::new();
    let (app, making) = streaming(ending(&rig), "text/event-stream; charset=utf-8");
    let (one, other) = (rig.create().await, rig.create().await);
    let mut body = send(&app, bearer(&one.token)).await.into_body();
    assert!(make(&making, "data: 1\n\n").await);
    assert_eq!(next(&mut body).await.unwrap().unwrap(), "data: 1\n\n");

    rig.revoke(other.record.id).await;
    assert!(make(&making, "data: 2\n\n").await);
    assert_eq!(next(&mut body).await.unwrap().unwrap(), "data: 2\n\n");

    rig.revoke(one.record.id).await;
    assert!(next(&mut body).await.is_none(), "it ends as if it were done");
    assert!(!make(&making, "data: 3\n\n").await, "what makes it is stopped");
    assert!(next(&mut body).await.is_none());
}

#[tokio::test]
async fn an_event_stream_ends_also_if_there_is_always_more() {
    let rig = Rig::new();
    let (app, making) = streaming(ending(&rig), "text/event-stream");
    let created = rig.create().await;
    let mut body = send(&app, bearer(&created.token)).await.into_body();
    let maker = tokio::spawn(async move { while make(&making, "data: 1\n\n").await {} });
    assert!(next(&mut body).await.is_some());
    rig.revoke(created.record.id).await;
    let end = async { while next(&mut body).await.is_some() {} };
    tokio::time::timeout(PATIENCE, end).await.expect("an end");
    tokio::time::timeout(PATIENCE, maker).await.expect("an end").unwrap();
}

#[tokio::test]
async fn what_is_no_event_stream_is_broken_off() {
    let rig = Rig::new();
    // Without trailers, a client of gRPC would take it for the whole.
    for content_type in ["application/json", "text/event-streams", "application/grpc"] {
        let (app, making) = streaming(ending(&rig), content_type);
        let created = rig.create().await;
        let mut body = send(&app, bearer(&created.token)).await.into_body();
        assert!(make(&making, "[1,").await);
        assert_eq!(next(&mut body).await.unwrap().unwrap(), "[1,");
        rig.revoke(created.record.id).await;
        let error = next(&mut body).await.unwrap().unwrap_err().into_inner();
        let error = error.downcast::<VerifyError>().expect("the reason");
        assert!(matches!(*error, VerifyError::NotActive { .. }), "{error}");
        assert!(next(&mut body).await.is_none());
    }
}

#[tokio::test]
async fn a_response_of_grpc_ends_with_a_status() {
    let rig = Rig::new();
    let (app, making) = streaming(ending(&rig), "application/grpc+proto");
    let created = rig.create().await;
    let call = bearer(&created.token).method(Method::POST).version(Version::HTTP_2);
    let call = call.header(CONTENT_TYPE, "application/grpc");
    let mut body = send(&app, call).await.into_body();
    assert!(make(&making, "message").await);
    assert_eq!(next(&mut body).await.unwrap().unwrap(), "message");
    rig.revoke(created.record.id).await;
    let frame = tokio::time::timeout(PATIENCE, body.frame()).await.expect("an end");
    let trailers: HeaderMap = frame.unwrap().unwrap().into_trailers().expect("trailers");
    assert_eq!(trailers["grpc-status"], "16");
    assert_eq!(trailers["grpc-message"], "The access token has been revoked");
    assert_eq!(trailers.len(), 2);
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn a_response_of_known_length_is_let_through() {
    let rig = Rig::new();
    let revoking = rig.elsewhere.clone();
    let handler = async move |token: Verified| {
        revoking.revoke(token.id(), &ann(), None).await.expect("revoke");
        tokio::time::sleep(Duration::from_millis(200)).await;
        "the whole"
    };
    let app = Router::new().route("/mcp", any(handler)).route_layer(ending(&rig));
    let created = rig.create().await;
    let mut body = send(&app, bearer(&created.token)).await.into_body();
    assert_eq!(next(&mut body).await.unwrap().unwrap(), "the whole");
    assert!(next(&mut body).await.is_none());
    assert_eq!(send(&app, bearer(&created.token)).await.status(), 401);
}

#[tokio::test]
async fn unless_asked_for_streams_go_on() {
    let rig = Rig::new();
    let layer = BearerLayer::new(rig.verifier.clone());
    let (app, making) = streaming(layer, "text/event-stream");
    let created = rig.create().await;
    let mut body = send(&app, bearer(&created.token)).await.into_body();
    rig.revoke(created.record.id).await;
    while rig.verifier.verify(created.token.expose_secret().as_bytes()).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(make(&making, "data: 1\n\n").await);
    assert_eq!(next(&mut body).await.unwrap().unwrap(), "data: 1\n\n");
}

#[tokio::test]
async fn without_a_cache_every_stream_ends_at_once() {
    let store = HeldStore::default();
    let verifier = Verifier::new(prefix!("acme_live"), &Keyring::unkeyed(), store.clone());
    let rig = Rig { elsewhere: Issuer::new(&verifier), verifier, store };
    let (app, _making) = streaming(ending(&rig), "application/json");
    let created = rig.create().await;
    let mut body = send(&app, bearer(&created.token)).await.into_body();
    let error = next(&mut body).await.unwrap().unwrap_err().into_inner();
    assert!(matches!(*error.downcast().unwrap(), VerifyError::Outage(_)));
}

#[tokio::test]
async fn a_stream_ends_when_for_long_nobody_can_tell() {
    let rig = Rig::new();
    let (app, _making) = streaming(ending(&rig), "application/json");
    let created = rig.create().await;
    let mut body = send(&app, bearer(&created.token)).await.into_body();
    rig.store.fail(true);
    let error = next(&mut body).await.unwrap().unwrap_err().into_inner();
    assert!(matches!(*error.downcast().unwrap(), VerifyError::Outage(_)));
}
