//! A drill of an app that is not connected yet: nothing of it is on a log.

use std::sync::Arc;

use rollcall_config::AppConfig;
use rollcall_domain::app::drill::DrillReport;
use rollcall_domain::ids::Sequence;
use rollcall_event_log::Lease;
use tracing::warn;

use crate::app_client::client::ScimClient;
use crate::app_client::discovery::discover;
use crate::app_client::memberships::Memberships;
use crate::app_client::transport::Http;
use crate::drill::answers::in_words;
use crate::drill::canary::{canary, new_word};
use crate::drill::course::{Course, Journal};
use crate::drill::sight::Sight;
use crate::error::ProvisionerError;
use crate::search::controls::Controls;
use crate::search::look::Search;
use crate::work::error::WorkError;

/// Nobody goes on with what is cut off.
struct Nowhere;

impl Journal for Nowhere {
    async fn made(&self, remote_id: &str) -> Result<(), ProvisionerError> {
        // Whoever cuts this off has to know what to remove.
        warn!(remote_id, "the app has made the account of the drill");
        Ok(())
    }

    fn is_somebodys(&self, _: &str) -> Result<bool, ProvisionerError> {
        Ok(false)
    }
}

/// Drills an app as it is configured, from this process alone; cleans up after itself also where it fails.
///
/// # Errors
/// What an operator has to mend, in a sentence.
pub async fn rehearse(config: &AppConfig) -> Result<DrillReport, String> {
    let http = Http::new().map_err(|e| e.to_string())?;
    let way = http.to(config).map_err(|e| e.to_string())?;
    let client = ScimClient::new(config, Arc::new(Lease::unlimited()), way);
    let learned = discover(&client, &config.spec.attributes).await.map_err(|failure| failure.rejection.detail)?;
    let can = config.spec.capabilities.over(&learned);
    let (memberships, controls) = (Memberships::default(), Controls::default());
    let search = Search { client: &client, can: &can, max_scan: config.max_scan, controls: &controls };
    let word = new_word();
    let canary = canary(&config.spec, &config.drill.user_name, &word)?;
    warn!(canary = canary.user_name, "an account of this name goes through the app");
    let sight = Sight::new(search, config);
    let mut course = Course::new(config, &memberships, sight, &Nowhere, canary.clone(), &word);
    let ran = course.run().await;
    let wrong = |error: WorkError| match error {
        WorkError::App(failure) => in_words(&failure),
        WorkError::Ours(e) => e.to_string(),
    };
    let (name, made) = (&canary.user_name, course.traces.made.join(", "));
    let cleaned = course
        .clean_up()
        .await
        .map_err(|error| format!("it can't be cleaned up after: {}; look for '{name}' there ({made})", wrong(error)))?;
    if let Err(error) = ran {
        return Err(cleaned.after(&wrong(error)));
    }
    course.cleaned(&cleaned);
    let (results, at) = (course.results, jiff::Timestamp::now());
    Ok(DrillReport { sequence: Sequence(0), at, canary: Some(canary), results, left_behind: cleaned.left() })
}
