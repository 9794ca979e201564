//! A person is erased: nothing of what was personal is left anywhere, and everything else is as it was.

use std::path::Path;

use anyhow::{Context as _, ensure};
use reqwest::Method;
use rollcall_tests::rollcall::{SOURCE_TOKEN, command};
use rollcall_tests::stage::{APP, Stage, USER};
use rollcall_tests::{App, Faulty, Receiver, Rollcall, Script, until};
use serde_json::{Value, json};

const PEOPLE: &str = "[[api_tokens]]\nname = \"ola\"\nrole = \"operator\"\ntoken = \"ola-secret\"\n\
                      [[api_tokens]]\nname = \"ada\"\nrole = \"admin\"\ntoken = \"ada-secret\"\n\
                      [[api_tokens]]\nname = \"eva\"\nrole = \"admin\"\ntoken = \"eva-secret\"\n";

/// What every attribute of the person has in it, and nothing else.
const MARKERS: [&str; 9] =
    ["zqanna", "zqdisplay", "zqtitle", "zqgiven", "zqfamily", "zqmail", "zqexternal", "zqdrifted", "zqreason"];

async fn stage() -> anyhow::Result<(Stage, Receiver)> {
    let (app, hook) = (Faulty::start().await?, Receiver::start().await?);
    app.tell(APP, &Script::default()).await?;
    let apps = [App {
        deprovision: "delete",
        leaver_sla: "2s",
        assign: "active eq true",
        tables: "[apps.drift]\nattribute = \"report\"\n",
        ..App::usual(APP, app.base_url(APP))
    }];
    let alerts =
        format!("[[alerts]]\nkind = \"webhook\"\nurl = \"{}/hook\"\nsigning_secret = \"hook-secret-4c1d\"\n", hook.url);
    let rollcall = Rollcall::new(&apps, &format!("{PEOPLE}{alerts}"))?;
    rollcall.start().await?;
    Ok((Stage { app, rollcall }, hook))
}

async fn ask(stage: &Stage, path: &str, token: &str, body: &Value) -> anyhow::Result<(u16, Value)> {
    let (status, answer) = stage.rollcall.raw(Method::POST, path, token, Some(body.to_string())).await?;
    Ok((status.as_u16(), answer))
}

/// The markers that are somewhere in a text.
fn marked(text: &[u8]) -> Vec<&'static str> {
    let is_in = |marker: &&str| text.windows(marker.len()).any(|found| found == marker.as_bytes());
    MARKERS.into_iter().filter(is_in).collect()
}

/// Every file under a folder that a marker is in.
fn marked_files(folder: &Path) -> anyhow::Result<Vec<String>> {
    let (mut open, mut found) = (vec![folder.to_owned()], Vec::new());
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let markers = marked(&std::fs::read(&path)?);
            if !markers.is_empty() {
                found.push(format!("{}: {markers:?}", path.display()));
            }
        }
    }
    Ok(found)
}

/// Someone with a marker in every attribute joins, moves, is changed by hand in the app, has an exception, and leaves.
async fn a_life(stage: &Stage) -> anyhow::Result<String> {
    let user = json!({
        "schemas": [USER], "userName": "zqanna", "displayName": "zqdisplay", "title": "zqtitle", "externalId": "zqexternal",
        "name": { "givenName": "zqgiven", "familyName": "zqfamily" }, "emails": [{ "value": "zqmail@example.com" }],
    });
    // Her account is there before anybody knows whose it is.
    let nobodys = json!({ "id": "o-1", "userName": "zqanna", "displayName": "zqdisplay", "active": true });
    stage.app.by_hand(APP, |users| {
        users.extend(nobodys.as_object().map(|user| ("o-1".to_owned(), user.clone())));
    });
    let compare = async || {
        let (status, answer) = ask(stage, &format!("/v1/apps/{APP}/reconcile"), "ola-secret", &json!({})).await?;
        ensure!(status == 202, "{status} {answer}");
        Ok(())
    };
    compare().await?;
    until("it is nobody's", || async {
        let items = stage.rollcall.items("/v1/drift").await?;
        Ok(items.iter().any(|item| item["kind"] == "orphan").then_some(()))
    })
    .await?;
    let made = stage.rollcall.scim(Method::POST, "/Users", &user).await?;
    let id = made["id"].as_str().context("no id")?.to_owned();
    stage.verified(&id).await?;
    let operations = json!([{ "op": "replace", "path": "title", "value": "zqtitle two" }]);
    let patch = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations });
    stage.rollcall.scim(Method::PATCH, &format!("/Users/{id}"), &patch).await?;
    stage.verified(&id).await?;
    stage.app.by_hand(APP, |users| {
        for user in users.values_mut() {
            user.insert("title".to_owned(), "zqdrifted".into());
        }
    });
    compare().await?;
    let item = until("it is found", || async {
        let items = stage.rollcall.items("/v1/drift").await?;
        Ok(items.into_iter().find(|item| item["kind"] == "attribute"))
    })
    .await?;
    let path = format!("/v1/drift/{}/accept", item["id"].as_str().context("no id")?);
    let expires_at = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1)).to_string();
    let body = json!({ "reason": "zqreason: she asked for it", "expires_at": expires_at });
    let (status, answer) = ask(stage, &path, "ola-secret", &body).await?;
    ensure!(status == 202, "{status} {answer}");
    // Somebody is told that she has left and still has access.
    stage.app.tell(APP, &Script { fails: 1_000_000, ..Script::default() }).await?;
    stage.leave(&id).await?;
    stage.seen("alert.fired").await?;
    stage.app.tell(APP, &Script::default()).await?;
    stage.verified(&id).await?;
    stage.all_ended().await?;
    stage.seen("alert.resolved").await?;
    Ok(id)
}

/// All that the API says of someone, but for what is about the erasure itself.
async fn said_of(stage: &Stage, id: &str) -> anyhow::Result<String> {
    let mut all = String::new();
    for path in [
        format!("/v1/identities/{id}"),
        format!("/v1/identities/{id}/timeline?limit=100"),
        "/v1/timeline?limit=100".to_owned(),
        "/v1/obligations".to_owned(),
        "/v1/leavers".to_owned(),
        "/v1/drift".to_owned(),
        "/v1/export?format=ndjson".to_owned(),
        "/v1/export?format=csv".to_owned(),
        "/v1/export?format=ocsf".to_owned(),
        format!("/v1/export?format=ndjson&identity={id}"),
        "/metrics".to_owned(),
    ] {
        let answer = reqwest::Client::new()
            .get(format!("{}{path}", stage.rollcall.address()))
            .bearer_auth("ada-secret")
            .send()
            .await?;
        ensure!(answer.status().is_success(), "{path}: {}", answer.status());
        all.push_str(&answer.text().await?);
    }
    Ok(all)
}

async fn export_of_all(stage: &Stage) -> anyhow::Result<String> {
    let url = format!("{}/v1/export", stage.rollcall.address());
    let answer = reqwest::Client::new().get(url).bearer_auth("ada-secret").send().await?;
    Ok(answer.error_for_status()?.text().await?)
}

/// What was owed, and what became of it.
async fn owed(stage: &Stage) -> anyhow::Result<Vec<Value>> {
    let all = stage.rollcall.items("/v1/obligations").await?;
    let parts = ["id", "change", "status", "opened_at", "deadline", "applied_at", "verified_at"];
    Ok(all.iter().map(|o| parts.iter().map(|part| o[part].clone()).collect()).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_personal_is_left_of_who_was_erased_and_all_else_is_as_it_was() -> anyhow::Result<()> {
    let (stage, _hook) = stage().await?;
    let id = a_life(&stage).await?;
    let other = stage.join("ben").await?;
    stage.verified(&other).await?;
    let (before, owed_before) = (said_of(&stage, &id).await?, owed(&stage).await?);
    ensure!(marked(before.as_bytes()).len() >= 8, "the markers are not shown before: {:?}", marked(before.as_bytes()));
    let mut export = command();
    export.args(["export", "--identity", &id]).env("ROLLCALL_SERVER", stage.rollcall.address());
    let output = export.env("ROLLCALL_API_TOKEN", "ada-secret").output().await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let bundle = output.stdout;
    let all: Value = serde_json::from_slice(&bundle)?;
    ensure!(marked(&bundle).len() == MARKERS.len() && all["known_now"]["id"] == id.as_str(), "{:?}", marked(&bundle));
    let exported = export_of_all(&stage).await?;
    let path = format!("/v1/identities/{id}/erase");
    let body = json!({ "reason": "they asked for it", "legal_basis": "GDPR Art. 17(1)(b)" });
    let (status, asked) = ask(&stage, &path, "ada-secret", &body).await?;
    ensure!(status == 202, "{status} {asked}");
    let approve = format!("/v1/approvals/{}/approve", asked["approval"].as_str().context("done by one person")?);
    ensure!(ask(&stage, &approve, "ada-secret", &json!({})).await?.0 == 403, "who asks does not approve");
    ensure!(ask(&stage, &approve, "ola-secret", &json!({})).await?.0 == 403, "it takes an admin");
    let (status, answer) = ask(&stage, &approve, "eva-secret", &json!({})).await?;
    ensure!(status == 202, "{status} {answer}");
    let identity = stage.rollcall.api(&format!("/v1/identities/{id}")).await?;
    ensure!(identity["content"] == "erased", "{identity}");
    let after = said_of(&stage, &id).await?;
    ensure!(marked(after.as_bytes()).is_empty(), "still said: {:?} in {after}", marked(after.as_bytes()));
    ensure!(owed(&stage).await? == owed_before, "what was owed is not what it was");
    let (status, again) = ask(&stage, &path, "ada-secret", &body).await?;
    ensure!(status == 409 && again["detail"].as_str().is_some_and(|d| d.contains("already")), "{status} {again}");
    // What was signed before the erasure is what was signed, in an export made before and in one made after.
    let key =
        stage.rollcall.api("/v1/checkpoints/latest").await?["public_keys"][0].as_str().context("no key")?.to_owned();
    for (name, export) in [("before", exported), ("after", export_of_all(&stage).await?)] {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), &export)?;
        let mut verify = command();
        let output = verify.arg("verify").arg(file.path()).args(["--key", &key, "--allow-unproved"]).output().await?;
        let said = String::from_utf8_lossy(&output.stdout);
        let line = said.split("event ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or_default().to_owned();
        let shown = export.lines().find(|l| l.contains(&format!("\"sequence\":{line},"))).unwrap_or_default();
        ensure!(output.status.success(), "{name}: {said} {shown}");
    }
    // Ben is as he was, and her name is free.
    let ben = stage.rollcall.api(&format!("/v1/identities/{other}")).await?;
    ensure!(ben["user_name"] == "ben" && ben["content"] == "open", "{ben}");
    let found = stage.rollcall.raw(Method::GET, &format!("/scim/v2/Users/{id}"), SOURCE_TOKEN, None).await?;
    ensure!(found.0 == 404, "{found:?}");
    stage.join("ZQANNA").await?;
    stage.rollcall.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_disk_nor_a_state_that_is_built_again_has_anything_of_who_was_erased() -> anyhow::Result<()> {
    let (stage, _hook) = stage().await?;
    let id = a_life(&stage).await?;
    let body = json!({ "reason": "they asked for it", "legal_basis": "GDPR Art. 17(1)(b)" });
    let (status, asked) = ask(&stage, &format!("/v1/identities/{id}/erase"), "ada-secret", &body).await?;
    ensure!(status == 202, "{status} {asked}");
    let approve = format!("/v1/approvals/{}/approve", asked["approval"].as_str().context("done by one person")?);
    ensure!(ask(&stage, &approve, "eva-secret", &json!({})).await?.0 == 202);
    let log = std::fs::read_to_string(stage.rollcall.log_file())?;
    ensure!(marked(log.as_bytes()).is_empty(), "in our own log: {:?}", marked(log.as_bytes()));
    until("the key is destroyed", || async {
        Ok(std::fs::read_to_string(stage.rollcall.log_file())?.contains("are destroyed").then_some(()))
    })
    .await?;
    let owed_before = owed(&stage).await?;
    stage.rollcall.stop().await?;
    let data = stage.rollcall.data_dir();
    let nats = marked_files(&data.join("nats"))?;
    ensure!(nats.is_empty(), "on the log's disk: {nats:?}");
    for service in ["gateway", "projector", "provisioner", "sla-monitor"] {
        std::fs::remove_dir_all(data.join(service))?;
    }
    stage.rollcall.start().await?;
    let identity = stage.rollcall.api(&format!("/v1/identities/{id}")).await?;
    ensure!(identity["content"] == "erased" && identity["lifecycle"] == "left", "{identity}");
    let after = said_of(&stage, &id).await?;
    ensure!(marked(after.as_bytes()).is_empty(), "{after}");
    ensure!(owed(&stage).await? == owed_before, "{:?} is not {owed_before:?}", owed(&stage).await?);
    stage.join("zqanna").await?;
    stage.rollcall.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_erased_who_has_access_and_an_account_that_an_app_keeps_is_deleted_first() -> anyhow::Result<()> {
    let app = Faulty::start().await?;
    app.tell(APP, &Script::default()).await?;
    let apps = [App { assign: "active eq true", ..App::usual(APP, app.base_url(APP)) }];
    let rollcall = Rollcall::new(&apps, PEOPLE)?;
    rollcall.start().await?;
    let stage = Stage { app, rollcall };
    let id = stage.join("anna").await?;
    stage.verified(&id).await?;
    let path = format!("/v1/identities/{id}/erase");
    let body = json!({ "reason": "they asked for it", "legal_basis": "GDPR Art. 17(1)(b)" });
    let refused = async |why: &str| -> anyhow::Result<()> {
        let (status, answer) = ask(&stage, &path, "ada-secret", &body).await?;
        ensure!(
            status == 409 && answer["detail"].as_str().is_some_and(|d| d.contains(why)),
            "{why}: {status} {answer}"
        );
        Ok(())
    };
    refused("they have not left").await?;
    for (token, body, wanted) in [
        ("ola-secret", body.clone(), 403),
        ("ada-secret", json!({ "reason": "", "legal_basis": "x" }), 400),
        ("ada-secret", json!({ "reason": "x" }), 400),
    ] {
        let (status, answer) = ask(&stage, &path, token, &body).await?;
        ensure!(status == wanted, "{token} {body}: {status} {answer}");
    }
    stage.leave(&id).await?;
    stage.verified(&id).await?;
    stage.all_ended().await?;
    let ben = stage.join("ben").await?;
    stage.verified(&ben).await?;
    // The same from the terminal. The app keeps her account, inactive: that is deleted first.
    let rollcall = async |args: &[&str]| -> anyhow::Result<String> {
        let mut erase = command();
        erase.args(args).env("ROLLCALL_SERVER", stage.rollcall.address()).env("ROLLCALL_API_TOKEN", "ada-secret");
        let output = erase.output().await?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
    };
    let nobody = rollcall(&["erase", "--list"]).await?;
    ensure!(nobody.contains("nobody is to be erased"), "{nobody}");
    let said =
        rollcall(&["erase", &id, "--reason", "they asked for it", "--legal-basis", "GDPR Art. 17(1)(b)", "--json"])
            .await?;
    let asked: Value = serde_json::from_str(&said).context(said)?;
    ensure!(asked["waits_for"].as_array().is_some_and(|all| all.len() == 1), "{asked}");
    let approve = format!("/v1/approvals/{}/approve", asked["approval"].as_str().context("done by one person")?);
    // It is not deleted as long as the app is down, and who waits for that is on a list.
    stage.app.tell(APP, &Script { fails: 1_000_000, ..Script::default() }).await?;
    let (status, answer) = ask(&stage, &approve, "eva-secret", &json!({})).await?;
    ensure!(status == 202, "{status} {answer}");
    let list = rollcall(&["erase", "--list"]).await?;
    ensure!(list.contains("ordered") && list.contains(&id) && list.contains("keeps an account"), "{list}");
    refused("to be erased already").await?;
    stage.app.tell(APP, &Script::default()).await?;
    until("she is erased", || async {
        let identity = stage.rollcall.api(&format!("/v1/identities/{id}")).await?;
        Ok((identity["content"] == "erased").then_some(()))
    })
    .await?;
    let left: Vec<String> = stage.app.users(APP).iter().map(|user| user["userName"].to_string()).collect();
    ensure!(left == ["\"ben\""], "{left:?}");
    let rest = stage.rollcall.items("/v1/obligations?change=residue").await?;
    ensure!(rest.len() == 1 && rest.iter().all(|owed| owed["status"] == "verified"), "{rest:?}");
    stage.rollcall.stop().await?;
    // The installation's key is replaced, and everything is as it was.
    let file = stage.rollcall.data_dir().join("installation-key");
    let new = command().args(["keys", "new"]).output().await?.stdout;
    let both = String::from_utf8_lossy(&new).into_owned() + &std::fs::read_to_string(&file)?;
    std::fs::write(&file, &both)?;
    let mut rotate = command();
    rotate.args(["keys", "rotate", "--config"]).arg(stage.rollcall.config_file());
    let output = rotate.arg("--data-dir").arg(stage.rollcall.data_dir()).output().await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::write(&file, &new)?;
    stage.rollcall.start().await?;
    let same = stage.rollcall.api(&format!("/v1/identities/{ben}")).await?;
    ensure!(same["user_name"] == "ben", "{same}");
    stage.rollcall.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_left_long_enough_ago_is_erased_of_itself_and_again_after_an_older_backup_was_restored()
-> anyhow::Result<()> {
    let app = Faulty::start().await?;
    app.tell(APP, &Script::default()).await?;
    let apps = [App { assign: "active eq true", ..App::usual(APP, app.base_url(APP)) }];
    let folder = tempfile::tempdir()?;
    let register = folder.path().join("erasures.ndjson");
    let privacy = format!("[privacy]\nerase_left_after = \"1s\"\nerasure_register = {register:?}\n");
    let rollcall = Rollcall::new(&apps, &format!("{PEOPLE}{privacy}"))?;
    rollcall.start().await?;
    let stage = Stage { app, rollcall };
    let id = a_short_life(&stage).await?;
    stage.rollcall.stop().await?;
    // While she was there: encrypted, and it can be restored.
    let pair = String::from_utf8(command().args(["keys", "backup"]).output().await?.stdout)?;
    let recipient = pair.lines().find_map(|line| line.strip_prefix("# public key: ")).context(pair.clone())?.to_owned();
    let (private, backup) = (folder.path().join("private-key"), folder.path().join("log.backup"));
    std::fs::write(&private, &pair)?;
    let operate = async |args: &[&str], file: &Path, config: bool| -> anyhow::Result<(bool, String)> {
        let mut run = command();
        run.args(args).arg(file);
        if config {
            run.arg("--config").arg(stage.rollcall.config_file()).arg("--data-dir").arg(stage.rollcall.data_dir());
        }
        let output = run.output().await?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        Ok((output.status.success(), said))
    };
    let (good, said) = operate(&["backup", "--recipient", &recipient], &backup, true).await?;
    ensure!(good && !said.contains("encrypted"), "{said}");
    let bytes = [std::fs::read(&backup)?, std::fs::read(folder.path().join("log.backup.keys"))?].concat();
    ensure!(bytes.starts_with(b"age-encryption.org/v1") && !bytes.windows(8).any(|b| b == b"rollcall"));
    let key = private.to_str().context("no path")?;
    let (good, said) = operate(&["backup", "verify", "--identity", key], &backup, false).await?;
    ensure!(good && said.contains("can be restored") && !said.contains("does not"), "{said}");
    let (good, said) = operate(&["backup", "verify"], &backup, false).await?;
    ensure!(!good && said.contains("--identity FILE"), "{said}");
    let cut = folder.path().join("cut.backup");
    std::fs::write(&cut, std::fs::read(&backup)?.split_last_chunk::<100>().context("it is short")?.0)?;
    let (good, said) = operate(&["backup", "verify", "--identity", key], &cut, false).await?;
    ensure!(!good, "{said}");
    // She leaves, and is erased without anybody's word.
    stage.rollcall.start().await?;
    stage.leave(&id).await?;
    let erased = || async {
        let identity = stage.rollcall.api(&format!("/v1/identities/{id}")).await?;
        Ok((identity["content"] == "erased" && identity["lifecycle"] == "left").then_some(()))
    };
    until("she is erased", erased).await?;
    until("it is in the register", || async { Ok(register.exists().then_some(())) }).await?;
    stage.rollcall.stop().await?;
    let written = std::fs::read_to_string(&register)?;
    ensure!(
        written.lines().count() == 1 && written.contains(&id) && marked(written.as_bytes()).is_empty(),
        "{written}"
    );
    // Everything is lost, and the older backup is restored.
    for part in ["nats", "gateway", "projector", "provisioner", "sla-monitor"] {
        std::fs::remove_dir_all(stage.rollcall.data_dir().join(part))?;
    }
    let (good, said) = operate(&["restore", "--identity", key], &backup, true).await?;
    ensure!(good && said.contains("of 1 in") && said.contains("1 were not erased"), "{said}");
    let nats = marked_files(&stage.rollcall.data_dir().join("nats"))?;
    ensure!(nats.is_empty(), "on the log's disk: {nats:?}");
    stage.rollcall.start().await?;
    until("she is erased again", erased).await?;
    stage.all_ended().await?;
    let after = said_of(&stage, &id).await?;
    ensure!(marked(after.as_bytes()).is_empty(), "{after}");
    stage.rollcall.stop().await
}

/// Someone with markers joins.
async fn a_short_life(stage: &Stage) -> anyhow::Result<String> {
    let user = json!({ "schemas": [USER], "userName": "zqanna", "displayName": "zqdisplay", "title": "zqtitle" });
    let made = stage.rollcall.scim(Method::POST, "/Users", &user).await?;
    let id = made["id"].as_str().context("no id")?.to_owned();
    stage.verified(&id).await?;
    Ok(id)
}

/// Of them it would not be known any more that they have left, and their token would open again what it opened.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_erased_whom_a_token_names_by_a_user_name() -> anyhow::Result<()> {
    let app = Faulty::start().await?;
    app.tell(APP, &Script::default()).await?;
    let apps = [App { assign: "active eq true", deprovision: "delete", ..App::usual(APP, app.base_url(APP)) }];
    let by_name = "[[api_tokens]]\nname = \"annas\"\nrole = \"viewer\"\nidentity = \"ANNA\"\ntoken = \"anna-secret\"\n";
    let rollcall = Rollcall::new(&apps, &format!("{PEOPLE}{by_name}"))?;
    rollcall.start().await?;
    let stage = Stage { app, rollcall };
    let [anna, ben] = [stage.join("anna").await?, stage.join("ben").await?];
    for id in [&anna, &ben] {
        stage.leave(id).await?;
        stage.verified(id).await?;
    }
    stage.all_ended().await?;
    let body = json!({ "reason": "they asked for it", "legal_basis": "GDPR Art. 17(1)(b)" });
    for (id, wanted) in [(&anna, 409), (&ben, 202)] {
        let (status, answer) = ask(&stage, &format!("/v1/identities/{id}/erase"), "ada-secret", &body).await?;
        ensure!(status == wanted, "{status} {answer}");
        ensure!(wanted == 202 || answer["detail"].to_string().contains("the token 'annas'"), "{answer}");
    }
    Ok(())
}
