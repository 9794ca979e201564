//! Apps that people change, and of which a list of accounts can be read: the list verifies what people say, or shows that it is not so.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use reqwest::Method;
use rollcall_tests::stage::{APP, Stage};
use rollcall_tests::{App, Faulty, Rollcall, Script, until};
use serde_json::{Value, json};
use tempfile::TempDir;

const OLA: &str = "ola-secret";

/// A Rollcall with an app of which there is a list.
struct Listing {
    stage: Stage,
    folder: TempDir,
}

impl Listing {
    async fn start(keys: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("legacy.csv");
        let app = Faulty::start().await?;
        app.tell(APP, &Script::default()).await?;
        let apps = [App { assign: "title eq \"Nobody\"", ..App::usual(APP, app.base_url(APP)) }];
        let tables = format!(
            r#"
[[apps]]
id = "legacy"
kind = "list"
owner = "mo"
assign = "active eq true"
probe_every = "500ms"
quarantine_after = 4
reconcile_every = "2s"
sla = {{ joiner = "10m", mover = "10m", leaver = "10m" }}
[apps.list]
file = "{}"
columns = {{ userName = "Login", active = "State", title = "Job" }}
{keys}
[[api_tokens]]
name = "ola"
role = "operator"
token = "ola-secret"
"#,
            file.display()
        );
        let rollcall = Rollcall::new(&apps, &tables)?;
        let listing = Self { stage: Stage { app, rollcall }, folder };
        listing.write(&[("root", "active", "")])?;
        listing.stage.rollcall.start().await?;
        Ok(listing)
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("legacy.csv")
    }

    /// A whole list, at once.
    fn write(&self, rows: &[(&str, &str, &str)]) -> anyhow::Result<()> {
        let mut text = "Login,State,Job\n".to_owned();
        rows.iter().try_for_each(|(login, state, job)| writeln!(text, "{login},{state},{job}"))?;
        let beside = self.folder.path().join("beside");
        std::fs::write(&beside, text)?;
        // The clock of files is coarser than ours.
        std::fs::File::options().write(true).open(&beside)?.set_modified(std::time::SystemTime::now())?;
        Ok(std::fs::rename(beside, self.file())?)
    }

    async fn account(&self, id: &str) -> anyhow::Result<Value> {
        let shown = self.stage.rollcall.api(&format!("/v1/identities/{id}")).await?;
        let accounts = shown["accounts"].as_array().cloned().unwrap_or_default();
        accounts.into_iter().find(|account| account["app"] == "legacy").context("no account")
    }

    async fn verified(&self, id: &str) -> anyhow::Result<()> {
        until("the list shows it", || async { Ok((self.account(id).await?["verified"] == true).then_some(())) }).await
    }

    async fn tasks(&self) -> anyhow::Result<Vec<Value>> {
        self.stage.rollcall.items("/v1/tasks?app=legacy").await
    }

    /// Waits for the only task to be so, and returns it.
    async fn task(&self, status: &str) -> anyhow::Result<Value> {
        until(&format!("the task is {status}"), || async {
            let found = self.tasks().await?;
            Ok(found.into_iter().find(|task| task["status"] == status))
        })
        .await
    }

    async fn done(&self, task: &Value) -> anyhow::Result<()> {
        let path = format!("/v1/tasks/{}/done", task["id"].as_str().context("no id")?);
        let (status, said) = self.stage.rollcall.raw(Method::POST, &path, OLA, None).await?;
        ensure!(status == 202, "{status} {said}");
        Ok(())
    }

    async fn drift(&self, kind: &str) -> anyhow::Result<Vec<Value>> {
        let all = self.stage.rollcall.items("/v1/drift?app=legacy").await?;
        Ok(all.into_iter().filter(|item| item["kind"] == kind).collect())
    }

    async fn health(&self) -> anyhow::Result<Value> {
        Ok(self.stage.rollcall.api("/v1/apps/legacy").await?["health"].clone())
    }

    /// Waits until the app is left alone, and returns why.
    async fn left_alone(&self) -> anyhow::Result<String> {
        until("the list is not believed", || async {
            Ok(self.health().await?["reason"]["detail"].as_str().map(str::to_owned))
        })
        .await
    }
}

/// Her account was renamed by hand before she left. Names are all that the list has.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_called_otherwise_on_a_list_without_ids_is_not_gone() -> anyhow::Result<()> {
    let listing = Listing::start("").await?;
    let stage = &listing.stage;
    until("root is nobody's", || async { Ok((listing.drift("orphan").await?.len() == 1).then_some(())) }).await?;
    let [ada, ben, cy] = [stage.join("ada").await?, stage.join("ben").await?, stage.join("cy").await?];
    let bens = ("ben", "enabled", "");
    let (root, cys) = (("root", "active", ""), ("cy", "enabled", ""));
    listing.write(&[root, cys, bens, ("ada", "enabled", "")])?;
    listing.verified(&ada).await?;
    listing.verified(&ben).await?;
    listing.verified(&cy).await?;
    let renamed = ("ada.smith", "enabled", "");
    listing.write(&[root, cys, bens, renamed])?;
    until("ada.smith is nobody's", || async { Ok((listing.drift("orphan").await?.len() == 2).then_some(())) }).await?;
    stage.leave(&ada).await?;
    listing.task("open").await?;
    // A list after she left.
    listing.write(&[root, cys, bens, renamed])?;
    let compared = || async { Ok::<_, anyhow::Error>(stage.events("reconciliation.completed").await?.len()) };
    let before = compared().await?;
    until("the list was compared", || async { Ok((compared().await? > before + 1).then_some(())) }).await?;
    let shown = listing.account(&ada).await?;
    ensure!(shown["verified"] == false && stage.leaver(&ada).await?["gone_at"].is_null(), "she is there: {shown}");
    // Somebody says that it is done: it is their word.
    listing.done(&listing.task("open").await?).await?;
    listing.write(&[root, cys, bens])?;
    listing.verified(&ada).await?;
    // With his somebody has come: that may be him, until it is gone, too. Root was there when he was.
    stage.leave(&ben).await?;
    listing.write(&[root, cys, ("svc-new", "enabled", "")])?;
    listing.task("open").await?;
    until("svc-new is nobody's", || async {
        Ok(listing.drift("orphan").await?.iter().any(|item| item["user_name"] == "svc-new").then_some(()))
    })
    .await?;
    ensure!(listing.account(&ben).await?["verified"] == false, "svc-new may be his");
    listing.write(&[root, cys])?;
    listing.verified(&ben).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_list_that_is_newer_than_what_was_said_proves_it() -> anyhow::Result<()> {
    let listing = Listing::start("").await?;
    let stage = &listing.stage;
    let ada = stage.join("ada").await?;
    let task = listing.task("open").await?;
    ensure!(task["to_do"][0].as_str().is_some_and(|text| text.contains("ada, or switch")), "{task}");
    // Somebody makes it and says nothing: the next list shows it all the same.
    listing.write(&[("root", "active", ""), ("Ada", "enabled", "Dev")])?;
    listing.verified(&ada).await?;
    ensure!(listing.tasks().await?.is_empty(), "it is still to do");

    stage.leave(&ada).await?;
    let task = listing.task("open").await?;
    listing.done(&task).await?;
    let task = listing.task("attested").await?;
    ensure!(task["attested_by"] == "ola", "{task}");
    let leaver = stage.leaver(&ada).await?;
    ensure!(leaver["completed_at"].is_null() && leaver["gone_at"].is_null(), "a word is enough: {leaver}");
    ensure!(leaver["obligations"][0]["status"] == "applied", "{leaver}");

    // It is not so, says the next list.
    listing.write(&[("root", "active", ""), ("ada", "enabled", "Dev")])?;
    let task = until("the word is refuted", || async {
        Ok(listing.tasks().await?.into_iter().find(|task| task["refuted"] == true))
    })
    .await?;
    ensure!(task["status"] == "open", "{task}");
    ensure!(listing.drift("zombie").await?.len() == 1, "nobody is told");
    listing.done(&task).await?;
    listing.write(&[("root", "active", ""), ("ada", "Disabled", "Dev")])?;
    listing.verified(&ada).await?;
    let leaver = stage.leaver(&ada).await?;
    ensure!(leaver["status"] == "completed" && leaver["gone_at"].is_string(), "{leaver}");
    ensure!(leaver["attested"] == json!([]), "what a list has shown is called a word: {leaver}");
    ensure!(listing.drift("zombie").await?.is_empty(), "it is still open");

    // And she is back in a later list: what was verified once is compared with each.
    listing.write(&[("root", "active", ""), ("ada", "active", "Dev")])?;
    until("the zombie is found", || async { Ok(listing.drift("zombie").await?.pop()) }).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_of_nobody_are_found_and_a_list_that_suddenly_lacks_many_is_not_believed() -> anyhow::Result<()> {
    let listing = Listing::start("").await?;
    let stage = &listing.stage;
    let orphan = until("the orphan is found", || async { Ok(listing.drift("orphan").await?.pop()) }).await?;
    ensure!(orphan.to_string().contains("root"), "{orphan}");
    let mut ids = Vec::new();
    for name in ["ada", "bea", "cy", "dee", "eve"] {
        ids.push(stage.join(name).await?);
    }
    let all = ["ada", "bea", "cy", "dee", "eve"].map(|name| (name, "active", "Dev"));
    listing.write(&all)?;
    for id in &ids {
        listing.verified(id).await?;
    }
    until("the orphan is gone", || async { Ok(listing.drift("orphan").await?.is_empty().then_some(())) }).await?;

    // Eve leaves, and a list that was cut off would prove her gone.
    stage.leave(&ids[4]).await?;
    listing.task("open").await?;
    listing.write(&all[..2])?;
    let why = listing.left_alone().await?;
    ensure!(why.contains("2 of 4 accounts that must be there are missing"), "{why}");
    ensure!(stage.leaver(&ids[4]).await?["gone_at"].is_null(), "a list that was cut off proves her gone");
    ensure!(listing.drift("missing").await?.is_empty(), "a list that was cut off is compared");
    // Somebody says that they are gone.
    let (status, said) = stage.decide("/v1/sync", &json!({ "app": "legacy" })).await?;
    ensure!(status == 409, "to look once more says nothing of them: {status} {said}");
    let told = stage.rollcall.api("/v1/apps/legacy").await?["health"]["event"].clone();
    let gone = json!({ "told": told, "reason": "they have all left" });
    let (status, said) = stage.decide("/v1/apps/legacy/gone", &gone).await?;
    ensure!(status == 202, "{status} {said}");
    until("it is believed", || async { Ok(stage.leaver(&ids[4]).await?["gone_at"].as_str().map(drop)) }).await?;
    until("the rest is missing", || async { Ok((listing.drift("missing").await?.len() == 2).then_some(())) }).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_wrong_or_old_or_away_is_named_and_proves_nothing() -> anyhow::Result<()> {
    let listing = Listing::start("max_age = \"8s\"").await?;
    let stage = &listing.stage;
    let (ada, bea) = (stage.join("ada").await?, stage.join("bea").await?);
    listing.write(&[("ada", "active", "Dev"), ("bea", "active", "Dev")])?;
    listing.verified(&ada).await?;
    listing.verified(&bea).await?;
    stage.leave(&ada).await?;
    listing.write(&[("bea", "perhaps", "Dev")])?;
    let why = listing.left_alone().await?;
    ensure!(why.contains("line 2: 'State' is 'perhaps'"), "{why}");
    std::fs::remove_file(listing.file())?;
    until("it is away", || async {
        let health = listing.health().await?;
        Ok((health["state"] == "quarantined").then_some(()))
    })
    .await?;
    ensure!(stage.leaver(&ada).await?["gone_at"].is_null(), "a list that can't be read proves her gone");
    listing.write(&[("bea", "active", "Dev")])?;
    until("she is gone", || async { Ok(stage.leaver(&ada).await?["gone_at"].as_str().map(drop)) }).await?;
    let why = until("it is too old", || async {
        let why = listing.health().await?["reason"]["detail"].as_str().map(str::to_owned);
        Ok(why.filter(|why| why.contains("older than 8s")))
    })
    .await?;
    ensure!(why.contains("have a newer one written"), "{why}");
    Ok(())
}

/// A list whose ids are the names: whoever has the name has the account, and who had it before is gone by somebody's word alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_given_to_somebody_else_keeps_nobody_and_frees_nobody() -> anyhow::Result<()> {
    let listing = Listing::start("").await?;
    let stage = &listing.stage;
    let (old, bea) = (stage.join("ann").await?, stage.join("bea").await?);
    listing.write(&[("ann", "active", "Dev"), ("bea", "active", "Dev")])?;
    listing.verified(&old).await?;
    listing.verified(&bea).await?;
    stage.leave(&old).await?;
    let new = stage.join("ann").await?;
    listing.write(&[("ann", "active", "Dev"), ("bea", "active", "Dev")])?;
    let is_of = |task: &Value, id: &str| task["identity"] == id;
    let task = until("both are to do", || async {
        let found = listing.tasks().await?;
        Ok(found.iter().find(|task| is_of(task, &old)).filter(|_| found.len() == 2).cloned())
    })
    .await?;
    until("the list was compared", || async {
        let reconciled = stage.rollcall.items("/v1/timeline?app=legacy&type=reconciliation.completed").await?;
        Ok((reconciled.len() > 3).then_some(()))
    })
    .await?;
    ensure!(stage.leaver(&old).await?["gone_at"].is_null(), "the account lives, and nobody says that it is another");
    listing.done(&task).await?;
    listing.write(&[("ann", "active", "Dev"), ("bea", "active", "Dev")])?;
    until("it stands on a word", || async {
        Ok((stage.leaver(&old).await?["attested"] == json!(["legacy"])).then_some(()))
    })
    .await?;
    ensure!(stage.leaver(&old).await?["gone_at"].is_null(), "a word is called gone");
    listing.verified(&new).await?;
    ensure!(listing.tasks().await?.is_empty(), "something is left to do");
    Ok(())
}

/// A list that lacks somebody who must be there may have been cut off: that a leaver is not on it either proves nothing by itself.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_on_a_list_that_lacks_others_is_gone_by_a_word_alone() -> anyhow::Result<()> {
    let listing = Listing::start("max_missing_percent = 50").await?;
    let stage = &listing.stage;
    let mut ids = Vec::new();
    for name in ["ada", "bea", "cy", "eve"] {
        ids.push(stage.join(name).await?);
    }
    let all = ["ada", "bea", "cy", "eve"].map(|name| (name, "active", "Dev"));
    listing.write(&all)?;
    for id in &ids {
        listing.verified(id).await?;
    }
    stage.leave(&ids[3]).await?;
    listing.task("open").await?;
    listing.write(&all[..2])?;
    until("the third is missing", || async { Ok(listing.drift("missing").await?.pop()) }).await?;
    ensure!(stage.leaver(&ids[3]).await?["gone_at"].is_null(), "a list that may have been cut off proves her gone");
    let tasks = listing.tasks().await?;
    let task = tasks.iter().find(|task| task["identity"] == *ids[3]).context("nothing to do")?;
    listing.done(task).await?;
    listing.write(&all[..2])?;
    until("it stands on a word", || async {
        Ok((stage.leaver(&ids[3]).await?["attested"] == json!(["legacy"])).then_some(()))
    })
    .await?;
    ensure!(stage.leaver(&ids[3]).await?["gone_at"].is_null(), "a word is called gone");
    Ok(())
}
