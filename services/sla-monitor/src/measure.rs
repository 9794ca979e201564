//! Latencies as they happen, and gauges of what is open.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use rollcall_domain::drift::DriftKind;
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::ledger::{self, Fact};
use rollcall_domain::lifecycle::ChangeKind;
use rollcall_domain::obligation::{End, Obligation};
use rollcall_domain::{AppId, directory};
use rollcall_telemetry::metrics::{label, metrics};

/// Records the latencies that an event completes.
pub fn record(facts: &[Fact]) {
    for fact in facts {
        match fact {
            Fact::Applied(obligation) => {
                let at = obligation.applied_at.or_else(|| verified_at(obligation));
                access(obligation, "applied", at);
            }
            Fact::Verified(obligation) => access(obligation, "verified", verified_at(obligation)),
            Fact::LeaverCompleted(leaver) => {
                if let Some(at) = leaver.completed_at {
                    metrics().leaver_completion_seconds.record(seconds(at.duration_since(leaver.left_at)), &[]);
                }
            }
        }
    }
}

fn verified_at(obligation: &Obligation) -> Option<Timestamp> {
    match obligation.end {
        Some(End::Verified { at, .. }) => Some(at),
        _ => None,
    }
}

fn access(obligation: &Obligation, phase: &'static str, at: Option<Timestamp>) {
    let Some(at) = at else { return };
    let labels =
        [label("app", obligation.id.app.as_str()), label("change", obligation.change.name()), label("phase", phase)];
    metrics().change_to_access_seconds.record(seconds(at.duration_since(obligation.opened_at)), &labels);
}

/// A change that is effective later than it is verified took no time.
fn seconds(duration: SignedDuration) -> f64 {
    duration.as_secs_f64().max(0.0)
}

/// Sets the gauges to what is open now; an app without anything open shows 0, not the last value.
pub fn gauges(state: &impl Read, now: Timestamp) -> Result<(), KvError> {
    let apps: Vec<AppId> = directory::apps(state)?.into_iter().map(|app| app.spec.id).collect();
    let mut open: BTreeMap<(AppId, ChangeKind), (u64, u64)> = BTreeMap::new();
    let mut drift: BTreeMap<(AppId, DriftKind), u64> = BTreeMap::new();
    let mut debt: BTreeMap<AppId, f64> = BTreeMap::new();
    for app in &apps {
        for change in ChangeKind::ALL {
            open.insert((app.clone(), change), (0, 0));
        }
        for kind in DriftKind::ALL {
            drift.insert((app.clone(), kind), 0);
        }
        debt.insert(app.clone(), 0.0);
    }
    let mut oldest = 0.0_f64;
    for obligation in ledger::open_obligations(state, None)? {
        let counts = open.entry((obligation.id.app.clone(), obligation.change)).or_default();
        counts.0 += 1;
        if obligation.overdue_at.is_some() {
            counts.1 += 1;
            oldest = oldest.max(seconds(now.duration_since(obligation.deadline)));
        }
    }
    for item in ledger::drift(state, None)? {
        let hours = item.debt_hours(now);
        *drift.entry((item.id.app.clone(), item.id.kind)).or_default() += 1;
        *debt.entry(item.id.app).or_default() += hours;
    }
    for ((app, change), (count, overdue)) in open {
        let labels = [label("app", app.as_str()), label("change", change.name())];
        metrics().obligations_open.record(count, &labels);
        metrics().obligations_overdue.record(overdue, &labels);
    }
    for ((app, kind), count) in drift {
        metrics().drift_items.record(count, &[label("app", app.as_str()), label("kind", kind.name())]);
    }
    for (app, hours) in debt {
        metrics().drift_debt_hours.record(hours, &[label("app", app.as_str())]);
    }
    metrics().oldest_overdue_seconds.record(oldest, &[]);
    let sick: BTreeSet<AppId> = ledger::quarantines(state)?.into_iter().map(|q| q.app).collect();
    for app in &apps {
        metrics().app_quarantined.record(u64::from(sick.contains(app)), &[label("app", app.as_str())]);
    }
    metrics().removals_held.record(ledger::holds(state)?.len() as u64, &[]);
    Ok(())
}
