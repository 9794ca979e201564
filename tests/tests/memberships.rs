//! Who is in a group of an app, where the app does not show it, shows a part of it, or carries out late what it was told.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::Method;
use rollcall_tests::stage::{APP, GROUP, Stage};
use rollcall_tests::{Script, Shape, until};
use serde_json::{Value, json};

const GROUPS: &str = "[[apps.groups]]\nfrom = \"Engineering\"\nto = \"eng\"\n";

/// Somebody's account in the app, as it really is.
fn account(stage: &Stage, name: &str) -> anyhow::Result<String> {
    let user = stage.app.users(APP).into_iter().find(|user| user["userName"] == name).context("no account")?;
    Ok(user["id"].as_str().context("no id")?.to_owned())
}

/// Who is in the group, as it really is; an app may have somebody in it twice.
fn members(stage: &Stage) -> BTreeSet<String> {
    stage.app.members(APP, "eng").into_iter().collect()
}

/// They join, and are in the group; who they are, and the path of the group.
async fn in_the_group<const N: usize>(stage: &Stage, names: [&str; N]) -> anyhow::Result<([String; N], String)> {
    let mut ids = names.map(str::to_owned);
    for id in &mut ids {
        *id = stage.join(id).await?;
        stage.verified(id).await?;
    }
    let all: Vec<Value> = ids.iter().map(|id| json!({ "value": id })).collect();
    let group = json!({ "schemas": [GROUP], "displayName": "Engineering", "members": all });
    let made = stage.rollcall.scim(Method::POST, "/Groups", &group).await?;
    until("all are in the group", || async { Ok((members(stage).len() == N).then_some(())) }).await?;
    Ok((ids, format!("/Groups/{}", made["id"].as_str().context("no id")?)))
}

async fn take_out(stage: &Stage, group: &str, id: &str) -> anyhow::Result<()> {
    let out = json!([{ "op": "remove", "path": format!("members[value eq \"{id}\"]") }]);
    let out = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": out });
    stage.rollcall.scim(Method::PATCH, group, &out).await.map(drop)
}

async fn nothing_is_left_of(stage: &Stage, id: &str) -> anyhow::Result<()> {
    until("nothing is left", || async { Ok(stage.leaver(id).await?["clean_at"].is_string().then_some(())) }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_members_that_is_carried_out_late_brings_nobody_back_who_is_said_to_be_out() -> anyhow::Result<()> {
    let keys = "request_timeout = \"1s\"\ncarried_out_within = \"6s\"\n";
    let script = Script { no_patch: true, ..Script::default() };
    let stage = Stage::set(script.clone(), "deactivate", keys, GROUPS).await?;
    let ([ada, bob], group) = in_the_group(&stage, ["ada", "bob"]).await?;
    for id in [&ada, &bob] {
        stage.verified(id).await?;
    }
    // Who stays is told by a list on which Ada stands, and it is carried out when she has left.
    stage.app.tell(APP, &Script { late_changes: 1, late_ms: 3000, ..script }).await?;
    let before = stage.app.requests(APP).len();
    take_out(&stage, &group, &bob).await?;
    until("it was sent", || async {
        let sent = stage.app.requests(APP).into_iter().skip(before).any(|request| request.starts_with("PUT Groups"));
        Ok(sent.then_some(()))
    })
    .await?;
    stage.leave(&ada).await?;
    nothing_is_left_of(&stage, &ada).await?;
    // What was late is over by now, and has changed nothing.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let left = members(&stage);
    ensure!(!left.contains(&account(&stage, "ada")?), "nothing is left of her, and she is in the group: {left:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_put_into_a_group_that_shows_nobody_is_taken_out_of_it() -> anyhow::Result<()> {
    // Nobody can say who is in it: not the group, not the account, not a filter.
    for no_filter in [true, false] {
        let shape = Shape { hides_members: true, ..Shape::default() };
        let script = Script { no_filter, shape, ..Script::default() };
        let script = Script { no_membership_filter: true, ..script };
        let stage = Stage::set(script, "deactivate", "", GROUPS).await?;
        let ([ada, bob], group) = in_the_group(&stage, ["ada", "bob"]).await?;
        take_out(&stage, &group, &bob).await?;
        until("he is out", || async { Ok((members(&stage).len() == 1).then_some(())) }).await?;
        stage.verified(&bob).await?;
        // There may be another one of the name: nobody knows in which of them she is.
        stage.app.add_group(APP, "eng", &[]);
        stage.leave(&ada).await?;
        nothing_is_left_of(&stage, &ada).await?;
        ensure!(members(&stage).is_empty(), "{no_filter}: nothing is left of her, and she is in the group");
    }
    Ok(())
}

/// The answer is lost, and the group hides whom it has let in.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_put_into_a_group_without_an_answer_is_taken_out_of_it() -> anyhow::Result<()> {
    let keys = "request_timeout = \"1s\"\ncarried_out_within = \"2s\"\nretry_min = \"1h\"\nretry_max = \"1h\"\n";
    let shape = Shape { hides_members: true, ..Shape::default() };
    let script = Script { shape, no_membership_filter: true, ..Script::default() };
    let stage = Stage::set(script.clone(), "deactivate", keys, GROUPS).await?;
    let (_, group) = in_the_group(&stage, ["ada"]).await?;
    let bob = stage.join("bob").await?;
    stage.verified(&bob).await?;
    stage.app.tell(APP, &Script { late_changes: 1, late_ms: 100, ..script }).await?;
    let enter = json!([{ "op": "add", "path": "members", "value": [{ "value": bob }] }]);
    let enter = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": enter });
    stage.rollcall.scim(Method::PATCH, &group, &enter).await?;
    until("he is in it", || async { Ok((members(&stage).len() == 2).then_some(())) }).await?;
    stage.seen("account.rejected").await?;
    stage.leave(&bob).await?;
    nothing_is_left_of(&stage, &bob).await?;
    ensure!(!members(&stage).contains(&account(&stage, "bob")?), "nothing is left of him, and he is in the group");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_group_that_shows_some_of_its_members_the_account_says_whether_it_is_in_it() -> anyhow::Result<()> {
    let shape = Shape { members_shown_at_most: Some(1), shows_groups: true, ..Shape::default() };
    let stage = Stage::set(Script { shape, ..Script::default() }, "deactivate", "", GROUPS).await?;
    let ([ada, bob, eve], group) = in_the_group(&stage, ["ada", "bob", "eve"]).await?;
    for id in [&ada, &bob, &eve] {
        stage.verified(id).await?;
    }
    take_out(&stage, &group, &bob).await?;
    until("he is out", || async { Ok((members(&stage).len() == 2).then_some(())) }).await?;
    stage.leave(&eve).await?;
    nothing_is_left_of(&stage, &eve).await?;
    let left = members(&stage);
    ensure!(left == BTreeSet::from([account(&stage, "ada")?]), "{left:?}");
    Ok(())
}

/// An app without PATCH takes whole lists alone, and shows none to whoever does not ask for it.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_let_into_a_group_that_shows_its_members_on_request_lets_nobody_out() -> anyhow::Result<()> {
    let shape = Shape { members_on_request: true, ..Shape::default() };
    let stage = Stage::set(Script { shape, no_patch: true, ..Script::default() }, "deactivate", "", GROUPS).await?;
    stage.app.fill(APP, [json!({ "userName": "by-hand", "active": true })].into_iter());
    let other = json!(account(&stage, "by-hand")?);
    stage.app.add_group(APP, "eng", std::slice::from_ref(&other));
    let ada = stage.join("ada").await?;
    stage.verified(&ada).await?;
    let group = json!({ "schemas": [GROUP], "displayName": "Engineering", "members": [{ "value": ada }] });
    stage.rollcall.scim(Method::POST, "/Groups", &group).await?;
    let hers = account(&stage, "ada")?;
    until("she is in it", || async { Ok(members(&stage).contains(&hers).then_some(())) }).await?;
    let left = members(&stage);
    ensure!(left.len() == 2 && left.iter().any(|member| *member == other), "{left:?}");
    Ok(())
}

/// An administrator of the app gives it another name: whoever was put into it is in it still.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_has_left_a_group_because_it_is_called_otherwise() -> anyhow::Result<()> {
    let stage = Stage::set(Script::default(), "deactivate", "retry_max = \"1s\"\n", GROUPS).await?;
    let ([ada], group) = in_the_group(&stage, ["ada"]).await?;
    stage.verified(&ada).await?;
    stage.app.rename_group(APP, "eng", "Engineers");
    take_out(&stage, &group, &ada).await?;
    let refused = stage.seen("account.rejected").await?;
    ensure!(refused.to_string().contains("is called 'Engineers' now"), "{refused}");
    ensure!(stage.account(&ada).await?["verified"] == false, "she is in the group");
    stage.app.rename_group(APP, "Engineers", "eng");
    stage.verified(&ada).await?;
    ensure!(members(&stage).is_empty(), "{:?}", members(&stage));
    Ok(())
}

/// Whoever is to be in it is let into the other one; whoever is not is still in theirs.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_whose_name_another_has_by_now_still_has_whom_it_had() -> anyhow::Result<()> {
    let stage = Stage::set(
        Script::default(),
        "deactivate",
        "retry_min = \"100ms\"\nretry_max = \"200ms\"\nreconcile_every = \"1s\"\n",
        GROUPS,
    )
    .await?;
    let ([ada], group) = in_the_group(&stage, ["ada"]).await?;
    stage.verified(&ada).await?;
    stage.app.rename_group(APP, "eng", "archive");
    stage.app.add_group(APP, "eng", &[]);
    let archived = || stage.app.members(APP, "archive");
    until("she is in the other", || async { Ok((members(&stage).len() == 1).then_some(())) }).await?;
    stage.verified(&ada).await?;
    take_out(&stage, &group, &ada).await?;
    until("she is out of it", || async { Ok(members(&stage).is_empty().then_some(())) }).await?;
    let refused = stage.seen("account.rejected").await?;
    ensure!(refused.to_string().contains("is called 'archive' now"), "{refused}");
    ensure!(archived().len() == 1 && stage.account(&ada).await?["verified"] == false, "she is in the archive");
    stage.app.empty_group(APP, "archive");
    stage.verified(&ada).await
}

/// She has to leave the other one. Once the first has its name back it goes on by itself, however often it has failed before.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_called_otherwise_keeps_nobody_in_another() -> anyhow::Result<()> {
    let two = concat!(
        "[[apps.groups]]\nfrom = \"Engineering\"\nto = \"eng\"\n",
        "[[apps.groups]]\nfrom = \"Operations\"\nto = \"ops\"\n"
    );
    let keys = "retry_min = \"100ms\"\nretry_max = \"200ms\"\nreconcile_every = \"2s\"\n";
    let stage = Stage::set(Script::default(), "deactivate", keys, two).await?;
    let ([ada], _) = in_the_group(&stage, ["ada"]).await?;
    let group = json!({ "schemas": [GROUP], "displayName": "Operations", "members": [{ "value": ada }] });
    let ops = stage.rollcall.scim(Method::POST, "/Groups", &group).await?;
    until("she is in both", || async { Ok((stage.app.members(APP, "ops").len() == 1).then_some(())) }).await?;
    stage.verified(&ada).await?;
    stage.app.rename_group(APP, "eng", "Engineers");
    take_out(&stage, &format!("/Groups/{}", ops["id"].as_str().context("no id")?), &ada).await?;
    until("she is out", || async { Ok(stage.app.members(APP, "ops").is_empty().then_some(())) }).await?;
    let refused = stage.seen("account.rejected").await?;
    ensure!(refused.to_string().contains("is called 'Engineers' now"), "{refused}");
    // Everything else of the app is compared.
    stage.app.fill(APP, [json!({ "userName": "stranger", "active": true })].into_iter());
    let drift = || async { stage.rollcall.items("/v1/drift").await };
    until("an account of nobody is found", || async {
        Ok(drift().await?.iter().any(|item| item["kind"] == "orphan").then_some(()))
    })
    .await?;
    let asked = || stage.app.requests(APP).len();
    let before = asked();
    until("it was tried again and again", || async { Ok((asked() > before + 40).then_some(())) }).await?;
    ensure!(stage.account(&ada).await?["verified"] == false, "one of her groups can't be told");
    stage.app.rename_group(APP, "Engineers", "eng");
    stage.verified(&ada).await?;
    ensure!(drift().await?.iter().all(|item| item["kind"] == "orphan"), "{:?}", drift().await?);
    Ok(())
}

/// It was shown in the group while it was one of few.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_a_group_has_shown_before_is_taken_out_of_it_when_it_shows_others_alone() -> anyhow::Result<()> {
    let stage = Stage::set(Script::default(), "deactivate", "", GROUPS).await?;
    let ([ada, bob], group) = in_the_group(&stage, ["ada", "bob"]).await?;
    for id in [&ada, &bob] {
        stage.verified(id).await?;
    }
    let shape = Shape { members_shown_at_most: Some(1), ..Shape::default() };
    stage.app.tell(APP, &Script { shape, ..Script::default() }).await?;
    let shown: Vec<String> = members(&stage).into_iter().take(1).collect();
    let hidden = if shown.contains(&account(&stage, "ada")?) { [&bob, &ada] } else { [&ada, &bob] };
    for (id, left) in hidden.into_iter().zip([1, 0]) {
        take_out(&stage, &group, id).await?;
        stage.verified(id).await?;
        ensure!(members(&stage).len() == left, "verified to be out, and in the group: {:?}", members(&stage));
    }
    Ok(())
}

/// An administrator of the app has made it a group whose members follow from a rule.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_refuses_every_change_keeps_nobody_from_being_verified_who_is_out_of_it() -> anyhow::Result<()> {
    for status in [403, 500] {
        let stage = Stage::set(Script::default(), "deactivate", "", GROUPS).await?;
        let (all, group) = in_the_group(&stage, ["ada", "bob", "eve"]).await?;
        for id in &all {
            stage.verified(id).await?;
        }
        stage.app.tell(APP, &Script { refuses_groups: Some(status), ..Script::default() }).await?;
        stage.app.empty_group(APP, "eng");
        let [ada, bob, eve] = &all;
        take_out(&stage, &group, ada).await?;
        take_out(&stage, &group, bob).await?;
        stage.leave(eve).await?;
        for id in [ada, bob] {
            stage.verified(id).await?;
        }
        nothing_is_left_of(&stage, eve).await?;
        let quarantines = stage.events("app.quarantined").await?;
        ensure!(quarantines.is_empty(), "{status}: {quarantines:?}");
    }
    Ok(())
}
