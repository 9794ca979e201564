//! The list of an app, as far as it is believed: whole, new enough, and not suddenly without many who must be there.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use rollcall_config::AccountListConfig;
use rollcall_domain::access::account::{Account, Proof};
use rollcall_domain::access::desired::Target;
use rollcall_domain::access::rejection::RejectionCause;
use rollcall_domain::kv::KvError;
use rollcall_domain::{AppId, ledger};
use rollcall_event_log::Clock;
use rollcall_projection::Store;
use serde_json::Value;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Mutex;
use tokio::task::JoinError;
use tokio::time::Instant;
use tracing::info;
use url::Url;

use super::answers::answer;
use super::entries::{Entry, read};
use super::snapshot::{Content, Snapshot, Strangers};
use super::source::{Mark, Newest, Source};
use crate::app_client::client::Failure;
use crate::app_client::transport::{Exchange, Response, Secrets, Transport};

/// Where a list is asked that has no address of its own.
const NOWHERE: &str = "https://list.invalid/";

/// From so many missing on a list may be wrong as a whole: one may have been removed by hand.
const FEW: usize = 2;

/// The list of an app.
pub struct ListedApp {
    app: AppId,
    list: AccountListConfig,
    source: Box<dyn Source>,
    store: Arc<Store>,
    clock: Clock,
    known: Mutex<Known>,
}

impl fmt::Debug for ListedApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListedApp").field("app", &self.app).finish_non_exhaustive()
    }
}

/// What is known of the list.
#[derive(Debug, Default)]
struct Known {
    looked_at: Option<Instant>,
    mark: Option<Mark>,
    current: Option<Arc<Snapshot>>,
    /// Why the newest one is not believed.
    refused: Option<Refused>,
    /// Why it could not be looked at when that was tried last.
    trouble: Option<Failure>,
    generation: u64,
}

#[derive(Debug, Clone)]
struct Refused {
    failure: Failure,
    /// One that lacks many: who is told so, and syncs the app, says that they are gone.
    shrunk: Option<Arc<Snapshot>>,
}

impl ListedApp {
    pub fn new(app: AppId, list: AccountListConfig, source: Box<dyn Source>, store: Arc<Store>, clock: Clock) -> Self {
        Self { app, list, source, store, clock, known: Mutex::default() }
    }

    /// Where it is asked.
    ///
    /// # Errors
    /// Never, in practice.
    pub fn base() -> Result<Url, url::ParseError> {
        Url::parse(NOWHERE)
    }

    /// The newest list, if it is to be believed.
    ///
    /// # Errors
    /// Why it is not, or that there is none.
    pub async fn current(&self) -> Result<Arc<Snapshot>, Failure> {
        let now = (self.clock)();
        let mut known = self.known.lock().await;
        let is_due = known.looked_at.is_none_or(|at| at.elapsed() >= self.source.asked_every());
        if is_due {
            let mark = known.mark.clone();
            let newest = self.source.newest(mark.as_ref(), now).await;
            known.looked_at = Some(Instant::now());
            known.trouble = None;
            match newest {
                // The one before is as good as it was, for as long as it is not too old.
                Err(failure) => known.trouble = Some(failure),
                Ok(Newest::Same { as_of }) => self.still_so(&mut known, as_of),
                Ok(Newest::Unfinished) if known.current.is_some() || known.refused.is_some() => {}
                Ok(Newest::Unfinished) => {
                    known.trouble = Some(self.bad("it is being written, and none was read before"));
                }
                Ok(Newest::Other { mark, written_at, body }) => {
                    // Until it is read it is not the one that may still be so.
                    known.mark = None;
                    self.take(&mut known, written_at, body).await?;
                    known.mark = Some(mark);
                }
            }
        }
        if let Some(refused) = &known.refused {
            let Some(snapshot) = self.confirmed(refused) else { return Err(refused.failure.clone()) };
            info!(app = %self.app, "somebody says that those who are missing from the list are gone");
            known.current = Some(snapshot);
            known.refused = None;
        }
        let trouble = || known.trouble.clone().unwrap_or_else(|| self.bad("there is none"));
        let current = known.current.clone().ok_or_else(trouble)?;
        let age = Duration::try_from(now.duration_since(current.taken_at)).unwrap_or_default();
        if age > self.list.max_age {
            if let Some(trouble) = &known.trouble {
                return Err(trouble.clone());
            }
            let (taken_at, most) = (current.taken_at, SignedDuration::try_from(self.list.max_age).unwrap_or_default());
            return Err(
                self.bad(&format!("it is of {taken_at}, older than {most:#} (list.max_age): have a newer one written"))
            );
        }
        Ok(current)
    }

    /// The list that lacks many, where somebody who was told just that has synced the app; `None`: nobody has.
    fn confirmed(&self, refused: &Refused) -> Option<Arc<Snapshot>> {
        let snapshot = refused.shrunk.as_ref()?;
        let synced = ledger::synced(&self.store.view(), &self.app).ok().flatten()?;
        let is_meant = synced.told == refused.failure.rejection.detail;
        is_meant.then(|| Arc::new(snapshot.whole()))
    }

    /// The list is the one that was read before, and is so at a later time.
    fn still_so(&self, known: &mut Known, as_of: Option<Timestamp>) {
        let Some((as_of, current)) = as_of.zip(known.current.clone()) else { return };
        let taken_at = self.taken_at(as_of);
        if taken_at > current.taken_at {
            known.generation += 1;
            known.current = Some(Arc::new(current.as_of(taken_at, known.generation)));
        }
    }

    /// When a list was taken that was written then.
    fn taken_at(&self, written_at: Timestamp) -> Timestamp {
        let before = SignedDuration::try_from(self.list.written_after).unwrap_or_default();
        written_at.checked_sub(before).unwrap_or(Timestamp::MIN)
    }

    fn bad(&self, why: &str) -> Failure {
        Failure::new(RejectionCause::BadList, format!("the list of the accounts of {}: {why}", self.app))
    }

    /// Reads another list, and keeps it, or why it is not believed.
    async fn take(&self, known: &mut Known, written_at: Timestamp, body: Vec<u8>) -> Result<(), Failure> {
        let taken_at = self.taken_at(written_at);
        let refuse = |failure| Some(Refused { failure, shrunk: None });
        if let Some(current) = known.current.as_ref().filter(|current| current.taken_at > taken_at) {
            let why =
                format!("it is of {taken_at}, and one of {} was read before: a newer one counts", current.taken_at);
            known.refused = refuse(self.bad(&why));
            return Ok(());
        }
        let list = self.list.clone();
        let entries: Vec<Entry> = match aside(move || read(&list, &body)).await.map_err(|e| self.bad(&e.to_string()))? {
            Ok(entries) => entries,
            Err(why) => {
                known.refused = refuse(self.bad(&why));
                return Ok(());
            }
        };
        known.generation += 1;
        let content = Arc::new(Content::new(entries));
        let missing = self.missing(&content).map_err(|e| self.bad(&e.to_string()))?;
        let strangers = self.strangers(&content).map_err(|e| self.bad(&e.to_string()))?;
        let strangers = match &known.current {
            Some(before) => before.met(strangers, &content, taken_at),
            None => Strangers::of_the_first(strangers),
        };
        let snapshot = Arc::new(Snapshot::new(taken_at, known.generation, missing.all, strangers, content));
        let (missing, all) = (missing.suddenly, missing.known);
        let allowed = usize::try_from(self.list.max_missing_percent).unwrap_or(usize::MAX);
        if missing >= FEW && missing.saturating_mul(100) > allowed.saturating_mul(all) {
            let why = format!(
                "{missing} of {all} accounts that must be there are missing from the list of {taken_at} (list.max_missing_percent): if they \
                 are gone, say so: POST /v1/apps/{}/gone, or rollcall gone {}",
                self.app, self.app
            );
            let failure = Failure::new(RejectionCause::Vanished, why);
            known.refused = Some(Refused { failure, shrunk: Some(snapshot) });
            return Ok(());
        }
        info!(app = %self.app, accounts = snapshot.entries.len(), %taken_at, "a list was read");
        known.current = Some(snapshot);
        known.refused = None;
        Ok(())
    }

    /// The accounts that can be used, and are linked to nobody.
    fn strangers(&self, list: &Content) -> Result<Vec<usize>, KvError> {
        let view = self.store.view();
        let mut strangers = Vec::new();
        for (index, entry) in list.entries.iter().enumerate() {
            if entry.can_be_used() && ledger::linked(&view, &self.app, &entry.id)?.is_none() {
                strangers.push(index);
            }
        }
        Ok(strangers)
    }

    /// Who must be there, and was in a list before, and is not in this one.
    fn missing(&self, list: &Content) -> Result<Missing, KvError> {
        let view = self.store.view();
        let mut missing = Missing::default();
        for identity in ledger::identities_at(&view, &self.app)? {
            let Some(account) = ledger::account(&view, identity, &self.app)?.filter(was_there) else { continue };
            let Some(id) = &account.remote_id else { continue };
            let name = account.desired.user_name().unwrap_or_default();
            let is_named = list.by_attribute("userName", name).is_some_and(|found| !found.is_empty());
            let is_missing = list.by_id(id).is_none() && !is_named;
            missing.all += usize::from(is_missing);
            if account.proof() == Proof::Read {
                missing.known += 1;
                missing.suddenly += usize::from(is_missing);
            }
        }
        Ok(missing)
    }
}

/// Who must be there, and is not in a list.
#[derive(Debug, Default)]
struct Missing {
    /// Also those of whom that is known.
    all: usize,
    /// Those of whom it was not.
    suddenly: usize,
    /// How many were there when they were read last, and it was not otherwise since.
    known: usize,
}

/// Does work that takes a while on a thread of its own; where the runtime has only one, there: a run of the simulation does not
/// depend on how fast another thread is.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::CurrentThread => Ok(work()),
        _ => tokio::task::spawn_blocking(work).await,
    }
}

fn was_there(account: &Account) -> bool {
    account.desired.target() == Target::Present && account.observed.is_some()
}

impl Transport for ListedApp {
    fn exchange<'a>(&'a self, method: Method, address: Url, _: Option<&'a Value>) -> Exchange<'a> {
        Box::pin(async move {
            let snapshot = self.current().await?;
            let (status, body) = answer(&self.list, &snapshot, &method, &address);
            Ok(Response { status, retry_after: None, body: body.to_string().into_bytes(), secrets: Secrets::default() })
        })
    }
}
