//! Connected apps: who should have an account, and how soon.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::identity::IdentityKind;
use crate::ids::{AppId, Sequence};
use crate::lifecycle::ChangeKind;

/// What happens to the account of someone who should have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Deprovision {
    /// It is set inactive; absent also satisfies.
    Deactivate,
    /// It is deleted; inactive does not satisfy.
    Delete,
}

/// How soon a change must be verified, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct ServiceLevel {
    pub joiner: Duration,
    pub mover: Duration,
    pub leaver: Duration,
}

impl ServiceLevel {
    /// The time allowed for a change of this kind.
    #[must_use]
    pub const fn allowed(&self, kind: ChangeKind) -> Duration {
        match kind {
            ChangeKind::Joiner => self.joiner,
            ChangeKind::Mover => self.mover,
            ChangeKind::Leaver => self.leaver,
        }
    }
}

/// An app as it was configured, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppSpec {
    /// Which.
    pub id: AppId,
    /// Its name for people.
    pub name: String,
    /// Where its SCIM service is.
    pub base_url: String,
    /// Who answers for it.
    pub owner: String,
    /// Who has an account here: a SCIM filter over active identities.
    pub assign: String,
    /// Which kinds of identity may have one.
    pub identities: Vec<IdentityKind>,
    /// What happens to leavers.
    pub deprovision: Deprovision,
    /// How soon changes must arrive.
    pub sla: ServiceLevel,
    /// How often the whole app is compared.
    pub reconcile_every: Duration,
    /// The most requests in a second.
    pub max_requests_per_second: u32,
    /// The most requests at once.
    pub max_in_flight: u32,
}

/// The state of an app in a projection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct App {
    /// As last configured.
    pub spec: AppSpec,
    /// Whether it is in the configuration.
    pub connection: Connection,
    /// The event that changed it last.
    pub version: Sequence,
}

/// Whether an app is still in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Connection {
    /// It is.
    Configured,
    /// It is not; its accounts and obligations stay.
    Removed,
}

/// The events that bring the log in line with the configuration; none when nothing differs.
#[must_use]
pub fn configure(known: &[App], configured: &[AppSpec]) -> Vec<Event> {
    let known: BTreeMap<&AppId, &App> = known.iter().map(|app| (&app.spec.id, app)).collect();
    let same = |spec: &AppSpec| {
        known.get(&spec.id).is_some_and(|app| app.spec == *spec && app.connection == Connection::Configured)
    };
    let changed = configured.iter().filter(|spec| !same(spec)).cloned().map(Event::AppConfigured);
    let gone = known
        .values()
        .filter(|app| app.connection == Connection::Configured)
        .filter(|app| !configured.iter().any(|spec| spec.id == app.spec.id))
        .map(|app| Event::AppRemoved(app.spec.id.clone()));
    changed.chain(gone).collect()
}
