//! A list as a SCIM service would answer (RFC 7644 §3.4, RFC 9865): read only.

use std::borrow::Cow;

use reqwest::{Method, StatusCode};
use rollcall_config::AccountListConfig;
use rollcall_scim::{GROUP, USER};
use serde_json::{Value, json};
use url::Url;

use super::entries::Entry;
use super::snapshot::Snapshot;

/// The most resources of a page.
const PAGE: usize = 1000;

/// What is answered.
pub type Answered = (StatusCode, Value);

/// The answer to a request.
pub fn answer(list: &AccountListConfig, snapshot: &Snapshot, method: &Method, address: &Url) -> Answered {
    if method != Method::GET {
        return wrong(StatusCode::NOT_IMPLEMENTED, "a list can't be changed");
    }
    let segments: Vec<String> =
        address.path_segments().into_iter().flatten().filter(|part| !part.is_empty()).map(decoded).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let query = |key: &str| address.query_pairs().find(|(name, _)| name == key).map(|(_, value)| value);
    match segments.as_slice() {
        ["ServiceProviderConfig"] => (
            StatusCode::OK,
            json!({
                "patch": { "supported": false },
                "filter": { "supported": true, "maxResults": PAGE },
                "pagination": { "cursor": true },
            }),
        ),
        ["ResourceTypes"] => {
            let has_groups = list.columns.contains_key("groups");
            let types = ["/Users", "/Groups"].into_iter().take(1 + usize::from(has_groups));
            (StatusCode::OK, json!(types.map(|endpoint| json!({ "endpoint": endpoint })).collect::<Vec<_>>()))
        }
        ["Users", id] => match snapshot.by_id(id) {
            Some(entry) => (StatusCode::OK, user(entry)),
            None => wrong(StatusCode::NOT_FOUND, "the list has no such account"),
        },
        ["Groups", name] => match snapshot.groups.get(&name.to_lowercase()) {
            Some(group) => (StatusCode::OK, as_group(group)),
            None => wrong(StatusCode::NOT_FOUND, "the list has no such group"),
        },
        ["Users"] => match query("filter") {
            Some(filter) => found(list, snapshot, &filter),
            None => page(snapshot.entries.len(), snapshot, query, |place| snapshot.entries.get(place).map(user)),
        },
        ["Groups"] => match query("filter") {
            Some(filter) => group_named(snapshot, &filter),
            None => {
                let all: Vec<Value> = snapshot.groups.values().map(as_group).collect();
                page(all.len(), snapshot, query, |place| all.get(place).cloned())
            }
        },
        _ => wrong(StatusCode::NOT_FOUND, "a list has no such thing"),
    }
}

fn decoded(segment: &str) -> String {
    percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

fn wrong(status: StatusCode, detail: &str) -> Answered {
    (status, json!({ "detail": detail }))
}

fn user(entry: &Entry) -> Value {
    let mut resource = entry.resource.clone();
    resource.entry("schemas").or_insert_with(|| json!([USER.id]));
    Value::Object(resource)
}

fn as_group((name, members): &(String, Vec<String>)) -> Value {
    let members: Vec<Value> = members.iter().map(|id| json!({ "value": id })).collect();
    json!({ "schemas": [GROUP.id], "id": name, "displayName": name, "members": members })
}

/// `attribute eq "value"`.
fn equals(filter: &str) -> Option<(&str, String)> {
    let (attribute, value) = filter.split_once(" eq ")?;
    let value = serde_json::from_str::<Value>(value).ok()?;
    Some((attribute, value.as_str()?.to_owned()))
}

fn found(list: &AccountListConfig, snapshot: &Snapshot, filter: &str) -> Answered {
    let known = equals(filter).filter(|(attribute, _)| *attribute == "id" || list.columns.contains_key(*attribute));
    match known.and_then(|(attribute, value)| snapshot.by_attribute(attribute, &value)) {
        Some(entries) => listed(entries.into_iter().map(user).collect()),
        None => wrong(StatusCode::BAD_REQUEST, "a list is not searched by that"),
    }
}

fn group_named(snapshot: &Snapshot, filter: &str) -> Answered {
    match equals(filter) {
        Some(("displayName", name)) => {
            listed(snapshot.groups.get(&name.to_lowercase()).map(as_group).into_iter().collect())
        }
        _ => wrong(StatusCode::BAD_REQUEST, "groups are searched by displayName"),
    }
}

fn listed(resources: Vec<Value>) -> Answered {
    (StatusCode::OK, json!({ "totalResults": resources.len(), "Resources": resources }))
}

/// One page, from a place in this list: that of another list is none of this.
fn page<'a>(
    total: usize,
    snapshot: &Snapshot,
    query: impl Fn(&str) -> Option<Cow<'a, str>>,
    at: impl Fn(usize) -> Option<Value>,
) -> Answered {
    let number = |key: &str| query(key).and_then(|text| text.parse::<usize>().ok());
    let count = number("count").unwrap_or(PAGE).min(PAGE);
    let from = match query("cursor") {
        Some(cursor) if !cursor.is_empty() => match cursor.split_once('.') {
            Some((generation, place)) if generation.parse() == Ok(snapshot.generation) => {
                place.parse().unwrap_or(total)
            }
            _ => return wrong(StatusCode::BAD_REQUEST, "there is a newer list: read it from the start"),
        },
        _ => number("startIndex").unwrap_or(1).saturating_sub(1),
    };
    let resources: Vec<Value> = (from..total).take(count).filter_map(at).collect();
    let next = from.saturating_add(resources.len());
    let mut page = json!({ "totalResults": total, "Resources": resources });
    if next < total {
        page["nextCursor"] = json!(format!("{}.{next}", snapshot.generation));
    }
    (StatusCode::OK, page)
}
