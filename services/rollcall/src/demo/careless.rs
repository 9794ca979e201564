//! The scene in which a policy says more than whoever wrote it meant.

use std::fs;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tokio::time::Instant;

use super::apps::{App, CRM};
use super::play::{done, until};
use super::rollcall::Rollcall;

/// It means guests of Sales, and says all of Sales.
const POLICY: &str = r#"@id("no-guests-in-crm")
@reason("guests of Sales have no business in the CRM")
@owner("iam@example.com")
forbid(principal is User, action == Action::"hold", resource in App::"crm")
when { principal has enterprise && principal.enterprise has department && principal.enterprise.department == "Sales" };
"#;

/// A policy is told beforehand what it would do; used all the same, what it takes away waits for a person; taken back, nobody has lost
/// anything.
pub async fn policy(rollcall: &mut Rollcall, apps: &[App]) -> anyhow::Result<()> {
    let started = Instant::now();
    let crm = apps.iter().find(|app| app.role == CRM).context("no CRM")?;
    let before = live(crm).await?;
    let file = rollcall.policies()?.join("crm.cedar");
    fs::write(&file, POLICY).context("the policy can't be written")?;
    let preview = rollcall.preview().await?;
    let previewed = preview.get("apps").and_then(Value::as_array).cloned().unwrap_or_default();
    let is_crm = |app: &&Value| app.get("app").and_then(Value::as_str) == Some(CRM.id);
    let told = previewed.iter().find(is_crm).context("the preview says nothing of CRM")?;
    let number = |key: &str| told.get(key).and_then(Value::as_u64).unwrap_or_default();
    let (removed, accounts) = (number("removed"), number("accounts"));
    ensure!(removed > 0 && told.get("would_be_held") == Some(&Value::Bool(true)), "nothing would be held: {told}");
    done(
        started,
        &format!(
            "a careless policy is previewed: {removed} of {accounts} would lose CRM, and that would wait for a person"
        ),
    );
    rollcall.start_again().await?;
    let waiting = || async {
        let holds = rollcall.items("/v1/holds").await?;
        let all = holds.iter().filter_map(|hold| hold.get("removals").and_then(Value::as_u64));
        anyhow::Ok(all.sum::<u64>())
    };
    until("the removals wait", || async { Ok((waiting().await? == removed).then_some(())) }).await?;
    ensure!(live(crm).await? == before, "CRM itself has fewer accounts");
    done(started, &format!("it is used all the same: the guard holds them, and all {before} accounts in CRM are live"));
    fs::remove_file(&file).context("the policy can't be taken back")?;
    rollcall.start_again().await?;
    let ended = || async { Ok(rollcall.items("/v1/holds").await?.is_empty().then_some(())) };
    until("the hold ends by itself", ended).await?;
    ensure!(live(crm).await? == before, "CRM itself has other accounts");
    done(started, "it is taken back: the hold ends by itself, and nobody has lost anything");
    Ok(())
}

/// How many live accounts the app itself has, asked past Rollcall.
async fn live(app: &App) -> anyhow::Result<usize> {
    let found = app.search("userName pr").await?;
    Ok(found.iter().filter(|user| user.get("active") != Some(&Value::Bool(false))).count())
}
