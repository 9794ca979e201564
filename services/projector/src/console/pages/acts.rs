//! What a person can do in the console, in words.

use rollcall_config::Role;

use crate::error::ApiError;

/// Who is meant where nobody is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    Oneself,
    /// Nobody: somebody has to be named.
    Somebody,
}

/// What can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Waive,
    Accept,
    Release,
    Reject,
    Reconcile,
    Drill,
    SyncApp,
    Gone,
    Sync,
    Approve,
    Deny,
    Disable,
    Enable,
    ApproveGrant,
    DenyGrant,
    WithdrawGrant,
    EndGrant,
    AcceptViolation,
    AcceptHandover,
    PassHandover,
    RetireHandover,
    ReportCredential,
    DoneTask,
    UndoneTask,
}

impl Act {
    const ALL: [(Self, &'static str); 24] = [
        (Self::Waive, "waive"),
        (Self::Accept, "accept"),
        (Self::Release, "release"),
        (Self::Reject, "reject"),
        (Self::Reconcile, "reconcile"),
        (Self::Drill, "drill"),
        (Self::SyncApp, "sync-app"),
        (Self::Gone, "gone"),
        (Self::Sync, "sync"),
        (Self::Approve, "approve"),
        (Self::Deny, "deny"),
        (Self::Disable, "disable"),
        (Self::Enable, "enable"),
        (Self::ApproveGrant, "approve-grant"),
        (Self::DenyGrant, "deny-grant"),
        (Self::WithdrawGrant, "withdraw-grant"),
        (Self::EndGrant, "end-grant"),
        (Self::AcceptViolation, "accept-violation"),
        (Self::AcceptHandover, "accept-handover"),
        (Self::PassHandover, "pass-handover"),
        (Self::RetireHandover, "retire-handover"),
        (Self::ReportCredential, "report-credential"),
        (Self::DoneTask, "done-task"),
        (Self::UndoneTask, "undone-task"),
    ];

    /// The one with this name.
    ///
    /// # Errors
    /// 400 when there is none.
    pub fn read(name: &str) -> Result<Self, ApiError> {
        let found = Self::ALL.into_iter().find(|(_, of)| *of == name);
        found
            .map(|(act, _)| act)
            .ok_or_else(|| ApiError::BadRequest(format!("'do' is '{name}': nothing is called that")))
    }

    /// Its name in addresses.
    pub fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(act, _)| *act == self).map_or("", |(_, name)| name)
    }

    /// What the page is called, what it does, and the words on the button with its look.
    pub const fn words(self) -> (&'static str, &'static str, (&'static str, &'static str)) {
        match self {
            Self::Waive => (
                "Leave obligations unmet for a while",
                "They are not overdue, wake nobody, and the account of a leaver is left as it is until the time is over. They stay owed. Your name and your reason are on the log for ever.",
                ("Waive", "danger"),
            ),
            Self::Accept => (
                "Leave drift as it is for a while",
                "It is not repaired and not counted until the time is over. Your name and your reason are on the log for ever.",
                ("Accept", "danger"),
            ),
            Self::Release => (
                "Let removals go on",
                "All of the removals that are counted here go on in their apps, now. What comes later by the same cause is decided about apart.",
                ("Release the removals", "danger"),
            ),
            Self::Reject => (
                "Call removals a mistake",
                "What they owe is left unmet until the time is over; the source has to say again who is there. Nothing is removed meanwhile.",
                ("Reject the removals", "danger"),
            ),
            Self::Reconcile => (
                "Compare apps now",
                "Every account that the app shows is read and compared with what is desired. Drift is found, and repaired where the policy says so.",
                ("Compare now", "primary"),
            ),
            Self::Drill => (
                "Drill apps now",
                "An account of Rollcall's own is made in the app, changed, put into a group, renamed, switched off and on, and deleted; each time the app is read. Nothing else is touched there, and the account is removed at the end.",
                ("Drill now", "primary"),
            ),
            Self::SyncApp => (
                "Look at every account of an app again",
                "Each account is read, and brought in line where it differs. What was parked is tried again.",
                ("Look again", "primary"),
            ),
            Self::Gone => (
                "Say that the accounts that are missing are gone",
                "The app is believed again as it shows itself now: whoever left and is not found there is called gone, and whoever must have an account gets a new one. If its token or its address is that of another tenant, all of that is wrong. Your name and your reason are on the log for ever.",
                ("They are gone", "danger"),
            ),
            Self::Sync => (
                "Look at the accounts of somebody again",
                "Each of their accounts is read, and brought in line where it differs. What was parked is tried again.",
                ("Look again", "primary"),
            ),
            Self::Approve => (
                "Approve what another person has asked for",
                "It is done now, as it was asked for. It is the decision of both of you.",
                ("Approve", "danger"),
            ),
            Self::Deny => {
                ("Deny what was asked for", "It is not done. Whoever wants it has to ask again.", ("Deny", "primary"))
            }
            Self::Disable => (
                "Switch somebody off, now",
                "Their accounts are set inactive in every app at once, before anything that is held, waived or waits there, and in apps that are left alone, too. Everything else of the accounts stays. Nothing that their source says switches them on again: a person does.",
                ("Switch off", "danger"),
            ),
            Self::Enable => (
                "Switch somebody on again",
                "What their source says, and their roles and grants, count again: they get back what these give them now.",
                ("Switch on", "danger"),
            ),
            Self::ApproveGrant => (
                "Approve access that somebody has asked for",
                "Once enough people have approved it they get it in the app, and it ends by itself. Your name is on the log for ever.",
                ("Approve", "danger"),
            ),
            Self::DenyGrant => (
                "Deny access that somebody has asked for",
                "They do not get it, and may ask again.",
                ("Deny", "primary"),
            ),
            Self::WithdrawGrant => {
                ("Take back a request for access", "Nobody can approve it any more.", ("Take back", "primary"))
            }
            Self::EndGrant => (
                "End granted access now",
                "It is taken away in the app, and that is verified. What they hold by a rule or a role stays.",
                ("End it", "danger"),
            ),
            Self::AcceptViolation => (
                "Accept for a while that somebody holds both",
                "A second person has to approve it. Until the time is over it is counted as accepted; nothing is taken away. Both names, the reason and what is done instead are on the log for ever.",
                ("Ask for approval", "danger"),
            ),
            Self::AcceptHandover => (
                "Take machines over",
                "Whoever takes them answers for them from now on: their source goes on saying what it says, until it names somebody else. An operator may say who; without a name it is you.",
                ("Take over", "primary"),
            ),
            Self::PassHandover => (
                "Ask somebody to take machines over",
                "They are proposed first, and may take them. Until somebody does they stay owed.",
                ("Ask", "primary"),
            ),
            Self::RetireHandover => (
                "End machines",
                "They are switched off in every app, now, and whatever runs with them stops. The hand-over is done once each app was read back without a live account. Nothing that their source says switches them on again: a person does.",
                ("End them", "danger"),
            ),
            Self::ReportCredential => (
                "Report that others may know the secrets of credentials",
                "They are to be revoked within the shortest time, and somebody is told when they are not. Rollcall revokes nothing itself: who runs the vault, the cloud account or the code host does. It is done once a list lacks them, or shows them with another secret.",
                ("Report them", "danger"),
            ),
            Self::DoneTask => (
                "Say that tasks are done",
                "What is owed there ends with your word: your name is on the log for ever, and it is shown as said by you, not as verified. Say it only of what you have done, or seen.",
                ("It is done", "primary"),
            ),
            Self::UndoneTask => (
                "Take back what was said of tasks",
                "They are not done: what had ended by that word is owed anew, from now on, and is to be done again. Your name and your reason are on the log for ever, beside the word.",
                ("Take it back", "danger"),
            ),
        }
    }

    /// Whether it is asked why.
    pub const fn asks_reason(self) -> bool {
        matches!(
            self,
            Self::Waive
                | Self::Accept
                | Self::Release
                | Self::Reject
                | Self::Gone
                | Self::Disable
                | Self::Enable
                | Self::DenyGrant
                | Self::WithdrawGrant
                | Self::EndGrant
                | Self::AcceptViolation
                | Self::AcceptHandover
                | Self::PassHandover
                | Self::RetireHandover
                | Self::ReportCredential
                | Self::UndoneTask
        )
    }

    /// Whether it is asked where it can be looked up.
    pub const fn asks_reference(self) -> bool {
        matches!(self, Self::DoneTask)
    }

    /// Whether it is asked for how long.
    pub const fn asks_time(self) -> bool {
        matches!(self, Self::Waive | Self::Accept | Self::Reject | Self::AcceptViolation)
    }

    /// Whether it is asked what is done instead.
    pub const fn asks_control(self) -> bool {
        matches!(self, Self::AcceptViolation)
    }

    /// Whether it is asked who, and whether it has to be said.
    pub const fn asks_whom(self) -> Option<Whom> {
        match self {
            Self::AcceptHandover => Some(Whom::Oneself),
            Self::PassHandover => Some(Whom::Somebody),
            _ => None,
        }
    }

    /// The call of the API, and of the command line where there is one.
    pub fn call(self, id: &str) -> String {
        match self {
            Self::Waive => format!("POST /v1/obligations/{id}/waive"),
            Self::Accept => format!("POST /v1/drift/{id}/accept"),
            Self::Release => format!("POST /v1/holds/{id}/release"),
            Self::Reject => format!("POST /v1/holds/{id}/reject"),
            Self::Reconcile => format!("POST /v1/apps/{id}/reconcile"),
            Self::Drill => format!("rollcall drill {id}, or POST /v1/apps/{id}/drill"),
            Self::SyncApp => format!("rollcall sync {id}, or POST /v1/sync {{\"app\": \"{id}\"}}"),
            Self::Gone => format!("rollcall gone {id} --reason …, or POST /v1/apps/{id}/gone"),
            Self::Sync => format!("rollcall sync {id}, or POST /v1/sync {{\"identity\": \"{id}\"}}"),
            Self::Approve => format!("POST /v1/approvals/{id}/approve"),
            Self::Deny => format!("POST /v1/approvals/{id}/deny"),
            Self::Disable => format!("rollcall disable {id} --reason …, or POST /v1/identities/{id}/disable"),
            Self::Enable => format!("rollcall enable {id} --reason …, or POST /v1/identities/{id}/enable"),
            Self::ApproveGrant => format!("rollcall grant approve {id}, or POST /v1/grants/{id}/approve"),
            Self::DenyGrant => format!("rollcall grant deny {id} --reason …, or POST /v1/grants/{id}/deny"),
            Self::WithdrawGrant => format!("rollcall grant withdraw {id} --reason …, or POST /v1/grants/{id}/withdraw"),
            Self::EndGrant => format!("rollcall grant end {id} --reason …, or POST /v1/grants/{id}/end"),
            Self::ReportCredential => {
                format!("rollcall credentials compromised {id} --reason …, or POST /v1/credentials/{id}/compromised")
            }
            Self::DoneTask => format!("rollcall tasks done {id} --reference …, or POST /v1/tasks/{id}/done"),
            Self::UndoneTask => format!("rollcall tasks undone {id} --reason …, or POST /v1/tasks/{id}/undone"),
            Self::AcceptHandover => {
                format!("rollcall handovers accept {id} --reason …, or POST /v1/handovers/{id}/accept")
            }
            Self::PassHandover => {
                format!("rollcall handovers pass {id} --to … --reason …, or POST /v1/handovers/{id}/pass")
            }
            Self::RetireHandover => {
                format!("rollcall handovers retire {id} --reason …, or POST /v1/handovers/{id}/retire")
            }
            Self::AcceptViolation => {
                format!(
                    "rollcall violations accept {id} --control … --for … --reason …, or POST /v1/violations/{id}/accept"
                )
            }
        }
    }

    /// The least role that may do it: about grants, hand-overs and tasks, what somebody is to whom it is about decides besides.
    pub const fn least(self) -> Role {
        match self {
            Self::ApproveGrant | Self::DenyGrant | Self::WithdrawGrant | Self::EndGrant => Role::Viewer,
            Self::AcceptHandover | Self::PassHandover | Self::RetireHandover => Role::Viewer,
            Self::DoneTask | Self::UndoneTask => Role::Viewer,
            _ => Role::Operator,
        }
    }
}
