//! An answer of the server that is waited for.

use std::future::Future;
use std::pin::Pin;

use crate::error::LogError;

/// An answer of the log that is waited for.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, LogError>> + Send + 'a>>;
