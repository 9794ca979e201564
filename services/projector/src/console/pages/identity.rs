//! One identity: what is left, what each app shows, lanes and timeline.

use std::collections::BTreeSet;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use jiff::Timestamp;
use rollcall_config::Role;
use rollcall_domain::access::account::{Account, Proof};
use rollcall_domain::access::desired::Target;
use rollcall_domain::access::obligation::{Obligation, ObligationStatus};
use rollcall_domain::access::task::TaskId;
use rollcall_domain::drift::kind::DriftKind;
use rollcall_domain::identity::Identity;
use rollcall_domain::identity::content::Content;
use rollcall_domain::identity::lifecycle::{ChangeKind, Lifecycle};
use rollcall_domain::ids::{IdentityId, Sequence};
use rollcall_domain::{directory, ledger};
use rollcall_projection::View;
use rollcall_scim::Catalogue;
use serde_json::Value;

use super::frame::{Frame, answer};
use super::{ROWS, Who, app_link, due, name_of, obligations, place};
use crate::api::context::Shared;
use crate::api::identities::known_identity;
use crate::api::person::Person;
use crate::api::views::{Detail, FailureView, HeldView};
use crate::console::asked::Asked;
use crate::console::format::{at, span, word};
use crate::console::lanes::{self, Lane};
use crate::console::ui::{Action, Badge, Cell, Column, Head, Notice, Row, Table, Tone, Weight, When};
use crate::error::ApiError;
use crate::timeline::entry::Entry;
use crate::timeline::selection::{self, Choice, Order};
use crate::timeline::summary::actor;

struct EntryRow {
    sequence: Sequence,
    when: When,
    tone: Tone,
    kind: String,
    summary: String,
    caused_by: Option<Sequence>,
    facts: Vec<(String, String)>,
    /// Since when the same has happened again and again, and how often.
    repeated: Option<(When, usize)>,
}

/// What happened, the newest first; what happened again and again is one step.
fn steps(entries: &[Entry], now: Timestamp) -> Vec<EntryRow> {
    let mut rows: Vec<EntryRow> = Vec::new();
    for entry in entries {
        match rows.last_mut().filter(|last| last.summary == entry.summary && last.kind == entry.type_name) {
            Some(last) => {
                let times = last.repeated.as_ref().map_or(1, |(_, times)| *times) + 1;
                last.repeated = Some((When::new(entry.recorded_at, now), times));
            }
            None => rows.push(EntryRow::of(entry, now)),
        }
    }
    rows
}

/// How an event looks in a timeline.
fn tone(kind: &str) -> Tone {
    match kind {
        "account.rejected" | "obligation.overdue" | "drift.detected" | "alert.fired" => Tone::Bad,
        "account.verified" | "leaver.completed" | "drift.cleared" => Tone::Good,
        kind if kind.starts_with("identity.") => Tone::Info,
        kind if kind.starts_with("obligation.") || kind.starts_with("hold.") => Tone::Warn,
        _ => Tone::Plain,
    }
}

impl EntryRow {
    fn of(entry: &Entry, now: Timestamp) -> Self {
        let value = |v: &Option<Value>| v.as_ref().map_or_else(|| "nothing".to_owned(), Value::to_string);
        let mut facts = vec![("by".to_owned(), entry.actor.clone())];
        facts.extend((!entry.reason.is_empty()).then(|| ("because".to_owned(), entry.reason.clone())));
        facts.extend(entry.app.iter().map(|app| ("app".to_owned(), app.to_string())));
        facts.extend(entry.deadline.iter().map(|deadline| ("due".to_owned(), at(*deadline))));
        for change in &entry.changes {
            facts.push((change.path.clone(), format!("{} → {}", value(&change.before), value(&change.after))));
        }
        if let Some(detail) = entry.details.get("detail").and_then(Value::as_str).filter(|d| !d.is_empty()) {
            facts.push(("the app said".to_owned(), detail.to_owned()));
        }
        Self {
            sequence: entry.sequence,
            when: When::new(entry.recorded_at, now),
            tone: tone(&entry.type_name),
            kind: entry.type_name.clone(),
            summary: entry.summary.clone(),
            caused_by: entry.caused_by,
            facts,
            repeated: None,
        }
    }
}

#[derive(Template)]
#[template(path = "identity.html")]
struct IdentityPage {
    frame: Frame,
    head: Head,
    /// What is to be said of somebody who left, or is switched off.
    notices: Vec<Notice>,
    facts: Vec<(&'static str, String)>,
    /// What is owed for them now, with what keeps it.
    remains: Table,
    accounts: Table,
    /// What they hold, and why.
    access: Table,
    lanes: Vec<Lane>,
    height: usize,
    axis: (String, String),
    obligations: Table,
    /// None: they may not be seen.
    entries: Option<Vec<EntryRow>>,
    next: Option<Sequence>,
}

const REMAINS: [Column; 6] = [
    Column::text("app", "App"),
    Column::text("owes", "Owes"),
    Column::text("due", "Due"),
    Column::text("keeps", "What keeps it"),
    Column::text("owner", "App owner"),
    Column::text("act", "What one can do"),
];

const ACCOUNTS: [Column; 6] = [
    Column::text("app", "App"),
    Column::text("desired", "Desired"),
    Column::text("verified", "Verified"),
    Column::text("seen", "Last read"),
    Column::text("id", "Its id there"),
    Column::text("state", "State"),
];

const ACCESS: [Column; 7] = [
    Column::text("app", "App"),
    Column::text("what", "Holds"),
    Column::text("risk", "Risk"),
    Column::text("since", "Since"),
    Column::text("until", "Until"),
    Column::text("state", "State"),
    Column::text("because", "Because"),
];

/// One identity.
pub async fn identity(
    State(api): Shared,
    Extension(person): Who,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let asked = Asked::read(query.as_deref());
    let page = async {
        let view = api.fresh().await?;
        let found = known_identity(&view, &id)?;
        let mut owed = ledger::obligations_of(&view, found.id)?;
        owed.sort_by_key(|o| std::cmp::Reverse(o.id.opened_by));
        let (open, count) = (owed.iter().filter(|o| o.end.is_none()).cloned().collect::<Vec<_>>(), owed.len());
        let now = Timestamp::now();
        let accounts = ledger::accounts_of(&view, found.id)?;
        let off = switched_off(&view, &person, &found, &open, &accounts)?;
        let notices: Vec<Notice> = off.into_iter().chain(left(&view, &found, &owed, now)?).collect();
        owed.truncate(ROWS);
        let axis = lanes::axis(&owed, now);
        let lanes = axis.map(|axis| lanes::lanes(&owed, axis, now)).unwrap_or_default();
        let (mut entries, mut next) = (None, None);
        if person.role >= Role::Auditor {
            let before = asked.parsed::<u64>("before", "event")?.map(Sequence);
            let choice = Choice { identity: Some(found.id), ..Choice::default() };
            let page = selection::page::<Entry>(&view, &choice, Order::Newest, before, ROWS)?;
            entries = Some(steps(&page.entries, now));
            next = page.next;
        }
        let open: Vec<&Obligation> = open.iter().collect();
        let mut head = Head::new(name_of(&view, &person, found.id)?, "");
        head.badges = vec![Badge::word(word(&found.lifecycle))];
        if person.role >= Role::Auditor {
            head.crumb = Some(("Identities", "/console/identities"));
        }
        if person.role >= Role::Operator {
            let sync = format!("/console/act?do=sync&id={}&back=/console/identities/{}", found.id, found.id);
            let is_off = ledger::switched_off(&view, found.id)?.is_some();
            let (text, what) = if is_off { ("Switch on again", "enable") } else { ("Switch off, now", "disable") };
            head.actions = vec![
                Action::new(text, act_on(what, &found.id.to_string(), found.id), Weight::Usual),
                Action::new("Look at every account again", sync, Weight::Primary),
            ];
        }
        let caption = format!("What each app owed, the newest first: {} of {count}", owed.len());
        let table = obligations::table(&view, &person, &owed, caption)?;
        Ok(IdentityPage {
            frame: Frame::new(&api, &person, "", format!("/v1/identities/{id} and /v1/identities/{id}/timeline"))
                .noting(&asked),
            head,
            notices,
            facts: facts(&view, &person, &found)?,
            remains: remains(&view, &person, &found, &open, &accounts, now)?,
            accounts: accounts_table(&view, &person, &accounts, now)?,
            access: access_table(&view, &api.catalogue, found.clone(), now)?,
            height: lanes.len() * lanes::STEP,
            lanes,
            axis: axis.map(|(from, to)| (at(from), at(to))).unwrap_or_default(),
            obligations: table
                .only(&["app", "change", "desired", "since", "applied", "verified", "deadline", "status"])
                .unchosen(),
            entries,
            next,
        })
    };
    answer(&api, &person, page.await)
}

/// That somebody is switched off, and where it is not so, or not verified.
fn switched_off(
    view: &View,
    person: &Person,
    found: &Identity,
    open: &[Obligation],
    accounts: &[Account],
) -> Result<Option<Notice>, ApiError> {
    let Some(off) = ledger::switched_off(view, found.id)? else { return Ok(None) };
    let owes = |o: &&Obligation| o.target == Target::Absent && o.change != ChangeKind::Residue;
    let mut places: BTreeSet<String> = open.iter().filter(owes).map(|o| o.id.subject.place().to_owned()).collect();
    for account in accounts {
        let drift = ledger::drift_of(view, &account.app, account.identity)?;
        let lives = drift.iter().any(|item| matches!(item.id.kind, DriftKind::Zombie | DriftKind::Invited));
        if lives || account.desired.target() == Target::Present || account.is_pending() {
            places.insert(account.app.to_string());
        }
    }
    let by = match person.sees() {
        Detail::Full => format!(" by {}", actor(view, &off.by)?),
        Detail::Impersonal => String::new(),
    };
    let since = format!("Switched off in every app{by} at {}", at(off.since));
    let by_word: Vec<&str> =
        accounts.iter().filter(|a| a.proof() == Proof::Word).map(|account| account.app.as_str()).collect();
    let (text, tone) = if places.is_empty() && by_word.is_empty() {
        (format!("{since}: verified everywhere."), Tone::Good)
    } else if places.is_empty() {
        let by_word = by_word.join(", ");
        (format!("{since}: somebody says so of {by_word}, which can't be read; verified everywhere else."), Tone::Plain)
    } else {
        let places = places.into_iter().collect::<Vec<_>>().join(", ");
        (format!("{since}: not verified, or not so any more, in {places}."), Tone::Bad)
    };
    Ok(Some(Notice { text, tone, sequence: Some(off.sequence.0) }))
}

/// Whether somebody who left is gone, in a sentence: what the departure says, and not what is missing from a list.
fn left(view: &View, found: &Identity, owed: &[Obligation], now: Timestamp) -> Result<Option<Notice>, ApiError> {
    if found.lifecycle != Lifecycle::Left {
        return Ok(None);
    }
    let opened_by = owed.iter().find(|o| o.change == ChangeKind::Leaver).map(|o| o.id.opened_by);
    let case = opened_by.map(|by| ledger::leaver(view, found.id, by)).transpose()?.flatten();
    let access = |o: &&Obligation| o.end.is_none() && o.change != ChangeKind::Residue;
    let open: Vec<&Obligation> = owed.iter().filter(access).collect();
    let waived = open.iter().filter(|o| o.status() == ObligationStatus::Waived).count();
    let overdue = open.iter().filter(|o| o.status() == ObligationStatus::Overdue).map(|o| o.deadline).min();
    let residue = owed.iter().any(|o| o.end.is_none() && o.change == ChangeKind::Residue);
    let (text, tone) = match (&case, overdue) {
        (_, Some(deadline)) => (
            format!("Not gone: {} still owed, overdue for {}.", open.len(), span(now.duration_since(deadline))),
            Tone::Bad,
        ),
        _ if waived > 0 => {
            (format!("Not gone: {} still owed, {waived} of them left as they are for a while.", open.len()), Tone::Warn)
        }
        _ if !open.is_empty() => (format!("Not gone yet: {} still owed, in time.", open.len()), Tone::Warn),
        (Some(case), None) if case.ended_at().is_some() => {
            let rest = if residue { " Something is left of them that nobody can sign in with." } else { "" };
            let by_word = owed.iter().filter(|o| o.change == ChangeKind::Leaver && o.attested_at().is_some());
            let by_word: Vec<&str> = by_word.map(|o| o.id.subject.place()).collect();
            if by_word.is_empty() {
                (format!("Gone: every app that had an account of theirs was read back.{rest}"), Tone::Good)
            } else {
                let by_word = by_word.join(", ");
                (
                    format!(
                        "Done, and not verified gone everywhere: of {by_word}, which can't be read, somebody says so.{rest}"
                    ),
                    Tone::Plain,
                )
            }
        }
        (Some(_), None) => {
            ("The departure was overtaken by a later change: see what each app shows.".to_owned(), Tone::Warn)
        }
        (None, None) => ("Left, and no app has owed anything for it.".to_owned(), Tone::Plain),
    };
    Ok(Some(Notice { text, tone, sequence: None }))
}

fn remains(
    view: &View,
    person: &Person,
    found: &Identity,
    open: &[&Obligation],
    accounts: &[Account],
    now: Timestamp,
) -> Result<Table, ApiError> {
    let mut rows = Vec::new();
    for owed in open {
        let app = owed.id.subject.app();
        let account = accounts.iter().find(|account| Some(&account.app) == app);
        let owner = app.map(|app| directory::app(view, app)).transpose()?.flatten().map(|app| app.spec.owner);
        let mut keeps = Vec::new();
        if let Some(quarantine) = app.map(|app| ledger::quarantine(view, app)).transpose()?.flatten() {
            keeps.push(Badge::new(format!("the app is left alone: {}", quarantine.rejection.cause.name()), Tone::Bad));
        }
        if let Some(failure) = account.and_then(|account| account.rejection.as_ref()) {
            let shown = FailureView::of(failure, person.sees());
            let status = shown.status.map(|status| format!(" ({status})")).unwrap_or_default();
            let said = shown.detail.map(|detail| format!(": {detail}")).unwrap_or_default();
            keeps.push(Badge {
                title: format!("{}{status}{said}", shown.cause),
                ..Badge::new(format!("{}{status}{said}", shown.cause), Tone::Warn)
            });
        }
        if let Some(waived) = &owed.waived {
            keeps.push(Badge::new(format!("waived by {} until {}", waived.by, at(waived.expires_at)), Tone::Warn));
        }
        if keeps.is_empty() {
            let text = if owed.applied_at.is_some() {
                "the app says that it is done: it is being read back"
            } else {
                "it is being worked on"
            };
            keeps.push(Badge::new(text, Tone::Info));
        }
        let act = match person.role >= Role::Operator {
            true => Cell::link("Waive", act_on("waive", &owed.id.to_string(), found.id)),
            false => Cell::text("an operator can waive it, and have it looked at again"),
        };
        rows.push(Row::from(vec![
            place(view, owed)?,
            Cell::word(word(&owed.status())),
            due(owed, now),
            Cell::Badges(keeps),
            Cell::text(owner.unwrap_or_default()),
            act,
        ]));
    }
    Ok(Table::new("What is owed for them now", &REMAINS).with(rows))
}

/// What they hold, each with every reason.
fn access_table(view: &View, catalogue: &Catalogue, found: Identity, now: Timestamp) -> Result<Table, ApiError> {
    let mut rows = Vec::new();
    for held in ledger::held_by(view, catalogue, found)? {
        let shown = HeldView::of(view, &held)?;
        let reasons = shown.reasons.iter().map(|reason| reason.text.as_str()).collect::<Vec<_>>().join("; ");
        let what = if shown.kind == "account" { "an account".to_owned() } else { format!("group {}", shown.name) };
        rows.push(vec![
            app_link(view, &shown.app)?,
            Cell::text(what),
            Cell::word(word(&shown.risk)),
            Cell::when(shown.since, now),
            shown.until.map_or_else(|| Cell::text("no end"), |until| Cell::when(Some(until), now)),
            Cell::word(shown.state.to_owned()),
            Cell::text(reasons),
        ]);
    }
    Ok(Table::new("What they hold, since when, until when and why", &ACCESS).with(rows))
}

fn act_on(what: &str, id: &str, identity: IdentityId) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("do", what)
        .append_pair("id", id)
        .append_pair("back", &format!("/console/identities/{identity}"))
        .finish();
    format!("/console/act?{query}")
}

fn accounts_table(view: &View, person: &Person, accounts: &[Account], now: Timestamp) -> Result<Table, ApiError> {
    let mut rows = Vec::new();
    for account in accounts {
        let mut state = Vec::new();
        let active = account.observed.as_ref().map(|seen| seen.get("active") != Some(&Value::Bool(false)));
        let must_be_gone = account.desired.target() == Target::Absent;
        state.push(match active {
            Some(true) if must_be_gone => Badge::new("live when it was read", Tone::Bad),
            Some(true) => Badge::new("live when it was read", Tone::Good),
            Some(false) => Badge::new("inactive when it was read", Tone::Plain),
            None if account.verified_at.is_none() => Badge::new("not read yet", Tone::Plain),
            None => Badge::new("not there when it was read", Tone::Plain),
        });
        if account.is_pending() {
            state.push(Badge::new("to be changed or read", Tone::Info));
        }
        if account.parked_at.is_some() {
            state.push(Badge::new("parked: the app refuses it", Tone::Warn));
        }
        if account.may_exist.is_some() {
            state.push(Badge::new("one more may exist", Tone::Warn));
        }
        let drift = ledger::drift_of(view, &account.app, account.identity)?;
        state.extend(drift.iter().map(|item| Badge::word(word(&item.id.kind))));
        let proof = match account.proof() {
            Proof::Read => Cell::Badges(vec![Badge::word("verified")]),
            Proof::Word => {
                let by = account.word().map(|word| word.who.clone()).unwrap_or_default();
                let act = format!("/console/act?do=undone-task&id={}", TaskId::of(account));
                Cell::link(format!("attested: the word of {by}, which can be taken back"), act)
            }
            Proof::None => Cell::Badges(vec![Badge::new("not verified", Tone::Warn)]),
        };
        let desired = match account.desired.target() {
            Target::Present => "present",
            Target::Absent => "absent",
        };
        let id = account.remote_id.clone().filter(|_| person.sees() == Detail::Full).unwrap_or_default();
        rows.push(vec![
            app_link(view, &account.app)?,
            Cell::text(desired),
            proof,
            Cell::when(account.verified_at, now),
            Cell::text(id),
            Cell::Badges(state),
        ]);
    }
    Ok(Table::new("What each app must show, and showed", &ACCOUNTS).with(rows))
}

fn facts(view: &View, person: &Person, found: &Identity) -> Result<Vec<(&'static str, String)>, ApiError> {
    let mut facts = vec![("Id", found.id.to_string())];
    if person.sees() == Detail::Full {
        let known = [("displayName", "Name"), ("title", "Title"), ("userType", "Type")];
        let text = |path: &str| found.resource.get(path).and_then(Value::as_str).map(str::to_owned);
        facts.extend(known.iter().filter_map(|(path, name)| text(path).map(|value| (*name, value))));
    } else {
        facts.push(("Left out", "names and free text: they are for auditors".to_owned()));
    }
    match found.content {
        Content::Open => {
            let order = ledger::ordered(view, found.id)?;
            facts.extend(
                order.map(|order| ("To be erased", format!("since {}, once no app keeps an account", at(order.at)))),
            );
        }
        Content::Sealed => facts.push(("Personal data", "sealed: its key is not here".to_owned())),
        Content::Erased => facts.push(("Personal data", "erased".to_owned())),
    }
    facts.extend(found.source.iter().map(|source| ("Source", source.to_string())));
    facts.push(("Joined", at(found.created_at)));
    facts.push(("Changed", at(found.changed_at)));
    let groups = directory::groups_of(view, found.id)?;
    let names: Vec<&str> = groups.iter().map(|(group, _)| group.display_name()).collect();
    facts.extend((!names.is_empty()).then(|| ("Groups", names.join(", "))));
    Ok(facts)
}
