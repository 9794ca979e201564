//! Learning what an app can do from its discovery documents (RFC 7644 §4). What it does not say stays unknown.

use reqwest::StatusCode;
use rollcall_domain::access::rejection::RejectionCause;
use rollcall_domain::app::capability::{Capabilities, Support};
use rollcall_domain::app::mapping::{Mapping, effective, has_several_values as is_multi};
use rollcall_domain::app::own_way::{Keeps, OwnWays, Way};
use rollcall_scim::{GROUP, USER};
use serde_json::Value;

use crate::app_client::client::{Endpoint, Failure, PageStart, ScimClient};

/// What an app says of itself; one that says nothing is asked whether it has accounts at all.
///
/// # Errors
/// When it can't be reached, refuses our credential, or is no SCIM service.
pub async fn discover(client: &ScimClient, mapping: &Mapping) -> Result<Capabilities, Failure> {
    let config = document(client, "ServiceProviderConfig").await?;
    let types = document(client, "ResourceTypes").await?;
    let schemas = document(client, "Schemas").await?;
    if config.is_none() && types.is_none() && schemas.is_none() {
        probe(client).await?;
    }
    let can = read(config.as_ref(), types.as_ref(), schemas.as_ref());
    Ok(Capabilities { keeps: not_in_schema(schemas.as_ref(), mapping), ..can })
}

/// Whether an app answers as a SCIM service does.
///
/// # Errors
/// When it does not.
pub async fn probe(client: &ScimClient) -> Result<(), Failure> {
    let answer = client.page(Endpoint::Users, &PageStart::Index(1), 1).await?;
    match answer.status {
        StatusCode::OK => answer.list().or_else(|wrong| answer.list_by_cursor().map_err(|_| wrong)).map(drop),
        StatusCode::NOT_FOUND => Err(Failure::new(
            RejectionCause::NotScim,
            "there is nothing at base_url + /Users: base_url must be where the SCIM service begins",
        )),
        _ => Err(answer.failure()),
    }
}

/// A document that an app need not have.
async fn document(client: &ScimClient, name: &str) -> Result<Option<Value>, Failure> {
    let answer = client.discover(name).await?;
    match answer.status.as_u16() {
        200 => answer.body.clone().map(Some).ok_or_else(|| answer.not_scim(&format!("{name} is not JSON"))),
        // Who is told to wait does not know what there is.
        401 => Err(answer.failure()),
        _ if answer.says_later() => Err(answer.failure()),
        400..=499 | 501 => Ok(None),
        _ => Err(answer.failure()),
    }
}

/// The attributes of a mapping that the app's schemas do not have; none where it has no schema of Users.
fn not_in_schema(schemas: Option<&Value>, mapping: &Mapping) -> OwnWays {
    let schemas = items(schemas);
    let attributes = |id: &str| {
        let schema =
            schemas.iter().find(|s| s.get("id").and_then(Value::as_str).is_some_and(|i| i.eq_ignore_ascii_case(id)));
        schema.and_then(|s| s.get("attributes")?.as_array())
    };
    if attributes(USER.id).is_none_or(Vec::is_empty) {
        return OwnWays::new();
    }
    let named = |all: &'_ [Value], name: &str| -> Option<Value> {
        let is = |a: &&Value| a.get("name").and_then(Value::as_str).is_some_and(|n| n.eq_ignore_ascii_case(name));
        all.iter().find(is).cloned()
    };
    let is_there = |path: &str| {
        let (urn, rest) = path.rsplit_once(':').map_or((USER.id, path), |(urn, rest)| (urn, rest));
        let (name, sub) = rest.split_once('.').map_or((rest, None), |(name, sub)| (name, Some(sub)));
        let Some(attribute) = attributes(urn).and_then(|all| named(all, name)) else { return false };
        let subs = attribute.get("subAttributes").and_then(Value::as_array).filter(|subs| !subs.is_empty());
        sub.zip(subs).is_none_or(|(sub, subs)| named(subs, sub).is_some())
    };
    let rules = effective(mapping);
    let sent = rules.iter().flat_map(|rule| {
        // What comes with the value of an attribute that has several.
        let parts = if is_multi(&rule.target) { ["type", "primary"].as_slice() } else { &[] };
        let parts = parts.iter().map(|sub| format!("{}.{sub}", rule.target));
        std::iter::once(rule.target.clone()).chain(parts)
    });
    sent.filter(|path| !is_there(path)).map(|path| (path, Keeps::from(Way::NotInSchema))).collect()
}

/// Some apps answer a list response, some a plain list.
fn items(document: Option<&Value>) -> Vec<&Value> {
    let list = document.and_then(|d| d.get("Resources").unwrap_or(d).as_array());
    list.into_iter().flatten().collect()
}

fn read(config: Option<&Value>, types: Option<&Value>, schemas: Option<&Value>) -> Capabilities {
    let supported = |name: &str| {
        let said = config.and_then(|c| c.get(name)?.get("supported")?.as_bool());
        said.map(Support::from).unwrap_or_default()
    };
    let number = |value: &Value| value.as_u64().and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0);
    let types = items(types);
    let endpoint = |wanted: &str| {
        let is_it =
            |e: &str| e.trim_end_matches('/').rsplit('/').next().is_some_and(|last| last.eq_ignore_ascii_case(wanted));
        types.iter().any(|t| t.get("endpoint").and_then(Value::as_str).is_some_and(is_it))
    };
    let schemas = items(schemas);
    let user = schemas.iter().find(|s| s.get("id").and_then(Value::as_str) == Some(USER.id));
    let attributes: Vec<&Value> =
        user.and_then(|u| u.get("attributes")?.as_array()).map(|all| all.iter().collect()).unwrap_or_default();
    let name = |attribute: &Value| attribute.get("name").and_then(Value::as_str).map(str::to_owned);
    let settable = |attribute: &&Value| attribute.get("mutability").and_then(Value::as_str) != Some("readOnly");
    let group = schemas.iter().find(|s| s.get("id").and_then(Value::as_str) == Some(GROUP.id));
    let of_group: Vec<&Value> =
        group.and_then(|g| g.get("attributes")?.as_array()).map(|all| all.iter().collect()).unwrap_or_default();
    let members = of_group.into_iter().filter(|a| name(a).as_deref() == Some("members"));
    let must = |a: &&Value| a.get("required") == Some(&Value::Bool(true));
    let subs = |a: &Value| a.get("subAttributes").and_then(Value::as_array).cloned().unwrap_or_default();
    let required_subs = |a: &Value| {
        let outer = name(a).unwrap_or_default();
        let inner = subs(a).iter().filter(must).filter_map(name).collect::<Vec<_>>();
        inner.into_iter().filter(|sub| sub != "value").map(move |sub| format!("{outer}.{sub}")).collect::<Vec<_>>()
    };
    let demanded = attributes.iter().copied().filter(must).filter(settable);
    let required = demanded
        .filter(|a| name(a).as_deref() != Some("password"))
        .flat_map(|a| match required_subs(a) {
            subs if subs.is_empty() => name(a).into_iter().collect(),
            subs => subs,
        })
        .chain(members.flat_map(required_subs))
        .collect();
    let active = attributes.iter().filter(|a| settable(a)).any(|a| name(a).as_deref() == Some("active"));
    Capabilities {
        patch: supported("patch"),
        filter: supported("filter"),
        groups: if types.is_empty() { Support::Unknown } else { endpoint("Groups").into() },
        deactivate: if attributes.is_empty() { Support::Unknown } else { active.into() },
        cursor: match config.and_then(|c| c.get("pagination")?.get("cursor")?.as_bool()) {
            Some(yes) => yes.into(),
            None => Support::Unknown,
        },
        page_size: config.and_then(|c| number(c.get("filter")?.get("maxResults")?)),
        required,
        ..Capabilities::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_an_app_says_of_itself_is_understood_and_what_it_does_not_say_stays_unknown() {
        let config = json!({
            "patch": { "supported": false }, "filter": { "supported": true, "maxResults": 50 },
            "pagination": { "cursor": true },
        });
        let types = json!({ "Resources": [{ "endpoint": "/Users" }] });
        let schemas = json!([{ "id": USER.id, "attributes": [
            { "name": "userName", "required": true }, { "name": "id", "required": true, "mutability": "readOnly" },
            { "name": "displayName", "required": true }, { "name": "password", "required": true },
        ] }]);
        let can = read(Some(&config), Some(&types), Some(&schemas));
        assert_eq!((can.patch, can.filter, can.groups), (Support::No, Support::Yes, Support::No));
        assert_eq!((can.deactivate, can.cursor, can.page_size), (Support::No, Support::Yes, Some(50)));
        assert_eq!(can.required, ["userName", "displayName"]);
        assert_eq!(read(None, None, None), Capabilities::default());
    }

    #[test]
    fn what_the_schemas_of_an_app_do_not_have_is_not_managed() {
        let schemas = json!({ "Resources": [{ "id": USER.id, "attributes": [
            { "name": "userName" }, { "name": "Emails" }, { "name": "name", "subAttributes": [{ "name": "givenName" }] },
        ] }] });
        let missing = not_in_schema(Some(&schemas), &Mapping::default());
        let paths: Vec<&str> = missing.keys().map(String::as_str).collect();
        assert_eq!(paths, ["displayName", "name.familyName", "title"]);
        assert!(missing.values().all(|keeps| keeps.way == Way::NotInSchema));
        assert!(not_in_schema(None, &Mapping::default()).is_empty());
        let without_attributes = json!([{ "id": USER.id }]);
        assert!(not_in_schema(Some(&without_attributes), &Mapping::default()).is_empty());
    }
}
