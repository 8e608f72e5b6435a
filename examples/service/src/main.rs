//! What a product does to give its clients API tokens, from the first start to the last request.
//!
//! The product has projects; a project has sources, which are the text documents of a folder, and
//! one flow, which searches them. Clients bring a token; people manage tokens as the admin.
//!
//! - `setup.rs` makes the key file and the first token, and opens the store: `store.rs`
//! - `api.rs` is for clients: which token may do what, in whose project
//! - the library's own router is for people: create, list, edit, rotate, disable and revoke
//!   tokens; `admin.rs` tells it who may do so, `sign_in.rs` lets them in, `sessions.rs` knows who
//!   is, and `pages.rs` is what they see before
//! - `reports.rs` is for whoever finds a token where it should not be
//! - `health.rs` is for whatever starts and stops such processes
//! - `log.rs` tells the operator why a request was refused
//! - the rest has nothing to do with tokens

mod admin;
mod api;
mod greeting;
mod health;
mod log;
mod pages;
mod private_files;
mod problem;
mod reports;
mod sessions;
mod setup;
mod sign_in;
mod store;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use api_tokens::{Cache, Issuer, Keyring, Verifier, management};
use axum::{Router, http::StatusCode, middleware};
use clap::Parser;
use sources::{Failure, Folders};
use tokio::{net::TcpListener, sync::Notify};

use crate::{admin::Admin, greeting::Greeting, problem::Problem, setup::Data, store::Location};

/// A service with projects, sources and flows, whose clients use API tokens.
///
/// The first start makes a key, a database, a password and a token, and prints commands to try.
/// Sources are the text documents of a folder; hidden folders, `target` and `node_modules` are left
/// out. Listens on 127.0.0.1 alone. Ctrl-C stops it.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    folders: Folders,

    /// The port to listen on; 0 takes any free one
    #[arg(long, default_value_t = 8787)]
    port: u16,

    /// Where the key and the admin's password are kept, and the tokens if there is no --store
    #[arg(long, value_name = "DIR", default_value = "./api-tokens-data")]
    data: PathBuf,

    /// The PostgreSQL database of the tokens, such as `postgres://user@host/database` [default: a
    /// SQLite file in the data folder]. Several processes may use one, with the same key. A
    /// password is safer in the environment, where other users do not see it
    #[arg(long, value_name = "URL", env = "SERVICE_STORE", hide_env_values = true)]
    store: Option<Location>,

    /// Where the MCP server is, which the example `mcp-server` starts: for the page, which tells
    /// people what to put into their assistants
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8790/mcp")]
    mcp: String,

    /// The keys by which GitHub signs its reports of leaked tokens, in a file that somebody keeps up
    /// to date. Without it, only those are heard who send what they found to `/reports/found`
    #[arg(long, value_name = "FILE")]
    github_keys: Option<PathBuf>,
}

/// Where tokens are managed.
const MANAGEMENT: &str = "/management";

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::line(format_args!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Everything that can be wrong with the arguments is found before the first token is made, so
/// that the one time it is shown is not wasted.
async fn run(arguments: Arguments) -> Result<(), Failure> {
    let sources = Arc::new(arguments.folders.read()?);
    let listener = listen(arguments.port).await?;
    let stop = stop_signal()?;

    let data = Data::open(&arguments.data, arguments.store.as_ref()).await?;
    // Most requests need no store, and a token that is revoked through another process is refused
    // here as well, a second later at most.
    let (verifier, background) =
        Verifier::builder(setup::PREFIX, &Keyring::new(data.key), data.store)
            .cache(Cache::new())
            .events(log::Events)
            .build();
    let issuer = Issuer::new(&verifier);
    setup::warn_of_other_keys(&issuer, &data.files).await?;

    let first_token = setup::first_token(&issuer).await?;
    let base = format!("http://{}", listener.local_addr()?);
    let sign_in = Arc::new(data.sign_in);
    Greeting {
        base: &base,
        files: &data.files,
        location: arguments.store.as_ref(),
        sources: &sources,
        new_password: sign_in.new_password(),
        first_token: first_token.as_ref(),
    }
    .print()?;
    drop(first_token);

    let admin = Admin::new(Arc::clone(&sign_in), &base, &arguments.mcp)?;
    let app = Router::new()
        .merge(health::routes(verifier.clone()))
        .merge(sign_in::routes(Arc::clone(&sign_in)))
        .merge(pages::routes(sign_in, Arc::clone(&sources)))
        .merge(api::routes(verifier, sources))
        .merge(reports::routes(&issuer, arguments.github_keys))
        .nest(MANAGEMENT, management::router(issuer, admin))
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "There is nothing at this path"))
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "This path does not take this method")
        })
        .layer(middleware::from_fn(log::refusals));

    // For as long as requests are served, and then once more: when tokens were last used is kept
    // in memory until the background writes it.
    background.run_until(serve(listener, app, stop)).await
}

async fn listen(port: u16) -> Result<TcpListener, Failure> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| {
        format!("cannot listen on 127.0.0.1:{port}: {error}; try another --port, or 0 for any")
            .into()
    })
}

/// Serves until `stop`, then finishes the requests that are under way, for a while.
async fn serve(
    listener: TcpListener,
    app: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Failure> {
    /// A client that stops in the middle of a request must not keep the process alive.
    const PATIENCE: Duration = Duration::from_secs(5);

    let stopping = Arc::new(Notify::new());
    let notify = Arc::clone(&stopping);
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    let server = axum::serve(listener, app).with_graceful_shutdown(async move {
        stop.await;
        log::line(format_args!("stopping"));
        notify.notify_one();
    });
    let out_of_patience = async {
        stopping.notified().await;
        tokio::time::sleep(PATIENCE).await;
    };
    tokio::select! {
        result = server => result?,
        () = out_of_patience => log::line(format_args!("stopped with requests unfinished")),
    }
    Ok(())
}

/// Ctrl-C, or SIGTERM from whatever supervises the process. Listens from now on, not only from
/// when it is awaited.
#[cfg(unix)]
fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}
