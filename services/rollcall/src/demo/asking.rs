//! The scene in which somebody asks for access, for a while.

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::apps::{App, CRM};
use super::play::{ENTERPRISE, Person, account, done, is_live, patch, until};
use super::rollcall::{ASKED_FOR, Rollcall};

/// How long the access that is asked for lasts.
const FOR: &str = "5s";

/// Somebody of Engineering asks for the CRM, their manager agrees, and the access ends by itself.
pub async fn for_a_while(rollcall: &Rollcall, apps: &[App], who: &Person, manager: &Person) -> anyhow::Result<()> {
    let crm = apps.iter().find(|app| app.role == CRM).context("no CRM")?;
    let started = Instant::now();
    let reports_to =
        patch(json!([{ "op": "add", "path": format!("{ENTERPRISE}:manager"), "value": { "value": manager.id } }]));
    rollcall.scim(Method::PATCH, &format!("/Users/{}", who.id), &reports_to).await?;
    let why = format!("/v1/explain?identity={}&entitlement={}", who.id, CRM.id);
    done(
        started,
        &format!(
            "why has {} no account in CRM?\n             {}",
            who.user_name,
            sentences(&rollcall.api(&why).await?, "/missing")
        ),
    );
    let asked =
        json!({ "identity": who.id, "what": format!("role:{ASKED_FOR}"), "for": FOR, "reason": "helps at the fair" });
    let asked = rollcall.act("/v1/grants", &who.user_name, &asked).await?;
    let grant = asked.get("id").and_then(Value::as_str).context("what is asked for has no id")?;
    done(started, &format!("{} asks for it, for {FOR}", who.user_name));
    rollcall.act(&format!("/v1/grants/{grant}/approve"), &manager.user_name, &json!({})).await?;
    account(rollcall, who, CRM.id, "present").await?;
    ensure!(is_live(crm, who).await?, "CRM itself does not have who was granted it");
    done(
        started,
        &format!(
            "{}, the manager, approves: the account is verified:\n             {}",
            manager.user_name,
            sentences(&rollcall.api(&why).await?, "/holding/reasons")
        ),
    );
    account(rollcall, who, CRM.id, "absent").await?;
    ensure!(!is_live(crm, who).await?, "CRM itself still has whose grant has ended");
    let ended = until("the grant's end is told", || async {
        let grants = rollcall.items("/v1/grants?status=ended").await?;
        Ok(grants.into_iter().find(|g| g.get("id").and_then(Value::as_str) == Some(grant)))
    });
    ended.await?;
    done(started, "the time is over: the grant has ended by itself, and the account is verified gone");
    Ok(())
}

fn sentences(explained: &Value, list: &str) -> String {
    let items = explained.pointer(list).and_then(Value::as_array).cloned().unwrap_or_default();
    let texts: Vec<&str> = items.iter().filter_map(|item| item.get("text").and_then(Value::as_str)).collect();
    texts.join(";\n             ")
}
