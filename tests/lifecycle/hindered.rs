//! What happens between two calls of a store, or while one takes long or fails.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use api_tokens::{
    Changes, Cursor, EventKind, EventNumber, Found, Issuer, Keyring, ListFilter, MemoryStore,
    NumberedEvent, PageKey, Rotate, StoreError, StoreErrorKind, TokenId, TokenRecord, TokenStore,
    Usage, Verifier, WriteBatch, prefix,
};
use jiff::Timestamp;

use crate::{ann, key, new_token};

type Before = Box<dyn FnOnce() + Send>;

/// Hinders calls of the store within.
#[derive(Clone, Default)]
struct Hindered {
    inner: MemoryStore,
    before_list: Arc<Mutex<Option<Before>>>,
    /// A record that is damaged.
    damaged: Arc<Mutex<Option<TokenId>>>,
    /// How long a write takes.
    write_takes: Duration,
}

impl TokenStore for Hindered {
    async fn find(&self, id: &TokenId) -> Result<Option<Found>, StoreError> {
        if *self.damaged.lock().unwrap() == Some(*id) {
            return Err(StoreError::new(StoreErrorKind::Corrupt, "read a record"));
        }
        self.inner.find(id).await
    }

    async fn write(&self, batch: &WriteBatch) -> Result<(), StoreError> {
        tokio::time::sleep(self.write_takes).await;
        self.inner.write(batch).await
    }

    async fn list(
        &self,
        filter: &ListFilter,
        after: Option<&PageKey>,
        limit: usize,
    ) -> Result<Vec<TokenRecord>, StoreError> {
        if let Some(before) = self.before_list.lock().unwrap().take() {
            before();
        }
        self.inner.list(filter, after, limit).await
    }

    async fn changes_since(
        &self,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Changes, StoreError> {
        self.inner.changes_since(cursor, limit).await
    }

    async fn changed(&self) {
        self.inner.changed().await;
    }

    async fn record_usage(&self, batch: &[Usage]) -> Result<(), StoreError> {
        self.inner.record_usage(batch).await
    }

    async fn usage(&self, ids: &[TokenId]) -> Result<Vec<Usage>, StoreError> {
        self.inner.usage(ids).await
    }

    async fn events(
        &self,
        token: &TokenId,
        before: Option<EventNumber>,
        limit: usize,
    ) -> Result<Vec<NumberedEvent>, StoreError> {
        self.inner.events(token, before, limit).await
    }

    async fn prune(&self, ended_before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.inner.prune(ended_before, limit).await
    }
}

#[tokio::test]
async fn a_keyring_that_is_set_while_a_key_retires_stays() {
    let store = Hindered::default();
    let keyring = Keyring::new(key(2)).with_earlier(key(1));
    let verifier = Verifier::new(prefix!("acme_live"), &keyring, store.clone());
    let issuer = Issuer::new(&verifier);
    *store.before_list.lock().unwrap() = Some(Box::new({
        let verifier = verifier.clone();
        move || {
            let keyring = Keyring::new(key(3)).with_earlier(key(2)).with_earlier(key(1));
            verifier.set_keyring(&keyring);
        }
    }));
    issuer.retire_key(Some(key(1).id()), false).await.unwrap();
    let created = issuer.create(new_token("a token"), &ann()).await.unwrap();
    assert_eq!(created.record.digest.key_id(), Some(key(3).id()));
    issuer.retire_key(Some(key(1).id()), false).await.unwrap_err(); // it is gone
}

#[tokio::test]
async fn reuse_is_told_once_however_often_its_family_cannot_be_revoked() {
    let store = Hindered::default();
    let (verifier, mut background) =
        Verifier::builder(prefix!("acme_live"), &Keyring::unkeyed(), store.clone())
            .revoke_family_on_reuse()
            .build();
    let issuer = Issuer::new(&verifier);
    let first = issuer.create(new_token("a token"), &ann()).await.unwrap();
    let rotate = async |id| issuer.rotate(id, &ann(), Rotate::default()).await.unwrap();
    let second = rotate(first.record.id).await;
    let third = rotate(second.record.id).await;
    verifier.verify(first.token.expose_secret().as_bytes()).await.unwrap_err();
    *store.damaged.lock().unwrap() = Some(third.record.id);
    for _ in 0..5 {
        background.tick().await.unwrap_err();
    }
    let events = issuer.events(first.record.id, &ann(), None, 100).await.unwrap();
    let told = events.iter().filter(|told| told.event.kind == EventKind::ReuseDetected);
    assert_eq!(told.count(), 1);
    // It is not given up.
    *store.damaged.lock().unwrap() = None;
    background.tick().await.unwrap();
    verifier.verify(third.token.expose_secret().as_bytes()).await.unwrap_err();
}

/// With a key that is replaced, one use after the other asks for a write of its own.
#[tokio::test]
async fn usage_does_not_wait_for_other_work() {
    let quick = Hindered::default();
    let prefix = prefix!("acme_live");
    let issuer = Issuer::new(&Verifier::new(prefix, &Keyring::new(key(1)), quick.clone()));
    let mut tokens = Vec::new();
    for i in 0..300 {
        tokens.push(issuer.create(new_token(&format!("{i}")), &ann()).await.unwrap().token);
    }
    let store = Hindered { write_takes: Duration::from_millis(20), ..quick };
    let keyring = Keyring::new(key(2)).with_earlier(key(1));
    let (verifier, background) = Verifier::builder(prefix, &keyring, store.clone()).build();
    let serving = async {
        for token in &tokens {
            verifier.verify(token.expose_secret().as_bytes()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(8)).await;
        }
        // Long ago, but after the first tick.
        let early = tokens[10].id();
        store.inner.usage(&[early]).await.unwrap().len()
    };
    assert_eq!(background.run_until(serving).await, 1);
}
