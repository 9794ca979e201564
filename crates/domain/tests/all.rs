//! All tests of this crate in one binary, as those of the whole are.

mod access;
mod account;
mod authority;
mod credentials;
mod identity;
mod ledger;
mod machines;
mod own_way;
mod preview;
mod reevaluation;
mod separation;
mod tasks;
mod world;
