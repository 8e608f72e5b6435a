//! What is printed when the service starts: where it is, and commands to paste.

use std::io::{self, BufWriter, Write};

use api_tokens::Created;
use sources::{FIRST_PROJECT, Sources};

use crate::{
    Failure, MANAGEMENT,
    setup::Files,
    store::{self, Location},
};

/// The first token is in it, if it was made just now: the one time that anybody sees it. If
/// printing fails, nobody did: it can be revoked, and another one created. The admin's password is
/// in it when it is new, and later stays in its file.
pub(crate) struct Greeting<'a> {
    /// The URL of this service.
    pub(crate) base: &'a str,
    pub(crate) files: &'a Files,
    pub(crate) location: Option<&'a Location>,
    pub(crate) sources: &'a Sources,
    pub(crate) new_password: Option<&'a str>,
    pub(crate) first_token: Option<&'a Created>,
}

impl Greeting<'_> {
    pub(crate) fn print(&self) -> Result<(), Failure> {
        // Not `println!`, which panics if nobody reads.
        self.write(BufWriter::new(io::stdout().lock()))
            .map_err(|error| format!("cannot print to standard output: {error}").into())
    }

    fn write(&self, mut output: impl Write) -> io::Result<()> {
        let Self { base, files, location, sources, new_password, first_token } = *self;
        writeln!(output, "Listening on {base} (Ctrl-C stops)")?;
        writeln!(output, "API Tokens page: {base}{MANAGEMENT}/projects/{FIRST_PROJECT}/tokens")?;
        match new_password {
            Some(password) => writeln!(output, "Sign in with the password: {password}")?,
            None => {
                writeln!(
                    output,
                    "Sign in with the password in {}",
                    files.admin_password.display()
                )?;
            }
        }
        for (project, folder, count) in sources.summary() {
            writeln!(output, "Sources of project {project}: {count}, from {}", folder.display())?;
        }
        writeln!(
            output,
            "The key and the admin's password are kept in {}",
            files.directory.display()
        )?;
        writeln!(output, "Tokens are kept in {}\n", store::described(location, files))?;
        match first_token {
            Some(created) => {
                let commands = commands_with_token(base, created.token.expose_secret());
                output.write_all(commands.as_bytes())?;
            }
            None => writeln!(
                output,
                "The first token was shown when it was made, and is kept nowhere: create another \
             one on the page.\n"
            )?,
        }
        output.write_all(command_of_programs(base).as_bytes())?;
        output.flush()
    }
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

fn command_of_programs(base: &str) -> String {
    format!(
        r"Programs manage tokens with a token that has the scopes tokens:read and tokens:write, created
on the page:

    curl -H 'Authorization: Bearer TOKEN' {base}{MANAGEMENT}/api/projects/{FIRST_PROJECT}/tokens

"
    )
}
