//! Tokens in the desktop's keyring. There is none here, so a store of keyring-core's stands for it.

use std::sync::{Arc, OnceLock};

use api_tokens::client::TokenSource;
use keyring_core::{Entry, Error, mock};

use crate::{EXPECTED, describe, in_child, text};

/// This program's default store, which lives as long as the process.
fn store() -> Arc<mock::Store> {
    static STORE: OnceLock<Arc<mock::Store>> = OnceLock::new();
    Arc::clone(STORE.get_or_init(|| {
        let store = mock::Store::new().unwrap();
        keyring_core::set_default_store(store.clone());
        store
    }))
}

fn entry(user: &str) -> Entry {
    let _store = store();
    Entry::new("acme", user).unwrap()
}

#[tokio::test]
async fn an_entry_is_a_token_or_nothing_or_wrong() {
    let entry = entry("ann");
    assert_eq!(
        describe(TokenSource::keyring("acme", "ann")).await,
        format!("absent: keyring entry for ann at acme does not exist: {EXPECTED}")
    );
    entry.set_password(&text(1)).unwrap();
    assert_eq!(describe(TokenSource::keyring("acme", "ann")).await, text(1));
    entry.set_password("hunter2").unwrap();
    let said = describe(TokenSource::keyring("acme", "ann")).await;
    assert!(said.starts_with("malformed: keyring entry for ann at acme is not a token"), "{said}");
}

#[tokio::test]
async fn what_the_keyring_says_holds_no_secret() {
    let entry = entry("bob");
    let credential: &mock::Cred = entry.as_any().downcast_ref().unwrap();
    let secret = || text(1).into_bytes();
    for (error, problem) in [
        (Error::BadEncoding(secret()), "the entry does not hold text"),
        (Error::BadDataFormat(secret(), text(1).into()), "the entry does not hold text"),
        (Error::NoStorageAccess("it is locked".into()), "the keyring does not open: it is locked"),
        (Error::PlatformFailure("no answer".into()), "the keyring failed: no answer"),
        (Error::Ambiguous(Vec::new()), "the keyring has 0 such entries: remove all but one"),
        (Error::Invalid("user".into(), text(1)), "the keyring does not take this service or user"),
    ] {
        credential.set_error(error);
        assert_eq!(
            describe(TokenSource::keyring("acme", "bob")).await,
            format!("failed: keyring entry for bob at acme cannot be read: {problem}")
        );
    }
}

#[tokio::test]
#[ignore = "what the test below runs in a process of its own"]
async fn child_asks_the_keyring() {
    println!("<<{}>>", describe(TokenSource::keyring("acme", "ann")).await);
}

#[cfg(target_os = "linux")]
#[test]
fn without_a_desktop_it_says_so() {
    let nowhere = ("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus");
    let (said, _) = in_child("keyring::child_asks_the_keyring", &[nowhere]);
    let start = "failed: keyring entry for ann at acme cannot be read: no keyring answers: ";
    assert!(said.starts_with(start) && said.ends_with("is this a desktop session?"), "{said}");
}
