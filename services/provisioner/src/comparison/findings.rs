//! What is said of an account that differs, and that nothing differs any more.

use crate::comparison::Pass;
use crate::error::ProvisionerError;
use crate::work::error::WorkError;
use rollcall_domain::access::desired::Target;
use rollcall_domain::access::remote::Remote;
use rollcall_domain::drift::kind::DriftKind;
use rollcall_domain::drift::policy::Policy;
use rollcall_domain::drift::{DriftDetected, DriftId};
use rollcall_domain::ids::IdentityId;
use rollcall_domain::{Event, Sequence, ledger};
use rollcall_scim::Changed;

impl Pass<'_> {
    pub(super) async fn report(
        &mut self,
        identity: IdentityId,
        kind: DriftKind,
        (version, target): (Sequence, Target),
        differences: Vec<Changed>,
        remote: Option<&Remote>,
    ) -> Result<(), WorkError> {
        let id = DriftId { app: self.connector.app.clone(), identity, kind };
        self.progress.findings += 1;
        self.found.insert(id.clone());
        let drift = DriftDetected::new(id, version, differences, remote);
        if ledger::is_refused(&self.view, &drift, (self.connector.clock)())? {
            return Ok(());
        }
        // What is repaired, and has come back, is said again: it opens the next repair.
        let repairs = self.link.config.spec.drift.of(kind, target) == Policy::Repair;
        if repairs || !self.connector.is_known(&drift)? {
            self.connector.say(Event::DriftDetected(drift)).await?;
        }
        Ok(())
    }

    pub(super) async fn clear(&self, id: DriftId) -> Result<(), ProvisionerError> {
        self.connector.say(Event::DriftCleared(id)).await.map(drop)
    }

    /// An account is in line: what was open about it is not any more.
    pub(super) async fn clear_all(&mut self, identity: IdentityId) -> Result<(), WorkError> {
        for item in self.open.remove(&identity).unwrap_or_default() {
            // What a later list has shown is not taken back by an earlier one.
            if self.list.as_ref().is_some_and(|list| list.taken_at <= item.detected_at) {
                continue;
            }
            // It may be in a group that can't be read.
            if !self.unread.is_empty() && matches!(item.id.kind, DriftKind::Membership | DriftKind::Residue) {
                self.found.insert(item.id);
                continue;
            }
            if item.id.kind != DriftKind::Duplicate {
                self.clear(item.id).await?;
            } else {
                self.open.entry(identity).or_default().push(item);
            }
        }
        Ok(())
    }
}
