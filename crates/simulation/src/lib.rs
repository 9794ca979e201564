//! A simulation: the provisioner and the SLA monitor as they are, with their real state on disk, around a log, apps,
//! people and a clock that are made up from one seed. Everything that can go wrong does, and the laws of [`laws`] hold
//! all the same. A run is a few minutes of work in a fraction of a second: time passes as soon as nobody has anything to do.

mod apart;
mod app;
mod authorities;
mod chance;
mod handovers;
mod laws;
mod listing;
mod log;
mod machines;
mod office;
mod people;
mod process;
mod reasons;
mod vault;
mod weather;
mod world;

pub use laws::Broken;
pub use world::{Report, simulate};
