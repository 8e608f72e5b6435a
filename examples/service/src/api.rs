//! What clients call, with a token: it alone decides in which project, and its scopes what.

use std::{
    collections::HashSet,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use api_tokens::{Authorized, BearerLayer, DynTokenStore, Project, RequiredScopes, Verifier};
use axum::{
    Json, Router,
    extract::{
        ConnectInfo, DefaultBodyLimit, Path, Query, State,
        rejection::{JsonRejection, PathRejection, QueryRejection},
    },
    http::{StatusCode, request::Parts},
    routing::{get, post},
};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use sources::{Hit, Source, Sources};

use crate::problem::Problem;

const MAX_BODY_BYTES: usize = 64 * 1024;

/// So long before a token's end its clients are told of it, in every response.
const NOTICE: SignedDuration = SignedDuration::from_hours(14 * 24);

/// The routes, behind the layer that verifies tokens: no handler is called without one.
pub(crate) fn routes(verifier: Verifier<DynTokenStore>, sources: Arc<Sources>) -> Router {
    Router::new()
        .route("/api/public/v1/sources", get(list_sources))
        .route("/flows/{flow}", post(run_flow))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        // `route_layer`, so that paths that do not exist stay 404.
        .route_layer(BearerLayer::new(verifier).client_address(peer_address).announce_end(NOTICE))
        .with_state(sources)
}

/// Clients connect to this service themselves. Behind a proxy, this would be the proxy's address,
/// and the client's the one in a header that only this proxy can have written.
pub(crate) fn peer_address(request: &Parts) -> Option<IpAddr> {
    let ConnectInfo(peer) = request.extensions.get::<ConnectInfo<SocketAddr>>()?;
    Some(peer.ip())
}

struct ReadSources;

impl RequiredScopes for ReadSources {
    const SCOPES: &'static [&'static str] = &["sources:read"];
}

async fn list_sources(
    token: Authorized<ReadSources>,
    State(sources): State<Arc<Sources>>,
    parameters: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Result<Json<Vec<PublicSource>>, Problem> {
    let Query(parameters) = parameters?;
    let wanted = wanted_ids(&parameters);
    let list = sources
        .of(token.project())
        .list()
        .iter()
        .filter(|source| wanted.as_ref().is_none_or(|ids| ids.contains(source.id.as_str())))
        .map(|source| PublicSource::new(source, token.project()))
        .collect();
    Ok(Json(list))
}

/// The ids that are asked for, if any are: `?file_ids=a&file_ids=b`, or `?file_ids=a,b` as the
/// `graphor` client writes it.
fn wanted_ids(parameters: &[(String, String)]) -> Option<HashSet<&str>> {
    let mut values = parameters
        .iter()
        .filter(|(name, _)| name == "file_ids")
        .flat_map(|(_, value)| value.split(','))
        .peekable();
    values.peek().is_some().then(|| values.collect())
}

/// A source, as the `graphor` client expects it.
#[derive(Serialize)]
struct PublicSource {
    file_id: String,
    file_name: String,
    file_size: u64,
    file_source: &'static str,
    file_type: String,
    message: &'static str,
    project_id: String,
    project_name: String,
    status: &'static str,
    searchable: bool,
}

impl PublicSource {
    fn new(source: &Source, project: &Project) -> Self {
        Self {
            file_id: source.id.clone(),
            file_name: source.path.clone(),
            file_size: source.size,
            file_source: "local_file",
            file_type: source.extension.clone(),
            message: "Source processed successfully",
            project_id: project.to_string(),
            project_name: project.to_string(),
            status: "completed",
            searchable: true,
        }
    }
}

struct RunFlows;

impl RequiredScopes for RunFlows {
    const SCOPES: &'static [&'static str] = &["flows:run"];
}

#[derive(Deserialize)]
struct FlowInput {
    query: String,
}

#[derive(Serialize)]
struct FlowOutput {
    flow: &'static str,
    /// The best first.
    hits: Vec<Hit>,
}

async fn run_flow(
    token: Authorized<RunFlows>,
    State(sources): State<Arc<Sources>>,
    flow: Result<Path<String>, PathRejection>,
    input: Result<Json<FlowInput>, JsonRejection>,
) -> Result<Json<FlowOutput>, Problem> {
    const FLOW: &str = "search";

    let Path(flow) = flow?;
    if flow != FLOW {
        return Err(Problem::new(StatusCode::NOT_FOUND, "There is no such flow, only `search`"));
    }
    let Json(FlowInput { query }) = input?;
    sources::check_query(&query)
        .map_err(|error| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))?;
    let sources = sources.of(token.project());
    // SQLite blocks the thread it runs on.
    let hits = tokio::task::spawn_blocking(move || sources.search(&query))
        .await
        .map_err(Problem::internal)?
        .map_err(Problem::internal)?;
    Ok(Json(FlowOutput { flow: FLOW, hits }))
}
