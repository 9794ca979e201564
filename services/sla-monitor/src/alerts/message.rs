//! An alert in words: who, where, since when, who owns it, what was tried and what the app said.

use jiff::{SignedDuration, Timestamp};
use rollcall_domain::access::account::Account;
use rollcall_domain::access::obligation::{Obligation, ObligationStatus};
use rollcall_domain::access::rejection::{Rejection, RejectionCause};
use rollcall_domain::access::subject::Subject;
use rollcall_domain::access::to_do::to_do;
use rollcall_domain::alert::{About, Alert, Level};
use rollcall_domain::identity::Identity;
use rollcall_domain::identity::lifecycle::ChangeKind;
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::ledger::Answerable;
use rollcall_domain::{AppId, IdentityId, Sequence, SourceName, directory, ledger};
use rollcall_tokens::TaskLink;
use secrecy::SecretString;
use serde::Serialize;
use serde_json::Value;

use crate::alerts::condition::{AlertChange, AlertCondition};

/// What does not come from the state.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// The address that people know, for links; without it, only paths.
    pub public_url: Option<String>,
    /// Who answers for each source.
    pub owners: std::collections::BTreeMap<SourceName, String>,
    /// What links to tasks are signed with, and how long they can be used.
    pub links: Option<(SecretString, SignedDuration)>,
}

/// Whether it is so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Status {
    Firing,
    Resolved,
}

/// One alert as people read it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct AlertMessage {
    /// The name of the alert.
    pub alert: &'static str,
    pub status: Status,
    /// What receivers tell alerts apart by.
    pub key: String,
    pub severity: &'static str,
    /// How often it was said with more weight; 0: not yet.
    pub escalation: u32,
    pub summary: String,
    pub started_at: Timestamp,
    pub identity: Option<Person>,
    pub left_at: Option<Timestamp>,
    pub apps: Vec<InApp>,
    pub source: Option<Origin>,
    /// Where to look.
    pub link: String,
    /// What to do.
    pub runbook: String,
    /// Whoever has to do it, where it is a task and their address is known.
    #[serde(skip)]
    pub addressee: Option<Addressee>,
    /// The last word on it, where it is a task: after another word it is other news.
    #[serde(skip)]
    pub word: Sequence,
    #[serde(skip)]
    pub about: About,
    #[serde(skip)]
    pub level: Level,
    /// Since when it is tried to tell it: the same until it is told.
    #[serde(skip)]
    pub news_since: Timestamp,
}

/// Who has to do a task.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Addressee {
    pub address: String,
    /// By which they say, without signing in, that it is done. Whoever has it can: it is for their eyes alone.
    pub link: Option<String>,
}

/// Whom it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct Person {
    pub id: IdentityId,
    #[serde(rename = "userName")]
    pub user_name: String,
}

/// One app that it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct InApp {
    pub app: AppId,
    pub name: String,
    pub owner: String,
    /// open, at risk or overdue
    pub state: &'static str,
    pub deadline: Option<Timestamp>,
    /// What the app confirmed last, and that it was not read back so.
    pub tried: Option<String>,
    pub last_failure: Option<Rejection>,
}

/// The source that it goes back to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct Origin {
    pub name: SourceName,
    pub owner: Option<String>,
}

/// What was told, said again as it was: it is wrong still, and in no list.
///
/// # Errors
/// When the state can't be read.
pub fn again(state: &impl Read, told: &Alert, context: &Context, now: Timestamp) -> Result<AlertMessage, KvError> {
    let message = compose(state, &AlertChange::Resolve(told.clone()), context, now)?;
    Ok(AlertMessage { status: Status::Firing, summary: told.summary.clone(), ..message })
}

/// Puts news in words.
///
/// # Errors
/// When the state can't be read.
pub fn compose(
    state: &impl Read,
    news: &AlertChange,
    context: &Context,
    now: Timestamp,
) -> Result<AlertMessage, KvError> {
    let about = news.about();
    let (status, level, started_at) = match news {
        AlertChange::Fire(wrong, level) => (Status::Firing, *level, since(wrong).unwrap_or(now)),
        AlertChange::Resolve(alert) | AlertChange::Forget(alert) => (Status::Resolved, alert.level, alert.fired_at),
    };
    let name = about.name(level);
    let identity = about.identity().map(|id| person(state, id)).transpose()?;
    let leaver = match news {
        AlertChange::Fire(AlertCondition::Leaver(leaver), _) => Some(leaver.clone()),
        AlertChange::Resolve(Alert { about: About::Leaver { identity, opened_by }, .. }) => {
            ledger::leaver(state, *identity, *opened_by)?
        }
        _ => None,
    };
    let owed = leaver.as_ref().map(|leaver| ledger::obligations_of_leaver(state, leaver)).transpose()?;
    let source = match (&about, &leaver) {
        (About::Hold { cause, .. }, _) => cause.source().cloned(),
        (About::Silence { source }, _) => Some(source.clone()),
        (_, Some(leaver)) => leaver.source.clone(),
        _ => None,
    };
    let base = context.public_url.as_deref().unwrap_or_default().trim_end_matches('/');
    let path = match (&about, &identity) {
        (About::Hold { .. }, _) => "/v1/holds".to_owned(),
        (About::Task { app, .. }, _) => format!("/console/tasks?app={app}"),
        (About::Handover { owner, .. }, _) => format!("/v1/handovers?owner={owner}"),
        (About::Revocation { holder, .. }, _) => format!("/v1/credentials?holder={holder}"),
        (_, Some(person)) => format!("/v1/identities/{}/timeline", person.id),
        (
            About::Quarantine { app, .. }
            | About::Vanished { app, .. }
            | About::Drill { app, .. }
            | About::Uncompared { app, .. },
            None,
        ) => {
            format!("/v1/apps/{app}")
        }
        _ => "/readyz".to_owned(),
    };
    Ok(AlertMessage {
        alert: name,
        status,
        key: about.key(),
        severity: about.severity(level),
        escalation: level.0.saturating_sub(Level::WRONG.0),
        summary: match news {
            AlertChange::Fire(wrong, level) => summary(state, wrong, *level, owed.as_deref().unwrap_or_default())?,
            AlertChange::Resolve(alert) | AlertChange::Forget(alert) => format!("over: {}", alert.summary),
        },
        started_at,
        news_since: now,
        left_at: leaver.as_ref().map(|l| l.opened_at),
        apps: apps(state, &about, owed)?,
        source: source.map(|name| Origin { owner: context.owners.get(&name).cloned(), name }),
        identity,
        link: format!("{base}{path}"),
        runbook: format!("docs/alerts.md#{}", name.to_lowercase()),
        addressee: match news {
            AlertChange::Fire(AlertCondition::Task(account), _) => addressee(state, account, context, now)?,
            _ => None,
        },
        word: match news {
            AlertChange::Fire(AlertCondition::Task(account), _) => account.last_word(),
            _ => Sequence(0),
        },
        about,
        level,
    })
}

fn since(wrong: &AlertCondition) -> Option<Timestamp> {
    match wrong {
        AlertCondition::Leaver(leaver) => leaver.overdue_since.or(Some(leaver.opened_at)),
        AlertCondition::Access(obligation) => obligation.overdue_at,
        AlertCondition::Handovers(late) | AlertCondition::Revocations(late) => Some(late.since),
        AlertCondition::Quarantine(quarantine) => Some(quarantine.since),
        AlertCondition::Drill(_, drilled) => drilled.ended_at,
        AlertCondition::Uncompared(_, unfinished) => Some(unfinished.since),
        AlertCondition::Hold(hold) => Some(hold.since),
        AlertCondition::Silence { last, .. } => *last,
        AlertCondition::Stuck(failed) => Some(failed.effective_at),
        AlertCondition::Task(account) => Some(account.desired_at),
        AlertCondition::FarAhead(_) | AlertCondition::GrantEnds(_) => None,
        AlertCondition::Sink { .. } | AlertCondition::Log | AlertCondition::Lag { .. } => None,
    }
}

fn person(state: &impl Read, id: IdentityId) -> Result<Person, KvError> {
    let found = directory::identity(state, id)?;
    Ok(Person { id, user_name: found.as_ref().map(Identity::user_name).unwrap_or_default().to_owned() })
}

/// Who answers for the app of a task; `None`: no address of theirs is known, they have left, or it is their own account.
fn addressee(
    state: &impl Read,
    account: &Account,
    context: &Context,
    now: Timestamp,
) -> Result<Option<Addressee>, KvError> {
    let Some(owner) = directory::app(state, &account.app)?.map(|app| app.spec.owner) else { return Ok(None) };
    let (address, who) = match ledger::answerable(state, &owner)? {
        Answerable::Person(them) if them.id == account.identity => return Ok(None),
        Answerable::Person(them) => (address_of(&them), Some(them.id)),
        Answerable::Others => (Some(owner.clone()).filter(|owner| owner.contains('@')), None),
        Answerable::Gone => return Ok(None),
    };
    let link = match (&context.links, &context.public_url) {
        (Some((key, lasts)), Some(base)) => {
            let until = now.checked_add(*lasts).unwrap_or(Timestamp::MAX);
            let link = TaskLink::to(account, &owner, who, until).signed(key);
            Some(format!("{}/console/task?link={link}", base.trim_end_matches('/')))
        }
        _ => None,
    };
    Ok(address.map(|address| Addressee { address, link }))
}

/// Where somebody gets mail.
fn address_of(them: &Identity) -> Option<String> {
    let emails = them.resource.get("emails").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let is_primary = |email: &&Value| email.get("primary") == Some(&Value::Bool(true));
    let email =
        emails.iter().find(is_primary).or_else(|| emails.first()).and_then(|email| email.get("value")?.as_str());
    email.or_else(|| Some(them.user_name()).filter(|name| name.contains('@'))).map(str::to_owned)
}

fn app_name(state: &impl Read, app: &AppId) -> Result<String, KvError> {
    Ok(directory::app(state, app)?.map_or_else(|| app.to_string(), |a| a.spec.name))
}

/// Where an account is, or which inventory lists a credential; none: it is a hand-over.
fn place_name(state: &impl Read, subject: &Subject) -> Result<Option<String>, KvError> {
    match subject {
        Subject::Account { app, .. } => app_name(state, app).map(Some),
        Subject::Credential { credential, .. } => {
            let listed = directory::credential(state, *credential)?.map(|known| known.listed);
            Ok(listed.map(|listed| format!("{} ({})", listed.inventory, listed.kind.in_words())))
        }
        Subject::Handover { .. } => Ok(None),
    }
}

/// The names of the apps and inventories whose obligation is such.
fn names_of(state: &impl Read, owed: &[Obligation], such: impl Fn(&Obligation) -> bool) -> Result<String, KvError> {
    let mut names = Vec::new();
    for owed in owed.iter().filter(|o| such(o)) {
        let name = place_name(state, &owed.id.subject)?;
        names.extend(name.filter(|name| !names.contains(name)));
    }
    Ok(names.join(", "))
}

fn summary(state: &impl Read, wrong: &AlertCondition, level: Level, owed: &[Obligation]) -> Result<String, KvError> {
    let who = |id| person(state, id).map(|p| if p.user_name.is_empty() { id.to_string() } else { p.user_name });
    Ok(match wrong {
        AlertCondition::Leaver(leaver) if level < Level::WRONG => {
            let apps = names_of(state, owed, Obligation::is_at_risk)?;
            format!("{} left at {} and is soon overdue in: {apps}", who(leaver.identity)?, leaver.opened_at)
        }
        AlertCondition::Leaver(leaver) => {
            let apps = names_of(state, owed, |o| o.status() == ObligationStatus::Overdue)?;
            let left = leaver.opened_at;
            format!("{} left at {left} and still has access, past the deadline, in: {apps}", who(leaver.identity)?)
        }
        AlertCondition::Access(obligation) => {
            let Subject::Account { app, identity } = &obligation.id.subject else {
                let what = if matches!(obligation.id.subject, Subject::Handover { .. }) {
                    "a hand-over by"
                } else {
                    "a credential of"
                };
                return Ok(format!("{what} {} is late", who(obligation.id.subject.identity())?));
            };
            let (name, app) = (who(*identity)?, app_name(state, app)?);
            match obligation.change {
                ChangeKind::Disable => {
                    format!("{name} is switched off, and that is not verified in {app}, past the deadline")
                }
                ChangeKind::Grant => format!(
                    "what was granted to {name} in {app} for a time, or the end of it, is not verified, past the deadline"
                ),
                _ => format!("the account of {name} in {app} came back and lives, past the deadline"),
            }
        }
        AlertCondition::Revocations(late) => {
            let (holder, count) = (who(late.whose)?, late.count);
            format!("credentials of {holder} that must not open anything any more still do, past the deadline: {count}")
        }
        AlertCondition::Handovers(late) => match (ledger::machine(state, late.whose)?, late.count) {
            (Some(_), _) => format!("nobody answers for {}, past the deadline", who(late.whose)?),
            (None, 1) => {
                format!(
                    "{} has left, and nobody has taken over a machine of theirs, past the deadline",
                    who(late.whose)?
                )
            }
            (None, count) => format!(
                "{} has left, and nobody has taken over {count} machines of theirs, past the deadline",
                who(late.whose)?
            ),
        },
        AlertCondition::Quarantine(q) if q.rejection.cause == RejectionCause::Vanished => {
            let app = app_name(state, &q.app)?;
            format!("nothing is believed of {app} since {}: {}", q.since, q.rejection.detail)
        }
        AlertCondition::Quarantine(quarantine) => {
            let (app, detail) = (app_name(state, &quarantine.app)?, &quarantine.rejection.detail);
            format!("{app} is left alone since {}: it failed again and again, at last with: {detail}", quarantine.since)
        }
        AlertCondition::Drill(app, drilled) => {
            let app = app_name(state, app)?;
            let kept = drilled.last.iter().flat_map(|report| report.keeps_access());
            let steps: Vec<&str> = kept.map(|result| result.step.name()).collect();
            match &drilled.failure {
                Some(failure) => format!("a drill of {app} has left an account there: {failure}"),
                None => {
                    format!("{app} keeps access that should end: in its last drill it did not do: {}", steps.join(", "))
                }
            }
        }
        AlertCondition::Uncompared(app, unfinished) => {
            let reconciled = ledger::reconciled(state, app)?;
            let (app, since) = (app_name(state, app)?, unfinished.since);
            match (reconciled.failure, reconciled.running) {
                (Some(said), _) => {
                    format!("{app} could not be compared as a whole since {since}, at last because of: {said}")
                }
                (None, running) => {
                    let accounts = running.unwrap_or_default().accounts;
                    format!("a comparison of {app} that began at {since} does not end: it has read {accounts} accounts")
                }
            }
        }
        AlertCondition::Hold(hold) => {
            let (app, removals) = (app_name(state, &hold.app)?, hold.removals);
            let by = hold.cause.in_words();
            format!("the removals by {by} wait for a decision: {removals} accounts in {app} are more than usual")
        }
        AlertCondition::Stuck(failed) => {
            let (at, reason) = (failed.effective_at, &failed.reason);
            format!("what was said of {} for {at} can't take effect: {reason}", who(failed.id)?)
        }
        AlertCondition::FarAhead(scheduled) => {
            format!("what was said of {} takes effect at {} only", who(scheduled.identity)?, scheduled.at)
        }
        AlertCondition::GrantEnds(grant) => {
            let end = grant.until.map(|until| until.to_string()).unwrap_or_default();
            format!("{} holds {} until {end}: who needs it longer asks for that now", who(grant.identity)?, grant.what)
        }
        AlertCondition::Task(account) => {
            let who = directory::identity(state, account.identity)?;
            let name = who.as_ref().map(Identity::user_name).filter(|name| !name.is_empty());
            let Some(app) = directory::app(state, &account.app)?.map(|app| app.spec) else {
                return Ok(format!("something is to be done in {}", account.app));
            };
            let steps = to_do(account, &app, name, &ledger::names_of_others(state, account)?).join(". ");
            let again = match account.word() {
                Some(word) if word.taken_back => "that it is done was taken back. ",
                Some(word) if word.refuted => "it is said to be done, and the list shows otherwise. ",
                Some(_) | None => "",
            };
            let until = account.owes.iter().map(Obligation::rings_at).min();
            let until = until.map(|at| format!(", until {at}")).unwrap_or_default();
            format!("{}: {again}{steps}{until}", app.name)
        }
        AlertCondition::Silence { source, last } => match last {
            Some(last) => format!("nothing came from source {source} since {last}"),
            None => format!("nothing ever came from source {source}"),
        },
        AlertCondition::Sink { name, reason } => format!("alerts can't be delivered to {name}: {reason}"),
        AlertCondition::Log => {
            "the event log can't be reached: nothing is accepted, and nothing is verified".to_owned()
        }
        AlertCondition::Lag { events } => format!("the SLA monitor is {events} events behind the log"),
    })
}

/// The apps that news are about: those of a departure that still owe something, or the one that is wrong.
fn apps(state: &impl Read, about: &About, owed: Option<Vec<Obligation>>) -> Result<Vec<InApp>, KvError> {
    let identity = about.identity();
    let ids: Vec<(AppId, Option<Obligation>)> = match owed {
        Some(owed) => {
            let open = owed.into_iter().filter(|o| o.end.is_none());
            open.filter_map(|o| Some((o.id.subject.app()?.clone(), Some(o)))).collect()
        }
        None => about.app().map(|app| (app.clone(), None)).into_iter().collect(),
    };
    let mut out = Vec::new();
    for (id, owed) in ids {
        let app = directory::app(state, &id)?;
        let account = identity.map(|who| ledger::account(state, who, &id)).transpose()?.flatten();
        let deadline = owed.as_ref().map(|o| o.deadline);
        let state_word = match owed {
            Some(o) if o.status() == ObligationStatus::Overdue => "overdue",
            Some(o) if o.status() == ObligationStatus::Waived => "waived",
            Some(o) if o.is_at_risk() => "at risk",
            Some(_) => "open",
            None if matches!(about, About::Task { .. }) => "to be done",
            None => "wrong",
        };
        let tried = account
            .as_ref()
            .and_then(|a| a.confirmed.last())
            .map(|c| format!("the app confirmed the {} at {} and does not show it", c.operation.name(), c.at));
        out.push(InApp {
            name: app.as_ref().map_or_else(|| id.to_string(), |a| a.spec.name.clone()),
            owner: app.as_ref().map(|a| a.spec.owner.clone()).unwrap_or_default(),
            state: state_word,
            deadline,
            tried,
            last_failure: account.and_then(|a| a.rejection),
            app: id,
        });
    }
    Ok(out)
}

impl AlertMessage {
    /// The name of the alert, and whether it is over, or said again.
    #[must_use]
    pub fn headline(&self) -> String {
        match self.status {
            Status::Firing if self.escalation > 0 => format!("{} (still, {})", self.alert, self.escalation),
            Status::Firing => self.alert.to_owned(),
            Status::Resolved => format!("Resolved: {}", self.alert),
        }
    }

    /// More than the summary, in a few lines.
    #[must_use]
    pub fn description(&self) -> String {
        let mut lines = Vec::new();
        for app in &self.apps {
            let due = app.deadline.map(|at| format!(", due {at}")).unwrap_or_default();
            let tried = app.tried.as_ref().map(|t| format!("; {t}")).unwrap_or_default();
            let said = app.last_failure.as_ref().map_or_else(String::new, |rejection| {
                let status = rejection.status.map(|s| format!(" ({s})")).unwrap_or_default();
                format!("; the app said: {}{status} {}", rejection.cause.name(), rejection.detail)
            });
            lines.push(format!("{} ({}), owner {}{due}{tried}{said}", app.name, app.state, app.owner));
        }
        if let Some(source) = &self.source {
            let owner = source.owner.as_ref().map(|o| format!(", owner {o}")).unwrap_or_default();
            lines.push(format!("source {}{owner}", source.name));
        }
        lines.join("\n")
    }
}
