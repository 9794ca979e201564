//! An office in which people do what is to be done in two apps: in one nothing can be read, of the other there are lists, which lag. They
//! take their time, forget to say so, and say so of what they have not done. Nothing is verified that is not so, and nothing is ever where
//! nobody can read.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use rollcall_domain::access::account::{Account, Proof};
use rollcall_domain::access::desired::{Desired, Target};
use rollcall_domain::access::outcome::Verified;
use rollcall_domain::access::task::{TaskDone, TaskId, TaskUndone};
use rollcall_domain::ids::IdentityId;
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::{Event, ledger};

use crate::chance::Chance;
use crate::vault::Mood;

/// The app of which nothing can be read.
pub const DESK: &str = "desk";
/// The app of which there are lists.
pub const PAPER: &str = "paper";

/// An account in the app of which there are lists.
#[derive(Debug, Clone)]
struct Row {
    whose: IdentityId,
    title: String,
    active: bool,
}

/// What is really so.
#[derive(Debug, Clone, Default)]
pub struct Office {
    /// By user name.
    rows: BTreeMap<String, Row>,
    /// When somebody last had an account that could be used, and when they last had none.
    last: BTreeMap<IdentityId, (Option<Timestamp>, Option<Timestamp>)>,
    /// When there last was one of a name that could be used.
    named: BTreeMap<String, Timestamp>,
    /// The last list: when it was taken, and what it says.
    list: Option<(Timestamp, String)>,
}

impl Office {
    /// What people do, and say.
    pub fn step(
        &mut self,
        state: &impl Read,
        chance: &Chance,
        mood: Mood,
        now: Timestamp,
    ) -> Result<Vec<Event>, KvError> {
        let mut said = Vec::new();
        self.note(now);
        for (_, account) in ledger::tasks_after(state, None, None, usize::MAX)?.pairs {
            let held = ledger::holds(state)?.iter().any(|hold| hold.covers(&account));
            if held || (mood == Mood::Busy && chance.percent(50)) {
                continue;
            }
            let (does, says) = match (mood, chance.within(0..10)) {
                (Mood::Finishing, _) | (Mood::Busy, 0..=5) => (true, true),
                (Mood::Busy, 6 | 7) => (true, false),
                (Mood::Busy, _) => (false, true),
            };
            if does && !self.did(&account) {
                continue;
            }
            if says {
                let TaskId { version, app, identity } = TaskId::of(&account);
                let target = account.desired.target();
                said.push(Event::TaskDone(TaskDone { app, identity, version, target, reference: String::new() }));
            }
        }
        if mood == Mood::Busy && chance.percent(20) {
            said.extend(taken_back(state, chance)?);
        }
        self.note(now);
        if mood == Mood::Finishing || chance.percent(50) {
            self.list = Some((now, self.listed(mood == Mood::Busy && chance.percent(10))));
        }
        Ok(said)
    }

    /// Does what is to be done for an account; whether it can be done.
    fn did(&mut self, account: &Account) -> bool {
        if account.app.as_str() != PAPER {
            return true;
        }
        let whose = account.identity;
        if account.desired == Desired::Deleted {
            // Names are all that they have to go by: one of that name that nobody uses goes, whoever had it last.
            let is_theirs =
                |name: &String, row: &Row| row.whose == whose || (!row.active && account.former_names.contains(name));
            self.rows.retain(|name, row| !is_theirs(name, row));
            return true;
        }
        let Desired::Present(presence) = &account.desired else {
            self.rows.values_mut().filter(|row| row.whose == whose).for_each(|row| row.active = false);
            return true;
        };
        let text = |path: &str| presence.attributes.get(path).and_then(|value| value.as_str()).unwrap_or_default();
        let name = text("userName").to_lowercase();
        // Somebody else can sign in with it: they have to go first.
        if name.is_empty() || self.rows.get(&name).is_some_and(|row| row.whose != whose && row.active) {
            return false;
        }
        self.rows.retain(|_, row| row.whose != whose);
        self.rows.insert(name, Row { whose, title: text("title").to_owned(), active: true });
        true
    }

    fn note(&mut self, now: Timestamp) {
        for (name, row) in &self.rows {
            self.last.entry(row.whose).or_default();
            if row.active {
                self.named.insert(name.clone(), now);
            }
        }
        for (whose, (with, without)) in &mut self.last {
            let has = self.rows.values().any(|row| row.whose == *whose && row.active);
            *(if has { with } else { without }) = Some(now);
        }
    }

    /// The list as it is exported, or with a word in it that means nothing.
    fn listed(&self, is_wrong: bool) -> String {
        let mut text = "Login,State,Job\n".to_owned();
        for (name, row) in &self.rows {
            let state = if row.active { "active" } else { "locked" };
            let _ = writeln!(text, "{name},{state},{}", row.title);
        }
        if is_wrong {
            text.push_str("somebody,perhaps,\n");
        }
        text
    }

    /// The last list, and when it was taken.
    pub fn list(&self) -> Option<(Timestamp, String)> {
        self.list.clone()
    }

    /// The ids that a list shows now.
    pub fn ids(&self) -> Vec<String> {
        self.rows.keys().cloned().collect()
    }

    /// What is wrong with something that is called verified; `None`: nothing.
    pub fn contradicts(&self, state: &impl Read, verified: &Verified) -> Result<Option<String>, KvError> {
        let whose = verified.identity;
        if verified.app.as_str() == DESK {
            return Ok(Some(format!("the account of {whose} in {DESK}, of which nothing can be read")));
        }
        let account = ledger::account(state, whose, &verified.app)?;
        let Some(account) = account.filter(|account| account.desired_version == verified.version) else {
            return Ok(None);
        };
        let Some(asked) = account.owes.iter().map(|owed| owed.opened_at).max() else { return Ok(None) };
        let (with, without) = self.last.get(&whose).copied().unwrap_or_default();
        // Names are all that tells one from another there.
        let named = account.desired.user_name().and_then(|name| self.named.get(&name.to_lowercase()));
        Ok(match verified.target {
            Target::Present if named.is_none_or(|at| *at < asked) => {
                Some(format!("{whose} has had no account in {PAPER} since"))
            }
            Target::Absent if with.is_some() && without.is_none_or(|at| at < asked) => {
                Some(format!("{whose} has always had an account in {PAPER} since"))
            }
            Target::Present | Target::Absent => None,
        })
    }

    /// What does not agree in the end.
    pub fn disagrees(&self, state: &impl Read) -> Result<Vec<String>, KvError> {
        let mut wrong = Vec::new();
        let Ok(paper) = PAPER.parse() else { return Ok(wrong) };
        for identity in ledger::identities_at(state, &paper)? {
            let Some(account) = ledger::account(state, identity, &paper)? else { continue };
            // What stands on a word is as true as that.
            if account.proof() != Proof::Read {
                continue;
            }
            let name = account.desired.user_name().unwrap_or_default().to_lowercase();
            let has = match account.desired.target() {
                Target::Present => self.rows.get(&name).is_some_and(|row| row.active),
                Target::Absent => self.rows.values().any(|row| row.whose == identity && row.active),
            };
            if has != (account.desired.target() == Target::Present) {
                wrong.push(format!("{PAPER}: {identity} must be {}, and has: {has}", account.desired.target().name()));
            }
        }
        Ok(wrong)
    }
}

/// Somebody takes back what they have said, whether or not it is so.
fn taken_back(state: &impl Read, chance: &Chance) -> Result<Option<Event>, KvError> {
    let mut said = Vec::new();
    for app in [DESK, PAPER].into_iter().filter_map(|app| app.parse().ok()) {
        for identity in ledger::identities_at(state, &app)? {
            let account = ledger::account(state, identity, &app)?;
            said.extend(account.filter(|account| account.standing_word().is_some()));
        }
    }
    let Some(last) = u64::try_from(said.len()).ok().filter(|count| *count > 0) else { return Ok(None) };
    let chosen = usize::try_from(chance.within(0..last)).ok().and_then(|index| said.get(index));
    Ok(chosen.map(|account| {
        let TaskId { version, app, identity } = TaskId::of(account);
        Event::TaskUndone(TaskUndone { app, identity, version, reason: "it was the other one".into() })
    }))
}

/// What has not been done.
pub fn unfinished(state: &impl Read) -> Result<Vec<String>, KvError> {
    let all = ledger::tasks_after(state, None, None, usize::MAX)?.pairs;
    Ok(all.iter().map(|(place, _)| format!("{place} is not done")).collect())
}
