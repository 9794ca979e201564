//! Drills of apps: the one that runs, the last one, and those before.
//!
//! Keys: `drill/<app>`, `drill-report/<app>/<sequence>`.

use crate::app::drill::{Drill, DrillEvent, DrillReport, Drilled, LeftBehind, RunningDrill};
use crate::event::Recorded;
use crate::ids::{AppId, Sequence};
use crate::kv::{KvError, Read, Write, load, load_all, store, suffixes};

/// The most drills of an app that are remembered; all of them are on the log.
pub const MAX_REPORTS: usize = 50;

const DRILLS: &str = "drill/";

fn key(app: &AppId) -> String {
    format!("{DRILLS}{app}")
}

fn reports(app: &AppId) -> String {
    format!("drill-report/{app}/")
}

fn report_key(app: &AppId, sequence: Sequence) -> String {
    format!("{}{:020}", reports(app), sequence.0)
}

/// The drills of an app.
///
/// # Errors
/// When the state can't be read.
pub fn drilled(state: &(impl Read + ?Sized), app: &AppId) -> Result<Drilled, KvError> {
    Ok(load(state, &key(app))?.unwrap_or_default())
}

/// The apps that keep access, or an account of a drill, as a drill has shown.
///
/// # Errors
/// When the state can't be read.
pub fn failing_drills(state: &(impl Read + ?Sized)) -> Result<Vec<(AppId, Drilled)>, KvError> {
    let all: Vec<(String, Drilled)> = load_all(state, DRILLS, None, usize::MAX)?;
    let failing = all.into_iter().filter(|(_, drilled)| drilled.failing_since.is_some());
    Ok(failing.filter_map(|(key, drilled)| Some((key.strip_prefix(DRILLS)?.parse().ok()?, drilled))).collect())
}

/// The drills of an app that were done to their end and are remembered, the newest first.
///
/// # Errors
/// When the state can't be read.
pub fn drill_reports(state: &(impl Read + ?Sized), app: &AppId) -> Result<Vec<DrillReport>, KvError> {
    let all = load_all(state, &reports(app), None, MAX_REPORTS + 1)?;
    Ok(all.into_iter().rev().map(|(_, report)| report).collect())
}

/// Notes which accounts are left: those of the drill that runs, and of those before.
fn left(now: &mut Drilled, ids: &[String]) {
    let before = std::mem::take(&mut now.left_behind);
    for id in ids {
        let earlier = before.iter().find(|left| left.id == *id).cloned();
        let own = now.running.as_ref().map(|running| LeftBehind { id: id.clone(), canary: running.canary.clone() });
        now.left_behind.extend(earlier.or(own));
    }
}

/// A drill went one step on.
pub fn changed(state: &mut impl Write, drill: &Drill, event: &Recorded) -> Result<(), KvError> {
    let app = &drill.app;
    let mut now = drilled(state, app)?;
    match &drill.event {
        DrillEvent::Requested => now.requested = Some(event.sequence),
        DrillEvent::Started(canary) => {
            now.requested = None;
            now.running = Some(RunningDrill { canary: canary.clone(), made: Vec::new(), started: event.sequence });
        }
        DrillEvent::Made { remote_id } => {
            now.running.iter_mut().for_each(|running| running.made.push(remote_id.clone()));
        }
        DrillEvent::Completed { results, left_behind } => {
            left(&mut now, left_behind);
            let report = DrillReport {
                sequence: event.sequence,
                at: event.recorded_at,
                canary: now.running.take().map(|running| running.canary),
                results: results.clone(),
                left_behind: left_behind.clone(),
            };
            store(state, report_key(app, event.sequence), &report);
            let known = suffixes(state, &reports(app))?;
            for old in known.iter().take(known.len().saturating_sub(MAX_REPORTS)) {
                state.delete(&format!("{}{old}", reports(app)));
            }
            (now.ended_at, now.failure) = (Some(event.recorded_at), None);
            now.failing_since = match report.keeps_access().next() {
                Some(_) => now.failing_since.or(Some(event.sequence)),
                None => None,
            };
            now.last = Some(report);
        }
        DrillEvent::Failed { detail, left_behind } => {
            let is_known = |id: &String| now.left_behind.iter().any(|left| left.id == *id);
            if !left_behind.iter().all(is_known) {
                now.failing_since = now.failing_since.or(Some(event.sequence));
            }
            left(&mut now, left_behind);
            // Also one that could not begin has answered the request.
            (now.requested, now.running) = (None, None);
            (now.ended_at, now.failure) = (Some(event.recorded_at), Some(detail.clone()));
        }
    }
    store(state, key(app), &now);
    Ok(())
}
