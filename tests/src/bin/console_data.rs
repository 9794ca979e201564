//! `./dev console`: a Rollcall with data that is worth looking at, for whoever works on the console. Several apps, of which one lies, one
//! hangs and one keeps names in its own way; people, leavers that are overdue, and removals that wait for a decision.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::Method;
use rollcall_tests::rollcall::{API_TOKEN, SOURCE_TOKEN};
use rollcall_tests::{App, Faulty, Rollcall, Script, Shape, until};
use serde_json::{Value, json};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const GUARD: &str = "[apps.guard]\nmax_removals = 12\nmax_percent = 90\nwindow = \"1h\"\n";
const TOKENS: &str = "[[api_tokens]]\nname = \"ola\"\nrole = \"operator\"\ntoken = \"ola-operator-secret\"\n\
                      [[api_tokens]]\nname = \"ada\"\nrole = \"admin\"\ntoken = \"ada-admin-secret\"\n";
const GIVEN: [&str; 12] =
    ["Ada", "Boris", "Carla", "Dora", "Emil", "Fatima", "Goran", "Hana", "Ivo", "Jana", "Kofi", "Lena"];
const FAMILY: [&str; 10] = ["Abel", "Brandt", "Costa", "Dietz", "Eriksen", "Fuchs", "Gomez", "Horvat", "Ito", "Jensen"];
const TITLES: [&str; 5] = ["Engineer", "Lead", "Analyst", "Designer", "Manager"];

/// How many people there are.
const PEOPLE: usize = 600;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let shots = std::env::args().nth(1).map(PathBuf::from);
    let faulty = Faulty::start().await?;
    let shape = Shape { composes_display_name: true, ..Shape::default() };
    let scripts = [
        ("wiki", Script::default()),
        ("crm", Script { shape, ..Script::default() }),
        ("chat", Script { ignores_deletes: true, ignores_deactivation: true, ..Script::default() }),
        ("expenses", Script::default()),
    ];
    for (id, script) in &scripts {
        faulty.tell(id, script).await?;
    }
    let app = |id, deprovision, leaver_sla, keys, tables| App {
        id,
        base_url: faulty.base_url(id),
        assign: "active eq true",
        deprovision,
        leaver_sla,
        keys,
        tables,
    };
    let apps = [
        app("wiki", "deactivate", "15m", "name = \"Wiki\"\n", GUARD),
        app("crm", "deactivate", "15m", "name = \"CRM\"\n", ""),
        app("chat", "delete", "2s", "name = \"Chat\"\nretry_max = \"20s\"\n", ""),
        app("expenses", "deactivate", "1m", "name = \"Expenses\"\nrequest_timeout = \"1s\"\n", ""),
    ];
    let rollcall = Rollcall::new(&apps, TOKENS)?;
    rollcall.start().await?;
    println!("adding {PEOPLE} people …");
    let person = |n: usize| {
        let (given, family) = (GIVEN[n % GIVEN.len()], FAMILY[n / GIVEN.len() % FAMILY.len()]);
        let name = format!("{}.{}{}", given.to_lowercase(), family.to_lowercase(), n / 120);
        json!({
            "schemas": [USER], "userName": format!("{name}@example.com"), "displayName": format!("{given} {family}"),
            "name": { "givenName": given, "familyName": family }, "title": TITLES[n % TITLES.len()], "externalId": format!("e{n}"),
            "emails": [{ "value": format!("{name}@example.com"), "type": "work", "primary": true }],
        })
    };
    let made: Vec<Value> = stream::iter((0..PEOPLE).map(|n| {
        let (rollcall, person) = (&rollcall, person(n));
        async move { rollcall.scim(Method::POST, "/Users", &person).await }
    }))
    .buffered(8)
    .try_collect()
    .await?;
    let ids: Vec<String> = made.iter().filter_map(|user| user["id"].as_str().map(str::to_owned)).collect();
    until("everybody has their accounts", || async {
        let open = rollcall.items("/v1/obligations?status=open&app=wiki").await?;
        Ok(open.is_empty().then_some(()))
    })
    .await?;
    println!("some leave, one app hangs, and a source takes away more than usual …");
    faulty.tell("expenses", &Script { hangs: 1_000_000, ..Script::default() }).await?;
    for id in ids.iter().step_by(97).take(6) {
        leave(&rollcall, id).await?;
    }
    tokio::time::sleep(std::time::Duration::from_secs(4)).await;
    for id in ids.iter().skip(200).take(30) {
        leave(&rollcall, id).await?;
    }
    until("removals wait for a decision", || async {
        Ok((!rollcall.items("/v1/holds").await?.is_empty()).then_some(()))
    })
    .await?;
    until("leavers are overdue", || async {
        Ok((rollcall.items("/v1/leavers?status=overdue").await?.len() > 3).then_some(()))
    })
    .await?;
    if let Some(folder) = shots {
        return pictures(&rollcall, &folder).await;
    }
    println!("\n{}\n", rollcall.address());
    println!("sign in with one of these tokens:");
    println!("  {API_TOKEN:<22} auditor\n  {:<22} operator\n  {:<22} admin", "ola-operator-secret", "ada-admin-secret");
    println!("the source's token: {SOURCE_TOKEN}\n\nCtrl-C ends it");
    tokio::signal::ctrl_c().await?;
    Ok(())
}

async fn leave(rollcall: &Rollcall, id: &str) -> anyhow::Result<()> {
    let operations = json!([{ "op": "replace", "path": "active", "value": false }]);
    let patch = json!({ "schemas": [PATCH], "Operations": operations });
    rollcall.scim(Method::PATCH, &format!("/Users/{id}"), &patch).await.map(drop)
}

/// The README's pictures.
async fn pictures(rollcall: &Rollcall, folder: &Path) -> anyhow::Result<()> {
    let python = std::env::var("ROLLCALL_PYTHON").context("ROLLCALL_PYTHON is not set: run ./dev console")?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("apps/pictures.py");
    let mut walk = tokio::process::Command::new(Path::new(&python).join("python"));
    let done = walk.arg(script).arg(rollcall.address()).arg("ola-operator-secret").arg(folder).status().await?;
    ensure!(done.success(), "no pictures were taken");
    Ok(())
}
