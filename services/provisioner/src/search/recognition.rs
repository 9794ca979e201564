//! Whether an account that is found under an id that we know is the one that we know: in another tenant the id is somebody else's.

use std::collections::BTreeSet;

use rollcall_domain::access::account::{Account, findable};
use rollcall_domain::access::desired::Desired;
use rollcall_domain::access::remote::Remote;
use rollcall_domain::app::mapping::to_resource;
use rollcall_domain::directory;
use rollcall_domain::kv::{KvError, Read};
use serde_json::{Map, Value};

use crate::search::look::{Search, read_by_id};
use crate::search::wanted::same;
use crate::work::error::WorkError;

/// What is found under the ids of some accounts.
#[derive(Debug, Default)]
pub struct Sampled {
    /// They are the ones that we know.
    pub known: Vec<Remote>,
    /// There is something, and nothing says that it is theirs: renamed by hand, or somebody else's in another tenant.
    others: Vec<Remote>,
    missing: usize,
}

impl Sampled {
    /// Reads one more by its id.
    pub async fn add(&mut self, app: &Search<'_>, state: &impl Read, account: &Account) -> Result<(), WorkError> {
        let found = match &account.remote_id {
            Some(id) => read_by_id(app.client, id).await?,
            None => None,
        };
        match found {
            Some(found) if is_recognized(state, account, &found)? => self.known.push(found),
            Some(found) => self.others.push(found),
            None => self.missing += 1,
        }
        Ok(())
    }

    /// Those that are there. Several of which none is known are in another tenant, where ids are counted as here; one alone may have been
    /// renamed.
    pub fn there(self) -> Vec<Remote> {
        let is_elsewhere = self.known.is_empty() && (self.others.len() > 1 || self.missing > 0);
        if is_elsewhere { Vec::new() } else { self.known.into_iter().chain(self.others).collect() }
    }
}

/// Whether an account is the one that we know by its id: it says whose it is, or has a name, an address or something else that is theirs
/// alone, as it was to have it or was shown with it.
pub fn is_recognized(state: &impl Read, account: &Account, remote: &Remote) -> Result<bool, KvError> {
    if remote.text("externalId") == account.identity.to_string() {
        return Ok(true);
    }
    let shown = telling(&remote.resource);
    let mut known: BTreeSet<String> = account.former_names.clone();
    known.extend(account.observed.as_ref().map(|observed| telling(&to_resource(observed))).unwrap_or_default());
    if let Desired::Present(presence) = &account.desired {
        known.extend(telling(&to_resource(&presence.attributes)));
    }
    if let Some(identity) = directory::identity(state, account.identity)? {
        known.extend(telling(&identity.resource));
    }
    Ok(known.iter().any(|known| shown.iter().any(|shown| same(known, shown))))
}

/// What tells one person from others: names and addresses, and what is counted.
fn telling(resource: &Map<String, Value>) -> BTreeSet<String> {
    let mut all = findable(resource);
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    all.extend(TELLING.into_iter().filter_map(|name| text(resource.get(name))));
    if let Some(name) = resource.get("name") {
        let part = |part: &str| text(name.get(part)).unwrap_or_default();
        all.insert(format!("{} {}", part("givenName"), part("familyName")));
    }
    all.retain(|value| !value.trim().is_empty());
    all
}

/// The single attributes that tell somebody from others (RFC 7643, 4.1.1 and 4.3).
const TELLING: [&str; 3] = ["displayName", "profileUrl", "employeeNumber"];
