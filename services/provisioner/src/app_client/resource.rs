//! What an app answers, as an account.

use std::collections::BTreeSet;

use rollcall_domain::access::remote::Remote;
use serde_json::Value;

/// A User in an app's answer; `None` when it is none.
pub fn to_remote(value: &Value) -> Option<Remote> {
    let resource = value.as_object()?.clone();
    let id = resource.get("id")?.as_str()?.to_owned();
    resource.get("userName")?.as_str()?;
    Some(Remote { id, resource, groups: BTreeSet::new() })
}
