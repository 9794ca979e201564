//! A timeline as lanes: one per app, from when something was desired to when it was verified.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rollcall_domain::access::obligation::{End, Obligation};

use crate::console::format::{at, word};

/// The width of a lane, in units of the drawing.
const WIDTH: f64 = 1000.0;
/// From one lane to the next.
pub const STEP: usize = 24;
/// Nothing is too short to be seen.
const LEAST: f64 = 2.0;

/// A lane.
#[derive(Debug)]
pub struct Lane {
    pub app: String,
    pub y: usize,
    pub bars: Vec<Bar>,
}

/// What held for a while.
#[derive(Debug, PartialEq)]
pub struct Bar {
    pub class: &'static str,
    pub x: String,
    pub width: String,
    pub title: String,
}

/// From when to when the lanes go: the first change until now, or until everything had ended.
pub fn axis(obligations: &[Obligation], now: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let first = obligations.iter().map(|o| o.opened_at).min()?;
    let ends = obligations.iter().map(|o| ended(o).unwrap_or(now));
    Some((first, ends.max()?.max(first)))
}

fn ended(obligation: &Obligation) -> Option<Timestamp> {
    obligation.end.as_ref().map(End::at)
}

/// One lane per app.
pub fn lanes(obligations: &[Obligation], axis: (Timestamp, Timestamp), now: Timestamp) -> Vec<Lane> {
    let mut by_app: BTreeMap<&str, Vec<&Obligation>> = BTreeMap::new();
    for obligation in obligations {
        by_app.entry(obligation.id.subject.place()).or_default().push(obligation);
    }
    let lane = |(index, (app, owed)): (usize, (&str, Vec<&Obligation>))| Lane {
        app: app.to_string(),
        y: index * STEP,
        bars: owed.into_iter().flat_map(|obligation| bars(obligation, axis, now)).collect(),
    };
    by_app.into_iter().enumerate().map(lane).collect()
}

/// Desired, then applied, then overdue, up to when it ended; and a mark where it was verified.
fn bars(o: &Obligation, axis: (Timestamp, Timestamp), now: Timestamp) -> Vec<Bar> {
    let end = ended(o).unwrap_or(now);
    let applied = o.applied_at.filter(|applied| *applied <= end);
    let late = Some(o.deadline).filter(|deadline| *deadline < end);
    let mut out = Vec::new();
    let mut put = |class, from: Timestamp, to: Timestamp| out.extend(bar(class, from, to, axis, o));
    put("open", o.opened_at, applied.unwrap_or(end));
    if let Some(applied) = applied {
        put("applied", applied, end);
    }
    if let Some(late) = late {
        put("overdue", late.max(o.opened_at), end);
    }
    if let Some(End::Verified { at, .. }) = o.end {
        put("verified", at, at);
    }
    out
}

fn bar(
    class: &'static str,
    from: Timestamp,
    to: Timestamp,
    axis: (Timestamp, Timestamp),
    o: &Obligation,
) -> Option<Bar> {
    let whole = axis.1.duration_since(axis.0).as_secs_f64().max(0.001);
    let place = |time: Timestamp| (time.duration_since(axis.0).as_secs_f64() / whole).clamp(0.0, 1.0) * WIDTH;
    if to < from {
        return None;
    }
    let width = (place(to) - place(from)).max(LEAST);
    let x = place(from).min(WIDTH - width);
    let title = format!("{} {}: {class} {}", word(&o.change), word(&o.target), at(from));
    Some(Bar { class, x: format!("{x:.1}"), width: format!("{width:.1}"), title })
}
