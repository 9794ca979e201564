//! A service as a process: it has state on disk, it works, and it can be killed between any two steps.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rollcall_config::{AppConfig, News, WithoutOwner};
use rollcall_domain::{NewEvent, Sequence, ledger};
use rollcall_event_log::{Clock, Expect, Log, Unit, by_service};
use rollcall_projection::{History, Projection, Store, apply};
use rollcall_projector::Answers;
use rollcall_provisioner::{Accounts, SimulatedWay, Surroundings, Worker};
use rollcall_sla_monitor::{
    Clocks, Rules, SteadyClock, append_due, bring_into_effect, changes, conditions, reevaluate,
};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::app::SimApp;
use crate::chance::Chance;
use crate::listing::Listing;
use crate::log::SimLog;
use crate::weather::Weather;

/// The one who is told of alerts.
const SINK: &str = "pager";

/// How often the monitor looks at the clock.
const TICK: Duration = Duration::from_millis(500);

/// What every process finds around it.
#[derive(Clone)]
pub struct Around {
    pub log: Arc<SimLog>,
    pub chance: Chance,
    pub weather: Weather,
    /// The clock of the machine, which may be wrong.
    pub clock: Clock,
    pub apps: Vec<(SimApp, AppConfig)>,
    /// The app of which there are lists, and where they are.
    pub listed: (Listing, AppConfig),
}

/// Which service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    Provisioner,
    Monitor,
    Projector,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Provisioner, Self::Monitor, Self::Projector];

    /// Of what its state keeps every version.
    pub const fn history(self) -> History {
        match self {
            Self::Projector => rollcall_projector::HISTORY,
            Self::Provisioner | Self::Monitor => History::NONE,
        }
    }
}

/// One that runs.
pub struct Process {
    tasks: JoinSet<()>,
    pub store: Arc<Store>,
}

impl Process {
    /// Starts a service on the state in its folder.
    pub fn start(service: Service, folder: &Path, around: &Around) -> anyhow::Result<Self> {
        let store = open(folder, service.history())?;
        let mut tasks = JoinSet::new();
        match service {
            Service::Provisioner => {
                tasks.spawn(follow(around.clone(), Arc::clone(&store), Accounts::default()));
                let apps = around.apps.iter().map(|(app, config)| (SimulatedWay::App(Arc::new(app.clone())), config));
                let (listing, config) = &around.listed;
                let listed = (SimulatedWay::List(Box::new(listing.clone())), config);
                for (way, config) in apps.chain([listed]) {
                    let surroundings = Surroundings {
                        log: Arc::clone(&around.log) as Arc<dyn Log>,
                        clock: Arc::clone(&around.clock),
                        store: Arc::clone(&store),
                        way,
                    };
                    let worker = Worker::simulated(config, surroundings);
                    let (log, store) = (Arc::clone(&around.log), Arc::clone(&store));
                    tasks.spawn(async move {
                        caught_up(&log, &store).await;
                        worker.run(CancellationToken::new()).await;
                    });
                }
            }
            Service::Monitor => {
                tasks.spawn(follow(around.clone(), Arc::clone(&store), Clocks::default()));
                tasks.spawn(watch(around.clone(), Arc::clone(&store)));
            }
            Service::Projector => {
                tasks.spawn(follow(around.clone(), Arc::clone(&store), Answers::default()));
            }
        }
        Ok(Self { tasks, store })
    }

    /// Ends it where it stands.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        self.tasks.abort_all();
        while self.tasks.join_next().await.is_some() {}
        // What its tasks had started ends as well, and lets go of the folder.
        for _ in 0..1000 {
            if Arc::strong_count(&self.store) == 1 {
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
        None.context("a process that was killed still works")
    }
}

/// Opens the state. A killed process is a task here, and the storage's own threads outlive that by a moment of real time,
/// which those of a real process do not.
fn open(folder: &Path, history: History) -> anyhow::Result<Arc<Store>> {
    let given_up = std::time::Instant::now() + Duration::from_secs(10);
    loop {
        match Store::open("simulated", folder, 1, 4 << 20, history) {
            Ok(store) => return Ok(store),
            Err(e) if std::time::Instant::now() > given_up => return Err(e.into()),
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

async fn caught_up(log: &SimLog, store: &Store) {
    let head = *log.watch().borrow();
    let _ = store.watch().wait_for(|at| *at >= head).await;
}

/// Keeps a projection up to date, as fast as it happens to be.
async fn follow(around: Around, store: Arc<Store>, mut projection: impl Projection) {
    let mut head = around.log.watch();
    loop {
        if head.wait_for(|head| *head > store.cursor()).await.is_err() {
            return;
        }
        if around.weather.is_rough() {
            let longest = if around.chance.percent(5) { 3000 } else { 40 };
            tokio::time::sleep(around.chance.millis(0..longest)).await;
        }
        let limit = usize::try_from(around.chance.within(1..20)).unwrap_or(1);
        let events = around.log.read(store.cursor(), limit);
        if apply(&store, &mut projection, &events).is_err() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// The monitor's own loop, with a sink that may fail.
async fn watch(around: Around, store: Arc<Store>) {
    caught_up(&around.log, &store).await;
    let start = (around.clock)();
    let mut steady = SteadyClock::new(start);
    let mut last = Instant::now();
    let tells = BTreeSet::from(News::ALL);
    let rules = Rules { listening_since: start, most_tasks: usize::MAX, ..Rules::default() };
    loop {
        tokio::time::sleep(TICK).await;
        let elapsed = std::mem::replace(&mut last, Instant::now()).elapsed();
        let now = steady.read((around.clock)(), elapsed).time();
        let _ = bring_into_effect(around.log.as_ref(), &store, now, WithoutOwner::Stage).await;
        let _ = append_due(around.log.as_ref(), &store, now).await;
        let _ = reevaluate(around.log.as_ref(), &store, TICK).await;
        if around.weather.is_rough() && around.chance.percent(20) {
            continue;
        }
        let view = store.view();
        let (Ok(wrong), Ok(told)) = (
            conditions(&view, now, &rules, &rollcall_sla_monitor::Surroundings::default()),
            ledger::firing_alerts(&view),
        ) else {
            continue;
        };
        let mut said = Sequence(0);
        for item in changes(&wrong, &told, (SINK, &tells), now, &rules) {
            let event = item.event(SINK, String::new());
            let unit = Unit::one(NewEvent { meta: by_service("sla-monitor", "", None), event }, Expect::Any);
            if let Ok(appended) = around.log.append(&unit).await {
                said = said.max(appended.last);
            }
        }
        let _ = store.wait_for(said, Duration::from_secs(60)).await;
    }
}
