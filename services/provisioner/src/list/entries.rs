//! The rows of a list as accounts. A list that is wrong in one place is refused as a whole: what it lacks would be taken as gone.

use std::collections::HashMap;

use rollcall_config::AccountListConfig;
use rollcall_domain::access::remote::Remote;
use rollcall_domain::app::mapping::{Attributes, to_resource};
use rollcall_rows::{Format, Row, rows};
use serde_json::{Map, Value, json};

const INACTIVE: [&str; 6] = ["false", "no", "0", "inactive", "disabled", "locked"];
const ACTIVE: [&str; 5] = ["true", "yes", "1", "active", "enabled"];

/// An account as a list shows it.
#[derive(Debug, Clone)]
pub struct Entry {
    pub id: String,
    /// As SCIM has it.
    pub resource: Map<String, Value>,
    /// The names of its groups.
    pub groups: Vec<String>,
}

impl Entry {
    /// Whether somebody can sign in with it. A list without that says that whoever is on it can.
    pub fn can_be_used(&self) -> bool {
        self.resource.get("active") != Some(&Value::Bool(false))
    }

    /// As an app would show it.
    pub fn remote(&self) -> Remote {
        Remote { id: self.id.clone(), resource: self.resource.clone(), groups: self.groups.iter().cloned().collect() }
    }
}

/// Every account of a list.
///
/// # Errors
/// What is wrong with it, with its line.
pub fn read(list: &AccountListConfig, body: &[u8]) -> Result<Vec<Entry>, String> {
    let mut seen: HashMap<String, u64> = HashMap::new();
    let mut all = Vec::new();
    rows(list.format, body, |row| {
        let number = row.number;
        let place = list.format.place(number);
        let found = entry(list, row).map_err(|why| format!("{place}: {why}"))?;
        if let Some(before) = seen.insert(found.id.clone(), number) {
            let before = list.format.place(before);
            return Err(format!("{place}: '{}' is there twice, also in {before}", found.id));
        }
        all.push(found);
        Ok(())
    })?;
    Ok(all)
}

fn entry(list: &AccountListConfig, row: Row) -> Result<Entry, String> {
    let mut attributes = Attributes::new();
    let mut groups = Vec::new();
    let mut id = None;
    for (path, column) in &list.columns {
        let Some(value) = row.fields.get(column) else {
            // In a table every row has every column; an object may leave out what is empty, but not what decides.
            let decides = matches!(path.as_str(), "userName" | "id" | "active") || list.format == Format::Csv;
            if decides {
                return Err(format!("it has no '{column}'"));
            }
            continue;
        };
        match path.as_str() {
            "id" => id = Some(text(value).ok_or_else(|| format!("'{column}' is empty: it is the id of the account"))?),
            "active" => {
                attributes.insert("active".into(), Value::Bool(is_active(list, column, value)?));
            }
            "groups" => groups = several(value, &list.separator),
            _ => {
                if let Some(text) = text(value) {
                    attributes.insert(path.clone(), Value::String(text));
                }
            }
        }
    }
    let Some(name) = attributes.get("userName").and_then(Value::as_str).map(str::to_owned) else {
        let column = list.columns.get("userName").map(String::as_str).unwrap_or_default();
        return Err(format!("'{column}' is empty: it is the user name of the account"));
    };
    // Whoever is listed has access, where the list does not say otherwise.
    attributes.entry("active").or_insert(Value::Bool(true));
    let id = id.unwrap_or_else(|| name.to_lowercase());
    let mut resource = to_resource(&attributes);
    resource.insert("id".into(), json!(id));
    Ok(Entry { id, resource, groups })
}

/// A text, or what can be written as one; none: it is empty.
fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(_) | Value::Bool(_) => value.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    Some(text).filter(|text| !text.is_empty())
}

fn is_active(list: &AccountListConfig, column: &str, value: &Value) -> Result<bool, String> {
    let said = text(value).unwrap_or_default().to_lowercase();
    if let Some(inactive) = &list.inactive {
        return Ok(!inactive.contains(&said));
    }
    match (ACTIVE.contains(&said.as_str()), INACTIVE.contains(&said.as_str())) {
        (true, _) => Ok(true),
        (_, true) => Ok(false),
        _ => Err(format!("'{column}' is '{said}': list.inactive does not say whether such an account can be used")),
    }
}

fn several(value: &Value, separator: &str) -> Vec<String> {
    let mut all: Vec<String> = match value {
        Value::Array(all) => all.iter().filter_map(text).collect(),
        one => text(one).iter().flat_map(|one| one.split(separator)).map(|one| one.trim().to_owned()).collect(),
    };
    all.retain(|one| !one.is_empty());
    all
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::collections::BTreeMap;
    use std::time::Duration;

    use rollcall_config::AccountListPlace;

    use super::*;

    fn list(format: Format, columns: &[(&str, &str)]) -> AccountListConfig {
        AccountListConfig {
            place: AccountListPlace::File("/list".into()),
            format,
            columns: columns
                .iter()
                .map(|(path, column)| ((*path).to_owned(), (*column).to_owned()))
                .collect::<BTreeMap<_, _>>(),
            inactive: None,
            separator: ";".into(),
            max_age: Duration::from_secs(1),
            written_after: Duration::ZERO,
            max_missing_percent: 20,
            max_bytes: 1,
        }
    }

    const COLUMNS: [(&str, &str); 5] = [
        ("userName", "Login"),
        ("active", "State"),
        ("groups", "Roles"),
        ("title", "Job"),
        ("name.givenName", "First"),
    ];

    #[test]
    fn each_form_says_the_same() {
        let csv = "\u{feff}Login,State,Roles,Job,First,Other\nAda,ACTIVE,Sales; Ops,Seller,Ada,x\nbob,Disabled,,,,\n";
        let ndjson = "{\"Login\":\"Ada\",\"State\":true,\"Roles\":[\"Sales\",\"Ops\"],\"Job\":\"Seller\",\"First\":\"Ada\"}\n\n\
                      {\"Login\":\"bob\",\"State\":false}\n";
        let json = format!("{{\"items\": [{}]}}", ndjson.trim().replace("\n\n", ","));
        for (format, body) in [(Format::Csv, csv), (Format::Ndjson, ndjson), (Format::Json, &json)] {
            let found = read(&list(format, &COLUMNS), body.as_bytes()).unwrap();
            let shown: Vec<Value> = found.iter().map(|entry| json!([entry.id, entry.resource, entry.groups])).collect();
            assert_eq!(
                json!(shown),
                json!([
                    ["ada", { "id": "ada", "userName": "Ada", "active": true, "title": "Seller", "name": { "givenName": "Ada" } },
                     ["Sales", "Ops"]],
                    ["bob", { "id": "bob", "userName": "bob", "active": false }, []]
                ]),
                "{format:?}"
            );
        }
    }

    #[test]
    fn a_list_that_is_wrong_in_one_place_is_refused_with_it() {
        let csv = Format::Csv;
        let cases: &[(Format, &[u8], &str)] = &[
            (csv, b"Login,State,Roles,Job\na,active,,\n", "line 2: it has no 'First'"),
            (
                csv,
                b"Login,State,Roles,Job,First\na,active,,,\nA,active,,,\n",
                "line 3: 'a' is there twice, also in line 2",
            ),
            (csv, b"Login,State,Roles,Job,First\n,active,,,\n", "line 2: 'Login' is empty"),
            (csv, b"Login,State,Roles,Job,First\na,perhaps,,,\n", "line 2: 'State' is 'perhaps'"),
            (csv, b"Login,State,Roles,Job,First\na,,,,\n", "line 2: 'State' is ''"),
            (csv, b"Login,State,Roles,Job,First\na,active\n", "line 2: it has 2 fields"),
            (csv, b"Login,State,Roles,Job,First\n\xe4,active,,,\n", "line 2: it is not UTF-8"),
            (Format::Ndjson, b"{\"Login\":\"a\"}", "line 1: it has no 'State'"),
            (Format::Ndjson, b"{\"Login\":\"a\",\"State\":true", "line 1: EOF"),
            (Format::Json, b"[{\"Login\":[],\"State\":true}]", "entry 1: 'Login' is empty"),
            (Format::Json, b"{}", "neither a list nor an object with 'items'"),
        ];
        for (format, body, wanted) in cases {
            let why = read(&list(*format, &COLUMNS), body).unwrap_err();
            assert!(why.contains(wanted), "{}: {why}", String::from_utf8_lossy(body));
        }
        // Nobody in it is a list, too: whether that is so is for others to ask.
        assert!(read(&list(csv, &COLUMNS), b"Login,State,Roles,Job,First\n").unwrap().is_empty());
    }

    #[test]
    fn words_of_ones_own_say_who_can_not_sign_in_and_every_other_word_that_they_can() {
        let own = AccountListConfig {
            inactive: Some(["gone".to_owned()].into()),
            ..list(Format::Csv, &[("userName", "u"), ("active", "s"), ("id", "n")])
        };
        let found = read(&own, b"n,u,s\n1,a,Gone\n2,b,\n3,c,false\n").unwrap();
        let active: Vec<_> = found.iter().map(|entry| (entry.id.as_str(), entry.resource["active"].clone())).collect();
        assert_eq!(active, [("1", json!(false)), ("2", json!(true)), ("3", json!(true))]);
    }
}
