//! Verifier processes, a revoker and what goes wrong between them, for `test_bound.rs`.

pub(crate) mod fault;
pub(crate) mod network;
pub(crate) mod node;
pub(crate) mod proxy;
pub(crate) mod rig;
pub(crate) mod seen;
pub(crate) mod table;
pub(crate) mod verifying;

use std::time::Duration;

use api_tokens::{Clock, Keyring, MasterKey, SystemClock};

/// The same in all processes of the machine, so that they can be compared.
pub(crate) fn now() -> Duration {
    SystemClock.monotonic()
}

pub(crate) fn keyring() -> Keyring {
    let key: Vec<u8> = (0..32).collect();
    Keyring::new(MasterKey::from_bytes(&key).expect("a key"))
}
