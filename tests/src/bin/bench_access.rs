//! `./dev bench access [APPS]`: what it costs to decide anew what one changed identity holds, with two policies for every three apps
//! and without, by turns.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rollcall_config::parse;
use rollcall_domain::access::policy::PolicySpec;
use rollcall_domain::identity::{self, IdentityChanged, IdentityKind};
use rollcall_domain::{Event, IdentityId, Recorded, Sequence};
use rollcall_event_log::by_service;
use rollcall_projection::{BATCH, History, Pipeline, Store};
use rollcall_sla_monitor::Clocks;
use rollcall_tests::bench::Figure;
use serde_json::{Value, json};
use uuid::Uuid;

/// How many changes are measured in each turn, and how many turns.
const CHANGES: usize = 50;
const TURNS: usize = 5;

const CACHE: u64 = 256 << 20;

/// What the services do with the allocator that they have.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Apps for one department in twenty each, with a group that a role gives; two in five have a second group.
fn configured(apps: usize) -> anyhow::Result<Vec<Event>> {
    let mut text = String::new();
    for n in 0..apps {
        write!(
            text,
            "[[apps]]\nid = \"app{n}\"\nbase_url = \"https://app{n}.example.com/scim/v2\"\nowner = \"owner@example.com\"\n\
             assign = 'title eq \"Dept{}\"'\n[[apps.entitlements]]\ngroup = \"Editors\"\nrisk = \"high\"\n",
            n % 20
        )?;
        if n % 10 < 3 {
            text.push_str("[[apps.entitlements]]\ngroup = \"Admins\"\nrisk = \"critical\"\n");
        }
    }
    for n in 0..20 {
        let groups: Vec<String> =
            (0..apps).filter(|app| app % 20 == n).map(|app| format!("\"app{app}:group:Editors\"")).collect();
        write!(
            text,
            "[[roles]]\nid = \"role{n}\"\nmembers = 'title eq \"Dept{n}\"'\nowner = \"owner@example.com\"\nentitlements = [{}]\n",
            groups.join(", ")
        )?;
    }
    let config = parse("bench.toml", &text, &|_| None)?;
    let roles = config.roles.into_iter().map(|role| Event::RoleConfigured(Box::new(role)));
    Ok(config.apps.into_iter().map(|app| Event::AppConfigured(Box::new(app.spec))).chain(roles).collect())
}

/// Guard rails as companies have them: most are about one app, some about one group, and a few about everything.
fn policies(apps: usize) -> anyhow::Result<Vec<Event>> {
    let count = apps * 20 / 13;
    let one = |n: usize| -> anyhow::Result<Event> {
        let id = format!("p{n}");
        let about = match n % 10 {
            _ if n < 10 => "resource".to_owned(),
            0..=6 => format!("resource in App::\"app{}\"", n % apps),
            _ => format!("resource == Entitlement::\"app{}:group:Editors\"", n % apps),
        };
        let text = format!(
            "@id(\"{id}\") forbid(principal is User, action == Action::\"hold\", {about}) \
             when {{ principal has userType && principal.userType == \"Guest{n}\" && resource.risk != \"low\" }};"
        );
        Ok(Event::PolicyConfigured(Box::new(PolicySpec {
            id: id.parse()?,
            text,
            reason: String::new(),
            owner: String::new(),
        })))
    };
    (0..count).map(one).collect()
}

/// A log that is nowhere but here.
#[derive(Default)]
struct Log(u64);

impl Log {
    fn record(&mut self, event: Event) -> Recorded {
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

/// A company, and somebody in it who is changed again and again.
struct Company {
    _folder: tempfile::TempDir,
    store: Arc<Store>,
    clocks: Clocks,
    log: Log,
    somebody: IdentityChanged,
    changes: usize,
}

fn resource(change: usize) -> anyhow::Result<serde_json::Map<String, Value>> {
    let resource = json!({
        "userName": "anna@example.com", "title": "Dept7", "userType": "Employee", "active": true, "nickName": format!("anna{change}")
    });
    resource.as_object().cloned().context("no object")
}

impl Company {
    fn new(events: Vec<Event>) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let store = Store::open("access", folder.path(), 1, CACHE, History::NONE)?;
        let somebody =
            identity::create(IdentityId(Uuid::new_v4()), IdentityKind::User, resource(0)?, jiff::Timestamp::now());
        let mut company =
            Self { _folder: folder, store, clocks: Clocks::default(), log: Log::default(), somebody, changes: 0 };
        company.apply(events)?;
        company.apply(vec![Event::Identity(company.somebody.clone())])?;
        Ok(company)
    }

    fn apply(&mut self, events: Vec<Event>) -> anyhow::Result<Duration> {
        let events: Vec<Recorded> = events.into_iter().map(|event| self.log.record(event)).collect();
        let started = Instant::now();
        let mut pipeline = Pipeline::new(Arc::clone(&self.store));
        for batch in events.chunks(BATCH) {
            pipeline.apply(&mut self.clocks, batch)?;
        }
        pipeline.settle()?;
        Ok(started.elapsed())
    }

    /// Milliseconds for each change.
    fn turn(&mut self) -> anyhow::Result<f64> {
        let mut events = Vec::new();
        for _ in 0..CHANGES {
            self.changes += 1;
            self.somebody.resource = resource(self.changes)?;
            events.push(Event::Identity(self.somebody.clone()));
        }
        Ok(self.apply(events)?.as_secs_f64() * 1e3 / CHANGES as f64)
    }
}

fn middle(mut turns: Vec<f64>) -> anyhow::Result<f64> {
    turns.sort_by(f64::total_cmp);
    turns.get(turns.len() / 2).copied().context("no turn")
}

fn main() -> anyhow::Result<()> {
    let apps: usize = std::env::args().nth(1).map_or(Ok(1300), |n| n.parse()).context("how many apps?")?;
    ensure!(apps >= 20, "it takes 20 apps");
    let (bare, ruled) = (configured(apps)?, policies(apps)?);
    let count = ruled.len();
    let mut without = Company::new(bare.clone())?;
    let mut with = Company::new(bare.into_iter().chain(ruled).collect())?;
    let (mut plain, mut asked) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        plain.push(without.turn()?);
        asked.push(with.turn()?);
    }
    Figure::of("what a changed identity holds, decided anew", middle(asked)?, "ms")
        .at(apps)
        .beside("without policies", middle(plain)?)
        .note(format!("{count} policies, {} roles", 20))
        .show()
}
