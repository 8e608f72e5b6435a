//! The server for clients who come over HTTP.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use api_tokens::{BearerLayer, DynTokenStore, Refused, Verifier, mcp::SessionLayer};
use axum::{
    Json, Router,
    extract::{ConnectInfo, Request},
    http::{StatusCode, header::CONTENT_TYPE, request::Parts},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::any_service,
};
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
};
use serde_json::json;
use sources::Failure;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{caller::NOTICE, tools::Tools};

/// Listens before anything is said, so that an occupied port is the first error.
pub(crate) async fn listen(port: u16) -> Result<TcpListener, Failure> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| {
        format!("cannot listen on 127.0.0.1:{port}: {error}; try another --port, or 0 for any")
            .into()
    })
}

/// Serves until `stop` is cancelled, which ends all sessions and streams.
pub(crate) async fn serve(
    listener: TcpListener,
    app: Router,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    Ok(axum::serve(listener, app).with_graceful_shutdown(stop.cancelled_owned()).await?)
}

/// The server, under `/mcp`. `hosts` are those by whose name it may be called, besides this machine:
/// a page of somebody's that a browser has loaded must not reach it by a name of its own.
pub(crate) fn app(
    tools: Tools,
    verifier: Verifier<DynTokenStore>,
    hosts: &[String],
    stop: CancellationToken,
) -> Router {
    let mut config = StreamableHttpServerConfig::default()
        .with_cancellation_token(stop)
        // No page in a browser has anything to ask here.
        .enforce_origin_validation();
    config.allowed_hosts.extend_from_slice(hosts);
    let sessions = Arc::new(LocalSessionManager::default());
    let mcp = StreamableHttpService::new(move || Ok(tools.clone()), sessions, config);

    let bearer = BearerLayer::new(verifier)
        .client_address(peer_address)
        .announce_end(NOTICE)
        .json_rpc()
        // A stream is open for hours, and its token may be revoked meanwhile.
        .end_streams();
    Router::new()
        .route("/mcp", any_service(mcp))
        // What is added last is reached first: who is not let in has no session to speak of.
        .route_layer(SessionLayer::new())
        .route_layer(bearer)
        // After a refusal, clients look for an authorization server, and must be told that there is
        // none: else they begin to sign in, and report the failure of that instead of the token's.
        .fallback(nothing_here)
        .layer(middleware::from_fn(log_refusals))
}

/// Clients connect to this server themselves. Behind a proxy, this would be the proxy's address.
fn peer_address(request: &Parts) -> Option<IpAddr> {
    let ConnectInfo(peer) = request.extensions.get::<ConnectInfo<SocketAddr>>()?;
    Some(peer.ip())
}

async fn nothing_here() -> Response {
    let body = Json(json!({
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        // What some clients show, and nothing else.
        "detail": "There is nothing here, and no authorization server: the MCP server at /mcp takes \
                   API tokens, so check the one in the client's configuration",
    }));
    (StatusCode::NOT_FOUND, [(CONTENT_TYPE, "application/problem+json")], body).into_response()
}

/// One line for each refused token: why, which the client is not told.
async fn log_refusals(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    if let Some(refused) = response.extensions().get::<Refused>() {
        eprintln!("refused: {}: {}", refused.answer().status(), refused.reason());
    }
    response
}
