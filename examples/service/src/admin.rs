//! What the library's router asks the product: who may manage tokens, and what the page is to say.

use std::{net::IpAddr, sync::Arc};

use api_tokens::{
    Principal, Project,
    management::{Access, AccessError, Grant, Product},
};
use axum::http::request::Parts;
use axum_extra::extract::cookie::CookieJar;

use crate::{Failure, api::peer_address, sign_in::SignIn};

/// The admin's name in records.
pub(crate) const ADMIN: &str = "admin";

/// The scopes of this service, and what they are for.
const SCOPES: [(&str, &str); 4] = [
    ("sources:read", "List the project's sources"),
    ("flows:run", "Run the flow that searches the sources"),
    ("tokens:read", "List the project's API tokens"),
    ("tokens:write", "Create, change and delete the project's API tokens"),
];

pub(crate) struct Admin {
    sign_in: Arc<SignIn>,
    principal: Principal,
    product: Product,
}

impl Admin {
    /// `base` is the URL of this service, and `mcp` that of its MCP server.
    pub(crate) fn new(sign_in: Arc<SignIn>, base: &str, mcp: &str) -> Result<Self, Failure> {
        let mut product = Product::new("Example service")
            .home("/")
            .sign_in("/sign-in")
            .environment_variable("GRAPHOR_API_KEY")
            .example_url(format!("{base}/api/public/v1/sources"))
            .mcp_url(mcp);
        for (scope, explanation) in SCOPES {
            product = product.scope(scope.parse()?, explanation);
        }
        Ok(Self { sign_in, principal: ADMIN.parse()?, product })
    }
}

/// The admin may manage the tokens of all projects, and nobody else of any.
impl Access for Admin {
    async fn grant(&self, request: &Parts, _project: &Project) -> Result<Grant, AccessError> {
        if self.sign_in.is_signed_in(&CookieJar::from_headers(&request.headers)) {
            return Ok(Grant::write(self.principal.clone()));
        }
        Err(AccessError::SignedOut)
    }

    fn client_address(&self, request: &Parts) -> Option<IpAddr> {
        peer_address(request)
    }

    fn product(&self) -> Product {
        self.product.clone()
    }
}
