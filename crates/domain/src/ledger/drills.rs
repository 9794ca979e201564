//! Drills of apps: the one that runs, the last one, and those before.
//!
//! Keys: `drill/<app>`, `drill-report/<app>/<sequence>`.

use crate::app::drill::{Drill, DrillEvent, DrillReport, Drilled, RunningDrill};
use crate::event::Recorded;
use crate::ids::{AppId, Sequence};
use crate::kv::{KvError, Read, Write, load, load_all, store, suffixes};

/// The most drills of an app that are remembered; all of them are on the log.
pub const MAX_REPORTS: usize = 50;

fn key(app: &AppId) -> String {
    format!("drill/{app}")
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

/// The drills of an app that were done to their end and are remembered, the newest first.
///
/// # Errors
/// When the state can't be read.
pub fn drill_reports(state: &(impl Read + ?Sized), app: &AppId) -> Result<Vec<DrillReport>, KvError> {
    let all = load_all(state, &reports(app), None, MAX_REPORTS + 1)?;
    Ok(all.into_iter().rev().map(|(_, report)| report).collect())
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
            now.left_behind.clone_from(left_behind);
            now.last = Some(report);
        }
        DrillEvent::Failed { detail, left_behind } => {
            // Also one that could not begin has answered the request.
            (now.requested, now.running) = (None, None);
            (now.ended_at, now.failure) = (Some(event.recorded_at), Some(detail.clone()));
            now.left_behind.clone_from(left_behind);
        }
    }
    store(state, key(app), &now);
    Ok(())
}
