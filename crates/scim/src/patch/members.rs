//! PATCH of a group's members without the members: a group may have 100,000 of them.

use serde_json::Value;

use super::{Op, Operation, PatchRequest, Place};

/// One member comes or goes.
#[derive(Debug, Clone, PartialEq)]
pub enum MemberChange {
    /// This value of `members`.
    Add(Value),
    /// The one with this `value`.
    Remove(String),
}

impl PatchRequest {
    /// The request as changes of single members, in order; `None` when it does anything else.
    #[must_use]
    pub fn member_changes(&self) -> Option<Vec<MemberChange>> {
        let changes = self.operations.iter().map(Operation::member_changes).collect::<Option<Vec<_>>>()?;
        Some(changes.into_iter().flatten().collect())
    }
}

impl Operation {
    fn member_changes(&self) -> Option<Vec<MemberChange>> {
        let (Place::Attribute(target) | Place::Values(target, _)) = &self.place else { return None };
        if target.extension.is_some() || target.attribute.name != "members" || target.sub.is_some() {
            return None;
        }
        match (self.op, &self.place, &self.value) {
            (Op::Add, Place::Attribute(_), Some(Value::Array(new))) => {
                Some(new.iter().cloned().map(MemberChange::Add).collect())
            }
            (Op::Remove, Place::Attribute(_), Some(Value::Array(gone))) => {
                let value = |g: &Value| g.get("value").unwrap_or(g).as_str().map(str::to_owned);
                gone.iter().map(|g| value(g).map(MemberChange::Remove)).collect()
            }
            (Op::Remove, Place::Values(_, filter), _) => {
                let values = filter.as_values()?;
                Some(values.into_iter().map(|v| MemberChange::Remove(v.to_owned())).collect())
            }
            _ => None,
        }
    }
}
