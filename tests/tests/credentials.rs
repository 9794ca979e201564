//! Keys and tokens, as their inventories list them, and what becomes of those of whoever leaves.

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use reqwest::{Client, Method};
use rollcall_tests::browser::Browser;
use rollcall_tests::rollcall::SOURCE_TOKEN;
use rollcall_tests::stage::{APP, Stage, USER};
use rollcall_tests::{App, Faulty, Rollcall, Script, until};
use serde_json::{Value, json};

const TABLES: &str = r#"
[machines]
compromised_within = "2s"
[[inventories]]
name = "keys"
source = "hr"
kind = "api_key"
columns = { name = "Key", holder = "Owner" }
[[inventories]]
name = "vault"
source = "hr"
preset = "vault"
[[inventories]]
name = "aws"
source = "hr"
preset = "aws-credential-report"
[[inventories]]
name = "github"
source = "hr"
preset = "github-tokens"
[[inventories]]
name = "kubernetes"
source = "hr"
preset = "kubernetes-service-accounts"
[[inventories]]
name = "by-id"
source = "hr"
holder = "externalId"
[[inventories]]
name = "theirs"
source = "other"
[[sources]]
name = "other"
token = "other-secret"
[[api_tokens]]
name = "ola"
role = "operator"
token = "ola-secret"
[[api_tokens]]
name = "vic"
role = "viewer"
token = "vic-secret"
"#;

/// The token of an operator.
const OLA: &str = "ola-secret";

async fn stage() -> anyhow::Result<Stage> {
    let app = Faulty::start().await?;
    app.tell(APP, &Script::default()).await?;
    let rollcall = Rollcall::new(&[App { assign: "active eq true", ..App::usual(APP, app.base_url(APP)) }], TABLES)?;
    rollcall.start().await?;
    Ok(Stage { app, rollcall })
}

/// Sends a list, taken at this time; more of the query may follow.
async fn put(stage: &Stage, name: &str, taken_at: &str, kind: &str, body: &str) -> anyhow::Result<(u16, Value)> {
    let url = format!("{}/inventories/{name}?taken_at={taken_at}", stage.rollcall.address());
    let request = Client::new().put(url).bearer_auth(SOURCE_TOKEN).header("content-type", kind);
    let answer = request.body(body.to_owned()).send().await?;
    Ok((answer.status().as_u16(), answer.json().await.unwrap_or_default()))
}

fn now() -> String {
    Timestamp::now().to_string()
}

fn table(rows: &[(&str, &str)]) -> String {
    let rows = rows.iter().map(|(key, owner)| format!("{key},{owner}\n"));
    format!("Key,Owner\n{}", rows.collect::<String>())
}

async fn listed(stage: &Stage, query: &str) -> anyhow::Result<Vec<Value>> {
    stage.rollcall.items(&format!("/v1/credentials?{query}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaver_is_gone_once_the_next_list_lacks_their_token() -> anyhow::Result<()> {
    let stage = stage().await?;
    let ada = stage.join("ada").await?;
    stage.verified(&ada).await?;
    let (status, said) = put(&stage, "keys", &now(), "text/csv", &table(&[("k1", "ada"), ("k2", "nobody")])).await?;
    ensure!(status == 200 && said["added"] == 2 && said["ofNobody"] == 1, "{status} {said}");
    ensure!(said["nobodys"] == json!(["k2 (nobody)"]), "{said}");
    stage.leave(&ada).await?;
    until("Ada's account is gone", || async {
        let leaver = stage.leaver(&ada).await?;
        let owed = leaver["obligations"].as_array().context("no obligations")?;
        let of_app = owed.iter().find(|owed| owed["app"] == APP).context("nothing is owed in the app")?;
        Ok((of_app["status"] == "verified").then_some(()))
    })
    .await?;
    let before = stage.leaver(&ada).await?;
    ensure!(before["gone_at"].is_null() && before["status"] == "open", "{before}");
    let owed = listed(&stage, "is=to_revoke").await?;
    ensure!(owed.len() == 1 && owed[0]["holder"]["active"] == false, "{owed:?}");

    // The same list again ends nothing.
    let (status, said) = put(&stage, "keys", &now(), "text/csv", &table(&[("k1", "ada"), ("k2", "nobody")])).await?;
    ensure!(status == 200 && said["changed"] == 0 && said["gone"] == 0, "{status} {said}");
    ensure!(stage.leaver(&ada).await?["status"] == "open", "it ended by the same list");
    let taken_at = now();
    let (status, said) = put(&stage, "keys", &taken_at, "text/csv", &table(&[("k2", "nobody")])).await?;
    ensure!(status == 200 && said["gone"] == 1, "{status} {said}");
    until("Ada is gone", || async { Ok(stage.leaver(&ada).await?["completed_at"].as_str().map(drop)) }).await?;
    ensure!(stage.leaver(&ada).await?["gone_at"].is_string(), "complete and not gone");
    let gone = listed(&stage, "is=gone").await?;
    ensure!(gone.len() == 1 && gone[0]["gone_at"] == *taken_at, "{gone:?}");
    let then =
        listed(&stage, &format!("as_of={}", owed[0]["obligations"][0]["opened_at"].as_str().context("no time")?))
            .await?;
    ensure!(then.len() == 2, "as of then: {then:?}");

    // One whose secret has been the same for too long counts as over age, where its list says since when.
    let old = r#"[{ "name": "old", "kind": "api_key", "holder": "nobody", "issued_at": "2020-01-01T00:00:00Z" },
        { "name": "new", "kind": "api_key", "holder": "nobody", "issued_at": "2020-01-01T00:00:00Z", "rotated_at": "NOW" }]"#;
    let (status, said) = put(&stage, "by-id", &now(), "application/json", &old.replace("NOW", &now())).await?;
    ensure!(status == 200, "{status} {said}");
    let over = listed(&stage, "is=over_age").await?;
    ensure!(over.len() == 1 && over[0]["name"] == "old", "{over:?}");
    until("it is a figure", || async {
        let (_, metrics) = stage.rollcall.raw(Method::GET, "/metrics", "", None).await?;
        let text = metrics.as_str().unwrap_or_default();
        let figure = text
            .lines()
            .find(|line| line.starts_with("rollcall_credentials_over_age{") && line.contains("kind=\"api_key\""));
        Ok(figure.filter(|line| line.ends_with(" 1")).map(drop))
    })
    .await?;

    // A viewer is not told what they are called.
    let (_, seen) = stage.rollcall.raw(Method::GET, "/v1/credentials?inventory=keys", "vic-secret", None).await?;
    ensure!(seen["items"][0]["name"].is_null() && seen["items"][0]["inventory"] == "keys", "{seen}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_read_as_their_systems_write_them() -> anyhow::Result<()> {
    let stage = stage().await?;
    let ada = stage.join("ada").await?;
    let lists = [
        ("vault", "application/x-ndjson", include_str!("../fixtures/inventories/vault.ndjson")),
        ("aws", "text/csv", include_str!("../fixtures/inventories/aws-credential-report.csv")),
        ("github", "application/json", include_str!("../fixtures/inventories/github-tokens.json")),
        ("kubernetes", "application/json", include_str!("../fixtures/inventories/kubernetes-service-accounts.json")),
    ];
    for (name, kind, body) in lists {
        let (status, said) = put(&stage, name, &now(), kind, body).await?;
        ensure!(status == 200, "{name}: {status} {said}");
    }
    let all = listed(&stage, "").await?;
    let mut seen: Vec<String> = all
        .iter()
        .map(|one| {
            let text = |path: &str| one.pointer(path).and_then(Value::as_str).unwrap_or("-").to_owned();
            let parts =
                ["/inventory", "/kind", "/name", "/holder/user_name", "/usability", "/issued_at", "/expires_at"];
            parts.map(text).join(" | ")
        })
        .collect();
    seen.sort();
    let arn = "arn:aws:iam::123456789012:user/ada";
    let expected = [
        format!("aws | api_key | {arn} access_key_1 of 2026-09-14T17:02:33Z | ada | usable | 2026-09-14T17:02:33Z | -"),
        format!("aws | api_key | {arn} access_key_2 of 2021-02-25T15:33:00Z | ada | disabled | 2021-02-25T15:33:00Z | -"),
        format!("aws | certificate | {arn} cert_1 of 2025-06-01T00:00:00Z | ada | usable | 2025-06-01T00:00:00Z | -"),
        format!("aws | password | {arn} password of 2026-02-27T20:23:50Z | ada | usable | 2026-02-27T20:23:50Z | -"),
        "github | personal_access_token | 25381 98716 | ada | usable | 2026-05-16T15:47:09Z | 2027-11-16T15:47:09Z".into(),
        "kubernetes | token | default/build-robot 721ab723-13bc-11e5-aec2-42010af0021e | - | usable | 2026-06-16T00:12:34Z | -"
            .into(),
        "vault | token | 8609694a-cdbc-db9b-d345-e782dbb562ed | ada | usable | 2018-04-17T15:35:54Z | 2029-05-19T15:35:54.466476215Z"
            .into(),
        "vault | token | u9KzAgWLZyx8YAsyZ8kB7QjB | - | usable | 2026-01-01T00:00:00Z | -".into(),
    ];
    ensure!(seen == expected, "{seen:#?}");
    ensure!(listed(&stage, &format!("holder={ada}")).await?.len() == 6, "not all of Ada's are hers");
    let inventories = stage.rollcall.items("/v1/inventories").await?;
    ensure!(
        inventories.len() == 4 && inventories[0]["name"] == "aws" && inventories[0]["listed"] == 4,
        "{inventories:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_wrong_is_refused_by_name_and_changes_nothing() -> anyhow::Result<()> {
    let stage = stage().await?;
    stage.join("ada").await?;
    let day = "2026-03-01T09:";
    let keys: Vec<String> = (0..20).map(|n| format!("k{n}")).collect();
    let rows: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "ada")).collect();
    let (status, said) = put(&stage, "keys", &format!("{day}10:00Z"), "text/csv", &table(&rows)).await?;
    ensure!(status == 200 && said["added"] == 20, "{status} {said}");
    let half = table(&rows[..10]);
    let of_nobody = table(&keys.iter().map(|key| (key.as_str(), "")).collect::<Vec<_>>());
    let secret = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";
    let with_secret = table(&[("k1", "ada"), (secret, "ada")]);
    let twice = table(&[("k1", "ada"), ("k2", "ada"), ("k1", "ben")]);
    let token = r#"{"id":"hvs.x","accessor":"a"}"#;
    let cases: &[(&str, &str, &str, &str, u16, &str)] = &[
        ("keys", "11:00Z", "text/csv", &half, 409, "confirm_missing=10"),
        ("keys", "11:00Z", "text/csv", "Key,Owner\n", 409, "confirm_missing=20"),
        ("keys", "09:00Z", "text/csv", &table(&rows), 409, "2026-03-01T09:10:00Z is known"),
        ("keys", "11:00Z", "text/csv", &with_secret, 400, "line 3: the name of a credential looks like a GitHub token"),
        ("keys", "11:00Z", "text/csv", &twice, 400, "line 4: 'k1' is at line 2 already"),
        ("keys", "11:00Z", "text/csv", "Owner\nada\n", 400, "there is no 'Key'"),
        ("keys", "11:00Z", "text/csv", "Key,Owner\nk1,ada,more\n", 400, "line 2: it has 3 fields"),
        ("keys", "11:00Z", "text/csv", "Key,Owner,rotated_at\nk1,ada,soon\n", 400, "'rotated_at' is 'soon'"),
        ("keys", "11:00Z", "text/csv", "Key\nk1\n", 400, "there is no 'Owner'"),
        ("keys", "11:00Z", "text/csv", &of_nobody, 409, "says of 20 no longer whose they are"),
        ("keys", "11:00Z", "text/csv", "Key,Owner,rotated_at\nk1,ada,2027-01-01\n", 400, "line 2: it was rotated at"),
        ("keys", "11:00Z", "application/json", r#"{"metadata":{"continue":"x"},"items":[]}"#, 400, "more follows"),
        ("keys", "11:00Z", "application/json", "{}", 400, "neither a list"),
        ("keys", "11:00Z", "application/json", "[1]", 400, "entry 1: it is no object: a number"),
        ("keys", "11:00Z", "application/x-ndjson", "{\"Key\":\"k1\",\"Owner\":null}\n{", 400, "line 2"),
        ("keys", "11:00Z", "application/x-ndjson", r#"{"Key":"k1","secret":"x"}"#, 400, "'secret' may be the secret"),
        ("keys", "11:00Z", "application/xml", "<a/>", 400, "content type 'application/xml'"),
        ("keys", "11:00Z&taken=1", "text/csv", &table(&rows), 400, "taken"),
        ("keys", "99:00Z", "text/csv", &table(&rows), 400, "taken_at is"),
        ("vault", "11:00Z", "application/x-ndjson", token, 400, "'id' is the token itself"),
        (
            "vault",
            "11:00Z",
            "application/x-ndjson",
            r#"{"errors":["bad token"]}"#,
            400,
            "this is an error and no token",
        ),
        ("aws", "11:00Z", "text/csv", "user,arn\nada,x\n", 400, "there is no 'password_enabled'"),
        ("theirs", "11:00Z", "text/csv", "name\nk1\n", 403, "for source 'other' to send"),
        ("unknown", "11:00Z", "text/csv", "name\nk1\n", 404, "there is no inventory 'unknown'"),
    ];
    for (name, minute, kind, body, status, detail) in cases {
        let (got, said) = put(&stage, name, &format!("{day}{minute}"), kind, body).await?;
        let text = said["detail"].as_str().unwrap_or_default();
        ensure!(got == *status && text.contains(detail), "{name} {minute} {body:.60}: {got} {said}");
        ensure!(!text.contains(secret), "the secret is repeated: {text}");
    }
    ensure!(listed(&stage, "").await?.len() == 20, "something has changed");
    let url = format!("{}/inventories/keys?taken_at={day}12:00Z", stage.rollcall.address());
    let refused = Client::new().put(&url).bearer_auth("nobody's").body(table(&rows)).send().await?;
    let form = refused.headers().get("content-type").and_then(|form| form.to_str().ok()).unwrap_or_default().to_owned();
    ensure!(refused.status() == 401 && form == "application/problem+json", "{refused:?}");
    ensure!(refused.headers().contains_key("www-authenticate"), "{refused:?}");
    let (status, said) = put(&stage, "keys", &format!("{day}11:00Z&confirm_missing=9"), "text/csv", &half).await?;
    ensure!(status == 409, "another number was taken: {status} {said}");
    let (status, said) = put(&stage, "keys", &format!("{day}11:00Z&confirm_missing=10"), "text/csv", &half).await?;
    ensure!(status == 200 && said["gone"] == 10, "{status} {said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_reported_is_to_be_revoked_at_once_and_is_told_in_a_terminal() -> anyhow::Result<()> {
    let stage = stage().await?;
    let ada = stage.join("ada").await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("keys.csv");
    std::fs::write(&file, table(&[("k1", "ada")]))?;
    let path = file.to_str().context("no path")?;
    let sent = stage.terminal(OLA, &["inventory", "keys", path, "--taken-at", "2026-03-01T09:00:00Z"]).await?;
    let said = String::from_utf8_lossy(&sent.stdout);
    ensure!(sent.status.success() && said.contains("1 listed as of 2026-03-01T09:00:00Z, 1 new"), "{sent:?}");
    let refused = stage.terminal(OLA, &["inventory", "keys", path, "--taken-at", "2026-02-01T09:00:00Z"]).await?;
    let why = String::from_utf8_lossy(&refused.stderr);
    ensure!(!refused.status.success() && why.contains("send a newer one"), "{refused:?}");

    let key = listed(&stage, "holder=ada").await?.remove(0);
    let id = key["id"].as_str().context("no id")?;
    let act = ["credentials", "compromised", id, "--reason", "in a public repository", "--yes"];
    let ola = Browser::signed_in(&stage.rollcall, "ola-secret").await?;
    let (status, page) = ola.page("/console/credentials").await?;
    ensure!(status == 200 && page.contains("k1") && page.contains("report as compromised"), "{page}");
    let (status, page) = ola.page(&format!("/console/act?do=report-credential&id={id}")).await?;
    ensure!(status == 200 && page.contains("k1") && page.contains("within the shortest time"), "{page}");
    let fields = [("do", "report-credential"), ("id", id), ("reason", "in a public repository")];
    let (status, to, page) = ola.act(&fields).await?;
    ensure!(status == 303 && to.contains("done="), "{status} {to} {page}");
    let (_, page) = ola.page("/console/credentials?is=to_revoke").await?;
    ensure!(page.contains("k1") && page.contains("compromised"), "{page}");
    let again = stage.terminal(OLA, &act).await?;
    ensure!(!again.status.success() && String::from_utf8_lossy(&again.stderr).contains("reported before"), "{again:?}");
    let (status, _) = stage
        .rollcall
        .raw(
            Method::POST,
            &format!("/v1/credentials/{id}/compromised"),
            "vic-secret",
            Some(json!({"reason": "r"}).to_string()),
        )
        .await?;
    ensure!(status == 403, "a viewer reports: {status}");
    let owed = listed(&stage, "is=to_revoke").await?.remove(0);
    ensure!(owed["obligations"][0]["change"] == "compromise" && owed["compromised_at"].is_string(), "{owed}");
    until("it is late", || async {
        let owed = listed(&stage, "is=to_revoke").await?;
        Ok((owed[0]["obligations"][0]["status"] == "overdue").then_some(()))
    })
    .await?;
    until("somebody is told", || async {
        let (_, metrics) = stage.rollcall.raw(Method::GET, "/metrics", "", None).await?;
        let metrics = metrics.as_str().unwrap_or_default();
        Ok(metrics
            .lines()
            .any(|line| line.starts_with("rollcall_revocations_overdue") && line.ends_with(" 1"))
            .then_some(()))
    })
    .await?;
    let shown = stage.terminal(OLA, &["credentials", "--is", "to_revoke"]).await?;
    ensure!(String::from_utf8_lossy(&shown.stdout).contains("k1"), "{shown:?}");
    let inventories = stage.terminal(OLA, &["inventories"]).await?;
    ensure!(String::from_utf8_lossy(&inventories.stdout).contains("keys"), "{inventories:?}");
    let timeline = stage.rollcall.items(&format!("/v1/identities/{ada}/timeline")).await?;
    let told = |part: &str| timeline.iter().any(|entry| entry["summary"].as_str().is_some_and(|s| s.contains(part)));
    ensure!(told("reports that others may know the secret of the api key k1 of ada in keys"), "{timeline:#?}");
    // Another secret: what was reported of the one before is over.
    ensure!(listed(&stage, "is=compromised").await?.len() == 1);
    std::fs::write(&file, format!("Key,Owner,rotated_at\nk1,ada,{}\n", now()))?;
    let sent = stage.terminal(OLA, &["inventory", "keys", path, "--taken-at", &now()]).await?;
    ensure!(sent.status.success(), "{sent:?}");
    ensure!(listed(&stage, "is=compromised").await?.is_empty() && listed(&stage, "is=to_revoke").await?.is_empty());
    ensure!(listed(&stage, "").await?[0]["compromised_at"].is_null());
    std::fs::write(&file, table(&[("k2", "ada")]))?;
    let sent = stage.terminal(OLA, &["inventory", "keys", path, "--taken-at", &now()]).await?;
    ensure!(sent.status.success(), "{sent:?}");
    ensure!(listed(&stage, "").await?.len() == 1, "k1 is gone");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_lists_at_once_are_never_mixed_and_one_that_broke_off_is_sent_again() -> anyhow::Result<()> {
    let stage = stage().await?;
    let keys: Vec<String> = (0..2500).map(|n| format!("k{n:04}")).collect();
    let half = |parity: usize| -> Vec<(&str, &str)> {
        keys.iter().skip(parity).step_by(2).map(|key| (key.as_str(), "ada")).collect()
    };
    let (even, odd) = (half(0), half(1));
    let (even, odd) = (table(&even), table(&odd));
    let (one, other) = tokio::join!(
        put(&stage, "keys", "2026-03-01T09:00:00Z", "text/csv", &even),
        put(&stage, "keys", "2026-03-01T09:00:00Z", "text/csv", &odd)
    );
    let (one, other) = (one?, other?);
    let taken = if one.0 == 200 { "even" } else { "odd" };
    ensure!((one.0, other.0) == (200, 409) || (one.0, other.0) == (409, 200), "{one:?} {other:?}");
    let all = listed(&stage, "").await?;
    let parity = usize::from(taken == "odd");
    let is_of = |one: &Value| one["name"].as_str().and_then(|name| name[1..].parse::<usize>().ok()).map(|n| n % 2);
    ensure!(all.len() == 1250 && all.iter().all(|one| is_of(one) == Some(parity)), "{taken}: {} are listed", all.len());

    // A list of all of them is cut off: whatever was said stays, and the same list says the rest.
    let whole = table(&keys.iter().map(|key| (key.as_str(), "ada")).collect::<Vec<_>>());
    let killed = async {
        until("a part of it is said", || async {
            let parts = stage.events("inventory.read").await?;
            Ok((parts.len() > 2).then_some(()))
        })
        .await?;
        stage.rollcall.kill().await
    };
    let (sent, killed) = tokio::join!(put(&stage, "keys", "2026-03-01T09:01:00Z", "text/csv", &whole), killed);
    killed?;
    stage.rollcall.start().await?;
    let said = match sent {
        Ok((200, said)) => said,
        _ => {
            let (status, said) = put(&stage, "keys", "2026-03-01T09:01:00Z", "text/csv", &whole).await?;
            ensure!(status == 200, "{status} {said}");
            said
        }
    };
    ensure!(said["gone"] == 0 && listed(&stage, "").await?.len() == 2500, "{said}");
    let (status, again) = put(&stage, "keys", "2026-03-01T09:01:00Z", "text/csv", &whole).await?;
    ensure!(status == 200 && again["added"] == 0 && again["changed"] == 0, "{status} {again}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_somebody_who_was_deleted_is_theirs_whoever_has_their_name_by_now() -> anyhow::Result<()> {
    let stage = stage().await?;
    let user = json!({ "schemas": [USER], "userName": "ada", "externalId": "e-7" });
    let made = stage.rollcall.scim(Method::POST, "/Users", &user).await?;
    let ada = made["id"].as_str().context("no id")?;
    stage.verified(ada).await?;
    stage.leave(ada).await?;
    until("Ada is complete", || async { Ok(stage.leaver(ada).await?["completed_at"].as_str().map(drop)) }).await?;
    // The first list that there ever is comes after they were deleted.
    let (status, said) = put(&stage, "keys", &now(), "text/csv", &table(&[("k1", "ada")])).await?;
    ensure!(status == 200 && said["ofNobody"] == 0, "{status} {said}");
    let (status, said) = put(&stage, "by-id", &now(), "text/csv", "name,holder\nk9,e-7\n").await?;
    ensure!(status == 200 && said["ofNobody"] == 0, "{status} {said}");
    let owed = listed(&stage, "is=to_revoke").await?;
    ensure!(owed.len() == 2 && owed.iter().all(|one| one["holder"]["id"] == ada), "{owed:?}");

    let other = stage.join("ada").await?;
    let (status, said) = put(&stage, "keys", &now(), "text/csv", &table(&[("k1", "ada"), ("k2", "ada")])).await?;
    ensure!(status == 200, "{status} {said}");
    let of = |all: Vec<Value>, name: &str| all.into_iter().find(|one| one["name"] == name).context("it is not listed");
    let key = of(listed(&stage, "").await?, "k2")?;
    ensure!(key["holder"]["id"] == *other && key["obligations"] == json!([]), "{key}");
    // Who had it before may know it: that stays owed.
    let key = of(listed(&stage, "is=to_revoke").await?, "k1")?;
    ensure!(key["obligations"][0]["identity"] == ada, "{key}");
    ensure!(listed(&stage, &format!("holder={ada}")).await?.len() == 2, "what they owe is not shown with them");
    Ok(())
}
