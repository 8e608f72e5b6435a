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
    // Most of the files are those of a repository.
    assert!(answer.body.contains("Do not commit a file that has it."), "{answer:?}");
    for client in Client::ALL {
        let (name, file) = (client.name(), client.file());
        let summary = format!("<summary>{name} <code>{file}</code></summary>\n");
        let text = answer.between(&summary, "</details>");
        let id = format!("mcp-{}", name.to_lowercase().replace(' ', "-"));
        assert!(text.contains(&format!("<pre id=\"{id}\" ")), "{text}");
        assert!(text.contains(&format!("aria-label=\"{name}: {file}\">")), "{text}");
        assert!(text.contains(&format!("<button type=\"button\" data-copy=\"{id}\" hidden>")));
        let text = text.split_once("\">{").unwrap().1.split_once("</pre>").unwrap().0;
        let json: Value = serde_json::from_str(&unescaped(&format!("{{{text}"))).unwrap();
        let servers = if *client == Client::VsCode { "servers" } else { "mcpServers" };
        let authorization = format!("Bearer {token}");
        let server = &json[servers]["acme"];
        if *client == Client::ClaudeDesktop {
            assert_eq!(server["args"][2], URL);
            assert_eq!(server["env"], json!({"AUTHORIZATION": authorization}));
        } else {
            assert_eq!(server["url"], URL);
            assert_eq!(server["headers"], json!({"Authorization": authorization}));
        }
    }
}
