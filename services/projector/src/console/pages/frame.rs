//! What every page has around its content.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Response};
use jiff::Timestamp;
use rollcall_config::Role;
use rollcall_domain::access::case::CaseStatus;
use rollcall_domain::access::grant::GrantStatus;
use rollcall_domain::ids::Sequence;
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::{directory, ledger};

use crate::api::context::Api;
use crate::api::person::Person;
use crate::console::asked::Asked;
use crate::console::format::at;
use crate::console::ui::{Notice, Tone};
use crate::error::ApiError;

/// A page in the menu, and how much there needs someone.
pub struct MenuItem {
    pub place: &'static str,
    pub name: &'static str,
    pub count: usize,
    pub counts: &'static str,
}

/// What every page has around its content.
pub struct Frame {
    pub here: &'static str,
    pub person: String,
    pub role: &'static str,
    pub sequence: Sequence,
    pub now: String,
    pub call: String,
    pub searched: String,
    /// Whether the page stays as it is: somebody fills in a form.
    pub still: bool,
    pub notice: Option<Notice>,
    waiting: Waiting,
    sees: Role,
}

/// What needs someone.
#[derive(Debug, Clone, Copy, Default)]
struct Waiting {
    overdue: usize,
    holds: usize,
    approvals: usize,
    grants: usize,
    violations: usize,
    handovers: usize,
    tasks: usize,
}

impl Waiting {
    fn read(api: &Api, person: &Person) -> Result<Self, KvError> {
        let view = api.store.view();
        let is_overdue = |leaver: &&rollcall_domain::access::case::Case| leaver.status() == CaseStatus::Overdue;
        let approvals = match person.role >= Role::Operator {
            true => ledger::approvals(&view, Timestamp::now())?.len(),
            false => 0,
        };
        Ok(Self {
            overdue: ledger::alerting_leavers(&view)?.iter().filter(is_overdue).count(),
            holds: ledger::holds(&view)?.len(),
            grants: ledger::count_grants(&view, GrantStatus::Requested)?,
            violations: ledger::count_violations(&view, Timestamp::now())?.open,
            handovers: usize::try_from(ledger::count_handovers(&view)?.open).unwrap_or(usize::MAX),
            tasks: tasks(&view)?,
            approvals,
        })
    }
}

/// How much is owed in apps that people change.
fn tasks(state: &impl Read) -> Result<usize, KvError> {
    let mut all = 0;
    for app in directory::apps(state)?.iter().filter(|app| app.spec.kind.is_by_people()) {
        all += ledger::count_of(state, &app.spec.id)?.open;
    }
    Ok(usize::try_from(all).unwrap_or(usize::MAX))
}

impl Frame {
    /// That of a page, and the call of the API that gives the same.
    pub fn new(api: &Api, person: &Person, here: &'static str, call: impl Into<String>) -> Self {
        Self {
            here,
            person: person.name.clone(),
            role: person.role.name(),
            sequence: api.store.cursor(),
            now: at(Timestamp::now()),
            call: call.into(),
            searched: String::new(),
            still: false,
            notice: None,
            sees: person.role,
            // The page says it itself when the state can't be read.
            waiting: Waiting::read(api, person).unwrap_or_default(),
        }
    }

    /// The same with what the address says of what was done before.
    pub fn noting(mut self, asked: &Asked) -> Self {
        let number = |name: &str| asked.get(name).parse::<u64>().ok();
        let (text, tone, sequence) = match (number("done"), number("waits")) {
            (Some(sequence), _) => ("It is on the log.", Tone::Good, sequence),
            (None, Some(sequence)) => ("It waits for a second person, under Approvals.", Tone::Warn, sequence),
            (None, None) => return self,
        };
        self.notice = Some(Notice { text: text.to_owned(), tone, sequence: Some(sequence) });
        self
    }

    /// Whether they may look for people by name.
    pub fn finds_people(&self) -> bool {
        self.sees >= Role::Auditor
    }

    /// The menu.
    pub fn pages(&self) -> Vec<MenuItem> {
        let item = |place, name, count, counts| MenuItem { place, name, count, counts };
        let all = [
            item("/", "Overview", 0, ""),
            item("/console/leavers", "Leavers", self.waiting.overdue, "overdue"),
            item("/console/identities", "Identities", 0, ""),
            item("/console/apps", "Apps", 0, ""),
            item("/console/drift", "Drift", 0, ""),
            item("/console/obligations", "Obligations", 0, ""),
            item("/console/tasks", "Tasks", self.waiting.tasks, "open"),
            item("/console/holds", "Holds", self.waiting.holds, "waiting"),
            item("/console/approvals", "Approvals", self.waiting.approvals, "waiting"),
            item("/console/grants", "Access requests", self.waiting.grants, "waiting"),
            item("/console/violations", "Separation", self.waiting.violations, "open"),
            item("/console/machines", "Machines", 0, ""),
            item("/console/handovers", "Hand-overs", self.waiting.handovers, "open"),
            item("/console/credentials", "Credentials", 0, ""),
            item("/console/trends", "Trends", 0, ""),
            item("/console/events", "Events", 0, ""),
        ];
        // Whoever may not see a page is not led there.
        let may_see = |item: &MenuItem| match item.place {
            "/console/approvals" => self.sees >= Role::Operator,
            "/console/identities" | "/console/events" => self.sees >= Role::Auditor,
            _ => true,
        };
        all.into_iter().filter(may_see).collect()
    }
}

#[derive(Template)]
#[template(path = "problem.html")]
struct Problem {
    frame: Frame,
    title: String,
    detail: String,
}

fn html(page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => Html(html).into_response(),
        Err(e) => ApiError::Unwritable(e.to_string()).into_response(),
    }
}

/// A page, or the page that says why not.
pub fn answer<T: Template>(api: &Api, person: &Person, page: Result<T, ApiError>) -> Response {
    match page {
        Ok(page) => html(&page),
        Err(error) => problem(api, person, error),
    }
}

/// The page that says why there is none.
pub fn problem(api: &Api, person: &Person, error: ApiError) -> Response {
    let detail = error.to_string();
    let status = error.into_response().status();
    let title = status.canonical_reason().unwrap_or("Something went wrong").to_owned();
    let mut response = html(&Problem { frame: Frame::new(api, person, "", "/openapi.json"), title, detail });
    if response.status() == StatusCode::OK {
        *response.status_mut() = status;
    }
    response
}
