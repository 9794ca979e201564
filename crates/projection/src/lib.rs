//! Projections on sled: state and position committed as one, and the runner that every service uses.

mod bloom;
mod build;
mod error;
mod frames;
mod history;
mod layers;
mod lock;
mod overlay;
mod packed;
mod pipeline;
mod redo;
mod runner;
mod store;
mod table;
mod transaction;
mod tree;
mod view;

pub use error::ProjectionError;
pub use frames::{Frames, frame, frames};
pub use history::{History, PastView};
pub use lock::FolderLock;
pub use pipeline::{Pipeline, apply};
pub use runner::{BATCH, Idle, Projection, Runner};
pub use store::Store;
pub use transaction::Transaction;
pub use view::View;
