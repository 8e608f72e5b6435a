//! A token, the one time that it is shown.

use askama::Template;
use jiff::Timestamp;

use super::{super::Product, place::Place, time::exact};
use crate::{
    Token, TokenId, TokenRecord,
    mcp::{Client, TokenFrom},
};

/// The plaintext, and what people do with it.
#[derive(Template)]
#[template(path = "shown.html", config = "src/management/page/askama.toml")]
pub(super) struct Shown<'a> {
    place: &'a Place,
    name: &'a str,
    plaintext: &'a str,
    expires: Option<String>,
    /// Until when the token is accepted that this one is the successor of, if it is one.
    overlap_ends: Option<String>,
    is_successor: bool,
    /// Whether that ends with the first use of this one.
    retires_predecessor: bool,
    /// The token that the same form made before.
    replaced: Option<TokenId>,
    snippets: [Snippet; 2],
    clients: Vec<Configuration>,
    knows_mcp_server: bool,
}

/// Something to paste elsewhere.
struct Snippet {
    id: &'static str,
    title: &'static str,
    text: String,
}

/// What an MCP client is told, in its file.
struct Configuration {
    client: Client,
    id: String,
    /// Where the token comes from.
    hint: String,
    text: String,
}

impl<'a> Shown<'a> {
    /// `predecessor` is the record of the token that this one is the successor of, if it is one.
    pub(super) fn new(
        token: &'a Token,
        record: &'a TokenRecord,
        predecessor: Option<(&TokenRecord, Timestamp)>,
        product: &Product,
        place: &'a Place,
    ) -> Self {
        let plaintext = token.expose_secret();
        let overlap_ends = predecessor
            .and_then(|(record, now)| record.ends_at().filter(|end| *end > now).map(exact));
        Self {
            place,
            name: record.name.as_str(),
            plaintext,
            expires: record.expires_at.map(exact),
            overlap_ends,
            is_successor: predecessor.is_some(),
            retires_predecessor: record.rotation.is_some_and(|it| it.retires_predecessor),
            replaced: None,
            snippets: [environment(product, plaintext), curl(product, plaintext)],
            clients: configurations(product, token),
            knows_mcp_server: product.mcp.is_some(),
        }
    }

    /// `replaced` is the token that the same form made before.
    pub(super) fn in_place_of(self, replaced: Option<TokenId>) -> Self {
        Self { replaced, ..self }
    }
}

fn environment(product: &Product, plaintext: &str) -> Snippet {
    let text = format!("{}={plaintext}", product.variable());
    Snippet { id: "env", title: "In a .env file", text }
}

fn curl(product: &Product, plaintext: &str) -> Snippet {
    let (title, url) = match &product.example_url {
        Some(url) => ("With curl", url.as_str()),
        None => ("With curl (put what you call in place of URL)", "URL"),
    };
    // For a POSIX shell.
    let url = url.replace('\'', r"'\''");
    let text = format!("curl -H 'Authorization: Bearer {plaintext}' '{url}'");
    Snippet { id: "curl", title, text }
}

/// The token is in no file that needs none, since that may get into a repository.
fn configurations(product: &Product, token: &Token) -> Vec<Configuration> {
    let server = product.server();
    let configuration = |client: &Client| {
        let variable = product.variable();
        let (token, hint) = match client.token_from() {
            TokenFrom::File => (Some(token), "The token is in it.".to_owned()),
            TokenFrom::Environment => {
                let from = "of the shell or the desktop that starts it, not from a .env file";
                (
                    None,
                    format!("It takes the token from the environment variable {variable} {from}."),
                )
            }
            TokenFrom::Person => (None, "It asks for the token once.".to_owned()),
        };
        let id = format!("mcp-{}", client.name().to_ascii_lowercase().replace(' ', "-"));
        Configuration { client: *client, id, hint, text: server.configuration(*client, token) }
    };
    Client::ALL.iter().map(configuration).collect()
}

#[cfg(test)]
mod tests {
    use rand::rngs::SysRng;

    use super::*;
    use crate::{mcp::Server, prefix};

    #[test]
    fn snippets_are_as_they_are_pasted() {
        let product = Product::new("Acme Search").example_url("https://a.example/it's?a=b&c");
        assert_eq!(environment(&product, "t_1").text, "ACME_SEARCH_API_TOKEN=t_1");
        assert_eq!(
            curl(&product, "t_1").text,
            r"curl -H 'Authorization: Bearer t_1' 'https://a.example/it'\''s?a=b&c'",
        );
    }

    #[test]
    fn every_client_is_told_of_the_same_server() {
        let token = Token::generate(&prefix!("acme_live"), &mut SysRng).unwrap();
        let acme = Product::new("Acme Search").environment_variable("ACME_KEY");
        let url = "https://a.example/mcp";
        for (product, server) in [
            (acme.clone().mcp_url(url), Server::http("Acme Search", url)),
            (
                acme.clone().mcp_command("npx", &["acme"]),
                Server::stdio("Acme Search", "npx", &["acme"]),
            ),
            (acme, Server::stdio("Acme Search", "COMMAND", &[])),
        ] {
            let server = server.environment_variable("ACME_KEY");
            let configurations = configurations(&product, &token);
            assert_eq!(configurations.len(), Client::ALL.len());
            for configuration in configurations {
                let is_own_file = configuration.client == Client::ClaudeDesktop;
                let expected =
                    server.configuration(configuration.client, is_own_file.then_some(&token));
                assert_eq!(configuration.text, expected);
            }
        }
    }
}
