//! When an app is drilled, and the drill that runs; one that was cut off is cleaned up after first.

use std::sync::Arc;
use std::time::Duration;

use rollcall_config::DrillSettings;
use rollcall_domain::app::drill::{Canary, Drill, DrillEvent, Drilled};
use rollcall_domain::{Event, directory, ledger};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};
use uuid::Uuid;

use crate::app_client::client::Failure;
use crate::drill::canary::{Person, known_as, word_of};
use crate::drill::course::{Journal, in_words};
use crate::drill::rehearsal::course;
use crate::error::ProvisionerError;
use crate::search::look::Search;
use crate::work::connector::{Connector, Link};
use crate::work::error::WorkError;

/// How soon an app whose hours are over is looked at again, and one whose drill could not be cleaned up after.
const LATER: Duration = Duration::from_secs(60);

/// The drills of one app.
pub struct Drills {
    connector: Arc<Connector>,
    due: Option<Instant>,
    running: Option<AbortOnDropHandle<()>>,
}

impl Drills {
    /// Goes on where an earlier process was.
    pub fn new(connector: Arc<Connector>) -> Self {
        let mut drills = Self { connector, due: None, running: None };
        drills.plan();
        drills
    }

    fn known(&self) -> Drilled {
        ledger::drilled(&self.connector.store.view(), &self.connector.app).unwrap_or_default()
    }

    fn settings(&self) -> Option<&DrillSettings> {
        self.connector.link.as_ref().map(|link| &link.config.drill)
    }

    /// Works out when the next one is due by itself.
    fn plan(&mut self) {
        let Some(every) = self.settings().and_then(|settings| settings.every) else { return };
        let since = self.known().ended_at.map(|at| Duration::try_from((self.connector.clock)().duration_since(at)));
        let wait = since.map_or(LATER, |since| every.saturating_sub(since.unwrap_or_default()));
        self.due = Some(Instant::now() + wait.min(every));
    }

    /// Whether one runs.
    pub const fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Starts one when it is time, when someone has asked for one, or when one was cut off.
    pub fn turn(&mut self) {
        let Some(settings) = self.settings().filter(|_| self.running.is_none()) else { return };
        let known = self.known();
        let is_due = self.due.is_some_and(|due| due <= Instant::now());
        let is_open = settings.hours.as_ref().is_none_or(|hours| hours.are_now((self.connector.clock)()));
        if is_due && !is_open {
            self.due = Some(Instant::now() + LATER);
        }
        // What was cut off may have left an account: that waits for no hours.
        if known.running.is_none() && known.requested.is_none() && !(is_due && is_open) {
            return;
        }
        let connector = Arc::clone(&self.connector);
        self.running = Some(AbortOnDropHandle::new(tokio::spawn(async move { run(&connector, known).await })));
    }

    /// When it is time again.
    pub const fn wake(&self) -> Option<Instant> {
        self.due
    }

    /// Waits for the end of the drill that runs; for ever when none does.
    pub async fn ended(&mut self) {
        let Some(running) = &mut self.running else { return std::future::pending().await };
        let _ = running.await;
        self.running = None;
        self.plan();
    }

    /// Cuts off the drill that runs; the next process cleans up after it.
    pub async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.abort();
            let _ = running.await;
        }
    }
}

/// What the app has made is on the log before anything else is asked of it.
struct OnTheLog<'a>(&'a Connector);

impl Journal for OnTheLog<'_> {
    async fn made(&self, remote_id: &str) -> Result<(), ProvisionerError> {
        say(self.0, DrillEvent::Made { remote_id: remote_id.to_owned() }).await
    }
}

async fn say(connector: &Connector, event: DrillEvent) -> Result<(), ProvisionerError> {
    connector.say(Event::Drill(Drill { app: connector.app.clone(), event })).await.map(drop)
}

async fn run(connector: &Connector, known: Drilled) {
    let Some(link) = &connector.link else { return };
    let outcome = match &known.running {
        Some(running) => recover(connector, link, &running.canary, &running.made, &known.left_behind).await,
        None => drill(connector, link, &known.left_behind).await,
    };
    if let Err(e) = outcome {
        warn!(app = %connector.app, error = %e, "what came of the drill is not on the log");
        // The log may be away: whatever is there of it is cleaned up after later.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Cleans up after a drill that was cut off.
async fn recover(
    connector: &Connector,
    link: &Link,
    canary: &Canary,
    made: &[String],
    earlier: &[String],
) -> Result<(), ProvisionerError> {
    let can = connector.capabilities(&link.config)?;
    let search =
        Search { client: &link.client, can: &can, max_scan: link.config.max_scan, controls: &connector.controls };
    let journal = OnTheLog(connector);
    // Under another pattern by now it may have been renamed in a way that nobody knows: its id is on the log.
    let word = word_of(&link.config.spec, &link.config.drill.user_name, &canary.user_name).unwrap_or_default();
    let mut course = course(&link.config, &link.memberships, search, &journal, canary.clone(), &word);
    course.made = made.to_vec();
    match course.clean_up(earlier).await {
        Ok(left_behind) => say(connector, DrillEvent::Failed { detail: "it was cut off".into(), left_behind }).await,
        Err(failure) => {
            warn!(app = %connector.app, detail = failure.rejection.detail, "a drill that was cut off can't be cleaned up after");
            tokio::time::sleep(LATER).await;
            Ok(())
        }
    }
}

async fn drill(connector: &Connector, link: &Link, earlier: &[String]) -> Result<(), ProvisionerError> {
    let can = connector.capabilities(&link.config)?;
    let search =
        Search { client: &link.client, can: &can, max_scan: link.config.max_scan, controls: &connector.controls };
    let id = Uuid::now_v7().simple().to_string();
    let word = id.get(id.len().saturating_sub(10)..).unwrap_or(&id);
    let (spec, pattern) = (&link.config.spec, &link.config.drill.user_name);
    let Some(canary) = known_as(&Person::new(spec, pattern, word).attributes(spec)) else {
        let detail = "the mapping gives the canary no userName: mend [apps.attributes]".to_owned();
        return say(connector, DrillEvent::Failed { detail, left_behind: earlier.to_vec() }).await;
    };
    if directory::identity_by_user_name(&connector.store.view(), &canary.user_name)?.is_some() {
        let detail = format!("'{}' is somebody's user name: choose another [apps.drill] user_name", canary.user_name);
        return say(connector, DrillEvent::Failed { detail, left_behind: earlier.to_vec() }).await;
    }
    let journal = OnTheLog(connector);
    let mut course = course(&link.config, &link.memberships, search, &journal, canary.clone(), word);
    // First what an earlier one has left: a second account may be a second seat.
    let left = match course.clean_up(earlier).await {
        Ok(left) => left,
        Err(failure) => return fail(connector, &failure, earlier.to_vec()).await,
    };
    if !left.is_empty() {
        let detail = format!("an earlier drill has left {} there: remove it by hand", left.join(", "));
        return say(connector, DrillEvent::Failed { detail, left_behind: left }).await;
    }
    info!(app = %connector.app, canary = canary.user_name, "drilled");
    say(connector, DrillEvent::Started(canary)).await?;
    let ran = course.run().await;
    let cleaned = course.clean_up(&[]).await;
    let left_behind = match &cleaned {
        Ok(left) => left.clone(),
        Err(_) => course.made.clone(),
    };
    // What its answers have taught holds for everybody's accounts.
    connector.learn_ways().await?;
    match (ran, cleaned) {
        (Err(WorkError::Ours(e)), _) => Err(e),
        (Err(WorkError::App(failure)), _) | (Ok(()), Err(failure)) => fail(connector, &failure, left_behind).await,
        (Ok(()), Ok(left)) => {
            course.cleaned(&left);
            say(connector, DrillEvent::Completed { results: course.results, left_behind }).await
        }
    }
}

async fn fail(connector: &Connector, failure: &Failure, left_behind: Vec<String>) -> Result<(), ProvisionerError> {
    let detail = in_words(failure);
    warn!(app = %connector.app, detail, "the app can't be drilled");
    say(connector, DrillEvent::Failed { detail, left_behind }).await
}
