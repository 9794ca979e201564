//! With what configuration a service has started.

use std::collections::BTreeMap;

use rollcall_scim::Changed;

/// Every setting by its place, such as `apps.crm.base_url`, as text; secrets are not among them, only where they are kept.
pub type Settings = BTreeMap<String, String>;

/// A process has started with a configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigurationRead {
    /// What it runs.
    pub service: String,
    /// SHA-256 of the settings as JSON.
    pub digest: Vec<u8>,
    /// The settings.
    pub settings: Settings,
    /// What differs from the one before.
    pub changed: Vec<Changed>,
}

/// What differs between two configurations.
#[must_use]
pub fn changed(before: &Settings, after: &Settings) -> Vec<Changed> {
    let places: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let value = |settings: &Settings, place: &String| settings.get(place).cloned().map(Into::into);
    let all = places.into_iter().map(|place| (place, value(before, place), value(after, place)));
    let differing = all.filter(|(_, before, after)| before != after);
    differing.map(|(place, before, after)| Changed { path: place.clone(), before, after }).collect()
}

/// Apps and roles change together: what gives access by one of them may take the place of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Configuring {
    /// What follows changes together.
    Begins,
    /// All of it is known.
    Ends,
}
