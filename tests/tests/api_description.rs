//! The description of the API: checked in, and true of what is served, as an outside fuzzer sees it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use reqwest::Method;
use rollcall_tests::rollcall::API_TOKEN;
use rollcall_tests::{App, Faulty, Rollcall};
use serde_json::{Value, json};
use tokio::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[tokio::test]
async fn the_description_that_is_checked_in_is_the_one_that_is_served() -> anyhow::Result<()> {
    let output = rollcall_tests::rollcall::command().arg("openapi").output().await?;
    let made: Value = serde_json::from_slice(&output.stdout)?;
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(root().join("docs/openapi.json"))?)?;
    ensure!(made == kept, "docs/openapi.json is not what the code says: run ./dev reference, and look at what changes");
    Ok(())
}

#[tokio::test]
async fn the_pages_that_are_made_from_the_code_are_what_it_says() -> anyhow::Result<()> {
    for page in ["cli", "configuration"] {
        let output = rollcall_tests::rollcall::command().args(["reference", page]).output().await?;
        let kept = std::fs::read_to_string(root().join(format!("docs/{page}.md")))?;
        ensure!(output.status.success() && !output.stdout.is_empty());
        let made = String::from_utf8(output.stdout)?;
        ensure!(made == kept, "docs/{page}.md is not what the program says: run ./dev reference");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_finds_a_server_error_or_an_undocumented_answer() -> anyhow::Result<()> {
    let faulty = Faulty::start().await?;
    let app = App {
        id: "crm",
        base_url: faulty.base_url("crm"),
        assign: "active eq true",
        deprovision: "delete",
        leaver_sla: "10m",
        keys: "",
        tables: "",
    };
    let extra = "[[api_tokens]]\nname = \"root\"\nrole = \"admin\"\ntoken = \"admin-token-0123456789\"\n\
                 [audit]\ncheckpoint_every = \"500ms\"";
    let rollcall = Rollcall::new(&[app], extra)?;
    rollcall.start().await?;
    for name in ["ada@example.com", "bob@example.com"] {
        let user = json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": name });
        rollcall.scim(Method::POST, "/Users", &user).await?;
    }
    for page in ["/openapi.json", "/docs/"] {
        // Whoever asks may read it, and it needs nothing from elsewhere.
        let (status, text) = rollcall.raw(Method::GET, page, API_TOKEN, None).await?;
        ensure!(status == 200 && !text.to_string().contains("//cdn"), "{page}: {status}");
    }
    let python = std::env::var("ROLLCALL_PYTHON").context("ROLLCALL_PYTHON is not set: run ./dev test")?;
    let folder = tempfile::tempdir()?;
    let output = Command::new(Path::new(&python).join("st"))
        .current_dir(folder.path())
        .args(["run", &format!("{}/openapi.json", rollcall.address())])
        .args(["--header", "Authorization: Bearer admin-token-0123456789"])
        .args([
            "--checks",
            "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
        ])
        // A stream has no end; it has its own tests.
        .args(["--exclude-path", "/v1/timeline/stream"])
        .args(["--max-examples", "25", "--seed", "1", "--suppress-health-check", "all", "--no-color"])
        .output()
        .await?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    ensure!(text.contains("Test cases:"), "{text}");
    println!("{}", text.lines().skip_while(|l| !l.starts_with("Test cases:")).take(2).collect::<Vec<_>>().join(" "));
    Ok(())
}
