//! What apps do wrong, one after the other: what the app, the events and the obligations are in the end.

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use reqwest::Method;
use rollcall_tests::rollcall::SOURCE_TOKEN;
use rollcall_tests::stage::{APP, GROUP, Stage, USER};
use rollcall_tests::{App, Faulty, Rollcall, Script, until};
use serde_json::{Value, json};

fn in_a_month() -> String {
    (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * 30)).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_ignores_deletes_is_named_and_not_believed() -> anyhow::Result<()> {
    let stage = Stage::set(Script { ignores_deletes: true, ..Script::default() }, "delete", "", "").await?;
    let id = stage.join("anna").await?;
    stage.verified(&id).await?;
    stage.leave(&id).await?;
    let drift = stage.seen("drift.detected").await?;
    ensure!(drift["summary"].as_str().is_some_and(|s| s.contains("zombie")), "{drift}");
    ensure!(stage.account(&id).await?["verified"] == false, "believed");
    let view = stage.app_view().await?;
    ensure!(view["conformance"]["findings"][0].as_str().is_some_and(|f| f.contains("deletes and ignores")), "{view}");
    ensure!(view["conformance"]["operations"]["create"]["honoured"] == 1, "{view}");
    ensure!(view["drift_items"] == 1, "{view}");
    stage.app.tell(APP, &Script::default()).await?;
    stage.verified(&id).await?;
    ensure!(stage.app.users(APP).is_empty(), "still there");
    stage.all_ended().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_ignores_deactivation_is_not_believed() -> anyhow::Result<()> {
    let stage = Stage::simple(Script { ignores_deactivation: true, ..Script::default() }).await?;
    let id = stage.join("anna").await?;
    stage.verified(&id).await?;
    stage.leave(&id).await?;
    stage.seen("drift.detected").await?;
    ensure!(stage.account(&id).await?["verified"] == false && stage.app.users(APP)[0]["active"] == true, "believed");
    let findings = stage.app_view().await?["conformance"]["findings"].clone();
    ensure!(findings[0].as_str().is_some_and(|f| f.contains("deactivations and ignores")), "{findings}");
    stage.app.tell(APP, &Script::default()).await?;
    stage.verified(&id).await?;
    stage.all_ended().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_success_without_effect_is_missing_and_not_created_twice_at_last() -> anyhow::Result<()> {
    let stage = Stage::simple(Script { no_effect: true, ..Script::default() }).await?;
    let id = stage.join("anna").await?;
    let drift = stage.seen("drift.detected").await?;
    ensure!(drift["summary"].as_str().is_some_and(|s| s.contains("missing")), "{drift}");
    ensure!(stage.account(&id).await?["verified"] == false, "believed");
    stage.app.tell(APP, &Script::default()).await?;
    stage.verified(&id).await?;
    ensure!(stage.app.users(APP).len() == 1, "{:?}", stage.app.users(APP));
    stage.all_ended().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_app_is_waited_for() -> anyhow::Result<()> {
    Stage::simple(Script { slow_ms: 300, ..Script::default() }).await?.joins_and_leaves("anna").await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_asks_for_fewer_requests_gets_fewer() -> anyhow::Result<()> {
    let stage = Stage::simple(Script::default()).await?;
    let id = stage.join("anna").await?;
    stage.verified(&id).await?;
    stage.app.tell(APP, &Script { throttled: 2, retry_after: 1, ..Script::default() }).await?;
    stage.leave(&id).await?;
    stage.verified(&id).await?;
    let rejected = &stage.events("account.rejected").await?[0];
    ensure!(rejected["summary"].as_str().is_some_and(|s| s.contains("throttled (429)")), "{rejected}");
    // Two refusals, each a second to wait: the time between the events is the log's own.
    let left: jiff::Timestamp =
        stage.events("identity.left").await?[0]["recorded_at"].as_str().context("no time")?.parse()?;
    let done = &stage.events("account.verified").await?[0];
    let done: jiff::Timestamp = done["recorded_at"].as_str().context("no time")?.parse()?;
    ensure!(
        done.duration_since(left).as_secs_f64() >= 2.0,
        "Retry-After was not honoured: {}",
        done.duration_since(left)
    );
    ensure!(stage.app_view().await?["health"]["state"] == "working", "throttling is no sickness");
    stage.all_ended().await
}

#[tokio::test(flavor = "multi_thread")]
async fn bursts_of_errors_are_outlasted() -> anyhow::Result<()> {
    Stage::simple(Script { fails: 7, ..Script::default() }).await?.joins_and_leaves("anna").await
}

#[tokio::test(flavor = "multi_thread")]
async fn json_under_another_name_is_still_json() -> anyhow::Result<()> {
    Stage::simple(Script { wrong_content_type: true, ..Script::default() }).await?.joins_and_leaves("anna").await
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_break_off_prove_nothing() -> anyhow::Result<()> {
    Stage::simple(Script { truncates: 6, ..Script::default() }).await?.joins_and_leaves("anna").await
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_closed_are_opened_again() -> anyhow::Result<()> {
    Stage::simple(Script { closes: 6, ..Script::default() }).await?.joins_and_leaves("anna").await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_hangs_is_given_up_in_time_and_asked_again() -> anyhow::Result<()> {
    let script = Script { hangs: 4, ..Script::default() };
    let stage = Stage::set(script, "deactivate", "request_timeout = \"300ms\"\n", "").await?;
    stage.joins_and_leaves("anna").await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_whose_id_changes_is_found_again() -> anyhow::Result<()> {
    Stage::simple(Script { changes_ids: true, ..Script::default() }).await?.joins_and_leaves("anna").await
}

#[tokio::test(flavor = "multi_thread")]
async fn user_names_in_lower_case_are_the_same_names() -> anyhow::Result<()> {
    Stage::simple(Script { lower_cases_user_names: true, ..Script::default() })
        .await?
        .joins_and_leaves("Anna.LEE")
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_without_patch_and_without_filters_is_used_as_it_is() -> anyhow::Result<()> {
    let script = Script { no_patch: true, no_filter: true, ..Script::default() };
    Stage::simple(script).await?.joins_and_leaves("anna").await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_shows_changes_late_is_waited_for_and_asked_once() -> anyhow::Result<()> {
    let script = Script { lag_ms: 1500, ..Script::default() };
    let delay = "[apps.capabilities]\nconsistency_delay = \"20s\"\n";
    let stage = Stage::set(script, "deactivate", "", delay).await?;
    stage.joins_and_leaves("anna").await?;
    ensure!(stage.events("drift.detected").await?.is_empty(), "judged too early");
    let changes = stage.app.requests(APP).iter().filter(|r| !r.starts_with("GET")).count();
    ensure!(changes == 2, "asked more than once: {:?}", stage.app.requests(APP));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_was_made_a_moment_ago_is_not_gone_because_it_does_not_show_yet() -> anyhow::Result<()> {
    let script = Script { lag_ms: 3000, ..Script::default() };
    let delay = "[apps.capabilities]\nconsistency_delay = \"4s\"\n";
    let stage = Stage::set(script, "deactivate", "", delay).await?;
    let id = stage.join("anna").await?;
    until("her account is made", || async { Ok((stage.app.creations(APP) == 1).then_some(())) }).await?;
    stage.leave(&id).await?;
    let at = |e: &Value| e["sequence"].as_u64();
    until("something is verified of her departure", || async {
        let left = stage.events("identity.left").await?.first().and_then(at);
        Ok(stage.events("account.verified").await?.iter().any(|e| at(e) > left).then_some(()))
    })
    .await?;
    let live = stage.app.users(APP).into_iter().filter(|u| u["active"] == true).count();
    ensure!(live == 0, "called gone, and lives: {:?}", stage.app.users(APP));
    stage.verified(&id).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_many_need_at_once_is_made_once() -> anyhow::Result<()> {
    let groups = "[[apps.groups]]\nfrom = \"Engineering\"\nto = \"eng\"\n";
    let stage = Stage::set(Script { slow_ms: 50, ..Script::default() }, "deactivate", "", groups).await?;
    let mut ids = Vec::new();
    for n in 0..6 {
        ids.push(stage.join(&format!("person{n}")).await?);
    }
    for id in &ids {
        stage.verified(id).await?;
    }
    let members: Vec<Value> = ids.iter().map(|id| json!({ "value": id })).collect();
    let group = json!({ "schemas": [GROUP], "displayName": "Engineering", "members": members });
    stage.rollcall.scim(Method::POST, "/Groups", &group).await?;
    for id in &ids {
        stage.verified(id).await?;
    }
    until("all are in it", || async { Ok((stage.app.members(APP, "eng").len() == 6).then_some(())) }).await?;
    let made = stage.app.requests(APP).iter().filter(|r| *r == "POST Groups").count();
    ensure!(made == 1, "made {made} times");
    stage.all_ended().await
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_back_gets_the_account_that_has_their_name() -> anyhow::Result<()> {
    let stage = Stage::set(Script::default(), "deactivate", "", "").await?;
    let id = stage.join("anna").await?;
    stage.verified(&id).await?;
    twin(&stage, "anna", "0-twin");
    let user = |active: bool| json!({ "schemas": [USER], "userName": "anna", "title": "Dev", "active": active });
    for active in [false, true] {
        stage.rollcall.scim(Method::PUT, &format!("/Users/{id}"), &user(active)).await?;
        stage.verified(&id).await?;
    }
    let live: Vec<Value> = stage.app.users(APP).into_iter().filter(|u| u["active"] == true).collect();
    ensure!(live.len() == 1 && live[0]["id"] != "0-twin" && live[0]["userName"] == "anna", "{live:?}");
    stage.all_ended().await
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_contradict_each_other_prove_nothing() -> anyhow::Result<()> {
    let script = Script { no_filter: true, inconsistent_pages: true, ..Script::default() };
    let stage = Stage::set(script, "delete", "", "[apps.capabilities]\npage_size = 2\n").await?;
    stage.app.fill(APP, (0..5).map(|n| json!({ "userName": format!("other{n}"), "active": true })));
    let id = stage.join("anna").await?;
    let rejected = stage.seen("account.rejected").await?;
    ensure!(rejected["summary"].as_str().is_some_and(|s| s.contains("overlap")), "{rejected}");
    ensure!(stage.app.creations(APP) == 0, "created without knowing");
    stage.app.tell(APP, &Script { no_filter: true, ..Script::default() }).await?;
    stage.verified(&id).await?;
    stage.leave(&id).await?;
    stage.verified(&id).await?;
    ensure!(stage.app.users(APP).len() == 5, "{:?}", stage.app.users(APP));
    stage.all_ended().await
}

#[tokio::test(flavor = "multi_thread")]
async fn memberships_follow_groups_and_lost_ones_are_seen() -> anyhow::Result<()> {
    let groups = "[[apps.groups]]\nfrom = \"Engineering\"\nto = \"eng\"\n";
    let stage = Stage::set(Script { loses_memberships: true, ..Script::default() }, "deactivate", "", groups).await?;
    // The group is there before: an app that makes one with its members does not lose them.
    let (ben, anna) = (stage.join("ben").await?, stage.join("anna").await?);
    let group = json!({ "schemas": [GROUP], "displayName": "Engineering", "members": [{ "value": ben }] });
    let group = stage.rollcall.scim(Method::POST, "/Groups", &group).await?;
    stage.verified(&ben).await?;
    until("Ben is in eng", || async { Ok((stage.app.members(APP, "eng").len() == 1).then_some(())) }).await?;
    let path = format!("/Groups/{}", group["id"].as_str().context("no id")?);
    let add = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [
        { "op": "add", "path": "members", "value": [{ "value": anna }] } ] });
    stage.rollcall.scim(Method::PATCH, &path, &add).await?;
    let drift = stage.seen("drift.detected").await?;
    ensure!(drift["summary"].as_str().is_some_and(|s| s.contains("membership")), "{drift}");
    stage.app.tell(APP, &Script::default()).await?;
    stage.verified(&anna).await?;
    ensure!(stage.app.members(APP, "eng").len() == 2, "{:?}", stage.app.members(APP, "eng"));
    // A leaver is switched off first, then leaves the group; the other one stays in it.
    stage.leave(&anna).await?;
    stage.verified(&anna).await?;
    ensure!(stage.app.members(APP, "eng").len() == 1, "{:?}", stage.app.members(APP, "eng"));
    let applied = stage.events("account.applied").await?;
    let said: Vec<&str> = applied.iter().take(2).filter_map(|a| a["summary"].as_str()).collect();
    ensure!(said[0].contains("out of group eng") && said[1].contains("deactivated"), "{said:?}");
    stage.all_ended().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_app_refuses_for_good_is_parked_until_something_changes() -> anyhow::Result<()> {
    let script = Script { refuses_creation: Some("department is required".into()), ..Script::default() };
    let stage = Stage::simple(script).await?;
    let id = stage.join("anna").await?;
    until("it is parked", || async { Ok(stage.account(&id).await?["parked"].as_bool().filter(|p| *p).map(drop)) })
        .await?;
    let account = stage.account(&id).await?;
    ensure!(account["last_failure"]["detail"] == "department is required", "{account}");
    let asked = stage.app.requests(APP).iter().filter(|r| r.starts_with("POST")).count();
    // Three times, each time also with nothing than what an account can't be made without.
    ensure!(asked == 6, "asked {asked} times");
    let plan = stage.rollcall.api(&format!("/v1/plan?identity={id}")).await?;
    ensure!(plan["items"][0]["steps"][0]["method"] == "POST" && plan["items"][0]["waits"].is_string(), "{plan}");
    // The app is mended, and the identity changes: it is asked again.
    stage.app.tell(APP, &Script::default()).await?;
    let user = json!({ "schemas": [USER], "userName": "anna", "title": "Lead" });
    stage.rollcall.scim(Method::PUT, &format!("/Users/{id}"), &user).await?;
    stage.verified(&id).await?;
    stage.all_ended().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_joiner_in_whose_way_an_account_stood_is_tried_again_when_it_is_gone() -> anyhow::Result<()> {
    let stage = Stage::set(Script::default(), "deactivate", "adopt = \"never\"\n", "").await?;
    stage.app.fill(APP, std::iter::once(json!({ "userName": "anna", "active": true })));
    let id = stage.join("anna").await?;
    until("it is parked", || async { Ok(stage.account(&id).await?["parked"].as_bool().filter(|p| *p).map(drop)) })
        .await?;
    let account = stage.account(&id).await?;
    ensure!(account["last_failure"]["cause"] == "conflict", "{account}");
    stage.app.by_hand(APP, |users| users.retain(|_, user| user["userName"] != "anna"));
    stage.verified(&id).await?;
    stage.all_ended().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sick_app_is_left_alone_seen_and_comes_back_without_delaying_another() -> anyhow::Result<()> {
    let app = Faulty::start().await?;
    let at = |id: &'static str| App {
        id,
        base_url: app.base_url(id),
        assign: "active eq true",
        deprovision: "deactivate",
        leaver_sla: "10m",
        keys: "request_timeout = \"500ms\"\n",
        tables: "",
    };
    let rollcall = Rollcall::new(&[at("sick"), at("well")], "")?;
    rollcall.start().await?;
    let made = rollcall.scim(Method::POST, "/Users", &json!({ "schemas": [USER], "userName": "anna" })).await?;
    let id = made["id"].as_str().context("no id")?.to_owned();
    let verified = |wanted: usize| {
        let (rollcall, id) = (&rollcall, id.clone());
        move || {
            let id = id.clone();
            async move {
                let identity = rollcall.api(&format!("/v1/identities/{id}")).await?;
                let accounts = identity["accounts"].as_array().cloned().unwrap_or_default();
                let done = accounts.iter().filter(|a| a["verified"] == true).count();
                Ok((accounts.len() == 2 && done == wanted).then_some(()))
            }
        }
    };
    until("both verified", verified(2)).await?;
    app.tell("sick", &Script { hangs: u32::MAX, ..Script::default() }).await?;
    rollcall.raw(Method::DELETE, &format!("/scim/v2/Users/{id}"), SOURCE_TOKEN, None).await?;
    until("the app is left alone", || async {
        Ok((rollcall.api("/v1/apps/sick").await?["health"]["state"] == "quarantined").then_some(()))
    })
    .await?;
    let well = rollcall.api(&format!("/v1/identities/{id}")).await?;
    let other = well["accounts"].as_array().into_iter().flatten().find(|a| a["app"] == "well").cloned();
    ensure!(other.is_some_and(|a| a["verified"] == true), "the other app waited: {well}");
    let (_, metrics) = rollcall.raw(Method::GET, "/metrics", "", None).await?;
    ensure!(metrics.to_string().contains("rollcall_app_quarantined{app=\\\"sick\\\""), "{metrics}");
    app.tell("sick", &Script::default()).await?;
    until("everything is verified", verified(2)).await?;
    ensure!(rollcall.api("/v1/apps/sick").await?["health"]["state"] == "working");
    ensure!(rollcall.items("/v1/timeline?type=app.recovered").await?.len() == 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_is_refused_and_a_web_page_are_named_on_the_app() -> anyhow::Result<()> {
    for (script, word) in [
        (Script { refuses_token: true, ..Script::default() }, "401"),
        (Script { web_page: true, ..Script::default() }, "not_scim"),
    ] {
        let stage = Stage::simple(script).await?;
        let (one, _two) = (stage.join("anna").await?, stage.join("ben").await?);
        let view = until("the app is left alone", || async {
            let view = stage.app_view().await?;
            Ok((view["health"]["state"] == "quarantined").then_some(view))
        })
        .await?;
        ensure!(view["health"]["reason"].to_string().contains(word), "{word}: {view}");
        stage.app.tell(APP, &Script::default()).await?;
        stage.verified(&one).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_decides_what_an_account_shows_and_a_bad_one_is_named() -> anyhow::Result<()> {
    let mapping = "[apps.attributes]\nuserName = \"nickName\"\ndisplayName = { template = \"{userName} ({title})\" }\n\
                   userType = { constant = \"staff\" }\n";
    let stage = Stage::set(Script::default(), "deactivate", "", mapping).await?;
    let id = stage.join("anna").await?;
    let rejected = stage.seen("account.rejected").await?;
    ensure!(rejected["summary"].as_str().is_some_and(|s| s.contains("unmappable")), "{rejected}");
    ensure!(stage.app.requests(APP).iter().all(|r| r.starts_with("GET")), "something was sent");
    let user = json!({ "schemas": [USER], "userName": "anna", "title": "Dev", "nickName": "al", "password": "s3cret" });
    stage.rollcall.scim(Method::PUT, &format!("/Users/{id}"), &user).await?;
    stage.verified(&id).await?;
    let shown = &stage.app.users(APP)[0];
    ensure!(
        shown["userName"] == "al" && shown["displayName"] == "anna (Dev)" && shown["userType"] == "staff",
        "{shown}"
    );
    ensure!(shown.get("password").is_none() && shown.get("title").is_none(), "{shown}");
    stage.all_ended().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comparison_finds_every_kind_of_drift_and_does_what_the_policy_says() -> anyhow::Result<()> {
    let policy = "[apps.drift]\nmissing = \"report\"\n[apps.capabilities]\npage_size = 3\n";
    let stage = Stage::set(Script::default(), "deactivate", "", policy).await?;
    let mut ids = Vec::new();
    for name in ["anna", "ben", "cleo", "dan", "eva"] {
        ids.push(stage.join(name).await?);
    }
    for id in &ids {
        stage.verified(id).await?;
    }
    stage.leave(&ids[3]).await?;
    stage.verified(&ids[3]).await?;
    // Someone at work by hand: a title, a leaver back, an account gone, one twice, one of nobody.
    stage.app.by_hand(APP, |users| {
        let named = |users: &mut std::collections::BTreeMap<String, serde_json::Map<String, Value>>, name: &str| {
            users.iter().find(|(_, u)| u["userName"] == name).map(|(id, _)| id.clone()).unwrap_or_default()
        };
        let (anna, ben, dan, eva) =
            (named(users, "anna"), named(users, "ben"), named(users, "dan"), named(users, "eva"));
        users.get_mut(&anna).map(|u| u.insert("title".into(), "Boss".into()));
        users.get_mut(&dan).map(|u| u.insert("active".into(), true.into()));
        users.remove(&ben);
        let mut twin = users.get(&eva).cloned().unwrap_or_default();
        twin.insert("id".into(), "z-twin".into());
        twin.insert("userName".into(), "eva2".into());
        users.insert("z-twin".into(), twin);
        let stranger = json!({ "id": "z-stranger", "userName": "stranger", "active": true });
        users.insert("z-stranger".into(), stranger.as_object().cloned().unwrap_or_default());
    });
    let (status, answer) = stage.decide(&format!("/v1/apps/{APP}/reconcile"), &json!({})).await?;
    ensure!(status == 202, "{status} {answer}");
    let done = stage.seen("reconciliation.completed").await?;
    ensure!(done["details"]["accounts"] == 6 && done["details"]["findings"] == 5, "{done}");
    let mut kinds: Vec<String> = stage
        .events("drift.detected")
        .await?
        .iter()
        .filter_map(|d| d["details"]["kind"].as_str().map(|k| k.trim_start_matches("DRIFT_KIND_").to_lowercase()))
        .collect();
    kinds.sort();
    ensure!(kinds == ["attribute", "duplicate", "missing", "orphan", "zombie"], "{kinds:?}");
    // Repaired: Anna's title, for which nothing is owed, and Dan's access. Reported: the rest.
    until("the repairs are verified", || async {
        let open = stage.rollcall.items("/v1/drift").await?;
        Ok((open.len() == 3).then_some(()))
    })
    .await?;
    let users = stage.app.users(APP);
    let shown = |name: &str| users.iter().find(|u| u["userName"] == name).cloned().unwrap_or_default();
    ensure!(shown("anna")["title"] == "Dev" && shown("dan")["active"] == false, "{users:?}");
    ensure!(shown("stranger")["active"] == true, "the account of nobody was touched");
    let repairs = stage.rollcall.items("/v1/obligations?change=repair").await?;
    ensure!(repairs.len() == 1 && repairs.iter().all(|o| o["status"] == "verified"), "{repairs:?}");
    ensure!(stage.app_view().await?["drift_debt_hours"].as_f64().is_some_and(|h| h > 0.0));

    // A person accepts the stranger for a while: no debt, no repair; the decision is on the log with the name.
    let drift = stage.rollcall.items("/v1/drift?kind=orphan").await?;
    let id = drift[0]["id"].as_str().context("no id")?;
    let body = json!({ "reason": "the backup robot", "expires_at": in_a_month() });
    let (status, answer) = stage.decide(&format!("/v1/drift/{id}/accept"), &body).await?;
    ensure!(status == 202, "{status} {answer}");
    ensure!(stage.seen("drift.accepted").await?["actor"] == "ola");
    // Who only reads may decide nothing.
    let (status, _) = stage
        .rollcall
        .raw(
            Method::POST,
            &format!("/v1/drift/{id}/accept"),
            rollcall_tests::rollcall::API_TOKEN,
            Some(body.to_string()),
        )
        .await?;
    ensure!(status == 403, "{status}");
    // The next comparison finds the twin and the stranger gone, and says so.
    stage.app.by_hand(APP, |users| users.retain(|id, _| !id.starts_with("z-")));
    stage.decide(&format!("/v1/apps/{APP}/reconcile"), &json!({})).await?;
    until("what is gone is cleared", || async {
        let open = stage.rollcall.items("/v1/drift").await?;
        Ok((open.len() == 1 && open[0]["kind"] == "missing").then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_of_nobody_is_repaired_or_adopted_where_the_policy_says_so() -> anyhow::Result<()> {
    let stage = Stage::set(Script::default(), "deactivate", "", "[apps.drift]\norphan = \"repair\"\n").await?;
    stage.app.fill(APP, std::iter::once(json!({ "userName": "stranger", "active": true })));
    stage.decide(&format!("/v1/apps/{APP}/reconcile"), &json!({})).await?;
    until("the stranger is out", || async { Ok((stage.app.users(APP)[0]["active"] == false).then_some(())) }).await?;
    until("its obligation ended", || async {
        Ok(stage.rollcall.items("/v1/obligations?status=verified").await?.into_iter().next())
    })
    .await?;
    ensure!(stage.rollcall.items("/v1/drift").await?.is_empty());

    let stage =
        Stage::set(Script::default(), "deactivate", "", "[apps.drift]\norphan = \"adopt\"\nmissing = \"report\"\n")
            .await?;
    let (id, ben) = (stage.join("anna@example.com").await?, stage.join("ben").await?);
    stage.verified(&id).await?;
    stage.verified(&ben).await?;
    // Her account was deleted by hand, and another one made that has her address.
    stage.app.by_hand(APP, |users| {
        users.retain(|_, user| user["userName"] == "ben");
        let old =
            json!({ "id": "old1", "userName": "alee", "active": true, "emails": [{ "value": "anna@example.com" }] });
        users.insert("old1".into(), old.as_object().cloned().unwrap_or_default());
    });
    stage.decide(&format!("/v1/apps/{APP}/reconcile"), &json!({})).await?;
    stage.seen("account.adopted").await?;
    stage.verified(&id).await?;
    let users = stage.app.users(APP);
    ensure!(users.len() == 2 && users[0]["id"] == "old1" && users[0]["externalId"] == id.as_str(), "{users:?}");
    Ok(())
}

/// Another account of whoever has `name`, made by hand.
fn twin(stage: &Stage, name: &str, id: &str) {
    stage.app.by_hand(APP, |users| {
        let first = users.values().find(|u| u["userName"] == name).cloned().unwrap_or_default();
        let own = [("id", json!(id)), ("userName", json!(id)), ("active", json!(true))];
        let own = own.into_iter().map(|(key, value)| (key.to_owned(), value));
        users.insert(id.into(), first.into_iter().chain(own).collect());
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_account_is_removed_where_the_policy_says_so_and_only_while_it_is_the_second() -> anyhow::Result<()> {
    let stage = Stage::set(Script::default(), "deactivate", "", "[apps.drift]\nduplicate = \"repair\"\n").await?;
    let id = stage.join("anna").await?;
    stage.verified(&id).await?;
    // One is shown before the account that is hers, one after it.
    twin(&stage, "anna", "0-twin");
    twin(&stage, "anna", "z-twin");
    stage.decide(&format!("/v1/apps/{APP}/reconcile"), &json!({})).await?;
    let live = || async {
        let live = stage.app.users(APP).into_iter().filter(|u| u["active"] == true);
        Ok((live.map(|u| u["userName"].clone()).collect::<Vec<_>>() == ["anna"]).then_some(()))
    };
    until("only her own account is live", live).await?;
    until("both repairs are verified, and nothing differs", || async {
        let ended = stage.rollcall.items("/v1/obligations?change=repair&status=verified").await?;
        Ok((ended.len() == 2 && stage.rollcall.items("/v1/drift").await?.is_empty()).then_some(()))
    })
    .await?;
    let found = stage.seen("drift.detected").await?;
    ensure!(found["summary"].as_str().is_some_and(|s| s.contains("0-twin, z-twin")), "{found}");

    // Two more can't be removed; while that is tried, her own account is taken away: one of them is all that she has, and the other a
    // second one still.
    stage.app.tell(APP, &Script { ignores_deactivation: true, ..Script::default() }).await?;
    twin(&stage, "anna", "x-twin");
    twin(&stage, "anna", "y-twin");
    stage.decide(&format!("/v1/apps/{APP}/reconcile"), &json!({})).await?;
    until("the app has ignored it", || async {
        let found = stage.events("drift.detected").await?;
        let zombies: BTreeSet<&str> = found
            .iter()
            .filter(|d| d["details"]["kind"] == "DRIFT_KIND_ZOMBIE")
            .filter_map(|d| d["details"]["remote_id"].as_str())
            .collect();
        Ok((zombies.contains("x-twin") && zombies.contains("y-twin")).then_some(()))
    })
    .await?;
    stage.app.by_hand(APP, |users| users.retain(|_, user| user["userName"] != "anna"));
    stage.app.tell(APP, &Script::default()).await?;
    stage.decide("/v1/sync", &json!({ "app": APP })).await?;
    until("one live account has her name, and nothing is owed", || async {
        let open = stage.rollcall.items("/v1/obligations?status=open").await?;
        Ok(live().await?.filter(|()| open.is_empty()))
    })
    .await?;
    ensure!(
        stage.app.users(APP).iter().any(|u| u["id"] == "x-twin" && u["active"] == true),
        "she lost her only account"
    );
    stage.all_ended().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaver_who_has_another_account_is_not_gone() -> anyhow::Result<()> {
    let stage = Stage::set(Script::default(), "deactivate", "", "").await?;
    let id = stage.join("anna").await?;
    stage.verified(&id).await?;
    stage.leave(&id).await?;
    stage.verified(&id).await?;
    twin(&stage, "anna", "z-twin");
    stage.decide(&format!("/v1/apps/{APP}/reconcile"), &json!({})).await?;
    until("the other account is inactive", || async {
        Ok(stage.app.users(APP).iter().all(|u| u["active"] == false).then_some(()))
    })
    .await?;
    let kinds = stage.events("drift.detected").await?;
    ensure!(kinds.iter().all(|d| d["details"]["kind"] == "DRIFT_KIND_ZOMBIE"), "{kinds:?}");
    stage.all_ended().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_reported_and_has_been_mended_by_hand_is_cleared_and_keeps_its_age_until_then() -> anyhow::Result<()> {
    let stage = Stage::set(Script::default(), "delete", "", "[apps.drift]\nzombie = \"report\"\n").await?;
    let id = stage.join("anna").await?;
    stage.verified(&id).await?;
    stage.leave(&id).await?;
    stage.verified(&id).await?;
    let back = json!({ "id": "back", "userName": "anna", "externalId": id, "active": true });
    stage.app.by_hand(APP, |users| drop(users.insert("back".into(), back.as_object().cloned().unwrap_or_default())));
    let zombies = || stage.rollcall.items("/v1/drift?kind=zombie");
    stage.decide(&format!("/v1/apps/{APP}/reconcile"), &json!({})).await?;
    let since = until("she is reported", || async { Ok(zombies().await?.into_iter().next()) }).await?;
    // A second look does not make it younger.
    stage.decide(&format!("/v1/apps/{APP}/reconcile"), &json!({})).await?;
    until("the app was compared twice", || async {
        Ok((stage.events("reconciliation.completed").await?.len() == 2).then_some(()))
    })
    .await?;
    ensure!(zombies().await?[0]["detected_at"] == since["detected_at"]);
    stage.app.by_hand(APP, |users| users.clear());
    stage.decide(&format!("/v1/apps/{APP}/reconcile"), &json!({})).await?;
    until("it is cleared", || async { Ok(zombies().await?.is_empty().then_some(())) }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mass_removal_waits_for_an_operator_and_joiners_go_on() -> anyhow::Result<()> {
    let guard = "[apps.guard]\nmax_removals = 3\n";
    let stage = Stage::set(Script::default(), "deactivate", "", guard).await?;
    let mut ids = Vec::new();
    for n in 0..8 {
        ids.push(stage.join(&format!("person{n}")).await?);
    }
    for id in &ids {
        stage.verified(id).await?;
    }
    stage.leave_until_held(&ids[..6]).await?;
    stage.seen("hold.placed").await?;
    let late = stage.join("latecomer").await?;
    stage.verified(&late).await?;
    let live = || stage.app.users(APP).iter().filter(|u| u["active"] == true).count();
    // Three wait, with their clocks running.
    ensure!(live() == 6, "{} of 9 are live: three went, and three wait", live());
    let hold = stage.rollcall.items("/v1/holds").await?;
    ensure!(hold.len() == 1 && hold[0]["source"] == "hr" && hold[0]["removals"] == 3, "{hold:?}");
    ensure!(stage.rollcall.items("/v1/leavers?status=open").await?.len() == 3);
    let (status, _) = stage.decide("/v1/holds/hr/release", &json!({ "reason": " " })).await?;
    ensure!(status == 400, "a decision without a reason: {status}");
    let blind = json!({ "reason": "the office closes" });
    let (status, answer) = stage.decide("/v1/holds/hr/release", &blind).await?;
    ensure!(status == 400 && answer["detail"].as_str().is_some_and(|d| d.contains("through")), "{status} {answer}");
    let seen = json!({ "reason": "the office closes", "through": hold[0]["through"] });
    let (status, answer) = stage.decide("/v1/holds/hr/release", &seen).await?;
    ensure!(status == 202, "{status} {answer}");
    for id in &ids[..6] {
        stage.verified(id).await?;
    }
    ensure!(stage.seen("hold.released").await?["actor"] == "ola");
    stage.all_ended().await?;

    // The next one is a mistake: it is rejected, what it owes is waived, and nobody is removed.
    let more: Vec<String> = {
        let mut more = vec![ids[6].clone(), ids[7].clone(), late];
        for n in 0..3 {
            more.push(stage.join(&format!("more{n}")).await?);
        }
        more
    };
    for id in &more {
        stage.verified(id).await?;
    }
    // One whose removal is under way when it is waived would be gone all the same.
    stage.leave_until_held(&more).await?;
    let hold = until("another hold that three wait for", || async {
        let hold = stage.rollcall.items("/v1/holds").await?.into_iter().next();
        Ok(hold.filter(|hold| hold["removals"] == 3))
    })
    .await?;
    let through = &hold["through"];
    let body = json!({ "reason": "a wrong rule at the source", "expires_at": in_a_month(), "through": through });
    let (status, answer) = stage.decide("/v1/holds/hr/reject", &body).await?;
    ensure!(status == 202, "{status} {answer}");
    let waived = stage.rollcall.items("/v1/obligations?status=waived").await?;
    ensure!(waived.len() == 3 && waived.iter().all(|o| o["waived"]["by"] == "ola"), "{waived:?}");
    let plan = stage.rollcall.api(&format!("/v1/plan?app={APP}")).await?;
    let waits: Vec<&str> = plan["items"].as_array().into_iter().flatten().filter_map(|p| p["waits"].as_str()).collect();
    ensure!(waits.len() == 3 && waits.iter().all(|w| w.contains("waived")), "{plan}");
    ensure!(live() == 3, "someone was removed all the same");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_verified_is_read_again_when_an_operator_asks() -> anyhow::Result<()> {
    let stage = Stage::simple(Script::default()).await?;
    let id = stage.join("anna").await?;
    stage.verified(&id).await?;
    stage.app.by_hand(APP, |users| {
        for user in users.values_mut() {
            user.insert("title".into(), "Boss".into());
        }
    });
    let (status, answer) = stage.decide("/v1/sync", &json!({ "identity": id })).await?;
    ensure!(status == 202, "{status} {answer}");
    until("the title is right again", || async { Ok((stage.app.users(APP)[0]["title"] == "Dev").then_some(())) })
        .await?;
    stage.verified(&id).await?;
    for bad in [json!({}), json!({ "identity": id, "app": APP }), json!({ "app": "nowhere" }), json!({ "x": 1 })] {
        let (status, answer) = stage.decide("/v1/sync", &bad).await?;
        ensure!(status == 400 || status == 404, "{bad}: {status} {answer}");
    }
    Ok(())
}

/// A small generator, so that a failure can be played again from the printed seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }

    fn script(&mut self) -> Script {
        let some = u32::try_from(self.roll(4) + 1).unwrap_or(1);
        let usual = Script::default();
        match self.roll(12) {
            0 => Script { ignores_deactivation: true, ..usual },
            1 => Script { no_effect: true, ..usual },
            2 => Script { slow_ms: 100, ..usual },
            3 => Script { throttled: some, ..usual },
            4 => Script { fails: some * 3, ..usual },
            5 => Script { truncates: some, ..usual },
            6 => Script { closes: some, ..usual },
            7 => Script { hangs: some, ..usual },
            8 => Script { no_patch: true, ..usual },
            9 => Script { no_filter: true, ..usual },
            10 => Script { refuses_token: true, ..usual },
            _ => usual,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_obligation_is_dropped_whatever_the_app_does_meanwhile() -> anyhow::Result<()> {
    let seed = std::env::var("SEED").ok().and_then(|s| s.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| u64::from(std::process::id()) * 2_654_435_761 + 1);
    println!("SEED={seed}");
    let mut dice = Dice(seed);
    let guard = "[apps.guard]\nmax_removals = 10000\nmax_percent = 100\n";
    let stage = Stage::set(Script::default(), "deactivate", "request_timeout = \"300ms\"\n", guard).await?;
    let mut people: Vec<(String, String, bool)> = Vec::new();
    for n in 0..60 {
        if dice.roll(3) == 0 {
            stage.app.tell(APP, &dice.script()).await?;
        }
        if n < 12 {
            people.push((stage.join(&format!("person{n}")).await?, "Dev".into(), true));
            continue;
        }
        let at = usize::try_from(dice.roll(people.len() as u64))?;
        let (id, title, active) = &mut people[at];
        (*title, *active) = (format!("title {n}"), dice.roll(3) > 0);
        let user = json!({ "schemas": [USER], "userName": format!("person{at}"), "title": title, "active": active });
        stage.rollcall.scim(Method::PUT, &format!("/Users/{id}"), &user).await?;
    }
    stage.app.tell(APP, &Script::default()).await?;
    for (id, ..) in &people {
        stage.verified(id).await?;
    }
    stage.all_ended().await?;
    // Whose access is wrong, and whose title is.
    let wrong = |titles: bool| {
        let users = stage.app.users(APP);
        let is_wrong = |(id, title, active): &&(String, String, bool)| {
            let found: Vec<&Value> = users.iter().filter(|u| u["externalId"] == id.as_str()).collect();
            match found.as_slice() {
                [user] => user["active"] != *active || (titles && *active && user["title"] != title.as_str()),
                [] => *active,
                _ => true,
            }
        };
        people.iter().find(is_wrong).cloned()
    };
    ensure!(wrong(false).is_none(), "{:?}: {:?}", wrong(false), stage.app.users(APP));
    // A title that did not get there is drift, and is mended by a comparison.
    let (status, answer) = stage.decide(&format!("/v1/apps/{APP}/reconcile"), &json!({})).await?;
    ensure!(status == 202, "{status} {answer}");
    let mended = until("every title is as it was sent last", || async { Ok(wrong(true).is_none().then_some(())) });
    mended.await.with_context(|| format!("{:?}: {:?}", wrong(true), stage.app.users(APP)))
}

#[tokio::test(flavor = "multi_thread")]
async fn provisioners_share_the_apps_and_take_over_from_one_that_dies_or_sleeps() -> anyhow::Result<()> {
    let app = Faulty::start().await?;
    let names: [&'static str; 6] = ["a1", "a2", "a3", "a4", "a5", "a6"];
    let apps = names.map(|id| App::usual(id, app.base_url(id)));
    let rollcall = Rollcall::apart(&apps, "").await?;
    rollcall.start().await?;
    rollcall.second("provisioner").await?;
    let join = |name: &'static str| {
        let rollcall = &rollcall;
        async move {
            let made = rollcall.scim(Method::POST, "/Users", &json!({ "schemas": [USER], "userName": name })).await?;
            let id = made["id"].as_str().context("no id")?.to_owned();
            until("every account is verified", || async {
                let identity = rollcall.api(&format!("/v1/identities/{id}")).await?;
                let accounts = identity["accounts"].as_array().cloned().unwrap_or_default();
                Ok((accounts.len() == 6 && accounts.iter().all(|a| a["verified"] == true)).then_some(()))
            })
            .await
        }
    };
    join("anna").await?;
    rollcall.kill_service("provisioner").await?;
    join("ben").await?;
    // One that sleeps past its leases and wakes up does nothing that another has done meanwhile.
    rollcall.start_service("provisioner").await?;
    join("cleo").await?;
    rollcall.signal("provisioner-2", rustix::process::Signal::STOP).await?;
    join("dan").await?;
    rollcall.signal("provisioner-2", rustix::process::Signal::CONT).await?;
    join("eva").await?;
    for name in names {
        ensure!(app.users(name).len() == 5 && app.creations(name) == 5, "{name}: {} created", app.creations(name));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_plans_syncs_and_checks_from_the_terminal() -> anyhow::Result<()> {
    let stage = Stage::simple(Script { refuses_creation: Some("no".into()), ..Script::default() }).await?;
    let id = stage.join("anna@example.com").await?;
    stage.seen("account.rejected").await?;
    let run = |arguments: &'static [&'static str]| {
        let server = stage.rollcall.address();
        async move {
            let mut command = rollcall_tests::rollcall::command();
            command.args(arguments).args(["--server", &server]).env("ROLLCALL_API_TOKEN", "ola-secret");
            let output = command.output().await?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            anyhow::Ok((output.status.success(), text))
        }
    };
    let (good, text) = run(&["plan", "anna@example.com"]).await?;
    ensure!(good && text.contains("POST") && text.contains("anna@example.com in wiki"), "{text}");
    let (good, text) = run(&["plan", APP, "--json"]).await?;
    ensure!(good && serde_json::from_str::<Value>(&text)?["items"][0]["identity"] == id.as_str(), "{text}");
    ensure!(stage.app.creations(APP) == 0, "a plan was sent");
    stage.app.tell(APP, &Script::default()).await?;
    let (good, text) = run(&["sync", "anna@example.com"]).await?;
    ensure!(good, "{text}");
    stage.verified(&id).await?;
    let (good, text) = run(&["plan", "nobody@example.com"]).await?;
    ensure!(!good && text.contains("neither an app nor a user"), "{text}");

    let check_with = |extra: &'static [&'static str], token: &'static str| {
        let file = stage.rollcall.config_file();
        async move {
            let mut command = rollcall_tests::rollcall::command();
            command.arg("check").arg("--config").arg(file).args(extra);
            for name in ["TEST_SOURCE", "TEST_API"] {
                command.env(name, format!("the secret of {name}"));
            }
            let output = command.env("TEST_APP", token).output().await?;
            let (said, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            anyhow::Ok((output.status.success(), format!("{said}{wrong}")))
        }
    };
    let check = |extra| check_with(extra, "the secret of the app");
    // A token that is part of ordinary words can't be taken out of them.
    for token in ["users", "aaaaaaaaaaaaaaaaaaaaaaaa"] {
        let (good, text) = check_with(&["--offline"], token).await?;
        ensure!(!good && text.contains("token of wiki is too short"), "{text}");
    }
    let (good, text) = check(&[]).await?;
    ensure!(good && !text.contains("can't be used"), "{text}");
    for (script, word) in [
        (Script { refuses_token: true, ..Script::default() }, "401"),
        (Script { web_page: true, ..Script::default() }, "not_scim"),
    ] {
        stage.app.tell(APP, &script).await?;
        let (good, text) = check(&["--strict"]).await?;
        ensure!(!good && text.contains("app 'wiki' can't be used") && text.contains(word), "{text}");
        let (good, _) = check(&[]).await?;
        ensure!(good, "a sick app is no mistake of the configuration");
        ensure!(!check(&["--offline"]).await?.1.contains("can't be used"), "asked offline");
    }
    Ok(())
}
