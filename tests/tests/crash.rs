//! SIGKILL at ten random points while 200 changes flow: nothing acknowledged is lost, nothing happens twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, ensure};
use reqwest::Method;
use rollcall_tests::rollcall::SOURCE_TOKEN;
use rollcall_tests::{App, Dice, Rollcall, Scim2Server, until};
use serde_json::{Value, json};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const PEOPLE: usize = 80;
const CHANGES: usize = 200;
const KILLS: usize = 10;

/// One change of one person, and what the identity provider wants afterwards.
#[derive(Clone, Debug)]
struct Change {
    person: usize,
    title: String,
    active: bool,
}

fn changes(dice: &mut Dice) -> Vec<Change> {
    let title = |n: usize| format!("title {n}");
    let mut all: Vec<Change> =
        (0..PEOPLE).map(|person| Change { person, title: title(person), active: true }).collect();
    for n in PEOPLE..CHANGES {
        // The title makes each change a real one.
        all.push(Change { person: dice.roll(PEOPLE), title: title(n), active: dice.roll(3) > 0 });
    }
    all
}

/// Sends one change until it is acknowledged, as an identity provider does; a creation that went unanswered is looked
/// up before it is sent again.
async fn send(rollcall: &Rollcall, ids: &mut BTreeMap<usize, String>, change: &Change) -> anyhow::Result<()> {
    let name = format!("person{}@example.com", change.person);
    until("a change is acknowledged", || {
        let id = ids.get(&change.person).cloned();
        let name = name.clone();
        async move {
            let body = json!({ "schemas": [USER], "userName": name, "title": change.title, "active": change.active });
            let answer = match &id {
                Some(id) => {
                    rollcall
                        .raw(Method::PUT, &format!("/scim/v2/Users/{id}"), SOURCE_TOKEN, Some(body.to_string()))
                        .await
                }
                None => rollcall.raw(Method::POST, "/scim/v2/Users", SOURCE_TOKEN, Some(body.to_string())).await,
            };
            match answer {
                Ok((status, body)) if status.is_success() => Ok(body["id"].as_str().map(str::to_owned)),
                Ok((status, _)) if status == 409 => {
                    let path = format!("/scim/v2/Users?filter=userName%20eq%20%22{name}%22");
                    let found = rollcall.raw(Method::GET, &path, SOURCE_TOKEN, None).await;
                    Ok(found.ok().and_then(|(_, body)| body["Resources"][0]["id"].as_str().map(str::to_owned)))
                }
                // It is down, or on its way up: the provider tries again.
                Ok((status, body)) => {
                    ensure!(status.is_server_error(), "{status} {body}");
                    Ok(None)
                }
                Err(_) => Ok(None),
            }
        }
    })
    .await
    .map(|id| drop(ids.insert(change.person, id)))
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_kills_while_two_hundred_changes_flow_lose_and_repeat_nothing() -> anyhow::Result<()> {
    let seed = std::env::var("SEED").ok().and_then(|s| s.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| u64::from(std::process::id()) * 2_654_435_761 + 1);
    println!("SEED={seed}");
    let mut dice = Dice(seed);
    let (one, two) = (Scim2Server::start().await?, Scim2Server::start().await?);
    let app = |id, server: &Scim2Server, assign, deprovision| App {
        id,
        base_url: server.base_url.clone(),
        assign,
        deprovision,
        leaver_sla: "10m",
        keys: "",
        // So many leave here that they would wait for a decision.
        tables: "[apps.guard]\nmax_removals = 10000\nmax_percent = 100",
    };
    let apps = [app("one", &one, "userName pr", "deactivate"), app("two", &two, r#"title co "1""#, "delete")];
    let rollcall = Rollcall::new(&apps, "")?;
    rollcall.start().await?;
    let rollcall = Arc::new(rollcall);

    let all = changes(&mut dice);
    let kill_at: BTreeSet<usize> = {
        let mut at = BTreeSet::new();
        while at.len() < KILLS {
            at.insert(dice.roll(CHANGES - 1) + 1);
        }
        at
    };
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let killer = {
        let (rollcall, acknowledged) = (Arc::clone(&rollcall), Arc::clone(&acknowledged));
        tokio::spawn(async move {
            for at in kill_at {
                until("the next kill", || async { Ok((acknowledged.load(Ordering::SeqCst) >= at).then_some(())) })
                    .await?;
                // Requests are on their way, to Rollcall and to the apps.
                rollcall.kill().await?;
                rollcall.start().await?;
            }
            anyhow::Ok(())
        })
    };
    let mut ids = BTreeMap::new();
    for change in &all {
        send(&rollcall, &mut ids, change).await?;
        acknowledged.fetch_add(1, Ordering::SeqCst);
    }
    killer.await??;

    let mut wanted: BTreeMap<usize, Change> = BTreeMap::new();
    for change in &all {
        wanted.insert(change.person, change.clone());
    }
    until("every obligation ended", || async {
        let open = ["open", "applied", "overdue"];
        for status in open {
            if !rollcall.items(&format!("/v1/obligations?status={status}")).await?.is_empty() {
                return Ok(None);
            }
        }
        Ok(Some(()))
    })
    .await?;

    // Every acknowledged change is in the log once: a changed title is said by exactly one event.
    let events = rollcall.items("/v1/timeline").await?;
    let mut said: BTreeMap<(String, String), usize> = BTreeMap::new();
    for event in events.iter().filter(|e| e["type"].as_str().is_some_and(|t| t.starts_with("identity."))) {
        let changes = event["changes"].as_array().context("no changes")?;
        for title in changes.iter().filter(|c| c["path"] == "title").filter_map(|c| c["after"].as_str()) {
            let who = event["identity"].as_str().unwrap_or_default().to_owned();
            *said.entry((who, title.to_owned())).or_default() += 1;
        }
    }
    for change in &all {
        let id = ids.get(&change.person).context("no id")?.clone();
        let times = said.get(&(id, change.title.clone())).copied().unwrap_or_default();
        ensure!(times == 1, "{change:?} is in the log {times} times");
    }
    ensure!(said.len() == CHANGES, "the log holds {} changes", said.len());
    let ids_in_log: BTreeSet<&str> = events.iter().filter_map(|e| e["event_id"].as_str()).collect();
    ensure!(ids_in_log.len() == events.len(), "an event is in the log twice");

    // Every account is in every app exactly once, and as desired.
    for (app, server, rule, deletes) in [("one", &one, "", false), ("two", &two, "1", true)] {
        let users = server.users().await?;
        // On a busy machine someone has left before there was an account to make, or before it was said that it was.
        let changed = events.iter().filter(|e| e["type"] == "account.applied" && e["app"] == app);
        let changed: BTreeSet<&str> = changed.filter_map(|e| e["identity"].as_str()).collect();
        for (person, change) in &wanted {
            let id = ids.get(person).context("no id")?;
            let found: Vec<&Value> = users.iter().filter(|u| u["externalId"] == id.as_str()).collect();
            let live = change.active && change.title.contains(rule);
            let expected = match found.len() {
                0 => !live && (deletes || !changed.contains(id.as_str())),
                1 => live || !deletes,
                _ => false,
            };
            ensure!(expected, "{change:?} has {} accounts", found.len());
            if let Some(user) = found.first() {
                ensure!(user["active"] == live, "{change:?}: {user}");
                ensure!(!live || user["title"] == change.title.as_str(), "{change:?}: {user}");
            }
        }
        let names: BTreeSet<&str> = users.iter().filter_map(|u| u["userName"].as_str()).collect();
        ensure!(names.len() == users.len(), "an account is there twice");
    }
    Ok(())
}
