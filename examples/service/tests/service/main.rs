//! Tests of the whole service: the real program, the commands it prints, real requests.
#![cfg(unix)]

mod authlib;
mod clients;
mod failures;
mod first_start;
mod graphor;
mod life;
mod live_check;
mod management;
mod python;
mod schemathesis;
mod several;
mod shutdown;
mod sign_in;
mod support;
mod usage;

#[path = "../../../../tests/postgres_support/mod.rs"]
mod postgres_support;
#[path = "../../../../tests/util/mod.rs"]
mod util;
