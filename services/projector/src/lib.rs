//! The projector does two things with the log. It **derives**: the directory, the ledger and the timeline ([`state`],
//! [`timeline`]), as they are now and [as they were](as_of), and [whether it gets better](trends). It **answers**: the paths under `/v1` ([`api`]), exports
//! ([`export`]), proofs ([`proof`]) and the console ([`console`]).

mod api;
mod as_of;
mod console;
mod erasure;
mod error;
mod export;
mod proof;
mod service;
mod state;
mod timeline;
mod trends;

pub use api::openapi::document as openapi;
pub use as_of::HISTORY;
pub use console::MAX_FORM;
pub use erasure::register;
pub use error::ProjectorError;
pub use export::line;
pub use service::Projector;
pub use state::answers::{Answers, NAME};
pub use trends::open as open_by_trends;
