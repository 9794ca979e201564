//! A made-up company for the benches: its apps, roles and policies, and a log that is nowhere but in memory.

use std::fmt::Write as _;

use rollcall_config::parse;
use rollcall_domain::access::policy::PolicySpec;
use rollcall_domain::decision::access_rules::AccessSpec;
use rollcall_domain::directory::app_changes::{configure, configure_policies, configure_roles};
use rollcall_domain::{Event, Recorded, Sequence};
use rollcall_event_log::by_service;

/// The departments.
pub const DEPARTMENTS: usize = 20;

/// Apps for one department in twenty each, with a group that a role gives; three in ten have a second group.
///
/// # Errors
/// When it is no configuration.
pub fn access_spec(apps: usize) -> anyhow::Result<AccessSpec> {
    let mut text = String::new();
    for n in 0..apps {
        write!(
            text,
            "[[apps]]\nid = \"app{n}\"\nbase_url = \"https://app{n}.example.com/scim/v2\"\nowner = \"owner@example.com\"\n\
             assign = 'title eq \"Dept{}\"'\n[[apps.entitlements]]\ngroup = \"Editors\"\nrisk = \"high\"\n",
            n % DEPARTMENTS
        )?;
        if n % 10 < 3 {
            text.push_str("[[apps.entitlements]]\ngroup = \"Admins\"\nrisk = \"critical\"\n");
        }
    }
    for n in 0..DEPARTMENTS {
        let groups: Vec<String> =
            (0..apps).filter(|app| app % DEPARTMENTS == n).map(|app| format!("\"app{app}:group:Editors\"")).collect();
        write!(
            text,
            "[[roles]]\nid = \"role{n}\"\nmembers = 'title eq \"Dept{n}\"'\nowner = \"owner@example.com\"\nentitlements = [{}]\n",
            groups.join(", ")
        )?;
    }
    Ok(parse("bench.toml", &text, &|_| None)?.access_spec())
}

/// Guard rails as companies have them, two for every three apps and no fewer than ten: most are about one app, some about one group,
/// and ten about everything.
///
/// # Errors
/// When one can't be named.
pub fn policies(apps: usize) -> anyhow::Result<Vec<PolicySpec>> {
    let one = |n: usize| -> anyhow::Result<PolicySpec> {
        let about = match n % 10 {
            _ if n < 10 => "resource".to_owned(),
            0..=6 => format!("resource in App::\"app{}\"", n % apps),
            _ => format!("resource == Entitlement::\"app{}:group:Editors\"", n % apps),
        };
        policy(&format!("p{n}"), &about, &format!("principal.userType == \"Guest{n}\" && resource.risk != \"low\""))
    };
    (0..(apps * 20 / 13).max(10)).map(one).collect()
}

/// A policy that forbids people something.
///
/// # Errors
/// When it can't be named so.
pub fn policy(id: &str, about: &str, when: &str) -> anyhow::Result<PolicySpec> {
    let text = format!(
        "@id(\"{id}\") forbid(principal is User, action == Action::\"hold\", {about}) \
         when {{ principal has userType && {when} }};"
    );
    Ok(PolicySpec { id: id.parse()?, text, reason: String::new(), owner: String::new() })
}

/// The events that configure it, on a log that has none.
#[must_use]
pub fn configured(spec: &AccessSpec) -> Vec<Event> {
    let mut events = configure(&[], &spec.apps);
    events.extend(configure_roles(&[], &spec.roles));
    events.extend(configure_policies(&[], &spec.policies));
    events
}

/// A log that is nowhere but here: each event follows on the one before.
#[derive(Debug, Default)]
pub struct MemoryLog(u64);

impl MemoryLog {
    /// An event as the log would have it. Sources say who there is.
    pub fn record(&mut self, event: Event) -> Recorded {
        self.0 += 1;
        let mut meta = by_service("bench", &format!("correlation-{}", self.0), None);
        meta.source = matches!(event, Event::Identity(_)).then(|| "hr".parse().ok()).flatten();
        Recorded {
            sequence: Sequence(self.0),
            recorded_at: jiff::Timestamp::now(),
            type_name: String::new(),
            schema_version: 1,
            meta,
            event,
            payload: Vec::new(),
            subject: String::new(),
            stored: Vec::new(),
            seal: rollcall_domain::Seal::None,
            erased: None,
        }
    }
}
