//! Apps that make user names of their own, that answer a filter without a hit with an error, and that take a PATCH in the usual form
//! alone.

use anyhow::ensure;
use reqwest::Method;
use rollcall_tests::stage::{APP, Stage};
use rollcall_tests::{Script, Shape};
use serde_json::{Value, json};

const OWN_NAMES: &str = "[apps.capabilities.keeps]\nuserName = \"own value\"\n";

fn own_names() -> Shape {
    Shape { own_values: ["userName".to_owned()].into(), ..Shape::default() }
}

/// Sends a PATCH of some attributes.
async fn change(stage: &Stage, id: &str, attributes: Value) -> anyhow::Result<()> {
    let operations = json!([{ "op": "replace", "value": attributes }]);
    let patch = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations });
    stage.rollcall.scim(Method::PATCH, &format!("/Users/{id}"), &patch).await?;
    stage.verified(id).await
}

fn only_user(stage: &Stage) -> anyhow::Result<Value> {
    let users = stage.app.users(APP);
    ensure!(users.len() == 1, "{users:?}");
    Ok(users[0].clone())
}

async fn nothing_is_odd(stage: &Stage) -> anyhow::Result<()> {
    stage.all_ended().await?;
    ensure!(stage.app_view().await?["drift_items"] == 0, "{:?}", stage.rollcall.items("/v1/drift").await?);
    ensure!(stage.events("obligation.overdue").await?.is_empty(), "overdue");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_makes_user_names_of_its_own_is_followed_by_its_ids() -> anyhow::Result<()> {
    let stage = Stage::set(Script { shape: own_names(), ..Script::default() }, "deactivate", "", OWN_NAMES).await?;
    let anna = stage.join("anna").await?;
    stage.verified(&anna).await?;
    ensure!(only_user(&stage)?["userName"] == "own-anna", "{:?}", stage.app.users(APP));
    // Neither a change nor another name of hers at the source is a reason to send the name again.
    change(&stage, &anna, json!({ "title": "Lead", "userName": "anna.lee" })).await?;
    ensure!(only_user(&stage)?["title"] == "Lead", "{:?}", stage.app.users(APP));
    ensure!(only_user(&stage)?["userName"] == "own-anna", "{:?}", stage.app.users(APP));
    nothing_is_odd(&stage).await?;
    stage.leave(&anna).await?;
    stage.verified(&anna).await?;
    ensure!(only_user(&stage)?["active"] == false, "{:?}", stage.app.users(APP));
    nothing_is_odd(&stage).await
}

/// The account that was made without an answer has a name that nobody has sent, and no externalId to be found by.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_with_a_name_of_its_own_whose_creation_had_no_answer_is_found_by_what_was_sent() -> anyhow::Result<()>
{
    for leaves in [false, true] {
        let script = Script { shape: own_names(), no_external_id: true, loses_creations: 1, ..Script::default() };
        let keys = "adopt = \"own_name\"\n";
        let stage = Stage::set(script, "deactivate", keys, OWN_NAMES).await?;
        let user = json!({
            "schemas": [rollcall_tests::stage::USER], "userName": "anna", "emails": [{ "value": "anna@example.com" }],
        });
        let made = stage.rollcall.scim(Method::POST, "/Users", &user).await?;
        let anna = made["id"].as_str().unwrap_or_default().to_owned();
        if leaves {
            rollcall_tests::until("it was made", || async { Ok((stage.app.users(APP).len() == 1).then_some(())) })
                .await?;
            stage.leave(&anna).await?;
        }
        stage.verified(&anna).await?;
        ensure!(only_user(&stage)?["active"] == !leaves, "{:?}", stage.app.users(APP));
        stage.all_ended().await?;
    }
    Ok(())
}

/// 404 and 400 alike, for one who joins and for one who leaves. With 404 nobody is looked for by reading everything, as a filter by
/// which a known account is found says enough.
#[tokio::test(flavor = "multi_thread")]
async fn a_filter_without_a_hit_may_be_answered_with_an_error() -> anyhow::Result<()> {
    for (status, keys) in [(404, "max_scan = 20\n"), (400, "")] {
        let shape = Shape { no_hit: Some(status), ..Shape::default() };
        let stage = Stage::set(Script { shape, ..Script::default() }, "delete", keys, "").await?;
        let others = (0..50).map(|n| json!({ "userName": format!("other-{n}"), "active": true }));
        stage.app.fill(APP, others);
        for name in ["anna", "boris"] {
            let id = stage.join(name).await?;
            stage.verified(&id).await?;
        }
        let carla = stage.join("carla").await?;
        stage.verified(&carla).await?;
        stage.leave(&carla).await?;
        stage.verified(&carla).await?;
        let names: Vec<Value> = stage.app.users(APP).iter().map(|user| user["userName"].clone()).collect();
        ensure!(names.len() == 52 && !names.contains(&"carla".into()), "{status}: {names:?}");
        stage.all_ended().await?;
    }
    Ok(())
}

/// The same answer from an app that knows no filter proves nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_is_never_found_is_no_proof_that_nobody_is_there() -> anyhow::Result<()> {
    let shape = Shape { no_hit: Some(404), ..Shape::default() };
    let script = Script { shape, no_filter: true, loses_creations: 1, changes_ids: true, ..Script::default() };
    let stage = Stage::set(script, "delete", "", "").await?;
    let anna = stage.join("anna").await?;
    rollcall_tests::until("it was made", || async { Ok((!stage.app.users(APP).is_empty()).then_some(())) }).await?;
    stage.leave(&anna).await?;
    stage.verified(&anna).await?;
    ensure!(stage.app.users(APP).is_empty(), "gone, and it is there: {:?}", stage.app.users(APP));
    stage.all_ended().await
}

/// The account whose creation had no answer is on the second page, of which the app does not speak.
#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_takes_what_is_on_a_page_for_the_total_is_read_to_its_end() -> anyhow::Result<()> {
    let shape = Shape { total_of_page: true, page_size: Some(10), ..Shape::default() };
    let script = Script { shape, no_filter: true, no_external_id: true, loses_creations: 1, ..Script::default() };
    let stage = Stage::set(script, "delete", "", "").await?;
    stage.app.fill(APP, (0..12).map(|n| json!({ "userName": format!("other-{n}"), "active": true })));
    let anna = stage.join("anna").await?;
    rollcall_tests::until("it was made", || async { Ok((stage.app.users(APP).len() == 13).then_some(())) }).await?;
    stage.leave(&anna).await?;
    stage.verified(&anna).await?;
    let is_hers = |user: &Value| user["userName"] == "anna";
    ensure!(!stage.app.users(APP).iter().any(is_hers), "gone, and it is there: {:?}", stage.app.users(APP));
    stage.all_ended().await?;
    stage.decide(&format!("/v1/apps/{APP}/reconcile"), &json!({})).await?;
    rollcall_tests::until("all of it was compared", || async {
        let drift = stage.app_view().await?["drift_items"].clone();
        Ok((drift == 12).then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_takes_the_usual_form_of_a_patch_alone_is_sent_that() -> anyhow::Result<()> {
    let shape = Shape { patch_small: true, patch_with_paths: true, ..Shape::default() };
    let stage = Stage::simple(Script { shape, ..Script::default() }).await?;
    let anna = stage.join("anna").await?;
    stage.verified(&anna).await?;
    change(&stage, &anna, json!({ "title": "Lead", "displayName": "Anna" })).await?;
    ensure!(only_user(&stage)?["title"] == "Lead", "{:?}", stage.app.users(APP));
    stage.leave(&anna).await?;
    stage.verified(&anna).await?;
    ensure!(stage.events("account.rejected").await?.is_empty(), "refused");
    nothing_is_odd(&stage).await
}
