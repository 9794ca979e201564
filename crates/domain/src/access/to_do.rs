//! What has to be done in an app that people change, in words.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::access::account::Account;
use crate::access::desired::{Desired, Presence};
use crate::app::AppSpec;
use crate::app::deprovision::Deprovision;

/// What has to be done in an app, one thing after the other, in words for who does it; `name` is the user name of whom the account
/// is, where it is known, and `anothers` are those of its former names that are somebody else's by now.
#[must_use]
pub fn to_do(account: &Account, app: &AppSpec, name: Option<&str>, anothers: &BTreeSet<String>) -> Vec<String> {
    let known_as = |account: &Account, name| known_as(account, name, anothers);
    let presence = match &account.desired {
        Desired::Present(presence) => presence,
        Desired::Off => {
            return vec![format!("Switch {} off, and leave all else of it as it is", known_as(account, name))];
        }
        Desired::Deleted => {
            return vec![format!("Delete {}, also where it is switched off only", known_as(account, name))];
        }
        Desired::Absent => {
            let whose = known_as(account, name);
            return vec![match app.effective_deprovision() {
                Deprovision::Deactivate => format!("Switch {whose} off, and take it out of every group"),
                Deprovision::Delete => format!("Delete {whose}"),
            }];
        }
    };
    let user_name = account.desired.user_name().or(name).unwrap_or("who is named by its attributes");
    let said = |path: &str, value: &Value| format!("{path}: {}", in_words(value));
    let wanted = presence.attributes.iter().filter(|(path, value)| {
        !value.is_null() && !matches!(path.as_str(), "active" | "externalId" | "userName" | "schemas")
    });
    let mut all = Vec::new();
    match known_before(account) {
        Some(before) => {
            if before.attributes.get("userName") != presence.attributes.get("userName") {
                all.push(format!("Rename {} to {user_name}", known_as(account, None)));
            }
            // What can't be seen is said each time.
            let changed = wanted.filter(|(path, value)| before.attributes.get(*path) != Some(value));
            let changed: Vec<String> = changed.map(|(path, value)| said(path, value)).collect();
            if !changed.is_empty() {
                all.push(format!("Change the account {user_name}: {}", changed.join("; ")));
            }
            let cleared = before
                .attributes
                .iter()
                .filter(|(path, value)| !value.is_null() && presence.attributes.get(*path).is_none_or(Value::is_null));
            all.extend(cleared.map(|(path, _)| format!("Clear {path} of the account {user_name}")));
            let (was, is) = (&before.groups, &presence.groups);
            all.extend(is.difference(was).map(|group| format!("Put the account {user_name} into {group}")));
            all.extend(was.difference(is).map(|group| format!("Take the account {user_name} out of {group}")));
            if all.is_empty() {
                all.push(format!("See that the account {user_name} can be used"));
            }
        }
        None => {
            let with: Vec<String> = wanted.map(|(path, value)| said(path, value)).collect();
            let with = if with.is_empty() { String::new() } else { format!(", with {}", with.join("; ")) };
            all.push(format!("Create the account {user_name}, or switch on the one there is{with}"));
            all.extend(presence.groups.iter().map(|group| format!("Put it into {group}")));
            let others: Vec<String> = app.managed_groups().difference(&presence.groups).cloned().collect();
            if !others.is_empty() {
                all.push(format!("See that it is in none of {}", others.join(", ")));
            }
        }
    }
    all
}

/// The account as somebody said last that it is, or as it was read; `None`: as far as is known there is none.
pub(crate) fn known_before(account: &Account) -> Option<Presence> {
    match &account.attested {
        // Where it was never read there is nothing else to go by.
        Some(said) if said.refuted && account.verified_at.is_none() => return said.before.clone(),
        Some(said) if said.refuted => {}
        Some(said) => {
            return match &said.said {
                Desired::Present(presence) => Some(presence.clone()),
                Desired::Absent | Desired::Deleted | Desired::Off => None,
            };
        }
        None => {}
    }
    account.shown().filter(|presence| presence.attributes.get("active") != Some(&Value::Bool(false)))
}

/// An account by every user name that it may have: first what is known, then what it was called before, unless that is somebody else's.
fn known_as(account: &Account, name: Option<&str>, anothers: &BTreeSet<String>) -> String {
    let before = known_before(account);
    let known = before.as_ref().and_then(|presence| presence.attributes.get("userName")).and_then(Value::as_str);
    let former = account.former_names.iter().filter(|name| !anothers.contains(*name)).map(String::as_str);
    let mut names: Vec<&str> = known.or(account.desired.user_name()).into_iter().chain(former).collect();
    if names.is_empty() {
        names.extend(name);
    }
    // One that is nobody's is known by the app's own id alone.
    if names.is_empty() {
        names.extend(account.remote_id.as_deref());
    }
    let mut others: Vec<&str> = names.split_off(names.len().min(1));
    others.retain(|other| Some(other) != names.first());
    match (names.first(), others.as_slice()) {
        (None, _) => "the account".to_owned(),
        (Some(one), []) => format!("the account {one}"),
        (Some(first), rest) => format!("the account {first} (it may be called {})", rest.join(" or ")),
    }
}

fn in_words(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
