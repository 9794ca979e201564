//! Apps that are odd in ways that give nobody access and take none: no false word of them, and no alarm.

use anyhow::ensure;
use reqwest::Method;
use rollcall_tests::stage::{APP, GROUP, Stage, USER};
use rollcall_tests::{Script, Shape, until};
use serde_json::{Value, json};

const GROUPS: &str = "[[apps.groups]]\nfrom = \"Engineering\"\nto = \"eng\"\n";

fn shaped(shape: Shape) -> Script {
    Script { shape, ..Script::default() }
}

async fn nothing_is_odd(stage: &Stage) -> anyhow::Result<()> {
    stage.all_ended().await?;
    ensure!(stage.app_view().await?["drift_items"] == 0, "{:?}", stage.rollcall.items("/v1/drift").await?);
    ensure!(stage.events("obligation.overdue").await?.is_empty(), "overdue");
    Ok(())
}

/// Somebody joins, is put into a group where the app has some, changes, and leaves.
async fn through_all(stage: &Stage, name: &str, with_group: Option<usize>) -> anyhow::Result<()> {
    let id = stage.join(name).await?;
    stage.verified(&id).await?;
    if let Some(members) = with_group {
        let group = json!({ "schemas": [GROUP], "displayName": "Engineering", "members": [{ "value": id }] });
        stage.rollcall.scim(Method::POST, "/Groups", &group).await?;
        until("they are in the group", || async { Ok((stage.app.members(APP, "eng").len() == members).then_some(())) })
            .await?;
        stage.verified(&id).await?;
    }
    nothing_is_odd(stage).await?;
    stage.leave(&id).await?;
    stage.verified(&id).await?;
    nothing_is_odd(stage).await
}

async fn compare(stage: &Stage) -> anyhow::Result<()> {
    let before = stage.app_view().await?["reconciliation"]["completed_at"].clone();
    stage.decide(&format!("/v1/apps/{APP}/reconcile"), &json!({})).await?;
    until("the app was compared", || async {
        let now = stage.app_view().await?["reconciliation"]["completed_at"].clone();
        Ok((now != before).then_some(()))
    })
    .await
}

/// Whatever it answers beyond its last page.
#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_fails_beyond_its_last_page_has_shown_all_of_it() -> anyhow::Result<()> {
    for status in [400, 404, 500, 204] {
        let shape = Shape { further_pages: Some(status), ..Shape::default() };
        let stage = Stage::set(Script { shape, no_filter: true, ..Script::default() }, "delete", "", "").await?;
        through_all(&stage, "anna", None).await?;
        compare(&stage).await?;
        ensure!(stage.app.users(APP).is_empty(), "{status}: {:?}", stage.app.users(APP));
    }
    Ok(())
}

/// An app of which a part can't be read has not been read, whatever it answers for that part.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_gone_by_a_page_that_could_not_be_read() -> anyhow::Result<()> {
    for (status, ignores_count) in [(429, true), (503, true), (504, true), (500, false), (404, false)] {
        let shape = |further_pages| Shape {
            total_of_page: true,
            page_size: Some(10),
            further_pages,
            ignores_count,
            ..Shape::default()
        };
        let script =
            |further| Script { shape: shape(further), no_filter: true, no_external_id: true, ..Script::default() };
        let stage = Stage::set(Script { loses_creations: 1, ..script(None) }, "delete", "", "").await?;
        stage.app.fill(APP, (0..12).map(|n| json!({ "userName": format!("other-{n}"), "active": true })));
        let anna = stage.join("anna").await?;
        until("it was made", || async { Ok((stage.app.users(APP).len() == 13).then_some(())) }).await?;
        stage.app.tell(APP, &script(Some(status))).await?;
        let before = stage.app.requests(APP).len();
        stage.leave(&anna).await?;
        until("the second page was asked for", || async {
            Ok((stage.app.requests(APP).len() > before + 6).then_some(()))
        })
        .await?;
        let gone = stage.rollcall.items("/v1/leavers?status=completed").await?;
        ensure!(gone.is_empty(), "{status}: gone, and it is there");
        stage.app.tell(APP, &script(None)).await?;
        stage.verified(&anna).await?;
        let is_hers = |user: &Value| user["userName"] == "anna";
        ensure!(!stage.app.users(APP).iter().any(is_hers), "gone, and it is there: {:?}", stage.app.users(APP));
        stage.all_ended().await?;
    }
    Ok(())
}

/// What an account said of its groups before it was taken out of one is no reason to try it in other ways.
#[tokio::test(flavor = "multi_thread")]
async fn an_app_whose_users_show_their_groups_is_asked_once_for_a_removal() -> anyhow::Result<()> {
    let stage = Stage::set(shaped(Shape { shows_groups: true, ..Shape::default() }), "deactivate", "", GROUPS).await?;
    let mut group = String::new();
    for (count, name) in ["anna", "boris", "carla", "dora"].into_iter().enumerate() {
        let id = stage.join(name).await?;
        stage.verified(&id).await?;
        let change = |op: &str, member: Value| {
            let operations = json!([{ "op": op, "path": "members", "value": [member] }]);
            json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations })
        };
        if group.is_empty() {
            let new = json!({ "schemas": [GROUP], "displayName": "Engineering" });
            let made = stage.rollcall.scim(Method::POST, "/Groups", &new).await?;
            group = made["id"].as_str().unwrap_or_default().to_owned();
        }
        let path = format!("/Groups/{group}");
        stage.rollcall.scim(Method::PATCH, &path, &change("add", json!({ "value": id }))).await?;
        until("they are in it", || async { Ok((stage.app.members(APP, "eng").len() == 1).then_some(())) }).await?;
        stage.verified(&id).await?;
        stage.rollcall.scim(Method::PATCH, &path, &change("remove", json!({ "value": id }))).await?;
        until("they are out", || async { Ok(stage.app.members(APP, "eng").is_empty().then_some(())) }).await?;
        stage.verified(&id).await?;
        let asked = stage.app.requests(APP).iter().filter(|request| request.starts_with("PATCH Groups")).count();
        // The first one is put in when the group is made.
        ensure!(asked == 2 * count + 1, "{asked} changes of the group for {}", count + 1);
    }
    nothing_is_odd(&stage).await
}

/// A second account for administrators has the same address. It was never ours.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_two_accounts_share_makes_neither_ours() -> anyhow::Result<()> {
    let script = Script { no_external_id: true, loses_creations: 1, ..Script::default() };
    let stage = Stage::simple(script).await?;
    let admin = json!({ "userName": "anna-admin", "active": true, "emails": [{ "value": "anna@example.com" }] });
    stage.app.fill(APP, std::iter::once(admin.clone()));
    let user = json!({ "schemas": [USER], "userName": "anna", "emails": [{ "value": "anna@example.com" }] });
    let made = stage.rollcall.scim(Method::POST, "/Users", &user).await?;
    let anna = made["id"].as_str().unwrap_or_default().to_owned();
    stage.verified(&anna).await?;
    stage.leave(&anna).await?;
    stage.verified(&anna).await?;
    let users = stage.app.users(APP);
    let of = |name: &str| users.iter().find(|user| user["userName"] == name).cloned().unwrap_or_default();
    ensure!(of("anna-admin")["active"] == true, "taken from an administrator: {users:?}");
    ensure!(of("anna")["active"] == false, "{users:?}");
    stage.all_ended().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_that_is_refused_for_a_title_is_made_without_it_alone() -> anyhow::Result<()> {
    let shape = Shape {
        refuses_to_make: ["title".to_owned()].into(),
        refuses: ["title".to_owned()].into(),
        ..Shape::default()
    };
    let tables =
        "[apps.attributes]\ntitle = \"title\"\ndisplayName = \"userName\"\nuserType = { constant = \"guest\" }\n";
    let stage = Stage::set(shaped(shape), "deactivate", "", tables).await?;
    let anna = stage.join("anna").await?;
    stage.verified(&anna).await?;
    stage.all_ended().await?;
    let users = stage.app.users(APP);
    ensure!(users.len() == 1 && users[0].get("title").is_none(), "{users:?}");
    ensure!(users[0]["userType"] == "guest" && users[0]["displayName"] == "anna", "{users:?}");
    // Its lack is drift, and is mended when the app takes it.
    ensure!(stage.app_view().await?["drift_items"] == 1, "{:?}", stage.rollcall.items("/v1/drift").await?);
    stage.app.tell(APP, &Script::default()).await?;
    compare(&stage).await?;
    until("the title is mended", || async { Ok((stage.app.users(APP)[0]["title"] == "Dev").then_some(())) }).await?;
    until("no drift is left", || async { Ok((stage.app_view().await?["drift_items"] == 0).then_some(())) }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_external_id_of_the_apps_own_keeps_nobody_out_and_nobody_in() -> anyhow::Result<()> {
    let shape = Shape { own_values: ["externalId".to_owned()].into(), ..Shape::default() };
    let stage = Stage::simple(shaped(shape)).await?;
    for name in ["anna", "boris", "carla"] {
        let id = stage.join(name).await?;
        stage.verified(&id).await?;
        stage.all_ended().await?;
        stage.leave(&id).await?;
        stage.verified(&id).await?;
    }
    ensure!(stage.app.users(APP).iter().all(|user| user["active"] == false), "{:?}", stage.app.users(APP));
    nothing_is_odd(&stage).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_fails_for_filters_is_read_without() -> anyhow::Result<()> {
    for status in [500, 422] {
        let shape = Shape { no_hit: Some(status), ..Shape::default() };
        let script = Script { shape, no_filter: true, ..Script::default() };
        let stage = Stage::set(script, "delete", "", GROUPS).await?;
        through_all(&stage, "anna", Some(1)).await?;
        ensure!(stage.app.users(APP).is_empty(), "{status}: {:?}", stage.app.users(APP));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_show_somebody_twice_make_no_second_account() -> anyhow::Result<()> {
    let shape = Shape { page_size: Some(2), ..Shape::default() };
    let stage = Stage::simple(shaped(shape.clone())).await?;
    for name in ["anna", "boris", "carla"] {
        let id = stage.join(name).await?;
        stage.verified(&id).await?;
    }
    stage.app.tell(APP, &Script { inconsistent_pages: true, shape, ..Script::default() }).await?;
    compare(&stage).await?;
    let drift = stage.rollcall.items("/v1/drift").await?;
    ensure!(drift.is_empty(), "{drift:?}");
    Ok(())
}

/// How many accounts are known as nobody's.
async fn orphans(stage: &Stage) -> anyhow::Result<usize> {
    let all = stage.rollcall.items("/v1/drift").await?;
    Ok(all.into_iter().filter(|item| item["kind"] == "orphan").count())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_of_nobody_that_pages_pass_over_is_still_there() -> anyhow::Result<()> {
    let shape = Shape { page_size: Some(2), ..Shape::default() };
    let stage = Stage::simple(shaped(shape.clone())).await?;
    for name in ["anna", "boris", "carla"] {
        let id = stage.join(name).await?;
        stage.verified(&id).await?;
    }
    stage.app.by_hand(APP, |users| {
        let stranger = json!({ "id": "z-stranger", "userName": "stranger", "active": true });
        users.insert("z-stranger".into(), stranger.as_object().cloned().unwrap_or_default());
    });
    compare(&stage).await?;
    ensure!(orphans(&stage).await? == 1, "it was not found");
    stage.app.tell(APP, &Script { inconsistent_pages: true, shape: shape.clone(), ..Script::default() }).await?;
    compare(&stage).await?;
    ensure!(orphans(&stage).await? == 1, "what no page has shown is taken for gone, and lives");
    // One that is put under `protected` is none that anybody is told of.
    let mut stage = stage;
    stage.rollcall.stop().await?;
    stage.rollcall.change_app("protected = [\"stranger\"]\n");
    stage.rollcall.start().await?;
    compare(&stage).await?;
    ensure!(orphans(&stage).await? == 0, "it is protected, and found");
    stage.rollcall.stop().await?;
    stage.rollcall.change_app("");
    stage.rollcall.start().await?;
    stage.app.tell(APP, &shaped(shape.clone())).await?;
    compare(&stage).await?;
    ensure!(orphans(&stage).await? == 1, "it is there again, and not found");
    // What is gone indeed is, also where the app calls its id none of its own then.
    stage.app.by_hand(APP, |users| drop(users.remove("z-stranger")));
    stage.app.tell(APP, &Script { knows_no_other_ids: true, ..shaped(shape) }).await?;
    compare(&stage).await?;
    ensure!(orphans(&stage).await? == 0, "it is there no more");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_called_otherwise_is_named_and_does_not_stay() -> anyhow::Result<()> {
    let stage = Stage::set(shaped(Shape { renames_groups: true, ..Shape::default() }), "delete", "", GROUPS).await?;
    let anna = stage.join("anna").await?;
    stage.verified(&anna).await?;
    let group = json!({ "schemas": [GROUP], "displayName": "Engineering", "members": [{ "value": anna }] });
    stage.rollcall.scim(Method::POST, "/Groups", &group).await?;
    until("what to do is said", || async {
        let said = stage.events("account.rejected").await?;
        let says = |event: &Value| event["summary"].as_str().is_some_and(|s| s.contains("to = \"PRIMARY/eng\""));
        Ok((said.len() >= 2 && said.iter().all(says)).then_some(()))
    })
    .await?;
    // Whoever follows the advice has what they wanted, and nothing is left of what was tried.
    ensure!(stage.app.members(APP, "PRIMARY/eng").is_empty(), "a group that nobody manages is left");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_within_the_app_are_followed_as_what_they_are() -> anyhow::Result<()> {
    for status in [301, 302, 307, 308] {
        let script = Script { redirects: Some(status), ..Script::default() };
        let stage = Stage::set(script, "delete", "", GROUPS).await?;
        through_all(&stage, "anna", Some(1)).await?;
        ensure!(stage.app.creations(APP) == 1 && stage.app.users(APP).is_empty(), "{status}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_say_little_are_enough() -> anyhow::Result<()> {
    let shape = Shape { answers_id_alone: true, members_by_address: true, ..Shape::default() };
    let stage = Stage::set(shaped(shape), "deactivate", "", GROUPS).await?;
    through_all(&stage, "anna", Some(1)).await?;
    ensure!(stage.app.members(APP, "eng").is_empty(), "{:?}", stage.app.members(APP, "eng"));
    Ok(())
}
