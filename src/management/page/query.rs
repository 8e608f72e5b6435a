//! How the list is looked at: which tokens, in which order, from where on.

use core::fmt;

use form_urlencoded::Serializer;
use serde::de::DeserializeOwned;

use super::{
    super::{caller::Caller, sort::Order},
    form::{Choice, Form},
};
use crate::{Prefix, Selection, Status, TokenId};

/// Of what is searched for, in characters: it is compared with many names.
const MAX_SEARCH: usize = 200;

/// Of the place where a page begins, in bytes: it is in each link, and real ones are shorter.
const MAX_AFTER: usize = 64;

/// So many letters and digits in a row are no word, but may be a secret.
const SECRET_CHARS: usize = 30;

/// How the list is looked at. What makes no sense is left out: a page for people has no use for an
/// error.
#[derive(Clone, Default)]
pub(super) struct Query {
    pub(super) search: String,
    pub(super) which: Which,
    pub(super) order: Order,
    pub(super) after: Option<String>,
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
    pub(super) fn of(text: &str, prefix: &Prefix) -> Self {
        let mut query = Self::default();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            match &*name {
                "search" => query.search = searched(&value, prefix),
                "status" => query.which = Which::of(&value),
                "sort" => query.order = word(&value).unwrap_or_default(),
                "after" if value.len() <= MAX_AFTER => query.after = Some(value.into_owned()),
                _ => {}
            }
        }
        query
    }

    /// As the form of the list has it.
    pub(super) fn of_form(form: &Form, prefix: &Prefix) -> Self {
        Self {
            search: searched(form.text("search"), prefix),
            which: Which::of(form.text("status")),
            order: word(form.text("sort")).unwrap_or_default(),
            ..Self::default()
        }
    }

    /// Whether it leaves nothing out of what is in use.
    pub(super) fn is_everything(&self) -> bool {
        self.search.is_empty() && self.which == Which::Living && self.after.is_none()
    }

    pub(super) fn selection(&self, caller: &Caller) -> Selection {
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

    pub(super) fn statuses(&self) -> Vec<Choice> {
        let statuses = [
            Status::Active,
            Status::NotYetValid,
            Status::Disabled,
            Status::Expired,
            Status::RotatedOut,
            Status::Revoked,
        ];
        let statuses = statuses.map(|status| (Which::Only(status), status_text(status)));
        let choices = [(Which::Living, "In use")].into_iter().chain(statuses);
        let choices = choices.chain([(Which::All, "All")]);
        choices.map(|(which, text)| choice(which.as_str(), text, which == self.which)).collect()
    }

    pub(super) fn orders(&self) -> Vec<Choice> {
        let choices = [
            (Order::Newest, "Newest first"),
            (Order::Oldest, "Oldest first"),
            (Order::Name, "By name"),
            (Order::LastUsed, "Last used first"),
            (Order::EndsFirst, "First to expire"),
        ];
        choices.map(|(order, text)| choice(order.as_str(), text, order == self.order)).into()
    }
}

/// As in a URL. Defaults are left out.
impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { search, which, order, after } = self;
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
    serde_json::from_value(text.into()).ok()
}

fn choice(value: &'static str, text: &'static str, is_chosen: bool) -> Choice {
    Choice { value: value.into(), text: text.into(), is_chosen }
}

pub(super) fn status_text(status: Status) -> &'static str {
    match status {
        Status::Active => "Active",
        Status::NotYetValid => "Not yet valid",
        Status::Disabled => "Disabled",
        Status::Expired => "Expired",
        Status::RotatedOut => "Rotated out",
        Status::Revoked => "Revoked",
    }
}

/// What is looked for, without the secret of a token that is in it, whole or in part: it would get
/// into links. A token of this prefix becomes its id.
fn searched(text: &str, prefix: &Prefix) -> String {
    let start = format!("{}_", prefix.as_str());
    let id = text.split(&start).skip(1).find_map(|rest| {
        let id: TokenId = rest.get(..TokenId::LEN)?.parse().ok()?;
        Some(id.to_string())
    });
    id.unwrap_or_else(|| without_secrets(text).trim().chars().take(MAX_SEARCH).collect())
}

fn without_secrets(text: &str) -> String {
    let is_word = |character: char| character.is_ascii_alphanumeric();
    let words = text.split_inclusive(|character| !is_word(character));
    let shown = words.map(|word| match word.trim_end_matches(|character| !is_word(character)) {
        secret if secret.len() >= SECRET_CHARS => word.replacen(secret, "…", 1),
        _ => word.to_owned(),
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prefix;

    const PREFIX: Prefix = prefix!("acme_live");
    const TOKEN: &str = "acme_live_Ky9Pf34qY6Nb3wWD_25RQ4F5ZR3qa7yEeeby3abP3E2Zs8IQ9Y7aJZqh1H1ztQ";

    #[test]
    fn the_secret_of_a_token_is_not_searched_for() {
        for (text, search) in [
            (TOKEN.to_owned(), "Ky9Pf34qY6Nb3wWD"),
            (TOKEN[..40].to_owned(), "Ky9Pf34qY6Nb3wWD"),
            (format!("Authorization: Bearer {TOKEN}"), "Ky9Pf34qY6Nb3wWD"),
            (format!("acme_live_x=\"{TOKEN}\""), "Ky9Pf34qY6Nb3wWD"),
            ("Ky9Pf34qY6Nb3wWD".to_owned(), "Ky9Pf34qY6Nb3wWD"),
            ("acme_live_server".to_owned(), "acme_live_server"),
            ("acme_live_üüüüüüüüüüüüüüüü".to_owned(), "acme_live_üüüüüüüüüüüüüüüü"),
            (String::new(), ""),
            // Parts of a token, and what is almost one.
            (TOKEN[1..].to_owned(), "cme_live_Ky9Pf34qY6Nb3wWD_…"),
            (TOKEN[10..].to_owned(), "Ky9Pf34qY6Nb3wWD_…"),
            (TOKEN[27..].to_owned(), "…"),
            (TOKEN.replace("acme", "Acme"), "Acme_live_Ky9Pf34qY6Nb3wWD_…"),
            (TOKEN.replacen('_', "%5F", 1), "acme%5Flive_Ky9Pf34qY6Nb3wWD_…"),
            (TOKEN.replace("Ky9", "Ky9 "), "acme_live_Ky9 Pf34qY6Nb3wWD_…"),
            (format!("12|{}", "a1".repeat(20)), "12|…"),
            ("Donaudampfschifffahrtsgesell".to_owned(), "Donaudampfschifffahrtsgesell"),
            ("-".repeat(201), &"-".repeat(200)),
        ] {
            assert_eq!(searched(&text, &PREFIX), search);
        }
    }

    #[test]
    fn queries_are_read_as_they_are_written() {
        for text in ["", "search=a+%26+b&status=all&sort=name&after=x", "status=rotated_out"] {
            assert_eq!(Query::of(text, &PREFIX).to_string(), text);
        }
        let lenient = "search=%FF&search=++b&status=x&sort=&after=1&other";
        assert_eq!(Query::of(lenient, &PREFIX).to_string(), "search=b&after=1");
    }
}
