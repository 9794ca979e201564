//! Whether an account that is found under an id that we know is the one that we know: in another tenant the id is somebody else's.

use std::collections::BTreeSet;

use rollcall_domain::access::account::{Account, findable};
use rollcall_domain::access::desired::Desired;
use rollcall_domain::access::remote::Remote;
use rollcall_domain::app::mapping::to_resource;
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::{directory, ledger};
use serde_json::{Map, Value};

use crate::search::wanted::same;

/// Whether an account is the one that we know by its id: it says whose it is, or has a name or an address of theirs, or several other things
/// that are theirs, as it was to have them or was shown with them; or people have said that the app's ids are those that we know.
pub fn is_recognized(state: &impl Read, account: &Account, remote: &Remote) -> Result<bool, KvError> {
    // Until it was read again: from then on it is known by what it shows.
    let is_said = ledger::identified(state, &account.app)?
        .is_some_and(|told| account.verified_version.is_none_or(|version| version < told));
    if is_said || remote.text("externalId") == account.identity.to_string() {
        return Ok(true);
    }
    let observed = account.observed.as_ref().map(to_resource);
    let desired = match &account.desired {
        Desired::Present(presence) => Some(to_resource(&presence.attributes)),
        Desired::Absent | Desired::Deleted | Desired::Off => None,
    };
    let identity = directory::identity(state, account.identity)?.map(|identity| identity.resource);
    let all: Vec<Map<String, Value>> = [observed, desired, identity].into_iter().flatten().collect();
    let is_shared = |known: &BTreeSet<String>, shown: &BTreeSet<String>| {
        known.iter().filter(|known| shown.iter().any(|shown| same(known, shown))).count()
    };
    let shown = findable(&remote.resource);
    let is_found = is_shared(&account.former_names, &shown) > 0
        || all.iter().any(|resource| is_shared(&findable(resource), &shown) > 0);
    let shown = telling(&remote.resource);
    Ok(is_found || all.iter().any(|resource| is_shared(&telling(resource), &shown) >= COINCIDING))
}

/// As many of these are no coincidence: there is an `Administrator` everywhere.
const COINCIDING: usize = 2;

/// What tells one person from most others, besides names and addresses (RFC 7643, 4.1.1 and 4.3), each with its name.
fn telling(resource: &Map<String, Value>) -> BTreeSet<String> {
    fn text(value: Option<&Value>) -> Option<&str> {
        value.and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty())
    }
    let single = ["displayName", "profileUrl", "employeeNumber", "nickName"];
    let parts = ["givenName", "familyName"];
    let singles = single.into_iter().filter_map(|name| Some((name, text(resource.get(name))?)));
    let name = resource.get("name");
    let parts = parts.into_iter().filter_map(|part| Some((part, text(name?.get(part))?)));
    singles.chain(parts).map(|(name, value)| format!("{name} {value}")).collect()
}
