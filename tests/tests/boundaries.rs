//! Who may depend on what, as `cargo tree` shows it.

use std::path::Path;
use std::process::Command;

use anyhow::ensure;

/// The names that `cargo tree` prints, without what only tests and building need.
fn tree(arguments: &[&str]) -> anyhow::Result<Vec<String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["tree", "--offline", "--locked", "--edges", "normal", "--prefix", "none"])
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

#[test]
fn the_log_and_the_store_are_each_behind_one_crate() -> anyhow::Result<()> {
    for (theirs, ours) in [("async-nats", "rollcall-event-log"), ("sled", "rollcall-projection")] {
        let found = tree(&["--workspace", "--invert", theirs, "--depth", "1"])?;
        ensure!(found == [theirs, ours], "{found:?}");
    }
    Ok(())
}

#[test]
fn the_domain_and_the_language_do_no_io() -> anyhow::Result<()> {
    for ours in ["rollcall-domain", "rollcall-scim"] {
        let found = tree(&["--package", ours])?;
        ensure!(found.len() > 1, "{found:?}");
        for io in ["tokio", "async-nats", "sled", "axum", "reqwest", "hyper", "mio", "socket2", "rustls"] {
            ensure!(!found.iter().any(|name| name == io), "{ours} depends on {io}");
        }
    }
    Ok(())
}

/// The apps of the demo are the same server that the tests know.
#[test]
fn the_demo_installs_what_the_tests_use() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let tests = std::fs::read_to_string(root.join("tests/apps/requirements.txt"))?;
    let demo = std::fs::read_to_string(root.join("deploy/demo/requirements.txt"))?;
    let lines: Vec<&str> = demo.lines().filter(|line| !line.starts_with('#')).collect();
    ensure!(lines.iter().any(|line| line.starts_with("scim2-server==")), "there is no scim2-server: {demo}");
    let other: Vec<&&str> = lines.iter().filter(|line| !tests.lines().any(|known| known == **line)).collect();
    ensure!(other.is_empty(), "not as in tests/apps/requirements.txt: {other:?}");
    Ok(())
}
