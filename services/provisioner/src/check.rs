//! What is wrong with an app before anyone needs it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rollcall_config::{AccountListConfig, AppConfig, Reach};
use rollcall_domain::app::capability::{Capabilities, Support};
use rollcall_domain::app::mapping::is_sent;
use rollcall_event_log::Lease;

use crate::app_client::client::ScimClient;
use crate::app_client::discovery::{discover, probe};
use crate::app_client::transport::Http;
use crate::list::entries::read;
use crate::list::source::{Newest, source_of};

/// How long an app may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks an app for its discovery documents and one account; changes nothing.
///
/// # Errors
/// What an operator has to mend, in a sentence.
pub async fn check(app: &AppConfig) -> Result<(), String> {
    let mut app = app.clone();
    app.request_timeout = app.request_timeout.min(PATIENCE);
    let http = Http::new().map_err(|e| e.to_string())?;
    match &app.reach {
        Reach::Scim(_) => {}
        Reach::People => return Ok(()),
        Reach::List(list) => return check_list(&http, &app, list).await,
    }
    let way = http.to(&app).map_err(|e| e.to_string())?;
    let client = ScimClient::new(&app, Arc::new(Lease::unlimited()), way);
    let said = async {
        let can = discover(&client, &app.spec.attributes).await?;
        probe(&client).await?;
        Ok(can)
    };
    let learned = said.await.map_err(|failure: crate::app_client::client::Failure| {
        let status = failure.rejection.status.map(|s| format!(" ({s})")).unwrap_or_default();
        format!("{}{status}: {}", failure.rejection.cause.name(), failure.rejection.detail)
    })?;
    contradictions(&app, &app.spec.capabilities.over(&learned))
}

/// Reads the list of an app once.
async fn check_list(http: &Http, app: &AppConfig, list: &AccountListConfig) -> Result<(), String> {
    let source = source_of(http, app, list).map_err(|e| e.to_string())?;
    let now = Timestamp::now();
    match source.newest(None, now).await.map_err(|failure| failure.rejection.detail)? {
        Newest::Same { .. } => Ok(()),
        Newest::Unfinished => Err("the list is being written: check again in a moment".into()),
        Newest::Other { written_at, body, .. } => {
            let entries = read(list, &body).map_err(|why| format!("the list: {why}"))?;
            let age = Duration::try_from(now.duration_since(written_at)).unwrap_or_default();
            match (entries.len(), age > list.max_age) {
                (_, true) => Err(format!("the list was written at {written_at}: that is longer ago than list.max_age")),
                (0, false) => Err("the list has no account in it".into()),
                (_, false) => Ok(()),
            }
        }
    }
}

fn contradictions(app: &AppConfig, can: &Capabilities) -> Result<(), String> {
    if can.groups == Support::No && !app.spec.groups.is_empty() {
        return Err("the app has no groups, and [[apps.groups]] names some".into());
    }
    if can.deactivate == Support::No
        && app.spec.deprovision == rollcall_domain::app::deprovision::Deprovision::Deactivate
    {
        return Err("the app's Users have no 'active': set deprovision = \"delete\", or capabilities.deactivate".into());
    }
    // What the configuration says of it is seen without asking.
    let said = &app.spec.capabilities.required;
    match can.required.iter().find(|path| !said.contains(path) && !is_sent(&app.spec.attributes, path)) {
        Some(path) => Err(format!("the app makes no account without '{path}', and [apps.attributes] does not have it")),
        None => Ok(()),
    }
}
