//! Latencies as they happen, and gauges of what is open.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use rollcall_domain::access::grant::GrantStatus;
use rollcall_domain::access::obligation::Obligation;
use rollcall_domain::access::rejection::RejectionCause;
use rollcall_domain::access::separation::ViolationStatus;
use rollcall_domain::app::AppSpec;
use rollcall_domain::drift::kind::DriftKind;
use rollcall_domain::identity::lifecycle::ChangeKind;
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::ledger::{self, Fact};
use rollcall_domain::{AppId, TraceContext, directory};
use rollcall_telemetry::metrics::{ACCESS_SECONDS, label, metrics};
use rollcall_telemetry::openmetrics::exemplar;

use crate::alerts::condition::{Rules, not_compared};

/// Records the latencies that an event completes, each with the trace that it belongs to.
pub fn record(facts: &[Fact], trace: &TraceContext) {
    let trace_id = trace.traceparent.split('-').nth(1).unwrap_or_default();
    for fact in facts {
        match fact {
            Fact::Applied(obligation) => {
                let at = obligation.applied_at.or_else(|| obligation.met_at());
                access(obligation, "applied", at, trace_id);
            }
            Fact::Verified(obligation) => access(obligation, "verified", obligation.verified_at(), trace_id),
            Fact::Attested(obligation) => access(obligation, "attested", obligation.attested_at(), trace_id),
            Fact::LeaverCompleted(leaver) => {
                if let Some(at) = leaver.completed_at {
                    metrics().leaver_completion_seconds.record(seconds(at.duration_since(leaver.opened_at)), &[]);
                }
            }
        }
    }
}

fn access(obligation: &Obligation, phase: &'static str, at: Option<Timestamp>, trace_id: &str) {
    let Some(at) = at else { return };
    let labels =
        [label("app", obligation.id.subject.place()), label("change", obligation.change.name()), label("phase", phase)];
    let took = seconds(at.duration_since(obligation.opened_at));
    metrics().change_to_access_seconds.record(took, &labels);
    let labels = [("app", obligation.id.subject.place()), ("change", obligation.change.name()), ("phase", phase)];
    exemplar("rollcall_change_to_access_seconds", &ACCESS_SECONDS, &labels, took, trace_id);
}

/// A change that is effective later than it is verified took no time.
fn seconds(duration: SignedDuration) -> f64 {
    duration.as_secs_f64().max(0.0)
}

/// Sets the gauges to what is so now; an app without anything open shows 0, not the last value.
pub fn gauges(state: &impl Read, now: Timestamp, rules: &Rules) -> Result<(), KvError> {
    let specs: Vec<AppSpec> = directory::apps(state)?.into_iter().map(|app| app.spec).collect();
    let by_people: BTreeSet<&AppId> =
        specs.iter().filter(|spec| spec.kind.is_by_people()).map(|spec| &spec.id).collect();
    let apps: Vec<AppId> = specs.iter().map(|spec| spec.id.clone()).collect();
    let counts = ledger::counts(state)?;
    for app in &apps {
        for change in ChangeKind::ALL {
            let count = counts.get(&(app.clone(), change)).copied().unwrap_or_default();
            let labels = [label("app", app.as_str()), label("change", change.name())];
            metrics().obligations_open.record(count.open, &labels);
            metrics().obligations_overdue.record(count.overdue, &labels);
        }
    }
    let oldest = ledger::oldest_overdue(state)?.map_or(0.0, |deadline| seconds(now.duration_since(deadline)));
    metrics().oldest_overdue_seconds.record(oldest, &[]);
    let leavers = ledger::alerting_leavers(state)?;
    let overdue = leavers.iter().filter(|l| l.count.overdue > 0).count();
    metrics().leavers_overdue.record(overdue as u64, &[]);
    metrics().leavers_at_risk.record((leavers.len() - overdue) as u64, &[]);
    drift_gauges(state, now, &apps)?;
    let quarantines = ledger::quarantines(state)?;
    let vanished =
        |app: &AppId| quarantines.iter().any(|q| q.app == *app && q.rejection.cause == RejectionCause::Vanished);
    let sick: BTreeSet<&AppId> = quarantines.iter().map(|q| &q.app).collect();
    let not_compared: BTreeSet<AppId> = not_compared(state, now)?.into_iter().map(|(app, _)| app).collect();
    for app in &apps {
        metrics().app_not_compared.record(u64::from(not_compared.contains(app)), &[label("app", app.as_str())]);
        metrics().app_vanished.record(u64::from(vanished(app)), &[label("app", app.as_str())]);
        let drilled = ledger::drilled(state, app)?;
        let labels = [label("app", app.as_str())];
        let fails = drilled.failing_since.is_some() && !by_people.contains(app);
        metrics().app_drill_keeps_access.record(u64::from(fails), &labels);
        if by_people.contains(app) {
            let tasks = ledger::count_of(state, app)?;
            metrics().tasks_open.record(tasks.open, &labels);
            metrics().tasks_overdue.record(tasks.overdue, &labels);
        }
        // An app that was never drilled has no score, rather than a bad one.
        if let Some(report) = drilled.last {
            report.score().into_iter().for_each(|score| metrics().app_drill_score.record(score.into(), &labels));
            metrics().app_drill_age_seconds.record(seconds(now.duration_since(report.at)), &labels);
        }
        metrics().app_quarantined.record(u64::from(sick.contains(app)), &[label("app", app.as_str())]);
    }
    metrics().holds_waiting.record(ledger::holds(state)?.len() as u64, &[]);
    metrics().reevaluations_running.record(ledger::reevaluations(state)?.len() as u64, &[]);
    metrics().scheduled_stuck.record(ledger::stuck(state)?.len() as u64, &[]);
    metrics().grants_active.record(ledger::count_grants(state, GrantStatus::Active)? as u64, &[]);
    metrics().grants_requested.record(ledger::count_grants(state, GrantStatus::Requested)? as u64, &[]);
    for (separation, count) in ledger::violation_counts(state, now)? {
        for (status, count) in [(ViolationStatus::Open, count.open), (ViolationStatus::Accepted, count.accepted)] {
            let labels = [label("separation", separation.as_str()), label("status", status.name())];
            metrics().separation_violations.record(count as u64, &labels);
        }
    }
    metrics().machines_without_owner.record(ledger::count_without_owner(state)?, &[]);
    let revocations = ledger::count_revocations(state)?;
    metrics().revocations_open.record(revocations.open, &[]);
    metrics().revocations_overdue.record(revocations.overdue, &[]);
    let handovers = ledger::count_handovers(state)?;
    metrics().handovers_open.record(handovers.open, &[]);
    metrics().handovers_overdue.record(handovers.overdue, &[]);
    metrics().approvals_waiting.record(ledger::approvals(state, now)?.len() as u64, &[]);
    for (source, patience) in &rules.silent_after {
        let last = ledger::last_heard(state, source)?.unwrap_or(rules.listening_since);
        let labels = [label("source", source.as_str())];
        metrics().source_silent_seconds.record(seconds(now.duration_since(last)), &labels);
        metrics().source_silent_limit_seconds.record(patience.as_secs_f64(), &labels);
    }
    Ok(())
}

fn drift_gauges(state: &impl Read, now: Timestamp, apps: &[AppId]) -> Result<(), KvError> {
    let mut drift: BTreeMap<(AppId, DriftKind), u64> = BTreeMap::new();
    let mut debt: BTreeMap<AppId, f64> = BTreeMap::new();
    for item in ledger::drift(state, None)? {
        let hours = item.debt_hours(now);
        *drift.entry((item.id.app.clone(), item.id.kind)).or_default() += 1;
        *debt.entry(item.id.app).or_default() += hours;
    }
    for app in apps {
        for kind in DriftKind::ALL {
            let count = drift.get(&(app.clone(), kind)).copied().unwrap_or_default();
            metrics().drift_items.record(count, &[label("app", app.as_str()), label("kind", kind.name())]);
        }
        let hours = debt.get(app).copied().unwrap_or_default();
        metrics().drift_debt_hours.record(hours, &[label("app", app.as_str())]);
    }
    Ok(())
}
