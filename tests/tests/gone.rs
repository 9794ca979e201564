//! That "gone" is true, whatever the app does: what may exist is looked for, our own link comes first, nothing is believed of
//! an app that shows nothing, and access ends before anything else.

use anyhow::{Context as _, ensure};
use reqwest::Method;
use rollcall_tests::stage::{APP, GROUP, Stage, USER};
use rollcall_tests::{Script, until};
use serde_json::{Value, json};

const MAPPED: &str = "[apps.attributes]\nuserName = \"emails\"\ndisplayName = \"displayName\"\n";

async fn join(stage: &Stage, name: &str) -> anyhow::Result<String> {
    let emails = json!([{ "value": format!("{name}@example.com"), "primary": true }]);
    let user = json!({ "schemas": [USER], "userName": name, "displayName": name, "emails": emails });
    let made = stage.rollcall.scim(Method::POST, "/Users", &user).await?;
    Ok(made["id"].as_str().context("no id")?.to_owned())
}

/// The account in the app with a user name.
fn named(stage: &Stage, name: &str) -> Option<Value> {
    stage.app.users(APP).into_iter().find(|user| user["userName"] == name)
}

/// Someone changes an account in the app.
fn set(stage: &Stage, remote: &str, attribute: &str, value: Value) {
    stage.app.by_hand(APP, |users| {
        if let Some(user) = users.get_mut(remote) {
            user.insert(attribute.into(), value.clone());
        }
    });
}

async fn change(stage: &Stage, id: &str, path: &str, value: Value) -> anyhow::Result<()> {
    let patch = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{ "op": "replace", "path": path, "value": value }] });
    stage.rollcall.scim(Method::PATCH, &format!("/Users/{id}"), &patch).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_whose_answer_is_lost_is_found_when_they_leave() -> anyhow::Result<()> {
    for app in [
        Script { no_external_id: true, ..Script::default() },
        Script { blind_external_id: true, no_external_id: false, ..Script::default() },
    ] {
        let keys = "retry_min = \"1h\"\nretry_max = \"1h\"\nrequest_timeout = \"2s\"\n";
        let stage = Stage::set(Script { loses_creations: 1, ..app.clone() }, "deactivate", keys, MAPPED).await?;
        let ada = join(&stage, "ada").await?;
        until("it was made", || async { Ok(named(&stage, "ada@example.com")) }).await?;
        stage.seen("account.rejected").await?;
        // The next try would come in an hour: she leaves before.
        change(&stage, &ada, "active", false.into()).await?;
        stage.verified(&ada).await?;
        let account = named(&stage, "ada@example.com").context("it is there")?;
        ensure!(account["active"] == false, "{app:?}: {account}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_gone_while_an_account_that_nobody_is_linked_to_has_their_name() -> anyhow::Result<()> {
    let stage = Stage::simple(Script::default()).await?;
    let (ada, bob) = (stage.join("ada").await?, stage.join("bob").await?);
    stage.verified(&ada).await?;
    stage.verified(&bob).await?;
    let hers = stage.account(&ada).await?["remote_id"].as_str().context("no id")?.to_owned();
    // Another account has her name now, and says that it is Bob's, who has one of his own.
    stage.app.by_hand(APP, |users| {
        if let Some(mut account) = users.remove(&hers) {
            account.insert("id".into(), "made-by-hand".into());
            account.insert("externalId".into(), bob.clone().into());
            users.insert("made-by-hand".into(), account);
        }
    });
    stage.leave(&ada).await?;
    stage.seen("account.rejected").await?;
    let account = stage.account(&ada).await?;
    let why = account["last_failure"]["detail"].as_str().unwrap_or_default();
    ensure!(account["verified"] != true && why.contains("(id made-by-hand)"), "{account}");
    ensure!(why.contains("not gone while it can be used"), "{account}");
    let live = named(&stage, "ada").context("it is there")?;
    ensure!(live["active"] == true, "nobody touches what may be somebody else's: {live}");
    // A person has looked, and it goes: she is gone once that was seen.
    set(&stage, "made-by-hand", "active", false.into());
    let (status, answer) = stage.decide("/v1/sync", &json!({ "identity": ada })).await?;
    ensure!(status == 202, "{status} {answer}");
    stage.verified(&ada).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_says_it_is_someone_elses_is_gone_with_its_owner_and_comes_back_as_a_zombie()
-> anyhow::Result<()> {
    let stage = Stage::set(Script::default(), "deactivate", "", "[apps.drift]\nzombie = \"report\"\n").await?;
    let (ada, bob) = (stage.join("ada").await?, stage.join("bob").await?);
    stage.verified(&ada).await?;
    stage.verified(&bob).await?;
    let remote = stage.account(&ada).await?["remote_id"].as_str().context("no id")?.to_owned();
    set(&stage, &remote, "externalId", bob.clone().into());
    stage.leave(&ada).await?;
    stage.verified(&ada).await?;
    let account = named(&stage, "ada").context("it is there")?;
    ensure!(account["active"] == false, "{account}");
    // It lives again, and still says that it is Bob's.
    set(&stage, &remote, "active", true.into());
    let (status, answer) = stage.decide(&format!("/v1/apps/{APP}/reconcile"), &json!({ "reason": "audit" })).await?;
    ensure!(status == 202 || status == 200, "{status} {answer}");
    let drift = stage.seen("drift.detected").await?;
    ensure!(drift["identity"] == ada.as_str(), "{drift}");
    ensure!(drift["summary"].as_str().is_some_and(|s| s.contains("zombie")), "{drift}");
    Ok(())
}

/// The record of the one departure there is, once it is as it should be.
async fn leaver(stage: &Stage, what: &str, such: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
    until(what, || async { Ok(stage.rollcall.items("/v1/leavers").await?.into_iter().next().filter(&such)) }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_that_fail_do_not_keep_a_leavers_account_alive() -> anyhow::Result<()> {
    let groups = "[[apps.groups]]\nfrom = \"Engineering\"\nto = \"eng\"\n";
    for deprovision in ["deactivate", "delete"] {
        let stage = Stage::set(Script::default(), deprovision, "", groups).await?;
        let ada = stage.join("ada").await?;
        let group = json!({ "schemas": [GROUP], "displayName": "Engineering", "members": [{ "value": ada }] });
        stage.rollcall.scim(Method::POST, "/Groups", &group).await?;
        until("she is in eng", || async { Ok((stage.app.members(APP, "eng").len() == 1).then_some(())) }).await?;
        stage.app.tell(APP, &Script { groups_fail: true, ..Script::default() }).await?;
        stage.leave(&ada).await?;
        let gone = leaver(&stage, "she is gone", |leaver| leaver["gone_at"].is_string()).await?;
        ensure!(gone["status"] == "completed", "{gone}");
        let account = named(&stage, "ada");
        ensure!(account.as_ref().is_none_or(|user| user["active"] == false), "{account:?}");
        if deprovision == "deactivate" {
            // Whether she is still in the group can't be seen: that is said apart, and has its own time.
            let left = leaver(&stage, "something is left", |leaver| leaver["remains"][0]["app"] == APP).await?;
            ensure!(left["remains"][0]["what"] == "not seen" && left["clean_at"].is_null(), "{left}");
            let drift = &stage.rollcall.items("/v1/drift").await?[0];
            ensure!(drift["kind"] == "residue", "{drift}");
        }
        stage.app.tell(APP, &Script::default()).await?;
        let clean = leaver(&stage, "nothing is left", |leaver| leaver["clean_at"].is_string()).await?;
        ensure!(clean["gone_at"] == gone["gone_at"] && clean["remains"] == json!([]), "{clean}");
        stage.all_ended().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_leaves_a_group_leaves_every_group_of_that_name() -> anyhow::Result<()> {
    let groups = "[[apps.groups]]\nfrom = \"Engineering\"\nto = \"eng\"\n";
    for app in [Script::default(), Script { no_filter: true, ..Script::default() }] {
        let stage = Stage::set(app.clone(), "deactivate", "", groups).await?;
        let (ada, bob) = (stage.join("ada").await?, stage.join("bob").await?);
        let members = json!([{ "value": ada }, { "value": bob }]);
        let group = json!({ "schemas": [GROUP], "displayName": "Engineering", "members": members });
        stage.rollcall.scim(Method::POST, "/Groups", &group).await?;
        until("both are in eng", || async { Ok((stage.app.members(APP, "eng").len() == 2).then_some(())) }).await?;
        stage.verified(&ada).await?;
        stage.verified(&bob).await?;
        // As one that was asked for twice, because the first answer was lost.
        let of = |name| Ok::<_, anyhow::Error>(named(&stage, name).context("no account")?["id"].clone());
        stage.app.add_group(APP, "eng", &[of("ada")?, of("bob")?]);
        stage.leave(&ada).await?;
        leaver(&stage, "nothing is left of her", |leaver| leaver["clean_at"].is_string()).await?;
        let left = stage.app.members(APP, "eng");
        ensure!(!left.iter().any(|id| of("ada").is_ok_and(|ada| ada == id.as_str())), "{app:?}: {left:?}");
        ensure!(left.len() == 2, "{app:?}: somebody else was taken out: {left:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_can_not_be_switched_off_is_deleted_all_the_same() -> anyhow::Result<()> {
    let groups = "[[apps.groups]]\nfrom = \"Engineering\"\nto = \"eng\"\n";
    let stage = Stage::set(Script::default(), "delete", "", groups).await?;
    let ada = stage.join("ada").await?;
    stage.verified(&ada).await?;
    stage.app.tell(APP, &Script { refuses_deactivation: true, groups_fail: true, ..Script::default() }).await?;
    stage.leave(&ada).await?;
    leaver(&stage, "she is gone", |leaver| leaver["gone_at"].is_string()).await?;
    ensure!(named(&stage, "ada").is_none(), "{:?}", stage.app.users(APP));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_keeps_the_accounts_that_it_should_delete_has_accounts_that_are_gone() -> anyhow::Result<()> {
    for app in
        [Script { no_delete: true, ..Script::default() }, Script { deletes_deactivate: true, ..Script::default() }]
    {
        let stage = Stage::set(app.clone(), "delete", "", "").await?;
        let ada = stage.join("ada").await?;
        stage.verified(&ada).await?;
        stage.leave(&ada).await?;
        let left = leaver(&stage, "she is gone, and something is left", |leaver| {
            leaver["gone_at"].is_string() && leaver["remains"] != json!([])
        })
        .await?;
        ensure!(left["remains"][0]["what"] == "kept, inactive" && left["clean_at"].is_null(), "{app:?}: {left}");
        let account = named(&stage, "ada").context("it is kept")?;
        ensure!(account["active"] == false, "{app:?}: {account}");
        ensure!(stage.rollcall.items("/v1/obligations?status=overdue").await?.is_empty(), "{app:?}: a false alarm");
        // It is deleted by hand: nothing is left.
        let keeper = stage.join("bob").await?;
        stage.verified(&keeper).await?;
        stage.app.by_hand(APP, |users| users.retain(|_, user| user["userName"] != "ada"));
        leaver(&stage, "nothing is left", |leaver| leaver["clean_at"].is_string()).await?;
        stage.all_ended().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_answers_as_an_empty_tenant_proves_nobody_gone() -> anyhow::Result<()> {
    let stage = Stage::set(Script::default(), "deactivate", "probe_every = \"100ms\"\n", "").await?;
    let (ada, bob) = (stage.join("ada").await?, stage.join("bob").await?);
    stage.verified(&ada).await?;
    stage.verified(&bob).await?;
    stage.app.tell(APP, &Script { empty_tenant: true, ..Script::default() }).await?;
    stage.leave(&ada).await?;
    let said = stage.seen("app.quarantined").await?;
    ensure!(said["summary"].as_str().is_some_and(|s| s.contains("missing at once")), "{said}");
    let health = stage.app_view().await?["health"].clone();
    ensure!(health["state"] == "quarantined" && health["reason"]["cause"] == "vanished", "{health}");
    ensure!(stage.account(&ada).await?["verified"] == false, "an empty tenant proves nothing");
    // It is itself again: the probe sees Bob, and she goes.
    stage.app.tell(APP, &Script::default()).await?;
    stage.verified(&ada).await?;
    let account = named(&stage, "ada").context("it is there")?;
    ensure!(account["active"] == false && stage.app.creations(APP) == 2, "{account}");
    stage.all_ended().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_says_that_what_is_missing_is_gone() -> anyhow::Result<()> {
    let stage = Stage::simple(Script::default()).await?;
    let (ada, bob) = (stage.join("ada").await?, stage.join("bob").await?);
    stage.verified(&ada).await?;
    stage.verified(&bob).await?;
    stage.app.by_hand(APP, |users| users.clear());
    stage.leave(&ada).await?;
    stage.seen("app.quarantined").await?;
    let told = stage.app_view().await?["health"]["event"].clone();
    let said = json!({ "told": told, "reason": "it was emptied" });
    let (status, answer) = stage.decide(&format!("/v1/apps/{APP}/gone"), &said).await?;
    ensure!(status == 202 || status == 200, "{status} {answer}");
    stage.verified(&ada).await?;
    stage.verified(&bob).await?;
    ensure!(named(&stage, "bob").is_some() && named(&stage, "ada").is_none(), "{:?}", stage.app.users(APP));
    stage.all_ended().await
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_given_an_account_that_is_not_theirs() -> anyhow::Result<()> {
    let keys = "protected = [\"root@example.com\"]\n";
    let stage = Stage::set(Script { no_external_id: true, ..Script::default() }, "deactivate", keys, MAPPED).await?;
    let ceo = join(&stage, "ceo").await?;
    stage.verified(&ceo).await?;
    for name in ["admin", "root"] {
        let account =
            json!({ "id": name, "userName": format!("{name}@example.com"), "displayName": name, "active": true });
        stage
            .app
            .by_hand(APP, |users| drop(users.insert(name.into(), account.as_object().cloned().unwrap_or_default())));
    }
    for (name, email) in [("x1", "ceo@example.com"), ("x2", "admin@example.com"), ("x3", "root@example.com")] {
        let emails = json!([{ "value": email, "primary": true }]);
        let user = json!({ "schemas": [USER], "userName": name, "displayName": "taken", "emails": emails });
        let made = stage.rollcall.scim(Method::POST, "/Users", &user).await?;
        let id = made["id"].as_str().context("no id")?.to_owned();
        until("it is a conflict", || async {
            Ok((stage.account(&id).await?["last_failure"]["cause"] == "conflict").then_some(()))
        })
        .await?;
        change(&stage, &id, "active", false.into()).await?;
        // Whose account the second one's is nobody has said: that stays open for a person.
        match name {
            "x2" => {
                until("it is a conflict still", || async {
                    let account = stage.account(&id).await?;
                    Ok((account["desired"] == "absent" && account["last_failure"]["cause"] == "conflict").then_some(()))
                })
                .await?
            }
            _ => stage.verified(&id).await?,
        }
    }
    for user in stage.app.users(APP) {
        ensure!(user["active"] == true && user["displayName"] != "taken", "{user}");
    }
    Ok(())
}
