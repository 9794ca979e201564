//! `./dev bench preview [IDENTITIES [APPS]]`: how long it takes to tell who would gain and lose what, where a policy about everything
//! changes, and where one about a single app does.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use rollcall_domain::decision::access_rules::{AccessRules, AccessSpec};
use rollcall_domain::identity::{self, IdentityKind};
use rollcall_domain::{Event, IdentityId, ledger};
use rollcall_projection::{BATCH, History, Pipeline, Store};
use rollcall_scim::Catalogue;
use rollcall_sla_monitor::Clocks;
use rollcall_tests::bench::{Figure, peak};
use rollcall_tests::company::{DEPARTMENTS, MemoryLog, access_spec, configured, policies, policy};
use serde_json::json;
use uuid::Uuid;

const CACHE: u64 = 256 << 20;

/// What the services do with the allocator that they have.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn company(store: &Arc<Store>, spec: &AccessSpec, people: usize) -> anyhow::Result<()> {
    let (mut log, mut clocks) = (MemoryLog::default(), Clocks::default());
    let mut pipeline = Pipeline::new(Arc::clone(store));
    let events: Vec<_> = configured(spec).into_iter().map(|event| log.record(event)).collect();
    for batch in events.chunks(BATCH) {
        pipeline.apply(&mut clocks, batch)?;
    }
    for first in (0..people).step_by(BATCH) {
        let mut joiners = Vec::new();
        for n in first..people.min(first + BATCH) {
            let kind = if n % 10 == 0 { "Guest" } else { "Employee" };
            let resource = json!({
                "userName": format!("p{n}@example.com"), "title": format!("Dept{}", n % DEPARTMENTS), "userType": kind, "active": true
            });
            let resource = resource.as_object().context("no object")?.clone();
            let joined =
                identity::create(IdentityId(Uuid::new_v4()), IdentityKind::User, resource, jiff::Timestamp::now());
            joiners.push(log.record(Event::Identity(joined)));
        }
        pipeline.apply(&mut clocks, &joiners)?;
    }
    Ok(pipeline.settle()?)
}

/// Seconds, and what was found.
fn previewed(store: &Store, spec: &AccessSpec) -> anyhow::Result<(f64, ledger::Preview)> {
    let (started, catalogue) = (Instant::now(), Catalogue::default());
    let rules = AccessRules::configured(spec, &catalogue);
    let found = ledger::preview(&store.view(), catalogue, spec, rules, |_| ControlFlow::Continue(()))?;
    Ok((started.elapsed().as_secs_f64(), found))
}

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let people: usize = args.next().map_or(Ok(100_000), |n| n.parse()).context("how many identities?")?;
    let apps: usize = args.next().map_or(Ok(100), |n| n.parse()).context("how many apps?")?;
    ensure!(apps >= DEPARTMENTS, "it takes {DEPARTMENTS} apps");
    let folder = tempfile::tempdir()?;
    let store = Store::open("preview", folder.path(), 1, CACHE, History::NONE)?;
    let now = AccessSpec { policies: policies(apps)?, ..access_spec(apps)? };
    company(&store, &now, people)?;
    let before = peak(std::process::id())?;
    let with = |about: &str| -> anyhow::Result<AccessSpec> {
        let mut other = now.clone();
        other.policies.push(policy("new", about, "principal.userType == \"Guest\"")?);
        Ok(other)
    };
    let (nothing, same) = previewed(&store, &now)?;
    let (everything, all) = previewed(&store, &with("resource")?)?;
    let (one, some) = previewed(&store, &with("resource in App::\"app0\"")?)?;
    ensure!(same.entitlements.is_empty() && all.apps.len() == apps && some.apps.len() == 1, "another company");
    let lost = |found: &ledger::Preview| found.apps.values().map(|app| app.removed).sum::<usize>();
    Figure::of("a preview of a policy about everything", everything, "s")
        .at(people)
        .beside("about one app", one)
        .beside("nothing changed", nothing)
        .note(format!(
            "{apps} apps, {} policies; {} and {} accounts would go; {:.0} MB at most, {before:.0} before",
            now.policies.len(),
            lost(&all),
            lost(&some),
            peak(std::process::id())?
        ))
        .show()
}
