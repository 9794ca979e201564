//! The event types this version knows, and the message that each one's payload holds.

/// The schema version that this build writes. It reads what version 1 wrote: a creation was appended under the id of the identity,
/// beside the claim of its name, and said what it changed; ids were text.
pub const SCHEMA_VERSION: u32 = 2;

macro_rules! event_types {
    ($($variant:ident = $name:literal in $message:literal;)*) => {
        /// The kind of an event; its name is what `Envelope.type` holds.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum EventType {
            $(#[doc = $name] $variant,)*
        }

        impl EventType {
            /// Every type, in catalogue order.
            pub const ALL: &'static [EventType] = &[$(EventType::$variant),*];

            /// The name on the wire.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(EventType::$variant => $name,)* }
            }

            /// The full name of the protobuf message in the payload.
            #[must_use]
            pub const fn message(self) -> &'static str {
                match self { $(EventType::$variant => concat!("rollcall.v1.", $message),)* }
            }

            /// The type with this name, or `None` for one that a newer version wrote.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(EventType::$variant),)* _ => None }
            }
        }
    };
}

event_types! {
    IdentityJoined = "identity.joined" in "IdentityChanged";
    IdentityMoved = "identity.moved" in "IdentityChanged";
    IdentityLeft = "identity.left" in "IdentityChanged";
    IdentityLeaveScheduled = "identity.leave_scheduled" in "IdentityChanged";
    IdentityLeaveCancelled = "identity.leave_cancelled" in "IdentityChanged";
    IdentityRehired = "identity.rehired" in "IdentityChanged";
    IdentityStaged = "identity.staged" in "IdentityChanged";
    IdentityUpdated = "identity.updated" in "IdentityChanged";
    IdentityDeleted = "identity.deleted" in "IdentityChanged";
    NameClaimed = "name.claimed" in "NameChanged";
    NameReleased = "name.released" in "NameChanged";
    GroupCreated = "group.created" in "GroupChanged";
    GroupUpdated = "group.updated" in "GroupChanged";
    GroupMembersChanged = "group.members_changed" in "GroupChanged";
    GroupDeleted = "group.deleted" in "GroupChanged";
    ResourceCreated = "resource.created" in "ResourceChanged";
    ResourceUpdated = "resource.updated" in "ResourceChanged";
    ResourceDeleted = "resource.deleted" in "ResourceChanged";
    ChangeRefused = "change.refused" in "ChangeRefused";
    AppConfigured = "app.configured" in "AppConfigured";
    AppRemoved = "app.removed" in "AppRemoved";
    AppDiscovered = "app.discovered" in "AppDiscovered";
    AppQuarantined = "app.quarantined" in "AppQuarantined";
    AppRecovered = "app.recovered" in "AppRecovered";
    AccountApplied = "account.applied" in "AccountApplied";
    AccountVerified = "account.verified" in "AccountVerified";
    AccountRejected = "account.rejected" in "AccountRejected";
    AccountAdopted = "account.adopted" in "AccountAdopted";
    AccountAttempted = "account.attempted" in "AccountAttempted";
    TaskDone = "task.done" in "TaskDone";
    TaskUndone = "task.undone" in "TaskUndone";
    AccountAttested = "account.attested" in "AccountAttested";
    DriftDetected = "drift.detected" in "DriftDetected";
    DriftCleared = "drift.cleared" in "DriftCleared";
    DriftAccepted = "drift.accepted" in "DriftAccepted";
    ObligationAtRisk = "obligation.at_risk" in "ObligationAtRisk";
    ObligationOverdue = "obligation.overdue" in "ObligationOverdue";
    LeaverCompleted = "leaver.completed" in "LeaverCompleted";
    ObligationWaived = "obligation.waived" in "ObligationWaived";
    HoldPlaced = "hold.placed" in "HoldPlaced";
    HoldReleased = "hold.released" in "HoldDecided";
    HoldRejected = "hold.rejected" in "HoldDecided";
    HoldLapsed = "hold.lapsed" in "HoldDecided";
    ReconciliationRequested = "reconciliation.requested" in "Reconciliation";
    ReconciliationStarted = "reconciliation.started" in "Reconciliation";
    ReconciliationProgressed = "reconciliation.progressed" in "Reconciliation";
    ReconciliationCompleted = "reconciliation.completed" in "Reconciliation";
    ReconciliationFailed = "reconciliation.failed" in "Reconciliation";
    DrillRequested = "drill.requested" in "Drill";
    DrillStarted = "drill.started" in "Drill";
    DrillMade = "drill.made" in "Drill";
    DrillCompleted = "drill.completed" in "Drill";
    DrillFailed = "drill.failed" in "Drill";
    SyncRequested = "sync.requested" in "SyncRequested";
    AlertFired = "alert.fired" in "AlertChanged";
    AlertResolved = "alert.resolved" in "AlertChanged";
    LogCheckpoint = "log.checkpoint" in "Checkpoint";
    SessionOpened = "session.opened" in "SessionChanged";
    SessionUsed = "session.used" in "SessionChanged";
    SessionEnded = "session.ended" in "SessionChanged";
    ApiTokenIssued = "api_token.issued" in "ApiTokenChanged";
    ApiTokenUsed = "api_token.used" in "ApiTokenChanged";
    ApiTokenRevoked = "api_token.revoked" in "ApiTokenChanged";
    ApprovalRequested = "approval.requested" in "ApprovalChanged";
    ApprovalApproved = "approval.approved" in "ApprovalChanged";
    ApprovalDenied = "approval.denied" in "ApprovalChanged";
    ConfigurationRead = "configuration.read" in "ConfigurationRead";
    IdentityEffectFailed = "identity.effect_failed" in "EffectFailed";
    IdentityErasureOrdered = "identity.erasure_ordered" in "ErasureOrdered";
    IdentityErased = "identity.erased" in "IdentityErased";
    IdentityDisabled = "identity.disabled" in "IdentitySwitched";
    IdentityEnabled = "identity.enabled" in "IdentitySwitched";
    RoleConfigured = "role.configured" in "RoleConfigured";
    PolicyConfigured = "policy.configured" in "PolicyConfigured";
    PolicyRemoved = "policy.removed" in "PolicyRemoved";
    SeparationConfigured = "separation.configured" in "SeparationConfigured";
    SeparationRemoved = "separation.removed" in "SeparationRemoved";
    SeparationViolationAccepted = "separation.violation_accepted" in "ViolationAccepted";
    ConfigurationChangeBegan = "configuration.change_began" in "Configuring";
    ConfigurationChangeEnded = "configuration.change_ended" in "Configuring";
    ReevaluationConfigured = "reevaluation.configured" in "ReevaluationConfigured";
    AccessReevaluated = "access.reevaluated" in "AccessReevaluated";
    RoleRemoved = "role.removed" in "RoleRemoved";
    GrantRequested = "grant.requested" in "GrantRequested";
    GrantApproved = "grant.approved" in "GrantApproved";
    GrantEnded = "grant.ended" in "GrantEnded";
    MachinesConfigured = "machines.configured" in "MachinesConfigured";
    HandoverAccepted = "handover.accepted" in "HandoverChanged";
    HandoverPassed = "handover.passed" in "HandoverChanged";
    HandoverRetired = "handover.retired" in "HandoverChanged";
    CredentialListed = "credential.listed" in "CredentialListed";
    CredentialUnlisted = "credential.unlisted" in "CredentialUnlisted";
    CredentialCompromised = "credential.compromised" in "CredentialCompromised";
    InventoryRead = "inventory.read" in "InventoryRead";
    AccessRead = "access.read" in "Access";
    AccessDenied = "access.denied" in "Access";
}
