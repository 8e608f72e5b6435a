//! The tokens of a project, as rows.

use ::axum::{
    Extension,
    extract::{RawQuery, State},
    http::StatusCode,
    response::Response,
};
use jiff::{SignedDuration, Timestamp};

use super::{
    super::{Access, Managed, problem::Problem, sort},
    document::{Document, respond},
    form::Form,
    place::Place,
    query::{Query, status_text},
    see_other,
    time::Moment,
    visit::Visit,
};
use crate::{
    Issuer, State as TokenState, Status, TokenId, TokenRecord, TokenStore, Usage,
    transition::Operation,
};

/// How many tokens are on one page.
const LIMIT: usize = 50;

/// What is known of the tokens on one page.
pub(super) struct List {
    pub(super) rows: Vec<Row>,
    /// What to send as `after` for the next page.
    pub(super) next: Option<String>,
}

/// A token, for people. What a template shows is a method here.
pub(super) struct Row {
    pub(super) record: TokenRecord,
    pub(super) last_use: Option<LastUse>,
    /// Whether it would be known if it had been used.
    pub(super) use_is_noted: bool,
    pub(super) now: Timestamp,
}

/// When a token was last used, and from where.
pub(super) struct LastUse {
    pub(super) usage: Usage,
    pub(super) now: Timestamp,
}

impl LastUse {
    pub(super) fn at(&self) -> Moment {
        Moment { at: self.usage.last_used_at, now: self.now }
    }
}

impl Row {
    fn new<S: TokenStore>(issuer: &Issuer<S>, record: TokenRecord, usage: Option<Usage>) -> Self {
        let now = issuer.now();
        let last_use = usage.map(|usage| LastUse { usage, now });
        Self { record, last_use, use_is_noted: issuer.notes_usage(), now }
    }

    pub(super) async fn read<S: TokenStore, A: Access>(
        visit: &Visit<S, A>,
        id: TokenId,
    ) -> Result<Self, Problem> {
        let issuer = &visit.management.issuer;
        let record = issuer.get(id, &visit.caller.actor).await?;
        let record = record.ok_or_else(Problem::not_found)?;
        let usage = issuer.usage_of_one(&record).await?;
        Ok(Self::new(issuer, record, usage))
    }

    pub(super) fn moment(&self, at: &Timestamp) -> Moment {
        Moment { at: *at, now: self.now }
    }

    pub(super) fn created(&self) -> Moment {
        self.moment(&self.record.created_at)
    }

    pub(super) fn expires(&self) -> Option<Moment> {
        self.record.expires_at.map(|at| self.moment(&at))
    }

    pub(super) fn expires_soon(&self) -> bool {
        const SOON: SignedDuration = SignedDuration::from_hours(7 * 24);
        let is_soon = |end: Timestamp| end.duration_since(self.now) < SOON;
        !self.is_final() && self.record.expires_at.is_some_and(is_soon)
    }

    pub(super) fn state(&self) -> TokenState {
        TokenState::of(&self.record, self.now)
    }

    pub(super) fn status(&self) -> Status {
        self.record.status(self.now)
    }

    pub(super) fn status_text(&self) -> &'static str {
        status_text(self.status())
    }

    /// Until when it is accepted beside its successor.
    pub(super) fn overlap_ends(&self) -> Option<Moment> {
        let end = self.record.overlap_ends_at().filter(|_| self.state() == TokenState::Rotating);
        end.map(|at| self.moment(&at))
    }

    pub(super) fn is_final(&self) -> bool {
        self.state().is_final()
    }

    pub(super) fn can_be_rotated(&self) -> bool {
        self.state().allows(Operation::Rotate)
    }

    pub(super) fn can_be_disabled(&self) -> bool {
        !self.record.disabled && self.state().allows(Operation::Disable)
    }

    pub(super) fn can_be_enabled(&self) -> bool {
        self.record.disabled && self.state().allows(Operation::Enable)
    }
}

impl List {
    pub(super) async fn read<S: TokenStore, A: Access>(
        visit: &Visit<S, A>,
    ) -> Result<Self, Problem> {
        let issuer = &visit.management.issuer;
        let (records, next) = match with_id(visit).await? {
            Some(record) => (vec![record], None),
            None => matching(visit).await?,
        };
        let usages = issuer.usage(&records).await?;
        let rows = records.into_iter().zip(usages);
        let rows = rows.map(|(record, usage)| Row::new(issuer, record, usage)).collect();
        Ok(Self { rows, next })
    }
}

/// The token whose id is looked for, whatever its status.
async fn with_id<S: TokenStore, A: Access>(
    visit: &Visit<S, A>,
) -> Result<Option<TokenRecord>, Problem> {
    let Ok(id) = visit.place.query.search.parse() else { return Ok(None) };
    Ok(visit.management.issuer.get(id, &visit.caller.actor).await?)
}

async fn matching<S: TokenStore, A: Access>(
    visit: &Visit<S, A>,
) -> Result<(Vec<TokenRecord>, Option<String>), Problem> {
    let Visit { management, caller, place: Place { query, .. } } = visit;
    let selection = query.selection(caller);
    let list = |after| {
        sort::list(&management.issuer, &selection, &caller.actor, query.order, after, LIMIT)
    };
    match list(query.after.clone()).await {
        // The token after which this page began is gone, or nobody knows what was sent.
        Err(problem) if problem.field() == Some("after") => list(None).await,
        result => result,
    }
}

/// The page itself.
pub(super) async fn list<S: TokenStore, A: Access>(
    visit: Visit<S, A>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let revoked = match Place::revoked(query.as_deref().unwrap_or_default()) {
        Some(id) => name_of_revoked(&visit, id).await?,
        None => None,
    };
    let list = List::read(&visit).await;
    let status = list.as_ref().err().map_or(StatusCode::OK, Problem::status);
    Ok(respond(status, &Document { revoked, ..visit.document(list) }))
}

/// What to say after a revocation. Anybody can make a link that asks for it, so it is true.
async fn name_of_revoked<S: TokenStore, A: Access>(
    visit: &Visit<S, A>,
    id: TokenId,
) -> Result<Option<String>, Problem> {
    let issuer = &visit.management.issuer;
    let record = issuer.get(id, &visit.caller.actor).await?;
    let revoked = record.filter(|record| record.status(issuer.now()) == Status::Revoked);
    Ok(revoked.map(|record| record.name.into()))
}

/// Where the list is as a form asks for it. The form is posted, and a token in it becomes its id:
/// people who want to know which one theirs is paste it, and it must not get into a URL.
///
/// Nobody is asked who they are: this reads nothing and changes nothing.
pub(super) async fn search<S: TokenStore, A: Access>(
    State(management): Managed<S, A>,
    Extension(place): Extension<Place>,
    form: Form,
) -> Response {
    let query = Query::of_form(&form, management.issuer.prefix());
    see_other(&place.with_query("", &query))
}
