//! An MCP server whose clients use API tokens: those of the example service, on the same sources.
//!
//! - `tools.rs`: the tools, and which token may use which
//! - `caller.rs`: what is known of a token, and what its user is told before its end
//! - `http.rs`: over HTTP, each request brings a token
//! - `stdio.rs`: over stdio, the process has one
//! - `store.rs`: opens the tokens that the example service keeps

mod caller;
mod http;
mod stdio;
mod store;
mod tools;

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use api_tokens::{Cache, Prefix, prefix};
use clap::Parser;
use secrecy::SecretString;
use sources::{Failure, Folders};
use tokio_util::sync::CancellationToken;

use crate::{
    stdio::Process,
    tools::{Callers, Tools},
};

/// What the example service's tokens start with.
const PREFIX: Prefix = prefix!("demo");

/// An MCP server with the sources of the example service, for those who have one of its tokens.
///
/// Start the example service first, once at least: it makes the key, the database and a token. This
/// server listens on 127.0.0.1 alone, at /mcp. Ctrl-C stops it.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    folders: Folders,

    /// The port to listen on; 0 takes any free one
    #[arg(long, default_value_t = 8790)]
    port: u16,

    /// A host name by which clients may call this server, besides those of this machine; may be
    /// repeated
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,

    /// The data directory of the example service: its key, and the tokens if there is no --store
    #[arg(long, value_name = "DIR", default_value = "./api-tokens-data")]
    data: PathBuf,

    /// The PostgreSQL database of the tokens, as the example service has it. A password is safer in
    /// the environment, where other users do not see it
    #[arg(long, value_name = "URL", env = "SERVICE_STORE", hide_env_values = true)]
    store: Option<SecretString>,

    /// Serve one client, on standard input and output, who started this program with a token in the
    /// environment variable GRAPHOR_API_KEY, or in the file that GRAPHOR_API_KEY_FILE names
    #[arg(long)]
    stdio: bool,

    /// With --stdio: ask the example service at this URL what the token is, instead of the
    /// database, such as `http://127.0.0.1:8787`
    #[arg(long, value_name = "URL", requires = "stdio")]
    service: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard output is the client's.
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    if arguments.stdio {
        // The token first, since that is what is most often wrong.
        let process = match &arguments.service {
            Some(service) => Process::asking(service).await?,
            None => {
                let verifier = store::open(&arguments.data, arguments.store.as_ref()).await?;
                Process::with(verifier.without_background()).await?
            }
        };
        let sources = Arc::new(arguments.folders.read()?);
        return stdio::serve(Tools { sources, callers: Callers::Process(Arc::new(process)) }).await;
    }

    let sources = Arc::new(arguments.folders.read()?);
    let listener = http::listen(arguments.port).await?;
    let verifier = store::open(&arguments.data, arguments.store.as_ref()).await?;
    // A token that is revoked through the service is refused here a second later at most, and its
    // streams end.
    let (verifier, background) = verifier.cache(Cache::new()).build();
    let stop = CancellationToken::new();
    let tools = Tools { sources, callers: Callers::Requests };
    let app = http::app(tools, verifier, &arguments.hosts, stop.clone());
    println!("MCP server: http://{}/mcp", listener.local_addr()?);
    let stopped = async move {
        stop_signal().await;
        stop.cancel();
    };
    todo!()
}
