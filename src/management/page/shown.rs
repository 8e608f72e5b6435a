//! A token, the one time that it is shown.

use std::collections::HashMap;

use askama::Template;
use jiff::Timestamp;
use serde::Serialize;

use super::{
    super::{Product, product::McpServer},
    place::Place,
    time::exact,
};
use crate::{Token, TokenId, TokenRecord};

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
    snippets: [Snippet; 3],
}

/// Something to paste elsewhere.
struct Snippet {
    id: &'static str,
    title: String,
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
            snippets: [
                environment(product, plaintext),
                curl(product, plaintext),
                mcp(product, plaintext),
            ],
        }
    }

    /// `replaced` is the token that the same form made before.
    pub(super) fn in_place_of(self, replaced: Option<TokenId>) -> Self {
        Self { replaced, ..self }
    }
}

fn environment(product: &Product, plaintext: &str) -> Snippet {
    let text = format!("{}={plaintext}", product.variable());
    Snippet { id: "env", title: "In a .env file".to_owned(), text }
}

fn curl(product: &Product, plaintext: &str) -> Snippet {
    let (title, url) = match &product.example_url {
        Some(url) => ("With curl", url.as_str()),
        None => ("With curl (put what you call in place of URL)", "URL"),
    };
    // For a POSIX shell.
    let url = url.replace('\'', r"'\''");
    let text = format!("curl -H 'Authorization: Bearer {plaintext}' '{url}'");
    Snippet { id: "curl", title: title.to_owned(), text }
}

/// As most clients read it.
fn mcp(product: &Product, plaintext: &str) -> Snippet {
    let environment = || HashMap::from([(product.variable(), plaintext)]);
    let mut title = "For an AI assistant: an MCP server".to_owned();
    let server = match &product.mcp {
        McpServer::Url(url) => {
            let authorization = format!("Bearer {plaintext}");
            Server::Http { url, headers: HashMap::from([("Authorization", authorization)]) }
        }
        McpServer::Command { program, arguments } => {
            Server::Stdio { command: program, args: arguments, env: environment() }
        }
        McpServer::Unknown => {
            title += " (put its command in place of COMMAND)";
            Server::Stdio { command: "COMMAND", args: &[], env: environment() }
        }
    };
    let name = Some(product.word('-')).filter(|name| !name.is_empty());
    let name = name.unwrap_or_else(|| "api".to_owned());
    let servers = HashMap::from([("mcpServers", HashMap::from([(name, server)]))]);
    let text = serde_json::to_string_pretty(&servers).unwrap_or_default();
    Snippet { id: "mcp", title, text }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Server<'a> {
    Http { url: &'a str, headers: HashMap<&'static str, String> },
    Stdio { command: &'a str, args: &'a [String], env: HashMap<String, &'a str> },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snippets_are_as_they_are_pasted() {
        let product = Product::new("Acme Search").example_url("https://a.example/it's?a=b&c");
        assert_eq!(environment(&product, "t_1").text, "ACME_SEARCH_API_TOKEN=t_1");
        assert_eq!(
            curl(&product, "t_1").text,
            r"curl -H 'Authorization: Bearer t_1' 'https://a.example/it'\''s?a=b&c'",
        );
        let url = product.clone().mcp_url("https://a.example/mcp");
        assert_eq!(
            mcp(&url, "t_1").text,
            r#"{
  "mcpServers": {
    "acme-search": {
      "type": "http",
      "url": "https://a.example/mcp",
      "headers": {
        "Authorization": "Bearer t_1"
      }
    }
  }
}"#,
        );
        let command = product.mcp_command("npx", &["-y", "acme-mcp"]);
        assert_eq!(
            mcp(&command, "t_1").text,
            r#"{
  "mcpServers": {
    "acme-search": {
      "type": "stdio",
      "command": "npx",
      "args": [
        "-y",
        "acme-mcp"
      ],
      "env": {
        "ACME_SEARCH_API_TOKEN": "t_1"
      }
    }
  }
}"#,
        );
        let unknown = mcp(&Product::default(), "t_1").text;
        assert!(unknown.contains("\"api\": {") && unknown.contains("\"COMMAND\""), "{unknown}");
    }
}
