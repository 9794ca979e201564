//! The scene of an app that has no SCIM service: people do what is to be done there, and what they say is shown as their word.

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::play::{ENTERPRISE, Person, USER, account, done, leaver_record, set_active, until};
use super::rollcall::{BADGES, FACILITIES, LEAVER_SLA, Rollcall};
use super::webhook::Receiver;

/// What is to be done for somebody there.
async fn task(rollcall: &Rollcall, person: &Person, status: &str) -> anyhow::Result<(String, String)> {
    until(&format!("a task for {} that is {status}", person.user_name), || async {
        let tasks = rollcall.items(&format!("/v1/tasks?app={BADGES}&status={status}")).await?;
        let theirs = tasks.into_iter().find(|task| task.get("identity").and_then(Value::as_str) == Some(&person.id));
        Ok(theirs.and_then(|task| {
            let text = |pointer: &str| task.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
            Some((text("/id")?, text("/to_do/0")?))
        }))
    })
    .await
}

/// Somebody gets a badge, leaves, and is not called gone because people say so.
pub async fn badges(rollcall: &Rollcall, alerts: &Receiver) -> anyhow::Result<()> {
    let started = Instant::now();
    let user_name = "fay.silva@example.com";
    let body = json!({
        "schemas": [USER, ENTERPRISE], "userName": user_name, "externalId": "hr-0100", "userType": "Employee", "active": true,
        "name": { "givenName": "Fay", "familyName": "Silva" }, "displayName": "Fay Silva",
        ENTERPRISE: { "department": FACILITIES },
    });
    let created = rollcall.scim(Method::POST, "/Users", &body).await?;
    let id = created.get("id").and_then(Value::as_str).context("a created user has no id")?;
    let fay = Person::machine(id, user_name);
    let (id, what) = task(rollcall, &fay, "open").await?;
    done(started, &format!("Badges has no SCIM service: a task for its owner: {what:?}"));
    rollcall.say(&format!("/v1/tasks/{id}/done"), &json!({ "reference": "T-4711" })).await?;
    account(rollcall, &fay, "chat", "present").await?;
    set_active(rollcall, &fay, false).await?;
    let (id, what) = task(rollcall, &fay, "overdue").await?;
    let alert = until("the alert at the webhook", || async { Ok(alerts.find(&fay.id, "firing")) }).await?;
    let summary = alert.get("summary").and_then(Value::as_str).unwrap_or_default();
    done(started, &format!("{user_name} left, and nobody has done it within {LEAVER_SLA}: {what:?}"));
    done(started, &format!("ALERT: {summary}"));
    rollcall.say(&format!("/v1/tasks/{id}/done"), &json!({ "reference": "T-4712" })).await?;
    let record = until("the leaver done with", || leaver_record(rollcall, &fay, "attested")).await?;
    ensure!(
        record.get("attested") == Some(&json!([BADGES])),
        "the record does not say whose word it stands on: {record}"
    );
    ensure!(record.get("gone_at").is_some_and(Value::is_null), "somebody's word is called gone: {record}");
    done(started, "said to be done (T-4712): attested, and never called verified or gone");
    Ok(())
}
