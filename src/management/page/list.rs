//! The tokens of a project, as rows.

use ::axum::{Extension, extract::State, http::StatusCode, response::Response};
use jiff::{SignedDuration, Timestamp};

use super::{
    super::{Access, Managed, Management, caller::Caller, problem::Problem, sort},
    document::{Document, respond},
    form::Form,
    place::Place,
    query::Query,
    see_other,
    time::Moment,
};
use crate::{
    State as TokenState, Status, TokenId, TokenRecord, TokenStore, Usage, transition::Operation,
};

/// How many tokens are on one page.
const LIMIT: usize = 50;

/// What is known of the tokens on one page.
pub(super) struct List {
    pub(super) rows: Vec<Row>,
    /// What to send as `after` for the next page.
    pub(super) next: Option<String>,
    /// Whether these are all of the project's that are in use.
    pub(super) is_everything: bool,
}

pub(super) struct Row {
    pub(super) id: TokenId,
    pub(super) name: String,
    pub(super) scopes: Vec<String>,
    pub(super) created: Moment,
    pub(super) last_used: Option<Moment>,
    pub(super) expires: Option<Moment>,
    /// Whether that is within a week.
    pub(super) ends_soon: bool,
    pub(super) status: Status,
    /// Until when it is accepted beside its successor.
    pub(super) overlap_ends: Option<Moment>,
    pub(super) can_be_rotated: bool,
    pub(super) is_final: bool,
}

impl Row {
    pub(super) fn new(record: TokenRecord, usage: Option<Usage>, now: Timestamp) -> Self {
        const SOON: SignedDuration = SignedDuration::from_hours(7 * 24);
        let state = TokenState::of(&record, now);
        let moment = |at| Moment { at, now };
        let is_soon = |end: Timestamp| end.duration_since(now) < SOON;
        Self {
            id: record.id,
            scopes: record.scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
            created: moment(record.created_at),
            last_used: usage.map(|usage| moment(usage.last_used_at)),
            expires: record.expires_at.map(moment),
            ends_soon: !state.is_final() && record.expires_at.is_some_and(is_soon),
            status: record.status(now),
            overlap_ends: record
                .overlap_ends_at()
                .filter(|_| state == TokenState::Rotating)
                .map(moment),
            can_be_rotated: state.allows(Operation::Rotate),
            is_final: state.is_final(),
            name: record.name.into(),
        }
    }

    pub(super) fn status_text(&self) -> &'static str {
        match self.status {
            Status::Active => "Active",
            Status::NotYetValid => "Not yet valid",
            Status::Disabled => "Disabled",
            Status::Expired => "Expired",
            Status::RotatedOut => "Rotated out",
            Status::Revoked => "Revoked",
        }
    }
}

impl List {
    pub(super) async fn read<S: TokenStore, A: Access>(
        management: &Management<S, A>,
        caller: &Caller,
        query: &Query,
    ) -> Result<Self, Problem> {
        let issuer = &management.issuer;
        let (records, next) = match Self::with_id(management, caller, query).await? {
            Some(record) => (vec![record], None),
            None => Self::matching(management, caller, query).await?,
        };
        let now = issuer.now();
        let usages = issuer.usage(&records).await?;
        let rows = records.into_iter().zip(usages);
        let rows = rows.map(|(record, usage)| Row::new(record, usage, now)).collect();
        Ok(Self { rows, next, is_everything: query.is_everything() })
    }

    async fn matching<S: TokenStore, A: Access>(
        management: &Management<S, A>,
        caller: &Caller,
        query: &Query,
    ) -> Result<(Vec<TokenRecord>, Option<String>), Problem> {
        let (issuer, actor) = (&management.issuer, &caller.actor);
        let selection = query.selection(caller);
        let list = |after| sort::list(issuer, &selection, actor, query.order, after, LIMIT);
        match list(query.after.clone()).await {
            // The token after which this page began is gone, or nobody knows what was sent.
            Err(problem) if problem.field() == Some("after") => list(None).await,
            result => result,
        }
    }

    /// The token whose id is looked for, whatever its status.
    async fn with_id<S: TokenStore, A: Access>(
        management: &Management<S, A>,
        caller: &Caller,
        query: &Query,
    ) -> Result<Option<TokenRecord>, Problem> {
        let Ok(id) = query.search.parse() else { return Ok(None) };
        Ok(management.issuer.get(id, &caller.actor).await?)
    }
}

/// The page itself.
pub(super) async fn list<S: TokenStore, A: Access>(
    State(management): Managed<S, A>,
    Extension(place): Extension<Place>,
    caller: Caller,
) -> Result<Response, Problem> {
    let notice = match place.query.revoked {
        Some(id) => revoked_notice(&management, &caller, id).await?,
        None => None,
    };
    let list = List::read(&management, &caller, &place.query).await;
    let status = list.as_ref().err().map_or(StatusCode::OK, Problem::status);
    let document = Document::new(&management.product, &place, &caller, list);
    Ok(respond(status, &Document { notice, ..document }))
}

/// What to say after a revocation. Anybody can make a link that asks for it, so it is true.
async fn revoked_notice<S: TokenStore, A: Access>(
    management: &Management<S, A>,
    caller: &Caller,
    id: TokenId,
) -> Result<Option<String>, Problem> {
    let record = management.issuer.get(id, &caller.actor).await?;
    let revoked = record.filter(|record| record.status(management.issuer.now()) == Status::Revoked);
    Ok(revoked.map(|record| record.name.into()))
}

/// Where the list is as a form asks for it. The form is posted, and a token in it becomes its id:
/// people who want to know which one theirs is paste it, and it must not get into a URL.
pub(super) async fn search<S: TokenStore, A: Access>(
    State(management): Managed<S, A>,
    Extension(place): Extension<Place>,
    form: Form,
) -> Response {
    let query = Query::of_form(&form, management.issuer.prefix());
    see_other(&place.with_query("", &query))
}
