//! Which obligations a change opens.

use crate::access::account::Account;
use crate::access::desired::{Desired, Target};
use crate::access::obligation::{Change, Obligation};
use crate::access::subject::Subject;
use crate::app::service_level::ServiceLevel;
use crate::identity::lifecycle::ChangeKind;
use crate::ids::{AppId, IdentityId};

/// The obligation that a change opens for one account; `None` when nothing is owed.
///
/// A leaver is owed by every app that ever had the account, desired there or not: what was gone once may have been
/// changed by hand, and an older removal may not be verified yet. So is whoever is switched off.
#[must_use]
pub fn derive(
    change: Change,
    app: &AppId,
    identity: IdentityId,
    sla: &ServiceLevel,
    account: Option<&Account>,
    desired: &Desired,
) -> Option<Obligation> {
    let owed = match account {
        None => desired.target() == Target::Present,
        Some(_)
            if matches!(
                change.kind,
                ChangeKind::Leaver | ChangeKind::Repair | ChangeKind::Residue | ChangeKind::Disable
            ) =>
        {
            true
        }
        Some(account) => account.desired != *desired,
    };
    owed.then(|| Obligation::new(change, Subject::Account { app: app.clone(), identity }, sla, desired.target()))
}
