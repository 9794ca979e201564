//! What is wrong with an app before anyone needs it.

use std::sync::Arc;
use std::time::Duration;

use rollcall_config::AppConfig;
use rollcall_domain::app::capability::{Capabilities, Support};
use rollcall_domain::app::mapping::is_sent;
use rollcall_event_log::Lease;

use crate::app_client::client::ScimClient;
use crate::app_client::discovery::{discover, probe};
use crate::app_client::transport::Http;

/// How long an app may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks an app for its discovery documents and one account; changes nothing.
///
/// # Errors
/// What an operator has to mend, in a sentence.
pub async fn check(app: &AppConfig) -> Result<(), String> {
    if app.spec.kind.is_by_people() {
        return Ok(());
    }
    let mut app = app.clone();
    app.request_timeout = app.request_timeout.min(PATIENCE);
    let http = Http::new().map_err(|e| e.to_string())?;
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
