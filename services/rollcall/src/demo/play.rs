//! The identity provider's part.

use std::future::Future;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::apps::App;
use super::rollcall::{LEAVER_SLA, Rollcall};
use super::webhook::Receiver;

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

const JOINERS: usize = 25;
const PATIENCE: Duration = Duration::from_secs(60);
const GIVEN: [&str; 5] = ["Ada", "Ben", "Chi", "Dana", "Eli"];
const FAMILY: [&str; 5] = ["Okafor", "Lindgren", "Moreau", "Tanaka", "Silva"];

/// Someone at the company.
pub struct Person {
    pub id: String,
    pub user_name: String,
}

/// Asks until it is true, or says what did not come true.
async fn until<T, F: Future<Output = anyhow::Result<Option<T>>>>(what: &str, ask: impl Fn() -> F) -> anyhow::Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = ask().await? {
            return Ok(found);
        }
        if Instant::now() > deadline {
            bail!("{what}: not within {PATIENCE:?}");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn done(started: Instant, what: &str) {
    println!("  {:>6.2} s  {what}", started.elapsed().as_secs_f64());
}

fn patch(operations: Value) -> Value {
    json!({ "schemas": [PATCH_OP], "Operations": operations })
}

/// Plays every scene; returns the leaver whose app was down.
pub async fn walk(rollcall: &Rollcall, apps: &[App], alerts: &Receiver) -> anyhow::Result<Person> {
    println!("\nThe identity provider pushes over SCIM; Rollcall follows, reads every app back, and keeps the clock:");
    let people = join(rollcall).await?;
    let [mover, leaver, overdue, ..] = people.as_slice() else { bail!("nobody joined") };
    move_department(rollcall, apps, mover).await?;
    leave(rollcall, apps, leaver).await?;
    rehire(rollcall, apps, leaver).await?;
    leave_while_down(rollcall, apps, alerts, overdue).await?;
    Ok(Person { id: overdue.id.clone(), user_name: overdue.user_name.clone() })
}

async fn join(rollcall: &Rollcall) -> anyhow::Result<Vec<Person>> {
    let started = Instant::now();
    let mut people = Vec::new();
    for (family, given) in FAMILY.iter().flat_map(|f| GIVEN.iter().map(move |g| (f, g))).take(JOINERS) {
        let user_name = format!("{}.{}@example.com", given.to_lowercase(), family.to_lowercase());
        // The leaver whose app will be down is in Sales, as CRM is the one that goes down.
        let department = if people.len() % 2 == 0 && !people.is_empty() { "Sales" } else { "Engineering" };
        let body = json!({
            "schemas": [USER, ENTERPRISE],
            "userName": user_name,
            "externalId": format!("hr-{:04}", people.len() + 1),
            "name": { "givenName": given, "familyName": family },
            "displayName": format!("{given} {family}"),
            "emails": [{ "value": user_name, "type": "work", "primary": true }],
            "userType": "Employee",
            "active": true,
            ENTERPRISE: { "department": department },
        });
        let created = rollcall.scim(Method::POST, "/Users", &body).await?;
        let id = created.get("id").and_then(Value::as_str).context("a created user has no id")?;
        people.push(Person { id: id.to_owned(), user_name });
    }
    done(started, &format!("{JOINERS} joiners are on the log"));
    until("every joiner's accounts verified", || async {
        let verified = rollcall.items("/v1/obligations?status=verified").await?;
        // Each is in Chat and in one of the others.
        Ok((verified.len() == 2 * JOINERS).then_some(()))
    })
    .await?;
    done(started, &format!("all {} accounts of the joiners are verified", 2 * JOINERS));
    Ok(people)
}

/// The state of a person's account in an app, once it is verified.
async fn verified(rollcall: &Rollcall, person: &Person, app: &str, desired: &str) -> anyhow::Result<()> {
    until(&format!("{} verified {desired} in {app}", person.user_name), || async {
        let identity = rollcall.api(&format!("/v1/identities/{}", person.id)).await?;
        let accounts = identity.get("accounts").and_then(Value::as_array).cloned().unwrap_or_default();
        let holds = accounts.iter().any(|a| {
            a.get("app").and_then(Value::as_str) == Some(app)
                && a.get("desired").and_then(Value::as_str) == Some(desired)
                && a.get("verified") == Some(&Value::Bool(true))
        });
        Ok(holds.then_some(()))
    })
    .await
}

/// Asks the app itself, past Rollcall: does the person have a live account?
async fn is_live(apps: &[App], app: &str, person: &Person) -> anyhow::Result<bool> {
    let app = apps.iter().find(|a| a.id == app).context("no such app")?;
    let found = app.search(&format!("userName eq \"{}\"", person.user_name)).await?;
    Ok(found.iter().any(|user| user.get("active") != Some(&Value::Bool(false))))
}

async fn move_department(rollcall: &Rollcall, apps: &[App], person: &Person) -> anyhow::Result<()> {
    let started = Instant::now();
    let path = format!("{ENTERPRISE}:department");
    let change = patch(json!([{ "op": "replace", "path": path, "value": "Sales" }]));
    rollcall.scim(Method::PATCH, &format!("/Users/{}", person.id), &change).await?;
    verified(rollcall, person, "crm", "present").await?;
    verified(rollcall, person, "code", "absent").await?;
    ensure!(is_live(apps, "crm", person).await?, "CRM itself does not have the mover");
    ensure!(!is_live(apps, "code", person).await?, "Code itself still has the mover");
    done(started, &format!("{} moved to Sales: in CRM, out of Code, both read back", person.user_name));
    Ok(())
}

async fn set_active(rollcall: &Rollcall, person: &Person, active: bool) -> anyhow::Result<()> {
    let change = patch(json!([{ "op": "replace", "path": "active", "value": active }]));
    rollcall.scim(Method::PATCH, &format!("/Users/{}", person.id), &change).await?;
    Ok(())
}

async fn leaver_record(rollcall: &Rollcall, person: &Person, status: &str) -> anyhow::Result<Option<Value>> {
    let leavers = rollcall.items(&format!("/v1/leavers?status={status}")).await?;
    Ok(leavers.into_iter().find(|l| l.get("identity").and_then(Value::as_str) == Some(&person.id)))
}

async fn leave(rollcall: &Rollcall, apps: &[App], person: &Person) -> anyhow::Result<()> {
    let started = Instant::now();
    set_active(rollcall, person, false).await?;
    until("the leaver completed", || leaver_record(rollcall, person, "completed")).await?;
    for app in ["chat", "code", "crm"] {
        ensure!(!is_live(apps, app, person).await?, "{app} itself still has the leaver");
    }
    done(started, &format!("{} left: verified gone from every app", person.user_name));
    Ok(())
}

async fn rehire(rollcall: &Rollcall, apps: &[App], person: &Person) -> anyhow::Result<()> {
    let started = Instant::now();
    set_active(rollcall, person, true).await?;
    verified(rollcall, person, "chat", "present").await?;
    verified(rollcall, person, "code", "present").await?;
    ensure!(is_live(apps, "chat", person).await?, "Chat itself does not have the rehired person");
    done(started, &format!("{} was rehired: the old accounts live again", person.user_name));
    Ok(())
}

async fn leave_while_down(rollcall: &Rollcall, apps: &[App], alerts: &Receiver, person: &Person) -> anyhow::Result<()> {
    let started = Instant::now();
    let crm = apps.iter().find(|a| a.id == "crm").context("no CRM")?;
    crm.freeze()?;
    set_active(rollcall, person, false).await?;
    done(started, &format!("{} left while CRM is down; the deadline is {LEAVER_SLA}", person.user_name));
    until("the leaver overdue", || leaver_record(rollcall, person, "overdue")).await?;
    let alert = until("the alert at the webhook", || async { Ok(alerts.find(&person.id, "firing")) }).await?;
    let summary = alert.get("summary").and_then(Value::as_str).unwrap_or_default();
    done(started, &format!("ALERT: {summary}"));
    crm.thaw()?;
    until("the leaver completed", || leaver_record(rollcall, person, "completed")).await?;
    ensure!(!is_live(apps, "crm", person).await?, "CRM itself still has the leaver");
    done(started, "CRM is back: the account is verified gone");
    until("the alert resolved", || async { Ok(alerts.find(&person.id, "resolved")) }).await?;
    done(started, "the alert is resolved");
    Ok(())
}
