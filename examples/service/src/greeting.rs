//! What is printed when the service starts: where it is, and commands to paste.

use std::{
    io::{self, BufWriter, Write},
    net::SocketAddr,
    path::Path,
};

use api_tokens::Created;

use crate::{
    Failure, MANAGEMENT,
    admin::ADMIN,
    setup::{FIRST_PROJECT, Files},
    sources::Sources,
    store::{self, Location},
};

/// The first token is in it, if it was made just now: the one time that anybody sees it. If
/// printing fails, nobody did: it can be revoked, and another one created.
pub(crate) fn print(
    address: SocketAddr,
    files: &Files,
    location: Option<&Location>,
    sources: &Sources,
    first_token: Option<&Created>,
) -> Result<(), Failure> {
    // Not `println!`, which panics if nobody reads.
    let output = BufWriter::new(io::stdout().lock());
    write(output, address, files, location, sources, first_token)
        .map_err(|error| format!("cannot print to standard output: {error}").into())
}

fn write(
    mut output: impl Write,
    address: SocketAddr,
    files: &Files,
    location: Option<&Location>,
    sources: &Sources,
    first_token: Option<&Created>,
) -> io::Result<()> {
    let base = format!("http://{address}");
    writeln!(output, "Listening on {base} (Ctrl-C stops)")?;
    for (project, folder, count) in sources.summary() {
        writeln!(output, "Sources of project {project}: {count}, from {}", folder.display())?;
    }
    writeln!(output, "The key and the admin's password are kept in {}", files.directory.display())?;
    writeln!(output, "Tokens are kept in {}\n", store::described(location, files))?;
    match first_token {
        Some(created) => output
            .write_all(commands_with_token(&base, created.token.expose_secret()).as_bytes())?,
        None => writeln!(
            output,
            "The first token was shown when it was made, and is kept nowhere: create another \
             one as below.\n"
        )?,
    }
    output.write_all(commands_of_admin(&base, &files.admin_password).as_bytes())?;
    output.flush()
}

fn commands_with_token(base: &str, token: &str) -> String {
    format!(
        r#"The first token, shown only now:

    {token}

List the sources of its project:

    curl -H 'Authorization: Bearer {token}' {base}/api/public/v1/sources

Run the flow that searches them:

    curl -H 'Authorization: Bearer {token}' -H 'Content-Type: application/json' -d '{{"query": "token"}}' {base}/flows/search

The same list in Python (pip install graphor):

    GRAPHOR_BASE_URL={base}/api/public/v1 GRAPHOR_API_KEY={token} python3 -c 'from graphor import Graphor; print([source.file_name for source in Graphor().sources.list()])'

"#
    )
}

fn commands_of_admin(base: &str, admin_password: &Path) -> String {
    let login = format!("-u \"{ADMIN}:$(cat {})\"", quoted(admin_password));
    let url = format!("{base}{MANAGEMENT}/api/projects/{FIRST_PROJECT}/tokens");
    format!(
        r#"List, create, rotate and revoke tokens as the admin:

    curl {login} {url}
    curl {login} -H 'Content-Type: application/json' -d '{{"name": "Another token", "scopes": ["sources:read", "flows:run"]}}' {url}
    curl {login} -H 'Content-Type: application/json' -d '{{"overlap_seconds": 3600}}' {url}/ID/rotate
    curl {login} -X DELETE {url}/ID

"#
    )
}

/// For a POSIX shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}
