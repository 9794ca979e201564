//! Alerts that were delivered: one key for each thing that is wrong, so that receivers see one alert.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::governance::hold::Cause;
use crate::ids::{AppId, IdentityId, Sequence, SourceName};

/// What an alert is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// Someone left and still has access, past the deadline.
    Leaver {
        /// Who.
        identity: IdentityId,
        /// The departure.
        opened_by: Sequence,
    },
    /// An app is left alone because it fails.
    Quarantine {
        /// Which.
        app: AppId,
        /// Since when.
        by: Sequence,
    },
    /// An app is left alone because everything that is known to be in it is missing at once.
    Vanished {
        /// Which.
        app: AppId,
        /// Since when.
        by: Sequence,
    },
    /// An app has kept access in a drill that should have ended.
    Drill {
        /// Which.
        app: AppId,
        /// The drill that has shown it.
        by: Sequence,
    },
    /// An app can't be compared as a whole: nobody would know who came back there.
    Uncompared {
        /// Which.
        app: AppId,
        /// The first comparison that failed.
        by: Sequence,
    },
    /// The removals by one cause wait for a person.
    Hold {
        /// What took them away.
        cause: Cause,
        /// Since when.
        by: Sequence,
    },
    /// An account lives that should be gone, and was not brought in line in time.
    Zombie {
        /// Where.
        app: AppId,
        /// Whose.
        identity: IdentityId,
        /// The finding.
        opened_by: Sequence,
    },
    /// Somebody whom a person has switched off may still be able to sign in.
    Disable {
        /// Where.
        app: AppId,
        /// Who.
        identity: IdentityId,
        /// The decision.
        opened_by: Sequence,
    },
    /// What was granted, or has ended, is not verified in time.
    Grant {
        /// Where.
        app: AppId,
        /// Whose.
        identity: IdentityId,
        /// Its beginning, or its end.
        opened_by: Sequence,
    },
    /// Nobody has taken over, in time, machines that somebody who leaves answers for.
    Handover {
        /// Who leaves; a machine for which nobody ever answered.
        owner: IdentityId,
        /// The departure.
        opened_by: Sequence,
    },
    /// The credentials of somebody who has left, or that were reported, were not revoked in time.
    Revocation {
        /// Whose they are.
        holder: IdentityId,
        /// What asks for it.
        opened_by: Sequence,
    },
    /// What was said to take effect can't: someone may have access who has left.
    Stuck {
        /// Whose.
        identity: IdentityId,
        /// The statement.
        by: Sequence,
    },
    /// A change was said to take effect farther ahead than is usual.
    FarAhead {
        /// Whose.
        identity: IdentityId,
        /// The statement.
        by: Sequence,
    },
    /// What somebody holds for a time ends soon: whoever needs it longer asks now.
    GrantEnds {
        /// Whose.
        identity: IdentityId,
        /// The request.
        by: Sequence,
    },
    /// Somebody has to do something in an app that Rollcall does not change itself.
    Task {
        /// Where.
        app: AppId,
        /// Whose account it is.
        identity: IdentityId,
        /// The change that says what is to be done.
        by: Sequence,
    },
    /// Nothing came from a source for longer than is usual.
    Silence {
        /// Which.
        source: SourceName,
    },
    /// A sink takes no alerts: the others say so.
    Sink {
        /// Which.
        name: String,
    },
    /// The log can't be reached.
    Log,
    /// The monitor knows less than the log for too long.
    Lag,
}

/// How bad it is; higher is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Level(pub u32);

impl Level {
    /// It may still be in time.
    pub const AT_RISK: Self = Self(1);
    /// It is not.
    pub const WRONG: Self = Self(2);

    /// So many steps worse than wrong.
    #[must_use]
    pub const fn escalated(steps: u32) -> Self {
        Self(Self::WRONG.0.saturating_add(steps))
    }
}

impl About {
    /// What receivers tell alerts apart by.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Leaver { identity, opened_by } => format!("leaver-{identity}-{opened_by}"),
            Self::Quarantine { app, by } => format!("quarantine-{app}-{by}"),
            Self::Vanished { app, by } => format!("vanished-{app}-{by}"),
            Self::Drill { app, by } => format!("drill-{app}-{by}"),
            Self::Uncompared { app, by } => format!("uncompared-{app}-{by}"),
            Self::Hold { cause, by } => format!("hold-{cause}-{by}"),
            Self::Zombie { app, identity, opened_by } => format!("zombie-{app}-{identity}-{opened_by}"),
            Self::Disable { app, identity, opened_by } => format!("disable-{app}-{identity}-{opened_by}"),
            Self::Grant { app, identity, opened_by } => format!("grant-{app}-{identity}-{opened_by}"),
            Self::Handover { owner, opened_by } => format!("handover-{owner}-{opened_by}"),
            Self::Revocation { holder, opened_by } => format!("revocation-{holder}-{opened_by}"),
            Self::Stuck { identity, by } => format!("stuck-{identity}-{by}"),
            Self::FarAhead { identity, by } => format!("far-ahead-{identity}-{by}"),
            Self::GrantEnds { identity, by } => format!("grant-ends-{identity}-{by}"),
            Self::Task { app, identity, by } => format!("task-{app}-{identity}-{by}"),
            Self::Silence { source } => format!("silence-{source}"),
            Self::Sink { name } => format!("sink-{name}"),
            Self::Log => "log".to_owned(),
            Self::Lag => "lag".to_owned(),
        }
    }

    /// The name of the alert, as the rules in deploy/prometheus have it.
    #[must_use]
    pub const fn name(&self, level: Level) -> &'static str {
        match self {
            Self::Leaver { .. } if level.0 < Level::WRONG.0 => "LeaverAtRisk",
            Self::Leaver { .. } => "LeaverOverdue",
            Self::Zombie { .. } => "ZombieOverdue",
            Self::Disable { .. } => "DisableOverdue",
            Self::Grant { .. } => "GrantOverdue",
            Self::Handover { .. } => "HandoverOverdue",
            Self::Revocation { .. } => "CredentialOverdue",
            Self::Quarantine { .. } => "AppQuarantined",
            Self::Vanished { .. } => "AppVanished",
            Self::Drill { .. } => "AppFailsDrill",
            Self::Uncompared { .. } => "AppNotCompared",
            Self::Hold { .. } => "RemovalsHeld",
            Self::Stuck { .. } => "ScheduledChangeStuck",
            Self::FarAhead { .. } => "ScheduledFarAhead",
            Self::GrantEnds { .. } => "GrantEndsSoon",
            Self::Task { .. } => "TaskOpen",
            Self::Silence { .. } => "SourceSilent",
            Self::Sink { .. } => "AlertDeliveryFailing",
            Self::Log => "LogUnreachable",
            Self::Lag => "ProjectionLagging",
        }
    }

    /// How much of a hurry it is in, as receivers sort alerts.
    #[must_use]
    pub const fn severity(&self, level: Level) -> &'static str {
        match self {
            Self::GrantEnds { .. } | Self::Task { .. } => "info",
            // Nobody who has left can sign in by it.
            Self::Handover { .. } => "warning",
            _ if level.0 < Level::WRONG.0 => "warning",
            _ => "critical",
        }
    }

    /// Whom it is about, when that is someone.
    #[must_use]
    pub const fn identity(&self) -> Option<IdentityId> {
        match self {
            Self::Leaver { identity, .. }
            | Self::Zombie { identity, .. }
            | Self::Disable { identity, .. }
            | Self::Grant { identity, .. }
            | Self::Stuck { identity, .. }
            | Self::FarAhead { identity, .. }
            | Self::GrantEnds { identity, .. }
            | Self::Task { identity, .. }
            | Self::Handover { owner: identity, .. }
            | Self::Revocation { holder: identity, .. } => Some(*identity),
            _ => None,
        }
    }

    /// Which app it is about, when it is one.
    #[must_use]
    pub const fn app(&self) -> Option<&AppId> {
        match self {
            Self::Quarantine { app, .. }
            | Self::Vanished { app, .. }
            | Self::Drill { app, .. }
            | Self::Uncompared { app, .. }
            | Self::Zombie { app, .. }
            | Self::Disable { app, .. }
            | Self::Grant { app, .. }
            | Self::Task { app, .. } => Some(app),
            _ => None,
        }
    }
}

/// A sink accepted an alert, or its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertChanged {
    /// What the receiver tells alerts apart by.
    pub key: String,
    /// Which sink.
    pub sink: String,
    /// What it is about.
    pub about: About,
    /// How bad it was when it was told.
    pub level: Level,
    /// For people.
    pub summary: String,
}

/// An alert that a sink has accepted, in a projection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Alert {
    pub key: String,
    pub sink: String,
    pub about: About,
    pub level: Level,
    pub summary: String,
    pub fired_at: Timestamp,
}
