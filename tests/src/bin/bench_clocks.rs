//! `./dev bench clocks [APPS [CACHE_MIB]]`: what one event costs the SLA monitor's own state, with nothing else in the
//! way, while a thousand leavers still have access to so many apps.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use rollcall_config::parse;
use rollcall_domain::access::desired::Target;
use rollcall_domain::access::operation::Operation;
use rollcall_domain::access::outcome::{Applied, Left, Origin, Verified};
use rollcall_domain::app::AppSpec;
use rollcall_domain::identity::{self, IdentityChanged, IdentityKind};
use rollcall_domain::{AppId, Event, IdentityId, Recorded, Sequence};
use rollcall_projection::{BATCH, History, Pipeline, Store};
use rollcall_sla_monitor::Clocks;
use rollcall_tests::bench::{Figure, resident};
use rollcall_tests::company::MemoryLog;
use serde_json::json;
use uuid::Uuid;

const LEAVERS: usize = 1000;

/// What [operations](../../../docs/operations.md) gives who has a million obligations open.
const CACHE_MIB: u64 = 512;

/// What the services do with the allocator that they have.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// So many apps that everyone has, and whose removals nobody holds.
fn apps_of(count: usize) -> anyhow::Result<Vec<AppSpec>> {
    let one = |n| {
        format!(
            "[[apps]]\nid = \"app{n}\"\nbase_url = \"https://app{n}.example.com/scim/v2\"\nowner = \"owner@example.com\"\n\
             assign = \"active eq true\"\n[apps.sla]\nleaver = \"30d\"\n[apps.guard]\nmax_removals = 10000000\nmax_percent = 100\n"
        )
    };
    let config = parse("bench.toml", &(0..count).map(one).collect::<String>(), &|_| None)?;
    Ok(config.apps.into_iter().map(|app| app.spec).collect())
}

/// Applies events as a service does; microseconds for each of `parts`.
fn timed(store: &Arc<Store>, clocks: &mut Clocks, events: &[Recorded], parts: usize) -> anyhow::Result<f64> {
    let started = Instant::now();
    let mut pipeline = Pipeline::new(Arc::clone(store));
    for batch in events.chunks(BATCH) {
        pipeline.apply(clocks, batch)?;
    }
    pipeline.settle()?;
    Ok(started.elapsed().as_secs_f64() * 1e6 / parts as f64)
}

fn leavers(log: &mut MemoryLog) -> anyhow::Result<(Vec<IdentityChanged>, Vec<Recorded>)> {
    let mut joined = Vec::new();
    for n in 0..LEAVERS {
        let resource = json!({ "userName": format!("p{n}@example.com"), "active": true });
        let resource = resource.as_object().context("no object")?.clone();
        joined.push(identity::create(IdentityId(Uuid::new_v4()), IdentityKind::User, resource, jiff::Timestamp::now()));
    }
    let events = joined.iter().map(|change| log.record(Event::Identity(change.clone()))).collect();
    Ok((joined, events))
}

/// What an app answers, and what it shows, when someone is gone from it.
fn removed(log: &mut MemoryLog, app: &AppId, identity: IdentityId, version: Sequence) -> [Recorded; 2] {
    let applied = Applied {
        app: app.clone(),
        identity,
        version,
        remote_id: None,
        operation: Operation::Deactivate,
        origin: Origin::Ours,
        group: None,
    };
    let verified = Verified {
        left: Left::Nothing,
        differences: Vec::new(),
        app: app.clone(),
        identity,
        version,
        remote_id: None,
        target: Target::Absent,
        observed: serde_json::Map::new(),
    };
    [log.record(Event::AccountApplied(applied)), log.record(Event::AccountVerified(verified))]
}

/// The answers of apps about those who left.
fn answers<'a>(log: &mut MemoryLog, about: impl Iterator<Item = (&'a Recorded, &'a AppSpec)>) -> Vec<Recorded> {
    let mut answers = Vec::new();
    for (left, spec) in about {
        if let Event::Identity(change) = &left.event {
            answers.extend(removed(log, &spec.id, change.id, left.sequence));
        }
    }
    answers
}

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let apps: usize = args.next().map_or(Ok(100), |n| n.parse()).context("how many apps?")?;
    let cache = args.next().map_or(Ok(CACHE_MIB), |n| n.parse()).context("how many MiB of cache?")? << 20;
    let open = LEAVERS * apps;
    let folder = tempfile::tempdir()?;
    let opened = || Store::open("clocks", folder.path(), 1, cache, History::NONE);
    let store = opened()?;
    let (mut clocks, mut log) = (Clocks::default(), MemoryLog::default());
    let specs = apps_of(apps)?;
    let configured: Vec<Recorded> =
        specs.iter().map(|spec| log.record(Event::AppConfigured(Box::new(spec.clone())))).collect();
    timed(&store, &mut clocks, &configured, apps)?;
    let (joined, joining) = leavers(&mut log)?;
    let took = timed(&store, &mut clocks, &joining, open)?;
    Figure::of("an obligation opened in the monitor's state", took, "us").at(open).show()?;
    let leaving: Vec<Recorded> =
        joined.iter().map(|change| log.record(Event::Identity(identity::delete(change)))).collect();
    let took = timed(&store, &mut clocks, &leaving, 2 * open)?;
    Figure::of("one ended for its opposite in its state", took, "us").at(open).show()?;
    Figure::of("memory of its state", resident(std::process::id())?, "MB").at(open).show()?;
    // A tenth of the leavers are gone from every app: apps answer side by side.
    let about = leaving.iter().take(LEAVERS / 10).flat_map(|left| specs.iter().map(move |spec| (left, spec)));
    let side_by_side = answers(&mut log, about);
    let took = timed(&store, &mut clocks, &side_by_side, side_by_side.len())?;
    Figure::of("an app's answer, beside the others", took, "us").at(open).show()?;
    // The others are gone from a tenth of the apps, which answer one after the other: no two answers lie together.
    let others = &leaving[LEAVERS / 10..];
    let about = specs.iter().step_by(10).flat_map(|spec| others.iter().map(move |left| (left, spec)));
    let in_turn = answers(&mut log, about);
    let took = timed(&store, &mut clocks, &in_turn, in_turn.len())?;
    Figure::of("an app's answer, one app after the other", took, "us").at(open).show()?;
    drop(store);
    let started = Instant::now();
    let _store = opened()?;
    Figure::of("its state is open again after", started.elapsed().as_secs_f64(), "s").at(open).show()
}
