//! What policies give and forbid. They are kept apart by what they are about, so that most are never asked.

use std::collections::HashMap;

use cedar_policy::{
    Authorizer, Context, Entities, Entity, EntityUid, Policy, PolicyId, PolicySet, Request, RestrictedExpression,
};

use crate::depth;
use crate::principal::{Principal, uid};
use crate::source::{Effect, PolicyText, Scope, scope};

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Whether somebody holds it.
    Hold,
    /// Whether somebody may ask for it.
    Request,
    /// Whether somebody may approve it.
    Approve,
}

impl Action {
    const ALL: [Self; 3] = [Self::Hold, Self::Request, Self::Approve];

    /// Its name in policies.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Request => "request",
            Self::Approve => "approve",
        }
    }
}

/// Something that can be held, as policies are asked about it.
#[derive(Debug, Clone)]
pub struct Resource {
    uid: EntityUid,
    id: String,
    app: String,
    entities: Vec<Entity>,
}

/// What is known of something that can be held.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub struct Known<'a> {
    /// `APP`, or `APP:group:NAME`.
    pub id: &'a str,
    pub app: &'a str,
    pub app_owner: &'a str,
    /// `account` or `group`.
    pub kind: &'a str,
    pub name: &'a str,
    pub owner: &'a str,
    pub risk: &'a str,
}

impl Resource {
    /// Something that can be held.
    #[must_use]
    pub fn new(known: Known<'_>) -> Option<Self> {
        let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
        let (own, app) = (uid("Entitlement", known.id)?, uid("App", known.app)?);
        let app_entity =
            Entity::new(app.clone(), [("owner".to_owned(), text(known.app_owner))].into(), [].into()).ok()?;
        let attributes = [("kind", known.kind), ("name", known.name), ("owner", known.owner), ("risk", known.risk)];
        let attributes = attributes.map(|(name, value)| (name.to_owned(), text(value)));
        let entity = Entity::new(own.clone(), attributes.into(), [app].into()).ok()?;
        Some(Self { uid: own, id: known.id.to_owned(), app: known.app.to_owned(), entities: vec![app_entity, entity] })
    }
}

/// Policies of one effect and one action.
#[derive(Debug, Default)]
struct Scoped {
    any: PolicySet,
    by_app: HashMap<String, PolicySet>,
    by_entitlement: HashMap<String, PolicySet>,
}

impl Scoped {
    fn about(&self, resource: &Resource) -> impl Iterator<Item = &PolicySet> {
        let specific = [self.by_app.get(&resource.app), self.by_entitlement.get(&resource.id)];
        std::iter::once(&self.any).chain(specific.into_iter().flatten()).filter(|set| !set.is_empty())
    }
}

/// Policies, ready to be asked.
#[derive(Debug, Default)]
pub struct Engine {
    sets: HashMap<(Action, &'static str), Scoped>,
    actions: HashMap<Action, EntityUid>,
    authorizer: Authorizer,
    asks_about_roles: bool,
}

const PERMIT: &str = "permit";
const FORBID: &str = "forbid";

impl Engine {
    /// Those that are written so.
    ///
    /// # Errors
    /// The id of one that can't be read: a newer version has written it, or the schema is another one by now.
    pub fn new<'a>(policies: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Self, String> {
        let mut engine = Self::default();
        for action in Action::ALL {
            engine.actions.insert(action, uid("Action", action.name()).ok_or("there is no Action")?);
        }
        for (id, text) in policies {
            depth::checked(text).map_err(|_| id.to_owned())?;
            let policy = Policy::parse(Some(PolicyId::new(id)), text).map_err(|_| id.to_owned())?;
            let cedar_policy::ActionConstraint::Eq(of) = policy.action_constraint() else { return Err(id.to_owned()) };
            let action = Action::ALL.into_iter().find(|action| action.name() == of.id().unescaped());
            let action = action.ok_or_else(|| id.to_owned())?;
            let effect = match policy.effect() {
                cedar_policy::Effect::Permit => PERMIT,
                cedar_policy::Effect::Forbid => FORBID,
            };
            engine.asks_about_roles |= !roles_of(&policy).is_empty();
            let scoped = engine.sets.entry((action, effect)).or_default();
            let set = match scope(&policy) {
                Scope::Any => &mut scoped.any,
                Scope::App(app) => scoped.by_app.entry(app).or_default(),
                Scope::Entitlement(of) => scoped.by_entitlement.entry(of).or_default(),
            };
            set.add(policy).map_err(|_| id.to_owned())?;
        }
        Ok(engine)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    /// Whether any policy asks which roles somebody has.
    #[must_use]
    pub const fn asks_about_roles(&self) -> bool {
        self.asks_about_roles
    }

    /// Whether any policy permits this to anybody.
    #[must_use]
    pub fn permits_anything(&self, action: Action) -> bool {
        self.sets.contains_key(&(action, PERMIT))
    }

    /// The policies that permit something, by their ids.
    #[must_use]
    pub fn permits(&self, action: Action, principal: &Principal, resource: &Resource) -> Vec<String> {
        self.ask(action, PERMIT, principal, resource)
    }

    /// The policies that forbid something: one that fails to answer forbids it.
    #[must_use]
    pub fn forbids(&self, action: Action, principal: &Principal, resource: &Resource) -> Vec<String> {
        self.ask(action, FORBID, principal, resource)
    }

    fn ask(&self, action: Action, effect: &'static str, principal: &Principal, resource: &Resource) -> Vec<String> {
        let Some(scoped) = self.sets.get(&(action, effect)) else { return Vec::new() };
        let mut sets = scoped.about(resource).peekable();
        if sets.peek().is_none() {
            return Vec::new();
        }
        let all = || sets_of(scoped, resource);
        let Some(of) = self.actions.get(&action) else { return all() };
        let request = Request::new(principal.uid.clone(), of.clone(), resource.uid.clone(), Context::empty(), None);
        let entities = resource.entities.iter().cloned().chain([principal.entity.clone()]);
        let (Ok(request), Ok(entities)) = (request, Entities::from_entities(entities, None)) else {
            // What can't be asked is given to nobody.
            return if effect == FORBID { all() } else { Vec::new() };
        };
        let mut found = Vec::new();
        for set in sets {
            let answer = self.authorizer.is_authorized(&request, set, &entities);
            found.extend(answer.diagnostics().reason().map(ToString::to_string));
            if effect == FORBID {
                found.extend(answer.diagnostics().errors().map(|error| match error {
                    cedar_policy::AuthorizationError::PolicyEvaluationError(error) => error.policy_id().to_string(),
                }));
            }
        }
        found.sort();
        found.dedup();
        found
    }
}

/// What the head of a policy says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Whether it gives or takes.
    pub effect: Effect,
    /// To do what.
    pub action: Action,
    /// With what.
    pub scope: Scope,
    /// The roles that it asks about, anywhere in it.
    pub roles: Vec<String>,
}

impl Head {
    /// That of a policy; `None`: it can't be read.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        depth::checked(text).ok()?;
        let policy = Policy::parse(None, text).ok()?;
        let cedar_policy::ActionConstraint::Eq(of) = policy.action_constraint() else { return None };
        let action = Action::ALL.into_iter().find(|action| action.name() == of.id().unescaped())?;
        let effect = match policy.effect() {
            cedar_policy::Effect::Permit => Effect::Permit,
            cedar_policy::Effect::Forbid => Effect::Forbid,
        };
        Some(Self { effect, action, scope: scope(&policy), roles: roles_of(&policy) })
    }
}

/// The roles that a policy asks about, anywhere in it and however they are spelled.
fn roles_of(policy: &Policy) -> Vec<String> {
    let literals = policy.entity_literals().into_iter().filter(|uid| uid.type_name().to_string() == "Role");
    literals.map(|uid| uid.id().unescaped().to_owned()).collect()
}

fn sets_of(scoped: &Scoped, resource: &Resource) -> Vec<String> {
    scoped.about(resource).flat_map(|set| set.policies().map(|policy| policy.id().to_string())).collect()
}

impl PolicyText {
    /// Whether it can give something.
    #[must_use]
    pub fn gives(&self) -> bool {
        self.effect == Effect::Permit
    }
}
