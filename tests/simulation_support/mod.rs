//! Nodes, a network and a store in virtual time, for `test_simulation.rs`: what happens, in which
//! order, and how long it takes is chosen by a seed.

mod clients;
mod clock;
pub(crate) mod coverage;
mod history;
mod node;
pub(crate) mod schedule;
mod server;
mod settings;
mod store;
mod world;
