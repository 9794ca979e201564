//! When an app is drilled, and the drill that runs; one that was cut off is cleaned up after first.

use std::sync::Arc;
use std::time::Duration;

use rollcall_config::DrillSettings;
use rollcall_domain::app::capability::Capabilities;
use rollcall_domain::app::drill::{Drill, DrillEvent, Drilled, LeftBehind, RunningDrill};
use rollcall_domain::{Event, directory, ledger};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use tracing::{error, info, warn};

use crate::drill::answers::in_words;
use crate::drill::canary::{canary, new_word};
use crate::drill::cleaning::{Cleaning, Traces, Unanswered};
use crate::drill::course::{Course, Journal};
use crate::drill::sight::Sight;
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
    /// Until when none begins, since the last one could not even say how it went.
    pause_until: Option<Instant>,
    running: Option<AbortOnDropHandle<()>>,
}

impl Drills {
    /// Goes on where an earlier process was.
    pub fn new(connector: Arc<Connector>) -> Self {
        let mut drills = Self { connector, due: None, pause_until: None, running: None };
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
        if self.pause_until.is_some_and(|until| until > Instant::now()) {
            return;
        }
        let known = self.known();
        // Where the app keeps what was there of the last one, only a person wants another.
        let is_due = known.left_behind.is_empty() && self.due.is_some_and(|due| due <= Instant::now());
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
        let ended = running.await;
        self.running = None;
        if let Err(e) = ended {
            error!(app = %self.connector.app, error = %e, "a drill stopped unexpectedly");
            self.pause_until = Some(Instant::now() + LATER);
        }
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

    fn is_somebodys(&self, remote_id: &str) -> Result<bool, ProvisionerError> {
        Ok(ledger::linked(&self.0.store.view(), &self.0.app, remote_id)?.is_some())
    }
}

async fn say(connector: &Connector, event: DrillEvent) -> Result<(), ProvisionerError> {
    connector.say(Event::Drill(Drill { app: connector.app.clone(), event })).await.map(drop)
}

async fn run(connector: &Connector, known: Drilled) {
    let Some(link) = &connector.link else { return };
    let outcome = match &known.running {
        Some(running) => recover(connector, link, running).await,
        None => drill(connector, link, &known.left_behind).await,
    };
    match outcome {
        Ok(()) => return,
        Err(WorkError::App(failure)) => {
            warn!(app = %connector.app, detail = in_words(&failure), "what a drill has made can't be removed yet");
        }
        Err(WorkError::Ours(e)) => warn!(app = %connector.app, error = %e, "what came of the drill is not on the log"),
    }
    // Whatever is there of it is removed later: until then it runs, by the log.
    tokio::time::sleep(LATER).await;
}

/// Cleans up after a drill that was cut off.
async fn recover(connector: &Connector, link: &Link, running: &RunningDrill) -> Result<(), WorkError> {
    let can = connector.capabilities(&link.config)?;
    let (sight, journal) = (sight_of(connector, link, &can), OnTheLog(connector));
    let (spec, pattern) = (&link.config.spec, link.config.drill.user_name.as_str());
    let cleaning = Cleaning { spec, pattern, sight: &sight, journal: &journal };
    // What was sent last may have been carried out, and not been said.
    let (canary, made) = (running.canary.clone(), running.made.clone());
    let traces = Traces { made, unanswered: Unanswered::Perhaps, ..Traces::of(canary) };
    let cleaned = cleaning.all_of(&traces).await?;
    let (detail, left_behind) = (cleaned.after("it was cut off"), cleaned.left());
    Ok(say(connector, DrillEvent::Failed { detail, left_behind }).await?)
}

fn sight_of<'a>(connector: &'a Connector, link: &'a Link, can: &'a Capabilities) -> Sight<'a> {
    let (client, max_scan, controls) = (&link.client, link.config.max_scan, &connector.controls);
    Sight::new(Search { client, can, max_scan, controls }, &link.config)
}

async fn drill(connector: &Connector, link: &Link, earlier: &[LeftBehind]) -> Result<(), WorkError> {
    let can = connector.capabilities(&link.config)?;
    let sight = sight_of(connector, link, &can);
    let word = new_word();
    let stopped = async |detail: String, left_behind: Vec<String>| {
        Ok::<(), WorkError>(say(connector, DrillEvent::Failed { detail, left_behind }).await?)
    };
    let known: Vec<String> = earlier.iter().map(|left| left.id.clone()).collect();
    let canary = match canary(&link.config.spec, &link.config.drill.user_name, &word) {
        Ok(canary) => canary,
        Err(why) => return stopped(why, known).await,
    };
    if directory::identity_by_user_name(&connector.store.view(), &canary.user_name)?.is_some() {
        let why = format!("'{}' is somebody's user name: choose another [apps.drill] user_name", canary.user_name);
        return stopped(why, known).await;
    }
    let journal = OnTheLog(connector);
    let mut course = Course::new(&link.config, &link.memberships, sight, &journal, canary.clone(), &word);
    // First what an earlier one has left: a second account may be a second seat.
    let left = match course.cleaning().earlier(earlier).await {
        Ok(cleaned) => cleaned,
        Err(WorkError::App(failure)) => return stopped(in_words(&failure), known).await,
        Err(e) => return Err(e),
    };
    if !left.left().is_empty() {
        let why = format!("of an earlier drill {}: remove it by hand", left.words().join("; "));
        return stopped(why, left.left()).await;
    }
    info!(app = %connector.app, canary = canary.user_name, "drilled");
    say(connector, DrillEvent::Started(canary)).await?;
    let ran = course.run().await;
    // Where that fails nothing is said: it is cleaned up after later.
    let cleaned = course.clean_up().await?;
    // What its answers have taught holds for everybody's accounts.
    connector.learn_ways().await?;
    match ran {
        Err(WorkError::Ours(e)) => Err(e.into()),
        Err(WorkError::App(failure)) => {
            warn!(app = %connector.app, detail = in_words(&failure), "the app can't be drilled");
            stopped(cleaned.after(&in_words(&failure)), cleaned.left()).await
        }
        Ok(()) => {
            course.cleaned(&cleaned);
            let completed = DrillEvent::Completed { results: course.results, left_behind: cleaned.left() };
            Ok(say(connector, completed).await?)
        }
    }
}
