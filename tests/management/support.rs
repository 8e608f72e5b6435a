//! A service with two projects and a few people, and requests to it.

use std::net::IpAddr;

use api_tokens::{
    Background, Created, Issuer, Keyring, LifetimePolicy, MemoryStore, NewToken, Project, Verifier,
    management::{self, Access, AccessError, Grant},
    prefix,
};
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request, StatusCode, request::Parts},
};
use serde_json::Value;
use tower::ServiceExt;

use crate::util::ann;

/// The path of the tokens of project `acme`.
pub(crate) const TOKENS: &str = "/settings/api/projects/acme/tokens";

/// Who is signed in is in the field `x-user`. Ann manages `acme` and `beta`; Vic may look at
/// `acme`; Sam may give away `sources:*` in `acme`; Oscar's rights cannot be told.
pub(crate) struct Team;

impl Access for Team {
    async fn grant(&self, request: &Parts, project: &Project) -> Result<Grant, AccessError> {
        let user = request.headers.get("x-user").ok_or(AccessError::SignedOut)?;
        let user = user.to_str().map_err(|_| AccessError::SignedOut)?;
        let principal = user.parse().map_err(|_| AccessError::SignedOut)?;
        match (user, project.as_str()) {
            ("oscar", _) => Err(AccessError::outage("the members cannot be read")),
            ("ann", "acme" | "beta" | "a/b ü") => Ok(Grant::write(principal)),
            ("vic", "acme") => Ok(Grant::read(principal)),
            ("sam", "acme") => {
                Ok(Grant::write(principal).holding("sources:*".parse().expect("scopes")))
            }
            _ => Err(AccessError::NoAccess),
        }
    }

    fn client_address(&self, _: &Parts) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, 7]))
    }

    fn product(&self) -> management::Product {
        management::Product::new("Acme")
            .scope("sources:read".parse().expect("a scope"), "Read <the> sources")
            .scope("flows:run".parse().expect("a scope"), "Run flows")
    }
}

pub(crate) struct Service {
    pub(crate) issuer: Issuer<MemoryStore>,
    pub(crate) verifier: Verifier<MemoryStore>,
    /// Does nothing but when a test lets it.
    pub(crate) background: Background<MemoryStore>,
    app: Router,
}

impl Service {
    pub(crate) fn new() -> Self {
        Self::with_policy(LifetimePolicy::default())
    }

    pub(crate) fn with_policy(policy: LifetimePolicy) -> Self {
        let keyring = Keyring::unkeyed();
        let builder = Verifier::builder(prefix!("acme_live"), &keyring, MemoryStore::new());
        let (verifier, background) = builder.build();
        let issuer = Issuer::new(&verifier).with_policy(policy);
        let app = Router::new().nest("/settings", management::router(issuer.clone(), Team));
        Self { issuer, verifier, background, app }
    }

    /// A token of Ann's.
    pub(crate) async fn token(&self, project: &str, scopes: &str) -> Created {
        let (owner, name) = ("ann".parse().expect("an owner"), "a token".parse().expect("a name"));
        let new = NewToken::new(project.parse().expect("a project"), owner, name)
            .with_scopes(scopes.parse().expect("scopes"));
        self.issuer.create(new, &ann()).await.expect("create")
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        Answer::from(self.app.clone(), request).await
    }

    /// A request of Ann's; without a body for null.
    pub(crate) async fn ann(&self, method: &str, path: &str, body: Value) -> Answer {
        self.send(Call::new(method, path).field("x-user", "ann").json(&body)).await
    }

    pub(crate) async fn list(&self, parameters: &str) -> Value {
        self.ann("GET", &format!("{TOKENS}{parameters}"), Value::Null).await.ok(200)
    }
}

/// A page of Ann's project.
pub(crate) const PAGE: &str = "/settings/projects/acme/tokens";

impl Service {
    /// A page, as Ann sees it.
    pub(crate) async fn page(&self, path: &str) -> Answer {
        let answer = self.send(Call::new("GET", path).field("x-user", "ann").text("")).await;
        answer.assert_is_page();
        answer
    }

    /// What a form of Ann's is answered with.
    pub(crate) async fn post(&self, path: &str, form: &str) -> Answer {
        let answer = self.send(Call::new("POST", path).field("x-user", "ann").form(form)).await;
        answer.assert_is_page();
        answer
    }
}

/// A request in the making.
pub(crate) struct Call(axum::http::request::Builder);

impl Call {
    pub(crate) fn new(method: &str, path: &str) -> Self {
        Self(Request::builder().method(method).uri(path))
    }

    pub(crate) fn field(self, name: &str, value: &str) -> Self {
        Self(self.0.header(name, value))
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.field("authorization", &format!("Bearer {token}"))
    }

    /// Without a body for null.
    pub(crate) fn json(self, body: &Value) -> Request<Body> {
        if body.is_null() {
            return self.text("");
        }
        self.field("content-type", "application/json").text(&body.to_string())
    }

    pub(crate) fn form(self, body: &str) -> Request<Body> {
        self.field("content-type", "application/x-www-form-urlencoded").text(body)
    }

    pub(crate) fn text(self, body: &str) -> Request<Body> {
        self.0.body(Body::from(body.to_owned())).expect("a request")
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    /// That of a router below `/settings`.
    pub(crate) async fn of(router: Router, request: Request<Body>) -> Self {
        Self::from(Router::new().nest("/settings", router), request).await
    }

    async fn from(app: Router, request: Request<Body>) -> Self {
        let response = app.oneshot(request).await.expect("an answer");
        let (status, headers) = (response.status(), response.headers().clone());
        let body = to_bytes(response.into_body(), usize::MAX).await.expect("a body");
        let body = String::from_utf8(body.to_vec()).expect("UTF-8");
        Self { status, headers, body }
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    #[track_caller]
    pub(crate) fn ok(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.headers["cache-control"], "no-store", "{self:?}");
        assert_eq!(self.headers["content-type"], "application/json", "{self:?}");
        self.json()
    }

    /// Checks that this is for a browser, which is to keep and to load nothing.
    #[track_caller]
    pub(crate) fn assert_is_page(&self) {
        let field = |name: &str| self.headers.get(name).map(|value| value.to_str().expect("text"));
        if self.status != 303 {
            assert_eq!(field("content-type"), Some("text/html; charset=utf-8"), "{self:?}");
            assert!(self.body.starts_with("<!DOCTYPE html>\n"), "{self:?}");
            assert!(self.body.ends_with("</html>"), "{self:?}");
        }
        assert_eq!(field("cache-control"), Some("no-store"), "{self:?}");
        assert_eq!(field("referrer-policy"), Some("same-origin"), "{self:?}");
        assert_eq!(field("x-content-type-options"), Some("nosniff"), "{self:?}");
        assert_eq!(field("cross-origin-opener-policy"), Some("same-origin"), "{self:?}");
        assert_eq!(
            field("content-security-policy"),
            Some(
                "default-src 'none'; script-src 'self'; style-src 'self'; form-action 'self'; \
                 base-uri 'none'; frame-ancestors 'none'"
            ),
            "{self:?}"
        );
        // Nothing that the policy would not let run, beside the values of attributes.
        for tag in self.body.split('<').filter_map(|tag| tag.split('>').next()) {
            let outside: String = tag.split('"').step_by(2).collect();
            for inline in [" on", "style="] {
                assert!(!outside.contains(inline), "{tag}: {self:?}");
            }
            assert!(!tag.contains("=\"javascript:"), "{tag}: {self:?}");
            assert!(!tag.starts_with("style") && tag != "script", "{tag}: {self:?}");
        }
    }

    /// Where the browser is sent.
    #[track_caller]
    pub(crate) fn location(&self) -> &str {
        assert_eq!(self.status, 303, "{self:?}");
        self.headers["location"].to_str().expect("text")
    }

    /// What stands between two texts, for the first time.
    #[track_caller]
    pub(crate) fn between(&self, start: &str, end: &str) -> &str {
        let rest = self.body.split_once(start).unwrap_or_else(|| panic!("{start}: {self:?}")).1;
        rest.split_once(end).unwrap_or_else(|| panic!("{end}: {self:?}")).0
    }

    /// The members `error` and `field` (empty for none) of a problem, which is one in all respects.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16) -> (String, String) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.headers["cache-control"], "no-store", "{self:?}");
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        let json = self.json();
        assert_eq!(json["status"], status, "{json}");
        assert_eq!(json["type"], "about:blank", "{json}");
        assert_eq!(json["title"], self.status.canonical_reason().expect("a phrase"), "{json}");
        assert!(!json["detail"].as_str().expect("a detail").is_empty(), "{json}");
        let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        (text("error"), text("field"))
    }

    #[track_caller]
    pub(crate) fn error(&self, status: u16) -> String {
        self.problem(status).0
    }
}
