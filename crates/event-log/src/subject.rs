//! Subjects name aggregates, so that the order of events per aggregate is the stream's own.

use std::fmt;

use rollcall_domain::access::obligation::ObligationId;
use rollcall_domain::drift::DriftId;
use rollcall_domain::drift::reconciliation::SyncRequested;
use rollcall_domain::governance::hold::Cause;
use rollcall_domain::identity::name::{NameSpace, name_of_creation};
use rollcall_domain::ids::{
    AppId, CredentialId, GroupId, IdentityId, InventoryName, PolicyId, ResourceId, RoleId, SeparationId,
};
use rollcall_domain::{Event, EventMeta, Sequence};
use rollcall_privacy::NameKey;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// A subject of the stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject(String);

const NAMES: &str = "rollcall.name.";

/// How names are hashed.
#[derive(Debug, Clone, Default)]
pub enum NameHash {
    /// By SHA-256: whoever reads the log can guess them.
    #[default]
    Plain,
    /// With the installation's own key.
    Keyed(Box<NameKey>),
}

impl NameHash {
    /// The place in the log up to which names may be hashed otherwise.
    #[must_use]
    pub const fn since(&self) -> Sequence {
        match self {
            Self::Plain => Sequence(0),
            Self::Keyed(key) => Sequence(key.since()),
        }
    }

    /// The id of a credential by what its inventory calls it, from which nobody can guess the name who has not the key.
    #[must_use]
    pub fn credential(&self, inventory: &InventoryName, name: &str) -> CredentialId {
        let hash = self.of(&format!("credential {inventory} {name}"));
        CredentialId(Uuid::new_v5(&Uuid::NAMESPACE_OID, hash.as_bytes()))
    }

    fn of(&self, name: &str) -> String {
        match self {
            Self::Plain => Sha256::digest(name.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect(),
            Self::Keyed(key) => key.hash(name),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Subject {
    /// The changes of one identity after its creation, which is under its name.
    #[must_use]
    pub fn identity(id: IdentityId) -> Self {
        Self(format!("rollcall.identity.{id}"))
    }

    /// That someone was erased.
    #[must_use]
    pub fn erased(id: IdentityId) -> Self {
        Self(format!("rollcall.erased.{id}"))
    }

    /// That anybody was.
    #[must_use]
    pub fn every_erasure() -> Self {
        Self("rollcall.erased.>".to_owned())
    }

    /// The events of one group.
    #[must_use]
    pub fn group(id: GroupId) -> Self {
        Self(format!("rollcall.group.{id}"))
    }

    /// The events of one app.
    #[must_use]
    pub fn app(id: &AppId) -> Self {
        Self(format!("rollcall.app.{id}"))
    }

    /// The events of one role.
    #[must_use]
    pub fn role(id: &RoleId) -> Self {
        Self(format!("rollcall.role.{id}"))
    }

    /// What the configuration says of machines.
    #[must_use]
    pub fn machines() -> Self {
        Self("rollcall.machines.policy".to_owned())
    }

    /// What people decide about the hand-overs of a machine.
    #[must_use]
    pub fn handover(machine: IdentityId) -> Self {
        Self(format!("rollcall.handover.{machine}"))
    }

    /// The events of one credential.
    #[must_use]
    pub fn credential(id: CredentialId) -> Self {
        Self(format!("rollcall.credential.{id}"))
    }

    /// The lists of one inventory.
    #[must_use]
    pub fn inventory(name: &InventoryName) -> Self {
        Self(format!("rollcall.inventory.{name}"))
    }

    /// The events of one policy.
    #[must_use]
    pub fn policy(id: &PolicyId) -> Self {
        Self(format!("rollcall.policy.{id}"))
    }

    /// The events of one separation of duties.
    #[must_use]
    pub fn separation(id: &SeparationId) -> Self {
        Self(format!("rollcall.separation.{id}"))
    }

    /// The events of one resource that is neither an identity nor a group.
    #[must_use]
    pub fn resource(id: ResourceId) -> Self {
        Self(format!("rollcall.resource.{id}"))
    }

    /// The claims of one unique name, and the creations of identities that have it; hashed, as a name may hold what a subject may not.
    #[must_use]
    pub fn name(hash: &NameHash, space: &NameSpace, key: &str) -> Self {
        Self(format!("{NAMES}{space}.{}", hash.of(key)))
    }

    /// What a subject says of a name: within what it is unique, and its hash; `None` for any other subject.
    #[must_use]
    pub fn name_in(subject: &str) -> Option<&str> {
        subject.strip_prefix(NAMES)
    }

    /// The events of one account.
    #[must_use]
    pub fn account(app: &AppId, identity: IdentityId) -> Self {
        Self(format!("rollcall.account.{app}.{identity}"))
    }

    /// What is found out about one app.
    #[must_use]
    pub fn app_state(id: &AppId) -> Self {
        Self(format!("rollcall.app-state.{id}"))
    }

    /// The obligations about one thing.
    #[must_use]
    pub fn obligation(id: &ObligationId) -> Self {
        Self(format!("rollcall.obligation.{}", id.subject))
    }

    /// The drift of one account.
    #[must_use]
    pub fn drift(id: &DriftId) -> Self {
        Self(format!("rollcall.drift.{}.{}", id.app, id.identity))
    }

    /// The holds on the removals by one cause.
    #[must_use]
    pub fn hold(cause: &Cause) -> Self {
        Self(format!("rollcall.hold.{cause}"))
    }

    /// The checkpoints of the log.
    #[must_use]
    pub fn checkpoint() -> Self {
        Self("rollcall.checkpoint.log".to_owned())
    }

    /// The configurations that a service has started with.
    #[must_use]
    pub fn configuration(service: &str) -> Self {
        Self(format!("rollcall.configuration.{service}"))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text as one token of a subject: a name that people have given may have spaces, or signs that mean something in subjects.
fn one_token(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':') { c } else { '_' }).collect()
}

/// The subject an event is appended under.
#[must_use]
pub fn subject_of(hash: &NameHash, event: &Event, meta: &EventMeta) -> Subject {
    match event {
        Event::Identity(changed) => match name_of_creation(changed) {
            Some((space, key)) => Subject::name(hash, &space, &key),
            None => Subject::identity(changed.id),
        },
        Event::NameClaimed(name) | Event::NameReleased(name) => Subject::name(hash, &name.space, &name.name),
        Event::Group(changed) => Subject::group(changed.id),
        Event::Resource(changed) => Subject::resource(changed.id),
        Event::ChangeRefused(refused) => {
            let source = meta.source.as_ref().map_or("unknown", |s| s.as_str());
            let target = refused.target.map_or_else(|| "new".to_owned(), |id| id.to_string());
            Subject(format!("rollcall.refused.{source}.{target}"))
        }
        Event::AppConfigured(spec) => Subject::app(&spec.id),
        Event::AppRemoved(id) => Subject::app(id),
        Event::AccountApplied(applied) => Subject::account(&applied.app, applied.identity),
        Event::AccountVerified(verified) => Subject::account(&verified.app, verified.identity),
        Event::AccountRejected(rejected) => Subject::account(&rejected.app, rejected.identity),
        Event::AppDiscovered(found) => Subject::app_state(&found.app),
        Event::AppQuarantined(quarantined) => Subject::app_state(&quarantined.app),
        Event::AppRecovered(now) => Subject::app_state(&now.app),
        Event::AccountAttempted(attempted) => Subject::account(&attempted.app, attempted.identity),
        Event::AccountAdopted(adopted) => Subject::account(&adopted.app, adopted.identity),
        Event::AccountAttested(stands) => Subject::account(&stands.app, stands.identity),
        Event::TaskDone(done) => Subject(format!("rollcall.task.{}.{}", done.app, done.identity)),
        Event::TaskUndone(undone) => Subject(format!("rollcall.task.{}.{}", undone.app, undone.identity)),
        Event::DriftDetected(found) => Subject::drift(&found.id),
        Event::DriftCleared(id) => Subject::drift(id),
        Event::DriftAccepted(accepted) => Subject::drift(&accepted.id),
        Event::ObligationWaived(waived) => Subject::obligation(&waived.id),
        Event::HoldPlaced(hold) => Subject::hold(&hold.cause),
        Event::HoldDecided(decided) => Subject::hold(&decided.cause),
        Event::Drill(drill) => Subject(format!("rollcall.drill.{}", drill.app)),
        Event::Reconciliation(step) => Subject(format!("rollcall.reconciliation.{}", step.app)),
        Event::SyncRequested(SyncRequested::Identity(id)) => Subject(format!("rollcall.sync.identity.{id}")),
        Event::SyncRequested(
            SyncRequested::App(app) | SyncRequested::Gone { app, .. } | SyncRequested::Same { app, .. },
        ) => Subject(format!("rollcall.sync.app.{app}")),
        Event::ObligationAtRisk(risk) => Subject::obligation(&risk.id),
        Event::LeaverCompleted(done) => Subject(format!("rollcall.leaver.{}", done.identity)),
        Event::ObligationOverdue(overdue) => Subject::obligation(&overdue.id),
        Event::AlertFired(alert) | Event::AlertResolved(alert) => {
            Subject(format!("rollcall.alert.{}", one_token(&alert.key)))
        }
        Event::Checkpoint(_) => Subject::checkpoint(),
        Event::Session(session) => Subject(format!("rollcall.session.{}", session.id)),
        Event::ApiToken(token) => Subject(format!("rollcall.api-token.{}", token.id)),
        Event::Approval(approval) => Subject(format!("rollcall.approval.{}", approval.id)),
        Event::ConfigurationRead(read) => Subject::configuration(&read.service),
        Event::ErasureOrdered(order) => Subject(format!("rollcall.erasure.{}", order.id)),
        Event::IdentityErased(erased) => Subject::erased(erased.id),
        Event::IdentitySwitched(switched) => Subject(format!("rollcall.switch.{}", switched.id)),
        Event::RoleConfigured(spec) => Subject::role(&spec.id),
        Event::RoleRemoved(id) => Subject::role(id),
        Event::PolicyConfigured(spec) => Subject::policy(&spec.id),
        Event::PolicyRemoved(id) => Subject::policy(id),
        Event::SeparationConfigured(spec) => Subject::separation(&spec.id),
        Event::SeparationRemoved(id) => Subject::separation(id),
        Event::ViolationAccepted(e) => Subject(format!("rollcall.violation.{}.{}", e.separation, e.identity)),
        Event::Configuring(_) => Subject("rollcall.configuring.log".to_owned()),
        Event::ReevaluationConfigured(_) => Subject("rollcall.reevaluation-policy.log".to_owned()),
        Event::Reevaluated(piece) => Subject(format!("rollcall.reevaluation.{}", piece.since)),
        Event::MachinesConfigured(_) => Subject::machines(),
        Event::Handover(changed) => Subject::handover(changed.machine),
        Event::CredentialListed(e) => Subject::credential(e.id),
        Event::CredentialUnlisted(e) => Subject::credential(e.id),
        Event::CredentialCompromised(e) => Subject::credential(e.id),
        Event::InventoryRead(e) => Subject::inventory(&e.inventory),
        Event::Grant(changed) => Subject(format!("rollcall.grant.{}", changed.id)),
        Event::EffectFailed(failed) => Subject(format!("rollcall.effect.{}", failed.id)),
        Event::Access(_) => Subject("rollcall.access.api".to_owned()),
        Event::Unknown => Subject(format!("rollcall.unknown.{}", meta.event_id)),
    }
}
