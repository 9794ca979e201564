//! Nobody is called gone while an account of theirs may be there: one that they had before, one that a lost answer has made, one that comes
//! late, one that we can't see any more, one at another address.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::Method;
use rollcall_tests::stage::{APP, Stage, USER};
use rollcall_tests::{Script, until};
use serde_json::{Value, json};

fn named(stage: &Stage, name: &str) -> Vec<Value> {
    stage.app.users(APP).into_iter().filter(|user| user["userName"] == name).collect()
}

async fn set(stage: &Stage, id: &str, path: &str, value: Value) -> anyhow::Result<()> {
    let patch = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{ "op": "replace", "path": path, "value": value }] });
    stage.rollcall.scim(Method::PATCH, &format!("/Users/{id}"), &patch).await.map(drop)
}

/// So many, whose accounts are verified; their ids.
async fn people(stage: &Stage, count: usize) -> anyhow::Result<Vec<String>> {
    let mut all = Vec::new();
    for n in 0..count {
        all.push(stage.join(&format!("person{n}")).await?);
    }
    for id in &all {
        stage.verified(id).await?;
    }
    Ok(all)
}

async fn remote_id(stage: &Stage, id: &str) -> anyhow::Result<String> {
    Ok(stage.account(id).await?["remote_id"].as_str().context("no id")?.to_owned())
}

/// Somebody renames their account in the app, and makes another one with the name that it had, which is taken for theirs.
async fn gets_another(stage: &Stage, id: &str, first: &str) -> anyhow::Result<()> {
    stage.app.by_hand(APP, |users| {
        if let Some(mut account) = users.remove(first) {
            let mut second = account.clone();
            account.insert("userName".into(), "shadow".into());
            users.insert(first.to_owned(), account);
            second.insert("id".into(), "second".into());
            users.insert("second".into(), second);
        }
    });
    let (status, answer) = stage.decide(&format!("/v1/apps/{APP}/reconcile"), &json!({})).await?;
    ensure!(status == 202, "{status} {answer}");
    until("the other one is taken for hers", || async {
        let account = stage.account(id).await?;
        Ok((account["remote_id"] == "second" && account["verified"] == true).then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_they_had_before_they_got_another_is_switched_off_too() -> anyhow::Result<()> {
    let app = Script { no_external_id: true, names_are_unique: true, ..Script::default() };
    let stage = Stage::simple(app).await?;
    let (ada, bob) = (stage.join("ada").await?, stage.join("bob").await?);
    stage.verified(&ada).await?;
    stage.verified(&bob).await?;
    let first = remote_id(&stage, &ada).await?;
    gets_another(&stage, &ada, &first).await?;
    stage.leave(&ada).await?;
    stage.verified(&ada).await?;
    for account in named(&stage, "ada").iter().chain(&named(&stage, "shadow")) {
        ensure!(account["active"] == false, "she is gone, and {account} is live");
    }
    ensure!(named(&stage, "shadow").len() == 1, "{:?}", stage.app.users(APP));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_is_carried_out_long_after_nobody_waits_for_it_is_waited_for() -> anyhow::Result<()> {
    // In the third case the app has no deletion: what is left is told apart from that nobody can sign in.
    for (no_patch, is_back, deprovision) in
        [(false, true, "deactivate"), (true, false, "deactivate"), (true, false, "delete")]
    {
        let keys = "request_timeout = \"1s\"\ncarried_out_within = \"6s\"\n";
        let app = Script { no_patch, no_delete: deprovision == "delete", ..Script::default() };
        let stage = Stage::set(app.clone(), deprovision, keys, "").await?;
        let (ada, bob) = (stage.join("ada").await?, stage.join("bob").await?);
        stage.verified(&ada).await?;
        stage.verified(&bob).await?;
        if is_back {
            set(&stage, &ada, "active", false.into()).await?;
            stage.verified(&ada).await?;
        }
        stage.app.tell(APP, &Script { late_changes: 1, late_ms: 3000, ..app.clone() }).await?;
        match is_back {
            true => set(&stage, &ada, "active", true.into()).await?,
            false => set(&stage, &ada, "title", "Boss".into()).await?,
        }
        stage.app.tell(APP, &Script { late_changes: 1, late_ms: 3000, ..app.clone() }).await?;
        until("it was sent", || async {
            let sent = stage.app.requests(APP);
            Ok(sent.last().filter(|last| last.starts_with("P")).map(drop))
        })
        .await?;
        stage.leave(&ada).await?;
        match deprovision {
            // That something is left of it is owed on.
            "delete" => drop(stage.seen("leaver.completed").await?),
            _ => stage.verified(&ada).await?,
        }
        let account = named(&stage, "ada").pop().context("it is there")?;
        ensure!(account["active"] == false, "{no_patch} {deprovision}: {account}");
        // What was late is over by now, and has changed nothing.
        tokio::time::sleep(Duration::from_secs(4)).await;
        let account = named(&stage, "ada").pop().context("it is there")?;
        ensure!(account["active"] == false, "{no_patch} {deprovision}: she is gone, and {account} is live");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_lost_answer_has_made_is_looked_for_although_another_one_was_made_since() -> anyhow::Result<()> {
    for app in [
        Script { no_external_id: true, ..Script::default() },
        // The first one is known by its id, and is off: that says nothing of another one, which a blind filter hides.
        Script { blind_external_id: true, ..Script::default() },
    ] {
        made_and_not_answered(app).await?;
    }
    Ok(())
}

async fn made_and_not_answered(app: Script) -> anyhow::Result<()> {
    let keys = "[apps.capabilities]\nkeeps = { userName = \"own value\" }\n";
    let stage = Stage::set(app.clone(), "deactivate", "", keys).await?;
    let bob = stage.join("bob").await?;
    stage.verified(&bob).await?;
    stage.app.tell(APP, &Script { loses_creations: 1, ..app.clone() }).await?;
    let user = json!({ "schemas": [USER], "userName": "ada", "displayName": "ada", "emails": [{ "value": "ada@example.com" }] });
    let made = stage.rollcall.scim(Method::POST, "/Users", &user).await?;
    let ada = made["id"].as_str().context("no id")?.to_owned();
    // The app has given it a name of its own, so that nobody finds it by hers, and has it only when another one was made.
    let first = until("it was made", || async { Ok(named(&stage, "ada").pop()) }).await?;
    let id = first["id"].as_str().context("no id")?.to_owned();
    stage.app.by_hand(APP, |users| drop(users.remove(&id)));
    stage.verified(&ada).await?;
    stage.app.by_hand(APP, |users| {
        let mut late = first.as_object().cloned().unwrap_or_default();
        late.insert("userName".into(), "u101".into());
        users.insert(id.clone(), late);
    });
    stage.leave(&ada).await?;
    until("she is gone, or a person has to say", || async {
        let account = stage.account(&ada).await?;
        let is_said = account["last_failure"]["cause"] == "conflict";
        Ok((account["desired"] == "absent" && (account["verified"] == true || is_said)).then_some(()))
    })
    .await?;
    let account = stage.account(&ada).await?;
    let live: Vec<Value> = stage.app.users(APP).into_iter().filter(|user| user["active"] != false).collect();
    let hers = live.iter().filter(|user| user["userName"] != "bob").count();
    ensure!(account["verified"] != true || hers == 0, "she is gone, and {live:?} are live: {account}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn to_look_once_more_says_nothing_of_accounts_that_are_missing() -> anyhow::Result<()> {
    let stage = Stage::set(Script::default(), "deactivate", "probe_every = \"100ms\"\n", "").await?;
    let (ada, bob) = (stage.join("ada").await?, stage.join("bob").await?);
    stage.verified(&ada).await?;
    stage.verified(&bob).await?;
    stage.app.tell(APP, &Script { empty_tenant: true, ..Script::default() }).await?;
    stage.leave(&ada).await?;
    stage.seen("app.quarantined").await?;
    let (status, answer) = stage.decide("/v1/sync", &json!({ "app": APP })).await?;
    ensure!(status == 409 && answer["detail"].as_str().is_some_and(|d| d.contains("/gone")), "{status} {answer}");
    // One account may be looked at again: that proves nothing either.
    let (status, answer) = stage.decide("/v1/sync", &json!({ "identity": bob })).await?;
    ensure!(status == 202, "{status} {answer}");
    let told = stage.app_view().await?["health"]["event"].as_u64().context("no event")?;
    for (body, expected) in [
        (json!({ "told": told }), 400),
        (json!({ "told": told, "reason": " " }), 400),
        (json!({ "told": told + 1, "reason": "it is empty" }), 409),
    ] {
        let (status, answer) = stage.decide(&format!("/v1/apps/{APP}/gone"), &body).await?;
        ensure!(status == expected, "{body}: {status} {answer}");
    }
    ensure!(stage.account(&ada).await?["verified"] == false, "an empty tenant proves nothing");
    stage.app.tell(APP, &Script::default()).await?;
    stage.verified(&ada).await?;
    ensure!(named(&stage, "ada")[0]["active"] == false, "{:?}", stage.app.users(APP));
    let (status, answer) =
        stage.decide(&format!("/v1/apps/{APP}/gone"), &json!({ "told": told, "reason": "r" })).await?;
    ensure!(status == 409, "nothing is missing any more: {status} {answer}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_colleague_who_is_seen_does_not_prove_that_the_others_are_gone() -> anyhow::Result<()> {
    let stage = Stage::set(Script::default(), "deactivate", "probe_every = \"100ms\"\n", "").await?;
    let all = people(&stage, 8).await?;
    stage.app.tell(APP, &Script { sees_only: Some("person0".into()), ..Script::default() }).await?;
    stage.leave(&all[4]).await?;
    let said = stage.seen("account.rejected").await?;
    ensure!(said["summary"].as_str().is_some_and(|s| s.contains("6 of 7 others that must be there")), "{said}");
    let account = stage.account(&all[4]).await?;
    ensure!(account["verified"] == false, "{account}");
    stage.app.tell(APP, &Script::default()).await?;
    stage.verified(&all[4]).await?;
    ensure!(named(&stage, "person4")[0]["active"] == false, "{:?}", stage.app.users(APP));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn at_another_address_an_id_is_somebody_elses() -> anyhow::Result<()> {
    let mut stage = Stage::set(Script::default(), "deactivate", "probe_every = \"100ms\"\n", "").await?;
    let (ada, bob) = (stage.join("ada").await?, stage.join("bob").await?);
    stage.verified(&ada).await?;
    stage.verified(&bob).await?;
    let (hers, his) = (remote_id(&stage, &ada).await?, remote_id(&stage, &bob).await?);
    let other = "wiki2";
    let account = |id: &str, name: &str| json!({ "id": id, "userName": name, "displayName": name, "active": true });
    stage.app.by_hand(other, |users| {
        for (id, name) in [(&hers, "root-admin"), (&his, "ceo")] {
            users.insert(id.clone(), account(id, name).as_object().cloned().unwrap_or_default());
        }
    });
    stage.rollcall.stop().await?;
    stage.rollcall.reach_at(stage.app.base_url(other));
    stage.rollcall.start().await?;
    let said = stage.seen("app.quarantined").await?;
    ensure!(said["summary"].as_str().is_some_and(|s| s.contains("missing at once")), "{said}");
    stage.leave(&ada).await?;
    let (status, answer) = stage.decide(&format!("/v1/identities/{bob}/disable"), &json!({ "reason": "now" })).await?;
    ensure!(status == 202, "{status} {answer}");
    // Back at the address at which they are, both are found, and go.
    stage.rollcall.stop().await?;
    for user in stage.app.users(other) {
        ensure!(user["active"] == true && user["displayName"] == user["userName"], "nobody touches {user}");
    }
    let first = stage.app.users(APP);
    ensure!(first.iter().all(|user| user["active"] != false), "{first:?}");
    stage.rollcall.reach_at(stage.app.base_url(APP));
    stage.rollcall.start().await?;
    stage.verified(&ada).await?;
    stage.verified(&bob).await?;
    let first = stage.app.users(APP);
    ensure!(first.iter().all(|user| user["active"] == false), "{first:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_has_moved_and_is_the_same_goes_on_by_itself() -> anyhow::Result<()> {
    let mut stage = Stage::simple(Script::default()).await?;
    let ada = stage.join("ada").await?;
    stage.verified(&ada).await?;
    // The same service at the same place, which is written otherwise.
    stage.rollcall.stop().await?;
    stage.rollcall.reach_at(stage.app.base_url(APP).replace("127.0.0.1", "localhost"));
    stage.rollcall.start().await?;
    stage.leave(&ada).await?;
    stage.verified(&ada).await?;
    ensure!(named(&stage, "ada")[0]["active"] == false, "{:?}", stage.app.users(APP));
    ensure!(stage.events("app.quarantined").await?.is_empty(), "a false alarm");
    Ok(())
}

/// Somebody else's accounts, under the ids that we know, as another tenant has them.
fn strangers(stage: &Stage, tenant: &str, ids: &[String]) {
    stage.app.by_hand(tenant, |users| {
        for (n, id) in ids.iter().enumerate() {
            let account = json!({ "id": id, "userName": format!("stranger{n}"), "displayName": format!("Stranger {n}"), "active": true });
            users.insert(id.clone(), account.as_object().cloned().unwrap_or_default());
        }
    });
}

fn are_untouched(stage: &Stage, tenant: &str) -> anyhow::Result<()> {
    for user in stage.app.users(tenant) {
        let name = user["userName"].as_str().unwrap_or_default();
        ensure!(name.starts_with("stranger") && user["active"] == true, "{user} was changed");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_was_left_alone_and_gets_another_address_is_recognized_first() -> anyhow::Result<()> {
    let keys = "probe_every = \"100ms\"\nquarantine_after = 2\n";
    let mut stage = Stage::set(Script::default(), "deactivate", keys, "").await?;
    let (ada, bob) = (stage.join("ada").await?, stage.join("bob").await?);
    stage.verified(&ada).await?;
    stage.verified(&bob).await?;
    let ids = [remote_id(&stage, &ada).await?, remote_id(&stage, &bob).await?];
    strangers(&stage, "wiki2", &ids);
    stage.app.tell(APP, &Script { fails: 100_000, ..Script::default() }).await?;
    stage.leave(&ada).await?;
    set(&stage, &bob, "title", "Boss".into()).await?;
    stage.seen("app.quarantined").await?;
    stage.rollcall.stop().await?;
    stage.rollcall.reach_at(stage.app.base_url("wiki2"));
    stage.rollcall.start().await?;
    until("it is no app that we know", || async {
        Ok((stage.app_view().await?["health"]["reason"]["cause"] == "vanished").then_some(()))
    })
    .await?;
    ensure!(stage.account(&ada).await?["verified"] == false);
    are_untouched(&stage, "wiki2")
}

#[tokio::test(flavor = "multi_thread")]
async fn in_another_tenant_at_the_same_address_nobody_is_touched_and_nobody_is_gone() -> anyhow::Result<()> {
    let app = Script { no_external_id: true, ..Script::default() };
    let stage = Stage::set(app, "deactivate", "probe_every = \"100ms\"\n", "").await?;
    let ids = people(&stage, 3).await?;
    let mut remote = Vec::new();
    for id in &ids {
        remote.push(remote_id(&stage, id).await?);
    }
    // The token is that of another tenant by now.
    strangers(&stage, APP, &remote);
    stage.leave(&ids[0]).await?;
    let said = stage.seen("app.quarantined").await?;
    ensure!(said["summary"].as_str().is_some_and(|s| s.contains("has nothing of theirs")), "{said}");
    ensure!(stage.account(&ids[0]).await?["verified"] == false, "a stranger proves nothing");
    are_untouched(&stage, APP)?;
    // It was no other tenant: somebody has renamed them all. People say so, and its ids are believed.
    let told = stage.app_view().await?["health"]["event"].clone();
    let same = json!({ "told": told, "reason": "a new naming scheme" });
    let (status, answer) = stage.decide(&format!("/v1/apps/{APP}/same"), &same).await?;
    ensure!(status == 202, "{status} {answer}");
    stage.verified(&ids[0]).await?;
    let account =
        stage.app.users(APP).into_iter().find(|user| user["id"] == remote[0].as_str()).context("it is there")?;
    ensure!(account["active"] == false, "{account}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_the_app_takes_for_none_keeps_nobody_from_being_found() -> anyhow::Result<()> {
    let stage = Stage::simple(Script { knows_no_other_ids: true, ..Script::default() }).await?;
    let (ada, bob) = (stage.join("ada").await?, stage.join("bob").await?);
    stage.verified(&ada).await?;
    stage.verified(&bob).await?;
    let first = remote_id(&stage, &ada).await?;
    stage.app.by_hand(APP, |users| {
        if let Some(mut account) = users.remove(&first) {
            account.insert("id".into(), "of-another-form".into());
            users.insert("of-another-form".into(), account);
        }
    });
    stage.leave(&ada).await?;
    stage.verified(&ada).await?;
    ensure!(named(&stage, "ada")[0]["active"] == false, "{:?}", stage.app.users(APP));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_listed_under_our_id_is_not_gone_because_its_read_fails() -> anyhow::Result<()> {
    for (status, no_filter) in [(404, true), (422, false), (400, false)] {
        let app = Script { no_external_id: true, no_filter, ..Script::default() };
        let stage = Stage::simple(app.clone()).await?;
        let ids = people(&stage, 3).await?;
        let first = remote_id(&stage, &ids[0]).await?;
        stage.app.by_hand(APP, |users| {
            if let Some(account) = users.get_mut(&first) {
                account.insert("userName".into(), "shadow".into());
            }
        });
        stage.app.tell(APP, &Script { misreads: Some((first.clone(), status)), ..app }).await?;
        stage.leave(&ids[0]).await?;
        until("it is switched off, or she is called gone", || async {
            let is_off = named(&stage, "shadow").iter().all(|account| account["active"] == false);
            Ok((is_off || stage.account(&ids[0]).await?["verified"] == true).then_some(()))
        })
        .await?;
        let account = named(&stage, "shadow").pop().context("it is there")?;
        ensure!(account["active"] == false, "{status}: she is gone, and {account} is live");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_address_that_takes_our_ids_for_none_is_said_and_people_decide() -> anyhow::Result<()> {
    let mut stage = Stage::set(Script::default(), "deactivate", "probe_every = \"100ms\"\n", "").await?;
    let (ada, bob) = (stage.join("ada").await?, stage.join("bob").await?);
    stage.verified(&ada).await?;
    stage.verified(&bob).await?;
    stage.app.tell("wiki2", &Script { knows_no_other_ids: true, ..Script::default() }).await?;
    stage.rollcall.stop().await?;
    stage.rollcall.reach_at(stage.app.base_url("wiki2"));
    stage.rollcall.start().await?;
    stage.leave(&ada).await?;
    stage.seen("app.quarantined").await?;
    ensure!(stage.account(&ada).await?["verified"] == false);
    let told = stage.app_view().await?["health"]["event"].clone();
    let gone = json!({ "told": told, "reason": "the old one is shut down" });
    let (status, answer) = stage.decide(&format!("/v1/apps/{APP}/gone"), &gone).await?;
    ensure!(status == 202, "{status} {answer}");
    stage.verified(&ada).await?;
    stage.verified(&bob).await?;
    let names: Vec<Value> = stage.app.users("wiki2").into_iter().map(|user| user["userName"].clone()).collect();
    ensure!(names == [json!("bob")], "{names:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_vanished_together_with_another_is_not_gone_before_that_one_is_found() -> anyhow::Result<()> {
    let keys = "reconcile_every = \"1h\"\n";
    let stage = Stage::set(Script::default(), "deactivate", keys, "[apps.drift]\nmissing = \"report\"\n").await?;
    let all = people(&stage, 9).await?;
    let hidden: Vec<Value> =
        stage.app.users(APP).into_iter().filter(|u| u["userName"] == "person3" || u["userName"] == "person7").collect();
    let hide = |user: &Value| user["id"].as_str().unwrap_or_default().to_owned();
    stage.app.by_hand(APP, |users| hidden.iter().for_each(|user| drop(users.remove(&hide(user)))));
    stage.leave(&all[3]).await?;
    until("a person has to look", || async {
        let account = stage.account(&all[3]).await?;
        Ok((account["desired"] == "absent" && account["last_failure"]["cause"] == "conflict").then_some(()))
    })
    .await?;
    ensure!(
        stage.account(&all[3]).await?["verified"] == false && stage.app_view().await?["health"]["state"] == "working"
    );
    // They can be seen again.
    stage.app.by_hand(APP, |users| {
        hidden.iter().for_each(|user| drop(users.insert(hide(user), user.as_object().cloned().unwrap_or_default())));
    });
    stage.verified(&all[3]).await?;
    ensure!(named(&stage, "person3")[0]["active"] == false, "{:?}", stage.app.users(APP));
    Ok(())
}

/// The one that she has now is off; another one that she had before lives, and can't be read by its id.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_they_had_before_is_looked_for_among_all_where_its_id_is_refused() -> anyhow::Result<()> {
    let app = Script { no_external_id: true, names_are_unique: true, ..Script::default() };
    let stage = Stage::simple(app.clone()).await?;
    let ids = people(&stage, 3).await?;
    let (ada, first) = (&ids[0], remote_id(&stage, &ids[0]).await?);
    gets_another(&stage, ada, &first).await?;
    stage.app.tell(APP, &Script { misreads: Some((first.clone(), 422)), ..app }).await?;
    stage.leave(ada).await?;
    stage.verified(ada).await?;
    for account in named(&stage, "person0").iter().chain(&named(&stage, "shadow")) {
        ensure!(account["active"] == false, "she is gone, and {account} is live");
    }
    Ok(())
}

/// One account that an app lists and can't read keeps nobody else from being compared, and is as the list shows it.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_cant_be_read_ends_no_comparison() -> anyhow::Result<()> {
    for status in [400, 403, 500] {
        let stage = Stage::set(Script::default(), "deactivate", "drift = { orphan = \"report\" }\n", "").await?;
        let ids = people(&stage, 4).await?;
        let first = remote_id(&stage, &ids[0]).await?;
        for id in &ids[..2] {
            stage.leave(id).await?;
            stage.verified(id).await?;
        }
        let second = remote_id(&stage, &ids[1]).await?;
        stage.app.tell(APP, &Script { misreads: Some((first.clone(), status)), ..Script::default() }).await?;
        stage.app.by_hand(APP, |users| {
            for id in [&first, &second] {
                if let Some(account) = users.get_mut(id) {
                    account.insert("active".into(), true.into());
                }
            }
        });
        stage.app.fill(APP, [json!({ "userName": "of-nobody", "active": true })].into_iter());
        let (status, answer) = stage.decide(&format!("/v1/apps/{APP}/reconcile"), &json!({})).await?;
        ensure!(status == 202, "{status} {answer}");
        for (what, kind) in [(&ids[0], "zombie"), (&ids[1], "zombie")] {
            until("who came back is found", || async {
                let found = stage.events("drift.detected").await?;
                let is_that =
                    |event: &Value| event["identity"] == **what && event.to_string().to_lowercase().contains(kind);
                Ok(found.iter().any(is_that).then_some(()))
            })
            .await?;
        }
        until("the account of nobody is found", || async {
            Ok(stage
                .events("drift.detected")
                .await?
                .iter()
                .any(|event| event.to_string().contains("of-nobody"))
                .then_some(()))
        })
        .await?;
    }
    Ok(())
}

/// An account of nobody, and somebody's second one, that are listed and can't be read by their ids.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_stands_for_itself_is_not_gone_because_its_read_is_refused() -> anyhow::Result<()> {
    // Some apps say that there is none with an id, and list it.
    for (no_external_id, status) in [(true, 400), (false, 400), (false, 404), (true, 404)] {
        let app = Script { no_external_id, ..Script::default() };
        let stage = Stage::set(app.clone(), "deactivate", "drift = { orphan = \"repair\" }\n", "").await?;
        people(&stage, 3).await?;
        stage.app.fill(APP, [json!({ "userName": "of-nobody", "active": true })].into_iter());
        let id = named(&stage, "of-nobody")[0]["id"].as_str().context("no id")?.to_owned();
        stage.app.tell(APP, &Script { misreads: Some((id, status)), ..app }).await?;
        let (status, answer) = stage.decide(&format!("/v1/apps/{APP}/reconcile"), &json!({})).await?;
        ensure!(status == 202, "{status} {answer}");
        let is_nobodys = |event: &Value| event.to_string().contains("of-nobody");
        until("it is found", || async {
            Ok(stage.events("drift.detected").await?.iter().any(is_nobodys).then_some(()))
        })
        .await?;
        stage.all_ended().await?;
        let account = named(&stage, "of-nobody").pop().context("it is there")?;
        ensure!(account["active"] == false, "{status}: it is gone, and {account} is live");
    }
    Ok(())
}

/// Somebody else's account is nobody's to take: not because of a name that an account was given up with, and not because the app says that it
/// is what was to be made.
#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_has_by_now_is_not_touched_for_whoever_had_the_name() -> anyhow::Result<()> {
    for deprovision in ["deactivate", "delete"] {
        let stage = Stage::set(Script { no_external_id: true, ..Script::default() }, deprovision, "", "").await?;
        let anna = stage.join("jsmith").await?;
        let other = stage.join("other").await?;
        stage.verified(&other).await?;
        stage.verified(&anna).await?;
        set(&stage, &anna, "userName", "jsmith2".into()).await?;
        stage.verified(&anna).await?;
        ensure!(named(&stage, "jsmith2").len() == 1, "{:?}", stage.app.users(APP));
        stage.app.fill(APP, [json!({ "userName": "jsmith", "active": true })].into_iter());
        stage.leave(&anna).await?;
        stage.verified(&anna).await?;
        ensure!(named(&stage, "jsmith2").iter().all(|account| account["active"] == false));
        ensure!(named(&stage, "jsmith").len() == 1 && named(&stage, "jsmith")[0]["active"] == true, "{deprovision}");
    }
    Ok(())
}

/// A person has it looked at again, and an account that nobody may be given has the name of whoever has left: it is owed that somebody says whose
/// it is.
#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_a_leavers_and_is_found_after_they_were_gone_is_owed() -> anyhow::Result<()> {
    let app = Script { no_external_id: true, ..Script::default() };
    let stage = Stage::set(app, "delete", "adopt = \"never\"\nretry_max = \"1s\"\n", "").await?;
    let (anna, other) = (stage.join("anna").await?, stage.join("other").await?);
    stage.verified(&other).await?;
    stage.verified(&anna).await?;
    stage.leave(&anna).await?;
    stage.verified(&anna).await?;
    ensure!(stage.rollcall.items("/v1/obligations?status=open").await?.is_empty());
    stage.app.fill(APP, [json!({ "userName": "anna", "active": true })].into_iter());
    let (status, answer) = stage.decide("/v1/sync", &json!({ "identity": anna })).await?;
    ensure!(status == 202, "{status} {answer}");
    until("it is owed", || async {
        let owed = stage.rollcall.items("/v1/obligations?change=repair").await?;
        Ok(owed.iter().any(|owed| owed["identity"] == anna && owed["status"] != "verified").then_some(()))
    })
    .await?;
    let refused = stage.seen("account.rejected").await?;
    ensure!(refused.to_string().contains("linked to nobody"), "{refused}");
    ensure!(named(&stage, "anna")[0]["active"] == true, "it is nobody's to touch");
    // Under another name it may be theirs as before; that nobody can use it ends it.
    let by_hand = |change: &dyn Fn(&mut serde_json::Map<String, Value>)| {
        stage.app.by_hand(APP, |users| {
            users.values_mut().filter(|user| user["userName"] != "other").for_each(change);
        });
    };
    by_hand(&|user| drop(user.insert("userName".into(), "shadow".into())));
    by_hand(&|user| drop(user.insert("active".into(), false.into())));
    stage.all_ended().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_that_is_answered_with_somebody_elses_account_gives_it_to_nobody() -> anyhow::Result<()> {
    for status in [200, 201] {
        let stage = Stage::simple(Script::default()).await?;
        let bert = stage.join("bert").await?;
        stage.verified(&bert).await?;
        let before = named(&stage, "bert");
        stage.app.tell(APP, &Script { finds: Some(("bert".into(), status)), ..Script::default() }).await?;
        let anna = stage.join("anna").await?;
        let refused = stage.seen("account.rejected").await?;
        ensure!(refused.to_string().contains("another account"), "{refused}");
        ensure!(named(&stage, "bert") == before && stage.account(&anna).await?["verified"] != true, "{status}");
        // Whose it is has not changed: it goes with him, and stays with him while he is off.
        let off = json!({ "reason": "his laptop was stolen" });
        let (said, answer) = stage.decide(&format!("/v1/identities/{bert}/disable"), &off).await?;
        ensure!(said == 202, "{said} {answer}");
        stage.verified(&bert).await?;
        let cleo = stage.join("cleo").await?;
        until("that is refused as well", || async {
            let is_cleos = |event: &Value| event["identity"] == cleo || event.to_string().contains(&cleo);
            Ok(stage.events("account.rejected").await?.iter().any(is_cleos).then_some(()))
        })
        .await?;
        ensure!(named(&stage, "bert").iter().all(|account| account["active"] == false), "{status}");
    }
    Ok(())
}

/// Nobody would know who came back in an app that can't be compared.
#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_cant_be_compared_for_long_is_an_alert() -> anyhow::Result<()> {
    let groups = "[[apps.groups]]\nfrom = \"Engineering\"\nto = \"eng\"\n";
    let stage =
        Stage::set(Script::default(), "deactivate", "reconcile_every = \"1s\"\nretry_max = \"1s\"\n", groups).await?;
    people(&stage, 2).await?;
    // Who is in its groups can't be told, and nothing else is wrong.
    stage.app.tell(APP, &Script { groups_fail: true, ..Script::default() }).await?;
    let fires = |value: u8| {
        let stage = &stage;
        async move {
            let (_, metrics) = stage.rollcall.raw(Method::GET, "/metrics", "", None).await?;
            let metrics = metrics.as_str().unwrap_or_default().to_owned();
            let line = metrics.lines().find(|line| line.starts_with("rollcall_app_not_compared") && line.contains(APP));
            Ok(line.is_some_and(|line| line.ends_with(&format!(" {value}"))).then_some(()))
        }
    };
    until("it is told", || fires(1)).await?;
    stage.app.tell(APP, &Script::default()).await?;
    until("it is over", || fires(0)).await
}
