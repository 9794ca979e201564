//! Reading what apps answer, also where it is not quite as the RFCs say: a quirk is mended, and named.

use std::collections::BTreeSet;

use rollcall_domain::app::quirk::AppQuirk;
use serde_json::{Value, json};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// JSON in the form of the RFCs, and in what it was not so; none: it is no JSON.
pub fn read(body: &[u8]) -> (Option<Value>, BTreeSet<AppQuirk>) {
    let mut quirks = BTreeSet::new();
    let json = match body.strip_prefix(BYTE_ORDER_MARK) {
        Some(rest) => {
            quirks.insert(AppQuirk::ByteOrderMark);
            rest
        }
        None => body,
    };
    let mut value = serde_json::from_slice(json).ok();
    if let Some(value) = &mut value {
        mend(value, &mut quirks);
    }
    (value, quirks)
}

fn mend(value: &mut Value, quirks: &mut BTreeSet<AppQuirk>) {
    let Some(object) = value.as_object_mut() else { return };
    // A page by cursor need not say how many there are.
    if !object.contains_key("totalResults") && !object.get("Resources").is_some_and(Value::is_array) {
        mend_resource(value, quirks);
        return;
    }
    if let Some(total) =
        object.get("totalResults").and_then(Value::as_str).and_then(|text| text.trim().parse::<u64>().ok())
    {
        quirks.insert(AppQuirk::TextTotal);
        object.insert("totalResults".into(), total.into());
    }
    if !object.get("Resources").is_some_and(Value::is_array) {
        if object.get("Resources").is_none_or(Value::is_null) {
            quirks.insert(AppQuirk::NoResources);
        }
    } else if !object.get("schemas").is_some_and(Value::is_array) {
        // What it shows is a list all the same; one without a list must say that it is one.
        quirks.insert(AppQuirk::NoListSchema);
        object.insert("schemas".into(), json!([rollcall_scim::LIST_RESPONSE]));
    }
    if let Some(Value::Array(resources)) = object.get_mut("Resources") {
        resources.iter_mut().for_each(|resource| mend_resource(resource, quirks));
    }
}

fn mend_resource(resource: &mut Value, quirks: &mut BTreeSet<AppQuirk>) {
    let Some(object) = resource.as_object_mut() else { return };
    mend_id(object.get_mut("id"), quirks);
    // In an address these stand for the collection, or what is above it (RFC 3986 §5.2.4): nothing has them for an id.
    if object.get("id").and_then(Value::as_str).is_some_and(|id| matches!(id, "" | "." | "..")) {
        object.remove("id");
    }
    let said = match object.get("active") {
        Some(Value::String(text)) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        },
        Some(Value::Number(number)) => number.as_u64().filter(|n| *n <= 1).map(|n| n == 1),
        _ => None,
    };
    if let Some(active) = said {
        quirks.insert(AppQuirk::TextActive);
        object.insert("active".into(), active.into());
    }
    if let Some(Value::Array(members)) = object.get_mut("members") {
        for member in members {
            mend_id(member.get_mut("value"), quirks);
        }
    }
}

fn mend_id(id: Option<&mut Value>, quirks: &mut BTreeSet<AppQuirk>) {
    if let Some(id) = id.filter(|id| id.is_u64() || id.is_i64()) {
        quirks.insert(AppQuirk::NumericId);
        *id = Value::from(id.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_another_address_is_no_id() {
        for id in ["", ".", ".."] {
            let (read_, _) = read(serde_json::json!({ "id": id, "userName": "ada" }).to_string().as_bytes());
            assert_eq!(read_, Some(serde_json::json!({ "userName": "ada" })), "{id}");
        }
    }

    #[test]
    fn answers_that_are_not_quite_as_the_rfcs_say_are_read_and_named() {
        let (read_, quirks) =
            read(b"\xef\xbb\xbf{\"totalResults\":\"1\",\"Resources\":[{\"id\":7,\"active\":\"False\"}]}");
        let list = json!({ "schemas": [rollcall_scim::LIST_RESPONSE], "totalResults": 1,
            "Resources": [{ "id": "7", "active": false }] });
        assert_eq!(read_, Some(list));
        let all = [
            AppQuirk::ByteOrderMark,
            AppQuirk::TextTotal,
            AppQuirk::NoListSchema,
            AppQuirk::NumericId,
            AppQuirk::TextActive,
        ];
        assert_eq!(quirks, BTreeSet::from(all));
        for (said, active) in [(json!(0), false), (json!(1), true), (json!("0"), false), (json!(" TRUE "), true)] {
            let (mended, quirks) = read(json!({ "id": "a", "active": said }).to_string().as_bytes());
            assert_eq!(mended, Some(json!({ "id": "a", "active": active })), "{said}");
            assert_eq!(quirks, BTreeSet::from([AppQuirk::TextActive]), "{said}");
        }
        for unclear in [json!("disabled"), json!(2), json!([])] {
            let body = json!({ "id": "a", "active": unclear });
            assert_eq!(read(body.to_string().as_bytes()).0, Some(body));
        }
        let plain = json!({ "id": "a", "active": true, "members": [{ "value": "b" }] });
        assert_eq!(read(plain.to_string().as_bytes()), (Some(plain), BTreeSet::new()));
        // Without a list and without saying so it is none.
        let (nothing, _) = read(b"{\"totalResults\":0}");
        assert!(nothing.is_some_and(|n| n.get("schemas").is_none()));
        assert_eq!(read(b"<html>").0, None);
    }
}
