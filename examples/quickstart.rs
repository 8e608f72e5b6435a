//! The life of a token in memory: `cargo run --example quickstart`.

use std::error::Error;

use api_tokens::{
    Actor, Issuer, Keyring, MasterKey, MemoryStore, NewToken, Rotate, Selection, Verifier, prefix,
};
use jiff::SignedDuration;
use rand::rngs::SysRng;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // In a service: `MasterKey::from_env("TOKEN_KEY")?`, and a store that is durable.
    let keyring = Keyring::new(MasterKey::generate(&mut SysRng)?);
    let verifier = Verifier::new(prefix!("acme_live"), &keyring, MemoryStore::new());
    let issuer = Issuer::new(&verifier);

    let ann: Actor = "ann".parse()?; // who is signed in

    // Create: the plaintext is shown once, here.
    let new = NewToken::new("acme".parse()?, "ann".parse()?, "Claude Integration".parse()?)
        .with_scopes("sources:read flows:run".parse()?);
    let created = issuer.create(new, &ann).await?;
    println!("your token, shown once: {}", created.token.expose_secret());

    // Verify what a request brings.
    let header = format!("Bearer {}", created.token.expose_secret());
    let verified = verifier.verify_authorization([header.as_bytes()]).await?;
    verified.require(&"sources:read".parse()?)?;
    println!("accepted for project {}: {}", verified.project(), verified.record().scopes);
    if let Err(error) = verified.require(&"sources:write".parse()?) {
        println!("refused: {error}");
    }

    // Rotate: both are accepted for a week, or until somebody ends it.
    let week = SignedDuration::from_hours(7 * 24);
    let rotated = issuer.rotate(verified.id(), &ann, Rotate::with_overlap(week)).await?;
    println!("your new token, shown once: {}", rotated.token.expose_secret());
    issuer.finish_rotation(verified.id(), &ann).await?;
    if let Err(error) = verifier.verify_authorization([header.as_bytes()]).await {
        println!("refused: {error}");
    }

    // List, revoke, and see it refused.
    for record in
        issuer.list(&Selection::of_project("acme".parse()?), &ann, None, 10).await?.records
    {
        println!("listed: {} ({})", record.name, record.id);
    }
    issuer.revoke(rotated.record.id, &ann, Some("laptop lost".parse()?)).await?;
    let header = format!("Bearer {}", rotated.token.expose_secret());
    if let Err(error) = verifier.verify_authorization([header.as_bytes()]).await {
        println!("refused: {error}");
    }
    Ok(())
}
