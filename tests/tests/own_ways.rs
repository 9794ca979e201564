//! Apps as they are: they keep attributes in a way of their own, answer not quite as the RFCs say, and take PATCH in one form.
//! None of it is an alarm.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, ensure};
use reqwest::Method;
use rollcall_tests::stage::{APP, Stage, USER};
use rollcall_tests::{Script, Shape, until};
use serde_json::{Value, json};

fn names(all: &[&str]) -> BTreeSet<String> {
    all.iter().map(|name| (*name).to_owned()).collect()
}

fn shaped(shape: Shape) -> Script {
    Script { shape, ..Script::default() }
}

async fn join(stage: &Stage, name: &str, title: &str) -> anyhow::Result<String> {
    let user = json!({ "schemas": [USER], "userName": name, "displayName": format!("The {name}"), "title": title });
    let made = stage.rollcall.scim(Method::POST, "/Users", &user).await?;
    let id = made["id"].as_str().context("no id")?.to_owned();
    stage.verified(&id).await?;
    Ok(id)
}

async fn rename(stage: &Stage, id: &str, title: &str, display_name: &str) -> anyhow::Result<()> {
    let operations = json!([
        { "op": "replace", "path": "title", "value": title },
        { "op": "replace", "path": "displayName", "value": display_name },
    ]);
    let patch = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations });
    stage.rollcall.scim(Method::PATCH, &format!("/Users/{id}"), &patch).await?;
    stage.verified(id).await
}

/// Compares the app now, and waits until that has ended.
async fn compare(stage: &Stage) -> anyhow::Result<()> {
    let before = stage.app_view().await?["reconciliation"]["completed_at"].clone();
    let (status, answer) = stage.decide(&format!("/v1/apps/{APP}/reconcile"), &json!({})).await?;
    ensure!(status == 202, "{status} {answer}");
    until("the app was compared", || async {
        let now = stage.app_view().await?["reconciliation"]["completed_at"].clone();
        Ok((now != before).then_some(()))
    })
    .await
}

async fn keeps(stage: &Stage) -> anyhow::Result<BTreeMap<String, String>> {
    let view = stage.app_view().await?;
    let all = view["capabilities"]["keeps"].as_object().cloned().unwrap_or_default();
    Ok(all.into_iter().map(|(path, keeps)| (path, keeps["way"].as_str().unwrap_or_default().to_owned())).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_app_makes_of_profiles_is_learned_after_three_and_nobody_is_alarmed() -> anyhow::Result<()> {
    let shape = Shape {
        drops: names(&["title"]),
        composes_display_name: true,
        cuts: BTreeMap::from([("nickName".to_owned(), 3)]),
        ..Shape::default()
    };
    let tables = "[apps.attributes]\ndisplayName = \"displayName\"\ntitle = \"title\"\nnickName = \"displayName\"\n";
    let stage = Stage::set(shaped(shape), "deactivate", "", tables).await?;
    for (name, drifts) in [("anna", 1), ("boris", 2)] {
        join(&stage, name, "Dev").await?;
        ensure!(
            stage.app_view().await?["drift_items"] == drifts,
            "a profile that differs is drift until it is learned"
        );
        ensure!(keeps(&stage).await?.is_empty(), "learned too soon");
    }
    let carla = join(&stage, "carla", "Dev").await?;
    until("its ways are learned", || async { Ok((keeps(&stage).await?.len() == 3).then_some(())) }).await?;
    let ways = keeps(&stage).await?;
    let want = [("displayName", "own value"), ("nickName", "cut at 3"), ("title", "not kept")];
    ensure!(ways == want.map(|(path, way)| (path.to_owned(), way.to_owned())).into(), "{ways:?}");
    let view = stage.app_view().await?;
    ensure!(view["drift_items"] == 0, "what is the app's own way is no drift: {view}");
    ensure!(view["capabilities"]["keeps"]["nickName"]["sent"] == "Aaa aaaa", "{view}");
    let said = stage.events("app.discovered").await?;
    ensure!(said[0]["summary"].as_str().is_some_and(|s| s.contains("title: not kept")), "{said:?}");
    // Nothing more is sent to mend it, neither by a comparison nor for the next.
    let before = stage.app.requests(APP).iter().filter(|r| r.starts_with("PATCH")).count();
    compare(&stage).await?;
    join(&stage, "dora", "Dev").await?;
    let after = stage.app.requests(APP).iter().filter(|r| r.starts_with("PATCH")).count();
    ensure!(before == after, "{before} and {after} changes");
    ensure!(stage.app_view().await?["drift_items"] == 0, "drift");
    // What gives access counts as ever.
    stage.leave(&carla).await?;
    stage.verified(&carla).await?;
    ensure!(stage.rollcall.items("/v1/obligations?status=overdue").await?.is_empty(), "overdue");
    stage.all_ended().await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_account_that_is_mended_three_times_in_vain_is_enough_to_learn_a_way() -> anyhow::Result<()> {
    let shape = Shape { drops: names(&["title"]), ..Shape::default() };
    let stage = Stage::simple(shaped(shape)).await?;
    let anna = join(&stage, "anna", "Dev").await?;
    for _ in 0..2 {
        ensure!(keeps(&stage).await?.is_empty(), "learned too soon");
        compare(&stage).await?;
        stage.verified(&anna).await?;
    }
    until("its way is learned", || async {
        Ok((keeps(&stage).await?.get("title").map(String::as_str) == Some("not kept")).then_some(()))
    })
    .await?;
    ensure!(stage.app_view().await?["drift_items"] == 0, "drift");
    stage.all_ended().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_that_is_refused_is_drift_and_is_mended_later() -> anyhow::Result<()> {
    let stage = Stage::simple(Script::default()).await?;
    let anna = join(&stage, "anna", "Dev").await?;
    stage.app.tell(APP, &shaped(Shape { refuses: names(&["title"]), ..Shape::default() })).await?;
    rename(&stage, &anna, "Lead", "Anna").await?;
    stage.all_ended().await?;
    let view = stage.app_view().await?;
    ensure!(view["drift_items"] == 1, "{view}");
    let said = stage.events("account.rejected").await?;
    ensure!(said[0]["summary"].as_str().is_some_and(|s| s.contains("title is refused")), "{said:?}");
    stage.app.tell(APP, &Script::default()).await?;
    compare(&stage).await?;
    until("the title is mended", || async { Ok((stage.app.users(APP)[0]["title"] == "Lead").then_some(())) }).await?;
    until("and no drift is left", || async { Ok((stage.app_view().await?["drift_items"] == 0).then_some(())) }).await?;
    ensure!(keeps(&stage).await?.is_empty(), "a refusal is no way");
    stage.all_ended().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_essential_is_owed_until_it_is_shown() -> anyhow::Result<()> {
    let script = shaped(Shape { drops: names(&["title"]), ..Shape::default() });
    let stage = Stage::set(script, "deactivate", "essential = [\"title\"]\n", "").await?;
    let id = stage.join("anna").await?;
    let drift = stage.seen("drift.detected").await?;
    ensure!(drift["summary"].as_str().is_some_and(|s| s.contains("title")), "{drift}");
    ensure!(stage.account(&id).await?["verified"] == false, "believed");
    stage.app.tell(APP, &Script::default()).await?;
    stage.verified(&id).await?;
    ensure!(stage.app.users(APP)[0]["title"] == "Dev", "{:?}", stage.app.users(APP));
    stage.all_ended().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_schema_of_an_app_does_not_have_is_not_managed() -> anyhow::Result<()> {
    let schema = names(&["userName", "active", "externalId", "emails", "displayName"]);
    let stage = Stage::simple(shaped(Shape { schema, ..Shape::default() })).await?;
    until("the schema is read", || async { Ok((!keeps(&stage).await?.is_empty()).then_some(())) }).await?;
    join(&stage, "anna", "Dev").await?;
    let user = stage.app.users(APP)[0].clone();
    ensure!(user.get("title").is_none() && user["displayName"] == "The anna", "{user}");
    ensure!(keeps(&stage).await?["title"] == "not in its schema", "{:?}", keeps(&stage).await?);
    ensure!(stage.app_view().await?["drift_items"] == 0, "drift");
    stage.all_ended().await
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_not_quite_as_the_rfcs_say_are_read_and_named() -> anyhow::Result<()> {
    let shape = Shape {
        numeric_ids: true,
        text_active: true,
        text_total: true,
        no_resources: true,
        no_list_schema: true,
        byte_order_mark: true,
        ..Shape::default()
    };
    let tables = "[[apps.groups]]\nfrom = \"Engineering\"\nto = \"eng\"\n";
    let stage = Stage::set(shaped(shape), "deactivate", "", tables).await?;
    let id = join(&stage, "anna", "Dev").await?;
    let group = json!({
        "schemas": [rollcall_tests::stage::GROUP], "displayName": "Engineering", "members": [{ "value": id }],
    });
    stage.rollcall.scim(Method::POST, "/Groups", &group).await?;
    until("anna is in the group", || async { Ok((stage.app.members(APP, "eng").len() == 1).then_some(())) }).await?;
    stage.verified(&id).await?;
    compare(&stage).await?;
    stage.leave(&id).await?;
    stage.verified(&id).await?;
    ensure!(stage.app.members(APP, "eng").is_empty(), "still in the group");
    ensure!(stage.app.users(APP)[0]["active"] == false, "{:?}", stage.app.users(APP));
    let quirks = stage.app_view().await?["capabilities"]["quirks"].clone();
    let all = ["numeric_id", "text_active", "text_total", "no_list_schema", "no_resources", "byte_order_mark"];
    ensure!(quirks == json!(all), "{quirks}");
    stage.all_ended().await
}

/// One joins, is renamed, and leaves, in an app that takes PATCH in one form only.
async fn patched(shape: Shape, learned: &Value) -> anyhow::Result<()> {
    let tables = "[[apps.groups]]\nfrom = \"Engineering\"\nto = \"eng\"\n";
    let stage = Stage::set(shaped(shape), "deactivate", "", tables).await?;
    let (anna, boris) = (join(&stage, "anna", "Dev").await?, join(&stage, "boris", "Dev").await?);
    rename(&stage, &anna, "Lead", "Anna").await?;
    let user = stage.app.users(APP).into_iter().find(|u| u["userName"] == "anna").context("no anna")?;
    ensure!(user["title"] == "Lead" && user["displayName"] == "Anna", "{user}");
    until("the form is learned", || async {
        let can = stage.app_view().await?["capabilities"].clone();
        let is = learned.as_object().into_iter().flatten().all(|(key, value)| can[key] == *value);
        Ok(is.then_some(()))
    })
    .await?;
    let refused = |stage: &Stage| stage.app.requests(APP).iter().filter(|r| r.starts_with("PATCH")).count();
    let before = refused(&stage);
    rename(&stage, &boris, "Lead", "Boris").await?;
    let asked = refused(&stage) - before;
    let one = usize::from(learned.get("patch_many") == Some(&"no".into()));
    ensure!(asked == 1 + one, "{asked} requests for one change: the form is known");
    let group = json!({
        "schemas": [rollcall_tests::stage::GROUP], "displayName": "Engineering", "members": [{ "value": anna }, { "value": boris }],
    });
    stage.rollcall.scim(Method::POST, "/Groups", &group).await?;
    until("both are in the group", || async { Ok((stage.app.members(APP, "eng").len() == 2).then_some(())) }).await?;
    for id in [&anna, &boris] {
        stage.leave(id).await?;
        stage.verified(id).await?;
    }
    ensure!(stage.app.users(APP).iter().all(|u| u["active"] == false), "{:?}", stage.app.users(APP));
    ensure!(stage.app.members(APP, "eng").is_empty(), "still in the group");
    stage.all_ended().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_names_operations_in_capitals_is_asked_so() -> anyhow::Result<()> {
    patched(Shape { patch_capitalized: true, ..Shape::default() }, &json!({ "patch_capitalized": "yes" })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_takes_no_paths_is_asked_without() -> anyhow::Result<()> {
    patched(Shape { patch_without_paths: true, ..Shape::default() }, &json!({ "patch_paths": "no" })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_takes_one_operation_a_request_gets_one() -> anyhow::Result<()> {
    let shape = Shape { patch_one: true, patch_capitalized: true, ..Shape::default() };
    patched(shape, &json!({ "patch_many": "no", "patch_capitalized": "yes" })).await
}

const GROUPS: &str = "[[apps.groups]]\nfrom = \"Engineering\"\nto = \"eng\"\n";

/// Some are in a group, one moves out of it, and one leaves.
async fn grouped(script: Script, tables: &'static str) -> anyhow::Result<Stage> {
    let stage = Stage::set(script, "deactivate", "", tables).await?;
    let (anna, boris) = (join(&stage, "anna", "Dev").await?, join(&stage, "boris", "Dev").await?);
    let members = json!([{ "value": anna }, { "value": boris }]);
    let group = json!({ "schemas": [rollcall_tests::stage::GROUP], "displayName": "Engineering", "members": members });
    let made = stage.rollcall.scim(Method::POST, "/Groups", &group).await?;
    until("both are in the group", || async { Ok((stage.app.members(APP, "eng").len() == 2).then_some(())) }).await?;
    stage.all_ended().await?;
    let path = format!("/Groups/{}", made["id"].as_str().context("no id")?);
    let out = json!([{ "op": "remove", "path": format!("members[value eq \"{anna}\"]") }]);
    let out = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": out });
    stage.rollcall.scim(Method::PATCH, &path, &out).await?;
    until("one is out", || async { Ok((stage.app.members(APP, "eng").len() == 1).then_some(())) }).await?;
    stage.all_ended().await?;
    compare(&stage).await?;
    ensure!(stage.app_view().await?["drift_items"] == 0, "drift: {:?}", stage.rollcall.items("/v1/drift").await?);
    stage.leave(&boris).await?;
    stage.verified(&boris).await?;
    stage.all_ended().await?;
    ensure!(stage.app.members(APP, "eng").is_empty(), "a leaver is in a group");
    Ok(stage)
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_that_show_no_members_are_asked_by_filter() -> anyhow::Result<()> {
    let stage = grouped(shaped(Shape { hides_members: true, ..Shape::default() }), GROUPS).await?;
    let can = stage.app_view().await?["capabilities"].clone();
    ensure!(can["members_shown"] == "no", "{can}");
    let puts = stage.app.requests(APP).iter().filter(|r| r.starts_with("PUT Groups")).count();
    ensure!(puts == 0, "a group that shows no members was replaced as a whole");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_that_show_an_empty_list_of_members_are_asked_by_filter_as_well() -> anyhow::Result<()> {
    let shape = Shape { hides_members: true, empty_members: true, ..Shape::default() };
    let stage = grouped(shaped(shape), GROUPS).await?;
    ensure!(stage.app_view().await?["capabilities"]["members_shown"] == "no", "{}", stage.app_view().await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_that_is_answered_with_201_and_nothing_else_or_with_200_is_one() -> anyhow::Result<()> {
    for shape in
        [Shape { silent_creation: true, ..Shape::default() }, Shape { creation_is_ok: true, ..Shape::default() }]
    {
        let stage = grouped(shaped(shape), GROUPS).await?;
        let rejected = stage.events("account.rejected").await?;
        ensure!(rejected.is_empty() && stage.app.users(APP).len() == 2, "{rejected:?} {:?}", stage.app.users(APP));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_is_put_into_a_hidden_group_by_hand_is_found() -> anyhow::Result<()> {
    let stage = grouped(shaped(Shape { hides_members: true, ..Shape::default() }), GROUPS).await?;
    let users = stage.app.users(APP);
    let anna = users.iter().find(|u| u["userName"] == "anna").context("no anna")?["id"].clone();
    stage.app.add_member(APP, "eng", &anna);
    compare(&stage).await?;
    until("she is out again", || async { Ok(stage.app.members(APP, "eng").is_empty().then_some(())) }).await?;
    ensure!(!stage.events("drift.detected").await?.is_empty(), "no drift");
    stage.all_ended().await
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_are_removed_by_value_alone_are_where_the_app_is_known_for_it() -> anyhow::Result<()> {
    let tables = "[[apps.groups]]\nfrom = \"Engineering\"\nto = \"eng\"\n[apps.capabilities]\nremoval_by_value = true\nmembers_shown = false\n";
    let shape = Shape { hides_members: true, removal_by_value: true, ..Shape::default() };
    grouped(shaped(shape), tables).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_takes_members_by_patch_alone_gets_them_so() -> anyhow::Result<()> {
    let shape = Shape { members_by_patch_alone: true, ..Shape::default() };
    let stage = grouped(shaped(shape), GROUPS).await?;
    ensure!(stage.events("drift.detected").await?.is_empty(), "{:?}", stage.events("drift.detected").await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_a_put_confirms_and_does_not_change_are_drift_and_a_finding() -> anyhow::Result<()> {
    let shape = Shape { members_by_patch_alone: true, ..Shape::default() };
    let script = Script { no_patch: true, shape, ..Script::default() };
    let stage = Stage::set(script, "deactivate", "", GROUPS).await?;
    let anna = join(&stage, "anna", "Dev").await?;
    let group = json!({
        "schemas": [rollcall_tests::stage::GROUP], "displayName": "Engineering", "members": [{ "value": anna }],
    });
    stage.rollcall.scim(Method::POST, "/Groups", &group).await?;
    let drift = stage.seen("drift.detected").await?;
    ensure!(drift["details"]["kind"] == "DRIFT_KIND_MEMBERSHIP", "{drift}");
    ensure!(stage.account(&anna).await?["verified"] == false, "believed");
    let findings = stage.app_view().await?["conformance"]["findings"].clone();
    ensure!(findings[0].as_str().is_some_and(|f| f.contains("and ignores them")), "{findings}");
    stage.app.tell(APP, &Script { no_patch: true, ..Script::default() }).await?;
    stage.verified(&anna).await?;
    stage.all_ended().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_fails_for_the_size_of_a_page_is_asked_without_it() -> anyhow::Result<()> {
    let script = Script { no_filter: true, shape: Shape { no_count: true, ..Shape::default() }, ..Script::default() };
    let stage = Stage::simple(script).await?;
    stage.joins_and_leaves("anna").await?;
    compare(&stage).await?;
    let quirks = stage.app_view().await?["capabilities"]["quirks"].clone();
    ensure!(quirks == json!(["no_count"]), "{quirks}");
    Ok(())
}

/// Everybody accepts the invitation to their account.
fn accept(stage: &Stage) {
    stage.app.by_hand(APP, |users| {
        for user in users.values_mut() {
            user.extend([("accepted".to_owned(), true.into()), ("active".to_owned(), true.into())]);
        }
    });
}

const INVITES: &str = "[apps.capabilities]\ninvites = true\n";

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_waits_for_an_invitation_is_invited_and_nobody_is_alarmed() -> anyhow::Result<()> {
    let shape = Shape { invites: true, ..Shape::default() };
    let stage = Stage::set(shaped(shape), "deactivate", "", INVITES).await?;
    let anna = join(&stage, "anna", "Dev").await?;
    stage.all_ended().await?;
    let kinds = |drift: Vec<Value>| drift.iter().map(|item| item["kind"].clone()).collect::<Vec<_>>();
    let invited = kinds(stage.rollcall.items("/v1/drift").await?);
    ensure!(invited == ["invited"], "{invited:?}");
    compare(&stage).await?;
    rename(&stage, &anna, "Lead", "Anna").await?;
    ensure!(
        kinds(stage.rollcall.items("/v1/drift").await?) == ["invited"],
        "{:?}",
        stage.rollcall.items("/v1/drift").await?
    );
    ensure!(stage.app.users(APP)[0]["title"] == "Lead", "{:?}", stage.app.users(APP));
    // She accepts: it is an account like any other, and is kept when she leaves.
    accept(&stage);
    compare(&stage).await?;
    ensure!(stage.app_view().await?["drift_items"] == 0, "{:?}", stage.rollcall.items("/v1/drift").await?);
    stage.leave(&anna).await?;
    stage.verified(&anna).await?;
    stage.all_ended().await?;
    let users = stage.app.users(APP);
    ensure!(users.len() == 1 && users[0]["active"] == false, "an account that was accepted was deleted: {users:?}");
    ensure!(stage.events("obligation.overdue").await?.is_empty(), "overdue");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaver_who_was_invited_is_gone_when_the_invitation_is_withdrawn() -> anyhow::Result<()> {
    let shape = Shape { invites: true, ..Shape::default() };
    let stage = Stage::set(shaped(shape.clone()), "deactivate", "", INVITES).await?;
    let anna = join(&stage, "anna", "Dev").await?;
    // As long as she could accept she is not gone.
    stage.app.tell(APP, &Script { ignores_deletes: true, shape: shape.clone(), ..Script::default() }).await?;
    stage.leave(&anna).await?;
    stage.seen("account.applied").await?;
    until("that is said", || async {
        let all = stage.events("drift.detected").await?;
        Ok(all.iter().any(|e| e["summary"].as_str().is_some_and(|s| s.contains("invited"))).then_some(()))
    })
    .await?;
    ensure!(stage.rollcall.items("/v1/leavers?status=completed").await?.is_empty(), "gone, and could still accept");
    stage.app.tell(APP, &shaped(shape)).await?;
    stage.verified(&anna).await?;
    ensure!(stage.app.users(APP).is_empty(), "{:?}", stage.app.users(APP));
    stage.all_ended().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaver_who_has_accepted_a_moment_ago_is_switched_off_and_kept() -> anyhow::Result<()> {
    let shape = Shape { invites: true, ..Shape::default() };
    let stage = Stage::set(shaped(shape), "deactivate", "", INVITES).await?;
    let anna = join(&stage, "anna", "Dev").await?;
    accept(&stage);
    stage.leave(&anna).await?;
    stage.verified(&anna).await?;
    let users = stage.app.users(APP);
    ensure!(users.len() == 1 && users[0]["active"] == false, "{users:?}");
    compare(&stage).await?;
    ensure!(stage.app_view().await?["drift_items"] == 0, "{:?}", stage.rollcall.items("/v1/drift").await?);
    stage.all_ended().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_made_anew_is_a_new_invitation() -> anyhow::Result<()> {
    let shape = Shape { invites: true, ..Shape::default() };
    let stage = Stage::set(shaped(shape), "deactivate", "", INVITES).await?;
    let anna = join(&stage, "anna", "Dev").await?;
    accept(&stage);
    compare(&stage).await?;
    // Somebody removes it: it is made anew, and she is invited once more.
    stage.app.by_hand(APP, |users| users.clear());
    compare(&stage).await?;
    until("it is made anew", || async { Ok((stage.app.users(APP).len() == 1).then_some(())) }).await?;
    stage.verified(&anna).await?;
    stage.all_ended().await?;
    stage.leave(&anna).await?;
    stage.verified(&anna).await?;
    ensure!(stage.app.users(APP).is_empty(), "an invitation that stands is not gone: {:?}", stage.app.users(APP));
    stage.all_ended().await
}

/// Somebody invites the person who has the first account once more.
fn invite_again(stage: &Stage) {
    stage.app.by_hand(APP, |users| {
        if let Some(mut second) = users.values().next().cloned() {
            second.remove("accepted");
            second.extend([("id".to_owned(), "second".into()), ("active".to_owned(), false.into())]);
            users.insert("second".into(), second);
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_account_that_a_leaver_is_invited_to_is_withdrawn_and_the_first_is_kept() -> anyhow::Result<()> {
    let shape = Shape { invites: true, ..Shape::default() };
    let stage = Stage::set(shaped(shape), "deactivate", "", INVITES).await?;
    let anna = join(&stage, "anna", "Dev").await?;
    accept(&stage);
    compare(&stage).await?;
    invite_again(&stage);
    stage.leave(&anna).await?;
    stage.verified(&anna).await?;
    let only_the_first = || {
        let users = stage.app.users(APP);
        users.len() == 1 && users[0]["id"] != "second" && users[0]["active"] == false
    };
    ensure!(only_the_first(), "{:?}", stage.app.users(APP));
    // The same after she has left.
    invite_again(&stage);
    compare(&stage).await?;
    until("it is withdrawn", || async { Ok(only_the_first().then_some(())) }).await?;
    stage.all_ended().await?;
    compare(&stage).await?;
    ensure!(stage.app_view().await?["drift_items"] == 0, "{:?}", stage.rollcall.items("/v1/drift").await?);
    ensure!(only_the_first(), "the account that she had is kept: {:?}", stage.app.users(APP));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_title_that_is_refused_keeps_nobody_in_a_group() -> anyhow::Result<()> {
    let stage = Stage::set(Script::default(), "deactivate", "", GROUPS).await?;
    let anna = join(&stage, "anna", "Dev").await?;
    let group = json!({
        "schemas": [rollcall_tests::stage::GROUP], "displayName": "Engineering", "members": [{ "value": anna }],
    });
    let made = stage.rollcall.scim(Method::POST, "/Groups", &group).await?;
    until("she is in", || async { Ok((stage.app.members(APP, "eng").len() == 1).then_some(())) }).await?;
    stage.all_ended().await?;
    stage.app.tell(APP, &shaped(Shape { refuses: names(&["title"]), ..Shape::default() })).await?;
    rename(&stage, &anna, "Lead", "Anna").await?;
    let path = format!("/scim/v2/Groups/{}", made["id"].as_str().context("no id")?);
    let token = rollcall_tests::rollcall::SOURCE_TOKEN;
    ensure!(stage.rollcall.raw(Method::DELETE, &path, token, None).await?.0 == 204);
    until("she is out", || async { Ok(stage.app.members(APP, "eng").is_empty().then_some(())) }).await?;
    stage.all_ended().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_named_for_what_it_is() -> anyhow::Result<()> {
    let stage = Stage::set(Script::default(), "deactivate", "request_timeout = \"300ms\"\n", "").await?;
    let id = join(&stage, "anna", "Dev").await?;
    let said = |word: &'static str| {
        let stage = &stage;
        until(word, move || async move {
            let all = stage.events("account.rejected").await?;
            Ok(all.iter().any(|e| e["summary"].as_str().is_some_and(|s| s.contains(word))).then_some(()))
        })
    };
    stage.app.tell(APP, &Script { fails: 1, ..Script::default() }).await?;
    rename(&stage, &id, "Lead", "Anna").await?;
    said("app_error (500)").await?;
    stage.app.tell(APP, &Script { hangs: 1, ..Script::default() }).await?;
    rename(&stage, &id, "Dev", "Anna").await?;
    said("timeout").await?;
    stage.all_ended().await
}
