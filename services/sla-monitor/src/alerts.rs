//! One alert per departure and sink: fired when its first obligation is overdue, resolved when none is any more.
//! What a sink has accepted is an event, so that a restart neither loses an alert nor repeats it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use rollcall_domain::alert::{About, Alert, AlertChanged};
use rollcall_domain::guard::Hold;
use rollcall_domain::health::Quarantine;
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::leaver::Leaver;
use rollcall_domain::{AppId, Event, IdentityId, NewEvent, directory, ledger};
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
    Fire(Wrong),
    Resolve(Alert),
}

/// Something that is wrong now.
#[derive(Debug, Clone, PartialEq)]
enum Wrong {
    Leaver(Leaver),
    Quarantine(Quarantine),
    Hold(Hold),
}

impl Wrong {
    fn about(&self) -> About {
        match self {
            Self::Leaver(l) => About::Leaver { identity: l.identity, opened_by: l.opened_by },
            Self::Quarantine(q) => About::Quarantine { app: q.app.clone(), by: q.by },
            Self::Hold(h) => About::Hold { source: h.source.clone(), by: h.by },
        }
    }
}

impl News {
    fn about(&self) -> About {
        match self {
            Self::Fire(wrong) => wrong.about(),
            Self::Resolve(alert) => alert.about.clone(),
        }
    }

    fn key(&self) -> String {
        self.about().key()
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
        let summary = match news {
            News::Fire(wrong) => summary(&view, wrong)?,
            News::Resolve(alert) => alert.summary.clone(),
        };
        self.sink.deliver(&message(&view, news, &summary)?).await?;
        let (key, about) = (news.key(), news.about());
        let changed = AlertChanged { key, sink: self.sink.name.clone(), about, summary };
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

fn wrong(state: &impl Read) -> Result<Vec<Wrong>, KvError> {
    let leavers = ledger::open_leavers(state)?.into_iter().filter(|l| !l.overdue.is_empty()).map(Wrong::Leaver);
    let quarantines = ledger::quarantines(state)?.into_iter().map(Wrong::Quarantine);
    let holds = ledger::holds(state)?.into_iter().map(Wrong::Hold);
    Ok(leavers.chain(quarantines).chain(holds).collect())
}

fn news(state: &impl Read, sink: &str) -> Result<Vec<News>, KvError> {
    let firing: Vec<Alert> = ledger::firing_alerts(state)?.into_iter().filter(|a| a.sink == sink).collect();
    let wrong: BTreeMap<String, Wrong> = wrong(state)?.into_iter().map(|w| (w.about().key(), w)).collect();
    let told: BTreeSet<&str> = firing.iter().map(|a| a.key.as_str()).collect();
    let fire = wrong.iter().filter(|(key, _)| !told.contains(key.as_str())).map(|(_, w)| News::Fire(w.clone()));
    let resolve = firing.iter().filter(|a| !wrong.contains_key(&a.key)).cloned().map(News::Resolve);
    Ok(fire.chain(resolve).collect())
}

fn summary(state: &impl Read, wrong: &Wrong) -> Result<String, KvError> {
    let named = |app: &AppId| Ok(directory::app(state, app)?.map_or_else(|| app.to_string(), |a| a.spec.name));
    Ok(match wrong {
        Wrong::Leaver(leaver) => {
            let who = directory::identity(state, leaver.identity)?
                .map_or_else(|| leaver.identity.to_string(), |i| i.user_name().to_owned());
            let apps = leaver.overdue.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            format!("{who} left at {} and still has access, past the deadline, in: {apps}", leaver.left_at)
        }
        Wrong::Quarantine(quarantine) => {
            let (app, detail) = (named(&quarantine.app)?, &quarantine.rejection.detail);
            format!("{app} is left alone since {}: it failed again and again, at last with: {detail}", quarantine.since)
        }
        Wrong::Hold(hold) => {
            let (source, app, removals) = (&hold.source, named(&hold.app)?, hold.removals);
            format!(
                "the removals of source {source} wait for a decision: {removals} accounts in {app} are more than usual"
            )
        }
    })
}

fn message(state: &impl Read, news: &News, summary: &str) -> Result<Value, KvError> {
    let about = news.about();
    let status = match news {
        News::Fire(_) => "firing",
        News::Resolve(_) => "resolved",
    };
    let mut message = json!({
        "alert": about.name(),
        "status": status,
        "key": news.key(),
        "severity": "critical",
        "summary": summary,
    });
    let Some(fields) = message.as_object_mut() else { return Ok(message) };
    match &about {
        About::Leaver { identity, .. } => {
            let leaver = match news {
                News::Fire(Wrong::Leaver(leaver)) => Some(leaver),
                _ => None,
            };
            let user_name = directory::identity(state, *identity)?.map(|i| i.user_name().to_owned());
            fields.insert("identity".into(), json!({ "id": identity, "userName": user_name }));
            fields.insert("left_at".into(), json!(leaver.map(|l| l.left_at)));
            fields.insert("apps".into(), apps_of(state, *identity, leaver)?.into());
            fields.insert("timeline".into(), format!("/v1/identities/{identity}/timeline").into());
        }
        About::Quarantine { app, .. } => {
            let owner = directory::app(state, app)?.map(|a| a.spec.owner);
            fields.insert("apps".into(), json!([{ "app": app, "owner": owner }]));
        }
        About::Hold { source, .. } => {
            fields.insert("source".into(), json!(source));
            fields.insert("decide".into(), format!("/v1/holds/{source}").into());
        }
    }
    Ok(message)
}

fn apps_of(state: &impl Read, identity: IdentityId, leaver: Option<&Leaver>) -> Result<Vec<Value>, KvError> {
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
    Ok(apps)
}
