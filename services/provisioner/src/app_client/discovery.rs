//! Learning what an app can do from its discovery documents (RFC 7644 §4). What it does not say stays unknown.

use reqwest::StatusCode;
use rollcall_domain::access::rejection::RejectionCause;
use rollcall_domain::app::capability::{Capabilities, Support};
use rollcall_scim::USER;
use serde_json::Value;

use crate::app_client::client::{Endpoint, Failure, PageStart, ScimClient};

/// What an app says of itself; one that says nothing is asked whether it has accounts at all.
///
/// # Errors
/// When it can't be reached, refuses our credential, or is no SCIM service.
pub async fn discover(client: &ScimClient) -> Result<Capabilities, Failure> {
    let config = document(client, "ServiceProviderConfig").await?;
    let types = document(client, "ResourceTypes").await?;
    let schemas = document(client, "Schemas").await?;
    if config.is_none() && types.is_none() && schemas.is_none() {
        probe(client).await?;
    }
    Ok(read(config.as_ref(), types.as_ref(), schemas.as_ref()))
}

/// Whether an app answers as a SCIM service does.
///
/// # Errors
/// When it does not.
pub async fn probe(client: &ScimClient) -> Result<(), Failure> {
    let answer = client.page(Endpoint::Users, &PageStart::Index(1), 1).await?;
    match answer.status {
        StatusCode::OK => answer.list().map(drop),
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
        401 => Err(answer.failure()),
        400..=499 | 501 => Ok(None),
        _ => Err(answer.failure()),
    }
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
        types.iter().any(|t| t.get("endpoint").and_then(Value::as_str).is_some_and(|e| e.ends_with(wanted)))
    };
    let schemas = items(schemas);
    let user = schemas.iter().find(|s| s.get("id").and_then(Value::as_str) == Some(USER.id));
    let attributes: Vec<&Value> =
        user.and_then(|u| u.get("attributes")?.as_array()).map(|all| all.iter().collect()).unwrap_or_default();
    let name = |attribute: &Value| attribute.get("name").and_then(Value::as_str).map(str::to_owned);
    let settable = |attribute: &&&Value| attribute.get("mutability").and_then(Value::as_str) != Some("readOnly");
    let required = attributes
        .iter()
        .filter(|a| a.get("required") == Some(&Value::Bool(true)))
        .filter(settable)
        .filter_map(|a| name(a))
        .filter(|name| name != "password")
        .collect();
    let active = attributes.iter().filter(settable).any(|a| name(a).as_deref() == Some("active"));
    Capabilities {
        patch: supported("patch"),
        filter: supported("filter"),
        groups: if types.is_empty() { Support::Unknown } else { endpoint("/Groups").into() },
        deactivate: if attributes.is_empty() { Support::Unknown } else { active.into() },
        cursor: match config.and_then(|c| c.get("pagination")?.get("cursor")?.as_bool()) {
            Some(yes) => yes.into(),
            None => Support::Unknown,
        },
        page_size: config.and_then(|c| number(c.get("filter")?.get("maxResults")?)),
        members_per_request: None,
        required,
        consistency_delay: None,
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
}
