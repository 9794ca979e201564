//! One run: some minutes of trouble, then calm; in the end everything must have come true.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use rollcall_config::{AppConfig, parse};
use rollcall_domain::access::handover::MachinePolicy;
use rollcall_domain::access::policy::PolicySpec;
use rollcall_domain::access::reevaluation::ReevaluationPolicy;
use rollcall_domain::access::role::RoleSpec;
use rollcall_domain::app::drill::{Drill, DrillEvent};
use rollcall_domain::app::kind::AppKind;
use rollcall_domain::drift::reconciliation::SyncRequested;
use rollcall_domain::governance::hold::{Decision, HoldDecided};
use rollcall_domain::kv::{Pair, Read as _};
use rollcall_domain::{Event, NewEvent, PolicyId, Recorded, Sequence, directory, ledger};
use rollcall_event_log::{Clock, Expect, Log as _, Subject, Unit, by_service};
use rollcall_projection::{History, ProjectionError, Store, apply};
use rollcall_projector::Answers;
use rollcall_provisioner::Accounts;
use rollcall_sla_monitor::Clocks;
use tokio::time::Instant;

use crate::apart;
use crate::app::{Nature, SimApp};
use crate::chance::Chance;
use crate::laws::{Broken, Laws};
use crate::listing::Listing;
use crate::log::SimLog;
use crate::people::People;
use crate::process::{Around, Process, Service};
use crate::vault::Mood;
use crate::weather::Weather;

/// How long everything goes wrong.
const TROUBLE: Duration = Duration::from_secs(300);

/// How long it must be quiet until all counts as done: every app was compared twice.
const CALM: Duration = Duration::from_secs(130);

/// How long everything may take to come true.
const PATIENCE: Duration = Duration::from_secs(3 * 3600);

/// Where the keys are of whoever was erased.
const DESTROYED: &str = "destroyed/";

/// At how many events the past is compared.
const LOOKS_BACK: usize = 4;

const NATURES: [Nature; 4] = [
    Nature { id: "chat", lag: Duration::ZERO, filters: true, patches: true, external_ids: true },
    Nature { id: "crm", lag: Duration::ZERO, filters: false, patches: false, external_ids: true },
    Nature { id: "late", lag: Duration::from_secs(3), filters: true, patches: true, external_ids: true },
    Nature { id: "mail", lag: Duration::ZERO, filters: true, patches: true, external_ids: false },
];

const APPS: &str = r#"
[[apps]]
id = "chat"
identities = ["user", "service_account"]
base_url = "https://chat.example/scim"
owner = "it"
assign = "active eq true"
deprovision = "deactivate"
guard = { max_removals = 3, max_percent = 100, window = "2m" }

[[apps.groups]]
from = "Operators"
to = "ops"
[[apps.entitlements]]
group = "admins"
requestable = true
[[apps]]
id = "crm"
guard = { max_removals = 1000000, max_percent = 100 }

base_url = "https://crm.example/scim"
owner = "it"
assign = 'title eq "Sales"'
deprovision = "delete"
[[apps]]
id = "late"
identities = ["user", "service_account"]
guard = { max_removals = 1000000, max_percent = 100 }

base_url = "https://late.example/scim"
owner = "it"
assign = "active eq true"
deprovision = "delete"
[apps.capabilities]
consistency_delay = "4s"
[[apps]]
id = "mail"
guard = { max_removals = 1000000, max_percent = 100 }

base_url = "https://mail.example/scim"
owner = "it"
assign = "active eq true"
deprovision = "deactivate"
adopt = "unlinked"
[apps.attributes]
userName = { template = "{userName}@mail.example" }

title = "title"
"#;

/// The apps that people change.
const BY_PEOPLE: &str = r#"
[[apps]]
id = "desk"
kind = "manual"
owner = "it"
assign = 'title eq "Sales"'
sla = { joiner = "3m", mover = "3m", leaver = "2m" }
[[apps]]
id = "paper"
kind = "list"
owner = "it"
assign = 'title eq "Sales"'
reconcile_every = "1m"
probe_every = "5s"
sla = { joiner = "4m", mover = "4m", leaver = "3m" }
[apps.list]
file = "/paper.csv"
columns = { userName = "Login", active = "State", title = "Job" }
"#;

const EACH: &str = r#"reconcile_every = "1m"
carried_out_within = "30s"
retry_max = "20s"
probe_every = "5s"
sla = { joiner = "3m", mover = "3m", leaver = "1m" }
drift = { orphan = "repair", duplicate = "repair" }
"#;

/// The roles: one by a rule, one that is only granted.
const ROLES: &str = r#"
[[roles]]
id = "sellers"
members = 'title eq "Sales"'
entitlements = ["chat:group:admins"]
owner = "it"
[[roles]]
id = "night"
entitlements = ["crm"]
owner = "it"
requestable = true
"#;

/// What a run was.
#[derive(Debug, Clone, Copy, Default)]
#[allow(missing_docs)]
pub struct Report {
    pub events: u64,
    pub verified: usize,
    pub kills: u32,
    pub drilled: usize,
    pub handed_over: usize,
    /// Of all that happened in it, and when.
    pub trace: u64,
    /// How much time passed in it.
    pub lasted: Duration,
}

/// Runs one seed.
///
/// # Errors
/// The law that was broken; `anyhow` when the simulation itself fails.
pub fn simulate(seed: u64) -> anyhow::Result<Result<Report, Broken>> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true);
    // Who of several that wait is woken first is left to chance, too; a seed for that can be given only with this flag,
    // which `./dev simulate` sets. Without it a seed is not always the same run.
    #[cfg(tokio_unstable)]
    runtime.rng_seed(tokio::runtime::RngSeed::from_bytes(&seed.to_le_bytes()));
    runtime.build()?.block_on(run(seed))
}

fn configs() -> anyhow::Result<(Vec<AppConfig>, Vec<RoleSpec>)> {
    let text = APPS.replace("owner = \"it\"\n", &format!("owner = \"it\"\n{EACH}"));
    let config = parse("simulation.toml", &format!("{text}{BY_PEOPLE}{ROLES}"), &|_| None)
        .map_err(|e| anyhow::anyhow!("{e:?}"))?;
    let mut apps = config.apps;
    // The limiter goes by the real time, of which almost none passes.
    apps.iter_mut().for_each(|app| app.spec.max_requests_per_second = u32::MAX);
    Ok((apps, config.roles))
}

struct World {
    around: Around,
    laws: Arc<Laws>,
    folder: PathBuf,
    /// How many seconds the machine's clock is wrong.
    wrong_by: Arc<AtomicI64>,
    kills: u32,
}

async fn run(seed: u64) -> anyhow::Result<Result<Report, Broken>> {
    let folder = tempfile::tempdir()?;
    let chance = Chance::new(seed);
    let weather = Weather(Arc::new(AtomicBool::new(true)));
    let wrong_by = Arc::new(AtomicI64::new(0));
    let (start, epoch) = (Instant::now(), Timestamp::from_second(1_767_225_600)?);
    let real: Clock = Arc::new(move || epoch + SignedDuration::try_from(start.elapsed()).unwrap_or_default());
    let (true_time, offset) = (Arc::clone(&real), Arc::clone(&wrong_by));
    let machine: Clock = Arc::new(move || true_time() + SignedDuration::from_secs(offset.load(Ordering::Relaxed)));
    let laws = Laws::new();
    let log = Arc::new(SimLog::new(chance.clone(), Arc::clone(&real), weather.clone(), Arc::clone(&laws)));
    let mut apps = Vec::new();
    let (configured, roles) = configs()?;
    let (asked, by_people): (Vec<_>, Vec<_>) =
        configured.into_iter().partition(|config| config.reach.base_url().is_some());
    for config in by_people.iter().chain(&asked) {
        let event = Event::AppConfigured(Box::new(config.spec.clone()));
        let configured = NewEvent { meta: by_service("gateway", "", None), event };
        while log.append(&Unit::one(configured.clone(), Expect::Any)).await.is_err() {}
    }
    let listing = Listing { laws: Arc::clone(&laws), chance: chance.clone(), weather: weather.clone() };
    let listed = by_people.into_iter().find(|config| config.spec.kind == AppKind::List);
    let listed = (listing, listed.context("there is no app with a list")?);
    for (nature, config) in NATURES.into_iter().zip(asked) {
        let app = SimApp::new(nature, chance.clone(), weather.clone(), Arc::clone(&laws));
        laws.watch(&app);
        apps.push((app, config));
    }
    // So few that every change of an app or a group is decided in pieces.
    let at_once = ReevaluationPolicy { people_at_once: 3 };
    let configured = NewEvent { meta: by_service("gateway", "", None), event: Event::ReevaluationConfigured(at_once) };
    while log.append(&Unit::one(configured.clone(), Expect::Any)).await.is_err() {}
    let policy = MachinePolicy {
        handover_within: Duration::from_secs(90),
        revoke_within: Duration::from_secs(60),
        compromised_within: Duration::from_secs(20),
    };
    let configured = NewEvent { meta: by_service("gateway", "", None), event: Event::MachinesConfigured(policy) };
    while log.append(&Unit::one(configured.clone(), Expect::Any)).await.is_err() {}
    for role in &roles {
        let event = Event::RoleConfigured(Box::new(role.clone()));
        let configured = NewEvent { meta: by_service("gateway", "", None), event };
        while log.append(&Unit::one(configured.clone(), Expect::Any)).await.is_err() {}
    }
    let around = Around {
        log: Arc::clone(&log),
        chance: chance.clone(),
        weather: weather.clone(),
        clock: machine,
        apps,
        listed,
    };
    let at = folder.path().to_owned();
    let mut world = World { around, laws: Arc::clone(&laws), folder: at, wrong_by, kills: 0 };
    let mut running = BTreeMap::new();
    for service in Service::ALL {
        running.insert(service, world.start(service)?);
    }

    let acknowledged = Arc::new(Mutex::new(BTreeMap::new()));
    let people = People {
        log: Arc::clone(&log),
        chance: chance.clone(),
        clock: real,
        here: BTreeMap::new(),
        machines: BTreeMap::new(),
        members: BTreeSet::new(),
        grants: Vec::new(),
        acknowledged: Arc::clone(&acknowledged),
    };
    let living = tokio::spawn(live(people, chance.clone()));
    let operating = tokio::spawn(operate(Arc::clone(&log), Arc::clone(&laws), chance.clone(), weather.clone()));
    let reconfiguring = tokio::spawn(reconfigure(Arc::clone(&log), roles, chance.clone()));
    while start.elapsed() < TROUBLE {
        tokio::time::sleep(chance.millis(500..15_000)).await;
        world.trouble(&mut running).await?;
    }
    living.abort();
    reconfiguring.abort();
    weather.0.store(false, Ordering::Relaxed);
    world.wrong_by.store(0, Ordering::Relaxed);
    laws.note("calm".into());
    for service in Service::ALL {
        if let Entry::Vacant(place) = running.entry(service) {
            place.insert(world.start(service)?);
        }
    }

    let calm_since = Instant::now();
    let mut quiet_since = Instant::now();
    while quiet_since.elapsed() < CALM {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let unfinished = laws.unfinished()?;
        if !unfinished.is_empty() {
            quiet_since = Instant::now();
        }
        if calm_since.elapsed() > PATIENCE {
            unfinished.into_iter().for_each(|what| laws.broken(format!("never came true: {what}")));
            break;
        }
    }
    operating.abort();
    laws.at_the_end()?;
    let acknowledged = acknowledged.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for (service, process) in &running {
        world.compare(*service, &process.store).await?;
    }
    if let Some(projector) = running.get(&Service::Projector) {
        world.remembers(&projector.store, &acknowledged)?;
    }
    for process in running.into_values() {
        process.kill().await?;
    }
    let (events, lasted) = (log.watch().borrow().0, start.elapsed());
    let report = Report {
        events,
        verified: laws.verified(),
        kills: world.kills,
        drilled: laws.drilled(),
        handed_over: laws.handed_over(),
        trace: laws.fingerprint(),
        lasted,
    };
    Ok(laws.verdict(seed).map(|()| report))
}

/// A person who is told that everything in an app is missing, and says so when it really is; and who decides about removals
/// that wait.
async fn operate(log: Arc<SimLog>, laws: Arc<Laws>, chance: Chance, weather: Weather) {
    loop {
        tokio::time::sleep(Duration::from_secs(20)).await;
        // A person has an app looked at again now and then, whatever it is like.
        if weather.is_rough()
            && chance.percent(15)
            && let Some(nature) = chance.pick(&NATURES)
            && let Ok(app) = nature.id.parse()
        {
            let event = Event::SyncRequested(SyncRequested::App(app));
            let _ =
                log.append(&Unit::one(NewEvent { meta: by_service("operator", "", None), event }, Expect::Any)).await;
        }
        if !weather.is_rough() {
            for (app, id) in laws.to_be_removed_by_hand().unwrap_or_default() {
                app.remove_by_hand(&id);
            }
        }
        // Apps are drilled now and then; one whose last drill has shown something is drilled again until it shows nothing.
        let drilled = match weather.is_rough() {
            true => chance.pick(&NATURES).filter(|_| chance.percent(15)).and_then(|nature| nature.id.parse().ok()),
            false => laws.to_be_drilled_again().unwrap_or_default().into_iter().next(),
        };
        if let Some(app) = drilled {
            let event = Event::Drill(Drill { app, event: DrillEvent::Requested });
            let meta = by_service("operator", "", None);
            let _ = log.append(&Unit::one(NewEvent { meta, event }, Expect::Any)).await;
        }
        let erasable = laws.erasable().unwrap_or_default();
        if let Some((event, id)) = chance.pick(&erasable).and_then(|event| Some((event.clone(), event.person()?)))
            && chance.percent(25)
        {
            let subject = Subject::identity(id);
            let last = log.last(&subject).await.ok().flatten().map_or(Sequence(0), |e| e.sequence);
            let mut unit = Unit::default();
            let meta = by_service("operator", "", None);
            unit.push_while(NewEvent { meta, event }, subject, last);
            let _ = log.append(&unit).await;
        }
        for (cause, through) in laws.held().unwrap_or_default() {
            let expires_at =
                laws.now() + SignedDuration::from_secs(i64::try_from(chance.within(20..200)).unwrap_or(60));
            let reject = Decision::Reject { expires_at };
            let decision = if chance.percent(70) { Decision::Release } else { reject };
            let event = Event::HoldDecided(HoldDecided { cause, through, decision, reason: String::new() });
            let _ =
                log.append(&Unit::one(NewEvent { meta: by_service("operator", "", None), event }, Expect::Any)).await;
        }
        if let Some(events) = chance.pick(&laws.handover_decisions(&chance).unwrap_or_default()).cloned() {
            let mut unit = Unit::default();
            for event in events {
                unit.push(NewEvent { meta: by_service("operator", "", None), event }, Expect::Any);
            }
            let _ = log.append(&unit).await;
        }
        let mood = if weather.is_rough() { Mood::Busy } else { Mood::Finishing };
        let mut unit = Unit::default();
        for event in laws.vault(&chance, mood).unwrap_or_default() {
            unit.push(NewEvent { meta: by_service("gateway", "", None), event }, Expect::Any);
        }
        // A list that is lost is taken anew.
        let _ = if unit.is_empty() { Ok(()) } else { log.append(&unit).await.map(drop) };
        for event in laws.office(&chance, mood).unwrap_or_default() {
            let meta = by_service("it", "", None);
            let _ = log.append(&Unit::one(NewEvent { meta, event }, Expect::Any)).await;
        }
        let until = laws.now() + SignedDuration::from_secs(60);
        if let Some(event) = chance.pick(&laws.acceptances(until).unwrap_or_default()).cloned() {
            let meta = by_service("operator", "", None);
            let _ = log.append(&Unit::one(NewEvent { meta, event }, Expect::Any)).await;
        }
        let gone = laws.vanished().unwrap_or_default().into_iter();
        let gone = gone.map(|(app, told)| SyncRequested::Gone { app, told });
        let renamed = if weather.is_rough() { Vec::new() } else { laws.renamed().unwrap_or_default() };
        let same = renamed.into_iter().map(|(app, told)| SyncRequested::Same { app, told });
        for said in gone.chain(same) {
            let event = Event::SyncRequested(said);
            let _ =
                log.append(&Unit::one(NewEvent { meta: by_service("operator", "", None), event }, Expect::Any)).await;
        }
    }
}

/// A policy that keeps those with a title out of the CRM, or that there is none.
fn policy(chance: &Chance) -> Event {
    let Ok(id) = "kept-out".parse::<PolicyId>() else { return Event::Unknown };
    let Some(title) = chance.pick(&["Sales", "Dev"]).filter(|_| chance.percent(60)) else {
        return Event::PolicyRemoved(id);
    };
    let text = format!(
        "@id(\"kept-out\")\nforbid(principal, action == Action::\"hold\", resource in App::\"crm\")\nwhen {{ principal has title && \
         principal.title == \"{title}\" }};"
    );
    Event::PolicyConfigured(Box::new(PolicySpec { id, text, reason: String::new(), owner: "it".into() }))
}

/// Roles are configured otherwise now and then.
async fn reconfigure(log: Arc<SimLog>, roles: Vec<RoleSpec>, chance: Chance) {
    loop {
        tokio::time::sleep(chance.millis(10_000..120_000)).await;
        if chance.percent(30) {
            let _ = log
                .append(&Unit::one(
                    NewEvent { meta: by_service("gateway", "", None), event: policy(&chance) },
                    Expect::Any,
                ))
                .await;
            continue;
        }
        if chance.percent(25) {
            let (meta, event) = (by_service("gateway", "", None), apart::separation(&chance));
            let _ = log.append(&Unit::one(NewEvent { meta, event }, Expect::Any)).await;
            continue;
        }
        let Some(role) = chance.pick(&roles).cloned() else { return };
        let other = if chance.percent(50) { role.members.replace("Sales", "Dev") } else { role.members.clone() };
        let event = if chance.percent(40) {
            Event::RoleRemoved(role.id)
        } else {
            Event::RoleConfigured(Box::new(RoleSpec { members: other, ..role }))
        };
        let meta = by_service("gateway", "", None);
        let _ = log.append(&Unit::one(NewEvent { meta, event }, Expect::Any)).await;
    }
}

async fn live(mut people: People, chance: Chance) {
    people.begin().await;
    loop {
        tokio::time::sleep(chance.millis(0..8000)).await;
        people.act().await;
    }
}

/// What is learned of apps from what they show of people is learned from fewer, where the log is read again after an erasure; and
/// who had an account before somebody who was erased is known again. Nor is it known any more of how it went with them.
const LEARNED: [&str; 6] = ["link/", "keeps/", "ways/", "conformance/", "trend/", "trend-group/"];

impl World {
    fn folder(&self, service: Service) -> PathBuf {
        self.folder.join(match service {
            Service::Provisioner => "provisioner",
            Service::Monitor => "monitor",
            Service::Projector => "projector",
        })
    }

    fn start(&self, service: Service) -> anyhow::Result<Process> {
        if service == Service::Monitor {
            self.laws.watched();
        }
        Process::start(service, &self.folder(service), &self.around)
    }

    /// One of the things that happen to machines.
    async fn trouble(&mut self, running: &mut BTreeMap<Service, Process>) -> anyhow::Result<()> {
        let chance = self.around.chance.clone();
        match chance.within(0..13) {
            0..3 => self.kill_or_start(running, Service::Provisioner).await?,
            3..5 => self.kill_or_start(running, Service::Monitor).await?,
            10 => self.kill_or_start(running, Service::Projector).await?,
            5..7 => {
                if let Some((app, _)) = chance.pick(&self.around.apps) {
                    app.meddle();
                }
            }
            7 => {
                if let Some((app, _)) = chance.pick(&self.around.apps) {
                    let time = chance.millis(1000..60_000);
                    self.laws.note(format!("{} is down for {time:?}", app.nature.id));
                    app.go_down(time);
                }
            }
            12 => {
                if let Some((app, _)) = chance.pick(&self.around.apps) {
                    let time = chance.millis(1000..60_000);
                    self.laws.note(format!("{} answers as an empty tenant for {time:?}", app.nature.id));
                    app.become_empty(time);
                }
            }
            11 => {
                if let Some((app, _)) = chance.pick(&self.around.apps) {
                    let time = chance.millis(1000..60_000);
                    self.laws.note(format!("{} has no groups for {time:?}", app.nature.id));
                    app.lose_groups(time);
                }
            }
            8 => {
                // Ahead or back, and right again before it is believed; a monitor that starts with a wrong clock has no
                // other to compare it with.
                let by = if chance.percent(50) { 3600 } else { -3600 };
                if let Some(monitor) = running.get(&Service::Monitor) {
                    let head = *self.around.log.watch().borrow();
                    let _ = monitor.store.wait_for(head, Duration::from_secs(60)).await;
                    tokio::time::sleep(Duration::from_secs(2)).await;
                    self.laws.note(format!("the clock jumps by {by} s"));
                    self.wrong_by.store(by, Ordering::Relaxed);
                    tokio::time::sleep(chance.millis(1000..50_000)).await;
                    self.wrong_by.store(0, Ordering::Relaxed);
                }
            }
            _ => {}
        }
        Ok(())
    }

    async fn kill_or_start(
        &mut self,
        running: &mut BTreeMap<Service, Process>,
        service: Service,
    ) -> anyhow::Result<()> {
        match running.remove(&service) {
            Some(process) => {
                self.kills += 1;
                self.laws.note(format!("kill {service:?}"));
                process.kill().await?;
                if service == Service::Monitor {
                    self.laws.unwatched();
                }
                if self.around.chance.percent(20) {
                    self.laws.note(format!("the folder of {service:?} is lost"));
                    std::fs::remove_dir_all(self.folder(service))?;
                }
                // Most come back at once.
                if self.around.chance.percent(70) {
                    running.insert(service, self.start(service)?);
                }
            }
            None => drop(running.insert(service, self.start(service)?)),
        }
        Ok(())
    }

    /// A projection is what a plain replay is: now, and as of any event whose history it keeps.
    async fn compare(&self, service: Service, store: &Arc<Store>) -> anyhow::Result<()> {
        let head = *self.around.log.watch().borrow();
        if store.wait_for(head, Duration::from_secs(600)).await.is_err() {
            self.laws.broken(format!("{service:?} is at {} and the log at {head}", store.cursor()));
            return Ok(());
        }
        let (at, history) = (store.cursor(), service.history());
        let mut looks: Vec<u64> = (0..LOOKS_BACK).map(|_| self.around.chance.within(1..at.0 + 1)).collect();
        looks.push(at.0);
        looks.sort_unstable();
        let folder = tempfile::tempdir()?;
        let plain = Store::open("plain", &folder.path().join("s"), 1, 4 << 20, History::NONE)?;
        let mut replay = Replay::of(service);
        let mut erased: Vec<String> = self.around.log.erased().iter().map(ToString::to_string).collect();
        // Nor of what they ever had a credential in.
        for id in self.around.log.erased() {
            let had = directory::credentials_of(&store.view(), id)?;
            erased.extend(had.iter().map(ToString::to_string));
        }
        for look in looks {
            let count = usize::try_from(look.saturating_sub(plain.cursor().0))?;
            replay.apply(&plain, &self.around.log.read(plain.cursor(), count))?;
            for prefix in history.prefixes().iter().filter(|p| erased.is_empty() || !LEARNED.contains(*p)) {
                // Of who was erased nothing is known of before.
                let known = |pairs: Vec<Pair>| -> Vec<Pair> {
                    pairs.into_iter().filter(|(key, _)| !erased.iter().any(|id| key.contains(id))).collect()
                };
                let past = known(store.view_at(Sequence(look)).scan(prefix, None, usize::MAX)?);
                let replayed = known(plain.view().scan(prefix, None, usize::MAX)?);
                if past != replayed {
                    let other = |all: &[Pair], pair: &Pair| !all.contains(pair);
                    let differ =
                        past.iter().filter(|p| other(&replayed, p)).chain(replayed.iter().filter(|p| other(&past, p)));
                    let keys: BTreeSet<&str> = differ.map(|(key, _)| key.as_str()).collect();
                    self.laws.broken(format!("{service:?}: {keys:?} as of {look} differ from a plain replay to there"));
                }
            }
        }
        if service == Service::Projector {
            let view = store.view();
            let by_trends = rollcall_projector::open_by_trends(&view)?;
            let (drift, tasks) =
                (ledger::drift(&view, None)?.len(), ledger::tasks_after(&view, None, None, usize::MAX)?.pairs.len());
            if by_trends != (u64::try_from(drift)?, u64::try_from(tasks)?) {
                let pending: Vec<String> = ["pending/desk/", "pending/paper/"]
                    .into_iter()
                    .flat_map(|prefix| view.scan(prefix, None, 9).unwrap_or_default())
                    .map(|(key, _)| key)
                    .collect();
                self.laws.broken(format!(
                    "trends have {by_trends:?} drift items and tasks open, of {drift} and {tasks}; pending: {pending:?}"
                ));
            }
        }
        // Not what a store keeps for itself: those keys begin with a zero.
        let all = |store: &Store| -> anyhow::Result<Vec<Pair>> {
            let mut pairs = store.view().scan("", Some("\u{1}"), usize::MAX)?;
            pairs.retain(|(key, _)| erased.is_empty() || !LEARNED.iter().any(|prefix| key.starts_with(prefix)));
            // Nothing is sealed here before somebody is erased: there are no keys until then.
            pairs.retain(|(key, _)| !key.starts_with(DESTROYED));
            Ok(pairs)
        };
        let (theirs, ours) = (all(store)?, all(&plain)?);
        // Both are in the order of their keys.
        if let Some(((key, our), (_, their))) = ours.iter().zip(&theirs).find(|(our, their)| our != their) {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            self.laws.broken(format!(
                "{service:?}: {key} differs from a plain replay: {} and {}",
                text(their),
                text(our)
            ));
        }
        if theirs.len() != ours.len() {
            self.laws.broken(format!("{service:?}: {} keys, and a plain replay has {}", theirs.len(), ours.len()));
        }
        Ok(())
    }

    /// What was acknowledged is known.
    fn remembers(
        &self,
        store: &Store,
        acknowledged: &BTreeMap<rollcall_domain::IdentityId, Sequence>,
    ) -> anyhow::Result<()> {
        for (id, at) in acknowledged {
            let known = directory::identity(&store.view(), *id)?;
            if known.is_none_or(|identity| identity.version < *at) {
                self.laws.broken(format!("the change {at} of {id} was acknowledged and is not known"));
            }
        }
        Ok(())
    }
}

/// The same projection once more, without haste and without anything that goes wrong.
enum Replay {
    Accounts(Accounts),
    Clocks(Clocks),
    Answers(Answers),
}

impl Replay {
    fn of(service: Service) -> Self {
        match service {
            Service::Provisioner => Self::Accounts(Accounts::default()),
            Service::Monitor => Self::Clocks(Clocks::default()),
            Service::Projector => Self::Answers(Answers::default()),
        }
    }

    fn apply(&mut self, store: &Arc<Store>, events: &[Recorded]) -> Result<(), ProjectionError> {
        match self {
            Self::Accounts(accounts) => apply(store, accounts, events),
            Self::Clocks(clocks) => apply(store, clocks, events),
            Self::Answers(answers) => apply(store, answers, events),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::simulate;

    /// What a seed has shown once, it must show again: also on a machine on which everything takes another time.
    #[test]
    fn a_seed_is_the_same_run_each_time() -> anyhow::Result<()> {
        let stop = AtomicBool::new(false);
        let trace = |seed| anyhow::Ok(simulate(seed)?.map_err(|broken| anyhow::anyhow!("{broken}"))?.trace);
        std::thread::scope(|scope| {
            let first = trace(20_787_119);
            for _ in 0..2 {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                });
            }
            let second = trace(20_787_119);
            stop.store(true, Ordering::Relaxed);
            assert_eq!(first?, second?, "of one seed there are two runs");
            Ok(())
        })
    }
}
