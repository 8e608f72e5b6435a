//! The tools, and which token may use which.

use std::sync::Arc;

use api_tokens::{Clock, Scopes, SystemClock, Verified};
use axum::http::request::Parts;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    handler::server::common::{schema_for_empty_input, schema_for_type},
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation,
        JsonObject, ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig,
    },
    service::RequestContext,
};
use schemars::JsonSchema;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use sources::{MAX_QUERY_CHARS, Sources};

use crate::{caller::Caller, stdio::Process};

/// The only flow that there is.
const FLOW: &str = "search";

/// A tool, as clients name it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Tool {
    SearchSources,
    RunFlow,
    WhoAmI,
}

impl Tool {
    const ALL: [Self; 3] = [Self::SearchSources, Self::RunFlow, Self::WhoAmI];

    fn name(self) -> &'static str {
        match self {
            Self::SearchSources => "search_sources",
            Self::RunFlow => "run_flow",
            Self::WhoAmI => "whoami",
        }
    }

    /// What a token needs for it.
    fn required(self) -> &'static str {
        match self {
            Self::SearchSources => "sources:read",
            Self::RunFlow => "flows:run",
            Self::WhoAmI => "",
        }
    }

    fn is_allowed_to(self, caller: &Caller) -> bool {
        // These are scopes, or none.
        self.required().parse().is_ok_and(|required: Scopes| caller.scopes.covers(&required))
    }

    fn definition(self) -> rmcp::model::Tool {
        let (description, schema) = match self {
            Self::SearchSources => (
                "Search the project's sources for words, and get the best matches",
                schema_for_type::<Query>(),
            ),
            Self::RunFlow => ("Run a flow of the project", schema_for_type::<Run>()),
            Self::WhoAmI => {
                ("Say what the access token is, and what it may do", schema_for_empty_input())
            }
        };
        rmcp::model::Tool::new(self.name(), description, schema)
    }
}

#[derive(Deserialize, JsonSchema)]
struct Query {
    /// Words to look for, separated by blanks
    #[schemars(length(min = 1, max = MAX_QUERY_CHARS))]
    query: String,
}

#[derive(Deserialize, JsonSchema)]
struct Run {
    /// The name of the flow: `search`
    flow: String,
    /// Words to look for, separated by blanks
    #[schemars(length(min = 1, max = MAX_QUERY_CHARS))]
    query: String,
}

/// Where the token of a call comes from.
#[derive(Clone)]
pub(crate) enum Callers {
    /// Each request has brought one.
    Requests,
    /// The process has one.
    Process(Arc<Process>),
}

/// What answers the clients' messages.
#[derive(Clone)]
pub(crate) struct Tools {
    pub(crate) sources: Arc<Sources>,
    pub(crate) callers: Callers,
}

impl ServerHandler for Tools {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("example-service", env!("CARGO_PKG_VERSION")))
            .with_instructions("The sources and flows of the project that the access token is for.")
    }

    /// Those that the token may use: an assistant shall not be tempted by others.
    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let caller = self.caller(&context).await?;
        let allowed = Tool::ALL.into_iter().filter(|tool| tool.is_allowed_to(&caller));
        Ok(ListToolsResult::with_all_items(allowed.map(Tool::definition).collect()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let caller = self.caller(&context).await?;
        let tool = Tool::ALL
            .into_iter()
            .find(|tool| tool.name() == request.name)
            .ok_or_else(|| ErrorData::invalid_params("There is no such tool", None))?;
        if !tool.is_allowed_to(&caller) {
            return Err(insufficient_scope(tool.required()));
        }
        let arguments = request.arguments.unwrap_or_default();
        let result = match tool {
            Tool::SearchSources => match parse::<Query>(arguments) {
                Ok(Query { query }) => self.search(&caller, query).await?,
                Err(error) => error,
            },
            Tool::RunFlow => match parse::<Run>(arguments) {
                Ok(Run { flow, query }) if flow == FLOW => self.search(&caller, query).await?,
                Ok(_) => failed("There is no such flow, only `search`"),
                Err(error) => error,
            },
            Tool::WhoAmI => CallToolResult::structured(who_am_i(&caller)),
        };
        Ok(with_notice(result, &caller).into())
    }
}

impl Tools {
    async fn caller(&self, context: &RequestContext<RoleServer>) -> Result<Caller, ErrorData> {
        match &self.callers {
            Callers::Requests => {
                // `BearerLayer` has verified it, for this very request.
                let request = context.extensions.get::<Parts>();
                let token = request.and_then(|request| request.extensions.get::<Verified>());
                token.map(Caller::from).ok_or_else(|| {
                    ErrorData::internal_error("The server failed to handle the request", None)
                })
            }
            Callers::Process(process) => process
                .caller()
                .await
                .map_err(|error| ErrorData::invalid_request(error.to_string(), None)),
        }
    }

    async fn search(&self, caller: &Caller, query: String) -> Result<CallToolResult, ErrorData> {
        if let Err(error) = sources::check_query(&query) {
            return Ok(failed(&error.to_string()));
        }
        let sources = self.sources.of(&caller.project);
        // SQLite blocks the thread it runs on.
        let found = tokio::task::spawn_blocking(move || sources.search(&query)).await;
        match found {
            Ok(Ok(hits)) => Ok(CallToolResult::structured(json!({ "hits": hits }))),
            _ => Err(ErrorData::internal_error("The server failed to search", None)),
        }
    }
}

fn who_am_i(caller: &Caller) -> Value {
    json!({
        "token_id": caller.token.as_str(),
        "project": caller.project.as_str(),
        "owner": caller.owner,
        "scopes": caller.scopes.to_string(),
        "ends_at": caller.ends_at.map(|end| end.to_string()),
    })
}

/// As RFC 6750 calls it, so that a program can tell.
fn insufficient_scope(required: &str) -> ErrorData {
    ErrorData::invalid_request(
        format!("The access token lacks a required scope: {required}"),
        Some(json!({ "error": "insufficient_scope", "scope": required })),
    )
}

fn parse<T: DeserializeOwned>(arguments: JsonObject) -> Result<T, CallToolResult> {
    // The error names fields and types.
    serde_json::from_value(Value::Object(arguments)).map_err(|error| failed(&error.to_string()))
}

/// What an assistant can mend.
fn failed(reason: &str) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(reason)])
}

/// In the text and in what is structured: clients show one of them.
fn with_notice(mut result: CallToolResult, caller: &Caller) -> CallToolResult {
    if let Some(notice) = caller.notice(SystemClock.now()) {
        if let Some(Value::Object(structured)) = &mut result.structured_content {
            structured.insert("notice".to_owned(), notice.clone().into());
        }
        result.content.push(ContentBlock::text(notice));
    }
    result
}
