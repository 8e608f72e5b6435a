use core::pin::Pin;
use std::sync::Arc;

use jiff::Timestamp;

use super::{Changes, Cursor, Found, ListFilter, PageKey, StoreError, TokenStore};
use crate::{TokenId, TokenRecord};

type BoxedFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Any [`TokenStore`] behind one type: `Arc<dyn DynTokenStore>`, which is a `TokenStore` itself.
///
/// Implemented for every store and for nothing else. Costs one allocation a call, about 10 ns.
///
/// ```
/// use std::sync::Arc;
/// use api_tokens::{DynTokenStore, Keyring, MemoryStore, Verifier, prefix};
///
/// let store: Arc<dyn DynTokenStore> = Arc::new(MemoryStore::new());
/// let verifier = Verifier::new(prefix!("acme_live"), &Keyring::unkeyed(), store);
/// ```
pub trait DynTokenStore: sealed::DynTokenStore {}

impl<S: TokenStore> DynTokenStore for S {}

mod sealed {
    use super::{
        BoxedFuture, Changes, Cursor, Found, ListFilter, PageKey, Timestamp, TokenId, TokenRecord,
        TokenStore,
    };

    /// The methods of [`TokenStore`] with boxed futures.
    #[expect(unnameable_types, reason = "sealed: nobody calls or implements this one")]
    pub trait DynTokenStore: Send + Sync + 'static {
        fn insert<'a>(&'a self, record: &'a TokenRecord) -> BoxedFuture<'a, ()>;
        fn find<'a>(&'a self, id: &'a TokenId) -> BoxedFuture<'a, Option<Found>>;
        fn update<'a>(&'a self, record: &'a TokenRecord) -> BoxedFuture<'a, ()>;
        fn list<'a>(
            &'a self,
            filter: &'a ListFilter,
            after: Option<&'a PageKey>,
            limit: usize,
        ) -> BoxedFuture<'a, Vec<TokenRecord>>;
        fn changes_since<'a>(
            &'a self,
            cursor: Option<&'a Cursor>,
            limit: usize,
        ) -> BoxedFuture<'a, Changes>;
        fn prune(&self, ended_before: Timestamp, limit: usize) -> BoxedFuture<'_, usize>;
    }

    impl<S: TokenStore> DynTokenStore for S {
        fn insert<'a>(&'a self, record: &'a TokenRecord) -> BoxedFuture<'a, ()> {
            Box::pin(TokenStore::insert(self, record))
        }

        fn find<'a>(&'a self, id: &'a TokenId) -> BoxedFuture<'a, Option<Found>> {
            Box::pin(TokenStore::find(self, id))
        }

        fn update<'a>(&'a self, record: &'a TokenRecord) -> BoxedFuture<'a, ()> {
            Box::pin(TokenStore::update(self, record))
        }

        fn list<'a>(
            &'a self,
            filter: &'a ListFilter,
            after: Option<&'a PageKey>,
            limit: usize,
        ) -> BoxedFuture<'a, Vec<TokenRecord>> {
            Box::pin(TokenStore::list(self, filter, after, limit))
        }

        fn changes_since<'a>(
            &'a self,
            cursor: Option<&'a Cursor>,
            limit: usize,
        ) -> BoxedFuture<'a, Changes> {
            Box::pin(TokenStore::changes_since(self, cursor, limit))
        }

        fn prune(&self, ended_before: Timestamp, limit: usize) -> BoxedFuture<'_, usize> {
            Box::pin(TokenStore::prune(self, ended_before, limit))
        }
    }
}

impl TokenStore for Arc<dyn DynTokenStore> {
    async fn insert(&self, record: &TokenRecord) -> Result<(), StoreError> {
        sealed::DynTokenStore::insert(&**self, record).await
    }

    async fn find(&self, id: &TokenId) -> Result<Option<Found>, StoreError> {
        sealed::DynTokenStore::find(&**self, id).await
    }

    async fn update(&self, record: &TokenRecord) -> Result<(), StoreError> {
        sealed::DynTokenStore::update(&**self, record).await
    }

    async fn list(
        &self,
        filter: &ListFilter,
        after: Option<&PageKey>,
        limit: usize,
    ) -> Result<Vec<TokenRecord>, StoreError> {
        sealed::DynTokenStore::list(&**self, filter, after, limit).await
    }

    async fn changes_since(
        &self,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Changes, StoreError> {
        sealed::DynTokenStore::changes_since(&**self, cursor, limit).await
    }

    async fn prune(&self, ended_before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        sealed::DynTokenStore::prune(&**self, ended_before, limit).await
    }
}
