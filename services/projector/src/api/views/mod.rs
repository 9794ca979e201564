//! State as the API answers it. What is personal is left out for whoever may not see it.

mod access;
mod app;
mod credential;
mod drift;
mod drill;
mod grant;
mod identity;
mod machine;
mod obligation;
mod preview;
mod separation;
mod task;

use rollcall_scim::Changed;

pub use access::{
    AccessView, DisabledView, EntitlementView, ExplanationView, HeldView, HolderView, PolicyView, RoleView,
    policy_in_words, reason_in_words, separation_in_words,
};
pub use app::{AppView, FailureView, HoldView};
pub use credential::{CredentialView, InventoryView};
pub use drift::{ChangedView, DriftView};
pub use drill::{DRILL_STATES, DrillResultView, DrillsView, LastDrillView};
pub use grant::GrantView;
pub use identity::{IdentitySummary, IdentityView};
pub use machine::{HandoverView, MachineView};
pub use obligation::{ExceptionView, LeaverView, ObligationView};
pub use preview::PreviewView;
pub use separation::{HeldTogetherView, SeparationView, ViolationView};
pub use task::{TaskStatus, TaskView};

/// How much of a person is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Everything.
    Full,
    /// No names, no attributes.
    Impersonal,
}

impl Detail {
    pub(super) fn show<T>(self, personal: T) -> Option<T> {
        (self == Self::Full).then_some(personal)
    }

    /// Differences, with their values or with their paths alone.
    pub fn changes(self, changes: &[Changed]) -> Vec<Changed> {
        let shown = |c: &Changed| match self {
            Self::Full => c.clone(),
            Self::Impersonal => Changed { path: c.path.clone(), before: None, after: None },
        };
        changes.iter().map(shown).collect()
    }
}
