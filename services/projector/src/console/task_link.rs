//! What has to be done, for whoever was sent the link to it: they say that it is done, once, without signing in.

use askama::Template;
use axum::Form;
use axum::extract::{RawQuery, State};
use axum::http::{Method, StatusCode};
use axum::response::{Html, IntoResponse as _, Response};
use jiff::Timestamp;
use rollcall_config::Role;
use rollcall_domain::access::account::Account;
use rollcall_domain::identity::linked;
use rollcall_domain::identity::name::name_key;
use rollcall_domain::kv::KvError;
use rollcall_domain::ledger::{self, Answerable};
use rollcall_domain::{directory, identity};
use rollcall_projection::View;
use rollcall_tokens::{BadLink, TaskLink};
use serde::Deserialize;

use crate::api::context::{Api, Shared};
use crate::api::disclosure::Asked;
use crate::api::person::{Person, Vouched};
use crate::api::relations::is_them_by_name;
use crate::api::tasks::{Speaker, attest, not_of_oneself};
use crate::api::views::{Detail, TaskView};
use crate::console::asked::Asked as Address;
use crate::console::format::at;
use crate::error::ApiError;

#[derive(Template)]
#[template(path = "task_link.html")]
struct TaskPage {
    problem: Option<String>,
    done: Option<u64>,
    task: Option<Shown>,
}

/// A task, as whoever does it reads it.
struct Shown {
    link: String,
    app: String,
    whose: String,
    to_do: Vec<String>,
    instructions: String,
    deadline: String,
    waits: Option<String>,
    refuted: bool,
}

impl Shown {
    fn has_address(&self) -> bool {
        self.instructions.starts_with("https://")
    }
}

/// Why a link leads nowhere.
#[derive(Debug)]
enum Refused {
    /// What the page says, and as what.
    Said(StatusCode, &'static str),
    Api(ApiError),
}

impl<E: Into<ApiError>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::Api(error.into())
    }
}

/// A link that may be followed.
struct Followed {
    view: View,
    account: Account,
    task: TaskView,
    /// Who says it: whoever it was sent to.
    actor: String,
}

fn page(status: StatusCode, page: &TaskPage) -> Response {
    match page.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(e) => ApiError::Unwritable(e.to_string()).into_response(),
    }
}

fn refused(why: Refused) -> Response {
    let (status, problem) = match why {
        Refused::Said(status, text) => (status, text.to_owned()),
        Refused::Api(error @ (ApiError::Conflict(_) | ApiError::BadRequest(_) | ApiError::Forbidden(_))) => {
            (StatusCode::CONFLICT, error.to_string())
        }
        Refused::Api(error) => return error.into_response(),
    };
    page(status, &TaskPage { problem: Some(problem), done: None, task: None })
}

async fn followed(api: &Api, text: &str, method: &Method) -> Result<Followed, Refused> {
    let none = Refused::Said(StatusCode::NOT_FOUND, "There are no such links here: tasks.link_key_env is not set.");
    let key = api.link_key.as_ref().ok_or(none)?;
    let link = TaskLink::read(text, key, Timestamp::now()).map_err(|bad| match bad {
        BadLink::Forged => Refused::Said(StatusCode::FORBIDDEN, "This link is none of ours, or not whole."),
        BadLink::Late => {
            Refused::Said(StatusCode::GONE, "The time of this link is over. Sign in, and say it under Tasks.")
        }
    })?;
    if api.rate.check_key(&format!("link:{}", link.owner)).is_err() {
        let detail = "more was asked for by such links than may be in a second";
        return Err(Refused::Api(ApiError::TooMany { detail, seconds: 1 }));
    }
    let over = || {
        Refused::Said(
            StatusCode::GONE,
            "There is nothing to do any more, or something else than this: it was done, this link was used, or what is desired has \
             changed.",
        )
    };
    let view = api.fresh().await?;
    let account = ledger::task(&view, &link.task)?.filter(|account| !link.is_used(account)).ok_or_else(over)?;
    let task = TaskView::of(&view, &account, Detail::Full)?.ok_or_else(over)?;
    if name_key(&task.owner) != name_key(&link.owner) {
        return Err(Refused::Said(StatusCode::FORBIDDEN, "Somebody else answers for this app by now."));
    }
    let name = linked(&link.owner);
    let person = Person { name, role: Role::Viewer, apps: None, vouched: Vouched::No, known_by: None };
    let path = format!("/v1/identities/{}", account.identity);
    let asked =
        |status| Asked { person: &person, method, route: "/v1/identities/{id}", path: &path, query: None, status };
    if let Some(refusal) = refusal(api, &view, &link, &account)? {
        api.record.note(asked(StatusCode::FORBIDDEN)).await?;
        return Err(refusal);
    }
    // It shows a person, as the API's answer does.
    api.record.note(asked(StatusCode::OK)).await?;
    // Events name those who are known by their ids, so that nothing is left of whoever is erased.
    let actor = link.who.map_or_else(|| person.name.clone(), identity::actor);
    Ok(Followed { view, account, task, actor })
}

/// Why whoever a link was sent to does not say it; `None`: they do.
fn refusal(api: &Api, view: &View, link: &TaskLink, account: &Account) -> Result<Option<Refused>, KvError> {
    let refuse = |text| Ok(Some(Refused::Said(StatusCode::FORBIDDEN, text)));
    let owner = directory::app(view, &account.app)?.map(|app| app.spec.owner).unwrap_or_default();
    if name_key(&owner) != name_key(&link.owner) {
        return refuse("Somebody else answers for this app by now.");
    }
    let is_theirs = match ledger::answerable(view, &link.owner)? {
        Answerable::Person(them) => link.who == Some(them.id),
        Answerable::Others => link.who.is_none(),
        Answerable::Gone => false,
    };
    if !is_theirs {
        return refuse("Whoever got this link has left, or is switched off.");
    }
    if is_them_by_name(api, view, &link.owner, account.identity)? {
        return Ok(Some(not_of_oneself().into()));
    }
    Ok(None)
}

/// What has to be done. Looking does nothing: programs follow links in mail before people do.
pub async fn show(State(api): Shared, RawQuery(query): RawQuery) -> Response {
    let address = Address::read(query.as_deref());
    let link = address.get("link");
    match followed(&api, link, &Method::GET).await {
        Ok(Followed { task, .. }) => {
            let task = Shown {
                link: link.to_owned(),
                app: task.app_name,
                whose: task.user_name.unwrap_or_else(|| task.identity.to_string()),
                to_do: task.to_do.unwrap_or_default(),
                instructions: task.instructions,
                deadline: task.deadline.map(at).unwrap_or_default(),
                waits: task.waits,
                refuted: task.refuted,
            };
            page(StatusCode::OK, &TaskPage { problem: None, done: None, task: Some(task) })
        }
        Err(why) => refused(why),
    }
}

/// What somebody says.
#[derive(Deserialize)]
pub struct Word {
    link: String,
    #[serde(default)]
    reference: String,
}

/// Says that it is done.
pub async fn done(State(api): Shared, Form(word): Form<Word>) -> Response {
    let said = async {
        let Followed { view, account, actor, .. } = followed(&api, &word.link, &Method::POST).await?;
        let by = Speaker { actor: &actor, how: "by the link in a mail" };
        Ok(attest(&api, &view, by, &account, &word.reference).await?)
    };
    match said.await {
        Ok(sequence) => page(StatusCode::OK, &TaskPage { problem: None, done: Some(sequence.0), task: None }),
        Err(why) => refused(why),
    }
}
