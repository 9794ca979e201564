//! The entries of a list, of which each is a credential.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rollcall_config::{InventoryConfig, InventoryField, InventoryShape};
use rollcall_domain::access::credential::{CredentialKind, Usability};
use rollcall_rows::{Format, Row, rows};
use serde_json::{Map, Value};

use super::presets;
use super::secret::looks_like;

/// The longest name of a credential, or of whose it is.
const MAX_NAME: usize = 512;

/// One credential, as a list says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The line that it is at.
    pub number: u64,
    /// What it is called: an id, an accessor or a fingerprint.
    pub name: String,
    /// Whose it is, as the list says it; empty: it does not.
    pub holder: String,
    pub kind: CredentialKind,
    pub usability: Usability,
    pub issued_at: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
    pub rotated_at: Option<Timestamp>,
    pub used_at: Option<Timestamp>,
}

/// Reads the lists of one inventory.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    inventory: &'a InventoryConfig,
    format: Format,
}

impl<'a> Reader<'a> {
    /// One for lists that are sent as this content type.
    ///
    /// # Errors
    /// When lists are not taken in it.
    pub fn new(inventory: &'a InventoryConfig, content_type: &str) -> Result<Self, String> {
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let format = match essence.as_str() {
            "text/csv" => Format::Csv,
            "application/x-ndjson" | "application/jsonl" | "application/json-lines" => Format::Ndjson,
            "application/json" => Format::Json,
            _ => {
                return Err(format!(
                    "content type '{essence}' is none of text/csv, application/x-ndjson and application/json"
                ));
            }
        };
        Ok(Self { inventory, format })
    }

    /// Calls `each` with every entry, in the order of the list.
    ///
    /// # Errors
    /// With the line and what is wrong there; a secret is not repeated.
    pub fn entries<E: From<String>>(&self, body: &[u8], mut each: impl FnMut(Entry) -> Result<(), E>) -> Result<(), E> {
        rows(self.format, body, |row| {
            let number = row.number;
            let said = |why: String| E::from(format!("{}: {why}", self.format.place(number)));
            let all = match &self.inventory.shape {
                InventoryShape::Preset(preset) => presets::entries(*preset, row, self.inventory.kind),
                InventoryShape::Columns(columns) => self.by_columns(row, columns).map(|entry| vec![entry]),
            };
            for entry in all.map_err(said)? {
                check(&entry).map_err(said)?;
                each(entry)?;
            }
            Ok(())
        })
    }

    fn by_columns(&self, row: Row, columns: &BTreeMap<InventoryField, String>) -> Result<Entry, String> {
        let Row { number, fields } = row;
        let called = |field: InventoryField| columns.get(&field).map_or(field.name(), String::as_str);
        let text = |field| text_at(&fields, called(field));
        let time = |field| time_at(&fields, called(field));
        if let Some(other) = fields.keys().find(|key| is_secret_key(key)) {
            return Err(format!("'{other}' may be the secret itself: leave it out of the list"));
        }
        // A list that has lost a column says nothing of all that stood in it.
        let needed = columns.keys().chain([&InventoryField::Name, &InventoryField::Holder]);
        if let Some(missing) = needed.map(|field| called(*field)).find(|path| value_at(&fields, path).is_none()) {
            return Err(format!("there is no '{missing}'"));
        }
        let name = text(InventoryField::Name)?;
        if name.is_empty() {
            return Err(format!(
                "'{}' is empty, and must say what the credential is called",
                called(InventoryField::Name)
            ));
        }
        let kind = match text(InventoryField::Kind)?.as_str() {
            "" => self.inventory.kind,
            word => CredentialKind::from_name(word).ok_or_else(|| {
                format!(
                    "'{word}' is no kind of credential: {}",
                    CredentialKind::ALL.map(CredentialKind::name).join(", ")
                )
            })?,
        };
        let active = match text(InventoryField::Active)?.to_ascii_lowercase().as_str() {
            "" | "true" => Usability::Usable,
            "false" => Usability::Disabled,
            other => {
                return Err(format!("'{}' is '{other}', and must be true or false", called(InventoryField::Active)));
            }
        };
        Ok(Entry {
            number,
            name,
            holder: text(InventoryField::Holder)?,
            kind,
            usability: active,
            issued_at: time(InventoryField::IssuedAt)?,
            expires_at: time(InventoryField::ExpiresAt)?,
            rotated_at: time(InventoryField::RotatedAt)?,
            used_at: time(InventoryField::UsedAt)?,
        })
    }
}

/// Whether a field is named as secrets are.
fn is_secret_key(key: &str) -> bool {
    let key = key.to_ascii_lowercase().replace(['-', ' '], "_");
    ["secret", "password", "private_key", "client_secret", "secret_access_key", "token", "access_token", "api_key"]
        .contains(&key.as_str())
}

fn check(entry: &Entry) -> Result<(), String> {
    for (what, text) in [("the name of a credential", &entry.name), ("whose it is", &entry.holder)] {
        if let Some(kind) = looks_like(text) {
            return Err(format!("{what} looks like {kind}: send ids, accessors or fingerprints, never the secret"));
        }
        if text.len() > MAX_NAME {
            return Err(format!("{what} is longer than {MAX_NAME} bytes"));
        }
        if text.chars().any(char::is_control) {
            return Err(format!("{what} has a control character in it"));
        }
    }
    Ok(())
}

/// The text of a field, which may be inside others, as `metadata.name`; empty: there is none.
pub fn text_at(fields: &Map<String, Value>, path: &str) -> Result<String, String> {
    match value_at(fields, path) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.trim().to_owned()),
        Some(Value::Number(number)) => Ok(number.to_string()),
        Some(Value::Bool(truth)) => Ok(truth.to_string()),
        Some(Value::Array(_) | Value::Object(_)) => Err(format!("'{path}' is neither a text nor a number")),
    }
}

/// What stands in a field, which may be inside others.
pub fn value_at<'a>(fields: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(value) = fields.get(path) {
        return Some(value);
    }
    let (first, rest) = path.split_once('.')?;
    value_at(fields.get(first)?.as_object()?, rest)
}

/// What stands in lists where there is no time.
const NO_TIME: [&str; 8] = ["", "n/a", "no_information", "not_supported", "never", "none", "null", "0"];

/// The time of a field: RFC 3339, a date, or seconds since 1970; none: there is none.
pub fn time_at(fields: &Map<String, Value>, path: &str) -> Result<Option<Timestamp>, String> {
    let text = text_at(fields, path)?;
    if NO_TIME.contains(&text.to_ascii_lowercase().as_str()) {
        return Ok(None);
    }
    let seconds = || Timestamp::from_second(text.parse().ok()?).ok();
    let day = || {
        let midnight = text.parse::<jiff::civil::Date>().ok()?.at(0, 0, 0, 0);
        jiff::tz::Offset::UTC.to_timestamp(midnight).ok()
    };
    let found = text.parse::<Timestamp>().ok().or_else(seconds).or_else(day);
    found
        .map(Some)
        .ok_or_else(|| format!("'{path}' is '{text}', which is no time (RFC 3339, a date, or seconds since 1970)"))
}
