//! The tokens that the example service keeps.

use std::path::Path;

use api_tokens::{
    DynTokenStore, Keyring, MasterKey, PostgresOptions, SqliteOptions, Verifier, VerifierBuilder,
};
use secrecy::{ExposeSecret, SecretString};
use sources::Failure;

use crate::PREFIX;

/// Opens what the service has made, and makes nothing.
pub(crate) async fn open(
    data: &Path,
    location: Option<&SecretString>,
) -> Result<VerifierBuilder<DynTokenStore>, Failure> {
    let key = data.join("key");
    if !key.exists() {
        return Err(format!(
            "{} is not there: start the example service once, or say with --data where its data are",
            key.display()
        )
        .into());
    }
    let keyring = Keyring::new(MasterKey::from_file(key)?);
    let store = match location {
        Some(url) => {
            let url = url.expose_secret();
            if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
                return Err("--store must begin with postgres://".into());
            }
            DynTokenStore::new(PostgresOptions::new(url).open().await?)
        }
        None => DynTokenStore::new(SqliteOptions::new(data.join("tokens.db")).open()?),
    };
    Ok(Verifier::builder(PREFIX, &keyring, store))
}
