//! What is measured, and by what it is told apart.

use rollcall_domain::identity::lifecycle::ChangeKind;
use serde::{Deserialize, Serialize};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// How long it takes from a change until an app was read back, and how much of what is owed is met in time.
    ChangeToAccess,
    /// How long it takes until a leaver is complete.
    LeaverCompletion,
    /// Drift that is found, that ends, and that is open.
    Drift,
    /// Accounts of nobody that are open when an app has been compared.
    Orphans,
    /// What people have to do in apps that Rollcall does not change itself, and how long it takes them.
    Tasks,
    /// What people leave as it is for a while, and how much of that ran out.
    Exceptions,
    /// Of a hundred steps of a drill, those that passed.
    DrillScore,
    /// Manual work beside the drift that remains.
    WorkAndDrift,
}

impl Metric {
    /// Each.
    pub const ALL: [Self; 8] = [
        Self::ChangeToAccess,
        Self::LeaverCompletion,
        Self::Drift,
        Self::Orphans,
        Self::Tasks,
        Self::Exceptions,
        Self::DrillScore,
        Self::WorkAndDrift,
    ];

    /// The word in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ChangeToAccess => "change_to_access",
            Self::LeaverCompletion => "leaver_completion",
            Self::Drift => "drift",
            Self::Orphans => "orphans",
            Self::Tasks => "tasks",
            Self::Exceptions => "exceptions",
            Self::DrillScore => "drill_score",
            Self::WorkAndDrift => "work_and_drift",
        }
    }

    /// By what it can be told apart.
    pub const fn dimensions(self) -> &'static [Dimension] {
        match self {
            Self::ChangeToAccess => &Dimension::ALL,
            Self::LeaverCompletion => &[Dimension::Source, Dimension::Department],
            Self::Drift | Self::Orphans | Self::Tasks | Self::Exceptions | Self::DrillScore | Self::WorkAndDrift => {
                &[Dimension::App, Dimension::Owner]
            }
        }
    }

    /// Of what it is made, by the change that is asked for; empty: that is not measured.
    pub fn series(self, change: Option<ChangeKind>) -> Vec<Series> {
        match (self, change) {
            (Self::ChangeToAccess, Some(change)) => vec![Series::Access(change)],
            (Self::ChangeToAccess, None) => ChangeKind::ALL.into_iter().map(Series::Access).collect(),
            (_, Some(_)) => Vec::new(),
            (Self::LeaverCompletion, None) => vec![Series::Leavers],
            (Self::Drift, None) => vec![Series::Drift],
            (Self::Orphans, None) => vec![Series::Orphans],
            (Self::Tasks, None) => vec![Series::Tasks],
            (Self::Exceptions, None) => vec![Series::Exceptions],
            (Self::DrillScore, None) => vec![Series::Drills],
            (Self::WorkAndDrift, None) => vec![Series::Tasks, Series::Drift],
        }
    }
}

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Series {
    Access(ChangeKind),
    Leavers,
    Drift,
    Orphans,
    Tasks,
    Exceptions,
    Drills,
}

impl Series {
    /// The name in keys.
    pub fn key(self) -> String {
        match self {
            Self::Access(change) => format!("access-{}", change.name()),
            Self::Leavers => "leavers".into(),
            Self::Drift => "drift".into(),
            Self::Orphans => "orphans".into(),
            Self::Tasks => "tasks".into(),
            Self::Exceptions => "exceptions".into(),
            Self::Drills => "drills".into(),
        }
    }
}

/// By what figures are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// By app.
    App,
    /// By who answered for the app then.
    Owner,
    /// By the source of the change.
    Source,
    /// By the department of whom it was about, as it was then.
    Department,
}

impl Dimension {
    /// Each.
    pub const ALL: [Self; 4] = [Self::App, Self::Owner, Self::Source, Self::Department];

    /// The word in keys and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Owner => "owner",
            Self::Source => "source",
            Self::Department => "department",
        }
    }
}
