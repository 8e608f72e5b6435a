//! Where things are: the router may be mounted anywhere.

use ::axum::{
    extract::{OriginalUri, Request},
    http::Uri,
};
use form_urlencoded::Serializer;

use super::{
    assets,
    query::{Query, Which},
};
use crate::{Prefix, TokenId};

/// The paths that links lead to, as they must be written, and how the list is looked at, which is
/// kept from page to page.
#[derive(Clone)]
pub(super) struct Place {
    /// Where the router is mounted.
    mount: String,
    /// The project's list.
    tokens: String,
    /// What was asked for.
    here: String,
    pub(super) query: Query,
}

impl Place {
    /// Of a request whose own path is below that of all projects.
    pub(super) fn of(request: &Request, prefix: &Prefix) -> Self {
        let below = request.uri().path();
        let original = request.extensions().get::<OriginalUri>().map(|OriginalUri(uri)| uri);
        let whole = original.map_or(below, Uri::path);
        // Without what is below, `below` is `/` all the same.
        let projects = whole.strip_suffix(below).unwrap_or(whole).trim_end_matches('/');
        let project = below.trim_start_matches('/').split('/').next().unwrap_or_default();
        Self {
            mount: projects.strip_suffix("/projects").unwrap_or_default().to_owned(),
            tokens: format!("{projects}/{project}/tokens"),
            here: whole.to_owned(),
            query: Query::of(request.uri().query().unwrap_or_default(), prefix),
        }
    }

    pub(super) fn asset(&self, name: &str) -> String {
        format!("{}/assets/{name}?{:08x}", self.mount, assets::version())
    }

    /// The list, as it is at first.
    pub(super) fn plain_list(&self) -> &str {
        &self.tokens
    }

    /// The list of all tokens, whatever their status.
    pub(super) fn all(&self) -> String {
        self.with_query("", &Query { which: Which::All, ..Query::default() })
    }

    /// The list as it is looked at.
    pub(super) fn list(&self) -> String {
        self.with_query("", &self.query)
    }

    /// The next part of the list.
    pub(super) fn after(&self, after: &str) -> String {
        self.with_query("", &Query { after: Some(after.to_owned()), ..self.query.clone() })
    }

    /// The list from its beginning.
    pub(super) fn beginning(&self) -> String {
        self.with_query("", &Query { after: None, ..self.query.clone() })
    }

    /// Something below the list.
    pub(super) fn below(&self, path: &str) -> String {
        self.with_query(&format!("/{path}"), &self.query)
    }

    pub(super) fn token(&self, id: &TokenId) -> String {
        self.below(id.as_str())
    }

    /// Something about a token.
    pub(super) fn of_token(&self, id: &TokenId, what: &str) -> String {
        self.below(&format!("{id}/{what}"))
    }

    /// The list as it is looked at, which says that a token has been revoked: this once, it is not
    /// kept from page to page.
    pub(super) fn after_revocation(&self, id: &TokenId) -> String {
        let list = self.list();
        let separator = if list.contains('?') { '&' } else { '?' };
        format!("{list}{separator}revoked={id}")
    }

    /// The token that the list is to say this of.
    pub(super) fn revoked(query: &str) -> Option<TokenId> {
        let mut parameters = form_urlencoded::parse(query.as_bytes());
        parameters.find(|(name, _)| name == "revoked").and_then(|(_, id)| id.parse().ok())
    }

    /// Where to sign in, and to come back from to what was asked for, or if that was more than to
    /// look, to the list.
    pub(super) fn sign_in(&self, url: &str, is_get: bool) -> String {
        let separator = if url.contains('?') { '&' } else { '?' };
        let back = if is_get { with_query(&self.here, &self.query) } else { self.list() };
        let return_to = Serializer::new(String::new()).append_pair("return_to", &back).finish();
        format!("{url}{separator}{return_to}")
    }

    pub(super) fn with_query(&self, path: &str, query: &Query) -> String {
        with_query(&format!("{}{path}", self.tokens), query)
    }
}

fn with_query(path: &str, query: &Query) -> String {
    let query = query.to_string();
    let separator = if query.is_empty() { "" } else { "?" };
    format!("{path}{separator}{query}")
}
