//! What is needed to work on the accounts of one app, and what it says on the log.

use std::sync::Arc;
use std::time::Duration;

use rollcall_config::AppConfig;
use rollcall_domain::access::account::Account;
use rollcall_domain::access::rejection::RejectionCause;
use rollcall_domain::app::AppSpec;
use rollcall_domain::app::capability::{Capabilities, Discovered};
use rollcall_domain::app::drill::DrillEvent;
use rollcall_domain::drift::{DriftDetected, DriftItem};
use rollcall_domain::{AppId, Event, NewEvent, Sequence, directory, ledger};
use rollcall_event_log::{Clock, Expect, Log, Unit, by_service};
use rollcall_projection::Store;
use rollcall_scim::Changed;

use crate::app_client::client::{Failure, ScimClient};
use crate::app_client::memberships::Memberships;
use crate::app_client::transport::Secrets;
use crate::error::ProvisionerError;
use crate::list::listed::ListedApp;
use crate::search::controls::Controls;
use crate::search::wanted::Wanted;
use crate::work::claims::Claims;
use crate::work::error::WorkError;
use crate::work::left_groups::LeftGroups;
use crate::work::settled::Settled;
use crate::work::unanswered::Unanswered;

/// What is needed to work on the accounts of one app.
pub struct Connector {
    pub log: Arc<dyn Log>,
    pub clock: Clock,
    pub store: Arc<Store>,
    pub app: AppId,
    pub settled: Settled,
    pub left_groups: LeftGroups,
    pub claims: Claims,
    pub unanswered: Unanswered,
    pub controls: Controls,
    /// How to reach it; `None`: it can't be, and `unreachable` says why.
    pub link: Option<Link>,
    pub unreachable: String,
}

/// An app that can be reached.
#[derive(Debug)]
pub struct Link {
    pub config: AppConfig,
    pub client: ScimClient,
    pub memberships: Memberships,
    /// The list that is all that can be read of it; `None`: it is asked itself.
    pub list: Option<Arc<ListedApp>>,
}

/// The name in events, metrics and folders.
pub const NAME: &str = "provisioner";

impl Connector {
    /// Whether what is done is done by the settings that the log has of the app.
    pub fn has_newest_settings(&self) -> Result<bool, ProvisionerError> {
        let known = directory::app(&self.store.view(), &self.app)?;
        Ok(known.zip(self.link.as_ref()).is_some_and(|(app, link)| app.spec == link.config.spec))
    }

    /// The version of the app that its settings have now.
    pub fn app_version(&self) -> Result<Option<Sequence>, ProvisionerError> {
        Ok(directory::app(&self.store.view(), &self.app)?.map(|app| app.version))
    }

    /// What the app can do, as configured and as learned.
    pub fn capabilities(&self, config: &AppConfig) -> Result<Capabilities, ProvisionerError> {
        let learned = ledger::capabilities(&self.store.view(), &self.app)?.unwrap_or_default();
        Ok(config.spec.capabilities.over(&learned))
    }

    /// Says what the app's answers have taught, when that is more than is known: its own ways of keeping attributes, quirks, the
    /// form of PATCH that it takes.
    pub async fn learn_ways(&self) -> Result<(), ProvisionerError> {
        let Some(link) = &self.link else { return Ok(()) };
        let view = self.store.view();
        let known = ledger::capabilities(&view, &self.app)?.unwrap_or_default();
        let mut now = link.client.experience.over(&known);
        now.keeps.extend(ledger::shown_ways(&view, &self.app)?);
        if now == known {
            return Ok(());
        }
        self.say(Event::AppDiscovered(Discovered { app: self.app.clone(), capabilities: now })).await.map(drop)
    }

    /// Whether the same drift is open already.
    pub fn is_known(&self, drift: &DriftDetected) -> Result<bool, ProvisionerError> {
        let open = ledger::drift_of(&self.store.view(), &drift.id.app, drift.id.identity)?;
        let same = |item: &DriftItem| {
            item.id == drift.id && item.differences == drift.differences && item.version == drift.version
        };
        Ok(open.iter().any(same))
    }

    pub fn not_connected(&self) -> Failure {
        Failure::new(RejectionCause::NotConnected, self.unreachable.clone())
    }

    pub fn wanted(&self, spec: &AppSpec, account: &Account, can: &Capabilities) -> Result<Wanted, WorkError> {
        let of = self.second_of(account)?.unwrap_or(account.identity);
        Ok(Wanted::of(&self.store.view(), spec, account, of, can, (self.clock)())?)
    }

    /// Appends, and waits until our own state holds it: the next decision must know.
    pub async fn append(&self, account: &Account, event: Event) -> Result<Sequence, ProvisionerError> {
        self.append_all(account, [event]).await
    }

    /// The same for several that nobody must see one without the other.
    pub async fn append_all(
        &self,
        account: &Account,
        events: impl IntoIterator<Item = Event>,
    ) -> Result<Sequence, ProvisionerError> {
        let story = ledger::causation_of(&self.store.view(), account)?;
        let (correlation_id, caused_by) = story.map(|s| (s.correlation_id, s.caused_by)).unzip();
        let correlation_id = correlation_id.unwrap_or_default();
        let mut unit = Unit::default();
        for event in events {
            let event = self.without_secrets(event);
            unit.push(NewEvent { meta: by_service(NAME, &correlation_id, caused_by), event }, Expect::Any);
        }
        self.settle(&unit).await
    }

    /// The same for what follows from no account.
    pub async fn say(&self, event: Event) -> Result<Sequence, ProvisionerError> {
        let event = self.without_secrets(event);
        self.settle(&Unit::one(NewEvent { meta: by_service(NAME, "", None), event }, Expect::Any)).await
    }

    /// An app may show what it was sent to know us by: that leaves us in no event.
    fn without_secrets(&self, event: Event) -> Event {
        let Some(token) = self.link.as_ref().and_then(|link| link.config.token.as_ref()) else { return event };
        let secrets: Secrets = token.to_send().into_iter().collect();
        let clean = |changes: &mut Vec<Changed>| {
            for value in changes.iter_mut().filter_map(|change| change.after.as_mut()) {
                secrets.out_of_value(value);
            }
        };
        match event {
            Event::AccountVerified(mut verified) => {
                verified.observed.values_mut().for_each(|value| secrets.out_of_value(value));
                clean(&mut verified.differences);
                Event::AccountVerified(verified)
            }
            Event::Drill(mut drill) => {
                match &mut drill.event {
                    DrillEvent::Completed { results, .. } => {
                        results.iter_mut().for_each(|result| result.detail = secrets.out_of(&result.detail));
                    }
                    DrillEvent::Failed { detail, .. } => *detail = secrets.out_of(detail),
                    DrillEvent::Requested | DrillEvent::Started(_) | DrillEvent::Made { .. } => {}
                }
                Event::Drill(drill)
            }
            Event::DriftDetected(mut drift) => {
                clean(&mut drift.differences);
                drift.user_name = secrets.out_of(&drift.user_name);
                Event::DriftDetected(drift)
            }
            other => other,
        }
    }

    pub async fn settle(&self, unit: &Unit) -> Result<Sequence, ProvisionerError> {
        let appended = self.log.append(unit).await?;
        self.store.wait_for(appended.last, Duration::from_secs(60)).await?;
        Ok(appended.last)
    }
}
