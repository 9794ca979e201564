//! Who holds what and why: roles, grants that are asked for, approved and end, and whoever is switched off.

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use reqwest::Method;
use rollcall_tests::browser::Browser;
use rollcall_tests::rollcall::{SOURCE_TOKEN, command};
use rollcall_tests::stage::{APP, Stage, USER};
use rollcall_tests::{App, Faulty, Rollcall, Script, until};
use serde_json::{Value, json};

/// Those who hold a token and are identities, besides an operator who is none.
const PEOPLE: &str = r#"
[[api_tokens]]
name = "ola"
role = "operator"
token = "ola-secret"
[[api_tokens]]
name = "anna-token"
role = "viewer"
token = "anna-secret"
identity = "anna"
[[api_tokens]]
name = "bea-token"
role = "viewer"
token = "bea-secret"
identity = "bea"
[[api_tokens]]
name = "wiki-team"
role = "viewer"
token = "team-secret"
[[api_tokens]]
name = "nina-token"
role = "viewer"
token = "nina-secret"
identity = "nina"
[[roles]]
id = "dev"
name = "Developers"
members = 'title eq "Dev"'
entitlements = ["wiki:group:Editors"]
owner = "wiki-team"
[[roles]]
id = "oncall"
entitlements = ["wiki:group:Admins"]
owner = "wiki-team"
requestable = true
max_duration = "8h"
approvers = ["manager", "owner"]
approvals = 2
"#;

const ENTITLEMENTS: &str = r#"
grant = "10m"
disable = "30s"
[[apps.entitlements]]
group = "Editors"
risk = "medium"
[[apps.entitlements]]
group = "Admins"
name = "Administrators"
owner = "wiki-team"
risk = "critical"
requestable = true
max_duration = "1h"
approvers = ["manager"]
"#;

async fn stage(script: Script) -> anyhow::Result<Stage> {
    stage_with(script, PEOPLE).await
}

async fn stage_with(script: Script, people: &str) -> anyhow::Result<Stage> {
    let app = Faulty::start().await?;
    app.tell(APP, &script).await?;
    for group in ["Editors", "Admins"] {
        app.add_group(APP, group, &[]);
    }
    let apps = [App { assign: "userType eq \"Staff\"", tables: ENTITLEMENTS, ..App::usual(APP, app.base_url(APP)) }];
    let rollcall = Rollcall::new(&apps, people)?;
    rollcall.start().await?;
    Ok(Stage { app, rollcall })
}

async fn join(stage: &Stage, name: &str, title: &str, manager: Option<&str>) -> anyhow::Result<String> {
    const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    let mut user = json!({ "schemas": [USER, ENTERPRISE], "userName": name, "title": title });
    if let Some(manager) = manager {
        user[ENTERPRISE] = json!({ "manager": { "value": manager } });
    }
    let made = stage.rollcall.scim(Method::POST, "/Users", &user).await?;
    Ok(made["id"].as_str().context("no id")?.to_owned())
}

async fn post(stage: &Stage, path: &str, token: &str, body: &Value) -> anyhow::Result<(u16, Value)> {
    let (status, answer) = stage.rollcall.raw(Method::POST, path, token, Some(body.to_string())).await?;
    Ok((status.as_u16(), answer))
}

fn ask(identity: &str, what: &str, time: &str) -> Value {
    json!({ "identity": identity, "what": what, "for": time, "reason": "incident 7", "ticket": "INC-7" })
}

async fn access(stage: &Stage, id: &str) -> anyhow::Result<Vec<Value>> {
    let view = stage.rollcall.api(&format!("/v1/identities/{id}/access")).await?;
    Ok(view["items"].as_array().context("no items")?.clone())
}

fn in_group(stage: &Stage, group: &str, name: &str) -> bool {
    let users = stage.app.users(APP);
    let id = users.iter().find(|user| user["userName"] == name).and_then(|user| user["id"].as_str());
    id.is_some_and(|id| stage.app.members(APP, group).iter().any(|member| member == id))
}

async fn explained(stage: &Stage, id: &str, what: &str) -> anyhow::Result<Value> {
    stage.rollcall.api(&format!("/v1/explain?identity={id}&entitlement={what}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_gives_and_takes_and_it_is_said_why_and_why_not() -> anyhow::Result<()> {
    let stage = stage(Script::default()).await?;
    let anna = join(&stage, "anna", "Dev", None).await?;
    stage.verified(&anna).await?;
    ensure!(in_group(&stage, "Editors", "anna") && !in_group(&stage, "Admins", "anna"));
    let held = access(&stage, &anna).await?;
    ensure!(held.len() == 2, "{held:?}");
    ensure!(held[0]["entitlement"] == "wiki" && held[1]["entitlement"] == "wiki:group:Editors", "{held:?}");
    for item in &held {
        ensure!(item["state"] == "verified" && item["reasons"][0]["kind"] == "role", "{item}");
        ensure!(
            item["reasons"][0]["text"] == "role Developers: title eq \"Dev\"" && item["until"] == Value::Null,
            "{item}"
        );
        ensure!(item["since"].as_str().is_some_and(|since| since.parse::<Timestamp>().is_ok()), "{item}");
    }
    let why = explained(&stage, &anna, "wiki:group:Editors").await?;
    ensure!(why["held"] == true && why["missing"] == json!([]), "{why}");
    let why_not = explained(&stage, &anna, "wiki:group:Admins").await?;
    let kinds: Vec<&str> =
        why_not["missing"].as_array().context("no list")?.iter().filter_map(|m| m["kind"].as_str()).collect();
    ensure!(why_not["held"] == false && kinds == ["not_in_role", "not_granted"], "{why_not}");
    let holders = stage.rollcall.items("/v1/entitlements/wiki:group:Editors/holders").await?;
    ensure!(
        holders.len() == 1 && holders[0]["identity"] == anna.as_str() && holders[0]["user_name"] == "anna",
        "{holders:?}"
    );
    let before_the_move =
        stage.rollcall.api(&format!("/v1/identities/{anna}/access")).await?["as_of"]["instant"].clone();

    let moved = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{ "op": "replace", "path": "title", "value": "Sales" }] });
    stage.rollcall.scim(Method::PATCH, &format!("/Users/{anna}"), &moved).await?;
    until("the group is left, and the account gone", || async {
        Ok((!in_group(&stage, "Editors", "anna") && access(&stage, &anna).await?.is_empty()).then_some(()))
    })
    .await?;
    ensure!(stage.rollcall.items("/v1/entitlements/wiki:group:Editors/holders").await?.is_empty());
    // What was held then is answered as it was.
    let then = before_the_move.as_str().context("no instant")?.replace('+', "%2B");
    let past = stage.rollcall.api(&format!("/v1/identities/{anna}/access?as_of={then}")).await?;
    ensure!(past["items"].as_array().is_some_and(|items| items.len() == 2), "{past}");

    let catalogue = stage.rollcall.items("/v1/entitlements").await?;
    let ids: Vec<&str> = catalogue.iter().filter_map(|item| item["id"].as_str()).collect();
    ensure!(ids == ["wiki", "wiki:group:Admins", "wiki:group:Editors"], "{ids:?}");
    ensure!(catalogue[1]["terms"]["risk"] == "critical" && catalogue[2]["roles"] == json!(["dev"]), "{catalogue:?}");
    let roles = stage.rollcall.items("/v1/roles").await?;
    ensure!(roles.len() == 2 && roles[0]["entitlements"] == json!(["wiki:group:Editors"]), "{roles:?}");
    // Apps and roles came together.
    ensure!(stage.events("configuration.change_ended").await?.len() == 1);
    for (path, status) in [
        ("/v1/explain?identity=x&entitlement=wiki", 404),
        ("/v1/explain?entitlement=wiki", 400),
        ("/v1/entitlements/nothing/holders", 404),
        ("/v1/entitlements/wiki:licence:x/holders", 400),
    ] {
        let answer = stage.rollcall.raw(Method::GET, path, "ola-secret", None).await?;
        ensure!(answer.0 == status, "{path}: {answer:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_is_asked_for_approved_verified_ends_by_itself_and_is_verified_gone() -> anyhow::Result<()> {
    let stage = stage(Script::default()).await?;
    let bea = join(&stage, "bea", "Boss", None).await?;
    let anna = join(&stage, "anna", "Dev", Some(&bea)).await?;
    join(&stage, "nina", "Dev", None).await?;
    stage.verified(&anna).await?;
    let admins = "wiki:group:Admins";

    // Who may not ask, and what can't be asked for.
    for (token, body, status) in [
        ("nina-secret", ask("anna", admins, "1h"), 403),
        ("anna-secret", ask("anna", admins, "2h"), 400),
        ("anna-secret", json!({ "identity": "anna", "what": admins, "reason": "for ever" }), 400),
        ("anna-secret", ask("anna", "wiki:group:Editors", "1h"), 409),
        ("anna-secret", ask("anna", "wiki:group:Owners", "1h"), 404),
        ("anna-secret", ask("anna", "role:nothing", "1h"), 404),
        ("anna-secret", ask("anna", "nothing", "1h"), 404),
        ("anna-secret", ask("anna", admins, "soon"), 400),
        ("anna-secret", json!({ "identity": "anna", "what": admins, "for": "1h", "reason": " " }), 400),
        ("ola-secret", ask("nobody", admins, "1h"), 404),
    ] {
        let (answered, answer) = post(&stage, "/v1/grants", token, &body).await?;
        ensure!(answered == status, "{body}: {answered} {answer}");
    }
    let (status, made) = post(&stage, "/v1/grants", "anna-secret", &ask("anna", admins, "4s")).await?;
    ensure!(status == 202, "{status} {made}");
    let path = format!("/v1/grants/{}", made["id"].as_str().context("no id")?);
    ensure!(post(&stage, "/v1/grants", "anna-secret", &ask("anna", admins, "4s")).await?.0 == 409, "asked for twice");
    // Neither who asks and gets it, nor a colleague, nor an operator approves it: only the manager.
    for token in ["anna-secret", "nina-secret", "ola-secret", "team-secret"] {
        let (status, answer) = post(&stage, &format!("{path}/approve"), token, &json!({})).await?;
        ensure!(status == 403, "{token}: {status} {answer}");
    }
    // Those whom it does not concern see that there is a request, and not why.
    let seen = |token: &'static str| {
        let (rollcall, path) = (&stage.rollcall, path.clone());
        async move { anyhow::Ok(rollcall.raw(Method::GET, &path, token, None).await?.1) }
    };
    ensure!(seen("nina-secret").await?["reason"] == Value::Null && seen("bea-secret").await?["reason"] == "incident 7");
    let (status, answer) = post(&stage, &format!("{path}/approve"), "bea-secret", &json!({})).await?;
    ensure!(status == 202, "{status} {answer}");
    ensure!(post(&stage, &format!("{path}/approve"), "bea-secret", &json!({})).await?.0 == 409, "approved twice");
    until("the group is entered", || async { Ok(in_group(&stage, "Admins", "anna").then_some(())) }).await?;
    let granted = seen("bea-secret").await?;
    let until_text = granted["until"].as_str().context("no end")?.to_owned();
    let end: Timestamp = until_text.parse()?;
    let held = access(&stage, &anna).await?;
    let admin = held.iter().find(|item| item["entitlement"] == admins).context("not held")?;
    ensure!(admin["until"] == until_text.as_str() && admin["reasons"][0]["kind"] == "grant", "{admin}");
    until("its time is over, and that is verified", || async {
        let ended = seen("bea-secret").await?["status"] == "ended" && stage.account(&anna).await?["verified"] == true;
        Ok((ended && !in_group(&stage, "Admins", "anna")).then_some(()))
    })
    .await?;
    ensure!(in_group(&stage, "Editors", "anna"), "the role's group is left, too");
    let over = seen("bea-secret").await?;
    let ended_at: Timestamp = over["ended"]["at"].as_str().context("no time")?.parse()?;
    let late = ended_at.duration_since(end);
    ensure!(!late.is_negative() && late.as_secs() < 5 && over["ended"]["why"] == "expired", "{late:#} {over}");
    // Each of the two changes had a clock of its own.
    let owed = stage.rollcall.items("/v1/obligations?status=verified&change=grant").await?;
    ensure!(owed.len() == 2, "{owed:?}");
    // Who acted is named by identity alone: nothing is left of whoever is erased.
    let asked = stage.seen("grant.requested").await?;
    ensure!(asked["actor"] == format!("identity:{anna}").as_str(), "{asked}");
    let summary = asked["summary"].as_str().unwrap_or_default();
    ensure!(summary.starts_with("wiki:group:Admins is asked for, for anna, for 4s"), "{summary}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_of_the_approvers_are_two_people_and_a_grant_is_denied_withdrawn_extended_and_ended() -> anyhow::Result<()>
{
    let stage = stage(Script::default()).await?;
    let bea = join(&stage, "bea", "Boss", None).await?;
    let anna = join(&stage, "anna", "Tester", Some(&bea)).await?;
    let oncall = |time: &str| ask("anna", "role:oncall", time);
    let make = |body: Value| {
        let stage = &stage;
        async move {
            let (status, made) = post(stage, "/v1/grants", "anna-secret", &body).await?;
            ensure!(status == 202, "{status} {made}");
            anyhow::Ok(format!("/v1/grants/{}", made["id"].as_str().context("no id")?))
        }
    };
    let why = json!({ "reason": "not now" });
    let denied = make(oncall("1h")).await?;
    ensure!(post(&stage, &format!("{denied}/deny"), "anna-secret", &why).await?.0 == 403);
    ensure!(post(&stage, &format!("{denied}/deny"), "team-secret", &why).await?.0 == 202);
    ensure!(post(&stage, &format!("{denied}/approve"), "bea-secret", &json!({})).await?.0 == 409);
    let withdrawn = make(oncall("1h")).await?;
    ensure!(post(&stage, &format!("{withdrawn}/withdraw"), "bea-secret", &why).await?.0 == 403);
    ensure!(post(&stage, &format!("{withdrawn}/withdraw"), "anna-secret", &why).await?.0 == 202);
    let wanted = make(oncall("1h")).await?;
    ensure!(post(&stage, &format!("{wanted}/end"), "anna-secret", &why).await?.0 == 409, "it is not held");
    ensure!(post(&stage, &format!("{wanted}/approve"), "bea-secret", &json!({})).await?.0 == 202);
    ensure!(post(&stage, &format!("{wanted}/approve"), "bea-secret", &json!({})).await?.0 == 409, "one is not two");
    ensure!(access(&stage, &anna).await?.is_empty(), "one of two has approved it");
    ensure!(post(&stage, &format!("{wanted}/approve"), "team-secret", &json!({})).await?.0 == 202);
    until("the account is there, with its group", || async { Ok(in_group(&stage, "Admins", "anna").then_some(())) })
        .await?;

    let longer = json!({ "for": "2h", "reason": "it takes longer" });
    ensure!(
        post(&stage, &format!("{wanted}/extend"), "anna-secret", &json!({ "for": "1m", "reason": "x" })).await?.0
            == 400
    );
    let (status, more) = post(&stage, &format!("{wanted}/extend"), "anna-secret", &longer).await?;
    ensure!(status == 202, "{status} {more}");
    ensure!(post(&stage, &format!("{wanted}/extend"), "anna-secret", &longer).await?.0 == 409, "asked for already");
    let before = stage.rollcall.api(&wanted).await?["until"].clone();
    let more = format!("/v1/grants/{}", more["id"].as_str().context("no id")?);
    for token in ["bea-secret", "team-secret"] {
        ensure!(post(&stage, &format!("{more}/approve"), token, &json!({})).await?.0 == 202, "{token}");
    }
    let after = stage.rollcall.api(&wanted).await?;
    ensure!(after["until"].as_str() > before.as_str() && after["status"] == "active", "{before} {after}");
    ensure!(stage.rollcall.api(&more).await?["ended"]["why"] == "extended");
    // In an app that anna has no account in otherwise.
    ensure!(post(&stage, &format!("{wanted}/end"), "nina-secret", &why).await?.0 == 403);
    ensure!(post(&stage, &format!("{wanted}/end"), "anna-secret", &why).await?.0 == 202);
    until("nothing is held, and that is verified", || async {
        let gone = access(&stage, &anna).await?.is_empty() && stage.account(&anna).await?["verified"] == true;
        Ok((gone && !in_group(&stage, "Admins", "anna")).then_some(()))
    })
    .await?;
    let ended = stage.rollcall.items(&format!("/v1/grants?identity={anna}&status=ended")).await?;
    let whys: Vec<&str> = ended.iter().filter_map(|grant| grant["ended"]["why"].as_str()).collect();
    ensure!(whys == ["denied", "withdrawn", "ended", "extended"], "{whys:?}");
    ensure!(stage.rollcall.items("/v1/grants?status=active").await?.is_empty());
    // Nothing is granted to whoever is not there.
    stage.leave(&anna).await?;
    ensure!(post(&stage, "/v1/grants", "ola-secret", &ask(&anna, "role:oncall", "1h")).await?.0 == 409);
    Ok(())
}

/// Where people sign in at a provider nothing tells whoever asks from whoever has the token of a team.
#[tokio::test(flavor = "multi_thread")]
async fn where_people_sign_in_the_token_of_a_team_does_not_approve_what_one_of_them_may_have_asked_for()
-> anyhow::Result<()> {
    let provider = "[oidc]\nissuer = \"http://127.0.0.1:9\"\nclient_id = \"rollcall\"\nclient_secret_env = \"TEST_SOURCE\"\n\
                    [oidc.roles]\niam-auditors = \"auditor\"\n";
    let stage = stage_with(Script::default(), &format!("{PEOPLE}{provider}")).await?;
    let bea = join(&stage, "bea", "Boss", None).await?;
    join(&stage, "anna", "Tester", Some(&bea)).await?;
    let (status, made) = post(&stage, "/v1/grants", "anna-secret", &ask("anna", "role:oncall", "1h")).await?;
    ensure!(status == 202, "{status} {made}");
    let wanted = format!("/v1/grants/{}", made["id"].as_str().context("no id")?);
    let (status, refused) = post(&stage, &format!("{wanted}/approve"), "team-secret", &json!({})).await?;
    ensure!(
        status == 403 && refused["detail"].as_str().is_some_and(|d| d.contains("'identity'")),
        "{status} {refused}"
    );
    ensure!(post(&stage, &format!("{wanted}/approve"), "bea-secret", &json!({})).await?.0 == 202);
    let why = json!({ "reason": "not now" });
    ensure!(post(&stage, &format!("{wanted}/deny"), "team-secret", &why).await?.0 == 202, "no is said by anybody");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_switched_off_is_off_whatever_waits_and_on_again_as_before() -> anyhow::Result<()> {
    let stage = stage(Script::default()).await?;
    let anna = join(&stage, "anna", "Dev", None).await?;
    stage.verified(&anna).await?;
    let (disable, enable) = (format!("/v1/identities/{anna}/disable"), format!("/v1/identities/{anna}/enable"));
    let why = json!({ "reason": "her laptop was stolen" });
    ensure!(post(&stage, &disable, "nina-secret", &why).await?.0 == 403);
    ensure!(post(&stage, &disable, "ola-secret", &json!({ "reason": "" })).await?.0 == 400);
    ensure!(post(&stage, &enable, "ola-secret", &why).await?.0 == 409, "nobody has switched her off");
    ensure!(post(&stage, &disable, "ola-secret", &why).await?.0 == 202);
    ensure!(post(&stage, &disable, "ola-secret", &why).await?.0 == 409, "off already");
    stage.verified(&anna).await?;
    let account = stage.app.users(APP).into_iter().find(|user| user["userName"] == "anna").context("deleted")?;
    ensure!(account["active"] == false && in_group(&stage, "Editors", "anna"), "only switched off: {account}");
    let owed = stage.rollcall.items("/v1/obligations?status=verified&change=disable").await?;
    ensure!(owed.len() == 1 && owed[0]["target"] == "absent", "{owed:?}");
    let shown = stage.rollcall.api(&format!("/v1/identities/{anna}")).await?;
    ensure!(shown["disabled"]["by"] == "ola" && shown["lifecycle"] == "active", "{shown}");
    ensure!(stage.rollcall.items("/v1/identities?disabled=true").await?.len() == 1);
    ensure!(explained(&stage, &anna, "wiki").await?["missing"][0]["kind"] == "disabled");
    ensure!(access(&stage, &anna).await?[0]["state"] == "off");
    // Her source says what it likes.
    let title = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{ "op": "replace", "path": "nickName", "value": "A" }] });
    stage.rollcall.scim(Method::PATCH, &format!("/Users/{anna}"), &title).await?;
    ensure!(post(&stage, &enable, "ola-secret", &why).await?.0 == 202);
    until("she is on again", || async {
        let user = stage.app.users(APP).into_iter().find(|user| user["userName"] == "anna").context("deleted")?;
        Ok((user["active"] == true && user["id"] == account["id"]).then_some(()))
    })
    .await?;
    stage.verified(&anna).await?;
    ensure!(in_group(&stage, "Editors", "anna"));
    ensure!(stage.rollcall.raw(Method::GET, "/scim/v2/Users", SOURCE_TOKEN, None).await?.0 == 200);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_again_under_a_name_that_is_off_is_switched_on_with_who_had_it() -> anyhow::Result<()> {
    let stage = stage(Script::default()).await?;
    let anna = join(&stage, "anna", "Dev", None).await?;
    stage.verified(&anna).await?;
    let why = json!({ "reason": "she came back" });
    ensure!(post(&stage, &format!("/v1/identities/{anna}/disable"), "ola-secret", &why).await?.0 == 202);
    stage.verified(&anna).await?;
    stage.leave(&anna).await?;
    let again = join(&stage, "anna", "Dev", None).await?;
    let path = format!("/v1/identities/{again}");
    until("she is off under her name", || async {
        Ok(stage.rollcall.api(&path).await?["disabled"].is_object().then_some(()))
    })
    .await?;
    let (status, answer) = post(&stage, &format!("{path}/enable"), "ola-secret", &why).await?;
    ensure!(status == 202, "{status} {answer}");
    stage.verified(&again).await?;
    ensure!(stage.rollcall.api(&path).await?["disabled"].is_null());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_a_hold_nor_a_waiver_keeps_somebody_on() -> anyhow::Result<()> {
    let operator = "[[api_tokens]]\nname = \"ola\"\nrole = \"operator\"\ntoken = \"ola-secret\"\n";
    let app = Faulty::start().await?;
    app.tell(APP, &Script::default()).await?;
    let apps = [App { tables: "[apps.guard]\nmax_removals = 3\n", ..App::usual(APP, app.base_url(APP)) }];
    let rollcall = Rollcall::new(&apps, operator)?;
    rollcall.start().await?;
    let stage = Stage { app, rollcall };
    let mut ids = Vec::new();
    for n in 0..6 {
        ids.push(stage.join(&format!("person{n}")).await?);
    }
    for id in &ids {
        stage.verified(id).await?;
    }
    stage.leave_until_held(&ids).await?;
    until("three wait", || async {
        let hold = stage.rollcall.items("/v1/holds").await?.into_iter().next();
        Ok(hold.filter(|hold| hold["removals"] == 3))
    })
    .await?;
    let is_active = |name: &str| stage.app.users(APP).iter().any(|u| u["userName"] == name && u["active"] == true);
    ensure!(is_active("person4") && is_active("person5"));
    let owed = stage.rollcall.items("/v1/obligations?status=open").await?;
    let owed = owed.into_iter().find(|o| o["identity"] == ids[5].as_str()).context("nothing is owed")?;
    let expires_at = (Timestamp::now() + jiff::SignedDuration::from_hours(9)).to_string();
    let waive = format!("/v1/obligations/{}/waive", owed["id"].as_str().context("no id")?);
    let (status, answer) = stage.decide(&waive, &json!({ "reason": "legal hold", "expires_at": expires_at })).await?;
    ensure!(status == 202, "{status} {answer}");
    for id in [&ids[4], &ids[5]] {
        let path = format!("/v1/identities/{id}/disable");
        ensure!(stage.decide(&path, &json!({ "reason": "now" })).await?.0 == 202);
        stage.verified(id).await?;
    }
    ensure!(!is_active("person4") && !is_active("person5") && is_active("person3"), "{:?}", stage.app.users(APP));
    // Nobody can sign in any more; that their account is left as it is is not clean.
    let departure = |id: String| {
        let stage = &stage;
        async move {
            let all = stage.rollcall.items("/v1/leavers").await?;
            all.into_iter().find(|leaver| leaver["identity"] == id.as_str()).context("no departure")
        }
    };
    for id in [&ids[4], &ids[5]] {
        let leaver = departure(id.clone()).await?;
        ensure!(!leaver["gone_at"].is_null() && leaver["clean_at"].is_null(), "{leaver}");
    }
    // Switched on again they are removed, once a person has decided.
    ensure!(stage.decide(&format!("/v1/identities/{}/enable", ids[4]), &json!({ "reason": "found" })).await?.0 == 202);
    let through = until("it waits again", || async {
        let hold = stage.rollcall.items("/v1/holds").await?.into_iter().next();
        Ok(hold.filter(|hold| hold["removals"] == 2).map(|hold| hold["through"].clone()))
    })
    .await?;
    ensure!(departure(ids[4].clone()).await?["clean_at"].is_null(), "it waits, and is called clean");
    let release = json!({ "reason": "right", "through": through });
    ensure!(stage.decide("/v1/holds/hr/release", &release).await?.0 == 202);
    stage.verified(&ids[4]).await?;
    ensure!(!departure(ids[4].clone()).await?["clean_at"].is_null(), "nothing is left of it");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_is_left_alone_is_asked_all_the_same_to_switch_somebody_off() -> anyhow::Result<()> {
    let stage = stage(Script::default()).await?;
    let anna = join(&stage, "anna", "Dev", None).await?;
    stage.verified(&anna).await?;
    // Creations fail, until the app is left alone.
    stage.app.tell(APP, &Script { fails_creations: true, ..Script::default() }).await?;
    for n in 0..6 {
        join(&stage, &format!("dev{n}"), "Dev", None).await?;
    }
    stage.seen("app.quarantined").await?;
    let (status, answer) =
        post(&stage, &format!("/v1/identities/{anna}/disable"), "ola-secret", &json!({ "reason": "now" })).await?;
    ensure!(status == 202, "{status} {answer}");
    stage.verified(&anna).await?;
    ensure!(stage.app.users(APP).iter().any(|user| user["userName"] == "anna" && user["active"] == false));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn access_is_asked_for_approved_and_somebody_is_switched_off_in_the_console() -> anyhow::Result<()> {
    let stage = stage(Script::default()).await?;
    let bea = join(&stage, "bea", "Boss", None).await?;
    let anna = join(&stage, "anna", "Dev", Some(&bea)).await?;
    stage.verified(&anna).await?;
    let browser = |token: &'static str| Browser::signed_in(&stage.rollcall, token);
    let (hers, boss, nina, ola) = (
        browser("anna-secret").await?,
        browser("bea-secret").await?,
        browser("nina-secret").await?,
        browser("ola-secret").await?,
    );
    let (status, page) = hers.page("/console/ask").await?;
    ensure!(status == 200 && page.contains("value=\"anna\"") && page.contains("wiki:group:Admins"), "{page}");
    // What is wrong is said, and what was typed stays.
    let asks = |time: &'static str| {
        vec![("identity", "anna"), ("what", "wiki:group:Admins"), ("for", time), ("reason", "the sync is stuck")]
    };
    let (status, _, page) = hers.send("/console/ask", &asks("8h")).await?;
    ensure!(status == 400 && page.contains("1h at most") && page.contains("the sync is stuck"), "{status} {page}");
    let (status, to, page) = hers.send("/console/ask", &asks("1h")).await?;
    ensure!(status == 303 && to.starts_with("/console/grants?done="), "{status} {to} {page}");
    let (_, page) = boss.page("/console/grants").await?;
    ensure!(page.contains("the sync is stuck") && page.contains("Administrators"), "{page}");
    let (_, page) = nina.page("/console/grants").await?;
    ensure!(!page.contains("the sync is stuck"), "{page}");
    let waiting = stage.rollcall.items("/v1/grants").await?;
    let id = waiting[0]["id"].as_str().context("no id")?;
    let approve = [("do", "approve-grant"), ("id", id), ("back", "/console/grants")];
    let (status, _, page) = nina.act(&approve).await?;
    ensure!(status == 403 && page.contains("their manager"), "{status} {page}");
    let (status, page) = boss.page(&format!("/console/act?do=approve-grant&id={id}")).await?;
    ensure!(status == 200 && page.contains("the sync is stuck"), "{status} {page}");
    let (status, to, page) = boss.act(&approve).await?;
    ensure!(status == 303 && to.starts_with("/console/grants?done="), "{status} {page}");
    until("the group is entered", || async { Ok(in_group(&stage, "Admins", "anna").then_some(())) }).await?;
    let (_, page) = ola.page(&format!("/console/identities/{anna}")).await?;
    ensure!(page.contains("What they hold, and why") && page.contains("role Developers"), "{page}");
    ensure!(page.contains("Switch off, now"), "{page}");
    let off = [("do", "disable"), ("id", anna.as_str()), ("reason", "her laptop was stolen"), ("back", "/")];
    let (status, _, _) = boss.act(&off).await?;
    ensure!(status == 403, "{status}");
    let (status, _, page) = ola.act(&off).await?;
    ensure!(status == 303, "{status} {page}");
    stage.verified(&anna).await?;
    let (_, page) = ola.page(&format!("/console/identities/{anna}")).await?;
    ensure!(page.contains("verified everywhere") && page.contains("Switch on again"), "{page}");
    // Whoever is switched off does nothing here, either, and switches nobody on.
    let (status, _, page) = hers.send("/console/ask", &asks("1h")).await?;
    ensure!(status == 403 && page.contains("is switched off"), "{status} {page}");
    ensure!(stage.rollcall.raw(Method::GET, "/v1/grants", "anna-secret", None).await?.0 == 403);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_left_does_nothing_with_their_token_whatever_they_are_called_by_now() -> anyhow::Result<()> {
    let stage = stage(Script::default()).await?;
    let asks =
        async |token: &str| anyhow::Ok(stage.rollcall.raw(Method::GET, "/v1/grants", token, None).await?.0.as_u16());
    let (anna, bea, nina) = (
        join(&stage, "anna", "Dev", None).await?,
        join(&stage, "bea", "Dev", None).await?,
        join(&stage, "nina", "Dev", None).await?,
    );
    ensure!(asks("anna-secret").await? == 200);
    stage.leave(&anna).await?;
    until("who is deleted does nothing", || async { Ok((asks("anna-secret").await? == 403).then_some(())) }).await?;
    // Called otherwise they are who they were.
    let patch = |path: &str, value: Value| {
        json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [{ "op": "replace", "path": path, "value": value }] })
    };
    let path = format!("/Users/{bea}");
    stage.rollcall.scim(Method::PATCH, &path, &patch("userName", "bea.k".into())).await?;
    ensure!(asks("bea-secret").await? == 200);
    stage.rollcall.scim(Method::PATCH, &path, &patch("active", false.into())).await?;
    until("who has left does nothing", || async { Ok((asks("bea-secret").await? == 403).then_some(())) }).await?;
    // Somebody else has their name since: the secret is that of the one who left.
    let other = join(&stage, "anna", "Dev", None).await?;
    stage.verified(&other).await?;
    let (status, refused) = stage.rollcall.raw(Method::GET, "/v1/grants", "anna-secret", None).await?;
    ensure!(status == 403 && refused.to_string().contains("'identity' to the id"), "{status} {refused}");
    // Switched off and deleted, what is open ends.
    let off = json!({ "reason": "her laptop was stolen" });
    let (status, answer) = post(&stage, &format!("/v1/identities/{nina}/disable"), "ola-secret", &off).await?;
    ensure!(status == 202, "{status} {answer}");
    until("who is switched off does nothing", || async { Ok((asks("nina-secret").await? == 403).then_some(())) })
        .await?;
    stage.leave(&nina).await?;
    stage.seen("identity.left").await?;
    ensure!(asks("nina-secret").await? == 403, "to be deleted opens what was switched off");
    Ok(())
}

/// Leaving something of one's own as it is, is for others to decide.
#[tokio::test(flavor = "multi_thread")]
async fn an_operator_keeps_nothing_of_their_own() -> anyhow::Result<()> {
    let app = Faulty::start().await?;
    app.tell(APP, &Script::default()).await?;
    let apps = [App { assign: "title eq \"Dev\"", ..App::usual(APP, app.base_url(APP)) }];
    let own = "[[api_tokens]]\nname = \"ops\"\nrole = \"admin\"\ntoken = \"ops-secret\"\nidentity = \"bea\"\n";
    let rollcall = Rollcall::new(
        &apps,
        &format!("{own}[[api_tokens]]\nname = \"ola\"\nrole = \"operator\"\ntoken = \"ola-secret\"\n"),
    )?;
    rollcall.start().await?;
    let stage = Stage { app, rollcall };
    let bea = join(&stage, "bea", "Dev", None).await?;
    stage.verified(&bea).await?;
    stage.app.tell(APP, &Script { refuses_deactivation: true, no_delete: true, ..Script::default() }).await?;
    let moves = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{ "op": "replace", "path": "title", "value": "Sales" }] });
    stage.rollcall.scim(Method::PATCH, &format!("/Users/{bea}"), &moves).await?;
    let owed = until("her account is to go", || async {
        Ok(stage.rollcall.items("/v1/obligations?status=open").await?.into_iter().next())
    })
    .await?;
    let path = format!("/v1/obligations/{}/waive", owed["id"].as_str().context("no id")?);
    let day = Timestamp::now() + jiff::SignedDuration::from_hours(24);
    let body = json!({ "reason": "I still need it", "expires_at": day.to_string() });
    let (status, answer) = post(&stage, &path, "ops-secret", &body).await?;
    ensure!(status == 403 && answer.to_string().contains("another person"), "{status} {answer}");
    let (status, answer) = post(&stage, &path, "ola-secret", &body).await?;
    ensure!(status == 202, "{status} {answer}");
    // What she has made for herself is hers, and ends with her.
    let (status, made) = post(&stage, "/v1/tokens", "ops-secret", &json!({ "name": "ci", "role": "admin" })).await?;
    ensure!(status == 201, "{status} {made}");
    let token = made["token"].as_str().context("no token")?.to_owned();
    let (_, tokens) = stage.rollcall.raw(Method::GET, "/v1/tokens", &token, None).await?;
    ensure!(tokens["items"][0]["issued_by"] == format!("identity:{bea}"), "{tokens}");
    stage.leave(&bea).await?;
    until("her token opens nothing", || async {
        let status = stage.rollcall.raw(Method::GET, "/v1/tokens", &token, None).await?.0;
        Ok((status.as_u16() == 403).then_some(()))
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_terminal_says_and_does_the_same() -> anyhow::Result<()> {
    let stage = stage(Script::default()).await?;
    let bea = join(&stage, "bea", "Boss", None).await?;
    let anna = join(&stage, "anna", "Dev", Some(&bea)).await?;
    stage.verified(&anna).await?;
    let run = |token: &'static str, args: &'static [&'static str]| {
        let server = stage.rollcall.address();
        async move {
            let mut command = command();
            command.args(args).env("ROLLCALL_SERVER", server).env("ROLLCALL_API_TOKEN", token);
            let output = command.output().await?;
            let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            anyhow::Ok((output.status.code(), said))
        }
    };
    let (code, said) = run("api-secret-77ab", &["access", "anna"]).await?;
    ensure!(code == Some(0) && said.contains("wiki:group:Editors") && said.contains("role Developers"), "{said}");
    let (code, said) = run("api-secret-77ab", &["explain", "anna", "wiki:group:Admins"]).await?;
    ensure!(
        code == Some(1) && said.contains("does not hold") && said.contains("it can be asked for"),
        "{code:?} {said}"
    );
    let (code, said) = run("api-secret-77ab", &["explain", "anna", "wiki"]).await?;
    ensure!(code == Some(0) && said.contains("anna holds wiki"), "{code:?} {said}");
    let request = ["grant", "request", "anna", "wiki:group:Admins", "--for", "1h", "--reason", "incident 7", "--yes"];
    let request: &'static [&'static str] = Box::leak(Box::new(request));
    let (code, said) = run("anna-secret", request).await?;
    ensure!(code == Some(0) && said.contains("it waits for its approval"), "{said}");
    let id = stage.rollcall.items("/v1/grants").await?[0]["id"].as_str().context("no id")?.to_owned();
    let approve: &'static [&'static str] = Box::leak(Box::new(["grant", "approve", id.leak(), "--yes"]));
    let (code, said) = run("nina-secret", approve).await?;
    ensure!(code == Some(1) && said.contains("none of those who decide about it"), "{code:?} {said}");
    let (code, said) = run("bea-secret", approve).await?;
    ensure!(code == Some(0) && said.contains("event "), "{code:?} {said}");
    let (_, said) = run("api-secret-77ab", &["grant", "list", "--status", "active"]).await?;
    ensure!(said.contains("anna") && said.contains("wiki:group:Admins"), "{said}");
    let (_, said) = run("api-secret-77ab", &["entitlements", "--holders", "wiki:group:Admins"]).await?;
    ensure!(said.contains("anna"), "{said}");
    let (_, said) = run("api-secret-77ab", &["roles"]).await?;
    ensure!(said.contains("Developers") && said.contains("title eq"), "{said}");
    let (code, said) = run("ola-secret", &["disable", "anna", "--reason", "now"]).await?;
    ensure!(code == Some(1) && said.contains("--yes"), "{code:?} {said}");
    let (code, said) = run("ola-secret", &["disable", "anna", "--reason", "now", "--yes"]).await?;
    ensure!(code == Some(0), "{said}");
    stage.verified(&anna).await?;
    let (_, said) = run("api-secret-77ab", &["access", "anna"]).await?;
    ensure!(said.contains("switched off in every app by ola"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_gives_and_forbids_whatever_else_gives_and_is_named_as_the_reason() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let policies = r#"
@id("testers-edit")
@reason("testers write the pages about tests")
permit(principal, action == Action::"hold", resource == Entitlement::"wiki:group:Editors")
when { principal has title && principal.title == "Tester" };
@id("no-critical-for-contractors")
@reason("contractors hold nothing critical")
forbid(principal, action == Action::"hold", resource)
when { principal has userType && principal.userType == "Contractor" && resource.risk == "critical" };
@id("no-requests-by-interns")
forbid(principal, action == Action::"request", resource in App::"wiki")
when { principal has title && principal.title == "Intern" };
"#;
    std::fs::write(folder.path().join("access.cedar"), policies)?;
    let extra = format!("{PEOPLE}\n[policies]\nfolder = \"{}\"\n", folder.path().display());
    let app = Faulty::start().await?;
    app.tell(APP, &Script::default()).await?;
    for group in ["Editors", "Admins"] {
        app.add_group(APP, group, &[]);
    }
    let apps = [App { assign: "userType eq \"Staff\"", tables: ENTITLEMENTS, ..App::usual(APP, app.base_url(APP)) }];
    let rollcall = Rollcall::new(&apps, &extra)?;
    rollcall.start().await?;
    let stage = Stage { app, rollcall };
    let bea = join(&stage, "bea", "Tester", None).await?;
    stage.verified(&bea).await?;
    ensure!(in_group(&stage, "Editors", "bea"));
    let held = access(&stage, &bea).await?;
    ensure!(held[1]["reasons"][0]["policy"] == "testers-edit", "{held:?}");
    let words = "policy testers-edit: testers write the pages about tests";
    ensure!(held[1]["reasons"][0]["text"] == words, "{held:?}");
    // A guard rail goes before a role and a grant.
    let user = json!({ "schemas": [USER], "userName": "anna", "title": "Dev", "userType": "Contractor" });
    let made = stage.rollcall.scim(Method::POST, "/Users", &user).await?;
    let anna = made["id"].as_str().context("no id")?.to_owned();
    stage.verified(&anna).await?;
    ensure!(in_group(&stage, "Editors", "anna"), "the role gives what is not critical");
    let why_not = explained(&stage, &anna, "wiki:group:Admins").await?;
    ensure!(why_not["missing"][0]["kind"] == "forbidden", "{why_not}");
    let text = why_not["missing"][0]["text"].as_str().unwrap_or_default().to_owned();
    ensure!(text.contains("contractors hold nothing critical"), "{text}");
    let (status, answer) = post(&stage, "/v1/grants", "ola-secret", &ask("anna", "role:oncall", "1h")).await?;
    ensure!(status == 403 && answer.to_string().contains("no-critical-for-contractors"), "{status} {answer}");
    join(&stage, "nina", "Intern", None).await?;
    let (status, answer) = post(&stage, "/v1/grants", "nina-secret", &ask("nina", "role:oncall", "1h")).await?;
    ensure!(status == 403 && answer.to_string().contains("no-requests-by-interns"), "{status} {answer}");
    ensure!(stage.rollcall.items("/v1/policies").await?.len() == 3);

    // Without the guard rail; and the one that gave is gone, too.
    std::fs::write(folder.path().join("access.cedar"), policies.replace("title == \"Tester\"", "title == \"Boss\""))?;
    stage.rollcall.stop().await?;
    stage.rollcall.start().await?;
    until("what the policy gave is left", || async {
        let gone = access(&stage, &bea).await?.is_empty() && stage.account(&bea).await?["verified"] == true;
        Ok((gone && !in_group(&stage, "Editors", "bea")).then_some(()))
    })
    .await?;
    // A mistake is named with its file, and nothing starts.
    std::fs::write(folder.path().join("access.cedar"), "@id(\"x\") permit(principal, action, resource);")?;
    let checked = command().args(["check", "--offline", "--config"]).arg(stage.rollcall.config_file()).output().await?;
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    ensure!(!checked.status.success() && said.contains("access.cedar") && said.contains("one action"), "{said}");
    Ok(())
}
