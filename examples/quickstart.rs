//! The life of a token in thirty lines, in memory: `cargo run --example quickstart`.

use std::error::Error;

use api_tokens::{Issuer, Keyring, ListQuery, MasterKey, MemoryStore, NewToken, Verifier, prefix};
use rand::rngs::SysRng;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // In a service: `MasterKey::from_env("TOKEN_KEY")?`, and a store that is durable.
    let keyring = Keyring::new(MasterKey::generate(&mut SysRng)?);
    let verifier = Verifier::new(prefix!("acme_live"), &keyring, MemoryStore::new());
    let issuer = Issuer::new(&verifier);

    // Create: the plaintext is shown once, here.
    let new = NewToken::new("acme".parse()?, "ann".parse()?, "Claude Integration".parse()?)
        .with_scopes("sources:read flows:run".parse()?);
    let created = issuer.create(new).await?;
    println!("your token, shown once: {}", created.token.expose_secret());

    // Verify what a request brings.
    let header = format!("Bearer {}", created.token.expose_secret());
    let verified = verifier.verify_authorization([header.as_bytes()]).await?;
    verified.require(&"sources:read".parse()?)?;
    println!("accepted for project {}: {}", verified.project(), verified.scopes());
    if let Err(error) = verified.require(&"sources:write".parse()?) {
        println!("refused: {error}");
    }

    // List, revoke, and see it refused.
    for record in issuer.list(&ListQuery::default()).await?.records {
        println!("listed: {} ({})", record.name, record.id);
    }
    issuer.revoke(verified.id(), "ann".parse()?, Some("laptop lost".parse()?)).await?;
    if let Err(error) = verifier.verify_authorization([header.as_bytes()]).await {
        println!("refused: {error}");
    }
    Ok(())
}
