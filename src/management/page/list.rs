//! The tokens of a project, and which of them, in which order.

use core::fmt;

use ::axum::{Extension, extract::State, http::StatusCode, response::Response};
use form_urlencoded::Serializer;
use jiff::{SignedDuration, Timestamp};
use serde::de::{DeserializeOwned, IntoDeserializer, value};

use super::{
    super::{
        Access, Managed, Management,
        caller::Caller,
        problem::Problem,
        sort::{self, Order},
    },
    document::{Document, respond},
    form::Form,
    place::Place,
    see_other,
    time::Moment,
};
use crate::{
    Prefix, Selection, State as TokenState, Status, TokenId, TokenRecord, TokenStore, Usage,
    transition::Operation,
};

/// How many tokens are on one page.
const LIMIT: usize = 50;

/// Of what is searched for, in characters: it is compared with many names.
const MAX_SEARCH: usize = 200;

/// How the list is looked at. What makes no sense is left out: a page for people has no use for an
/// error.
#[derive(Clone, Default)]
pub(super) struct Query {
    pub(super) search: String,
    pub(super) which: Which,
    pub(super) order: Order,
    pub(super) after: Option<String>,
    /// The token that was revoked just now.
    pub(super) revoked: Option<TokenId>,
}

/// Of which status the tokens are.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Which {
    /// Nothing has ended them.
    #[default]
    Living,
    Only(Status),
    All,
}

impl Query {
    pub(super) fn of(text: &str) -> Self {
        let mut query = Self::default();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            match &*name {
                "search" => query.search = value.trim().chars().take(MAX_SEARCH).collect(),
                "status" => query.which = Which::of(&value),
                "sort" => query.order = word(&value).unwrap_or_default(),
                "after" => query.after = Some(value.into_owned()),
                "revoked" => query.revoked = value.parse().ok(),
                _ => {}
            }
        }
        query
    }

    fn is_everything(&self) -> bool {
        self.search.is_empty() && self.which == Which::Living && self.after.is_none()
    }
}

/// As in a URL, without what is as it is anyway.
impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { search, which, order, after, revoked } = self;
        let mut query = Serializer::new(String::new());
        if !search.is_empty() {
            query.append_pair("search", search);
        }
        if *which != Which::default() {
            query.append_pair("status", which.as_str());
        }
        if *order != Order::default() {
            query.append_pair("sort", order.as_str());
        }
        if let Some(after) = after {
            query.append_pair("after", after);
        }
        if let Some(revoked) = revoked {
            query.append_pair("revoked", revoked.as_str());
        }
        f.write_str(&query.finish())
    }
}

impl Which {
    fn of(text: &str) -> Self {
        match text {
            "all" => Self::All,
            text => word(text).map_or(Self::Living, Self::Only),
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Living => "",
            Self::Only(status) => status.as_str(),
            Self::All => "all",
        }
    }
}

/// One of the words of an enumeration.
fn word<T: DeserializeOwned>(text: &str) -> Option<T> {
    let deserializer: value::StrDeserializer<'_, value::Error> = text.into_deserializer();
    T::deserialize(deserializer).ok()
}

/// Which is what in a field with fixed choices.
pub(super) struct Choice {
    pub(super) value: &'static str,
    pub(super) text: &'static str,
    pub(super) is_chosen: bool,
}

impl Query {
    pub(super) fn statuses(&self) -> Vec<Choice> {
        let choices = [
            (Which::Living, "In use"),
            (Which::Only(Status::Active), "Active"),
            (Which::Only(Status::NotYetValid), "Not yet valid"),
            (Which::Only(Status::Disabled), "Disabled"),
            (Which::Only(Status::Expired), "Expired"),
            (Which::Only(Status::RotatedOut), "Rotated out"),
            (Which::Only(Status::Revoked), "Revoked"),
            (Which::All, "All"),
        ];
        let choice = |(which, text): (Which, _)| Choice {
            value: which.as_str(),
            text,
            is_chosen: which == self.which,
        };
        choices.map(choice).into()
    }

    pub(super) fn orders(&self) -> Vec<Choice> {
        let choices = [
            (Order::Newest, "Newest first"),
            (Order::Oldest, "Oldest first"),
            (Order::Name, "By name"),
            (Order::LastUsed, "Last used first"),
            (Order::EndsFirst, "First to expire"),
        ];
        let choice = |(order, text): (Order, _)| Choice {
            value: order.as_str(),
            text,
            is_chosen: order == self.order,
        };
        choices.map(choice).into()
    }
}

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

impl Query {
    fn selection(&self, caller: &Caller) -> Selection {
        let pattern = format!("*{}*", self.search);
        Selection {
            status: match self.which {
                Which::Only(status) => Some(status),
                Which::Living | Which::All => None,
            },
            living: self.which == Which::Living,
            name_pattern: (!self.search.is_empty()).then_some(pattern),
            ..Selection::of_project(caller.project.clone())
        }
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
    let query = Query {
        search: searched(form.text("search"), management.issuer.prefix()),
        which: Which::of(form.text("status")),
        order: word(form.text("sort")).unwrap_or_default(),
        ..Query::default()
    };
    see_other(&place.with_query("", &query))
}

/// What is looked for, without the secret of a token that is in it.
fn searched(text: &str, prefix: &Prefix) -> String {
    let start = format!("{}_", prefix.as_str());
    let id = text.split(&start).skip(1).find_map(|rest| {
        let id: TokenId = rest.get(..TokenId::LEN)?.parse().ok()?;
        Some(id.to_string())
    });
    id.unwrap_or_else(|| text.chars().take(MAX_SEARCH).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "acme_live_Ky9Pf34qY6Nb3wWD_25RQ4F5ZR3qa7yEeeby3abP3E2Zs8IQ9Y7aJZqh1H1ztQ";

    #[test]
    fn the_secret_of_a_token_is_not_searched_for() {
        let prefix = Prefix::new("acme_live").unwrap();
        for (text, search) in [
            (TOKEN.to_owned(), "Ky9Pf34qY6Nb3wWD"),
            (TOKEN[..40].to_owned(), "Ky9Pf34qY6Nb3wWD"),
            (format!("Authorization: Bearer {TOKEN}"), "Ky9Pf34qY6Nb3wWD"),
            (format!("acme_live_x=\"{TOKEN}\""), "Ky9Pf34qY6Nb3wWD"),
            ("Ky9Pf34qY6Nb3wWD".to_owned(), "Ky9Pf34qY6Nb3wWD"),
            ("acme_live_server".to_owned(), "acme_live_server"),
            ("acme_live_üüüüüüüüüüüüüüüü".to_owned(), "acme_live_üüüüüüüüüüüüüüüü"),
            (String::new(), ""),
            ("x".repeat(201), &"x".repeat(200)),
        ] {
            assert_eq!(searched(&text, &prefix), search);
        }
    }

    #[test]
    fn queries_are_read_as_they_are_written() {
        for text in [
            "",
            "search=a+%26+b&status=all&sort=name&after=x&revoked=Ky9Pf34qY6Nb3wWD",
            "status=rotated_out",
        ] {
            assert_eq!(Query::of(text).to_string(), text);
        }
        let lenient = "search=%FF&search=++b&status=x&sort=&after=1&other&revoked=!";
        assert_eq!(Query::of(lenient).to_string(), "search=b&after=1");
    }
}
