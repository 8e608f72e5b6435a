//! The keyring of the person's desktop.

use keyring_core::Error;
use zeroize::Zeroizing;

use super::{
    error::Failure,
    place::{Text, blocking},
};

/// The secret of an entry; `None` if there is no such entry.
pub(super) async fn read(service: String, user: String) -> Result<Option<Text>, Failure> {
    blocking(move || match entry(&service, &user).and_then(|entry| entry.get_secret()) {
        Ok(secret) => Ok(Some(Zeroizing::new(secret))),
        Err(Error::NoEntry) => Ok(None),
        Err(error) => Err(Failure::Keyring(explain(error))),
    })
    .await
}

fn entry(service: &str, user: &str) -> keyring_core::Result<keyring_core::Entry> {
    // The first `keyring::Entry` sets the default store, and would replace the host's own.
    if keyring_core::get_default_store().is_some() {
        keyring_core::Entry::new(service, user)
    } else {
        Ok(::keyring::Entry::new(service, user)?.inner)
    }
}

/// What may be said of an error: some hold the secret.
fn explain(error: Error) -> String {
    match error {
        Error::NoDefaultStore => match ::keyring::Entry::store_status() {
            Err(Error::PlatformFailure(reason) | Error::NoStorageAccess(reason)) => {
                format!("no keyring answers: {reason}; is this a desktop session?")
            }
            _ => "there is no keyring on this system".to_owned(),
        },
        Error::PlatformFailure(reason) => format!("the keyring failed: {reason}"),
        Error::NoStorageAccess(reason) => format!("the keyring does not open: {reason}"),
        Error::Ambiguous(entries) => {
            format!("the keyring has {} such entries: remove all but one", entries.len())
        }
        Error::BadEncoding(mut secret) | Error::BadDataFormat(mut secret, _) => {
            zeroize::Zeroize::zeroize(&mut secret);
            "the entry does not hold text".to_owned()
        }
        _ => "the keyring does not take this service or user".to_owned(),
    }
}
