//! What the console shows and does, from a terminal.

use anyhow::ensure;
use rollcall_tests::rollcall::API_TOKEN;
use rollcall_tests::stage::{APP, Stage};
use rollcall_tests::{Script, until};
use serde_json::Value;

async fn lines(stage: &Stage, arguments: &[&str]) -> anyhow::Result<Vec<Value>> {
    let output = stage.terminal(API_TOKEN, arguments).await?;
    ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_shows_and_does_what_the_console_does() -> anyhow::Result<()> {
    let lying = Script { ignores_deletes: true, ignores_deactivation: true, ..Script::default() };
    let stage = Stage::set(lying, "delete", "", "").await?;
    let calm = stage.terminal(API_TOKEN, &["status"]).await?;
    ensure!(calm.status.code() == Some(0), "{calm:?}");
    let anna = stage.join("anna").await?;
    stage.verified(&anna).await?;
    stage.leave(&anna).await?;
    let found =
        until("she is owed", || async { Ok(lines(&stage, &["leavers", "--json"]).await?.into_iter().next()) }).await?;
    ensure!(found["identity"] == anna.as_str() && found["user_name"] == "anna", "{found}");
    let shown = stage.terminal(API_TOKEN, &["leavers"]).await?;
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    ensure!(text.contains("anna") && text.contains("WHO") && !text.contains('\u{1b}'), "{text}");
    for list in [
        vec!["identities", "ann", "--json"],
        vec!["apps", "--json"],
        vec!["events", "--type", "identity.left", "--json"],
    ] {
        ensure!(lines(&stage, &list).await?.len() == 1, "{list:?}");
    }
    for list in ["holds", "alerts"] {
        ensure!(lines(&stage, &[list, "--json"]).await?.is_empty(), "{list}");
    }
    ensure!(lines(&stage, &["events", "--limit", "3", "--json"]).await?.len() == 3, "a limit is one");
    until("it is drift", || async { Ok(lines(&stage, &["drift", "--json"]).await?.into_iter().next()) }).await?;
    // Decisions ask for a reason, for whether they are meant, and for a role.
    let owed = until("the app says that it has done it", || async {
        Ok(lines(&stage, &["obligations", "--status", "applied", "--app", APP, "--json"]).await?.into_iter().next())
    })
    .await?;
    let id = owed["id"].as_str().unwrap_or_default();
    let waive = ["obligations", "waive", id, "--for", "8h", "--reason", "the vendor is mending it"];
    let unasked = stage.terminal("ola-secret", &waive).await?;
    ensure!(!unasked.status.success(), "done without a question");
    ensure!(String::from_utf8_lossy(&unasked.stderr).contains("--yes"), "{unasked:?}");
    let meant: Vec<&str> = waive.iter().copied().chain(["--yes"]).collect();
    let reader = stage.terminal(API_TOKEN, &meant).await?;
    ensure!(String::from_utf8_lossy(&reader.stderr).contains("operator"), "{reader:?}");
    let done = stage.terminal("ola-secret", &meant).await?;
    ensure!(done.status.success(), "{done:?}");
    let waived = until("it is waived", || async {
        Ok(lines(&stage, &["obligations", "--status", "waived", "--json"]).await?.into_iter().next())
    })
    .await?;
    ensure!(waived["waived"]["reason"] == "the vendor is mending it", "{waived}");
    let unknown =
        stage.terminal("ola-secret", &["drift", "accept", "nothing", "--for", "8h", "--reason", "r", "--yes"]).await?;
    ensure!(String::from_utf8_lossy(&unknown.stderr).contains("no such thing"), "{unknown:?}");
    let span = stage.terminal("ola-secret", &["drift", "accept", "x", "--for", "soon", "--reason", "r"]).await?;
    ensure!(String::from_utf8_lossy(&span.stderr).contains("8h or 7d"), "{span:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_looks_at_the_exit_code_knows_whether_something_needs_a_person() -> anyhow::Result<()> {
    let stage = Stage::set(Script::default(), "delete", "quarantine_after = 1\n", "").await?;
    stage.app.tell(APP, &Script { refuses_token: true, ..Script::default() }).await?;
    stage.join("anna").await?;
    let seen = until("the app is left alone", || async {
        let output = stage.terminal(API_TOKEN, &["status", "--json"]).await?;
        let shown: Value = serde_json::from_slice(&output.stdout)?;
        Ok((output.status.code() == Some(1)).then_some(shown))
    })
    .await?;
    ensure!(seen["needs_someone"] == true && seen["apps_left_alone"][0] == APP, "{seen}");
    let nobody = stage.terminal("wrong", &["status"]).await?;
    ensure!(nobody.status.code() == Some(2), "{nobody:?}");
    Ok(())
}
