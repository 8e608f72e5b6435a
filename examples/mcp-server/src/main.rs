//! An MCP server whose clients use API tokens: those of the example service, on the same sources.
//!
//! - `tools.rs`: the tools, and which token may use which
//! - `caller.rs`: what is known of a token, and what its user is told before its end
//! - `http.rs`: over HTTP, each request brings a token
//! - `stdio.rs`: over stdio, the process has one; `introspection.rs` asks a service what it is
//! - `store.rs`: opens the tokens that the example service keeps

mod caller;
mod http;
mod introspection;
mod stdio;
mod store;
mod tools;

use std::{path::PathBuf, sync::Arc, time::Duration};

use api_tokens::{
    Cache, Prefix,
    mcp::{Client, Server},
    prefix,
};
use clap::Parser;
use secrecy::SecretString;
use sources::{Failure, Folders};
use tokio_util::sync::CancellationToken;
use tracing::Level;
use tracing_subscriber::{Layer, filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{
    stdio::Process,
    tools::{Callers, Tools},
};

/// What the example service's tokens start with.
const PREFIX: Prefix = prefix!("demo");

/// Where clients, and this program over stdio, look for a token.
const VARIABLE: &str = "GRAPHOR_API_KEY";

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
    /// environment variable `GRAPHOR_API_KEY`, or in the file that `GRAPHOR_API_KEY_FILE` names
    #[arg(long)]
    stdio: bool,

    /// With --stdio: ask this introspection endpoint what the token is, instead of the database; the
    /// example service has one at `http://127.0.0.1:8787/management/api/introspect`
    #[arg(long, value_name = "URL", requires = "stdio")]
    introspect: Option<String>,
}

/// What is under way when the program is told to stop may take so long.
const PATIENCE: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() {
    let code = match until_stopped(Arguments::parse()).await {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("error: {error}");
            1
        }
    };
    // Now, also if a thread still waits for standard input, or for a file.
    std::process::exit(code)
}

async fn until_stopped(arguments: Arguments) -> Result<(), Failure> {
    let stop = stop_signal()?;
    let out_of_patience = async {
        stop.cancelled().await;
        tokio::time::sleep(PATIENCE).await;
    };
    tokio::select! {
        result = Box::pin(run(arguments, stop.clone())) => result,
        () = out_of_patience => Ok(()),
    }
}

async fn run(arguments: Arguments, stop: CancellationToken) -> Result<(), Failure> {
    if arguments.stdio {
        // First, since it is what is most often wrong.
        let token = stdio::token().await?;
        if let Some(url) = arguments.introspect {
            let process = Process::asking(&url, token).await?;
            log();
            return stdio::serve(process, &arguments.folders, stop).await;
        }
        let builder = store::open(&arguments.data, arguments.store.as_ref()).await?;
        let (verifier, background) = builder.build();
        let process = Process::with(verifier, token).await?;
        log();
        return background.run_until(stdio::serve(process, &arguments.folders, stop)).await;
    }

    log();
    let builder = store::open(&arguments.data, arguments.store.as_ref()).await?;
    // A token that is revoked through the service is refused here a second later at most, and its
    // streams end.
    let (verifier, background) = builder.cache(Cache::new()).build();
    let sources = Arc::new(arguments.folders.read()?);
    let listener = http::listen(arguments.port).await?;
    greet(&format!("http://{}/mcp", listener.local_addr()?));
    let tools = Tools { sources, callers: Callers::Requests };
    let app = http::app(tools, verifier, &arguments.hosts, stop.clone());
    background.run_until(http::serve(listener, app, stop)).await
}

/// From now on, to standard error: standard output is the client's. Not before a token is known to be
/// good, so that what is wrong with it is all that is said.
fn log() {
    // Of others' warnings there is one for each mistake of a client.
    let levels = Targets::new().with_default(Level::ERROR).with_target("api_tokens", Level::WARN);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    tracing_subscriber::registry().with(lines.with_filter(levels)).init();
}

/// Says where the server is, and what one of its clients needs to know.
fn greet(url: &str) {
    let (client, server) = (Client::ClaudeCode, Server::http("example", url));
    let configuration = server.environment_variable(VARIABLE).configuration(client, None);
    println!("MCP server: {url}");
    println!("In {} of {}, with a token in {VARIABLE}:", client.file(), client.name());
    println!("{configuration}");
}

/// Is cancelled by Ctrl-C, and by SIGTERM from whatever supervises the process.
fn stop_signal() -> Result<CancellationToken, Failure> {
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    #[cfg(unix)]
    let mut terminate = {
        use tokio::signal::unix::{SignalKind, signal};
        signal(SignalKind::terminate())?
    };
    tokio::spawn(async move {
        #[cfg(unix)]
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
        stopping.cancel();
    });
    Ok(stop)
}
