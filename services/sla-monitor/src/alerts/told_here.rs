//! What a sink was told and can't be on the log, because it is the log that is away. A file holds it, so that a restart meanwhile does not
//! leave an incident open that nobody ends.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rollcall_domain::alert::Alert;
use tracing::warn;
use uuid::Uuid;

/// What one sink was told, by the key of the alert.
pub struct ToldHere {
    file: PathBuf,
    alerts: BTreeMap<String, Alert>,
}

impl ToldHere {
    /// What an earlier process has told `sink`; `folder` is the monitor's own. A file that can't be read holds nothing.
    pub fn open(folder: &Path, sink: &str) -> Self {
        let file = folder.join(format!("told-{}.json", Uuid::new_v5(&Uuid::NAMESPACE_OID, sink.as_bytes()).simple()));
        let read = match fs::read(&file) {
            Ok(text) => serde_json::from_slice(&text).map_err(|e| e.to_string()),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(e) => Err(e.to_string()),
        };
        let alerts = read.unwrap_or_else(|reason| {
            warn!(sink, file = %file.display(), reason, "what was told while the log was away can't be read");
            BTreeMap::new()
        });
        Self { file, alerts }
    }

    pub fn is_empty(&self) -> bool {
        self.alerts.is_empty()
    }

    pub fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.values()
    }

    /// It was told.
    pub fn insert(&mut self, alert: Alert) {
        self.alerts.insert(alert.key.clone(), alert);
        self.write();
    }

    /// It was told that it is over.
    pub fn remove(&mut self, key: &str) {
        if self.alerts.remove(key).is_some() {
            self.write();
        }
    }

    fn write(&self) {
        let part = self.file.with_extension("part");
        let written = serde_json::to_vec(&self.alerts)
            .map_err(std::io::Error::other)
            .and_then(|text| fs::write(&part, text))
            .and_then(|()| fs::rename(&part, &self.file));
        if let Err(e) = written {
            warn!(file = %self.file.display(), error = %e, "what was told while the log is away is not kept");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use rollcall_domain::alert::{About, Level};

    use super::*;

    #[test]
    fn what_was_told_outlives_a_restart_until_it_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let open = || ToldHere::open(folder.path(), "the pager / night");
        let key = About::Log.key();
        let alert = Alert {
            key: key.clone(),
            sink: "the pager / night".into(),
            about: About::Log,
            level: Level(0),
            summary: "the log is away".into(),
            fired_at: "2026-01-01T00:00:00Z".parse().unwrap(),
        };
        open().insert(alert.clone());
        assert!(open().alerts().eq([&alert]));
        assert!(ToldHere::open(folder.path(), "another").is_empty());
        open().remove(&key);
        assert!(open().is_empty());
        fs::write(&open().file, "{").unwrap();
        assert!(open().is_empty(), "a file that is damaged keeps no monitor from running");
    }
}
