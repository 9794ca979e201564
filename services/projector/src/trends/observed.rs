//! What an event has to say of how it goes.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use rollcall_domain::access::desired::Queue;
use rollcall_domain::access::obligation::{Obligation, ObligationId};
use rollcall_domain::access::subject::Subject;
use rollcall_domain::app::AppSpec;
use rollcall_domain::app::drill::DrillEvent;
use rollcall_domain::app::mapping;
use rollcall_domain::drift::kind::DriftKind;
use rollcall_domain::drift::reconciliation::ReconciliationEvent;
use rollcall_domain::ids::{AppId, IdentityId, SourceName};
use rollcall_domain::kv::{KvError, Read, Write};
use rollcall_domain::ledger::Fact;
use rollcall_domain::{Event, Recorded, directory, ledger};
use serde_json::Value;

use super::metric::{Dimension, Series};
use super::period::day_of;
use super::record::Record;
use super::rollup::{Of, When, keep, keep_of};
use super::watched::{Moved, Moves};

const DEPARTMENT: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department";

/// What was so before an event, as far as it matters.
#[derive(Debug, Default)]
pub struct Before {
    /// The clock of something that is excepted rings.
    excepted: bool,
    app: Option<AppBefore>,
}

/// An app before it was configured otherwise.
#[derive(Debug)]
struct AppBefore {
    owner: Option<String>,
    is_by_people: bool,
    tasks: u64,
    drift: u64,
}

impl Before {
    /// # Errors
    /// When the state can't be read.
    pub fn of(state: &impl Read, event: &Recorded) -> Result<Self, KvError> {
        let now = match &event.event {
            Event::ObligationOverdue(overdue) => {
                let excepted = owed(state, &overdue.id)?.is_some_and(|owed| owed.waived.is_some());
                return Ok(Self { excepted, app: None });
            }
            // What is owed in one that is not in the configuration any more stays owed as it was.
            Event::AppConfigured(spec) => spec,
            _ => return Ok(Self::default()),
        };
        let before = directory::app(state, &now.id)?.map(|before| before.spec);
        let is_as_before = |before: &AppSpec| before.owner == now.owner && before.kind == now.kind;
        if before.as_ref().is_some_and(is_as_before) {
            return Ok(Self::default());
        }
        let app = AppBefore {
            is_by_people: before.as_ref().is_some_and(|spec| spec.kind.is_by_people()),
            owner: before.map(|spec| spec.owner),
            tasks: pending(state, &now.id)?,
            drift: ledger::drift(state, Some(&now.id))?.len() as u64,
        };
        Ok(Self { excepted: false, app: Some(app) })
    }
}

/// How many accounts of an app are not as desired.
fn pending(state: &impl Read, app: &AppId) -> Result<u64, KvError> {
    let of_queue = |queue| ledger::pending(state, app, queue, None, usize::MAX).map(|found| found.len() as u64);
    Queue::ALL.into_iter().map(of_queue).sum()
}

/// An open obligation of an account.
fn owed(state: &impl Read, id: &ObligationId) -> Result<Option<Obligation>, KvError> {
    let Subject::Account { app, identity } = &id.subject else { return Ok(None) };
    let account = ledger::account(state, *identity, app)?;
    Ok(account.and_then(|account| account.owes.into_iter().find(|owed| owed.id == *id)))
}

fn of_app(state: &impl Read, app: &AppId) -> Result<Vec<(Dimension, String)>, KvError> {
    let mut groups = vec![(Dimension::App, app.to_string())];
    groups.extend(directory::app(state, app)?.map(|app| (Dimension::Owner, app.spec.owner)));
    Ok(groups)
}

fn of_person(
    state: &impl Read,
    identity: IdentityId,
    source: Option<&SourceName>,
) -> Result<Vec<(Dimension, String)>, KvError> {
    let who = directory::identity(state, identity)?;
    let department = who.and_then(|who| mapping::observed(&who.resource, DEPARTMENT));
    let department = department.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
    let source = source.map(ToString::to_string).unwrap_or_default();
    Ok(vec![(Dimension::Source, source), (Dimension::Department, department)])
}

fn took(from: Timestamp, to: Timestamp) -> Record {
    let took = to.duration_since(from).max(SignedDuration::ZERO);
    Record::Took(u64::try_from(took.as_millis()).unwrap_or(u64::MAX))
}

/// Keeps what an event says.
///
/// # Errors
/// When the state can't be read.
pub fn add(
    state: &mut impl Write,
    event: &Recorded,
    before: &Before,
    facts: &[Fact],
    moves: &Moves,
) -> Result<(), KvError> {
    let when = When { day: day_of(event.recorded_at), sequence: event.sequence };
    done(state, facts, when)?;
    for fact in facts {
        match fact {
            Fact::Verified(owed) | Fact::Attested(owed) => met(state, owed, when)?,
            Fact::LeaverCompleted(case) => {
                // What stands on somebody's word is not complete.
                let Some(at) = case.completed_at else { continue };
                let groups = of_person(state, case.identity, case.source.as_ref())?;
                keep(state, Series::Leavers, when, &groups, &[took(case.opened_at, at)])?;
            }
            Fact::Applied(_) => {}
        }
    }
    if let Some(before) = &before.app {
        configured(state, event, before, when)?;
    }
    for (app, moved) in &moves.drift {
        count(state, Series::Drift, app, *moved, when)?;
    }
    for (app, moved) in &moves.pending {
        let by_people = app.parse::<AppId>().ok().map(|app| is_by_people(state, &app)).transpose()?;
        if by_people == Some(true) {
            count(state, Series::Tasks, app, *moved, when)?;
        }
    }
    said(state, event, before, when)
}

fn is_by_people(state: &impl Read, app: &AppId) -> Result<bool, KvError> {
    Ok(directory::app(state, app)?.is_some_and(|app| app.spec.kind.is_by_people()))
}

/// Keeps how many began and ended in an app, where any did.
fn count(state: &mut impl Write, series: Series, app: &str, moved: Moved, when: When) -> Result<(), KvError> {
    let opened = (moved.opened > 0).then_some(Record::Opened(moved.opened));
    let closed = (moved.closed > 0).then_some(Record::Closed(moved.closed));
    let records: Vec<Record> = opened.into_iter().chain(closed).collect();
    match app.parse::<AppId>() {
        Ok(app) if !records.is_empty() => {
            let groups = of_app(state, &app)?;
            keep(state, series, when, &groups, &records)
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// What people had to do is done: somebody says so, or a list shows it. However many changes it met it is one task, as old as the first.
fn done(state: &mut impl Write, facts: &[Fact], when: When) -> Result<(), KvError> {
    let met = facts.iter().filter_map(|fact| match fact {
        Fact::Verified(owed) | Fact::Attested(owed) => Some(owed),
        Fact::Applied(_) | Fact::LeaverCompleted(_) => None,
    });
    let mut by_app: BTreeMap<&AppId, (Timestamp, Timestamp)> = BTreeMap::new();
    for owed in met {
        let (Some(app), Some(at)) = (owed.id.subject.app(), owed.met_at()) else { continue };
        let (opened, _) = by_app.entry(app).or_insert((owed.opened_at, at));
        *opened = (*opened).min(owed.opened_at);
    }
    for (app, (opened, at)) in by_app {
        if is_by_people(state, app)? {
            let groups = of_app(state, app)?;
            keep(state, Series::Tasks, when, &groups, &[took(opened, at)])?;
        }
    }
    Ok(())
}

/// An obligation was met: read back, or by somebody's word.
fn met(state: &mut impl Write, owed: &Obligation, when: When) -> Result<(), KvError> {
    let (Some(app), Some(at)) = (owed.id.subject.app(), owed.met_at()) else { return Ok(()) };
    let of_app = of_app(state, app)?;
    let mut records: Vec<Record> = owed.verified_at().map(|at| took(owed.opened_at, at)).into_iter().collect();
    // That it is late was counted when its time had passed.
    if owed.overdue_at.is_none() {
        records.push(if at <= owed.deadline { Record::InTime } else { Record::Late });
    }
    if records.is_empty() {
        return Ok(());
    }
    let of_person = of_person(state, owed.id.subject.identity(), owed.source.as_ref())?;
    let groups: Vec<_> = of_app.into_iter().chain(of_person).collect();
    keep(state, Series::Access(owed.change), when, &groups, &records)
}

/// What is open in an app is another owner's by now, or is done by people by now, or is not any more.
fn configured(state: &mut impl Write, event: &Recorded, before: &AppBefore, when: When) -> Result<(), KvError> {
    let Event::AppConfigured(now) = &event.event else { return Ok(()) };
    let is_by_people = now.kind.is_by_people();
    let owner = |name: &str| Of::Group(Dimension::Owner, name.to_owned());
    let app = Of::Group(Dimension::App, now.id.to_string());
    let tasks = before.tasks;
    match (before.is_by_people, is_by_people) {
        _ if tasks == 0 => {}
        (false, true) => {
            for of in [Of::All, app.clone()].into_iter().chain([owner(&now.owner)]) {
                keep_of(state, Series::Tasks, when, &of, &[Record::Opened(tasks)])?;
            }
        }
        (true, false) => {
            for of in [Of::All, app.clone()].into_iter().chain(before.owner.as_deref().map(owner)) {
                keep_of(state, Series::Tasks, when, &of, &[Record::Closed(tasks)])?;
            }
        }
        (true, true) => passed_on(state, Series::Tasks, tasks, before, &now.owner, when)?,
        (false, false) => {}
    }
    if before.drift > 0 {
        passed_on(state, Series::Drift, before.drift, before, &now.owner, when)?;
    }
    Ok(())
}

/// What is open is with another owner.
fn passed_on(
    state: &mut impl Write,
    series: Series,
    open: u64,
    before: &AppBefore,
    now: &str,
    when: When,
) -> Result<(), KvError> {
    let Some(was) = before.owner.as_deref().filter(|was| *was != now) else { return Ok(()) };
    let owner = |name: &str| Of::Group(Dimension::Owner, name.to_owned());
    keep_of(state, series, when, &owner(was), &[Record::Closed(open)])?;
    keep_of(state, series, when, &owner(now), &[Record::Opened(open)])
}

/// What an event says by itself.
fn said(state: &mut impl Write, event: &Recorded, before: &Before, when: When) -> Result<(), KvError> {
    match &event.event {
        Event::ObligationOverdue(overdue) => {
            let Some(app) = overdue.id.subject.app() else { return Ok(()) };
            let of_app = of_app(state, app)?;
            // One that was extended while the clock's word was on its way goes on.
            if before.excepted && owed(state, &overdue.id)?.is_some_and(|owed| owed.waived.is_none()) {
                keep(state, Series::Exceptions, when, &of_app, &[Record::Expired])?;
            }
            let now = owed(state, &overdue.id)?.filter(|owed| owed.overdue_at == Some(event.recorded_at));
            let Some(now) = now else { return Ok(()) };
            let of_person = of_person(state, now.id.subject.identity(), now.source.as_ref())?;
            let groups: Vec<_> = of_app.into_iter().chain(of_person).collect();
            keep(state, Series::Access(now.change), when, &groups, &[Record::Late])
        }
        Event::ObligationWaived(waived) => match waived.id.subject.app() {
            Some(app) if owed(state, &waived.id)?.is_some() => {
                let groups = of_app(state, app)?;
                keep(state, Series::Exceptions, when, &groups, &[Record::Opened(1)])
            }
            Some(_) => Ok(()),
            None => keep(state, Series::Exceptions, when, &[], &[Record::Opened(1)]),
        },
        Event::DriftAccepted(accepted) => {
            let groups = of_app(state, &accepted.id.app)?;
            keep(state, Series::Exceptions, when, &groups, &[Record::Opened(1)])
        }
        Event::ViolationAccepted(_) => keep(state, Series::Exceptions, when, &[], &[Record::Opened(1)]),
        Event::Reconciliation(step) if matches!(step.event, ReconciliationEvent::Completed { .. }) => {
            let orphans = ledger::drift(state, Some(&step.app))?;
            let orphans = orphans.iter().filter(|item| item.id.kind == DriftKind::Orphan).count() as u64;
            let groups = of_app(state, &step.app)?;
            keep(state, Series::Orphans, when, &groups, &[Record::Found(orphans)])
        }
        Event::Drill(drill) if matches!(drill.event, DrillEvent::Completed { .. }) => {
            let report = ledger::drilled(state, &drill.app)?.last.filter(|last| last.sequence == event.sequence);
            let Some(score) = report.and_then(|report| report.score()) else { return Ok(()) };
            let groups = of_app(state, &drill.app)?;
            keep(state, Series::Drills, when, &groups, &[Record::Found(score.into())])
        }
        _ => Ok(()),
    }
}
