//! The forms of PATCH: RFC 7644 §3.5.2 has them all, many apps take one.

use rollcall_domain::app::capability::{Capabilities, Support};
use rollcall_domain::app::mapping::nested;
use rollcall_scim::PATCH_OP;
use serde_json::{Map, Value, json};

/// How operations are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    Lower,
    Capitalized,
}

/// Where an operation says what it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Path,
    Value,
}

/// How many operations a request has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Number {
    Many,
    One,
}

/// A form of PATCH.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PatchForm {
    names: Names,
    place: Place,
    number: Number,
}

impl PatchForm {
    /// The form of an app of which this is known.
    pub fn of(can: &Capabilities) -> Self {
        Self {
            names: if can.patch_capitalized == Support::Yes { Names::Capitalized } else { Names::Lower },
            place: if can.patch_paths == Support::No { Place::Value } else { Place::Path },
            number: if can.patch_many == Support::No { Number::One } else { Number::Many },
        }
    }

    /// Whether operations are named with a capital letter.
    pub fn capitalized(self) -> bool {
        self.names == Names::Capitalized
    }

    /// Whether operations have a path.
    pub fn paths(self) -> bool {
        self.place == Place::Path
    }

    /// Whether a request has several operations.
    pub fn many(self) -> bool {
        self.number == Number::Many
    }

    /// Every other form, those that differ in the least first.
    pub fn others(self) -> impl Iterator<Item = Self> {
        let mut all = Vec::new();
        for number in [Number::Many, Number::One] {
            for place in [Place::Path, Place::Value] {
                for names in [Names::Lower, Names::Capitalized] {
                    all.push(Self { names, place, number });
                }
            }
        }
        let distance = move |other: &Self| {
            u8::from(other.names != self.names)
                + u8::from(other.place != self.place)
                + u8::from(other.number != self.number)
        };
        all.sort_by_key(distance);
        all.into_iter().skip(1)
    }

    /// The requests that say these operations.
    pub fn requests(self, operations: &[Operation]) -> Vec<Value> {
        let said: Vec<Value> = operations.iter().map(|operation| operation.said(self)).collect();
        let request = |operations: &[Value]| json!({ "schemas": [PATCH_OP], "Operations": operations });
        match self.number {
            Number::Many => vec![request(&said)],
            Number::One => said.chunks(1).map(request).collect(),
        }
    }
}

/// One operation of a PATCH.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    verb: Verb,
    path: String,
    value: Option<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Add,
    Replace,
    Remove,
}

impl Operation {
    /// Adds a value to an attribute with several.
    pub fn add(path: &str, value: Value) -> Self {
        Self { verb: Verb::Add, path: path.to_owned(), value: Some(value) }
    }

    /// Gives an attribute a value.
    pub fn replace(path: &str, value: Value) -> Self {
        Self { verb: Verb::Replace, path: path.to_owned(), value: Some(value) }
    }

    /// Takes an attribute, or some of its values, away.
    pub fn remove(path: &str) -> Self {
        Self { verb: Verb::Remove, path: path.to_owned(), value: None }
    }

    /// Takes these values of an attribute away, in the form that some apps want: others would take all of them away.
    pub fn remove_values(path: &str, values: Value) -> Self {
        Self { verb: Verb::Remove, path: path.to_owned(), value: Some(values) }
    }

    fn said(&self, form: PatchForm) -> Value {
        // What a filter chooses has to be named by its path.
        let names_values = self.path.contains('[') || (self.verb == Verb::Remove && self.value.is_some());
        let place = if names_values { Place::Path } else { form.place };
        let verb = if place == Place::Value && self.verb == Verb::Remove { Verb::Replace } else { self.verb };
        let op = match (verb, form.names) {
            (Verb::Add, Names::Lower) => "add",
            (Verb::Add, Names::Capitalized) => "Add",
            (Verb::Replace, Names::Lower) => "replace",
            (Verb::Replace, Names::Capitalized) => "Replace",
            (Verb::Remove, Names::Lower) => "remove",
            (Verb::Remove, Names::Capitalized) => "Remove",
        };
        let mut said = Map::from_iter([("op".to_owned(), op.into())]);
        match place {
            Place::Path => {
                said.insert("path".into(), self.path.clone().into());
                said.extend(self.value.clone().map(|value| ("value".to_owned(), value)));
            }
            Place::Value => {
                let value = self.value.clone().unwrap_or_default();
                said.insert("value".into(), nested(&self.path, value));
            }
        }
        Value::Object(said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_operations_can_be_said_in_every_form() {
        let usual = PatchForm::of(&Capabilities::default());
        let operations = [
            Operation::replace("name.givenName", "Ada".into()),
            Operation::remove("title"),
            Operation::remove("members[value eq \"u1\"]"),
        ];
        let said = |form: PatchForm| form.requests(&operations);
        assert_eq!(
            said(usual)[0]["Operations"],
            json!([
                { "op": "replace", "path": "name.givenName", "value": "Ada" },
                { "op": "remove", "path": "title" },
                { "op": "remove", "path": "members[value eq \"u1\"]" },
            ])
        );
        let other = PatchForm { names: Names::Capitalized, place: Place::Value, number: Number::One };
        let operations: Vec<Value> = said(other).iter().map(|request| request["Operations"].clone()).collect();
        assert_eq!(
            operations,
            [
                json!([{ "op": "Replace", "value": { "name": { "givenName": "Ada" } } }]),
                json!([{ "op": "Replace", "value": { "title": null } }]),
                json!([{ "op": "Remove", "path": "members[value eq \"u1\"]" }]),
            ]
        );
        assert_eq!(usual.others().count(), 7);
        assert!(usual.others().all(|other| other != usual));
    }
}
