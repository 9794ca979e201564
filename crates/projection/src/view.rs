//! State as it is now, to be read.

use rollcall_domain::kv::{KvError, Pair, Read, end_of};

use std::ops::ControlFlow;

use crate::packed::unpack;
use crate::tree::Tree;

fn storage(error: std::io::Error) -> KvError {
    KvError::Storage(error.to_string())
}

fn unpacked((key, stored): (Vec<u8>, Vec<u8>)) -> Result<Pair, KvError> {
    Ok((String::from_utf8_lossy(&key).into_owned(), unpack(&stored)?))
}

/// The state of a projection, to read.
#[derive(Debug, Clone)]
pub struct View {
    pub(crate) tree: Tree,
}

impl Read for View {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        let found = self.tree.get(key.as_bytes()).map_err(storage)?;
        found.map(|stored| unpack(&stored)).transpose()
    }

    fn scan(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<Pair>, KvError> {
        let start = after.filter(|after| *after >= prefix).unwrap_or(prefix);
        let mut found = Vec::new();
        if limit == 0 {
            return Ok(Vec::new());
        }
        let visit = |(key, stored): (Vec<u8>, Vec<u8>)| {
            if !key.starts_with(prefix.as_bytes()) {
                return ControlFlow::Break(());
            }
            if after.map(str::as_bytes) != Some(key.as_slice()) {
                found.push((key, stored));
            }
            if found.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        self.tree.up(prefix.as_bytes(), start.as_bytes(), visit).map_err(storage)?;
        found.into_iter().map(unpacked).collect()
    }

    fn scan_back(&self, prefix: &str, before: Option<&str>, limit: usize) -> Result<Vec<Pair>, KvError> {
        let end = before.map_or_else(|| end_of(prefix), str::to_owned);
        if end.as_str() <= prefix {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        if limit == 0 {
            return Ok(Vec::new());
        }
        let visit = |(key, stored): (Vec<u8>, Vec<u8>)| {
            if key.as_slice() < prefix.as_bytes() {
                return ControlFlow::Break(());
            }
            found.push((key, stored));
            if found.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        self.tree.down(prefix.as_bytes(), end.as_bytes(), visit).map_err(storage)?;
        found.into_iter().map(unpacked).collect()
    }
}
