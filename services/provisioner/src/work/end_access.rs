//! Ending access before anything else is done for someone who leaves.

use std::collections::BTreeSet;

use rollcall_domain::access::account::Account;
use rollcall_domain::access::desired::{Desired, Target};
use rollcall_domain::access::plan::Step;
use rollcall_domain::access::rejection::RejectionCause;
use rollcall_domain::app::capability::{Capabilities, Support};
use rollcall_domain::app::deprovision::Deprovision;

use crate::app_client::client::Failure;
use crate::search::locate::Located;
use crate::search::wanted::Wanted;
use crate::work::carry_out::Sent;
use crate::work::connector::Connector;
use crate::work::error::WorkError;

/// Whether someone who must have no account can still sign in with it, as far as this attempt has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It is switched off before anything else.
    Stands,
    /// The app has confirmed that it is switched off.
    Ended,
    /// It can't be switched off, or that is all there is to do.
    EndsWithTheAccount,
    /// They must have one.
    Wanted,
}

impl Access {
    pub fn of(account: &Account, can: &Capabilities, managed: &BTreeSet<String>) -> Self {
        match account.desired.target() {
            Target::Present => Self::Wanted,
            // Whether the app can is seen before anything else is planned.
            Target::Absent if account.desired == Desired::Off && can.deactivate != Support::No => Self::Stands,
            Target::Absent if managed.is_empty() || can.deactivate == Support::No => Self::EndsWithTheAccount,
            Target::Absent => Self::Stands,
        }
    }
}

/// Whether the app itself has answered, and neither asked to be left alone for a while nor refused our credential.
pub fn is_answer(failure: &Failure) -> bool {
    failure.rejection.status.is_some_and(|status| status != 401) && failure.rejection.cause != RejectionCause::Throttled
}

impl Connector {
    /// Whether it is owed that nobody can sign in with an account, and not only that nothing is left of it.
    pub fn owes_access(account: &Account) -> bool {
        !account.owes_no_access()
    }

    /// Switches an account off, before anything else is done for someone who must have none: what fails later, such as
    /// their groups, must not keep it alive. An app that can't is left to the deletion that follows.
    pub async fn end_access(
        &self,
        account: &Account,
        found: &Located,
        wanted: &mut Wanted,
        can: &Capabilities,
        deprovision: Deprovision,
    ) -> Result<Access, WorkError> {
        match self.carry_out(account, &[Step::Deactivate], Some(found), wanted, can, Sent::Nothing).await {
            Err(WorkError::App(failure)) if deprovision == Deprovision::Delete && is_answer(&failure) => {
                Ok(Access::EndsWithTheAccount)
            }
            Err(trouble) => Err(trouble),
            Ok(_) => Ok(Access::Ended),
        }
    }
}
