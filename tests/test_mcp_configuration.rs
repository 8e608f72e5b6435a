//! What people paste into their MCP clients.

use std::{fs, path::Path};

use api_tokens::{
    Token,
    mcp::{Client, Server},
    prefix,
};
use proptest::{collection::vec, prelude::*};
use rand::rngs::SysRng;
use serde_json::{Value, json};

fn token() -> Token {
    Token::generate(&prefix!("acme_live"), &mut SysRng).unwrap()
}

fn parsed(configuration: &str) -> Value {
    serde_json::from_str(configuration).unwrap_or_else(|_| panic!("not JSON: {configuration}"))
}

/// The one server in it, with what clients know it by.
fn server(configuration: &Value) -> (&str, &Value) {
    let servers = configuration.get("mcpServers").or(configuration.get("servers"));
    let servers = servers.and_then(Value::as_object).unwrap();
    assert_eq!(servers.len(), 1, "{configuration}");
    let (key, entry) = servers.iter().next().unwrap();
    (key, entry)
}

/// As each client's documentation says, to the letter: in `tests/data/mcp`.
#[test]
fn every_client_gets_what_it_reads() {
    let token = token();
    for (transport, server) in [
        ("http", Server::http("Acme Search", "https://mcp.acme.example/")),
        ("stdio", Server::stdio("Acme Search", "npx", &["-y", "acme-mcp"])),
    ] {
        for client in Client::ALL {
            let name = client.name().to_lowercase().replace(' ', "-");
            let golden = |end: &str| {
                let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/mcp");
                let path = path.join(format!("{name}-{transport}{end}.json"));
                let text = fs::read_to_string(&path).unwrap_or_else(|_| panic!("{path:?}"));
                text.strip_suffix('\n').expect("a last line").to_owned()
            };
            assert_eq!(server.configuration(*client, None), golden(""));
            let expected = golden("-token").replace("TOKEN-ITSELF", token.expose_secret());
            assert_eq!(server.configuration(*client, Some(&token)), expected);
        }
    }
}

#[test]
fn clients_and_their_files() {
    let all: Vec<_> = Client::ALL.iter().map(|client| (client.name(), client.file())).collect();
    assert_eq!(
        all,
        [
            ("Claude Desktop", "claude_desktop_config.json"),
            ("Claude Code", ".mcp.json"),
            ("Cursor", ".cursor/mcp.json"),
            ("VS Code", ".vscode/mcp.json"),
        ]
    );
}

#[test]
fn a_name_becomes_one_word() {
    for (name, key, description) in [
        ("Acme", "acme", "API token of Acme"),
        (" Acme & Söhne 2 ", "acme-s-hne-2", "API token of  Acme & Söhne 2 "),
        ("3D", "3d", "API token of 3D"),
        ("→", "api", "API token of →"),
        ("", "api", "API token"),
    ] {
        let configuration = Server::http(name, "").configuration(Client::VsCode, None);
        let configuration = parsed(&configuration);
        assert_eq!(server(&configuration).0, key);
        let input = &configuration["inputs"][0];
        assert_eq!(input["id"], format!("{key}-token"));
        assert_eq!(input["description"], description);
    }
}

#[test]
fn the_environment_variable_is_the_host_s_choice() {
    let stdio = Server::stdio("Acme", "acme", &[]).environment_variable("ACME_KEY");
    let http = Server::http("Acme", "https://a.example").environment_variable("ACME_KEY");
    for (client, placeholder) in
        [(Client::ClaudeCode, "${ACME_KEY}"), (Client::Cursor, "${env:ACME_KEY}")]
    {
        let configuration = parsed(&stdio.configuration(client, None));
        assert_eq!(server(&configuration).1["env"], json!({"ACME_KEY": placeholder}));
        let configuration = parsed(&http.configuration(client, None));
        let authorization = format!("Bearer {placeholder}");
        assert_eq!(server(&configuration).1["headers"], json!({"Authorization": authorization}));
    }
}

/// `mcp-remote` refuses plain HTTP to another machine otherwise.
#[test]
fn the_bridge_is_told_that_plain_http_is_meant() {
    for (url, is_told) in [
        ("https://a.example/http:", false),
        ("http://a.example/", true),
        ("HTTP://a.example/", true),
        ("http://localhost:3000/mcp", true),
        ("http", false),
        ("→→", false),
        ("", false),
    ] {
        let configuration = Server::http("Acme", url).configuration(Client::ClaudeDesktop, None);
        let configuration = parsed(&configuration);
        let mut expected =
            vec!["-y", "mcp-remote", url, "--header", "Authorization:${AUTHORIZATION}"];
        expected.extend(is_told.then_some("--allow-http"));
        assert_eq!(server(&configuration).1["args"], json!(expected));
    }
}

proptest! {
    /// Whatever a host says of its server, it is read as it was said, and the token is in one place.
    #[test]
    fn any_server_is_text(
        name in any_text(),
        at in any_text(),
        arguments in vec(any_text(), 0..4),
        variable in any_text(),
    ) {
        let token = token();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let stdio = Server::stdio(&*name, &*at, &arguments).environment_variable(&*variable);
        let http = Server::http(&*name, &*at).environment_variable(&*variable);
        for client in Client::ALL.iter().copied() {
            for (described, token) in [(&stdio, None), (&stdio, Some(&token)), (&http, None), (&http, Some(&token))] {
                let text = described.configuration(client, token);
                let configuration = parsed(&text);
                let (key, entry) = server(&configuration);
                let is_of_a_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
                prop_assert!(!key.is_empty() && key.bytes().all(is_of_a_word), "{}", key);
                if described == &stdio {
                    prop_assert_eq!(&entry["command"], &*at);
                    prop_assert_eq!(&entry["args"], &json!(arguments));
                    prop_assert!(entry["env"][&variable].is_string());
                } else if client == Client::ClaudeDesktop {
                    prop_assert_eq!(&entry["args"][2], &*at);
                } else {
                    prop_assert_eq!(&entry["url"], &*at);
                }
                let secret = token.map_or("acme_live_", Token::expose_secret);
                prop_assert_eq!(text.matches(secret).count(), usize::from(token.is_some()));
            }
        }
    }
}

/// Also what means something in JSON, in HTML or to a client.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), r#"["'\\</script>${}:=&\u{0}\n a-z-]{0,12}"#]
}
