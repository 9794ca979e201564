//! Who may hold what, worked out once more and in another way than the decision does: nobody is verified to hold what no reason
//! gives them, and whoever is switched off holds nothing.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use rollcall_domain::access::desired::Target;
use rollcall_domain::access::entitlement::Grantable;
use rollcall_domain::access::grant::{GrantChanged, GrantEnd, GrantStep};
use rollcall_domain::access::outcome::Verified;
use rollcall_domain::identity::switch::{Switch, Switched};
use rollcall_domain::{Event, GrantId, IdentityId, Recorded};
use serde_json::Value;

use crate::apart::{ADMINS, CRM};

/// The role whose rule follows the title, and gives a group of the chat.
pub const BY_TITLE: &str = "sellers";

/// The role that is only granted, and gives an account in the CRM.
pub const BY_GRANT: &str = "night";

/// How long after its end a grant may go on: the monitor may be dead meanwhile, and its clock wrong.
pub const SLACK: SignedDuration = SignedDuration::from_mins(10);

#[derive(Debug, Default)]
struct Person {
    active: bool,
    title: String,
}

#[derive(Debug)]
struct Granted {
    to: IdentityId,
    what: String,
    is_on: bool,
    until: Option<Timestamp>,
    lasts: rollcall_domain::access::grant::Lasts,
    extends: Option<GrantId>,
    expires_at: Timestamp,
    approvals: u32,
    approved_by: BTreeSet<String>,
}

/// What gives access.
#[derive(Debug, Default)]
pub struct Reasons {
    people: BTreeMap<IdentityId, Person>,
    operators: BTreeSet<IdentityId>,
    off: BTreeSet<IdentityId>,
    /// The title that the role goes by, while it is configured.
    sellers: Option<String>,
    has_night: bool,
    /// The title whose bearers hold no CRM, by a policy.
    kept_out: Option<String>,
    grants: BTreeMap<GrantId, Granted>,
    /// Whether the one separation is configured.
    apart: bool,
}

impl Reasons {
    /// Learns what an event says.
    pub fn learn(&mut self, event: &Recorded) {
        match &event.event {
            Event::Identity(changed) => {
                let title = changed.resource.get("title").and_then(Value::as_str).unwrap_or_default().to_owned();
                let active = changed.after.has_access() && !changed.deleted;
                self.people.insert(changed.id, Person { active, title });
                if !active {
                    self.grants.retain(|_, grant| grant.to != changed.id);
                }
                if changed.deleted {
                    self.operators.remove(&changed.id);
                }
            }
            Event::IdentityErased(erased) => {
                self.people.remove(&erased.id);
                self.off.remove(&erased.id);
                self.grants.retain(|_, grant| grant.to != erased.id);
            }
            Event::Group(changed) => {
                self.operators.retain(|id| !changed.removed.iter().any(|member| member.identity() == Some(*id)));
                self.operators.extend(changed.added.iter().filter_map(|member| member.identity()));
            }
            Event::IdentitySwitched(Switched { id, to: Switch::Off, .. }) if self.people.contains_key(id) => {
                self.off.insert(*id);
            }
            Event::IdentitySwitched(Switched { id, to: Switch::On, .. }) => drop(self.off.remove(id)),
            Event::RoleConfigured(spec) if spec.id.as_str() == BY_TITLE => {
                self.sellers = spec.members.split('"').nth(1).map(str::to_owned);
            }
            Event::RoleConfigured(_) => self.has_night = true,
            Event::RoleRemoved(id) if id.as_str() == BY_TITLE => self.sellers = None,
            Event::RoleRemoved(_) => self.has_night = false,
            Event::PolicyConfigured(spec) => self.kept_out = spec.text.split('"').nth(7).map(str::to_owned),
            Event::PolicyRemoved(_) => self.kept_out = None,
            Event::SeparationConfigured(_) => self.apart = true,
            Event::SeparationRemoved(_) => self.apart = false,
            Event::Grant(changed) => self.grant(changed, &event.meta.actor, event.recorded_at),
            _ => {}
        }
    }

    fn grant(&mut self, changed: &GrantChanged, by: &str, now: Timestamp) {
        match &changed.step {
            GrantStep::Requested(asked) => {
                if self.people.get(&changed.identity).is_some_and(|person| person.active) {
                    let what = match &asked.what {
                        Grantable::Role(id) => format!("role:{id}"),
                        Grantable::Entitlement(id) => id.to_string(),
                    };
                    let (lasts, extends, expires_at) = (asked.lasts, asked.extends, asked.expires_at);
                    let granted = Granted {
                        to: changed.identity,
                        what,
                        is_on: false,
                        until: None,
                        lasts,
                        extends,
                        expires_at,
                        approvals: asked.approvals,
                        approved_by: BTreeSet::new(),
                    };
                    self.grants.entry(changed.id).or_insert(granted);
                }
            }
            GrantStep::Approved => {
                let Some(what) = self.grants.get(&changed.id).map(|asked| asked.what.clone()) else { return };
                let is_second = self.is_second(changed.identity, &what);
                let Some(asked) = self.grants.get_mut(&changed.id) else { return };
                if asked.is_on || now >= asked.expires_at {
                    return;
                }
                asked.approved_by.insert(by.to_owned());
                if asked.approved_by.len() < usize::try_from(asked.approvals).unwrap_or(usize::MAX) {
                    return;
                }
                let until = asked.lasts.end(now);
                let is_over = until.is_some_and(|until| until <= now);
                match asked.extends {
                    Some(other) => {
                        self.grants.remove(&changed.id);
                        if let Some(other) = self.grants.get_mut(&other).filter(|other| other.is_on) {
                            other.until = until;
                        }
                    }
                    None if is_over || is_second => drop(self.grants.remove(&changed.id)),
                    None => (asked.is_on, asked.until) = (true, until),
                }
            }
            GrantStep::Ended { why, of, .. } => {
                let ends = self.grants.get(&changed.id).is_some_and(|grant| match why {
                    GrantEnd::Expired => grant.is_on && grant.until.is_some() && grant.until == *of,
                    GrantEnd::Unanswered => !grant.is_on && Some(grant.expires_at) == *of,
                    GrantEnd::Ended => grant.is_on,
                    GrantEnd::Denied | GrantEnd::Withdrawn => !grant.is_on,
                    GrantEnd::Left | GrantEnd::Extended | GrantEnd::Separated => false,
                });
                if ends {
                    self.grants.remove(&changed.id);
                }
            }
        }
    }

    /// Whether something would be the second of what was granted to somebody, and must be apart.
    fn is_second(&self, id: IdentityId, what: &str) -> bool {
        let night = format!("role:{BY_GRANT}");
        let has_crm = self.has(id, CRM) || (self.has_night && self.has(id, &night));
        let is_crm = what == CRM || (self.has_night && what == night);
        let (has_admins, is_admins) = (self.has(id, ADMINS), what == ADMINS);
        self.apart && ((is_crm && has_admins) || (is_admins && has_crm))
    }

    fn has(&self, id: IdentityId, what: &str) -> bool {
        self.grants.values().any(|grant| grant.to == id && grant.is_on && grant.what == what)
    }

    /// The groups that someone is to be in, in an app in which they are to have an account; `None`: they are to have none.
    fn held(&self, id: IdentityId, app: &str) -> Option<BTreeSet<String>> {
        let person = self.people.get(&id).filter(|person| person.active && !self.off.contains(&id))?;
        let is_seller = self.sellers.as_ref() == Some(&person.title);
        let groups =
            |all: &[(bool, &str)]| all.iter().filter(|(is, _)| *is).map(|(_, name)| (*name).to_owned()).collect();
        match app {
            "chat" => Some(groups(&[
                (self.operators.contains(&id), "ops"),
                (is_seller || self.has(id, "chat:group:admins"), "admins"),
            ])),
            "crm" => {
                let by_role = self.has_night && self.has(id, &format!("role:{BY_GRANT}"));
                let is_kept_out = self.kept_out.as_ref() == Some(&person.title);
                (!is_kept_out && (person.title == "Sales" || by_role || self.has(id, "crm"))).then(BTreeSet::new)
            }
            _ => Some(BTreeSet::new()),
        }
    }

    /// What is wrong with a proof of what was desired last.
    pub fn contradicts(&self, verified: &Verified, groups: &BTreeSet<String>) -> Option<String> {
        let (id, app) = (verified.identity, verified.app.as_str());
        self.people.get(&id)?;
        match (verified.target, self.held(id, app)) {
            (Target::Present, None) => {
                Some(format!("{id} is verified to have an account in {app}, and nothing gives them one"))
            }
            (Target::Present, Some(held)) if held != *groups => {
                Some(format!("{id} is verified to be in {groups:?} of {app}, and what gives access gives {held:?}"))
            }
            (Target::Absent, Some(_)) => {
                Some(format!("{id} is verified to have no account in {app}, and is to have one"))
            }
            _ => None,
        }
    }

    /// What has gone on for too long.
    pub fn beyond_its_clock(&self, now: Timestamp) -> Vec<String> {
        let end = |grant: &Granted| if grant.is_on { grant.until } else { Some(grant.expires_at) };
        let late = |grant: &&Granted| end(grant).is_some_and(|end| end + SLACK < now);
        self.grants.values().filter(late).map(|grant| format!("at {now} this goes on: {grant:?}")).collect()
    }
}
