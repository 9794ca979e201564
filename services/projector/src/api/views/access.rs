//! Entitlements, roles, and why somebody holds what they hold.

use jiff::Timestamp;
use rollcall_domain::access::account::Account;
use rollcall_domain::access::entitlement::{EntitlementId, Part, Requestable, Risk, Terms};
use rollcall_domain::access::holding::Reason;
use rollcall_domain::access::policy::Policy;
use rollcall_domain::access::role::{Role, Standing};
use rollcall_domain::app::AppSpec;
use rollcall_domain::directory;
use rollcall_domain::identity::Identity;
use rollcall_domain::identity::switch::SwitchedOff;
use rollcall_domain::ids::{AppId, GrantId, IdentityId, PolicyId, RoleId, SeparationId, Sequence};
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::ledger::{self, Held, Missing, Progress};
use rollcall_scim::Catalogue;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::schema;
use crate::api::views::Detail;
use crate::timeline::summary::actor;

/// On which terms something can be asked for.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TermsView {
    pub owner: String,
    #[schema(schema_with = schema::risk)]
    pub risk: Risk,
    pub requestable: bool,
    /// In seconds; absent: without an end, too.
    pub max_duration: Option<f64>,
    /// `manager`, `owner` and `group:NAME`.
    pub approvers: Vec<String>,
    /// How many different people have to approve it.
    pub approvals: u32,
}

impl From<&Terms> for TermsView {
    fn from(terms: &Terms) -> Self {
        Self {
            owner: terms.owner.clone(),
            risk: terms.risk,
            requestable: terms.requestable == Requestable::Yes,
            max_duration: terms.max_duration.map(|time| time.as_secs_f64()),
            approvers: terms.approvers.iter().map(ToString::to_string).collect(),
            approvals: terms.approvals,
        }
    }
}

/// Something that can be held.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct EntitlementView {
    /// `APP` for an account there, `APP:group:NAME` for a group in it.
    pub id: String,
    #[schema(value_type = String)]
    pub app: AppId,
    /// `account` or `group`.
    pub kind: &'static str,
    pub name: String,
    pub owner: String,
    /// Absent: nobody has described it.
    pub terms: Option<TermsView>,
    /// The roles that give it.
    #[schema(value_type = Vec<String>)]
    pub roles: Vec<RoleId>,
    /// The groups of ours that give it to whoever has an account.
    pub groups: Vec<String>,
    /// The rule that gives it; empty: none does.
    pub rule: String,
}

impl EntitlementView {
    /// One of an app.
    pub fn of(spec: &AppSpec, part: Part, roles: &[Role]) -> Self {
        let id = EntitlementId { app: spec.id.clone(), part };
        let described = spec.entitlement(&id.part);
        let gives = |role: &&Role| role.standing == Standing::Configured && role.spec.entitlements.contains(&id);
        let (kind, usual) = match &id.part {
            Part::Account => ("account", spec.name.clone()),
            Part::Group(name) => ("group", name.clone()),
        };
        let groups = spec.groups.iter().filter(|rule| id.part == Part::Group(rule.to.clone()));
        Self {
            app: spec.id.clone(),
            kind,
            name: described.map_or(usual, |known| known.name.clone()),
            owner: described.map_or(&spec.owner, |known| &known.terms.owner).clone(),
            terms: described.map(|known| TermsView::from(&known.terms)),
            roles: roles.iter().filter(gives).map(|role| role.spec.id.clone()).collect(),
            groups: groups.map(|rule| rule.from.clone()).collect(),
            rule: if id.part == Part::Account { spec.assign.clone() } else { String::new() },
            id: id.to_string(),
        }
    }
}

/// A named set of entitlements.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RoleView {
    #[schema(value_type = String)]
    pub id: RoleId,
    pub name: String,
    /// Whether it is in the configuration; nobody has one that is not.
    pub configured: bool,
    /// Who has it: a SCIM filter; empty: only whoever is granted it.
    pub members: String,
    pub entitlements: Vec<String>,
    #[serde(flatten)]
    pub terms: TermsView,
}

impl RoleView {
    pub fn of(role: &Role) -> Self {
        let spec = &role.spec;
        Self {
            id: spec.id.clone(),
            name: spec.name.clone(),
            configured: role.standing == Standing::Configured,
            members: spec.members.clone(),
            entitlements: spec.entitlements.iter().map(ToString::to_string).collect(),
            terms: TermsView::from(&spec.terms),
        }
    }
}

/// One reason why something is held.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ReasonView {
    /// `rule`: that of the app; `group`: a group of ours; `role`: by the rule of a role; `grant`; `granted_role`;
    /// `policy`.
    pub kind: &'static str,
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<RoleId>,
    #[schema(value_type = Option<uuid::Uuid>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant: Option<GrantId>,
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyId>,
    /// In words.
    pub text: String,
}

impl ReasonView {
    fn of(state: &impl Read, of: &EntitlementId, reason: &Reason) -> Result<Self, KvError> {
        let (kind, role, grant) = match reason {
            Reason::Rule => ("rule", None, None),
            Reason::Group(_) => ("group", None, None),
            Reason::Role(role) => ("role", Some(role.clone()), None),
            Reason::Grant(grant) => ("grant", None, Some(*grant)),
            Reason::GrantedRole(role, grant) => ("granted_role", Some(role.clone()), Some(*grant)),
            Reason::Policy(_) => ("policy", None, None),
        };
        let policy = match reason {
            Reason::Policy(id) => Some(id.clone()),
            _ => None,
        };
        Ok(Self { kind, role, grant, policy, text: reason_in_words(state, of, reason)? })
    }
}

/// Why something is held, in words.
pub fn reason_in_words(state: &impl Read, of: &EntitlementId, reason: &Reason) -> Result<String, KvError> {
    let role_name = |id: &RoleId| -> Result<(String, String), KvError> {
        let role = directory::role(state, id)?.map(|role| (role.spec.name, role.spec.members));
        Ok(role.unwrap_or_else(|| (id.to_string(), String::new())))
    };
    let lasts = |id: GrantId| -> Result<String, KvError> {
        let until = ledger::grant(state, id)?.and_then(|grant| grant.until);
        Ok(until.map_or_else(|| "without an end".to_owned(), |until| format!("until {until}")))
    };
    Ok(match reason {
        Reason::Rule => {
            let rule = directory::app(state, &of.app)?.map(|app| app.spec.assign).unwrap_or_default();
            format!("the rule of the app: {rule}")
        }
        Reason::Group(name) => format!("in group {name}"),
        Reason::Role(id) => {
            let (name, members) = role_name(id)?;
            format!("role {name}: {members}")
        }
        Reason::Grant(id) => format!("granted {}", lasts(*id)?),
        Reason::GrantedRole(role, grant) => format!("role {}, granted {}", role_name(role)?.0, lasts(*grant)?),
        Reason::Policy(id) => policy_in_words(state, id)?,
    })
}

/// A policy, with why it is there.
pub fn policy_in_words(state: &impl Read, id: &PolicyId) -> Result<String, KvError> {
    let reason = directory::policy(state, id)?.map(|policy| policy.spec.reason).filter(|reason| !reason.is_empty());
    Ok(reason.map_or_else(|| format!("policy {id}"), |reason| format!("policy {id}: {reason}")))
}

/// A policy as code.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PolicyView {
    #[schema(value_type = String)]
    pub id: PolicyId,
    /// Whether it is in the configuration.
    pub configured: bool,
    pub reason: String,
    pub owner: String,
    /// Itself, as Cedar has it.
    pub text: String,
}

impl PolicyView {
    pub fn of(policy: &Policy) -> Self {
        let spec = &policy.spec;
        Self {
            id: spec.id.clone(),
            configured: policy.standing == Standing::Configured,
            reason: spec.reason.clone(),
            owner: spec.owner.clone(),
            text: spec.text.clone(),
        }
    }
}

/// That somebody is switched off.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DisabledView {
    #[schema(schema_with = schema::time)]
    pub since: Timestamp,
    /// Absent for viewers.
    pub by: Option<String>,
    /// The event that says so, and why.
    #[schema(value_type = u64)]
    pub event: Sequence,
}

impl DisabledView {
    /// Who it was is for those who see names.
    pub fn of(state: &impl Read, off: &SwitchedOff, detail: Detail) -> Result<Self, KvError> {
        let by = detail.show(()).map(|()| actor(state, &off.by)).transpose()?;
        Ok(Self { since: off.since, by, event: off.sequence })
    }
}

/// Something that somebody holds.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct HeldView {
    pub entitlement: String,
    #[schema(value_type = String)]
    pub app: AppId,
    /// `account` or `group`.
    pub kind: &'static str,
    pub name: String,
    pub owner: String,
    #[schema(schema_with = schema::risk)]
    pub risk: Risk,
    #[schema(schema_with = schema::time_or_null)]
    pub since: Option<Timestamp>,
    /// When the last reason for it ends by itself; absent: it does not.
    #[schema(schema_with = schema::time_or_null)]
    pub until: Option<Timestamp>,
    pub reasons: Vec<ReasonView>,
    /// `verified`: the app was read back and shows it; `pending`: it is to be changed or read; `differs`: the app shows it otherwise;
    /// `off`: a person has switched them off, and the app was read back; `ending`: it is being taken away, and that is not verified.
    pub state: &'static str,
    /// When the app was last read back.
    #[schema(schema_with = schema::time_or_null)]
    pub verified_at: Option<Timestamp>,
}

impl HeldView {
    pub fn of(state: &impl Read, held: &Held) -> Result<Self, KvError> {
        let spec = directory::app(state, &held.id.app)?.map(|app| app.spec);
        let described = spec.as_ref().and_then(|spec| spec.entitlement(&held.id.part));
        let (kind, usual) = match &held.id.part {
            Part::Account => ("account", spec.as_ref().map(|spec| spec.name.clone()).unwrap_or_default()),
            Part::Group(name) => ("group", name.clone()),
        };
        let owner = spec.as_ref().map(|spec| spec.owner.clone()).unwrap_or_default();
        let reasons = held.reasons.iter().map(|reason| ReasonView::of(state, &held.id, reason));
        Ok(Self {
            entitlement: held.id.to_string(),
            app: held.id.app.clone(),
            kind,
            name: described.map_or(usual, |known| known.name.clone()),
            owner: described.map_or(owner, |known| known.terms.owner.clone()),
            risk: described.map_or(Risk::Low, |known| known.terms.risk),
            since: held.since,
            until: held.until,
            reasons: reasons.collect::<Result<_, _>>()?,
            state: match &held.account {
                Some(account) => ledger::progress(state, account, &held.id.part)?,
                None => Progress::Pending,
            }
            .name(),
            verified_at: held.account.as_ref().and_then(|account| account.verified_at),
        })
    }
}

/// What somebody holds.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AccessView {
    #[schema(value_type = uuid::Uuid)]
    pub identity: IdentityId,
    /// Absent for viewers.
    pub user_name: Option<String>,
    /// Set: a person has switched them off in every app.
    pub disabled: Option<DisabledView>,
    pub items: Vec<HeldView>,
}

impl AccessView {
    pub fn of(state: &impl Read, catalogue: &Catalogue, identity: Identity, detail: Detail) -> Result<Self, KvError> {
        let (id, user_name) = (identity.id, detail.show(identity.user_name().to_owned()));
        let off = ledger::switched_off(state, id)?.map(|off| DisabledView::of(state, &off, detail)).transpose()?;
        let held = ledger::held_by(state, catalogue, identity)?;
        let items = held.iter().map(|held| HeldView::of(state, held)).collect::<Result<_, _>>()?;
        Ok(Self { identity: id, user_name, disabled: off, items })
    }
}

/// One reason why something is not held, or can't be used.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MissingView {
    /// `not_active`, `disabled`, `no_app`, `app_removed`, `kind`, `not_managed`, `rule`, `rule_unreadable`, `not_in_groups`,
    /// `not_in_role`, `forbidden`, `separated`, `not_granted`, `ending`.
    pub kind: &'static str,
    /// In words.
    pub text: String,
}

impl MissingView {
    fn of(state: &impl Read, missing: &Missing) -> Result<Self, KvError> {
        let (kind, text) = match missing {
            Missing::NotActive(lifecycle) => {
                ("not_active", format!("they are {}, not active", format!("{lifecycle:?}").to_lowercase()))
            }
            Missing::SwitchedOff => ("disabled", "a person has switched them off in every app".to_owned()),
            Missing::NoApp => ("no_app", "there is no such app".to_owned()),
            Missing::AppRemoved => ("app_removed", "the app is not in the configuration any more".to_owned()),
            Missing::Kind => ("kind", "the app takes no accounts of their kind (apps.identities)".to_owned()),
            Missing::NotManaged => {
                ("not_managed", "Rollcall manages no such group of the app ([[apps.entitlements]])".to_owned())
            }
            Missing::Rule(rule) if rule.is_empty() => {
                ("rule", "the app has no rule: its accounts come by roles and grants alone".to_owned())
            }
            Missing::Rule(rule) => ("rule", format!("the rule of the app does not choose them: {rule}")),
            Missing::RuleUnreadable => {
                ("rule_unreadable", "a newer version of Rollcall has written the rule of the app".to_owned())
            }
            Missing::NotInGroups(names) => ("not_in_groups", format!("they are not in {}", names.join(", nor in "))),
            Missing::NotInRole(role, members) if members.is_empty() => {
                ("not_in_role", format!("role {role} would give it, and was not granted to them"))
            }
            Missing::NotInRole(role, members) => {
                ("not_in_role", format!("role {role} would give it, and does not choose them: {members}"))
            }
            Missing::Forbidden(policies) => {
                let all = policies.iter().map(|id| policy_in_words(state, id)).collect::<Result<Vec<_>, _>>()?;
                ("forbidden", format!("{}, forbids it", all.join(", and ")))
            }
            Missing::Separated(separation, first) => ("separated", separation_in_words(state, separation, first)?),
            Missing::Ending => {
                ("ending", "an account of theirs there is being taken away, and that is not verified".to_owned())
            }
            Missing::NotGranted(Requestable::Yes) => {
                ("not_granted", "it was not granted to them; it can be asked for (POST /v1/grants)".to_owned())
            }
            Missing::NotGranted(Requestable::No) => {
                ("not_granted", "it was not granted to them, and can't be asked for".to_owned())
            }
        };
        Ok(Self { kind, text })
    }
}

/// By which separation something is not given, and what is held already.
pub fn separation_in_words(
    state: &impl Read,
    separation: &SeparationId,
    first: &EntitlementId,
) -> Result<String, KvError> {
    let spec = directory::separation(state, separation)?.map(|known| known.spec);
    let name = spec.as_ref().map_or("", |spec| spec.name.as_str());
    let reason = spec.as_ref().map(|spec| spec.reason.as_str()).filter(|reason| !reason.is_empty());
    let why = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
    Ok(format!("separation {separation}, {name}{why}: nobody holds it together with {first}"))
}

/// Whether somebody holds something, and why, or why not.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ExplanationView {
    #[schema(value_type = uuid::Uuid)]
    pub identity: IdentityId,
    /// Absent for viewers.
    pub user_name: Option<String>,
    pub entitlement: String,
    /// Whether they are to hold it, and are not switched off.
    pub held: bool,
    /// What is held, where there is a reason for it.
    pub holding: Option<HeldView>,
    /// What stands in the way: each would have to change, or one of the rule, the groups, the roles and the grants.
    pub missing: Vec<MissingView>,
}

impl ExplanationView {
    pub fn of(
        state: &impl Read,
        catalogue: &Catalogue,
        identity: Identity,
        entitlement: &EntitlementId,
        detail: Detail,
    ) -> Result<Self, KvError> {
        let (id, user_name) = (identity.id, detail.show(identity.user_name().to_owned()));
        let (held, missing) = ledger::explain(state, catalogue, identity, entitlement)?;
        Ok(Self {
            identity: id,
            user_name,
            entitlement: entitlement.to_string(),
            held: held.is_some() && missing.is_empty(),
            holding: held.map(|held| HeldView::of(state, &held)).transpose()?,
            missing: missing.iter().map(|one| MissingView::of(state, one)).collect::<Result<_, _>>()?,
        })
    }
}

/// Somebody who holds something.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct HolderView {
    #[schema(value_type = uuid::Uuid)]
    pub identity: IdentityId,
    /// Absent for viewers.
    pub user_name: Option<String>,
    #[schema(schema_with = schema::time_or_null)]
    pub since: Option<Timestamp>,
    pub reasons: Vec<ReasonView>,
    /// `verified`, `pending`, `differs`, `off` or `ending`.
    pub state: &'static str,
    #[schema(schema_with = schema::time_or_null)]
    pub verified_at: Option<Timestamp>,
}

impl HolderView {
    pub fn of(state: &impl Read, account: &Account, part: &Part, detail: Detail) -> Result<Self, KvError> {
        let id = EntitlementId { app: account.app.clone(), part: part.clone() };
        let holding = account.holds.get(part);
        let reasons = holding.into_iter().flat_map(|holding| &holding.reasons);
        let identity = directory::identity(state, account.identity)?;
        Ok(Self {
            identity: account.identity,
            user_name: identity.and_then(|identity| detail.show(identity.user_name().to_owned())),
            since: holding.map(|holding| holding.since),
            reasons: reasons.map(|reason| ReasonView::of(state, &id, reason)).collect::<Result<_, _>>()?,
            state: ledger::progress(state, account, part)?.name(),
            verified_at: account.verified_at,
        })
    }
}
