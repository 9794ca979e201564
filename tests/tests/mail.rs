//! Mail at a real SMTP server, and the links in it by which somebody says, once, that a task is done.

use anyhow::{Context as _, ensure};
use reqwest::{Client, Method, StatusCode};
use rollcall_tests::stage::{APP, Stage, USER};
use rollcall_tests::{App, Faulty, Mail, MailServer, Rollcall, Script, until};
use serde_json::{Value, json};

fn settings(port: u16, encryption: &str, more: &str) -> String {
    format!(
        r#"
[[apps]]
id = "workshop"
name = "Workshop"
kind = "manual"
owner = "Mo"
instructions = "https://wiki.example/workshop"
assign = 'active eq true'
sla = {{ joiner = "10m", mover = "10m", leaver = "10m" }}
[[apps]]
id = "vault"
name = "Vault"
kind = "manual"
owner = "keepers"
assign = 'userName eq "bea"'
[[api_tokens]]
name = "ola"
role = "operator"
token = "ola-secret"
[[alerts]]
name = "owners"
kind = "mail"
url = "smtp://127.0.0.1:{port}"
encryption = "{encryption}"
from = "Rollcall <rollcall@example.com>"
to = ["iam@example.com"]
tells = ["tasks"]
{more}
[tasks]
link_key = "0123456789abcdef0123456789abcdef"
"#
    )
}

async fn stage(settings: &str) -> anyhow::Result<Stage> {
    let app = Faulty::start().await?;
    app.tell(APP, &Script { ignores_deletes: true, ..Script::default() }).await?;
    let apps = [App {
        assign: "active eq true",
        deprovision: "delete",
        leaver_sla: "2s",
        ..App::usual(APP, app.base_url(APP))
    }];
    let rollcall = Rollcall::new(&apps, settings)?;
    rollcall.start().await?;
    Ok(Stage { app, rollcall })
}

/// The address in a message that a task is done by.
fn link(mail: &Mail) -> anyhow::Result<String> {
    let found = mail.text.split_whitespace().find(|word| word.contains("/console/task?link="));
    Ok(found.with_context(|| format!("no link: {}", mail.text))?.to_owned())
}

/// The page that somebody sees who is not signed in.
async fn open(address: &str) -> anyhow::Result<(StatusCode, String)> {
    let answer = Client::new().get(address).send().await?;
    Ok((answer.status(), answer.text().await?))
}

/// The form on it, sent.
async fn say_done(address: &str, reference: &str) -> anyhow::Result<(StatusCode, String)> {
    let (place, link) = address.split_once("?link=").context("no link")?;
    let form = [("link", link), ("reference", reference)];
    let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let form = Client::new().post(place).header("content-type", "application/x-www-form-urlencoded").body(form);
    let answer = form.send().await?;
    Ok((answer.status(), answer.text().await?))
}

/// Whoever answers for the workshop.
async fn mo(stage: &Stage) -> anyhow::Result<String> {
    let mo = json!({ "schemas": [USER], "userName": "mo", "active": true,
        "emails": [{ "value": "home@example.org" }, { "value": "mo@example.com", "primary": true }] });
    Ok(stage.rollcall.scim(Method::POST, "/Users", &mo).await?["id"].as_str().context("no id")?.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_answers_for_an_app_gets_a_task_by_mail_and_says_once_that_it_is_done() -> anyhow::Result<()> {
    let server = MailServer::start(Some(("rollcall", "mail-secret"))).await?;
    let login = "user = \"rollcall\"\npassword = \"mail-secret\"";
    let stage = stage(&settings(server.port, "none", login)).await?;
    let mo = mo(&stage).await?;
    let own = server.with_subject("Create the account mo").await?;
    ensure!(own.to == ["iam@example.com"] && link(&own).is_err(), "of their own account: {own:?}");
    let ada = stage.join("ada").await?;
    let mail = server.with_subject("Create the account ada").await?;
    ensure!(mail.to == ["mo@example.com"] && mail.from == "rollcall@example.com", "{mail:?}");
    ensure!(mail.subject.starts_with("[Rollcall] TaskOpen: Workshop: "), "{mail:?}");
    ensure!(mail.auto_submitted == "auto-generated" && mail.text.contains("owner Mo"), "{mail:?}");
    let address = link(&mail)?;
    // Programs look first, and change nothing.
    for _ in 0..2 {
        let (status, page) = open(&address).await?;
        ensure!(
            status == 200 && page.contains("Create the account ada") && page.contains("the account of ada"),
            "{page}"
        );
        ensure!(page.contains("https://wiki.example/workshop"), "{page}");
    }
    ensure!(stage.rollcall.api("/v1/tasks?app=workshop").await?["items"][0]["status"] == "open", "done by looking");
    let (status, page) = say_done(&address, &"x".repeat(501)).await?;
    ensure!(status == 409 && page.contains("longer than 500"), "{status} {page}");
    let (status, page) = say_done(&address, "T-7").await?;
    ensure!(status == 200 && page.contains("it is on the log"), "{status} {page}");
    let word = stage.seen("task.done").await?;
    // By their id: nothing is left of whoever is erased.
    let says = format!("identity:{mo} says that the account of ada in Workshop is as it must be, see T-7");
    ensure!(word["summary"] == says, "{word}");
    ensure!(word["reason"] == "by the link in a mail", "{word}");
    let account = stage.rollcall.api(&format!("/v1/identities/{ada}")).await?;
    ensure!(account["accounts"].to_string().contains(&format!("\"attested_by\":\"identity:{mo}\"")), "{account}");
    // Once.
    let (status, page) = say_done(&address, "T-8").await?;
    ensure!(status == 410 && page.contains("this link was used"), "{status} {page}");
    let (status, _) = open(&address).await?;
    ensure!(status == 410, "{status}");
    let changed = address.replace("link=e", "link=f");
    ensure!(changed != address && open(&changed).await?.0 == 403, "a link that was changed");
    ensure!(open(address.split_once("?link=").context("no link")?.0).await?.0 == 403, "no link at all");
    // Of somebody who can't be written to the others hear.
    let bea = stage.join("bea").await?;
    let of_bea = server.with_subject("Vault: Create the account bea").await?;
    ensure!(of_bea.to == ["iam@example.com"] && link(&of_bea).is_err(), "{of_bea:?}");
    let of_bea = server.with_subject("Workshop: Create the account bea").await?;
    // Who has left says nothing any more, and gets nothing.
    stage.leave(&mo).await?;
    let (status, page) = say_done(&link(&of_bea)?, "").await?;
    ensure!(status == 403 && page.contains("has left"), "{status} {page}");
    stage.leave(&bea).await?;
    let last = server.with_subject("Workshop: Switch the account bea off").await?;
    ensure!(last.to == ["iam@example.com"], "{last:?}");
    ensure!(link(&last).is_err(), "whoever reads the mail of somebody who has left could say it: {last:?}");
    // No link is in what stays on the log, and it is told what is wrong by nobody who is told of tasks.
    let events = stage.rollcall.items("/v1/timeline").await?;
    ensure!(!events.iter().any(|event| event.to_string().contains("link=")), "a link is on the log");
    ensure!(
        events.iter().any(|event| event["type"] == "alert.fired" && event.to_string().contains("ada")),
        "no record"
    );
    ensure!(server.all()?.iter().all(|mail| mail.subject.contains("TaskOpen")), "{:?}", server.all()?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_followed_behind_a_gateway_and_an_address_that_is_none_is_not_told_to_anybody() -> anyhow::Result<()>
{
    let server = MailServer::start(None).await?;
    let app = Faulty::start().await?;
    app.tell(APP, &Script::default()).await?;
    let apps = [App { assign: "active eq true", ..App::usual(APP, app.base_url(APP)) }];
    let rollcall = Rollcall::apart(&apps, &settings(server.port, "none", "")).await?;
    rollcall.start().await?;
    let stage = Stage { app, rollcall };
    mo(&stage).await?;
    stage.join("ada").await?;
    let mail = server.with_subject("Create the account ada").await?;
    let address = link(&mail)?;
    let (status, page) = open(&address).await?;
    ensure!(status == 200 && page.contains("Create the account ada"), "{status} {page}");
    let (status, page) = say_done(&address, "T-9").await?;
    ensure!(status == 200 && page.contains("it is on the log"), "{status} {page}");
    server.does_not_know("mo@example.com")?;
    stage.join("bea").await?;
    let mail = server.with_subject("Workshop: Create the account bea").await?;
    ensure!(mail.to == ["iam@example.com"] && link(&mail).is_err(), "{mail:?}");
    let ids: std::collections::BTreeSet<String> = server.all()?.into_iter().map(|mail| mail.message_id).collect();
    ensure!(ids.len() == server.all()?.len(), "{ids:?}");
    let events = stage.rollcall.items("/v1/timeline?type=alert.fired").await?;
    ensure!(!events.iter().any(|event| event.to_string().contains("nobody is called that here")), "{events:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_told_by_mail_and_again_until_it_is_taken() -> anyhow::Result<()> {
    let server = MailServer::start(None).await?;
    server.refuses(true)?;
    let settings = settings(server.port, "none", "").replace("tells = [\"tasks\"]", "");
    let stage = stage(&settings).await?;
    stage.app.tell(APP, &Script { ignores_deletes: true, ..Script::default() }).await?;
    let ada = stage.join("ada").await?;
    stage.verified(&ada).await?;
    stage.leave(&ada).await?;
    until("the leaver is overdue", || async { Ok((stage.leaver(&ada).await?["status"] == "overdue").then_some(())) })
        .await?;
    ensure!(server.all()?.is_empty(), "it was refused");
    server.refuses(false)?;
    let mail = server.with_subject("LeaverOverdue: ada left").await?;
    ensure!(mail.to == ["iam@example.com"] && mail.text.contains("docs/alerts.md#leaveroverdue"), "{mail:?}");
    ensure!(!mail.text.contains("link="), "{mail:?}");
    ensure!(server.all()?.iter().all(|mail| !mail.subject.contains("TaskOpen")), "tasks are told");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_in_the_clear_where_that_is_not_wanted() -> anyhow::Result<()> {
    let server = MailServer::start(None).await?;
    let stage = stage(&settings(server.port, "starttls", "")).await?;
    stage.join("ada").await?;
    let said = until("it is said that it can't be delivered", || async {
        let log = std::fs::read_to_string(stage.rollcall.log_file())?;
        Ok(log.lines().find(|line| line.contains("an alert is not delivered yet")).map(str::to_owned))
    })
    .await?;
    ensure!(said.contains("owners"), "{said}");
    ensure!(server.all()?.is_empty(), "{:?}", server.all()?);
    let shown: Value = stage.rollcall.api("/v1/timeline?type=alert.fired").await?;
    ensure!(shown["items"] == json!([]), "{shown}");
    Ok(())
}

/// It was somebody's who has left.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_nobody_has_any_more_keeps_the_others_from_nothing() -> anyhow::Result<()> {
    let server = MailServer::start(None).await?;
    server.does_not_know("carol@example.com")?;
    let both = "to = [\"carol@example.com\", \"iam@example.com\"]";
    let stage = stage(&settings(server.port, "none", "").replace("to = [\"iam@example.com\"]", both)).await?;
    stage.join("ada").await?;
    let mail = server.with_subject("Create the account ada").await?;
    ensure!(mail.to == ["iam@example.com"], "{mail:?}");
    Ok(())
}
