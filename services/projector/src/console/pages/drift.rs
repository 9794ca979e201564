//! Where apps differ.

use askama::Template;
use axum::Extension;
use axum::extract::{Query, State};
use axum::response::Response;
use jiff::Timestamp;
use rollcall_domain::drift::DriftItem;
use rollcall_domain::drift::kind::DriftKind;
use rollcall_domain::ids::IdentityId;

use super::{Frame, Listed, Who, answer, name_of, rows};
use crate::api::context::Shared;
use crate::api::views::Detail;
use crate::console::format::{at, span, word};
use crate::error::ApiError;

struct DriftRow {
    kind: String,
    app: String,
    identity: Option<IdentityId>,
    name: String,
    paths: String,
    age: String,
    accepted: String,
}

#[derive(Template)]
#[template(path = "drift.html")]
struct DriftPage {
    frame: Frame,
    app: String,
    rows: Vec<DriftRow>,
    next: Option<String>,
}

/// Where apps differ.
pub async fn drift(State(api): Shared, Extension(person): Who, Query(listed): Query<Listed>) -> Response {
    let page = async {
        let view = api.fresh().await?;
        let app = listed.app.clone();
        let wanted = |item: &DriftItem| app.is_empty() || item.id.app.as_str() == app;
        let (found, next) = rows(&view, "drift/", listed.cursor.as_deref(), wanted)?;
        let now = Timestamp::now();
        let row = |item: &DriftItem| {
            let identity = Some(item.id.identity).filter(|_| item.id.kind != DriftKind::Orphan);
            let hidden = person.sees() == Detail::Impersonal;
            Ok(DriftRow {
                kind: word(&item.id.kind),
                app: item.id.app.to_string(),
                name: match identity {
                    Some(id) => name_of(&view, &person, id)?,
                    None if hidden => "an account".to_owned(),
                    None => item.user_name.clone(),
                },
                identity,
                paths: item.differences.iter().map(|c| c.path.as_str()).collect::<Vec<_>>().join(", "),
                age: span(now.duration_since(item.detected_at)),
                accepted: item
                    .accepted
                    .as_ref()
                    .map(|e| format!("by {} until {}", e.by, at(e.expires_at)))
                    .unwrap_or_default(),
            })
        };
        let rows = found.iter().map(row).collect::<Result<_, ApiError>>()?;
        let call = if app.is_empty() { "/v1/drift".to_owned() } else { format!("/v1/drift?app={app}") };
        Ok(DriftPage { frame: Frame::new(&api, &person, "/console/drift", call), app, rows, next })
    };
    answer(&api, &person, page.await)
}
