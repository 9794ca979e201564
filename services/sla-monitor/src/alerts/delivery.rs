//! One loop per sink: it is told the difference between what is wrong and what it has accepted. What a sink has accepted
//! is an event, so that a restart neither loses an alert nor repeats it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use jiff::Timestamp;
use rollcall_config::News;
use rollcall_domain::alert::{About, Alert};
use rollcall_domain::{NewEvent, Sequence, ledger};
use rollcall_event_log::{EventLog, Expect, Lease, Unit};
use rollcall_projection::Store;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::alerts::condition::{AlertChange, AlertCondition, Rules, Surroundings, changes, conditions};
use crate::alerts::left_out::is_left_out;
use crate::alerts::message::{AlertMessage, Context, again, compose};
use crate::alerts::sinks::{Delivered, REPEAT, Sink};
use crate::alerts::told_here::ToldHere;
use crate::error::MonitorError;
use crate::meta::meta_for;

const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How many pieces of news are told before it is looked again what there is.
const BATCH: usize = 50;

/// How many of them may fail before that.
const MOST_FAILED: usize = 5;

/// How long the state may take to hold what was told.
const SETTLE: Duration = Duration::from_secs(60);

/// What all loops share.
#[derive(Debug)]
pub struct Shared {
    pub log: EventLog,
    pub store: Arc<Store>,
    pub rules: Rules,
    pub context: Context,
    /// How long a sink may fail before the others say so.
    pub patience: Duration,
    /// Holds while it is this monitor that tells.
    pub lease: Arc<Lease>,
    pub surroundings: Mutex<Surroundings>,
    /// The time to go by.
    pub now: Mutex<Timestamp>,
}

impl Shared {
    /// The time to go by.
    pub fn now(&self) -> Timestamp {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything that is wrong at a time.
    fn conditions(&self, now: Timestamp, tells: &BTreeSet<News>) -> Result<Vec<AlertCondition>, MonitorError> {
        let most_tasks = if tells.contains(&News::Tasks) { self.rules.most_tasks } else { 0 };
        let rules = Rules { most_tasks, ..self.rules.clone() };
        let surroundings = self.surroundings.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(conditions(&self.store.view(), now, &rules, &surroundings)?)
    }

    fn log_is_away(&self) -> bool {
        self.surroundings.lock().unwrap_or_else(PoisonError::into_inner).log_is_away.is_some()
    }

    /// Whether it is for this monitor to say that someone watches, and what is wrong.
    fn tells_the_sink(&self) -> bool {
        self.lease.is_held() || self.log_is_away()
    }

    /// Notes what is seen around.
    pub fn see(&self, change: impl FnOnce(&mut Surroundings)) {
        change(&mut self.surroundings.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Keeps one sink in line with what is wrong.
pub struct AlertLoop {
    pub shared: Arc<Shared>,
    pub sink: Sink,
    /// What can't be on the log, because it is the log that is wrong.
    told_here: ToldHere,
    /// Since when which news is tried to be told, by its key and level.
    tried: BTreeMap<(String, u32), Timestamp>,
    failing_since: Option<Instant>,
    /// Whether somebody whom the sink is for was not reached when all were told last.
    reaches_some_only: bool,
    /// Where the log was when it became this monitor that tells; `None`: it is another one.
    on_duty_from: Option<Sequence>,
}

/// When a delivery is tried again.
struct Retry {
    until: Instant,
    pauses: ExponentialBackoff,
}

impl AlertLoop {
    /// One that knows what an earlier process has told; `folder` is the monitor's own.
    pub fn new(shared: Arc<Shared>, sink: Sink, folder: &Path) -> Self {
        let told_here = ToldHere::open(folder, &sink.name);
        Self {
            shared,
            sink,
            told_here,
            tried: BTreeMap::new(),
            failing_since: None,
            reaches_some_only: false,
            on_duty_from: None,
        }
    }

    /// Runs until `stop`. A sink that fails is tried for as long as there is news for it.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut retries: BTreeMap<String, Retry> = BTreeMap::new();
        let mut repeat_at = Instant::now();
        let mut changed = self.shared.store.watch();
        while !stop.is_cancelled() {
            changed.mark_unchanged();
            let found = self.look().await.unwrap_or_else(|e| {
                warn!(error = %e, "the alerts can't be read");
                Vec::new()
            });
            let keys: BTreeSet<String> = found.iter().map(|item| item.about().key()).collect();
            retries.retain(|key, _| keys.contains(key));
            self.tried.retain(|(key, _), _| keys.contains(key));
            let (mut told, mut failed) = (0, 0);
            for item in found {
                // What is wrong meanwhile is not to wait for many tasks, nor for a receiver that takes nothing.
                if told >= BATCH || failed >= MOST_FAILED {
                    break;
                }
                let key = item.about().key();
                if stop.is_cancelled() || retries.get(&key).is_some_and(|retry| retry.until > Instant::now()) {
                    continue;
                }
                told += 1;
                match self.tell(&item).await {
                    Ok(()) => drop(retries.remove(&key)),
                    // It may be delivered: whether it is on the log is seen after the next start.
                    Err(_) if stop.is_cancelled() => {}
                    Err(e) => {
                        warn!(error = %e, key, "an alert is not delivered yet");
                        failed += 1;
                        let fresh = || Retry { until: Instant::now(), pauses: patience() };
                        let retry = retries.entry(key).or_insert_with(fresh);
                        retry.until = Instant::now() + retry.pauses.next().unwrap_or(LOOK_AGAIN);
                    }
                }
            }
            if self.sink.forgets() && repeat_at <= Instant::now() && self.shared.tells_the_sink() {
                repeat_at = Instant::now() + REPEAT;
                if let Err(e) = self.repeat().await {
                    warn!(error = %e, "what is wrong can't be said again");
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_AGAIN) => {}
                changed = changed.changed(), if retries.is_empty() => if changed.is_err() { return },
            }
        }
    }

    fn firing(&self) -> Result<Vec<Alert>, MonitorError> {
        let mut message = ledger::firing_alerts(&self.shared.store.view())?;
        message.retain(|alert| alert.sink == self.sink.name);
        message.extend(self.told_here.alerts().cloned());
        Ok(message)
    }

    /// What this sink has to be told. Whether the log can be reached is for each monitor to say, on duty or not: without
    /// the log nobody can be on duty.
    async fn look(&mut self) -> Result<Vec<AlertChange>, MonitorError> {
        let shared = &self.shared;
        let on_duty = shared.lease.is_held();
        match self.on_duty_from {
            None if on_duty => self.on_duty_from = Some(shared.log.head().await?),
            Some(_) if !on_duty => self.on_duty_from = None,
            _ => {}
        }
        if !on_duty && !shared.log_is_away() && self.told_here.is_empty() {
            return Ok(Vec::new());
        }
        // What another has told before must not be told again.
        let knows = self.on_duty_from.is_some_and(|from| shared.store.cursor() >= from);
        let now = shared.now();
        let mut found = changes(
            &shared.conditions(now, &self.sink.tells)?,
            &self.firing()?,
            (&self.sink.name, &self.sink.tells),
            now,
            &shared.rules,
        );
        found.retain(|item| match item.about() {
            About::Log => true,
            About::Lag => on_duty,
            _ => knows,
        });
        let view = shared.store.view();
        let mut news = Vec::new();
        for item in found {
            let is_over = matches!(&item, AlertChange::Resolve(_));
            if !is_over || !is_left_out(&view, &item.about(), now, &shared.rules)? {
                news.push(item);
            }
        }
        // Somebody who still has access comes before what people have to do.
        news.sort_by_key(|item| matches!(item.about(), About::Task { .. }));
        Ok(news)
    }

    fn message(&self, item: &AlertChange) -> Result<AlertMessage, MonitorError> {
        Ok(compose(&self.shared.store.view(), item, &self.shared.context, self.shared.now())?)
    }

    async fn tell(&mut self, item: &AlertChange) -> Result<(), MonitorError> {
        let mut message = self.message(item)?;
        let news = (message.key.clone(), message.level.0);
        message.news_since = *self.tried.entry(news.clone()).or_insert(message.news_since);
        if !matches!(item, AlertChange::Forget(_)) {
            let delivered = self.sink.deliver(&message, self.shared.now()).await;
            self.note(&delivered);
            delivered?;
        }
        info!(key = message.key, sink = self.sink.name, level = message.level.0, "alert delivered");
        let (sink, key) = (self.sink.name.clone(), message.key.clone());
        let firing = matches!(item, AlertChange::Fire(..));
        if message.about == About::Log {
            if firing {
                let (about, level, summary) = (message.about, message.level, message.summary);
                self.told_here.insert(Alert { key, sink, about, level, summary, fired_at: self.shared.now() });
            } else {
                self.told_here.remove(&key);
            }
            self.tried.remove(&news);
            return Ok(());
        }
        let summary = match item {
            AlertChange::Fire(..) => message.summary,
            AlertChange::Resolve(alert) | AlertChange::Forget(alert) => alert.summary.clone(),
        };
        let event = item.event(&sink, summary);
        let view = self.shared.store.view();
        let account = match message.about {
            About::Leaver { identity, opened_by } => ledger::account_of_leaver(&view, identity, opened_by)?,
            _ => None,
        };
        let meta = meta_for(&view, account, &key)?;
        let appended = self.shared.log.append(&Unit::one(NewEvent { meta, event }, Expect::Any)).await?;
        self.tried.remove(&news);
        self.shared.store.wait_for(appended.last, SETTLE).await?;
        Ok(())
    }

    async fn repeat(&mut self) -> Result<(), MonitorError> {
        let (now, rules) = (self.shared.now(), &self.shared.rules);
        let told = self.firing()?;
        let mut firing = Vec::new();
        let keys: BTreeSet<&str> = told.iter().map(|alert| alert.key.as_str()).collect();
        let mut listed = BTreeSet::new();
        for item in self.shared.conditions(now, &self.sink.tells)? {
            let key = item.about().key();
            if keys.contains(key.as_str()) {
                let level = item.level(now, rules);
                firing.push(self.message(&AlertChange::Fire(item, level))?);
                listed.insert(key);
            }
        }
        let view = self.shared.store.view();
        for alert in told.iter().filter(|alert| !listed.contains(&alert.key)) {
            if is_left_out(&view, &alert.about, now, rules)? {
                firing.push(again(&view, alert, &self.shared.context, now)?);
            }
        }
        let delivered = self.sink.repeat(&firing, now).await.map(|()| Delivered::ToAll);
        self.note(&delivered);
        delivered.map(drop)
    }

    /// A sink that fails for too long is something that the others have to say.
    fn note(&mut self, delivered: &Result<Delivered, MonitorError>) {
        let name = self.sink.name.clone();
        let reason = match delivered {
            Ok(Delivered::NotSent | Delivered::NotToAll) => return,
            // Whoever is refused is so still.
            Ok(Delivered::ToOne) if self.reaches_some_only => return,
            Ok(Delivered::ToAll | Delivered::ToOne) => {
                (self.failing_since, self.reaches_some_only) = (None, false);
                self.shared.see(|s| drop(s.failing_sinks.remove(&name)));
                return;
            }
            // It will be so the next time as well.
            Ok(Delivered::ToSome { reason }) => {
                warn!(sink = name, reason, "an alert is delivered to some only");
                self.reaches_some_only = true;
                return self.shared.see(|s| drop(s.failing_sinks.insert(name, reason.clone())));
            }
            Err(e) => e.to_string(),
        };
        let since = *self.failing_since.get_or_insert_with(Instant::now);
        if since.elapsed() >= self.shared.patience {
            self.shared.see(|s| drop(s.failing_sinks.insert(name, reason)));
        }
    }
}

fn patience() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_secs(1))
        .with_max_delay(Duration::from_secs(60))
        .with_jitter()
        .without_max_times()
        .build()
}
