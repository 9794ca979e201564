//! Whether everything goes wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether everything goes wrong; clones share it.
#[derive(Debug, Clone)]
pub struct Weather(pub(crate) Arc<AtomicBool>);

impl Weather {
    /// Whether it does.
    pub fn is_rough(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
