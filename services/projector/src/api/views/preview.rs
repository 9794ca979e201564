//! What another configuration would change in who holds what.

use rollcall_domain::app::Connection;
use rollcall_domain::decision::access_rules::AccessSpec;
use rollcall_domain::ids::{AppId, IdentityId};
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::ledger::{AppPreview, Direction, Preview, PreviewReason};
use rollcall_domain::{directory, ledger};
use serde::Serialize;
use utoipa::ToSchema;

/// Someone who would lose their account.
#[derive(Debug, Serialize, ToSchema)]
pub struct Loser {
    #[schema(value_type = uuid::Uuid)]
    identity: IdentityId,
    user_name: String,
}

/// What would change in an app.
#[derive(Debug, Serialize, ToSchema)]
pub struct AppPreviewView {
    #[schema(value_type = String)]
    app: AppId,
    /// Whether it is configured now.
    known: bool,
    /// Whether anything of it differs from what is configured now, or anything that decides who has what there.
    differs: bool,
    /// The accounts that must be there now.
    accounts: usize,
    /// Who would be given one.
    added: usize,
    /// Whose attributes or groups would change.
    changed: usize,
    /// Who would lose theirs.
    removed: usize,
    /// Some of them.
    removed_some: Vec<Loser>,
    /// So many removals would wait for a person.
    would_be_held: bool,
    /// So many need two people.
    needs_two_people: bool,
}

/// How many would gain and lose an entitlement.
#[derive(Debug, Serialize, ToSchema)]
pub struct EntitlementTally {
    entitlement: String,
    gained: usize,
    lost: usize,
}

/// How many would gain and lose something in an app because of one thing.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReasonTally {
    #[schema(value_type = String)]
    app: AppId,
    /// `rule`, `group`, `role`, `grant`, `policy` or `forbidden`.
    kind: &'static str,
    /// The group, role or policy.
    id: Option<String>,
    gained: usize,
    lost: usize,
}

/// Something that somebody would gain, or lose.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccessChangeView {
    #[schema(value_type = uuid::Uuid)]
    identity: IdentityId,
    user_name: String,
    entitlement: String,
    /// `gained` or `lost`.
    change: &'static str,
    /// By what it would be gained, or what gives it now; where policies would forbid it, these.
    because: Vec<String>,
}

/// Somebody who would violate a separation of duties, and does not now.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewViolationView {
    separation: String,
    #[schema(value_type = uuid::Uuid)]
    identity: IdentityId,
    user_name: String,
    held: Vec<String>,
}

/// What another configuration would change.
#[derive(Debug, Serialize, ToSchema)]
pub struct PreviewView {
    /// How many identities were asked about.
    identities: usize,
    /// How many accounts nothing can be decided about: whose they are is sealed or erased.
    undecided: usize,
    apps: Vec<AppPreviewView>,
    /// The apps that would not be connected any more: their accounts stay as they are.
    removed_apps: Vec<String>,
    entitlements: Vec<EntitlementTally>,
    reasons: Vec<ReasonTally>,
    /// How many changes there would be.
    changes_total: usize,
    /// Some of them.
    changes: Vec<AccessChangeView>,
    /// How many would violate a separation who do not now.
    violations_total: usize,
    /// Some of them.
    violations: Vec<NewViolationView>,
}

const fn kind_of(because: &PreviewReason) -> &'static str {
    match because {
        PreviewReason::Rule => "rule",
        PreviewReason::Group(_) => "group",
        PreviewReason::Role(_) => "role",
        PreviewReason::Grant => "grant",
        PreviewReason::Policy(_) => "policy",
        PreviewReason::Forbidden(_) => "forbidden",
    }
}

fn id_of(because: &PreviewReason) -> Option<String> {
    match because {
        PreviewReason::Rule | PreviewReason::Grant => None,
        PreviewReason::Group(name) => Some(name.clone()),
        PreviewReason::Role(id) => Some(id.to_string()),
        PreviewReason::Policy(id) | PreviewReason::Forbidden(id) => Some(id.to_string()),
    }
}

fn in_words(because: &PreviewReason) -> String {
    match (because, id_of(because)) {
        (PreviewReason::Rule, _) => "the rule of the app".to_owned(),
        (PreviewReason::Forbidden(id), _) => format!("policy {id} forbids it"),
        (because, Some(id)) => format!("{} {id}", kind_of(because)),
        (because, None) => format!("a {}", kind_of(because)),
    }
}

impl PreviewView {
    pub fn of(state: &impl Read, found: &Preview, spec: &AccessSpec) -> Result<Self, KvError> {
        let name = |id: IdentityId| -> Result<String, KvError> {
            Ok(directory::identity(state, id)?.map_or_else(String::new, |who| who.user_name().to_owned()))
        };
        let mut apps = Vec::new();
        for app in &spec.apps {
            let now = directory::app(state, &app.id)?.filter(|app| app.connection == Connection::Configured);
            let preview = found.apps.get(&app.id);
            let AppPreview { accounts, added, changed, removed, removed_some } = match preview {
                Some(preview) => preview.clone(),
                None => AppPreview { accounts: ledger::present(state, &app.id)?, ..AppPreview::default() },
            };
            let loser = |id: &IdentityId| Ok(Loser { identity: *id, user_name: name(*id)? });
            apps.push(AppPreviewView {
                app: app.id.clone(),
                known: now.is_some(),
                differs: preview.is_some(),
                accounts,
                added,
                changed,
                removed,
                removed_some: removed_some.iter().map(loser).collect::<Result<_, KvError>>()?,
                would_be_held: app.guard.is_too_many(removed, accounts),
                needs_two_people: usize::try_from(app.guard.max_removals).is_ok_and(|most| removed > most),
            });
        }
        let gone = directory::apps(state)?.into_iter().filter(|app| app.connection == Connection::Configured);
        let gone = gone.filter(|app| !spec.apps.iter().any(|stays| stays.id == app.spec.id));
        let mut changes = Vec::new();
        for change in &found.changes {
            changes.push(AccessChangeView {
                identity: change.identity,
                user_name: name(change.identity)?,
                entitlement: change.entitlement.to_string(),
                change: match change.direction {
                    Direction::Gained => "gained",
                    Direction::Lost => "lost",
                },
                because: change.because.iter().map(in_words).collect(),
            });
        }
        let mut violations = Vec::new();
        for (separation, identity, held) in &found.violations_some {
            violations.push(NewViolationView {
                separation: separation.to_string(),
                identity: *identity,
                user_name: name(*identity)?,
                held: held.iter().map(ToString::to_string).collect(),
            });
        }
        let reasons = found.because.iter().map(|((app, because), tally)| ReasonTally {
            app: app.clone(),
            kind: kind_of(because),
            id: id_of(because),
            gained: tally.gained,
            lost: tally.lost,
        });
        let entitlements = found.entitlements.iter().map(|(id, tally)| EntitlementTally {
            entitlement: id.to_string(),
            gained: tally.gained,
            lost: tally.lost,
        });
        Ok(Self {
            identities: found.identities,
            undecided: found.undecided,
            apps,
            removed_apps: gone.map(|app| app.spec.id.to_string()).collect(),
            entitlements: entitlements.collect(),
            reasons: reasons.collect(),
            changes_total: found.entitlements.values().map(|tally| tally.gained + tally.lost).sum(),
            changes,
            violations_total: found.violations.values().sum(),
            violations,
        })
    }
}
