//! The rows of a list, whichever way it is written: a table (CSV), an object a line (NDJSON), or one JSON document.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// How a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A table, with a first line of names (RFC 4180).
    Csv,
    /// A JSON object a line.
    Ndjson,
    /// One JSON document: a list of objects, or an object with `items`.
    Json,
}

impl Format {
    /// Each.
    pub const ALL: [Self; 3] = [Self::Csv, Self::Ndjson, Self::Json];

    /// The word in the configuration, which is what names of files end with.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
            Self::Json => "json",
        }
    }

    /// How people are told where a row is: by its line, or by its place in a JSON document.
    #[must_use]
    pub fn place(self, number: u64) -> String {
        match self {
            Self::Csv | Self::Ndjson => format!("line {number}"),
            Self::Json => format!("entry {number}"),
        }
    }
}

/// A row, and where it is.
#[derive(Debug)]
pub struct Row {
    /// The line that it begins at, or its place in a JSON document, counted from 1.
    pub number: u64,
    /// By the names of the first line, or of the object.
    pub fields: Map<String, Value>,
}

/// Calls `each` with every row, and stops at the first error.
///
/// # Errors
/// With the line, where it is not written as it should be.
pub fn rows<E: From<String>>(format: Format, body: &[u8], mut each: impl FnMut(Row) -> Result<(), E>) -> Result<(), E> {
    // The byte order mark with which some programs begin a text in UTF-8.
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    match format {
        Format::Csv => {
            let mut table = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(body);
            let head = table.headers().map_err(|e| E::from(format!("the first line: {e}")))?.clone();
            // Of two columns with one name it is not known which one is meant.
            let mut names = BTreeSet::new();
            if let Some(name) = head.iter().find(|name| !name.is_empty() && !names.insert(*name)) {
                return Err(E::from(format!("the first line: two columns are called '{name}'")));
            }
            for record in table.records() {
                let record = record.map_err(|e| E::from(in_csv(&e)))?;
                let number = record.position().map_or(0, csv::Position::line);
                let field = |(name, value): (&str, &str)| (name.to_owned(), Value::from(value));
                each(Row { number, fields: head.iter().zip(record.iter()).map(field).collect() })?;
            }
            Ok(())
        }
        Format::Ndjson => {
            for (index, line) in body.split(|byte| *byte == b'\n').enumerate() {
                let number = index as u64 + 1;
                if line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                let row = serde_json::from_slice(line).map_err(|e| E::from(format!("line {number}: {e}")))?;
                each(Row { number, fields: object(row).map_err(|why| E::from(format!("line {number}: {why}")))? })?;
            }
            Ok(())
        }
        Format::Json if body.len() > MAX_DOCUMENT => Err(E::from(format!(
            "a JSON document has at most {MAX_DOCUMENT} bytes: send one object a line, as application/x-ndjson"
        ))),
        Format::Json => {
            let document: Value = serde_json::from_slice(body).map_err(|e| E::from(e.to_string()))?;
            for (index, row) in listed(document)?.into_iter().enumerate() {
                let number = index as u64 + 1;
                each(Row { number, fields: object(row).map_err(|why| E::from(format!("entry {number}: {why}")))? })?;
            }
            Ok(())
        }
    }
}

fn in_csv(error: &csv::Error) -> String {
    let line = error.position().map(|at| format!("line {}: ", at.line())).unwrap_or_default();
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{line}it has {len} fields, and the first line {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => format!("{line}it is not UTF-8"),
        _ => format!("{line}{error}"),
    }
}

fn object(row: Value) -> Result<Map<String, Value>, String> {
    match row {
        Value::Object(fields) => Ok(fields),
        other => Err(format!("it is no object: {}", kind(&other))),
    }
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn is_continued(fields: &Map<String, Value>) -> bool {
    let next = fields.get("metadata").and_then(|metadata| metadata.get("continue")).and_then(Value::as_str);
    next.is_some_and(|next| !next.is_empty())
}

/// The largest document; what is larger comes as an object a line, of which one is held at a time.
const MAX_DOCUMENT: usize = 32 << 20;

/// The entries of a document: itself, or its `items`.
fn listed<E: From<String>>(document: Value) -> Result<Vec<Value>, E> {
    match document {
        Value::Array(all) => Ok(all),
        Value::Object(fields) if is_continued(&fields) => {
            Err(E::from("it is a page of a list: 'metadata.continue' says that more follows".to_owned()))
        }
        Value::Object(mut fields) => match fields.remove("items") {
            Some(Value::Array(all)) => Ok(all),
            _ => Err(E::from("it is neither a list nor an object with 'items'".to_owned())),
        },
        other => Err(E::from(format!("it is neither a list nor an object with 'items': {}", kind(&other)))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_table_with_two_columns_of_one_name_is_refused() {
        let read = |text: &str| {
            let mut all = 0;
            rows::<String>(Format::Csv, text.as_bytes(), |_| {
                all += 1;
                Ok(())
            })
            .map(|()| all)
        };
        assert_eq!(read("user,state\nanna,active\n"), Ok(1));
        // Columns without a name are nobody's.
        assert_eq!(read("user,,\nanna,x,y\n"), Ok(1));
        let refused = read("user,state,state\nanna,active,inactive\n");
        assert_eq!(refused, Err("the first line: two columns are called 'state'".to_owned()));
    }
}
