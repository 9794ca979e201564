//! `./dev bench access [APPS]`: what it costs to decide anew what one changed identity holds, with two policies for every three apps
//! and without, by turns.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rollcall_domain::decision::access_rules::AccessSpec;
use rollcall_domain::identity::{self, IdentityChanged, IdentityKind};
use rollcall_domain::{Event, IdentityId, Recorded};
use rollcall_projection::{BATCH, History, Pipeline, Store};
use rollcall_sla_monitor::Clocks;
use rollcall_tests::bench::Figure;
use rollcall_tests::company::{MemoryLog, access_spec, configured, policies};
use serde_json::{Value, json};
use uuid::Uuid;

/// How many changes are measured in each turn, and how many turns.
const CHANGES: usize = 50;
const TURNS: usize = 5;

const CACHE: u64 = 256 << 20;

/// What the services do with the allocator that they have.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A company, and somebody in it who is changed again and again.
struct Company {
    _folder: tempfile::TempDir,
    store: Arc<Store>,
    clocks: Clocks,
    log: MemoryLog,
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
            Self { _folder: folder, store, clocks: Clocks::default(), log: MemoryLog::default(), somebody, changes: 0 };
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
    let bare = access_spec(apps)?;
    let ruled = AccessSpec { policies: policies(apps)?, ..bare.clone() };
    let count = ruled.policies.len();
    let mut without = Company::new(configured(&bare))?;
    let mut with = Company::new(configured(&ruled))?;
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
