//! What public documentation says of apps: the settings that `preset = "…"` stands for. Each is a small file with the addresses
//! and the date of its sources.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use toml::de::{DeTable, DeValue};

/// What is known of one app.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// Its name for people.
    pub name: String,
    /// The addresses of the documentation that it is from.
    pub sources: Vec<String>,
    /// When that was read.
    pub checked: String,
    /// What an administrator has to know.
    #[serde(default)]
    pub notes: Vec<String>,
    /// The keys of `[[apps]]` that it stands for.
    pub settings: toml::Table,
    /// How something must behave that stands for the app in a test.
    #[serde(default)]
    pub emulation: Emulation,
}

/// How something must behave that stands for an app in a test.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Emulation {
    /// What a DELETE of a user does.
    pub delete: Deletion,
    /// The attributes that can be asked for by filter; none: it is not known.
    pub filters: Vec<String>,
    /// Whether a new user must accept an invitation.
    pub invites: bool,
}

/// What a DELETE of a user does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deletion {
    /// The user is gone.
    #[default]
    Removes,
    /// The user is switched off, and shown.
    Deactivates,
    /// It is not offered.
    Refused,
}

macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        [$(($name, include_str!(concat!("../presets/", $name, ".toml")))),+]
    };
}

static FILES: [(&str, &str); 17] = files![
    "1password",
    "atlassian",
    "aws-iam-identity-center",
    "databricks",
    "datadog",
    "dropbox",
    "figma",
    "github-emu",
    "github-organization",
    "gitlab",
    "notion",
    "salesforce",
    "sentry",
    "slack",
    "snowflake",
    "zendesk",
    "zoom",
];

static TABLES: LazyLock<BTreeMap<&str, DeTable<'static>>> = LazyLock::new(|| {
    let parsed = |(name, text): &(&'static str, &'static str)| {
        let table = DeTable::parse(text).ok()?.into_inner();
        Some((*name, table))
    };
    FILES.iter().filter_map(parsed).collect()
});

/// Every preset, by the name that the configuration has for it.
#[must_use]
pub fn presets() -> BTreeMap<&'static str, Preset> {
    FILES.iter().filter_map(|(name, text)| Some((*name, toml::from_str(text).ok()?))).collect()
}

/// The settings of one, as a table of the configuration.
pub(crate) fn settings(name: &str) -> Result<&'static DeTable<'static>, String> {
    let unknown = || {
        let known = FILES.map(|(name, _)| name).join(", ");
        format!("there is no preset '{name}': there are {known}")
    };
    match TABLES.get(name).and_then(|table| table.get("settings")).map(toml::Spanned::get_ref) {
        Some(DeValue::Table(settings)) => Ok(settings),
        _ => Err(unknown()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_can_be_read_and_says_where_it_is_from() {
        let all = presets();
        assert_eq!(all.len(), FILES.len(), "one of the files can't be read");
        for (name, preset) in &all {
            assert!(settings(name).is_ok(), "{name}");
            assert!(preset.sources.iter().all(|source| source.starts_with("https://")), "{name}");
            assert!(!preset.sources.is_empty() && preset.checked.parse::<jiff::civil::Date>().is_ok(), "{name}");
        }
        assert!(settings("nothing").is_err_and(|why| why.contains("slack")));
    }
}
