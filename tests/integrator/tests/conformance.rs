//! The conformance suite on the store of `examples/custom_store.rs`, from outside the crate.

#[path = "../../../examples/custom_store.rs"]
#[expect(dead_code, reason = "the example's main function")]
mod custom_store;

use custom_store::FileStore;

api_tokens::conformance_tests! {
    #[tokio::test]
    {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let store = FileStore::open(directory.path().join("tokens.json")).expect("open");
        (store, directory)
    }
}
