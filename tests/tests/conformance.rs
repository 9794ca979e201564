//! What other people check SCIM servers with, run against the real program over HTTP.

use std::path::PathBuf;
use std::process::Output;

use anyhow::{Context as _, ensure};
use rollcall_tests::Rollcall;
use rollcall_tests::rollcall::SOURCE_TOKEN;
use serde_json::Value;
use tokio::process::Command;

/// A program of the tests' Python environment.
fn tool(name: &str) -> Command {
    let folder = std::env::var_os("ROLLCALL_PYTHON")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.tools/python/bin")), PathBuf::from);
    Command::new(folder.join(name))
}

async fn rollcall() -> anyhow::Result<(Rollcall, String)> {
    let rollcall = Rollcall::new(&[], "")?;
    rollcall.start().await?;
    let base = format!("{}/scim/v2", rollcall.address());
    Ok((rollcall, base))
}

async fn run(command: &mut Command) -> anyhow::Result<(Output, String)> {
    let output = command.output().await.context("./dev test installs what the tests run")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Ok((output, said))
}

#[tokio::test]
async fn every_check_of_scim2_tester_succeeds() -> anyhow::Result<()> {
    let (_rollcall, base) = rollcall().await?;
    let header = format!("Authorization: Bearer {SOURCE_TOKEN}");
    let (output, said) = run(tool("scim2").args(["--url", &base, "--header", &header, "test"])).await?;
    // Each check is a line that starts with its outcome; what follows it is indented.
    let outcome = |line: &str| line.split_whitespace().next().unwrap_or_default().to_owned();
    let shouted = |word: &str| word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase());
    let checks: Vec<&str> = said.lines().filter(|l| !l.starts_with(' ') && shouted(&outcome(l))).collect();
    println!("{} checks", checks.len());
    ensure!(output.status.success() && !checks.is_empty(), "{said}");
    let others: Vec<_> = checks.iter().filter(|line| outcome(line) != "SUCCESS").collect();
    ensure!(others.is_empty(), "{others:?}\n{said}");
    Ok(())
}

#[tokio::test]
async fn scim_sanity_finds_nothing_wrong_and_skips_nothing() -> anyhow::Result<()> {
    let (_rollcall, base) = rollcall().await?;
    let arguments = ["probe", &base, "--token", SOURCE_TOKEN, "--strict", "--json-output", "--i-accept-side-effects"];
    let (output, said) = run(tool("scim-sanity").args(arguments)).await?;
    ensure!(output.status.success(), "{said}");
    let report: Value = serde_json::from_slice(&output.stdout).with_context(|| said.clone())?;
    let results = report["results"].as_array().with_context(|| said.clone())?;
    println!("{} checks", results.len());
    ensure!(results.iter().all(|r| r["status"].as_str().is_some_and(|s| s.eq_ignore_ascii_case("pass"))), "{said}");
    for phase in ["Agent CRUD", "AgenticApplication CRUD", "Agent Rapid"] {
        let there = |r: &Value| r["phase"].as_str().is_some_and(|p| p.contains(phase));
        ensure!(results.iter().any(there), "{phase} was not checked:\n{said}");
    }
    Ok(())
}

#[tokio::test]
async fn scim2_client_discovers_us_and_sends_a_joiner_a_mover_and_a_leaver() -> anyhow::Result<()> {
    let (rollcall, base) = rollcall().await?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/apps/joiner_mover_leaver.py");
    let (output, said) = run(tool("python").args([script, &base, SOURCE_TOKEN])).await?;
    ensure!(output.status.success(), "{said}");
    for kind in ["identity.joined", "identity.moved", "identity.left", "identity.deleted"] {
        ensure!(rollcall.items(&format!("/v1/timeline?type={kind}")).await?.len() == 1, "{kind}");
    }
    Ok(())
}
