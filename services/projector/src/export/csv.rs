//! Entries as CSV (RFC 4180), safe to open with a spreadsheet.

use csv::Writer;

use crate::error::ApiError;
use crate::timeline::entry::Entry;

const COLUMNS: [&str; 18] = [
    "sequence",
    "recorded_at",
    "occurred_at",
    "type",
    "actor",
    "source",
    "reason",
    "summary",
    "identity",
    "app",
    "change",
    "deadline",
    "changes",
    "correlation_id",
    "event_id",
    "causation_id",
    "trace_id",
    "details",
];

/// The first line.
pub fn head() -> String {
    COLUMNS.join(",") + "\r\n"
}

/// A cell that a spreadsheet takes for text, whatever a source or an app wrote into it (OWASP, CSV Injection).
pub(crate) fn safe(text: String) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text }
}

fn or_empty(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// One line per entry.
///
/// # Errors
/// When an entry can't be written: the export breaks off.
pub fn rows(entries: &[Entry]) -> Result<Vec<u8>, ApiError> {
    let failed = |e: String| ApiError::Unwritable(e);
    let mut writer = Writer::from_writer(Vec::new());
    for e in entries {
        let changes = serde_json::to_string(&e.changes).map_err(|e| failed(e.to_string()))?;
        let cells = [
            e.sequence.to_string(),
            e.recorded_at.to_string(),
            e.occurred_at.to_string(),
            e.type_name.clone(),
            e.actor.clone(),
            or_empty(e.source.as_ref()),
            e.reason.clone(),
            e.summary.clone(),
            or_empty(e.identity),
            or_empty(e.app.as_ref()),
            or_empty(e.change.map(|change| change.name())),
            or_empty(e.deadline),
            changes,
            e.correlation_id.clone(),
            e.event_id.to_string(),
            or_empty(e.causation_id),
            or_empty(e.trace_id.as_ref()),
            e.details.to_string(),
        ];
        writer.write_record(cells.map(safe)).map_err(|e| failed(e.to_string()))?;
    }
    writer.into_inner().map_err(|e| failed(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::safe;

    #[test]
    fn no_cell_is_a_formula() {
        for (text, cell) in [
            ("=HYPERLINK(\"http://x\")", "'=HYPERLINK(\"http://x\")"),
            ("+1", "'+1"),
            ("-2+3", "'-2+3"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("\r=1", "'\r=1"),
            ("Ada = 1", "Ada = 1"),
            ("", ""),
        ] {
            assert_eq!(safe(text.to_owned()), cell);
        }
    }
}
