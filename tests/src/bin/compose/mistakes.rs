//! Mistakes that operators make: a container that can't work says why in one line, and ends with an error.

use std::path::Path;

use anyhow::{Context as _, ensure};

use crate::deployment::{Deployment, say};

/// Runs a container of a service once, as it is configured but for `more`, and gives its last line.
async fn last_line(deployment: &Deployment, service: &str, more: &[&str]) -> anyhow::Result<String> {
    let arguments = [&["run", "--rm", "--no-deps", "-T"], more, &[service]].concat();
    let (worked, output) = deployment.try_compose(&arguments).await?;
    ensure!(!worked, "{service} started with {more:?}:\n{output}");
    // An old compose adds the exit code.
    let line = output.lines().rfind(|l| l.contains(char::is_alphabetic)).context("it said nothing")?;
    Ok(line.to_owned())
}

pub async fn mistakes(deployment: &Deployment, settings: &Path) -> anyhow::Result<()> {
    let named = |kind: &str| deployment.shape.services.iter().find(|s| s.starts_with(kind)).context("no such service");
    let (projector, gateway) = (named("projector")?, named("gateway")?);
    let file = settings.join("rollcall.toml");
    let text = std::fs::read_to_string(&file)?;
    let expect = |line: &str, words: &[&str]| {
        ensure!(words.iter().all(|w| line.contains(w)), "{words:?} are not in: {line}");
        anyhow::Ok(())
    };

    std::fs::write(&file, text.replace("id = \"wiki\"", "id = \"wi ki\""))?;
    expect(&last_line(deployment, gateway, &[]).await?, &["rollcall.toml", "line ", "wi ki"])?;
    std::fs::write(&file, &text)?;

    let token = settings.join("app-token");
    let secret = std::fs::read_to_string(&token)?;
    std::fs::remove_file(&token)?;
    expect(&last_line(deployment, gateway, &[]).await?, &["app-token"])?;
    std::fs::write(&token, secret)?;

    let nowhere = ["-e", "ROLLCALL_NATS_URL=nats://nowhere:4222"];
    expect(&last_line(deployment, gateway, &nowhere).await?, &["nats://nowhere:4222"])?;

    expect(&last_line(deployment, projector, &["--user", "12345:12345"]).await?, &["/var/lib/rollcall/projector"])?;
    expect(&last_line(deployment, gateway, &["-e", "ROLLCALL_SERVER_LISTEN=192.0.2.1:80"]).await?, &["192.0.2.1:80"])?;
    deployment.healthy().await?;
    say(
        "a mistake in the configuration, a missing secret, a log that is not there, a volume of someone else, a wrong address: each named",
    );
    Ok(())
}
