//! `[apps.list]`: where the list of the accounts of an app is, and how it is written.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use rollcall_domain::app::capability::{Capabilities, Support};
use rollcall_domain::app::mapping::{Mapping, effective};
use rollcall_domain::app::own_way::{Keeps, Way};
use rollcall_rows::Format;

use crate::model::{AccountListConfig, AccountListPlace};
use crate::section::{Entry, Section, http_url, size, some_text};

const DAY: Duration = Duration::from_secs(86_400);

/// What a list may show besides what the accounts are to show.
const OF_LISTS: [&str; 4] = ["id", "externalId", "active", "groups"];

/// Reads where a list is; `None` when there is none, or it has mistakes.
pub(crate) fn account_list(mut s: Section<'_>, attributes: &Mapping) -> Option<AccountListConfig> {
    let is_there = !s.is_absent();
    let file = s.parsed("file", |text| match PathBuf::from(text) {
        path if path.is_absolute() => Ok(path),
        _ => Err(format!("'{text}' must be a path from the root: /var/lib/lists/app.csv")),
    });
    let url = s.parsed("url", http_url);
    let format = s.parsed("format", |text| {
        let found = Format::ALL.into_iter().find(|format| format.name() == text);
        found.ok_or_else(|| format!("'{text}' must be csv, ndjson or json"))
    });
    let mut wrong = false;
    let mut columns = BTreeMap::new();
    let shown: Vec<String> = effective(attributes).iter().map(|rule| rule.target.clone()).collect();
    for Entry { key, text, section } in s.table("columns").entries() {
        let is_known = OF_LISTS.contains(&key.as_str()) || shown.contains(&key);
        match text.filter(|text| is_known && !text.trim().is_empty()) {
            Some(column) => drop(columns.insert(key, column)),
            None => {
                wrong = true;
                section.mistake(format!(
                    "'{key}' must be id, active, groups, externalId, or one of the attributes that the accounts show ({}), with the \
                     name of its column",
                    shown.join(", ")
                ));
            }
        }
        section.finish();
    }
    if is_there && !columns.contains_key("userName") {
        wrong = true;
        s.mistake("columns.userName is missing: it says by which column an account is told from the others");
    }
    let inactive = s.list("inactive", some_text).map(|words| words.iter().map(|word| word.to_lowercase()).collect());
    if inactive.is_some() && !columns.contains_key("active") {
        wrong = true;
        s.mistake("inactive says what a column means that columns.active does not name");
    }
    let separator = s.parsed("separator", some_text).unwrap_or_else(|| ";".to_owned());
    let list_max_age = s.duration("max_age", 2 * DAY);
    let written_after = s.span("written_after").unwrap_or_default();
    let percent = s.integer("max_missing_percent", 0..=100, 20);
    let max_bytes = size(s.integer("max_bytes", 1024..=(1 << 30), 64 << 20));
    let place = match (file, url) {
        (Some(file), None) => Some(AccountListPlace::File(file)),
        (None, Some(url)) => Some(AccountListPlace::Url(url)),
        _ => {
            if is_there {
                s.mistake("give one of file and url: where the list of the accounts is");
            }
            None
        }
    };
    let by_name = |path: &str| Format::ALL.into_iter().find(|format| path.ends_with(&format!(".{}", format.name())));
    let format = format.or_else(|| match place.as_ref()? {
        AccountListPlace::File(file) => by_name(&file.to_string_lossy()),
        AccountListPlace::Url(url) => by_name(url.path()),
    });
    if format.is_none() && place.is_some() {
        s.mistake("format is missing, and the name of the list says none: write csv, ndjson or json");
    }
    s.finish();
    Some(AccountListConfig {
        place: place?,
        format: format?,
        columns: Some(columns).filter(|_| !wrong)?,
        inactive,
        separator,
        max_age: list_max_age,
        written_after,
        max_missing_percent: u32::try_from(percent).unwrap_or(u32::MAX),
        max_bytes,
    })
}

/// What an app can do of which a list is all that can be read: what has no column is not compared.
pub(crate) fn as_listed(list: &AccountListConfig, attributes: &Mapping, said: Capabilities) -> Capabilities {
    let has = |path: &str| list.columns.contains_key(path);
    let supported = |yes: bool| if yes { Support::Yes } else { Support::No };
    let rules = effective(attributes);
    let hidden = rules.iter().map(|rule| &rule.target).filter(|target| !has(target));
    let keeps = hidden.map(|target| (target.clone(), Keeps::from(Way::NotInSchema)));
    // People write names as they like.
    let name = ("userName".to_owned(), Keeps::from(Way::OtherCase));
    Capabilities {
        patch: Support::No,
        filter: Support::Yes,
        cursor: Support::Yes,
        groups: supported(has("groups")),
        deactivate: supported(has("active")),
        members_shown: Support::Yes,
        keeps: keeps.chain(said.keeps).chain([name]).collect(),
        ..Capabilities::default()
    }
}

/// The managed groups that no column shows, and essential attributes without one.
pub(crate) fn unseen(list: &AccountListConfig, manages_groups: bool, essential: &[String]) -> Vec<String> {
    let mut all = Vec::new();
    if manages_groups && !list.columns.contains_key("groups") {
        all.push("its groups are managed, and columns.groups names no column that shows them".to_owned());
    }
    let without = essential.iter().filter(|path| !list.columns.contains_key(*path));
    all.extend(without.map(|path| format!("'{path}' is essential, and no column shows it")));
    all
}
