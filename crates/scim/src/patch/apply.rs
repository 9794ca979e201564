//! What one operation does to a resource.

use serde_json::{Map, Value};

use super::{Op, Operation, Place, invalid_value};
use crate::error::{ScimError, ScimType};
use crate::filter::ValueFilter;
use crate::path::Target;
use crate::reading::{Quirk, Reading};
use crate::resource::normalize_value;
use crate::schema::Attribute;

impl Operation {
    pub(super) fn apply(&self, resource: &mut Map<String, Value>, reading: &mut Reading) -> Result<(), ScimError> {
        match &self.place {
            // Others were taken apart into their attributes.
            Place::Extension(schema) => {
                resource.remove(schema.id);
                Ok(())
            }
            Place::Attribute(target) => match target.sub {
                None => self.apply_attribute(target, resource),
                Some(sub) => self.apply_sub(target, sub, resource),
            },
            Place::Values(target, filter) => self.apply_values(target, filter, resource, reading),
        }
    }

    fn apply_attribute(&self, target: &Target, resource: &mut Map<String, Value>) -> Result<(), ScimError> {
        let attribute = target.attribute;
        let container = container(target, resource)?;
        match (self.op, &self.value, container.get_mut(attribute.name)) {
            (Op::Remove, Some(Value::Array(gone)), Some(Value::Array(items))) => {
                items.retain(|item| !gone.iter().any(|g| same_value(g, item)));
                if items.is_empty() {
                    container.remove(attribute.name);
                }
            }
            (Op::Remove | Op::Replace, None, _) => {
                container.remove(attribute.name);
            }
            (Op::Remove, Some(_), _) | (Op::Add, None, _) => {}
            (Op::Add, Some(Value::Array(new)), Some(Value::Array(items))) => {
                for value in new {
                    // A member is who it is, whatever else is said of it.
                    let there = |i: &Value| i == value || attribute.name == "members" && same_value(value, i);
                    if !items.iter().any(there) {
                        give_way_to_primary(items, value);
                        items.push(value.clone());
                    }
                }
            }
            // RFC 7644 §3.5.2.3: sub-attributes that are not named stay.
            (_, Some(Value::Object(new)), Some(Value::Object(fields))) => fields.extend(new.clone()),
            (_, Some(new), _) => {
                container.insert(attribute.name.into(), new.clone());
            }
        }
        Ok(())
    }

    fn apply_sub(&self, target: &Target, sub: &Attribute, resource: &mut Map<String, Value>) -> Result<(), ScimError> {
        let container = container(target, resource)?;
        let name = target.attribute.name;
        if target.attribute.is_multi() {
            let Some(Value::Array(items)) = container.get_mut(name) else {
                return Err(ScimError::bad_request(ScimType::NoTarget, format!("'{name}' has no values")));
            };
            items.iter_mut().filter_map(Value::as_object_mut).for_each(|o| set(o, sub.name, self.value.as_ref()));
            items.retain(|v| v.as_object().is_none_or(|o| !o.is_empty()));
            return Ok(());
        }
        if self.value.is_none() && !container.contains_key(name) {
            return Ok(());
        }
        let whole = container.entry(name).or_insert_with(|| Value::Object(Map::new()));
        if let Some(object) = whole.as_object_mut() {
            set(object, sub.name, self.value.as_ref());
            if object.is_empty() {
                container.remove(name);
            }
        }
        Ok(())
    }

    fn apply_values(
        &self,
        target: &Target,
        filter: &ValueFilter,
        resource: &mut Map<String, Value>,
        reading: &mut Reading,
    ) -> Result<(), ScimError> {
        let attribute = target.attribute;
        let container = container(target, resource)?;
        let mut items = match container.remove(attribute.name) {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        };
        if self.op != Op::Remove && !items.iter().any(|i| filter.matches(i)) {
            let detail = format!("no value of '{}' matches the filter", attribute.name);
            // RFC 7644 §3.5.2.3 asks for noTarget; providers rely on the value being made when the filter says how.
            let makes = target.sub.is_some() || self.value.as_ref().is_some_and(Value::is_object);
            let template = filter.as_template().filter(|_| makes);
            let template = template.ok_or_else(|| ScimError::bad_request(ScimType::NoTarget, detail.clone()))?;
            reading.accept(Quirk::ValueMade, ScimType::NoTarget, || detail)?;
            items.push(Value::Object(template.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()));
        }
        if self.op == Op::Remove && target.sub.is_none() {
            items.retain(|i| !filter.matches(i));
        } else {
            let chosen: Vec<bool> = items.iter().map(|item| filter.matches(item)).collect();
            for object in items.iter_mut().zip(&chosen).filter(|(_, c)| **c).filter_map(|(i, _)| i.as_object_mut()) {
                match (target.sub, &self.value) {
                    (Some(sub), value) => set(object, sub.name, value.as_ref()),
                    (None, Some(Value::Object(fields))) => object.extend(fields.clone()),
                    (None, _) => object.clear(),
                }
            }
            if self.makes_primary(target) {
                let others = items.iter_mut().zip(&chosen).filter(|(_, chosen)| !**chosen);
                others.for_each(|(item, _)| no_primary(item));
            }
            items.retain(|v| v.as_object().is_none_or(|o| !o.is_empty()));
        }
        if !items.is_empty() {
            // Canonical already: this checks what holds between the values.
            let clean = normalize_value(attribute, &Value::Array(items), attribute.name, reading)?;
            container.extend(clean.map(|c| (attribute.name.to_owned(), c)));
        }
        Ok(())
    }
}

impl Operation {
    /// Whether it marks values as the primary one.
    fn makes_primary(&self, target: &Target) -> bool {
        let marks = |value: &Value| *value == Value::Bool(true);
        match (target.sub, &self.value) {
            (Some(sub), Some(value)) => sub.name == "primary" && marks(value),
            (None, Some(Value::Object(fields))) => fields.get("primary").is_some_and(marks),
            _ => false,
        }
    }
}

fn container<'a>(
    target: &Target,
    resource: &'a mut Map<String, Value>,
) -> Result<&'a mut Map<String, Value>, ScimError> {
    let none = || invalid_value(format!("'{}' has no place in this resource", target.name()));
    target.container(resource).ok_or_else(none)
}

fn set(object: &mut Map<String, Value>, name: &str, value: Option<&Value>) {
    match value {
        Some(value) => {
            object.insert(name.into(), value.clone());
        }
        None => {
            object.remove(name);
        }
    }
}

/// Whether two values of a multi-valued attribute are the same one: by `value` where both have it.
fn same_value(a: &Value, b: &Value) -> bool {
    let key = |v: &Value| v.get("value").cloned().unwrap_or_else(|| v.clone());
    key(a) == key(b)
}

/// RFC 7644 §3.5.2: a new primary value takes the mark from the one that had it.
fn give_way_to_primary(items: &mut [Value], new: &Value) {
    if new.get("primary") == Some(&Value::Bool(true)) {
        items.iter_mut().for_each(no_primary);
    }
}

fn no_primary(item: &mut Value) {
    if let Some(fields) = item.as_object_mut() {
        fields.remove("primary");
    }
}
