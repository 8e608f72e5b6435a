//! What the page has for MCP clients, where a token is shown.

use api_tokens::{
    Issuer, Keyring, MemoryStore, Project, Verifier,
    management::{self, Access, AccessError, Grant, Product},
    mcp::Client,
    prefix,
};
use axum::http::request::Parts;
use serde_json::{Value, json};

use super::support::{Answer, Call, PAGE, Team};

/// Ann's team, with an MCP server whose URL would like to be more than text.
struct WithServer;

const URL: &str = r#"https://mcp.acme.example/?a="</pre><script>alert(1)</script>&b='"#;

impl Access for WithServer {
    async fn grant(&self, request: &Parts, project: &Project) -> Result<Grant, AccessError> {
        Team.grant(request, project).await
    }

    fn product(&self) -> Product {
        Team.product().mcp_url(URL)
    }
}

async fn shown() -> Answer {
    let verifier = Verifier::new(prefix!("acme_live"), &Keyring::unkeyed(), MemoryStore::new());
    let router = management::router(Issuer::new(&verifier), WithServer);
    let call = Call::new("POST", PAGE).field("x-user", "ann");
    let form = "name=a&scope=sources%3Aread&lifetime=30&key=k";
    let answer = Answer::of(router, call.form(form)).await;
    answer.assert_is_page();
    assert_eq!(answer.status, 201, "{answer:?}");
    answer
}

fn unescaped(html: &str) -> String {
    let entities =
        [("&#34;", "\""), ("&#39;", "'"), ("&#60;", "<"), ("&#62;", ">"), ("&#38;", "&")];
    entities.iter().fold(html.to_owned(), |text, (entity, is)| text.replace(entity, is))
}

#[tokio::test]
async fn each_client_has_its_own_configuration() {
    let answer = shown().await;
    let token = answer.between("aria-label=\"The token\">", "<");
    assert!(token.starts_with("acme_live_"), "{answer:?}");
    assert!(!answer.body.contains("COMMAND"), "{answer:?}");
    for client in Client::ALL {
        let (name, file) = (client.name(), client.file());
        let summary = format!("<summary>{name} <code>{file}</code></summary>\n");
        let html = answer.between(&summary, "</details>");
        let id = format!("mcp-{}", name.to_lowercase().replace(' ', "-"));
        assert!(html.contains(&format!("<pre id=\"{id}\" ")), "{html}");
        assert!(html.contains(&format!("aria-label=\"{name}: {file}\">")), "{html}");
        assert!(html.contains(&format!("<button type=\"button\" data-copy=\"{id}\" hidden>")));
        let text = html.split_once("\">{").unwrap().1.split_once("</pre>").unwrap().0;
        let json: Value = serde_json::from_str(&unescaped(&format!("{{{text}"))).unwrap();
        let servers = if *client == Client::VsCode { "servers" } else { "mcpServers" };
        let server = &json[servers]["acme"];
        // All other files may be in a repository.
        let (authorization, hint) = match client {
            Client::ClaudeDesktop => {
                assert_eq!(server["args"][2], URL);
                let authorization = json!({"AUTHORIZATION": format!("Bearer {token}")});
                assert_eq!(server["env"], authorization);
                assert!(html.contains("<p class=\"hint\">The token is in it.</p>"), "{html}");
                continue;
            }
            Client::ClaudeCode => {
                ("Bearer ${ACME_API_TOKEN}", "variable ACME_API_TOKEN of the shell")
            }
            Client::Cursor => {
                ("Bearer ${env:ACME_API_TOKEN}", "variable ACME_API_TOKEN of the shell")
            }
            _ => ("Bearer ${input:acme-token}", "It asks for the token once.</p>"),
        };
        assert_eq!(server["url"], URL);
        assert_eq!(server["headers"], json!({"Authorization": authorization}));
        assert!(!html.contains(token) && html.contains(hint), "{html}");
    }
}
