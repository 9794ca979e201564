//! The machines of those who leave: what people decide about them, and that nobody's departure is called complete before each of theirs has
//! another owner or has ended.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use rollcall_domain::access::handover::{Handover, HandoverChanged, HandoverStep};
use rollcall_domain::access::obligation::ObligationStatus;
use rollcall_domain::identity::switch::{Switch, Switched};
use rollcall_domain::ids::IdentityId;
use rollcall_domain::kv::{KvError, Read, suffixes};
use rollcall_domain::{Event, directory, ledger};

use crate::chance::Chance;

/// How long after its deadline it is said that a hand-over is late: the monitor may be dead meanwhile, and its clock wrong.
const SLACK: SignedDuration = SignedDuration::from_mins(10);

/// What a person could do about the hand-overs that are open: each is a unit.
pub fn decisions(state: &impl Read, chance: &Chance) -> Result<Vec<Vec<Event>>, KvError> {
    let mut there = Vec::new();
    for id in suffixes(state, directory::IDENTITIES)?.iter().filter_map(|id| id.parse().ok()) {
        if ledger::can_own(state, id)? {
            there.push(id);
        }
    }
    let mut out = Vec::new();
    for (_, handover) in ledger::handovers_after(state, None, usize::MAX)?.pairs {
        if handover.end.is_some() {
            continue;
        }
        let changed = |step| {
            let (machine, owner) = (handover.machine, handover.owner);
            Event::Handover(HandoverChanged { machine, owner, step, reason: String::new() })
        };
        let off = Switched { id: handover.machine, to: Switch::Off, reason: String::new() };
        out.push(match chance.pick(&there).filter(|_| chance.percent(70)) {
            Some(to) if chance.percent(20) => vec![changed(HandoverStep::Passed(*to))],
            Some(to) => vec![changed(HandoverStep::Accepted(*to))],
            None => vec![changed(HandoverStep::Retired), Event::IdentitySwitched(off)],
        });
    }
    Ok(out)
}

/// The hand-overs that are open.
pub fn unfinished(state: &impl Read) -> Result<Vec<String>, KvError> {
    let all = ledger::handovers_after(state, None, usize::MAX)?.pairs;
    let open = all.into_iter().filter(|(_, handover)| handover.end.is_none());
    Ok(open.map(|(_, handover)| format!("{} is not handed over", handover.id())).collect())
}

/// What whoever left answered for, when they did.
#[derive(Debug, Default)]
pub struct Answers {
    owed: BTreeMap<IdentityId, BTreeSet<IdentityId>>,
}

impl Answers {
    /// Learns who leaves; `state` is as it was before.
    pub fn learn(&mut self, state: &impl Read, event: &Event) -> Result<(), KvError> {
        // One that was retired, and is switched on again after that, is owed by itself: the departure is over.
        if let Event::IdentitySwitched(switched) = event
            && switched.to == Switch::Off
        {
            for machines in self.owed.values_mut() {
                machines.remove(&switched.id);
            }
        }
        let Event::Identity(changed) = event else { return Ok(()) };
        let leaves = changed.before.is_some_and(|before| before.has_access()) && !changed.after.has_access();
        if changed.kind.is_machine() || !leaves {
            return Ok(());
        }
        let mut theirs = BTreeSet::new();
        for id in suffixes(state, ledger::MACHINES)?.iter().filter_map(|id| id.parse().ok()) {
            if is_on(state, id)? && ledger::machine(state, id)?.and_then(|machine| machine.owner) == Some(changed.id) {
                theirs.insert(id);
            }
        }
        self.owed.insert(changed.id, theirs);
        Ok(())
    }

    /// The machines of a leaver that are still on with nobody else who answers for them: their departure is not complete.
    pub fn left_of(&self, state: &impl Read, leaver: IdentityId) -> Result<Vec<IdentityId>, KvError> {
        let mut left = Vec::new();
        for id in self.owed.get(&leaver).into_iter().flatten() {
            let owner = ledger::machine(state, *id)?.and_then(|machine| machine.owner);
            if is_on(state, *id)? && owner == Some(leaver) {
                left.push(*id);
            }
        }
        Ok(left)
    }
}

fn is_on(state: &impl Read, id: IdentityId) -> Result<bool, KvError> {
    let is_active = directory::identity(state, id)?.is_some_and(|machine| machine.is_active());
    Ok(is_active && ledger::switched_off(state, id)?.is_none())
}

/// What is wrong with the machines that there are: one that is on has an owner who is there, or somebody owes that it gets one, and
/// is told when that is late.
pub fn wrong(state: &impl Read, now: Timestamp) -> Result<Option<String>, KvError> {
    for id in suffixes(state, ledger::MACHINES)?.iter().filter_map(|id| id.parse().ok()) {
        if !is_on(state, id)? {
            continue;
        }
        let owner = ledger::machine(state, id)?.and_then(|machine| machine.owner);
        let there = match owner {
            Some(owner) => ledger::can_own(state, owner)?,
            None => false,
        };
        if there {
            continue;
        }
        let open = ledger::handovers_of_machine(state, id)?;
        let Some(owed) = open.iter().find_map(Handover::obligation) else {
            return Ok(Some(format!("nobody answers for {id}, and nobody owes it")));
        };
        let is_late = owed.deadline + SLACK < now;
        if is_late && !matches!(owed.status(), ObligationStatus::Overdue | ObligationStatus::Waived) {
            return Ok(Some(format!("nobody answers for {id} since {}, and nobody is told", owed.deadline)));
        }
    }
    Ok(None)
}
