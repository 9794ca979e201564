//! What the log holds, in the domain's words.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use crate::access::credential::{Compromised, InventoryRead, Listed, Unlisted, holder_of};
use crate::access::departure::LeaverCompleted;
use crate::access::grant::GrantChanged;
use crate::access::handover::{HandoverChanged, MachinePolicy};
use crate::access::obligation::{AtRisk, Overdue, Waived};
use crate::access::outcome::{Adopted, Applied, Attempted, Rejected, Verified};
use crate::access::policy::PolicySpec;
use crate::access::reevaluation::{Reevaluated, ReevaluationPolicy};
use crate::access::role::RoleSpec;
use crate::access::separation::{SeparationSpec, ViolationAccepted};
use crate::access::task::{StandsOnWord, TaskDone, TaskUndone};
use crate::alert::AlertChanged;
use crate::app::AppSpec;
use crate::app::capability::Discovered;
use crate::app::drill::Drill;
use crate::app::health::{Quarantined, Recovered};
use crate::drift::reconciliation::{Reconciliation, SyncRequested};
use crate::drift::{DriftAccepted, DriftDetected, DriftId};
use crate::governance::api_token::ApiTokenChanged;
use crate::governance::approval::{ApprovalChanged, ApprovalStep};
use crate::governance::checkpoint::Checkpoint;
use crate::governance::configuration::{ConfigurationRead, Configuring};
use crate::governance::disclosure::Access;
use crate::governance::erasure::{Erased, ErasureOrdered};
use crate::governance::hold::{Hold, HoldDecided};
use crate::governance::session::SessionChanged;
use crate::identity::authority::ChangeRefused;
use crate::identity::group::GroupChanged;
use crate::identity::resource::ResourceChanged;
use crate::identity::switch::Switched;
use crate::identity::{EffectFailed, IdentityChanged, NameChanged};
use crate::ids::{AppId, IdentityId, PolicyId, RoleId, SeparationId, Sequence, SourceName};
use crate::key_ref::KeyRef;
use crate::trace::TraceContext;

/// Who, when, why, and as part of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventMeta {
    /// Unique; appending the same id twice appends once.
    pub event_id: Uuid,
    /// The appender's clock.
    pub occurred_at: Timestamp,
    /// Who did it.
    pub actor: String,
    /// The system of record it came from.
    pub source: Option<SourceName>,
    /// Why, for people.
    pub reason: String,
    /// The same for everything that one request led to.
    pub correlation_id: String,
    /// The event that led to this one.
    pub causation_id: Option<Uuid>,
    /// The trace it belongs to.
    pub trace: TraceContext,
    /// The deviations from the RFCs that the request relied on.
    pub quirks: Vec<String>,
}

/// Everything that can happen.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum Event {
    Identity(IdentityChanged),
    NameClaimed(NameChanged),
    NameReleased(NameChanged),
    Group(GroupChanged),
    Resource(ResourceChanged),
    ChangeRefused(ChangeRefused),
    AppConfigured(Box<AppSpec>),
    AppRemoved(AppId),
    AccountApplied(Applied),
    AccountVerified(Verified),
    AppDiscovered(Discovered),
    AppQuarantined(Quarantined),
    AppRecovered(Recovered),
    AccountRejected(Rejected),
    AccountAdopted(Adopted),
    /// A creation is about to be sent, or it is known again what may exist.
    AccountAttempted(Attempted),
    /// Somebody says that they have done what was to be done in an app.
    TaskDone(TaskDone),
    /// Somebody takes that back.
    TaskUndone(TaskUndone),
    /// What an app shows contradicts nothing of that, and is no proof by itself.
    AccountAttested(StandsOnWord),
    DriftDetected(DriftDetected),
    DriftCleared(DriftId),
    DriftAccepted(DriftAccepted),
    ObligationAtRisk(AtRisk),
    ObligationOverdue(Overdue),
    LeaverCompleted(LeaverCompleted),
    ObligationWaived(Waived),
    HoldPlaced(Hold),
    HoldDecided(HoldDecided),
    Reconciliation(Reconciliation),
    Drill(Drill),
    SyncRequested(SyncRequested),
    AlertFired(AlertChanged),
    AlertResolved(AlertChanged),
    Checkpoint(Checkpoint),
    Access(Access),
    /// Someone signed in to the console, or out.
    Session(SessionChanged),
    /// An API token was given to someone, used, or revoked.
    ApiToken(ApiTokenChanged),
    /// Something dangerous was asked for, approved or denied.
    Approval(ApprovalChanged),
    /// A process has started with a configuration.
    ConfigurationRead(ConfigurationRead),
    /// What was said to take effect now can't.
    EffectFailed(EffectFailed),
    /// Someone is to be erased, as soon as no app keeps an account of theirs.
    ErasureOrdered(ErasureOrdered),
    /// What is personal about someone is gone.
    IdentityErased(Erased),
    /// Someone was switched off in every app, or on again.
    IdentitySwitched(Switched),
    /// A role is in the configuration, or is another one there.
    RoleConfigured(Box<RoleSpec>),
    /// A role is not in the configuration any more.
    RoleRemoved(RoleId),
    /// A policy is in the configuration, or is another one there.
    PolicyConfigured(Box<PolicySpec>),
    /// A policy is not in the configuration any more.
    PolicyRemoved(PolicyId),
    /// A separation of duties is in the configuration, or is another one there.
    SeparationConfigured(Box<SeparationSpec>),
    /// A separation of duties is not in the configuration any more.
    SeparationRemoved(SeparationId),
    /// Two people leave it so for a time that somebody violates a separation.
    ViolationAccepted(ViolationAccepted),
    /// Apps and roles change together: what follows is worked out when all of it is known.
    Configuring(Configuring),
    /// After a change that concerns many it was decided anew what some of them are to have.
    Reevaluated(Reevaluated),
    /// Something was asked for, agreed to, or is over.
    Grant(GrantChanged),
    /// The configuration says something else of machines.
    MachinesConfigured(MachinePolicy),
    /// The configuration says for how many people at once a change that concerns many is decided.
    ReevaluationConfigured(ReevaluationPolicy),
    /// A person has done something about the hand-over of a machine.
    Handover(HandoverChanged),
    /// A list says of a credential what was not known of it.
    CredentialListed(Box<Listed>),
    /// A list lacks a credential that the one before had.
    CredentialUnlisted(Unlisted),
    /// Others may know the secret of a credential.
    CredentialCompromised(Compromised),
    /// The list of an inventory was compared with what was known.
    InventoryRead(InventoryRead),
    /// Written by a newer version, or damaged: carried and shown, never acted on.
    Unknown,
}

impl Event {
    /// Whom an event is about, whose key seals what is personal of it: an identity, the account of nobody, or the owner of a name;
    /// `None`: nobody in particular, or nobody who is known.
    #[must_use]
    pub fn person(&self) -> Option<IdentityId> {
        match self {
            Self::Identity(e) => Some(e.id),
            Self::NameClaimed(e) | Self::NameReleased(e) => Some(IdentityId(e.owner)),
            Self::ChangeRefused(e) => e.target.map(IdentityId),
            Self::AccountApplied(e) => Some(e.identity),
            Self::AccountVerified(e) => Some(e.identity),
            Self::AccountRejected(e) => Some(e.identity),
            Self::AccountAttempted(e) => Some(e.identity),
            Self::AccountAdopted(e) => Some(e.identity),
            Self::TaskDone(e) => Some(e.identity),
            Self::TaskUndone(e) => Some(e.identity),
            Self::AccountAttested(e) => Some(e.identity),
            Self::DriftDetected(e) => Some(e.id.identity),
            Self::DriftCleared(id) => Some(id.identity),
            Self::DriftAccepted(e) => Some(e.id.identity),
            Self::ObligationAtRisk(e) => Some(e.id.subject.identity()),
            Self::ObligationOverdue(e) => Some(e.id.subject.identity()),
            Self::ObligationWaived(e) => Some(e.id.subject.identity()),
            Self::LeaverCompleted(e) => Some(e.identity),
            Self::AlertFired(e) | Self::AlertResolved(e) => e.about.identity(),
            Self::Approval(e) => match &e.step {
                ApprovalStep::Requested { about, .. } => *about,
                ApprovalStep::Approved | ApprovalStep::Denied => None,
            },
            Self::EffectFailed(e) => Some(e.id),
            Self::ErasureOrdered(e) => Some(e.id),
            Self::IdentityErased(e) => Some(e.id),
            Self::IdentitySwitched(e) => Some(e.id),
            Self::Grant(e) => Some(e.identity),
            Self::Handover(e) => Some(e.owner),
            Self::CredentialListed(e) => Some(e.person()),
            Self::CredentialUnlisted(e) => Some(holder_of(e.id, e.holder)),
            Self::CredentialCompromised(e) => Some(holder_of(e.id, e.holder)),
            Self::ViolationAccepted(e) => Some(e.identity),
            Self::Access(e) => e.identity,
            Self::SyncRequested(SyncRequested::Identity(id)) => Some(*id),
            Self::SyncRequested(SyncRequested::App(_) | SyncRequested::Gone { .. } | SyncRequested::Same { .. })
            | Self::Group(_)
            | Self::Resource(_)
            | Self::AppConfigured(_)
            | Self::AppRemoved(_)
            | Self::AppDiscovered(_)
            | Self::AppQuarantined(_)
            | Self::AppRecovered(_)
            | Self::HoldPlaced(_)
            | Self::HoldDecided(_)
            | Self::Reconciliation(_)
            | Self::Drill(_)
            | Self::Checkpoint(_)
            | Self::Session(_)
            | Self::ApiToken(_)
            | Self::ConfigurationRead(_)
            | Self::RoleConfigured(_)
            | Self::RoleRemoved(_)
            | Self::PolicyConfigured(_)
            | Self::PolicyRemoved(_)
            | Self::SeparationConfigured(_)
            | Self::SeparationRemoved(_)
            | Self::Configuring(_)
            | Self::Reevaluated(_)
            | Self::MachinesConfigured(_)
            | Self::ReevaluationConfigured(_)
            | Self::InventoryRead(_)
            | Self::Unknown => None,
        }
    }
}

/// An event to append.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct NewEvent {
    pub meta: EventMeta,
    pub event: Event,
}

/// Whether an event says everything that it holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Seal {
    /// Nothing of it is sealed.
    #[default]
    None,
    /// What is personal was sealed with this key, and is here.
    Opened(KeyRef),
    /// What is personal is sealed with this key, which is not here: its fields are empty.
    Closed(KeyRef),
}

impl Seal {
    /// The key.
    #[must_use]
    pub const fn key(self) -> Option<KeyRef> {
        match self {
            Self::None => None,
            Self::Opened(key) | Self::Closed(key) => Some(key),
        }
    }

    /// Whether what is personal is not here.
    #[must_use]
    pub const fn is_closed(self) -> bool {
        matches!(self, Self::Closed(_))
    }
}

/// An event as the log has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Its position.
    pub sequence: Sequence,
    /// The log's clock.
    pub recorded_at: Timestamp,
    /// The type on the wire.
    pub type_name: String,
    /// The schema version of its payload.
    pub schema_version: u32,
    /// Who, when and why.
    pub meta: EventMeta,
    /// What.
    pub event: Event,
    /// The stored payload, as it was appended.
    pub payload: Vec<u8>,
    /// The subject it was appended under.
    pub subject: String,
    /// The whole message as the log has it: what is proved.
    pub stored: Vec<u8>,
    /// Whether it says everything that it holds.
    pub seal: Seal,
    /// That whom it is about was erased later, where that is why it is closed.
    pub erased: Option<Arc<Erased>>,
}
