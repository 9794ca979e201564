//! Policies as they are written: files of Cedar, in which each policy has an `@id`.

use cedar_policy::{ActionConstraint, Policy, PolicySet, ResourceConstraint, ValidationMode, Validator};

use crate::depth::checked;
use crate::schema::PolicySchema;

/// Something that is wrong with a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", .line.map(|line| format!("line {line}: ")).unwrap_or_default())]
pub struct PolicyMistake {
    /// In which line of the file.
    pub line: Option<usize>,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// Whether a policy gives or takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Effect {
    Permit,
    Forbid,
}

/// What a policy is about, as far as its head says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Whatever can be held.
    Any,
    /// What can be held in this app.
    App(String),
    /// This entitlement.
    Entitlement(String),
}

/// One policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyText {
    /// Its `@id`.
    pub id: String,
    /// Why it is there, for people: its `@reason`.
    pub reason: String,
    /// Who answers for it: its `@owner`.
    pub owner: String,
    /// Whether it gives or takes.
    pub effect: Effect,
    /// What it is about.
    pub scope: Scope,
    /// Itself.
    pub text: String,
}

/// The policies of a file, each checked against the schema.
///
/// # Errors
/// Every mistake, with its line where Cedar says it.
pub fn read(file: &str, schema: &PolicySchema) -> Result<Vec<PolicyText>, Vec<PolicyMistake>> {
    let line_of = |offset: usize| file.get(..offset).unwrap_or(file).matches('\n').count() + 1;
    checked(file).map_err(|error| vec![PolicyMistake { line: None, message: error.to_string() }])?;
    let set: PolicySet = file.parse().map_err(|errors: cedar_policy::ParseErrors| {
        let one = |error: &cedar_policy::ParseError| PolicyMistake {
            line: miette_offset(error).map(line_of),
            message: error.to_string(),
        };
        errors.iter().map(one).collect::<Vec<_>>()
    })?;
    let mut mistakes = Vec::new();
    let mistake = |message: String| PolicyMistake { line: None, message };
    if set.templates().next().is_some() {
        mistakes.push(mistake("a template (with ?principal or ?resource) is no policy: write it out".into()));
    }
    let validator = Validator::new(schema.schema.clone());
    let found = validator.validate(&set, ValidationMode::Strict);
    mistakes.extend(found.validation_errors().map(|error| mistake(name_policies(&set, &error.to_string()))));
    let mut policies = Vec::new();
    for policy in set.policies() {
        match described(policy) {
            Ok(text) => policies.push(text),
            Err(message) => mistakes.push(mistake(message)),
        }
    }
    policies.sort_by(|a, b| a.id.cmp(&b.id));
    for pair in policies.windows(2) {
        if let [one, other] = pair
            && one.id == other.id
        {
            mistakes.push(mistake(format!("the @id \"{}\" is there twice", one.id)));
        }
    }
    if mistakes.is_empty() { Ok(policies) } else { Err(mistakes) }
}

/// Cedar numbers policies; people know them by their `@id`.
fn name_policies(set: &PolicySet, message: &str) -> String {
    set.policies().fold(message.to_owned(), |message, policy| match policy.annotation("id") {
        Some(id) => message.replace(&format!("`{}`", policy.id()), &format!("`{id}`")),
        None => message,
    })
}

fn miette_offset(error: &cedar_policy::ParseError) -> Option<usize> {
    use miette::Diagnostic as _;
    error.labels()?.next().map(|label| label.offset())
}

fn described(policy: &Policy) -> Result<PolicyText, String> {
    let text = policy.to_cedar().ok_or("a policy that can't be written as text")?;
    let id = policy.annotation("id").unwrap_or_default().to_owned();
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if id.is_empty() || id.len() > 64 || !id.chars().all(allowed) {
        let start: String = text.chars().take(60).collect();
        return Err(format!("give it an @id(\"…\") of 1 to 64 of a-z, 0-9, - and _: {start} …"));
    }
    let is_of_rollcall = |uid: &cedar_policy::EntityUid| ["hold", "request", "approve"].contains(&uid.id().unescaped());
    match policy.action_constraint() {
        ActionConstraint::Eq(uid) if is_of_rollcall(&uid) => {}
        ActionConstraint::Eq(_) | ActionConstraint::In(_) | ActionConstraint::Any => {
            return Err(format!(
                "`{id}` must be about one action: action == Action::\"hold\", \"request\" or \"approve\""
            ));
        }
    }
    Ok(PolicyText {
        reason: policy.annotation("reason").unwrap_or_default().to_owned(),
        owner: policy.annotation("owner").unwrap_or_default().to_owned(),
        effect: match policy.effect() {
            cedar_policy::Effect::Permit => Effect::Permit,
            cedar_policy::Effect::Forbid => Effect::Forbid,
        },
        scope: scope(policy),
        id,
        text,
    })
}

pub(crate) fn scope(policy: &Policy) -> Scope {
    let of = |uid: &cedar_policy::EntityUid| match uid.type_name().to_string().as_str() {
        "App" => Scope::App(uid.id().unescaped().to_owned()),
        "Entitlement" => Scope::Entitlement(uid.id().unescaped().to_owned()),
        _ => Scope::Any,
    };
    match policy.resource_constraint() {
        ResourceConstraint::Eq(uid) | ResourceConstraint::In(uid) | ResourceConstraint::IsIn(_, uid) => of(&uid),
        ResourceConstraint::Any | ResourceConstraint::Is(_) => Scope::Any,
    }
}
