use ::axum::{Json, extract::State};
use serde::Deserialize;
use utoipa::IntoParams;

use super::super::{
    Access, Managed,
    caller::Caller,
    input::{self, Id, Parameters, Shape, parsed, word},
    problem::Problem,
    sort::{self, Order},
    view::{EventPage, PolicyView, StatusView, TokenPage, TokenView},
};
use crate::{EventNumber, Page, Selection, Status, TokenStore};

/// Which tokens to list: those that match every parameter.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in super::super) struct ListParameters {
    /// Only tokens that now have this status.
    #[param(inline, value_type = Option<StatusView>)]
    status: Option<String>,
    /// Only tokens that act for this owner.
    #[param(min_length = 1, max_length = 200)]
    owner: Option<String>,
    /// Only tokens that this person or service created, in person or through a token.
    #[param(min_length = 1, max_length = 200)]
    created_by: Option<String>,
    /// Only tokens that were created through the token with this id.
    #[param(pattern = "^[0-9A-Za-z]{16}$")]
    created_through: Option<String>,
    /// Only tokens that were created before this instant.
    #[param(format = DateTime)]
    created_before: Option<String>,
    /// Only tokens whose whole name is like this, in upper or lower case; `*` stands for any text.
    #[param(max_length = 200, example = "*rest*")]
    name: Option<String>,
    /// Only tokens that come to their end before this instant: with `living`, those that expire
    /// soon.
    #[param(format = DateTime)]
    ends_before: Option<String>,
    /// Only tokens that were last used before this instant, or never, and created before it.
    #[param(format = DateTime)]
    unused_since: Option<String>,
    /// `true` for only tokens that nothing has ended.
    #[param(value_type = Option<bool>)]
    living: Option<String>,
    /// In which order: `newest` if this is left out, and the only one for more than 10,000 tokens.
    #[param(inline, value_type = Option<Order>)]
    sort: Option<String>,
    /// The `next` of the page before, in the same order.
    after: Option<String>,
    /// How many on one page.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1000, default = 100)]
    limit: Option<String>,
}

impl Shape for ListParameters {
    const FIELDS: &'static [&'static str] = &[
        "status",
        "owner",
        "created_by",
        "created_through",
        "created_before",
        "name",
        "ends_before",
        "unused_since",
        "living",
        "sort",
        "after",
        "limit",
    ];
}

/// List tokens
///
/// In pages.
#[utoipa::path(
    get, path = "/projects/{project}/tokens", tag = "tokens", operation_id = "list",
    params(ListParameters),
    responses((status = 200, body = TokenPage)),
)]
pub(in super::super) async fn list<S: TokenStore, A: Access>(
    State(management): Managed<S, A>,
    Caller { actor, project, .. }: Caller,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Json<TokenPage>, Problem> {
    let ListParameters {
        status,
        owner,
        created_by,
        created_through,
        created_before,
        name,
        ends_before,
        unused_since,
        living,
        sort,
        after,
        limit,
    } = parameters;
    let selection = Selection {
        status: status.map(|text| word::<Status>("status", text)).transpose()?,
        owner: input::text("owner", owner)?,
        created_by: input::text("created_by", created_by)?,
        created_through: input::token_id("created_through", created_through)?,
        created_before: input::instant("created_before", created_before)?,
        name_pattern: input::pattern("name", name)?,
        ends_before: input::instant("ends_before", ends_before)?,
        unused_since: input::instant("unused_since", unused_since)?,
        living: parsed("living", living)?.unwrap_or(false),
        ..Selection::of_project(project)
    };
    let limit = parsed_limit(limit)?;
    let order = sort.map(|text| word("sort", text)).transpose()?.unwrap_or_default();
    let issuer = &management.issuer;
    let (records, next) = sort::list(issuer, &selection, &actor, order, after, limit).await?;
    Ok(Json(TokenPage::new(issuer, records, next).await?))
}

fn parsed_limit(text: Option<String>) -> Result<usize, Problem> {
    match parsed("limit", text)? {
        Some(limit) if (1..=Page::MAX_LIMIT).contains(&limit) => Ok(limit),
        Some(_) => {
            Err(Problem::in_field("limit", format!("must be from 1 to {}", Page::MAX_LIMIT)))
        }
        None => Ok(Page::DEFAULT_LIMIT),
    }
}

/// Read a token
#[utoipa::path(
    get, path = "/projects/{project}/tokens/{id}", tag = "tokens", operation_id = "read",
    responses((status = 200, body = TokenView, headers(("ETag" = String)))),
)]
pub(in super::super) async fn read<S: TokenStore, A: Access>(
    State(management): Managed<S, A>,
    Caller { actor, .. }: Caller,
    Id(id): Id,
) -> Result<TokenView, Problem> {
    let issuer = &management.issuer;
    let record = issuer.get(id, &actor).await?.ok_or_else(Problem::not_found)?;
    Ok(TokenView::of(issuer, record).await?)
}

/// Which events to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in super::super) struct EventParameters {
    /// Only events before this number.
    #[param(value_type = Option<i64>, minimum = 0)]
    before: Option<String>,
    /// How many.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1000, default = 100)]
    limit: Option<String>,
}

impl Shape for EventParameters {
    const FIELDS: &'static [&'static str] = &["before", "limit"];
}

/// What happened to a token
///
/// Newest first.
#[utoipa::path(
    get, path = "/projects/{project}/tokens/{id}/events", tag = "tokens", operation_id = "events",
    params(EventParameters),
    responses((status = 200, body = EventPage)),
)]
pub(in super::super) async fn events<S: TokenStore, A: Access>(
    State(management): Managed<S, A>,
    Caller { actor, .. }: Caller,
    Id(id): Id,
    Parameters(parameters): Parameters<EventParameters>,
) -> Result<Json<EventPage>, Problem> {
    // JSON has numbers of 64 bits with a sign.
    let before: Option<i64> = parsed("before", parameters.before)?;
    let before = before.map(u64::try_from).transpose();
    let before = before.map_err(|_| Problem::in_field("before", "must not be negative"))?;
    let before = before.map(EventNumber);
    let limit = parsed_limit(parameters.limit)?;
    let events = management.issuer.events(id, &actor, before, limit).await?;
    Ok(Json(EventPage::new(events, limit)))
}

/// How long tokens may live
#[utoipa::path(
    get, path = "/projects/{project}/policy", tag = "tokens", operation_id = "policy",
    responses((status = 200, body = PolicyView)),
)]
pub(in super::super) async fn policy<S: TokenStore, A: Access>(
    State(management): Managed<S, A>,
    _: Caller,
) -> Json<PolicyView> {
    Json(PolicyView::new(management.issuer.policy()))
}
