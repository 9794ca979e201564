//! State as it is now, to be read.

use rollcall_domain::kv::{KvError, Pair, Read, end_of};

use crate::packed::unpack;
use crate::tree::Tree;

/// The state of a projection, to read.
#[derive(Debug, Clone)]
pub struct View {
    pub(crate) tree: Tree,
}

impl Read for View {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        let found = self.tree.get(key.as_bytes()).map_err(|e| KvError::Storage(e.to_string()))?;
        found.map(|stored| unpack(&stored)).transpose()
    }

    fn scan(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<Pair>, KvError> {
        let start = after.filter(|after| *after >= prefix).unwrap_or(prefix);
        let mut out = Vec::new();
        for pair in self.tree.range(start.as_bytes()..) {
            if out.len() >= limit {
                break;
            }
            let (key, stored) = pair.map_err(|e| KvError::Storage(e.to_string()))?;
            if !key.starts_with(prefix.as_bytes()) {
                break;
            }
            let key = String::from_utf8_lossy(&key).into_owned();
            if after != Some(key.as_str()) {
                out.push((key, unpack(&stored)?));
            }
        }
        Ok(out)
    }

    fn scan_back(&self, prefix: &str, before: Option<&str>, limit: usize) -> Result<Vec<Pair>, KvError> {
        let end = before.map_or_else(|| end_of(prefix), str::to_owned);
        if end.as_str() <= prefix {
            return Ok(Vec::new());
        }
        let mut out = Vec::new();
        for pair in self.tree.range(prefix.as_bytes()..end.as_bytes()).rev().take(limit) {
            let (key, stored) = pair.map_err(|e| KvError::Storage(e.to_string()))?;
            out.push((String::from_utf8_lossy(&key).into_owned(), unpack(&stored)?));
        }
        Ok(out)
    }
}
