//! What another configuration would change, in the API and the terminal; and cases that a configuration is held against.

use std::process::Stdio;

use anyhow::{Context as _, ensure};
use reqwest::Method;
use rollcall_tests::rollcall::{API_TOKEN, command};
use rollcall_tests::stage::{APP, Stage, USER};
use rollcall_tests::{App, Faulty, Rollcall, Script, until};
use serde_json::{Value, json};

const TABLES: &str = r#"
[[roles]]
id = "dev"
members = 'title eq "Dev"'
entitlements = ["wiki:group:Editors"]
owner = "it@example.com"
[policies]
folder = "FOLDER"
"#;

const ENTITLEMENTS: &str =
    "[[apps.entitlements]]\ngroup = \"Editors\"\nrisk = \"high\"\n[apps.guard]\nmax_removals = 2\n";

const FORBIDS: &str = r#"
@id("no-guests")
@reason("guests are no staff")
forbid(principal, action == Action::"hold", resource in App::"wiki")
when { principal has userType && principal.userType == "Guest" };
"#;

async fn stage(folder: &std::path::Path) -> anyhow::Result<Stage> {
    let app = Faulty::start().await?;
    app.tell(APP, &Script::default()).await?;
    app.add_group(APP, "Editors", &[]);
    let apps = [App { tables: ENTITLEMENTS, ..App::usual(APP, app.base_url(APP)) }];
    let tables = TABLES.replace("FOLDER", &folder.display().to_string());
    let rollcall = Rollcall::new(&apps, &tables)?;
    rollcall.start().await?;
    Ok(Stage { app, rollcall })
}

async fn run(stage: &Stage, args: &[&str]) -> anyhow::Result<(Option<i32>, String)> {
    let mut command = command();
    command.args(args).env("ROLLCALL_SERVER", stage.rollcall.address()).env("ROLLCALL_API_TOKEN", API_TOKEN);
    command.env("TEST_SOURCE", "x").env("TEST_API", "y").env("TEST_APP", "z");
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().await?;
    Ok((output.status.code(), String::from_utf8(output.stdout)? + &String::from_utf8(output.stderr)?))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_previewed_and_when_it_is_used_the_guard_holds_what_it_takes_away() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let stage = stage(folder.path()).await?;
    for n in 0..6 {
        let (title, kind) = if n < 2 { ("Dev", "Employee") } else { ("Writer", "Guest") };
        let user = json!({ "schemas": [USER], "userName": format!("p{n}"), "title": title, "userType": kind });
        let made = stage.rollcall.scim(Method::POST, "/Users", &user).await?;
        stage.verified(made["id"].as_str().context("no id")?).await?;
    }
    let file = stage.rollcall.config_file().display().to_string();
    let (code, said) = run(&stage, &["policy", "diff", "--config", &file]).await?;
    ensure!(code == Some(0) && said.contains("nobody would gain or lose anything"), "{code:?} {said}");

    std::fs::write(folder.path().join("guests.cedar"), FORBIDS)?;
    let (code, said) = run(&stage, &["policy", "diff", "--config", &file]).await?;
    ensure!(code == Some(1) && said.contains("of 6 accounts 4 would be removed"), "{code:?} {said}");
    ensure!(said.contains("wait for a decision") && said.contains("policy no-guests forbids it"), "{said}");
    let (code, said) = run(&stage, &["policy", "diff", "--config", &file, "--json"]).await?;
    let told: Value = serde_json::from_str(said.trim()).with_context(|| said.clone())?;
    ensure!(code == Some(1) && told["identities"] == 6 && told["changes_total"] == 4, "{told}");
    ensure!(told["entitlements"] == json!([{ "entitlement": "wiki", "gained": 0, "lost": 4 }]), "{told}");
    let reason = &told["reasons"][0];
    ensure!(reason["kind"] == "forbidden" && reason["id"] == "no-guests" && reason["lost"] == 4, "{told}");
    let names: Vec<&str> =
        told["changes"].as_array().context("no list")?.iter().filter_map(|c| c["user_name"].as_str()).collect();
    ensure!(names.len() == 4 && names.contains(&"p5") && !names.contains(&"p0"), "{told}");
    ensure!(stage.app.users(APP).iter().filter(|user| user["active"] == true).count() == 6, "it was not only told");

    // What can't be used is refused, and nothing is told to whoever may not see people.
    let rollcall = &stage.rollcall;
    let preview = |body: Value| async move {
        let body = body.to_string();
        rollcall.raw(Method::POST, "/v1/policies/preview", API_TOKEN, Some(body)).await
    };
    for body in [json!({}), json!({ "apps": [], "roles": [], "policies": [], "separations": [], "more": [] })] {
        let (status, answer) = preview(body).await?;
        ensure!(status == 400, "{status} {answer}");
    }
    let bad = json!({ "id": "p", "text": "nonsense", "reason": "", "owner": "" });
    let (status, answer) = preview(json!({ "apps": [], "roles": [], "policies": [bad], "separations": [] })).await?;
    ensure!(status == 400 && answer["detail"].as_str().is_some_and(|d| d.contains("rollcall check")), "{answer}");

    // It is what happens, and waits for a person.
    stage.rollcall.kill().await?;
    stage.rollcall.start().await?;
    let hold = until("the removals wait", || async { Ok(stage.rollcall.items("/v1/holds").await?.into_iter().next()) })
        .await?;
    ensure!(hold["source"] == format!("configuration:{APP}").as_str(), "{hold}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_is_held_against_cases() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("guests.cedar"), FORBIDS)?;
    let stage = stage(folder.path()).await?;
    let file = stage.rollcall.config_file().display().to_string();
    let cases = folder.path().join("cases.toml");
    let test = |text: &str| {
        let (file, cases) = (file.clone(), cases.clone());
        let written = std::fs::write(&cases, text);
        let stage = &stage;
        async move {
            written?;
            run(stage, &["policy", "test", "--config", &file, &cases.display().to_string()]).await
        }
    };
    let right = r#"
[[cases]]
name = "Ada, a developer, edits the wiki"
user = { title = "Dev", userType = "Employee" }
holds = ["wiki", "wiki:group:Editors"]
nothing_else = true
[[cases]]
name = "guests hold nothing, also where it was granted to them"
user = { title = "Dev", userType = "Guest", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department" = "Sales" }
grants = ["role:dev"]
groups = ["Berlin", "hr/Paris"]
not = ["wiki", "wiki:group:Editors"]
"#;
    let (code, said) = test(right).await?;
    ensure!(code == Some(0) && said.contains("2 of 2 cases are as they say"), "{code:?} {said}");
    let wrong = "[[cases]]\nname = \"writers edit\"\nuser = { title = \"Writer\" }\nholds = [\"wiki:group:Editors\"]\nnot = [\"wiki\"]\n";
    let (code, said) = test(wrong).await?;
    ensure!(code == Some(1) && said.contains("does not hold wiki:group:Editors"), "{code:?} {said}");
    ensure!(said.contains("holds wiki, because of the rule of the app") && said.contains("0 of 1"), "{said}");
    for (text, what) in [
        ("", "missing field `cases`"),
        ("cases = []\n", "there is no case"),
        ("[[cases]]\nname = \"x\"\nuser = { titel = \"Dev\" }\nholds = [\"wiki\"]\n", "titel"),
        ("[[cases]]\nname = \"x\"\nuser = { title = \"Dev\" }\nholds = [\"crm\"]\n", "there is no app 'crm'"),
        ("[[cases]]\nname = \"x\"\nuser = { title = \"Dev\" }\n", "it says nothing"),
        ("[[cases]]\nname = \"x\"\nholds = [\"wiki\"]\n", "give one of 'user', 'agent' and 'service_account'"),
        ("[[cases]]\nname = \"x\"\nuser = {}\nhold = [\"wiki\"]\n", "unknown field `hold`"),
    ] {
        let (code, said) = test(text).await?;
        ensure!(code == Some(1) && said.contains(what), "{text}: {code:?} {said}");
    }
    Ok(())
}
