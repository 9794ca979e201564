//! Saying what a read-back has proved.

use std::time::Duration;

use jiff::Timestamp;
use rollcall_domain::Event;
use rollcall_domain::access::account::Account;
use rollcall_domain::access::desired::Target;
use rollcall_domain::access::outcome::{Adopted, Left, Rejected, Verified};
use rollcall_domain::access::plan::{is_gone, judge};
use rollcall_domain::access::remote::Remote;
use rollcall_domain::access::task::StandsOnWord;
use rollcall_domain::app::capability::Capabilities;
use rollcall_domain::app::standard::Standard;
use rollcall_domain::drift::kind::DriftKind;
use rollcall_domain::drift::{DriftDetected, DriftId};
use rollcall_scim::Changed;

use crate::app_client::client::Failure;
use crate::search::sampled::is_no_id;
use crate::work::connector::Connector;
use crate::work::error::WorkError;
use crate::work::outcome::{Attempt, CONTESTED_PAUSE};

/// How long an app that needs time may still need it.
pub fn may_still_show(account: &Account, can: &Capabilities, now: Timestamp) -> Option<Duration> {
    let delay = can.consistency_delay?;
    let since = now.duration_since(account.confirmed_at()?);
    let since = Duration::try_from(since).unwrap_or_default();
    delay.checked_sub(since).filter(|left| !left.is_zero()).map(|left| left.min(Duration::from_secs(1)))
}

/// What a look at an account has proved; what it shows otherwise gives nobody access.
pub fn verified(account: &Account, remote: Option<&Remote>, left: Left, differences: Vec<Changed>) -> Event {
    Event::AccountVerified(Verified {
        left,
        differences,
        app: account.app.clone(),
        identity: account.identity,
        version: account.desired_version,
        remote_id: remote.map(|r| r.id.clone()),
        target: account.desired.target(),
        observed: remote.map(|r| r.managed(&account.desired)).unwrap_or_default(),
    })
}

impl Connector {
    /// Says what was reached when not all of it was: of an account with which nobody can sign in any more that it is gone, and
    /// what is left of it apart. While what was read proves nothing, for `wait`, nothing is said to be reached.
    pub async fn unfinished(
        &self,
        account: &Account,
        remote: Option<&Remote>,
        standard: &Standard,
        failure: Option<Failure>,
        wait: Option<Duration>,
    ) -> Result<Attempt, WorkError> {
        let found = match judge(&account.desired, remote, standard) {
            Ok(differences) if account.desired.target() == Target::Present => {
                if let Some(wait) = wait {
                    return Ok(Attempt::Wait(wait));
                }
                return self.verified_but(account, remote, differences, failure).await;
            }
            judged => judged.err(),
        };
        if account.desired.target() == Target::Absent && is_gone(remote, standard) && Self::owes_access(account) {
            if let Some(wait) = wait {
                return Ok(Attempt::Wait(wait));
            }
            if self.has_become_somebodys(account, remote).await? {
                self.release(account).await?;
                return Ok(Attempt::Verified);
            }
            let (kind, differences) = found.unwrap_or((DriftKind::Residue, Vec::new()));
            let id = DriftId { app: account.app.clone(), identity: account.identity, kind };
            let drift = DriftDetected::new(id, account.desired_version, differences, remote);
            // Together: between the two nothing would be known to be left.
            let events = [verified(account, remote, Left::Something, Vec::new()), Event::DriftDetected(drift)];
            self.append_all(account, events).await?;
            return Ok(Attempt::Verified);
        }
        match (failure, found) {
            (Some(failure), _) => Err(failure.into()),
            (None, Some((kind, differences))) => Ok(Attempt::Drift(kind, differences, remote.cloned())),
            (None, None) => Ok(Attempt::Wait(CONTESTED_PAUSE)),
        }
    }

    /// Says that an account is as desired in all that gives access, and what else it shows otherwise; and what the app said
    /// when it was asked to change that.
    pub async fn verified_but(
        &self,
        account: &Account,
        remote: Option<&Remote>,
        differences: Vec<Changed>,
        failure: Option<Failure>,
    ) -> Result<Attempt, WorkError> {
        let said = failure.map(|failure| {
            Event::AccountRejected(Rejected {
                app: account.app.clone(),
                identity: account.identity,
                version: account.desired_version,
                rejection: failure.rejection,
                parked_at: None,
            })
        });
        let verified = verified(account, remote, Left::Nothing, differences);
        self.append_all(account, said.into_iter().chain([verified])).await?;
        Ok(Attempt::Verified)
    }

    pub async fn verify(&self, account: &Account, remote: Option<&Remote>) -> Result<(), WorkError> {
        match self.has_become_somebodys(account, remote).await? {
            true => self.release(account).await,
            false => self.say_verified(account, remote, Left::Nothing).await,
        }
    }

    /// Whether an account that stood for itself is somebody's by now: it is found as nobody's no more, and it lives.
    async fn has_become_somebodys(&self, account: &Account, remote: Option<&Remote>) -> Result<bool, WorkError> {
        if remote.is_some() || !self.stands_for_itself(account)? {
            return Ok(false);
        }
        match self.live(account.remote_id.as_deref().unwrap_or_default()).await {
            // Some apps call an id that they do not have no id of theirs. All accounts were looked through because of that.
            Err(WorkError::App(failure)) if is_no_id(&failure) => Ok(false),
            found => Ok(found?.is_some()),
        }
    }

    pub async fn say_verified(&self, account: &Account, remote: Option<&Remote>, left: Left) -> Result<(), WorkError> {
        self.append(account, verified(account, remote, left, Vec::new())).await?;
        Ok(())
    }

    /// Says that what was read contradicts nothing that somebody says of an account that is to be gone.
    pub async fn stands_on_word(&self, account: &Account) -> Result<Attempt, WorkError> {
        let (app, identity, version) = (account.app.clone(), account.identity, account.desired_version);
        let said = Event::AccountAttested(StandsOnWord { app, identity, version });
        self.append(account, said).await?;
        Ok(Attempt::Verified)
    }

    /// A second account is the one that its owner has from now on: the others of theirs are told apart from that one.
    pub async fn become_the_first(&self, account: &Account) -> Result<(), WorkError> {
        let mut events = Vec::new();
        if let (Some(identity), Some(remote_id)) = (self.second_of(account)?, account.remote_id.clone()) {
            events.push(Event::AccountAdopted(Adopted { app: account.app.clone(), identity, remote_id }));
        }
        events.push(released(account));
        self.append_all(account, events).await?;
        Ok(())
    }

    /// Nothing has to be done any more with an account that stood for itself: with that one, and none of the others that its owner has.
    pub async fn release(&self, account: &Account) -> Result<(), WorkError> {
        if self.stands_for_itself(account)? {
            self.append(account, released(account)).await?;
        }
        Ok(())
    }
}

/// Nothing is owed any more for an account that stood for itself.
fn released(account: &Account) -> Event {
    let (app, identity) = (account.app.clone(), account.identity);
    Event::DriftCleared(DriftId { app, identity, kind: DriftKind::Orphan })
}
