//! The page about the configuration: every key that is looked for when a file is read, as the code looks for it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::load::keys;
use crate::meanings::MEANINGS;

/// Has every table, and every key without which others are not looked for.
const EVERYTHING: &str = r#"
[oidc]
[oidc.roles]
admins = "admin"
[tiers.critical]
[[sources]]
[sources.jwt]
[[precedence]]
[[group_authority]]
[[api_tokens]]
[[signing_keys]]
[[apps]]
[apps.sla]
[apps.attributes]
userName = { attribute = "userName" }
[[apps.groups]]
[[apps.entitlements]]
[apps.drift]
[apps.guard]
[apps.capabilities]
[apps.capabilities.keeps]
title = "not kept"
[[roles]]
[[separations]]
[[inventories]]
[inventories.columns]
name = "id"
[[alerts]]
"#;

const HEAD: &str = "# The configuration

This page is made from the code: `./dev reference` writes it, and a test fails when it is not what the code reads. How the parts
work together is in [operations.md](operations.md), [connect-an-idp](connect-an-idp/README.md) and
[connect-an-app.md](connect-an-app.md).

The file is TOML. `rollcall check --config rollcall.toml` names every mistake with its line. Time spans are written as `500ms`, `15m`, `4h`
or `7d`. A key of `[server]`, `[nats]`, `[scim]`, `[telemetry]`, `[audit]`, `[privacy]`, `[approvals]`, `[machines]`, `[reevaluation]`, `[alerting]` and `[tasks]` that is no list can be overridden by the
environment variable `ROLLCALL_<TABLE>_<KEY>`. Secrets come by `*_env`, the name of an environment variable, or `*_file`, the path of a
file. Tables in double brackets may be there several times; `*` is a name of your own.
";

/// The tables that a file may have several of.
const LISTS: [&str; 12] = [
    "sources",
    "precedence",
    "group_authority",
    "api_tokens",
    "signing_keys",
    "apps",
    "apps.groups",
    "apps.entitlements",
    "roles",
    "separations",
    "inventories",
    "alerts",
];

/// docs/configuration.md. A key of which [`MEANINGS`] says nothing has an empty place in it.
#[must_use]
pub fn reference() -> String {
    let meanings: BTreeMap<&str, (&str, &str)> =
        MEANINGS.iter().map(|(key, meaning, example)| (*key, (*meaning, *example))).collect();
    let mut tables: Vec<(String, String)> = Vec::new();
    for key in keys(EVERYTHING) {
        let (table, name) = key.name.rsplit_once('.').unwrap_or(("", &key.name));
        let (meaning, example) = meanings.get(key.name.as_str()).copied().unwrap_or_default();
        let usual = match (key.default.as_deref(), example) {
            (Some("required"), "") => "required".to_owned(),
            (Some("required"), example) => format!("required, such as `{example}`"),
            (Some(usual), _) => format!("`{usual}`"),
            (None, "") => String::new(),
            (None, example) => format!("such as `{example}`"),
        };
        let kind = key.allowed.map_or_else(|| key.kind.to_owned(), |range| format!("{}, {range}", key.kind));
        let row = format!("| `{name}` | {kind} | {usual} | {meaning} |\n");
        match tables.iter_mut().find(|(known, _)| known == table) {
            Some((_, rows)) => rows.push_str(&row),
            None => tables.push((table.to_owned(), row)),
        }
    }
    let mut page = HEAD.to_owned();
    for (table, rows) in tables {
        let title = if LISTS.contains(&table.as_str()) { format!("[[{table}]]") } else { format!("[{table}]") };
        // Writing to a string does not fail.
        let _ = write!(page, "\n## {title}\n\n| key | type | default | what it is |\n|---|---|---|---|\n{rows}");
    }
    page
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_key_has_a_meaning_and_nothing_else_has() {
        let known: BTreeSet<String> = keys(EVERYTHING).into_iter().map(|key| key.name).collect();
        let meant: BTreeSet<String> = MEANINGS.iter().map(|(key, ..)| (*key).to_owned()).collect();
        let without: Vec<&String> = known.difference(&meant).collect();
        let unknown: Vec<&String> = meant.difference(&known).collect();
        assert!(without.is_empty() && unknown.is_empty(), "without a meaning: {without:?}; not read: {unknown:?}");
        assert!(MEANINGS.iter().all(|(_, meaning, _)| meaning.ends_with('.') && !meaning.contains('|')));
    }
}
