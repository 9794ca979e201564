//! Rollcall: did every connected app follow, how long did it take, and can we prove it?

mod access;
mod apps;
mod assemble;
mod backup;
mod bodies;
mod cli;
mod configuration_event;
mod configuration_watch;
mod connections;
mod credentials;
mod demo;
mod drill;
mod erase;
mod export;
mod gone;
mod health;
mod import;
mod init;
mod key;
mod keys;
mod lists;
mod machines;
mod name_order;
mod operator;
mod policy;
mod process;
mod ready;
mod reference;
mod separations;
mod server;
mod service;
mod setup;
mod tasks;
mod terminal;
mod timeline;
mod token;
mod trends;
mod verify;

use std::process::ExitCode;

use clap::Parser as _;

/// A fifth to a third of the time of a busy service was in the system's allocator: see docs/internals/measurements.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Two TLS users in one process need one provider, chosen before either starts.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        eprintln!("rollcall: the TLS provider is installed already");
        return ExitCode::FAILURE;
    }
    match cli::run(cli::Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("rollcall: {error:#}");
            ExitCode::FAILURE
        }
    }
}
