//! Tokens in front of axum's handlers: `cargo run --example axum`, then the lines it prints.

use std::error::Error;

use api_tokens::{
    Actor, Authorized, BearerLayer, Issuer, Keyring, MemoryStore, NewToken, RequiredScopes,
    Verified, Verifier, prefix,
};
use axum::{
    Router,
    routing::{get, post},
};
use tokio::net::TcpListener;

struct RunFlows;

impl RequiredScopes for RunFlows {
    const SCOPES: &'static [&'static str] = &["flows:run"];
}

/// Any accepted token will do.
async fn whoami(token: Verified) -> String {
    format!("{} of project {}\n", token.name(), token.project())
}

/// Only a token with the scope `flows:run`.
async fn run(token: Authorized<RunFlows>) -> String {
    format!("ran a flow for {}\n", token.owner())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // In a service: a durable store, and `Keyring::new(MasterKey::from_env("TOKEN_KEY")?)`.
    let verifier = Verifier::new(prefix!("acme_test"), &Keyring::unkeyed(), MemoryStore::new());
    let issuer = Issuer::new(&verifier);
    let app = Router::new()
        .route("/whoami", get(whoami))
        .route("/flows", post(run))
        .route_layer(BearerLayer::new(verifier).realm("Acme REST API".parse()?));

    let port = std::env::args().nth(1).unwrap_or_else(|| "3000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    let address = listener.local_addr()?;
    let ann: Actor = "ann".parse()?;
    for (name, scopes) in [("reader", "sources:read"), ("runner", "sources:read flows:run")] {
        let new = NewToken::new("acme".parse()?, "ann".parse()?, name.parse()?)
            .with_scopes(scopes.parse()?);
        let token = issuer.create(new, &ann).await?.token;
        println!("# {name}: {scopes}");
        for request in ["http", "-X POST http"] {
            let path = if request == "http" { "whoami" } else { "flows" };
            let token = token.expose_secret();
            println!("curl -i -H 'Authorization: Bearer {token}' {request}://{address}/{path}");
        }
    }
    axum::serve(listener, app).await?;
    Ok(())
}
