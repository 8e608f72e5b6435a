use std::collections::HashMap;

use serde::Serialize;

use crate::Token;

/// An MCP server, as its clients reach it, and what to write into their files for that.
///
/// ```
/// use api_tokens::mcp::{Client, Server};
///
/// let server = Server::http("Acme", "https://mcp.acme.example/");
/// let client = Client::ClaudeCode;
/// assert_eq!(client.file(), ".mcp.json");
/// assert_eq!(
///     server.configuration(client, None),
///     r#"{
///   "mcpServers": {
///     "acme": {
///       "type": "http",
///       "url": "https://mcp.acme.example/",
///       "headers": {
///         "Authorization": "Bearer ${ACME_API_TOKEN}"
///       }
///     }
///   }
/// }"#,
/// );
/// ```
///
/// # Defaults
///
/// - environment variable: the name in capitals and `_API_TOKEN`; without a name, `API_TOKEN`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    name: String,
    transport: Transport,
    variable: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Transport {
    Http { url: String },
    Stdio { program: String, arguments: Vec<String> },
}

impl Server {
    /// At this URL, with tokens in `Authorization`. Over plain `http`, whoever is in between reads
    /// them.
    ///
    /// Clients know the server by its name, as one word of lower-case ASCII letters, digits and `-`;
    /// by `api`, if nothing is left of it.
    #[must_use]
    pub fn http(name: impl Into<String>, url: impl Into<String>) -> Self {
        Self::new(name.into(), Transport::Http { url: url.into() })
    }

    /// A program with these arguments, which its client starts, with the token in an environment
    /// variable. The name is as for [`http`](Self::http).
    #[must_use]
    pub fn stdio(name: impl Into<String>, program: impl Into<String>, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Self::new(name.into(), Transport::Stdio { program: program.into(), arguments })
    }

    fn new(name: String, transport: Transport) -> Self {
        Self { name, transport, variable: None }
    }

    /// The environment variable in which the program looks for the token, and clients that can, for
    /// what takes the place of a placeholder.
    #[must_use]
    pub fn environment_variable(self, name: impl Into<String>) -> Self {
        Self { variable: Some(name.into()), ..self }
    }

    /// The content of the client's [file](Client::file): JSON, and all of it if there is nothing
    /// else in it yet.
    ///
    /// Without a token, which is for files that others see, there is a placeholder in its place:
    ///
    /// | Client | Placeholder | Where the token then comes from |
    /// |---|---|---|
    /// | Claude Code | `${ACME_API_TOKEN}` | the environment in which it is started |
    /// | Cursor | `${env:ACME_API_TOKEN}` | the environment in which it is started |
    /// | VS Code | `${input:acme-token}` | asked for once, and kept among its secrets |
    /// | Claude Desktop | `PASTE-YOUR-TOKEN` | whoever writes it there: it has no variables |
    ///
    /// With a token, the text is as secret as the token: show it to the person whose token it is,
    /// and keep it nowhere. It is not zeroized when it is dropped.
    ///
    /// In its file, Claude Desktop takes programs only. It reaches a URL through the program
    /// [`mcp-remote`](https://www.npmjs.com/package/mcp-remote), which `npx` of Node.js downloads;
    /// that is others' work.
    #[must_use]
    pub fn configuration(&self, client: Client, token: Option<&Token>) -> String {
        let placeholder = || self.placeholder(client);
        let secret = token.map_or_else(placeholder, |token| token.expose_secret().to_owned());
        let servers = HashMap::from([(self.key(), self.entry(client, &secret))]);
        let content = match client {
            Client::VsCode => {
                Content::VsCode { inputs: token.is_none().then(|| [self.input()]), servers }
            }
            _ => Content::Other { servers },
        };
        // Texts under texts: nothing in this can fail.
        serde_json::to_string_pretty(&content).unwrap_or_default()
    }

    fn placeholder(&self, client: Client) -> String {
        match client {
            Client::ClaudeDesktop => "PASTE-YOUR-TOKEN".to_owned(),
            Client::ClaudeCode => format!("${{{}}}", self.variable()),
            Client::Cursor => format!("${{env:{}}}", self.variable()),
            Client::VsCode => format!("${{input:{}}}", self.input().id),
        }
    }

    fn entry(&self, client: Client, secret: &str) -> Entry<'_> {
        let authorization = format!("Bearer {secret}");
        match &self.transport {
            Transport::Http { url } if client == Client::ClaudeDesktop => {
                Entry::bridge(url, authorization)
            }
            Transport::Http { url } => Entry::Http {
                // Cursor tells by the URL.
                transport: (client != Client::Cursor).then_some("http"),
                url,
                headers: HashMap::from([("Authorization", authorization)]),
            },
            Transport::Stdio { program, arguments } => Entry::Stdio {
                // Claude Desktop knows nothing else.
                transport: (client != Client::ClaudeDesktop).then_some("stdio"),
                command: program,
                args: arguments.iter().map(String::as_str).collect(),
                env: HashMap::from([(self.variable(), secret.to_owned())]),
            },
        }
    }

    fn input(&self) -> Input {
        let description = match &*self.name {
            "" => "API token".to_owned(),
            name => format!("API token of {name}"),
        };
        let id = format!("{}-token", self.key());
        Input { kind: "promptString", id, description, password: true }
    }

    /// What clients know the server by.
    fn key(&self) -> String {
        Some(self.word('-')).filter(|word| !word.is_empty()).unwrap_or_else(|| "api".to_owned())
    }

    pub(crate) fn variable(&self) -> String {
        self.variable.clone().unwrap_or_else(|| match self.word('_') {
            word if word.is_empty() => "API_TOKEN".to_owned(),
            // A variable cannot begin with a digit.
            word if word.starts_with(|first: char| first.is_ascii_digit()) => {
                format!("_{}_API_TOKEN", word.to_ascii_uppercase())
            }
            word => format!("{}_API_TOKEN", word.to_ascii_uppercase()),
        })
    }

    /// The name as one word of lower-case ASCII letters and digits, with `separator` for all else.
    fn word(&self, separator: char) -> String {
        let words = self.name.split(|character: char| !character.is_ascii_alphanumeric());
        let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        words.join(&separator.to_string()).to_ascii_lowercase()
    }
}

/// A program that people use an MCP server with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Client {
    /// Anthropic's application.
    ClaudeDesktop,
    /// Anthropic's command.
    ClaudeCode,
    /// The editor.
    Cursor,
    /// Visual Studio Code, with GitHub Copilot.
    VsCode,
}

impl Client {
    /// All that this version of the crate knows.
    pub const ALL: &'static [Self] =
        &[Self::ClaudeDesktop, Self::ClaudeCode, Self::Cursor, Self::VsCode];

    /// As people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ClaudeDesktop => "Claude Desktop",
            Self::ClaudeCode => "Claude Code",
            Self::Cursor => "Cursor",
            Self::VsCode => "VS Code",
        }
    }

    /// The file that [`Server::configuration`] is for: that of a project, and so in its repository,
    /// but for Claude Desktop, whose button *Edit Config*, among the settings for developers, finds it.
    #[must_use]
    pub fn file(self) -> &'static str {
        match self {
            Self::ClaudeDesktop => "claude_desktop_config.json",
            Self::ClaudeCode => ".mcp.json",
            Self::Cursor => ".cursor/mcp.json",
            Self::VsCode => ".vscode/mcp.json",
        }
    }
}

/// Where a client has the token from, if its file has a placeholder.
#[cfg(feature = "management")]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenFrom {
    /// Whoever writes it there: the client has nothing else.
    File,
    Environment,
    /// Who is asked for it once.
    Person,
}

#[cfg(feature = "management")]
impl Client {
    pub(crate) fn token_from(self) -> TokenFrom {
        match self {
            Self::ClaudeDesktop => TokenFrom::File,
            Self::ClaudeCode | Self::Cursor => TokenFrom::Environment,
            Self::VsCode => TokenFrom::Person,
        }
    }
}

/// What is in a file. No map has more than one member, and so the order is always the same.
#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    VsCode {
        #[serde(skip_serializing_if = "Option::is_none")]
        inputs: Option<[Input; 1]>,
        servers: HashMap<String, Entry<'a>>,
    },
    Other {
        #[serde(rename = "mcpServers")]
        servers: HashMap<String, Entry<'a>>,
    },
}

/// What VS Code asks for.
#[derive(Serialize)]
struct Input {
    #[serde(rename = "type")]
    kind: &'static str,
    id: String,
    description: String,
    password: bool,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Entry<'a> {
    Http {
        #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
        transport: Option<&'static str>,
        url: &'a str,
        headers: HashMap<&'static str, String>,
    },
    Stdio {
        #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
        transport: Option<&'static str>,
        command: &'a str,
        args: Vec<&'a str>,
        env: HashMap<String, String>,
    },
}

impl<'a> Entry<'a> {
    /// The program that reaches a URL for clients that only start programs.
    fn bridge(url: &'a str, authorization: String) -> Self {
        // It puts the variable in. So the token is not in its arguments, which every user of the
        // machine can list, and these have no spaces, which some clients on Windows cut them at.
        let header = "Authorization:${AUTHORIZATION}";
        let mut args = vec!["-y", "mcp-remote", url, "--header", header];
        // It wants to be told, unless it is this machine's, and then it makes no difference.
        if url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http:")) {
            args.push("--allow-http");
        }
        let env = HashMap::from([("AUTHORIZATION".to_owned(), authorization)]);
        Self::Stdio { transport: None, command: "npx", args, env }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_is_one_that_a_shell_takes() {
        for (name, variable) in [
            ("", "API_TOKEN"),
            ("Acme", "ACME_API_TOKEN"),
            ("Acme & Söhne 2", "ACME_S_HNE_2_API_TOKEN"),
            ("→", "API_TOKEN"),
            ("3D Print", "_3D_PRINT_API_TOKEN"),
        ] {
            assert_eq!(Server::http(name, "").variable(), variable);
        }
        assert_eq!(Server::http("Acme", "").environment_variable("T").variable(), "T");
    }
}
