//! `rollcall import`: who is in a file is there afterwards, once, however often it is read and wherever it was cut off.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::ensure;
use reqwest::Method;
use rollcall_tests::rollcall::{API_TOKEN, SOURCE_TOKEN, command};
use rollcall_tests::{App, Faulty, Rollcall, Script, until};
use serde_json::{Value, json};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const APP: &str = "quirky";

fn begin(rollcall: &Rollcall, file: &Path) -> tokio::process::Command {
    let mut command = command();
    command.arg("import").arg(file).arg("--config").arg(rollcall.config_file());
    command.arg("--data-dir").arg(rollcall.data_dir());
    command
}

/// What the command said: its exit code, standard output and standard error.
async fn import(rollcall: &Rollcall, file: &Path, more: &[&str]) -> anyhow::Result<(Option<i32>, String, String)> {
    let output = begin(rollcall, file).args(more).output().await?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok((output.status.code(), text(output.stdout), text(output.stderr)))
}

async fn total(rollcall: &Rollcall) -> anyhow::Result<u64> {
    let (_, list) = rollcall.raw(Method::GET, "/scim/v2/Users?count=0", SOURCE_TOKEN, None).await?;
    Ok(list["totalResults"].as_u64().unwrap_or_default())
}

fn person(n: usize) -> Value {
    json!({ "schemas": [USER], "userName": format!("person{n}@example.com"), "title": "Dev", "externalId": n.to_string() })
}

async fn stage() -> anyhow::Result<(Faulty, Rollcall)> {
    let app = Faulty::start().await?;
    app.tell(APP, &Script::default()).await?;
    let apps = [App {
        id: APP,
        base_url: app.base_url(APP),
        assign: "title eq \"Boss\"",
        deprovision: "deactivate",
        leaver_sla: "10m",
        keys: "",
        tables: "",
    }];
    let rollcall = Rollcall::new(&apps, "")?;
    rollcall.start().await?;
    rollcall.stop().await?;
    Ok((app, rollcall))
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_in_a_file_is_added_and_what_can_not_be_is_named_with_its_line() -> anyhow::Result<()> {
    let (app, rollcall) = stage().await?;
    let folder = tempfile::tempdir()?;
    let (file, refused) = (folder.path().join("people.ndjson"), folder.path().join("refused.ndjson"));
    let mut text = String::new();
    for n in 0..1500 {
        writeln!(text, "{}", person(n))?;
    }
    writeln!(text, "{}", json!({ "schemas": [USER], "userName": "boss@example.com", "title": "Boss" }))?;
    text.push_str("\n{\"userName\": \n{\"title\": \"Nobody\"}\n{\"userName\": \"x\", \"active\": \"perhaps\"}\n");
    writeln!(text, "{}", json!({ "userName": "PERSON7@example.com", "title": "Other" }))?;
    std::fs::write(&file, &text)?;
    let to = refused.to_str().unwrap_or_default();
    let (code, said, complaints) = import(&rollcall, &file, &["--refused", to]).await?;
    ensure!(code == Some(1), "{code:?} {said} {complaints}");
    ensure!(said.contains("1505 lines read: 1501 added, 0 there before, 4 refused"), "{said}");
    for (line, why) in [(1503, "not JSON"), (1504, "userName"), (1505, "active"), (1506, "is there already")] {
        let named = complaints.lines().any(|l| l.starts_with(&format!("line {line}: ")) && l.contains(why));
        ensure!(named, "{line} {why}: {complaints}");
    }
    let kept = std::fs::read_to_string(&refused)?;
    let kept: Vec<Value> = kept.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(kept.len() == 4 && kept[3]["resource"]["title"] == "Other", "{kept:?}");
    let (code, said, _) = import(&rollcall, &file, &[]).await?;
    ensure!(code == Some(1) && said.contains("0 added, 1501 there before, 4 refused"), "{code:?} {said}");

    rollcall.start().await?;
    ensure!(total(&rollcall).await? == 1501, "{}", total(&rollcall).await?);
    // They are as if their source had sent them: an app follows, and it can be told who said so.
    until("the boss has an account", || async { Ok((app.users(APP).len() == 1).then_some(())) }).await?;
    let (status, joined) =
        rollcall.raw(Method::GET, "/v1/timeline?type=identity.joined&limit=1", API_TOKEN, None).await?;
    ensure!(
        status == 200 && joined["items"][0]["source"] == "hr" && joined["items"][0]["reason"] == "import",
        "{joined}"
    );
    let (status, user) =
        rollcall.raw(Method::POST, "/scim/v2/Users", SOURCE_TOKEN, Some(person(3).to_string())).await?;
    ensure!(status == 409, "a name that was imported is taken: {status} {user}");
    // Its server is its own: while it runs, nobody else may start that.
    let (code, _, complaints) = import(&rollcall, &file, &[]).await?;
    ensure!(code != Some(0) && complaints.contains("in use by another process"), "{complaints}");
    Ok(())
}

/// Many lines are on their way at once; all the same it is as if they had been sent one after the other.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_lines_with_the_same_name_the_first_is_added() -> anyhow::Result<()> {
    const PEOPLE: usize = 300;
    let (_app, rollcall) = stage().await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("people.ndjson");
    let mut text = String::new();
    for n in 0..PEOPLE {
        writeln!(text, "{}", person(n))?;
        let again = json!({ "schemas": [USER], "userName": format!("PERSON{n}@example.com"), "title": "Second" });
        writeln!(text, "{again}")?;
    }
    std::fs::write(&file, &text)?;
    let (code, said, complaints) = import(&rollcall, &file, &[]).await?;
    ensure!(code == Some(1) && said.contains("300 added, 0 there before, 300 refused"), "{said} {complaints}");
    rollcall.start().await?;
    let (_, second) = rollcall
        .raw(Method::GET, "/scim/v2/Users?count=0&filter=title%20eq%20%22Second%22", SOURCE_TOKEN, None)
        .await?;
    ensure!(second["totalResults"] == 0, "{second}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_was_killed_goes_on_and_adds_nobody_twice() -> anyhow::Result<()> {
    // So many that it is killed long before it is over.
    const PEOPLE: usize = 16_000;
    let rollcall = Rollcall::gateway_alone("").await?;
    rollcall.configure()?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("people.ndjson");
    let text: Vec<String> = (0..PEOPLE).map(|n| person(n).to_string()).collect();
    std::fs::write(&file, text.join("\n"))?;
    let mut running = begin(&rollcall, &file);
    let mut running = running.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn()?;
    let mark = folder.path().join("people.ndjson.import");
    until("it has said how far it is", || async { Ok(mark.exists().then_some(())) }).await?;
    running.kill().await?;
    let (code, said, complaints) = import(&rollcall, &file, &[]).await?;
    ensure!(code == Some(0), "{said} {complaints}");
    ensure!(complaints.contains("goes on after line"), "it was over before it could be killed: {complaints}");
    ensure!(!mark.exists(), "the mark is left");
    rollcall.start().await?;
    ensure!(total(&rollcall).await? == PEOPLE as u64, "{}", total(&rollcall).await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_imported_by_its_columns() -> anyhow::Result<()> {
    let (_app, rollcall) = stage().await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("people.csv");
    std::fs::write(
        &file,
        "Login,First name,title,Badge,active\nanna,Anna,\"Head, Sales\",17,yes\nben,Ben,,18,no\ncleo,Cleo,Dev,19\n",
    )?;
    let (code, _, complaints) = import(&rollcall, &file, &["--map", "Nickname=nickName"]).await?;
    ensure!(code != Some(0) && complaints.contains("there is no column 'Nickname'; there are Login,"), "{complaints}");
    let map = ["--map", "Login=userName", "--map", "First name=name.givenName", "--map", "Badge="];
    let (code, said, complaints) = import(&rollcall, &file, &map).await?;
    ensure!(
        code == Some(1) && said.contains("3 lines read: 2 added") && complaints.contains("line 4: "),
        "{said}{complaints}"
    );
    rollcall.start().await?;
    let found = rollcall.raw(Method::GET, "/scim/v2/Users?sortBy=userName", SOURCE_TOKEN, None).await?.1;
    let shown = &found["Resources"][0];
    ensure!(shown["userName"] == "anna" && shown["name"]["givenName"] == "Anna", "{found}");
    ensure!(shown["title"] == "Head, Sales" && found["Resources"][1]["active"] == false, "{found}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_are_imported_with_the_user_names_of_those_who_answer_for_them() -> anyhow::Result<()> {
    const SERVICE_ACCOUNT: &str = "urn:ietf:params:scim:schemas:extension:rollcall:2.0:ServiceAccount";
    const MACHINE: &str = "urn:ietf:params:scim:schemas:extension:rollcall:2.0:Machine";
    let (_app, rollcall) = stage().await?;
    let folder = tempfile::tempdir()?;
    let file = |name: &str, lines: &[Value]| {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let path = folder.path().join(name);
        std::fs::write(&path, text).map(|()| path)
    };
    let people = file("people.ndjson", &[person(1), person(2)])?;
    ensure!(import(&rollcall, &people, &[]).await?.0 == Some(0));
    let machine =
        |name: &str, said: Value| json!({ "schemas": [SERVICE_ACCOUNT, MACHINE], "userName": name, MACHINE: said });
    let lines = [
        machine("svc-a", json!({ "owner": "PERSON1@example.com", "environment": "production" })),
        machine("svc-b", json!({ "owner": "nobody@example.com" })),
        machine("svc-c", json!({})),
        machine("svc-d", json!({ "owner": "person2@example.com", "expiresAt": "2001-01-01T00:00:00Z" })),
    ];
    let machines = file("machines.ndjson", &lines)?;
    for added in ["2 added", "0 added"] {
        let (code, said, complaints) = import(&rollcall, &machines, &[]).await?;
        ensure!(code == Some(1) && said.contains("4 lines read") && said.contains(added), "{said}{complaints}");
        ensure!(complaints.contains("line 2: owner: there is no User 'nobody@example.com'"), "{complaints}");
        ensure!(complaints.contains("line 4: expiresAt: 2001-01-01T00:00:00Z is past"), "{complaints}");
    }
    rollcall.start().await?;
    let machines = rollcall.items("/v1/machines").await?;
    ensure!(machines.len() == 2, "{machines:?}");
    let of = |name: &str| machines.iter().find(|machine| machine["name"] == name).cloned().unwrap_or_default();
    ensure!(of("svc-a")["owner"]["user_name"] == "person1@example.com", "{machines:?}");
    ensure!(of("svc-a")["lifecycle"] == "active" && of("svc-c")["lifecycle"] == "staged", "{machines:?}");
    Ok(())
}
