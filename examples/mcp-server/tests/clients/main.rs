//! The real server and the official clients of the protocol, none of which was written for it.
#![cfg(unix)]

mod client;
mod http;
mod rig;
mod sessions;
mod stdio;
mod streams;
mod tenants;
mod tokens;
mod wire;

#[path = "../../../service/tests/service/python.rs"]
mod python;
#[path = "../../../../tests/util/mod.rs"]
mod util;
