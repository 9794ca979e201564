//! Mistakes that operators make: a container that can't work says why in one line, and ends with an error.

use std::path::Path;

use anyhow::{Context as _, ensure};

use crate::deployment::{Deployment, say};

/// Runs a container of a service once, as it is configured but for `more`, and gives the last two lines: a mistake in the
/// configuration stands below the name of the file.
async fn complaint(deployment: &Deployment, service: &str, more: &[&str]) -> anyhow::Result<String> {
    complaint_of(deployment, service, more, &[]).await
}

/// The same of another command than the service's own.
pub async fn complaint_of(
    deployment: &Deployment,
    service: &str,
    more: &[&str],
    command: &[&str],
) -> anyhow::Result<String> {
    let arguments = [&["run", "--rm", "--no-deps", "-T"], more, &[service], command].concat();
    let (worked, output) = deployment.try_compose(&arguments).await?;
    ensure!(!worked, "{service} started with {more:?}:\n{output}");
    // An old compose adds the exit code.
    let lines: Vec<&str> = output.lines().filter(|l| l.contains(char::is_alphabetic)).collect();
    Ok(lines.get(lines.len().saturating_sub(2)..).context("it said nothing")?.join("\n"))
}

pub async fn mistakes(deployment: &Deployment, settings: &Path) -> anyhow::Result<()> {
    let (projector, gateway, provisioner) =
        (deployment.first("projector")?, deployment.first("gateway")?, deployment.first("provisioner")?);
    let file = settings.join("rollcall.toml");
    let text = std::fs::read_to_string(&file)?;
    let expect = |line: &str, words: &[&str]| {
        ensure!(words.iter().all(|w| line.contains(w)), "{words:?} are not in: {line}");
        anyhow::Ok(())
    };

    std::fs::write(&file, text.replace("id = \"wiki\"", "id = \"wi ki\""))?;
    expect(&complaint(deployment, gateway, &[]).await?, &["rollcall.toml", "line ", "wi ki"])?;
    std::fs::write(&file, &text)?;

    let token = settings.join("secrets/provisioner/app-token");
    let secret = std::fs::read_to_string(&token)?;
    std::fs::remove_file(&token)?;
    expect(&complaint(deployment, provisioner, &[]).await?, &["app-token"])?;
    std::fs::write(&token, secret)?;

    let nowhere = ["-e", "ROLLCALL_NATS_URL=nats://nowhere:4222"];
    expect(&complaint(deployment, gateway, &nowhere).await?, &["nats://nowhere:4222"])?;

    expect(
        &complaint(deployment, projector, &["--user", "12345:12345"]).await?,
        &["signing-key", "Permission denied"],
    )?;
    // The folder of the one that runs is taken.
    let elsewhere = ["-e", "ROLLCALL_SERVER_LISTEN=192.0.2.1:80", "-e", "ROLLCALL_SERVER_DATA_DIR=/tmp/other"];
    expect(&complaint(deployment, gateway, &elsewhere).await?, &["192.0.2.1:80"])?;
    deployment.healthy().await?;
    say(
        "a mistake in the configuration, a missing secret, a log that is not there, a wrong user, a wrong address: each named",
    );
    Ok(())
}
