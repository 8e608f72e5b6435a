//! A service with tokens, for the tests of the HTTP integrations.

use api_tokens::{Created, Issuer, Keyring, MemoryStore, NewToken, Verifier, prefix};

pub(crate) struct Service {
    pub(crate) verifier: Verifier<MemoryStore>,
    pub(crate) issuer: Issuer<MemoryStore>,
}

impl Service {
    pub(crate) fn new() -> Self {
        let verifier = Verifier::new(prefix!("acme_live"), &Keyring::unkeyed(), MemoryStore::new());
        Self { issuer: Issuer::new(&verifier), verifier }
    }

    pub(crate) async fn token(&self, scopes: &str) -> Created {
        let new = NewToken::new(
            "acme".parse().unwrap(),
            "ann".parse().unwrap(),
            "Production REST API".parse().unwrap(),
        );
        let new = new.with_scopes(scopes.parse().unwrap());
        self.issuer.create(new, &"ann".parse().unwrap()).await.unwrap()
    }
}

pub(crate) fn bearer(created: &Created) -> String {
    format!("Bearer {}", created.token.expose_secret())
}
