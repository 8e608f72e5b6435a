//! The same layer around a gRPC server, over a real connection.

#[path = "http_support/broken_store.rs"]
mod broken_store;
#[path = "http_support/service.rs"]
mod service;

use api_tokens::{BearerLayer, Keyring, Refused, TokenStore, Verifier, prefix};
use axum::{
    body::{Body, HttpBody},
    http,
};
use broken_store::BrokenStore;
use service::{Service, bearer};
use tonic::{
    Code, Request, Status,
    transport::{Channel, Endpoint, Server, server::TcpIncoming},
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tower::{Layer, ServiceExt, service_fn};

/// A server with tonic's health service behind the layer, and a client of it.
async fn serve<S: TokenStore>(layer: BearerLayer<S>) -> HealthClient<Channel> {
    let (_, health) = tonic_health::server::health_reporter();
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = incoming.local_addr().unwrap();
    let server = Server::builder().layer(layer).add_service(health);
    tokio::spawn(async move { server.serve_with_incoming(incoming).await.unwrap() });
    let endpoint = Endpoint::try_from(format!("http://{address}")).unwrap();
    HealthClient::new(endpoint.connect().await.unwrap())
}

fn request(authorization: Option<&str>) -> Request<HealthCheckRequest> {
    let mut request = Request::new(HealthCheckRequest { service: String::new() });
    if let Some(authorization) = authorization {
        request.metadata_mut().insert("authorization", authorization.parse().unwrap());
    }
    request
}

async fn check(
    client: &mut HealthClient<Channel>,
    authorization: Option<&str>,
) -> Result<ServingStatus, Status> {
    Ok(client.check(request(authorization)).await?.into_inner().status())
}

#[track_caller]
fn assert_refused<T: std::fmt::Debug>(result: Result<T, Status>, code: Code, message: &str) {
    let status = result.unwrap_err();
    assert_eq!((status.code(), status.message()), (code, message));
    assert_eq!(status.metadata().get("cache-control").unwrap(), "no-store");
    assert!(!status.metadata().contains_key("www-authenticate"));
}

#[tokio::test]
async fn a_good_token_until_it_is_revoked() {
    let service = Service::new();
    let created = service.token("").await;
    let mut client = serve(BearerLayer::new(service.verifier.clone())).await;
    let authorization = bearer(&created);
    assert_eq!(check(&mut client, Some(&authorization)).await.unwrap(), ServingStatus::Serving);

    service.issuer.revoke(created.record.id, &"ann".parse().unwrap(), None).await.unwrap();
    assert_refused(
        check(&mut client, Some(&authorization)).await,
        Code::Unauthenticated,
        "The access token has been revoked",
    );
}

#[tokio::test]
async fn no_or_no_good_credentials() {
    let service = Service::new();
    let mut client = serve(BearerLayer::new(service.verifier.clone())).await;
    for authorization in [None, Some("Basic dTpw"), Some("")] {
        assert_refused(
            check(&mut client, authorization).await,
            Code::Unauthenticated,
            "An access token is required: Authorization: Bearer TOKEN",
        );
    }
    let stranger = bearer(&Service::new().token("").await);
    for authorization in ["Bearer garbage", "Bearer not a token", stranger.as_str()] {
        assert_refused(
            check(&mut client, Some(authorization)).await,
            Code::Unauthenticated,
            "The access token is invalid",
        );
    }
    let mut repeated = request(Some(&stranger));
    repeated.metadata_mut().append("authorization", stranger.parse().unwrap());
    assert_refused(
        client.check(repeated).await,
        Code::Unauthenticated,
        "An access token must follow Bearer, once, in the Authorization header only",
    );
}

#[tokio::test]
async fn a_missing_scope() {
    let service = Service::new();
    // A percent sign is a scope character, and the one that a gRPC message escapes.
    let layer =
        BearerLayer::new(service.verifier.clone()).require("health:check 100%41".parse().unwrap());
    let mut client = serve(layer).await;
    let lacking = service.token("health:check").await;
    assert_refused(
        check(&mut client, Some(&bearer(&lacking))).await,
        Code::PermissionDenied,
        "The access token lacks a required scope: 100%41 health:check",
    );
    let covering = service.token("health:* 100%41").await;
    assert_eq!(check(&mut client, Some(&bearer(&covering))).await.unwrap(), ServingStatus::Serving);
}

#[tokio::test]
async fn an_outage() {
    let created = Service::new().token("").await;
    let verifier = Verifier::new(prefix!("acme_live"), &Keyring::unkeyed(), BrokenStore);
    let mut client = serve(BearerLayer::new(verifier)).await;
    assert_refused(
        check(&mut client, Some(&bearer(&created))).await,
        Code::Unavailable,
        "The access token could not be checked, try again later",
    );
}

#[tokio::test]
async fn a_stream_of_answers() {
    let service = Service::new();
    let created = service.token("").await;
    let mut client = serve(BearerLayer::new(service.verifier.clone())).await;
    let mut stream = client.watch(request(Some(&bearer(&created)))).await.unwrap().into_inner();
    let first = stream.message().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::Serving);
    assert_refused(
        client.watch(request(None)).await,
        Code::Unauthenticated,
        "An access token is required: Authorization: Bearer TOKEN",
    );
}

/// What goes over the wire: "Trailers-Only", whatever library reads it.
#[tokio::test]
async fn the_form_of_a_refusal() {
    let service = Service::new();
    let inner = service_fn(async |_: http::Request<()>| -> Result<http::Response<Body>, String> {
        panic!("reached without a token")
    });
    let layered = BearerLayer::new(service.verifier.clone()).layer(inner);
    let refuse = async |content_type: &str| {
        let request = http::Request::post("/").version(http::Version::HTTP_2);
        let request = request.header("content-type", content_type);
        layered.clone().oneshot(request.body(()).unwrap()).await.unwrap()
    };

    for content_type in ["application/grpc", "application/grpc+proto", "application/grpc;a=b"] {
        let response = refuse(content_type).await;
        assert_eq!(response.status(), 200);
        let text = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            format!("{name}: {}", value.to_str().unwrap())
        };
        assert_eq!(
            response.headers().iter().map(text).collect::<Vec<_>>(),
            [
                "content-type: application/grpc",
                "cache-control: no-store",
                "grpc-status: 16",
                "grpc-message: An access token is required: Authorization: Bearer TOKEN",
            ]
        );
        assert!(response.body().is_end_stream());
        assert_eq!(response.body().size_hint().exact(), Some(0));
        let refused = response.extensions().get::<Refused>().unwrap();
        assert_eq!(refused.to_string(), "no credentials");
    }
    for content_type in ["application/grpc-web", "application/json"] {
        assert_eq!(refuse(content_type).await.status(), 401, "{content_type}");
    }
}
