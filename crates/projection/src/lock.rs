//! One process per folder.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use crate::error::ProjectionError;

/// Held for as long as the folder is used; the system releases it when the process dies.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Creates the folder when it is missing, and locks it.
    ///
    /// # Errors
    /// [`ProjectionError::Locked`] when another process has it.
    pub fn take(folder: &Path) -> Result<Self, ProjectionError> {
        let failed = |e: std::io::Error| ProjectionError::Folder { path: folder.into(), reason: e.to_string() };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        let file = File::create(folder.join("lock")).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(ProjectionError::Locked { path: folder.into() }),
            Err(TryLockError::Error(e)) => Err(failed(e)),
        }
    }
}
