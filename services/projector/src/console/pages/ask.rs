//! Asking for access: for whom, what, for how long, and why.

use std::sync::Arc;

use askama::Template;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::{Extension, Form, Json};
use rollcall_domain::access::entitlement::Requestable;
use rollcall_domain::access::role::Standing;
use rollcall_domain::app::Connection;
use rollcall_domain::directory;
use serde_json::{Map, Value, json};

use super::Who;
use super::frame::{Frame, answer, problem};
use crate::api::context::{Api, Shared};
use crate::api::grants;
use crate::api::person::Person;
use crate::console::asked::Asked;
use crate::console::ui::Head;
use crate::error::ApiError;

/// For how long something is asked for.
const TIMES: [(&str, &str); 8] = [
    ("1h", "an hour"),
    ("4h", "4 hours"),
    ("8h", "8 hours"),
    ("1d", "a day"),
    ("7d", "a week"),
    ("30d", "30 days"),
    ("90d", "90 days"),
    ("", "without an end, where that is allowed"),
];

#[derive(Template)]
#[template(path = "ask.html")]
struct AskPage {
    frame: Frame,
    head: Head,
    problem: Option<String>,
    identity: String,
    /// What can be asked for, and what it is called.
    what: Vec<(String, String)>,
    chosen: String,
    times: Vec<(&'static str, &'static str)>,
    lasting: String,
    reason: String,
    ticket: String,
}

/// The form.
pub async fn ask(State(api): Shared, Extension(person): Who, RawQuery(query): RawQuery) -> Response {
    let asked = Asked::read(query.as_deref());
    let page = page(&api, &person, &asked, None).await;
    answer(&api, &person, page)
}

async fn page(api: &Api, person: &Person, asked: &Asked, problem: Option<String>) -> Result<AskPage, ApiError> {
    let view = api.fresh().await?;
    let mut what = Vec::new();
    for role in directory::roles(&view)? {
        let spec = role.spec;
        if role.standing == Standing::Configured && spec.terms.requestable == Requestable::Yes {
            let all = spec.entitlements.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            what.push((format!("role:{}", spec.id), format!("role {}: {all}", spec.name)));
        }
    }
    for app in directory::apps(&view)?.into_iter().filter(|app| app.connection == Connection::Configured) {
        let spec = app.spec;
        for known in spec.entitlements.iter().filter(|known| known.terms.requestable == Requestable::Yes) {
            let part = known.part.clone();
            let id = rollcall_domain::access::entitlement::EntitlementId { app: spec.id.clone(), part };
            what.push((id.to_string(), format!("{}: {} ({} risk)", spec.name, known.name, known.terms.risk.name())));
        }
    }
    let own = person.identity(&view)?.map(|id| directory::identity(&view, id)).transpose()?.flatten();
    let said = asked.get("identity").to_owned();
    let identity = if said.is_empty() { own.map(|own| own.user_name().to_owned()).unwrap_or_default() } else { said };
    let mut frame = Frame::new(api, person, "", "/v1/grants");
    frame.still = true;
    Ok(AskPage {
        frame,
        head: Head::new(
            "Ask for access",
            "For yourself, for somebody whose manager you are, or as an operator for anybody.",
        ),
        problem,
        identity,
        what,
        chosen: asked.get("what").to_owned(),
        times: TIMES.to_vec(),
        lasting: if asked.get("what").is_empty() { "8h".to_owned() } else { asked.get("for").to_owned() },
        reason: asked.get("reason").to_owned(),
        ticket: asked.get("ticket").to_owned(),
    })
}

/// Asks; what was typed stays where it can't be.
pub async fn asked(
    State(api): State<Arc<Api>>,
    Extension(person): Who,
    Form(sent): Form<Vec<(String, String)>>,
) -> Response {
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&sent).finish();
    let asked = Asked::read(Some(&query));
    let mut body = Map::from_iter(["identity", "what", "reason"].map(|key| (key.to_owned(), json!(asked.get(key)))));
    let some =
        |key: &str| Some(asked.get(key)).filter(|text| !text.is_empty()).map(|text| (key.to_owned(), json!(text)));
    body.extend(["for", "ticket"].into_iter().filter_map(some));
    let body = Bytes::from(Value::Object(body).to_string());
    match grants::request(State(Arc::clone(&api)), Extension(person.clone()), body).await {
        Ok((_, Json(said))) => Redirect::to(&format!("/console/grants?done={}", said.sequence)).into_response(),
        Err(error) => {
            let why = error.to_string();
            let status = error.into_response().status();
            match page(&api, &person, &asked, Some(why)).await {
                Ok(page) => {
                    let mut response = answer(&api, &person, Ok(page));
                    *response.status_mut() = status;
                    response
                }
                Err(error) => problem(&api, &person, error),
            }
        }
    }
}
