//! The scene before anybody joins: each app is drilled, and what one does in its own way is known.

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tokio::time::Instant;

use super::apps::{App, WIKI};
use super::play::{done, until};
use super::rollcall::Rollcall;

/// An account of Rollcall's own goes through every app; the Wiki composes display names itself, and the drill finds it.
pub async fn every_app(rollcall: &Rollcall, apps: &[App]) -> anyhow::Result<()> {
    let started = Instant::now();
    for app in apps {
        rollcall.want(&format!("/v1/apps/{}/drill", app.role.id)).await?;
    }
    let (mut steps, mut found) = (0, Vec::new());
    for app in apps {
        let path = format!("/v1/apps/{}/drills", app.role.id);
        let report = until(&format!("the drill of {} ends", app.role.name), || async {
            Ok(rollcall.api(&path).await?.pointer("/reports/0").cloned())
        })
        .await?;
        let results = report.get("results").and_then(Value::as_array).context("a drill without results")?;
        let text = |result: &Value, key: &str| result.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        steps += results.iter().filter(|result| text(result, "verdict") == "passed").count();
        let failed = results.iter().filter(|result| text(result, "verdict") == "failed");
        found.extend(failed.map(|result| format!("{}: {}", app.role.name, text(result, "detail"))));
        ensure!(app.search("userName pr").await?.is_empty(), "{} keeps the account of its drill", app.role.name);
    }
    let is_wiki = |what: &String| what.starts_with(WIKI.name) && what.contains("displayName");
    ensure!(!found.is_empty() && found.iter().all(is_wiki), "the drills have found: {found:?}");
    done(
        started,
        &format!(
            "before anybody joins, {} apps are drilled: {steps} steps done, and nothing is left there",
            apps.len()
        ),
    );
    done(started, &format!("one does something else than it is asked: {}", found.first().map_or("", String::as_str)));
    Ok(())
}
