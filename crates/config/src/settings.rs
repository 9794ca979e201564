//! Every setting by its place, as text, without secrets: what is told of a configuration.

use rollcall_domain::governance::configuration::Settings;
use toml::de::{DeTable, DeValue};

/// The keys that hold a secret itself, wherever they are.
const SECRETS: [&str; 4] = ["token", "password", "signing_secret", "link_key"];

/// What names one of several tables.
const NAMES: [&str; 3] = ["id", "name", "attribute"];

/// What stands for what is not told.
const HIDDEN: &str = "(hidden)";

/// Every setting of a file by its place.
pub(crate) fn settings(root: &DeTable<'_>) -> Settings {
    let mut out = Settings::new();
    add_table(&mut out, "", root);
    out
}

fn add_table(out: &mut Settings, place: &str, table: &DeTable<'_>) {
    for (key, value) in table {
        let key = key.get_ref().as_ref();
        let inner = if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") };
        // The address of a sink can be a secret, too.
        let is_secret = SECRETS.contains(&key) || (key == "url" && place.starts_with("alerts."));
        if is_secret {
            out.insert(inner, HIDDEN.to_owned());
        } else {
            add(out, &inner, value.get_ref());
        }
    }
}

fn add(out: &mut Settings, place: &str, value: &DeValue<'_>) {
    match value {
        DeValue::Table(table) => add_table(out, place, table),
        DeValue::Array(items) if items.iter().any(|item| matches!(item.get_ref(), DeValue::Table(_))) => {
            for (index, item) in items.iter().enumerate() {
                match item.get_ref() {
                    DeValue::Table(table) => {
                        let name = NAMES.iter().find_map(|key| table.get(*key)?.get_ref().as_str().map(str::to_owned));
                        // Several may have no name, or the same.
                        let named = name.map(|name| format!("{place}.{name}")).filter(|named| {
                            let taken = format!("{named}.");
                            !out.range(taken.clone()..).next().is_some_and(|(known, _)| known.starts_with(&taken))
                        });
                        add_table(out, &named.unwrap_or_else(|| format!("{place}.{index}")), table);
                    }
                    other => add(out, &format!("{place}.{index}"), other),
                }
            }
        }
        DeValue::Array(items) => {
            let all: Vec<String> = items.iter().map(|item| text(item.get_ref())).collect();
            out.insert(place.to_owned(), all.join(", "));
        }
        plain => {
            out.insert(place.to_owned(), text(plain));
        }
    }
}

fn text(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(items) => items.iter().map(|item| text(item.get_ref())).collect::<Vec<_>>().join(", "),
        DeValue::Table(_) => "(a table)".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn settings_are_told_by_their_place_and_secrets_are_not() {
        let file = "[server]\nmax_page = 7\n[[apps]]\nid = \"crm\"\ntoken = \"secret-1\"\nresources = [\"a\", \"b\"]\n\
                    [apps.attributes]\n\"name.x\" = { value = true }\n[[apps]]\nid = \"chat\"\ntoken_env = \"CHAT\"\n\
                    [[alerts]]\nname = \"team\"\nurl = \"https://hooks.example.com/secret-2\"\nsigning_secret = \"secret-3\"\n\
                    [nats]\npassword = \"secret-4\"\n";
        let found = settings(DeTable::parse(file).unwrap().get_ref());
        let all: Vec<String> = found.iter().map(|(place, value)| format!("{place}={value}")).collect();
        assert_eq!(
            all,
            [
                "alerts.team.name=team",
                "alerts.team.signing_secret=(hidden)",
                "alerts.team.url=(hidden)",
                "apps.chat.id=chat",
                "apps.chat.token_env=CHAT",
                "apps.crm.attributes.name.x.value=true",
                "apps.crm.id=crm",
                "apps.crm.resources=a, b",
                "apps.crm.token=(hidden)",
                "nats.password=(hidden)",
                "server.max_page=7",
            ]
        );
    }
}
