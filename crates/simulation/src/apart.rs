//! What nobody may hold together: a separation that is configured now and then, and that everybody who violates it is found.

use std::collections::BTreeSet;

use rollcall_domain::access::account::Account;
use rollcall_domain::access::desired::Desired;
use rollcall_domain::access::entitlement::EntitlementId;
use rollcall_domain::access::reevaluation::Pass;
use rollcall_domain::access::separation::{SeparationSpec, Violation, ViolationAccepted};
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::{Event, Recorded, directory, ledger};

use crate::chance::Chance;

/// The one side.
pub const ADMINS: &str = "chat:group:admins";

/// The other side.
pub const CRM: &str = "crm";

/// The separation is configured, or it is not.
pub fn separation(chance: &Chance) -> Event {
    let (Ok(id), Ok(admins), Ok(crm)) = ("apart".parse(), ADMINS.parse(), CRM.parse()) else { return Event::Unknown };
    if chance.percent(30) {
        return Event::SeparationRemoved(id);
    }
    Event::SeparationConfigured(Box::new(SeparationSpec {
        id,
        name: "Apart".into(),
        owner: "it".into(),
        reason: String::new(),
        entitlements: BTreeSet::from([admins]),
        never_with: BTreeSet::from([crm]),
    }))
}

/// Two people leave it so that somebody violates it, whoever that is.
pub fn acceptances(state: &impl Read, until: jiff::Timestamp) -> Result<Vec<Event>, KvError> {
    let accept = |one: &Violation| {
        let (control, reason) = (String::new(), String::new());
        let (separation, identity, held) = (one.separation.clone(), one.identity, one.held.clone());
        Event::ViolationAccepted(ViolationAccepted { separation, identity, held, control, reason, expires_at: until })
    };
    Ok(ledger::violations(state)?.iter().map(accept).collect())
}

/// What is wrong with what is found of whom an event is about, after it: who holds both is found, and nobody who is verified to hold
/// one of it no more.
pub fn wrong(state: &impl Read, event: &Recorded) -> Result<Option<String>, KvError> {
    let Some(id) = event.event.person().filter(|_| !matches!(event.event, Event::SyncRequested(_))) else {
        return Ok(None);
    };
    let accounts = ledger::accounts_of(state, id)?;
    let holds = |text: &str| {
        let Ok(EntitlementId { app, part }) = text.parse() else { return false };
        accounts.iter().any(|account| account.app == app && account.holds.contains_key(&part))
    };
    let is_configured = directory::configured_separations(state)?.iter().any(|one| one.id.as_str() == "apart");
    // What was configured otherwise is not decided for everybody yet.
    if ledger::reevaluations(state)?.iter().any(|running| running.pass == Pass::Separations) {
        return Ok(None);
    }
    let found = ledger::violations_of(state, id)?;
    let is_both = is_configured && holds(ADMINS) && holds(CRM);
    // Of whoever is switched off only that is read.
    let in_doubt = |account: &Account| account.is_pending() || account.desired == Desired::Off;
    Ok(match (is_both, found.first()) {
        (true, None) => Some(format!("{id} holds both, and is not found")),
        (false, Some(found)) if !is_configured => Some(format!("{found:?} is found, and nothing is separated")),
        (false, Some(found)) if !accounts.iter().any(in_doubt) => {
            Some(format!("{found:?} is found, and is verified to be gone"))
        }
        _ => None,
    })
}
