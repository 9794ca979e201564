//! What people do in the console: shown first, done once, and nothing of it by accident.

use anyhow::{Context as _, ensure};
use reqwest::StatusCode;
use rollcall_tests::browser::Browser;
use rollcall_tests::rollcall::API_TOKEN;
use rollcall_tests::stage::{APP, Stage};
use rollcall_tests::{Script, until};
use serde_json::{Value, json};

async fn stage() -> anyhow::Result<(Stage, Vec<String>)> {
    let lying = Script { ignores_deletes: true, ignores_deactivation: true, ..Script::default() };
    let stage = Stage::set(lying, "delete", "", "").await?;
    let mut owed = Vec::new();
    for name in ["anna", "boris"] {
        let id = stage.join(name).await?;
        stage.verified(&id).await?;
        stage.leave(&id).await?;
        let open = until("it is owed", || async {
            let all = stage.rollcall.items("/v1/obligations?status=applied").await?;
            Ok(all.into_iter().find(|o| o["identity"] == id.as_str()))
        })
        .await?;
        owed.push(open["id"].as_str().context("no id")?.to_owned());
    }
    Ok((stage, owed))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_act_is_shown_then_done_and_nothing_of_it_when_one_part_can_not_be() -> anyhow::Result<()> {
    let (stage, owed) = stage().await?;
    let ola = Browser::signed_in(&stage.rollcall, "ola-secret").await?;
    let (first, second) = (owed[0].as_str(), owed[1].as_str());
    // Shown, and nothing is done.
    let (status, page) =
        ola.page(&format!("/console/act?do=waive&id={first}&id={second}&back=/console/leavers")).await?;
    ensure!(status == 200 && page.contains("anna") && page.contains("boris"), "{status} {page}");
    ensure!(page.contains("is left as it is until the time is over"), "{page}");
    // One that there is not: neither is waived, and what was typed is still there.
    let wrong =
        [("do", "waive"), ("id", first), ("id", "nothing"), ("for", "8"), ("reason", "typed with care"), ("back", "/")];
    let (status, _, _) = ola.act(&wrong).await?;
    ensure!(status == StatusCode::CONFLICT || status == StatusCode::NOT_FOUND, "{status}");
    let without = [("do", "waive"), ("id", first), ("for", "8"), ("reason", " "), ("back", "/")];
    let (status, _, page) = ola.act(&without).await?;
    ensure!(status == StatusCode::BAD_REQUEST && page.contains("say why"), "{status} {page}");
    let short = [("do", "waive"), ("id", first), ("for", "never"), ("reason", "typed with care"), ("back", "/")];
    let (status, _, page) = ola.act(&short).await?;
    ensure!(status == StatusCode::BAD_REQUEST && page.contains("typed with care"), "{status} {page}");
    ensure!(stage.rollcall.items("/v1/obligations?status=waived").await?.is_empty(), "waived");
    // Both at once; and back to where it came from, and nowhere else.
    let right = |back: &'static str| {
        vec![
            ("do", "waive"),
            ("id", first),
            ("id", second),
            ("for", "8"),
            ("reason", "the vendor is mending it"),
            ("back", back),
        ]
    };
    let (status, to, page) = ola.act(&right("/console/leavers?status=open&done=1")).await?;
    ensure!(status == StatusCode::SEE_OTHER, "{status} {page}");
    ensure!(to.starts_with("/console/leavers?status=open&done=") && !to.contains("done=1&"), "{to}");
    for elsewhere in ["https://evil.example", "//evil.example", "/\t/evil.example"] {
        let (_, to, _) = ola.act(&right(elsewhere)).await?;
        ensure!(to.starts_with("/?done="), "{elsewhere}: {to}");
    }
    until("both are waived", || async {
        Ok((stage.rollcall.items("/v1/obligations?status=waived").await?.len() == 2).then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_not_or_is_not_signed_in_any_more_does_nothing() -> anyhow::Result<()> {
    let (stage, owed) = stage().await?;
    let first = owed[0].as_str();
    let form = [("do", "waive"), ("id", first), ("for", "8"), ("reason", "because"), ("back", "/")];
    let reader = Browser::signed_in(&stage.rollcall, API_TOKEN).await?;
    let (status, page) = reader.page(&format!("/console/act?do=waive&id={first}")).await?;
    ensure!(status == StatusCode::FORBIDDEN && page.contains("operator"), "{status} {page}");
    let (status, _, _) = reader.act(&form).await?;
    ensure!(status == StatusCode::FORBIDDEN, "{status}");
    let gone = Browser {
        cookie: "rollcall-session=nothing".into(),
        ..Browser::signed_in(&stage.rollcall, "ola-secret").await?
    };
    let (status, _, page) = gone.act(&form).await?;
    ensure!(status == StatusCode::UNAUTHORIZED && page.contains("nothing was done"), "{status} {page}");
    ensure!(stage.rollcall.items("/v1/obligations?status=waived").await?.is_empty(), "waived");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_says_what_it_shows_and_nothing_of_the_rest() -> anyhow::Result<()> {
    let (stage, _) = stage().await?;
    let reader = Browser::signed_in(&stage.rollcall, API_TOKEN).await?;
    let (_, csv) = reader.page("/console/leavers?format=csv").await?;
    ensure!(csv.starts_with("who,status,left,due,where,source,owner") && csv.contains("anna,"), "{csv}");
    let (_, lines) = reader.page("/console/leavers?format=ndjson&col=who&col=status").await?;
    let first: Value = serde_json::from_str(lines.lines().next().context("no line")?)?;
    ensure!(lines.lines().count() == 2 && first == json!({ "who": "anna", "status": "open" }), "{lines}");
    for (path, says) in [
        ("/console/leavers?q=nobody", "Nothing matches."),
        ("/console/drift?app=another", "Nothing matches."),
        ("/console/obligations?status=superseded", "Nothing is superseded."),
        ("/console/identities?q=nobody", "Nothing matches."),
        ("/console/apps?health=quarantined", "Nothing matches."),
        ("/console/holds", "Nothing waits for a decision."),
    ] {
        let (status, page) = reader.page(path).await?;
        ensure!(status == 200 && page.contains(says), "{path}: {status} {page}");
    }
    for (path, says) in [
        ("/console/leavers?status=nonsense", "nonsense"),
        ("/console/events?from=yesterday", "yesterday"),
        ("/console/events/0", "event"),
        ("/console/apps/nothing", "nothing"),
        ("/console/holds/nothing", "hold"),
        ("/console/leavers?format=pdf", "csv, ndjson"),
    ] {
        let (status, page) = reader.page(path).await?;
        ensure!(status.is_client_error() && page.contains(says), "{path}: {status} {page}");
    }
    let (status, page) = reader.page(&format!("/console/apps/{APP}")).await?;
    ensure!(status == 200 && page.contains("Does what it says"), "{status} {page}");
    Ok(())
}
