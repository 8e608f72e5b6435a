//! The description of the API, made of the handlers' own.

use std::sync::{Arc, LazyLock};

use ::axum::{Json, Router, extract::OriginalUri, routing::get};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        self, Content, HttpMethod, PathItem, Ref, RefOr, Required, Response, ResponseBuilder,
        SecurityRequirement, Server,
        path::{Operation, Parameter, ParameterBuilder, ParameterIn},
        schema::{ObjectBuilder, Type},
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};

use super::{
    Access, Management,
    api::{change, create, read, rotation},
    presented,
    problem::ProblemView,
};
use crate::TokenStore;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "API tokens",
        description = "Create, list, rotate and revoke the API tokens of a project.",
    ),
    paths(
        read::list, create::create, read::read, change::edit, change::revoke, change::disable,
        change::enable, read::events, rotation::rotate, rotation::status, rotation::cancel,
        rotation::finish, change::revoke_all, read::policy,
        presented::who_am_i, presented::revoke_own, presented::introspect, presented::revoke,
    ),
    components(schemas(ProblemView)),
    modifiers(&Common),
)]
struct Document;

static DOCUMENT: LazyLock<openapi::OpenApi> = LazyLock::new(Document::openapi);

pub(super) fn routes<S: TokenStore, A: Access>() -> Router<Arc<Management<S, A>>> {
    Router::new().route("/openapi.json", get(document))
}

/// Only a request tells where the router is mounted.
async fn document(OriginalUri(uri): OriginalUri) -> Json<openapi::OpenApi> {
    let mut document = DOCUMENT.clone();
    let mount = uri.path().strip_suffix("/openapi.json").unwrap_or_default();
    document.servers = Some(vec![Server::new(mount)]);
    Json(document)
}

/// What all operations have in common: who may call them, and how they fail.
struct Common;

impl Modify for Common {
    fn modify(&self, document: &mut openapi::OpenApi) {
        let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", bearer);
        // That of this crate is not that of the service.
        document.info.license = None;
        for (path, item) in &mut document.paths.paths {
            for (method, operation) in operations(item) {
                complete(path, &method, operation);
            }
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (HttpMethod, &mut Operation)> {
    let PathItem { get, post, patch, delete, .. } = item;
    [
        (HttpMethod::Get, get),
        (HttpMethod::Post, post),
        (HttpMethod::Patch, patch),
        (HttpMethod::Delete, delete),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

fn complete(path: &str, method: &HttpMethod, operation: &mut Operation) {
    let is_open = operation.security.is_some();
    let has_project = path.starts_with("/projects/{project}/");
    let has_query = operation.parameters.iter().flatten().any(|parameter| {
        matches!(parameter, RefOr::T(it) if matches!(it.parameter_in, ParameterIn::Query))
    });
    let has_fields = operation.request_body.is_some() || has_query;
    for (name, description) in
        [("project", "The project that the tokens belong to."), ("id", "The id of a token.")]
    {
        if path.contains(&format!("{{{name}}}")) {
            operation.parameters.get_or_insert_default().push(path_parameter(name, description));
        }
    }
    let has_body = operation.request_body.is_some();
    let mut add = |status: &str, description: &str| {
        operation.responses.responses.insert(status.to_owned(), problem(description));
    };
    add("400", "The request cannot be read.");
    add("503", "It cannot be told now, or done: try again later.");
    if !is_open {
        add("401", "A token is missing, or it is not accepted.");
    }
    if has_project {
        add(
            "403",
            "The token lacks a scope, or the person a right, or somebody would get more than they have.",
        );
        add("404", "There is no such token, or project, for whoever asks.");
        if !matches!(method, HttpMethod::Get) {
            add("409", "The state that the token is in does not allow it.");
        }
        if has_fields {
            add("422", "A field is not valid.");
        }
    }
    if matches!(method, HttpMethod::Patch) {
        add("412", "Somebody has changed the token since.");
    }
    if has_body {
        add("413", "The body is too large.");
        add("415", "The body has another content type.");
    }
    if !is_open {
        let token: [String; 0] = [];
        operation.security = Some(vec![SecurityRequirement::new("token", token)]);
    }
}

fn path_parameter(name: &str, description: &str) -> RefOr<Parameter> {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(description))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .build()
        .into()
}

fn problem(description: &str) -> RefOr<Response> {
    let content = Content::new(Some(Ref::from_schema_name("Problem")));
    ResponseBuilder::new()
        .description(description)
        .content("application/problem+json", content)
        .build()
        .into()
}
