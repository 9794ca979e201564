//! `[scim]`.

use std::time::Duration;

use rollcall_scim::{Catalogue, IndexedAttribute};

use crate::model::ScimConfig;
use crate::section::{Section, size, some_text, truth};

pub(crate) fn scim(mut s: Section<'_>) -> ScimConfig {
    let catalogue: Catalogue = s.parsed("schemas", schemas).unwrap_or_default();
    let catalogue = match s.parsed("effective_dates", truth) {
        Some(true) => catalogue.with_effective_dates(),
        _ => catalogue,
    };
    let config = ScimConfig {
        catalogue,
        max_bulk_operations: size(s.integer("max_bulk_operations", 1..=10_000, 1000)),
        max_filter_bytes: size(s.integer("max_filter_bytes", 64..=64 << 10, 4096)),
        max_resource_bytes: size(s.integer("max_resource_bytes", 1024..=256 << 10, 128 << 10)),
        max_members_per_request: size(s.integer("max_members_per_request", 1..=100_000, 10_000)),
        max_heavy_reads: size(s.integer("max_heavy_reads", 1..=1024, 8)),
        indexed: s.list("indexed", some_text).unwrap_or_else(|| vec!["name.familyName".into(), "title".into()]),
        max_scan_time: s.duration("max_scan_time", Duration::from_secs(5)),
        max_members_shown: size(s.integer("max_members_shown", 1..=1_000_000, 10_000)),
    };
    for path in &config.indexed {
        let fits = config.catalogue.types().iter().any(|kind| IndexedAttribute::parse(path, kind).is_ok());
        if !fits {
            s.mistake(format!("indexed: no resource has an attribute '{path}' that can be put in order"));
        }
    }
    s.finish();
    config
}

/// The core schemas and those in the `.json` files of a folder.
fn schemas(folder: &str) -> Result<Catalogue, String> {
    let unreadable = |e: std::io::Error| format!("'{folder}' can't be read: {e}");
    let mut files = std::fs::read_dir(folder)
        .map_err(unreadable)?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(unreadable)?;
    files.retain(|path| path.extension().is_some_and(|e| e == "json"));
    files.sort();
    let mut documents = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(&path).map_err(|e| format!("{} can't be read: {e}", path.display()))?;
        let value = serde_json::from_str(&text).map_err(|e| format!("{} is not JSON: {e}", path.display()))?;
        documents.push((path.display().to_string(), value));
    }
    Catalogue::load(&documents).map_err(|e| e.to_string())
}
