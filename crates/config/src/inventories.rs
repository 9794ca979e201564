//! `[[inventories]]`: the lists of credentials, who sends them, and how they are written.

use std::collections::BTreeMap;

use rollcall_domain::access::credential::CredentialKind;
use rollcall_domain::app::AppSpec;
use rollcall_domain::ids::{InventoryName, SourceName};

use crate::model::{HolderBy, InventoryConfig, InventoryField, InventoryPreset, InventoryShape};
use crate::section::{Section, some_text};
use crate::sources::known_source;

pub(crate) fn credential_kind(text: &str) -> Result<CredentialKind, String> {
    let all = || CredentialKind::ALL.map(CredentialKind::name).join(", ");
    CredentialKind::from_name(text).ok_or_else(|| format!("'{text}' must be one of {}", all()))
}

pub(crate) fn inventory(
    mut s: Section<'_>,
    sources: &[SourceName],
    apps: &[&AppSpec],
) -> Option<(usize, InventoryConfig)> {
    let name = s.required("name", |text| text.parse::<InventoryName>().map_err(|e| e.to_string()));
    let source = s.required("source", |text| known_source(text, sources));
    let preset = s.parsed("preset", |text| {
        let found = InventoryPreset::ALL.into_iter().find(|preset| preset.name() == text);
        let all = || InventoryPreset::ALL.map(InventoryPreset::name).join(", ");
        found.ok_or_else(|| format!("there is no preset '{text}': there are {}", all()))
    });
    let mut table = s.table("columns");
    let has_columns = !table.is_absent();
    let columns: BTreeMap<InventoryField, String> = InventoryField::ALL
        .into_iter()
        .filter_map(|field| Some((field, table.parsed(field.name(), some_text)?)))
        .collect();
    table.finish();
    let kind = s.parsed("kind", credential_kind);
    let app = s.parsed("app", |text| {
        let found = apps.iter().find(|spec| spec.id.as_str() == text).map(|spec| spec.id.clone());
        found.ok_or_else(|| format!("there is no app '{text}'"))
    });
    let holder = s.parsed("holder", |text| match text {
        "userName" => Ok(HolderBy::UserName),
        "externalId" => Ok(HolderBy::ExternalId),
        "id" => Ok(HolderBy::Id),
        _ => Err(format!("'{text}' must be userName, externalId or id")),
    });
    let percent = s.integer("max_missing_percent", 0..=100, 20);
    if preset.is_some() && has_columns {
        s.mistake("give a preset or columns, not both: a preset knows its columns");
    }
    let line = s.line();
    s.finish();
    let shape = preset.map_or(InventoryShape::Columns(columns), InventoryShape::Preset);
    let usual = preset.map_or(CredentialKind::Token, InventoryPreset::kind);
    let max_missing_percent = u32::try_from(percent).unwrap_or(u32::MAX);
    let kind = kind.unwrap_or(usual);
    let holder = holder.unwrap_or_default();
    Some((line, InventoryConfig { name: name?, source: source?, shape, kind, app, holder, max_missing_percent }))
}
