//! What the handlers of the page work with.

use std::sync::Arc;

use ::axum::{
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
    response::Response,
};
use askama::Template;

use super::{
    super::{Access, Management, caller::Caller, problem::Problem},
    document::{Before, Document, respond},
    list::List,
    place::Place,
};
use crate::TokenStore;

/// Somebody on the page of a project.
pub(super) struct Visit<S, A> {
    pub(super) management: Arc<Management<S, A>>,
    pub(super) caller: Caller,
    pub(super) place: Place,
}

impl<S: TokenStore, A: Access> FromRequestParts<Arc<Management<S, A>>> for Visit<S, A> {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        management: &Arc<Management<S, A>>,
    ) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, management).await?;
        let place = parts.extensions.get::<Place>().cloned().ok_or_else(Problem::no_path)?;
        Ok(Self { management: Arc::clone(management), caller, place })
    }
}

impl<S: TokenStore, A: Access> Visit<S, A> {
    /// A dialog, before the list. If there is no list, there is the dialog still: it may hold the
    /// only copy of a plaintext.
    pub(super) async fn dialog(
        &self,
        status: StatusCode,
        title: impl Into<String>,
        dialog: &impl Template,
    ) -> Response {
        let before = dialog.render().ok().map(|html| Before { title: title.into(), html });
        let list = List::read(self).await;
        respond(status, &Document { before, ..self.document(list) })
    }

    /// A key for a form that makes a token, so that whoever sends it twice has one.
    pub(super) fn key(&self) -> Result<String, Problem> {
        Ok(self.management.issuer.random_id()?.to_string())
    }

    /// The same, unless the form has made its token: to send it again is to want another.
    pub(super) fn key_after(&self, problem: &Problem, key: String) -> String {
        if problem.is_repeated() { self.key().unwrap_or(key) } else { key }
    }

    pub(super) fn document(&self, list: Result<List, Problem>) -> Document<'_> {
        let Self { management, caller, place } = self;
        Document { product: &management.product, place, caller, list, revoked: None, before: None }
    }
}
