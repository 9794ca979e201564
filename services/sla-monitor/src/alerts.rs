//! One alert per departure and sink: fired when its first obligation is overdue, resolved when none is any more.
//! What a sink has accepted is an event, so that a restart neither loses an alert nor repeats it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use rollcall_domain::alert::{Alert, AlertChanged, leaver_key};
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::leaver::Leaver;
use rollcall_domain::{Event, NewEvent, directory, ledger};
use rollcall_event_log::{EventLog, Expect, Unit, by_service};
use rollcall_projection::Store;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::error::MonitorError;
use crate::service::NAME;
use crate::webhook::Webhook;

const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Keeps one sink in line with who is overdue.
#[derive(Debug)]
pub struct AlertLoop {
    pub log: EventLog,
    pub store: Arc<Store>,
    pub sink: Webhook,
}

/// What a sink has to be told.
#[derive(Debug, Clone, PartialEq)]
enum News {
    Fire(Leaver),
    Resolve(Alert),
}

impl News {
    fn key(&self) -> String {
        match self {
            Self::Fire(leaver) => leaver_key(leaver.identity, leaver.opened_by),
            Self::Resolve(alert) => alert.key.clone(),
        }
    }
}

impl AlertLoop {
    /// Runs until `stop`. A sink that fails is tried for as long as there is news for it.
    pub async fn run(self, stop: CancellationToken) {
        let mut retries: BTreeMap<String, (Instant, ExponentialBackoff)> = BTreeMap::new();
        let mut changed = self.store.watch();
        while !stop.is_cancelled() {
            changed.mark_unchanged();
            let news = news(&self.store.view(), &self.sink.name).unwrap_or_else(|e| {
                warn!(error = %e, "the alerts can't be read");
                Vec::new()
            });
            retries.retain(|key, _| news.iter().any(|n| n.key() == *key));
            for item in news {
                let key = item.key();
                if stop.is_cancelled() || retries.get(&key).is_some_and(|(until, _)| *until > Instant::now()) {
                    continue;
                }
                match self.tell(&item).await {
                    Ok(()) => {
                        retries.remove(&key);
                    }
                    Err(e) => {
                        warn!(error = %e, key, "an alert is not delivered yet");
                        let (until, pauses) = retries.entry(key).or_insert_with(|| (Instant::now(), patience()));
                        *until = Instant::now() + pauses.next().unwrap_or(LOOK_AGAIN);
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_AGAIN) => {}
                changed = changed.changed(), if retries.is_empty() => if changed.is_err() { return },
            }
        }
    }

    async fn tell(&self, news: &News) -> Result<(), MonitorError> {
        let view = self.store.view();
        let (identity, summary) = match news {
            News::Fire(leaver) => (leaver.identity, summary(&view, leaver)?),
            News::Resolve(alert) => (alert.identity, alert.summary.clone()),
        };
        self.sink.deliver(&message(&view, news, &summary)?).await?;
        let changed = AlertChanged { key: news.key(), sink: self.sink.name.clone(), identity, summary };
        info!(key = changed.key, sink = changed.sink, "alert delivered");
        let event = match news {
            News::Fire(_) => Event::AlertFired(changed),
            News::Resolve(_) => Event::AlertResolved(changed),
        };
        let meta = by_service(NAME, &news.key(), None);
        let appended = self.log.append(&Unit::one(NewEvent { meta, event }, Expect::Any)).await?;
        self.store.wait_for(appended.last, Duration::from_secs(60)).await?;
        Ok(())
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

fn news(state: &impl Read, sink: &str) -> Result<Vec<News>, KvError> {
    let firing: Vec<Alert> = ledger::firing_alerts(state)?.into_iter().filter(|a| a.sink == sink).collect();
    let overdue: Vec<Leaver> =
        ledger::open_leavers(state)?.into_iter().filter(|leaver| !leaver.overdue.is_empty()).collect();
    let key = |leaver: &Leaver| leaver_key(leaver.identity, leaver.opened_by);
    let fire = overdue.iter().filter(|l| !firing.iter().any(|a| a.key == key(l))).cloned().map(News::Fire);
    let resolve = firing.iter().filter(|a| !overdue.iter().any(|l| key(l) == a.key)).cloned().map(News::Resolve);
    Ok(fire.chain(resolve).collect())
}

fn summary(state: &impl Read, leaver: &Leaver) -> Result<String, KvError> {
    let who = directory::identity(state, leaver.identity)?
        .map_or_else(|| leaver.identity.to_string(), |i| i.user_name().to_owned());
    let apps = leaver.overdue.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    Ok(format!("{who} left at {} and still has access, past the deadline, in: {apps}", leaver.left_at))
}

fn message(state: &impl Read, news: &News, summary: &str) -> Result<Value, KvError> {
    let (status, identity, leaver) = match news {
        News::Fire(leaver) => ("firing", leaver.identity, Some(leaver)),
        News::Resolve(alert) => ("resolved", alert.identity, None),
    };
    let mut apps = Vec::new();
    for id in leaver.into_iter().flat_map(|l| &l.overdue) {
        let app = directory::app(state, id)?;
        let account = ledger::account(state, identity, id)?;
        apps.push(json!({
            "app": id,
            "name": app.as_ref().map(|a| a.spec.name.as_str()),
            "owner": app.as_ref().map(|a| a.spec.owner.as_str()),
            "last_failure": account.and_then(|a| a.rejection),
        }));
    }
    let user_name = directory::identity(state, identity)?.map(|i| i.user_name().to_owned());
    Ok(json!({
        "alert": "LeaverOverdue",
        "status": status,
        "key": news.key(),
        "severity": "critical",
        "summary": summary,
        "identity": { "id": identity, "userName": user_name },
        "left_at": leaver.map(|l| l.left_at),
        "apps": apps,
        "timeline": format!("/v1/identities/{identity}/timeline"),
    }))
}
