//! The groups of an app by their names. An app may have several of one name: a group that was asked for twice, because the first answer
//! was lost, or one that was made by hand. Whoever is in any of them is in the group.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rollcall_domain::access::rejection::RejectionCause;
use rollcall_domain::app::capability::{Capabilities, Support};
use serde_json::Value;
use tokio::time::Instant;

use crate::app_client::client::{Endpoint, Failure, Filtered, ScimClient};
use crate::app_client::pages::Pages;
use crate::app_client::remote_group::{KnownGroup, RemoteGroup, RenamedGroup, read_known, same_name};

/// The managed groups of one app, as far as their ids are known.
#[derive(Debug, Default)]
pub struct NamedGroups {
    known: Mutex<BTreeMap<String, Known>>,
    /// When a group was asked for last, by its name.
    made: Mutex<BTreeMap<String, Instant>>,
}

/// The ids of the groups of one name, and when they were looked up.
#[derive(Debug, Clone)]
struct Known {
    ids: BTreeSet<String>,
    /// Those that had the name, and are called otherwise now.
    renamed: BTreeSet<String>,
    at: Instant,
    took: Duration,
}

/// How long it is believed that there is no further group of a name.
const LOOKED_UP_FOR: Duration = Duration::from_secs(5);

/// The same, in times of how long it took to look them up: an app with many groups that can't be filtered is not only asked for
/// them.
const LOOKED_UP_FOR_TIMES: u32 = 20;

/// So long after a group was asked for it is believed from one moment to the next only: an answer may have been lost, and the
/// request be carried out late.
const MAY_BE_MADE_FOR: Duration = Duration::from_mins(10);

/// Whether what is known of a group's ids is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Unless they were looked up a moment ago.
    IfNeeded,
    /// In any case.
    Afresh,
}

/// What was found of the groups of a name.
#[derive(Default)]
pub struct Found {
    /// Those that have it.
    pub groups: Vec<RemoteGroup>,
    /// Those that had it while this process has known them: whoever was put into them is still there.
    pub renamed: Vec<RenamedGroup>,
}

impl Found {
    /// The same without those that have the name of another managed group by now: who is in them is in that one.
    pub fn without_managed(mut self, managed: &BTreeSet<String>) -> Self {
        self.renamed.retain(|renamed| !managed.iter().any(|name| same_name(name, &renamed.now)));
        self
    }

    /// The first of those that have the name. One that is called otherwise is not made a second time.
    ///
    /// # Errors
    /// When the only one that there is was renamed.
    pub fn first(self, name: &str) -> Result<Option<RemoteGroup>, Failure> {
        match (self.groups.into_iter().next(), self.renamed.first()) {
            (None, Some(renamed)) => Err(renamed.refusal(name)),
            (group, _) => Ok(group),
        }
    }
}

impl NamedGroups {
    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn made(&self) -> MutexGuard<'_, BTreeMap<String, Instant>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A group is about to be asked for.
    pub fn is_asked_for(&self, name: &str) {
        self.made().insert(name.to_owned(), Instant::now());
    }

    /// A group was made, with this id.
    pub fn was_made(&self, name: &str, id: &str) {
        let unknown =
            || Known { ids: BTreeSet::new(), renamed: BTreeSet::new(), at: Instant::now(), took: Duration::ZERO };
        self.known().entry(name.to_owned()).or_insert_with(unknown).ids.insert(id.to_owned());
    }

    /// Whether no group of this name was found when it was looked for last.
    pub fn is_missing(&self, name: &str) -> bool {
        self.known().get(name).is_none_or(|known| known.ids.is_empty())
    }

    /// What is known of a name, where it is not long ago that it was looked up. That there is none is looked up each time: the app may
    /// have been another one for a moment.
    fn fresh(&self, name: &str) -> Option<Known> {
        let is_fresh = |known: &&Known| known.at.elapsed() < LOOKED_UP_FOR.max(known.took * LOOKED_UP_FOR_TIMES);
        let believed = self.known().get(name).filter(is_fresh)?.clone();
        if believed.ids.is_empty() {
            return None;
        }
        let may_be_made = self.made().get(name).is_some_and(|at| at.elapsed() < MAY_BE_MADE_FOR);
        (!may_be_made).then_some(believed)
    }

    /// The groups with this name, and those that had it, each with its members.
    ///
    /// # Errors
    /// When they can't be read, or what the app lists is not what it has.
    pub async fn find(
        &self,
        client: &ScimClient,
        can: &Capabilities,
        name: &str,
        look: Look,
    ) -> Result<Found, Failure> {
        if can.groups == Support::No {
            let detail = format!("the app has no groups, and the mapping names its group '{name}'");
            return Err(Failure::new(RejectionCause::Unmappable, detail));
        }
        if let Some(known) = self.fresh(name).filter(|_| look == Look::IfNeeded) {
            let found = read_those(client, known.ids.union(&known.renamed), name).await?;
            if found.groups.len() == known.ids.len() && found.renamed.len() == known.renamed.len() {
                return Ok(found);
            }
        }
        let (before, renamed) =
            self.known().get(name).map(|known| (known.ids.clone(), known.renamed.clone())).unwrap_or_default();
        let at = Instant::now();
        let listed = look_up(client, can, name, &before).await?;
        let took = at.elapsed();
        // A list may leave members out; the group itself does not.
        let mut found = read_those(client, listed.iter(), name).await?;
        if found.groups.len() < listed.len() {
            let detail = format!("a group '{name}' is listed, and is not there, or has another name, when it is read");
            return Err(Failure::new(RejectionCause::NotScim, detail));
        }
        // One that no list shows any more is there as long as it is answered: an index may lag, or a page be left out.
        let unlisted: BTreeSet<&String> = before.union(&renamed).filter(|id| !listed.contains(*id)).collect();
        let unlisted = read_those(client, unlisted.into_iter(), name).await?;
        found.groups.extend(unlisted.groups);
        found.renamed = unlisted.renamed;
        let ids = found.groups.iter().map(|group| group.id.clone()).collect();
        let renamed = found.renamed.iter().map(|renamed| renamed.group.id.clone()).collect();
        self.known().insert(name.to_owned(), Known { ids, renamed, at, took });
        Ok(found)
    }
}

/// Those of these groups that are there, by whether they have this name.
async fn read_those(client: &ScimClient, ids: impl Iterator<Item = &String>, name: &str) -> Result<Found, Failure> {
    let mut found = Found::default();
    for id in ids {
        match read_known(client, id, name).await? {
            KnownGroup::Named(group) => found.groups.push(group),
            KnownGroup::Renamed(renamed) => found.renamed.push(renamed),
            KnownGroup::Gone => {}
        }
    }
    Ok(found)
}

/// The ids of all groups with this name that the app lists. A filter that finds none, or not those that were there `before`, is
/// not believed alone.
async fn look_up(
    client: &ScimClient,
    can: &Capabilities,
    name: &str,
    before: &BTreeSet<String>,
) -> Result<BTreeSet<String>, Failure> {
    let mut ids = BTreeSet::new();
    if can.filter != Support::No
        && let Filtered::List(answer) = client.search(Endpoint::Groups, "displayName", name).await?
    {
        let page = answer.found(can)?;
        let found: Vec<_> = page.resources.iter().filter_map(|g| RemoteGroup::read(g, name)).collect();
        if page.is_complete() && found.len() == page.resources.len() {
            ids.extend(found.into_iter().map(|group| group.id));
            if !ids.is_empty() && before.is_subset(&ids) {
                return Ok(ids);
            }
        }
    }
    let mut seen = BTreeSet::new();
    let mut pages = Pages::new(Endpoint::Groups, can);
    while let Some(page) = pages.next(client).await? {
        for group in &page.resources {
            // The same group on two pages: others were passed over.
            if let Some(id) = group.get("id").and_then(Value::as_str)
                && !seen.insert(id.to_owned())
            {
                return Err(page.answer.not_scim("the pages of the app overlap: which groups it has can't be told"));
            }
            ids.extend(RemoteGroup::read(group, name).map(|group| group.id));
        }
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::sync::Arc;

    use reqwest::{Method, StatusCode};
    use serde_json::json;
    use url::Url;

    use super::*;
    use crate::app_client::simulated::client_of;
    use crate::app_client::transport::{Exchange, Response, Secrets, Transport};

    /// What a list of groups of an app is like.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Lists {
        Whole,
        /// A filter finds none of them.
        BlindFilter,
        /// A filter finds none of them, and no page shows the first.
        HideTheFirst,
        /// A filter finds none of them, and the first is on each page.
        Overlap,
    }

    /// An app with groups of the name `eng`, by their ids.
    #[derive(Debug)]
    struct Groups {
        ids: Mutex<Vec<&'static str>>,
        lists: Mutex<Lists>,
    }

    impl Transport for Groups {
        fn exchange<'a>(&'a self, _: Method, address: Url, _: Option<&'a Value>) -> Exchange<'a> {
            let ids = self.ids.lock().unwrap();
            let lists = *self.lists.lock().unwrap();
            let of = |id: &str| json!({ "id": id, "displayName": "eng", "members": [{ "value": format!("of-{id}") }] });
            let query = |name: &str| address.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value);
            let start: usize = query("startIndex").and_then(|start| start.parse().ok()).unwrap_or(1);
            let asked = address.path().trim_start_matches("/Groups").trim_start_matches('/').to_owned();
            let (status, body) = if asked.is_empty() {
                let shown: Vec<Value> = match (lists, query("filter").is_some()) {
                    (Lists::Whole, _) | (Lists::BlindFilter, false) => {
                        ids.iter().skip(start - 1).map(|id| of(id)).collect()
                    }
                    (_, true) => Vec::new(),
                    (Lists::HideTheFirst, false) => ids.iter().skip(start).map(|id| of(id)).collect(),
                    (Lists::Overlap, false) if start > ids.len() => Vec::new(),
                    (Lists::Overlap, false) => vec![of(ids[0])],
                };
                let total = match (lists, query("filter").is_some()) {
                    (Lists::Whole | Lists::Overlap, false) | (Lists::Whole, true) | (Lists::BlindFilter, false) => {
                        ids.len()
                    }
                    (Lists::HideTheFirst, false) => ids.len() - 1,
                    (_, true) => 0,
                };
                let list = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
                let body = json!({ "schemas": [list], "totalResults": total, "startIndex": start, "Resources": shown });
                (StatusCode::OK, body)
            } else if ids.contains(&asked.as_str()) {
                (StatusCode::OK, of(&asked))
            } else {
                (StatusCode::NOT_FOUND, Value::Null)
            };
            let body = body.to_string().into_bytes();
            let answer = Response { status, retry_after: None, body, secrets: Secrets::default() };
            Box::pin(async move { Ok(answer) })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_group_that_no_list_shows_is_there_as_long_as_it_is_answered() {
        let app = Arc::new(Groups { ids: Mutex::new(vec!["g1", "g2"]), lists: Mutex::new(Lists::Whole) });
        let (client, can, groups) = (client_of(app.clone()), Capabilities::default(), NamedGroups::default());
        let find = async |lists| {
            *app.lists.lock().unwrap() = lists;
            tokio::time::advance(LOOKED_UP_FOR).await;
            let found = groups.find(&client, &can, "eng", Look::IfNeeded).await;
            found.map(|all| all.groups.into_iter().map(|group| group.id).collect::<BTreeSet<_>>())
        };
        let both = BTreeSet::from(["g1".to_owned(), "g2".to_owned()]);
        for lists in [Lists::BlindFilter, Lists::Whole, Lists::BlindFilter, Lists::HideTheFirst] {
            assert_eq!(find(lists).await.unwrap(), both, "{lists:?}");
        }
        // It was deleted, and is not there any more.
        app.ids.lock().unwrap().retain(|id| *id != "g1");
        assert_eq!(find(Lists::BlindFilter).await.unwrap(), BTreeSet::from(["g2".to_owned()]));
        assert!(!groups.is_missing("eng"));
        app.ids.lock().unwrap().clear();
        assert_eq!(find(Lists::Whole).await.unwrap(), BTreeSet::new());
        assert!(groups.is_missing("eng"));
        // It was another tenant for a moment.
        app.ids.lock().unwrap().push("g1");
        let found = groups.find(&client, &can, "eng", Look::IfNeeded).await.unwrap();
        assert_eq!(found.groups.len(), 1, "that there was none is believed");
    }

    #[tokio::test]
    async fn of_pages_that_overlap_nothing_is_believed() {
        let ids = Mutex::new(vec!["g1", "g2", "g3"]);
        let app = Arc::new(Groups { ids, lists: Mutex::new(Lists::Overlap) });
        let (client, can, groups) = (client_of(app), Capabilities::default(), NamedGroups::default());
        let failure = groups.find(&client, &can, "eng", Look::IfNeeded).await.err().unwrap();
        assert!(failure.rejection.detail.contains("overlap"), "{failure:?}");
    }
}
