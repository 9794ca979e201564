//! A drill of an app that is not connected yet: nothing of it is on a log.

use std::collections::BTreeSet;
use std::sync::Arc;

use rollcall_config::AppConfig;
use rollcall_domain::app::capability::Support;
use rollcall_domain::app::drill::{Canary, DrillReport};
use rollcall_domain::app::standard::{Invitation, Standard};
use rollcall_domain::ids::Sequence;
use rollcall_event_log::Lease;
use uuid::Uuid;

use crate::app_client::client::ScimClient;
use crate::app_client::discovery::discover;
use crate::app_client::memberships::Memberships;
use crate::app_client::transport::Http;
use crate::drill::canary::{Person, known_as};
use crate::drill::course::{Course, Journal};
use crate::drill::sight::Sight;
use crate::error::ProvisionerError;
use crate::search::controls::Controls;
use crate::search::look::Search;
use crate::work::error::WorkError;

/// The course of a drill of an app that can do what `search` says.
pub fn course<'a, J: Journal>(
    config: &'a AppConfig,
    memberships: &'a Memberships,
    search: Search<'a>,
    journal: &'a J,
    canary: Canary,
    word: &str,
) -> Course<'a, J> {
    let mut standard = Standard::of(&config.spec, search.can);
    if search.can.invites == Support::Yes {
        standard.invitation = Invitation::Stands;
    }
    let patience = config.drill.patience.max(search.can.consistency_delay.unwrap_or_default());
    Course {
        spec: &config.spec,
        settings: &config.drill,
        memberships,
        journal,
        sight: Sight { search, patience, ways: BTreeSet::new() },
        standard,
        canary,
        person: Person::new(&config.spec, &config.drill.user_name, word),
        renamed: Person::renamed(&config.spec, &config.drill.user_name, word),
        given_up: BTreeSet::new(),
        made: Vec::new(),
        results: Vec::new(),
        deletion: Support::Unknown,
    }
}

/// Nobody goes on with what is cut off.
struct Nowhere;

impl Journal for Nowhere {
    async fn made(&self, _: &str) -> Result<(), ProvisionerError> {
        Ok(())
    }
}

/// Drills an app as it is configured, from this process alone; cleans up after itself also where it fails.
///
/// # Errors
/// What an operator has to mend, in a sentence.
pub async fn rehearse(config: &AppConfig) -> Result<DrillReport, String> {
    let http = Http::new().map_err(|e| e.to_string())?;
    let transport = http.to(config).map_err(|e| e.to_string())?;
    let client = ScimClient::new(config, Arc::new(Lease::unlimited()), transport);
    let learned = discover(&client, &config.spec.attributes).await.map_err(|failure| failure.rejection.detail)?;
    let can = config.spec.capabilities.over(&learned);
    let (memberships, controls) = (Memberships::default(), Controls::default());
    let search = Search { client: &client, can: &can, max_scan: config.max_scan, controls: &controls };
    let id = Uuid::now_v7().simple().to_string();
    let word = id.get(id.len().saturating_sub(10)..).unwrap_or(&id);
    let person = Person::new(&config.spec, &config.drill.user_name, word);
    let canary = known_as(&person.attributes(&config.spec))
        .ok_or("the mapping gives the canary no userName: mend [apps.attributes]")?;
    let mut course = course(config, &memberships, search, &Nowhere, canary.clone(), word);
    let ran = course.run().await;
    let left_behind = course.clean_up(&[]).await.map_err(|failure| {
        let made = course.made.join(", ");
        format!(
            "it can't be cleaned up after: {}; look for '{}' there ({made})",
            failure.rejection.detail, canary.user_name
        )
    })?;
    match ran {
        Ok(()) => {}
        Err(WorkError::App(failure)) => return Err(failure.rejection.detail),
        Err(WorkError::Ours(e)) => return Err(e.to_string()),
    }
    course.cleaned(&left_behind);
    let (results, at) = (course.results, jiff::Timestamp::now());
    Ok(DrillReport { sequence: Sequence(0), at, canary: Some(canary), results, left_behind })
}
