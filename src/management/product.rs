use crate::{Scope, mcp::Server};

/// What the page tells people of the product that it belongs to.
///
/// ```
/// use api_tokens::management::Product;
///
/// # fn product() -> Result<Product, api_tokens::ScopeError> {
/// Ok(Product::new("Acme")
///     .home("/")
///     .sign_in("/sign-in")
///     .scope("sources:read".parse()?, "List and read the project's sources")
///     .scope("flows:run".parse()?, "Run the project's flows")
///     // For programs that manage tokens themselves.
///     .scope("tokens:read".parse()?, "List the project's API tokens")
///     .scope("tokens:write".parse()?, "Create, change and delete the project's API tokens")
///     .example_url("https://api.acme.example/v1/sources")
///     .mcp_url("https://mcp.acme.example/"))
/// # }
/// # product().unwrap();
/// ```
///
/// # Defaults
///
/// - no name, and no home
/// - sign-in: none; who is not signed in reads that they are not
/// - scopes: none, so that people write them as text
/// - environment variable: the name in capitals and `_API_TOKEN`; without a name, `API_TOKEN`
/// - example URL and MCP server: placeholders, which people are told to replace
#[derive(Debug, Clone, Default)]
pub struct Product {
    pub(super) name: String,
    pub(super) home: Option<String>,
    pub(super) sign_in: Option<String>,
    pub(super) scopes: Vec<(Scope, String)>,
    variable: Option<String>,
    pub(super) example_url: Option<String>,
    pub(super) mcp: Option<Server>,
}

impl Product {
    /// With this name, which is at the top of the page.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Where the name at the top leads to.
    #[must_use]
    pub fn home(self, url: impl Into<String>) -> Self {
        Self { home: Some(url.into()), ..self }
    }

    /// Where people sign in, without a fragment. Who is not signed in and opens the page is sent there, with the path and
    /// query that they asked for in the parameter `return_to`.
    ///
    /// **Anybody can make a link to your sign-in**: follow `return_to` only if it is a path of yours.
    /// It begins with one slash, and what follows that is neither a slash nor a backslash.
    #[must_use]
    pub fn sign_in(self, url: impl Into<String>) -> Self {
        Self { sign_in: Some(url.into()), ..self }
    }

    /// A scope that people can give to a token, and what it lets a program do, in a few words.
    /// They are offered in the order in which they are added, and at least one must be chosen.
    #[must_use]
    pub fn scope(mut self, scope: Scope, explanation: impl Into<String>) -> Self {
        self.scopes.push((scope, explanation.into()));
        self
    }

    /// The environment variable in which programs look for a token.
    #[must_use]
    pub fn environment_variable(self, name: impl Into<String>) -> Self {
        Self { variable: Some(name.into()), ..self }
    }

    /// A URL of the product's API that answers `GET` with a token, for people to try theirs.
    #[must_use]
    pub fn example_url(self, url: impl Into<String>) -> Self {
        Self { example_url: Some(url.into()), ..self }
    }

    /// The product's MCP server is at this URL, and takes tokens in `Authorization`. With a new
    /// token, people see what to [paste into their client](Server::configuration).
    #[must_use]
    pub fn mcp_url(self, url: impl Into<String>) -> Self {
        Self { mcp: Some(Server::http(&self.name, url)), ..self }
    }

    /// The product's MCP server is this program with these arguments, which a client starts, and
    /// takes a token from the environment variable.
    #[must_use]
    pub fn mcp_command(self, program: impl Into<String>, arguments: &[&str]) -> Self {
        Self { mcp: Some(Server::stdio(&self.name, program, arguments)), ..self }
    }

    pub(super) fn variable(&self) -> String {
        self.server().variable()
    }

    /// The MCP server; if only its user knows that, with a placeholder for the command.
    pub(super) fn server(&self) -> Server {
        let unknown = || Server::stdio(&self.name, "COMMAND", &[]);
        let server = self.mcp.clone().unwrap_or_else(unknown);
        match &self.variable {
            Some(name) => server.environment_variable(name),
            None => server,
        }
    }
}
