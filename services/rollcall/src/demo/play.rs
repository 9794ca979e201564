//! The identity provider's part.

use std::future::Future;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::apps::{App, CRM, WIKI};
use super::rollcall::{LEAVER_SLA, Rollcall};
use super::webhook::Receiver;

pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
pub const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

const JOINERS: usize = 25;
const PATIENCE: Duration = Duration::from_secs(60);
const GIVEN: [&str; 5] = ["Ada", "Ben", "Chi", "Dana", "Eli"];
const FAMILY: [&str; 5] = ["Okafor", "Lindgren", "Moreau", "Tanaka", "Silva"];

/// Someone at the company.
pub struct Person {
    pub id: String,
    pub user_name: String,
    department: &'static str,
}

impl Person {
    /// A service account, which is in no department.
    pub fn machine(id: &str, user_name: &str) -> Self {
        Self { id: id.to_owned(), user_name: user_name.to_owned(), department: "" }
    }
}

const SALES: &str = "Sales";
const ENGINEERING: &str = "Engineering";

/// Asks until it is true, or says what did not come true.
pub async fn until<T, F: Future<Output = anyhow::Result<Option<T>>>>(
    what: &str,
    ask: impl Fn() -> F,
) -> anyhow::Result<T> {
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

pub fn done(started: Instant, what: &str) {
    println!("  {:>6.2} s  {what}", started.elapsed().as_secs_f64());
}

pub fn patch(operations: Value) -> Value {
    json!({ "schemas": [PATCH_OP], "Operations": operations })
}

/// Whom the scenes are about.
pub struct Cast {
    pub leaver: Person,
    /// Who has not left yet.
    pub next: Person,
    /// Who has no account in the CRM.
    pub asks: Person,
    pub manager: Person,
}

/// Plays every scene in which all apps work.
pub async fn walk(rollcall: &Rollcall, apps: &[App]) -> anyhow::Result<Cast> {
    println!("\nThe identity provider pushes over SCIM; Rollcall follows, reads every app back, and keeps the clock:");
    let mut people = join(rollcall, apps).await?.into_iter();
    let mut next = || people.next().context("nobody joined");
    let (mover, leaver, next, asks, manager) = (next()?, next()?, next()?, next()?, next()?);
    own_ways(rollcall, apps).await?;
    move_department(rollcall, apps, &mover).await?;
    leave(rollcall, apps, &leaver).await?;
    rehire(rollcall, apps, &leaver).await?;
    Ok(Cast { leaver, next, asks, manager })
}

/// Whether the people of the walk-through are there already.
pub async fn was_played(rollcall: &Rollcall) -> anyhow::Result<bool> {
    let found =
        rollcall.scim(Method::GET, "/Users?count=0&filter=externalId%20eq%20%22hr-0001%22", &Value::Null).await?;
    Ok(found.get("totalResults").and_then(Value::as_u64) != Some(0))
}

async fn join(rollcall: &Rollcall, apps: &[App]) -> anyhow::Result<Vec<Person>> {
    let started = Instant::now();
    let mut people = Vec::new();
    for (family, given) in FAMILY.iter().flat_map(|f| GIVEN.iter().map(move |g| (f, g))).take(JOINERS) {
        let user_name = format!("{}.{}@example.com", given.to_lowercase(), family.to_lowercase());
        // The leaver whose app will be down is in Sales, as CRM is the one that goes down.
        let department = if people.len() % 2 == 0 && !people.is_empty() { SALES } else { ENGINEERING };
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
        people.push(Person { id: id.to_owned(), user_name, department });
    }
    done(started, &format!("{JOINERS} joiners are on the log"));
    let accounts: usize =
        people.iter().map(|person| apps.iter().filter(|app| app.role.is_for(person.department)).count()).sum();
    until("every joiner's accounts verified", || async {
        let verified = rollcall.items("/v1/obligations?status=verified").await?;
        Ok((verified.len() == accounts).then_some(()))
    })
    .await?;
    done(started, &format!("all {accounts} accounts of the joiners are verified"));
    Ok(people)
}

/// What an app makes of display names is its own way, and nobody is told of it as drift.
async fn own_ways(rollcall: &Rollcall, apps: &[App]) -> anyhow::Result<()> {
    let Some(app) = apps.iter().find(|app| app.role == WIKI) else { return Ok(()) };
    let started = Instant::now();
    let way = until("the app's own way is learned, and is no drift", || async {
        let view = rollcall.api(&format!("/v1/apps/{}", app.role.id)).await?;
        let keeps = view.pointer("/capabilities/keeps/displayName").cloned().unwrap_or_default();
        let is_calm = view.get("drift_items") == Some(&Value::from(0));
        Ok(keeps.get("way").and_then(Value::as_str).filter(|_| is_calm).map(|way| {
            let part = |name: &str| keeps.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            format!("{way}, such as {:?} for {:?}", part("shown"), part("sent"))
        }))
    })
    .await?;
    done(started, &format!("{} keeps displayName in its own way ({way}): learned, no drift, no alarm", app.role.name));
    Ok(())
}

/// The state of a person's account in an app, once it is verified.
pub async fn account(rollcall: &Rollcall, person: &Person, app: &str, desired: &str) -> anyhow::Result<()> {
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
pub async fn is_live(app: &App, person: &Person) -> anyhow::Result<bool> {
    let found = app.search(&format!("userName eq \"{}\"", person.user_name)).await?;
    Ok(found.iter().any(|user| user.get("active") != Some(&Value::Bool(false))))
}

async fn move_department(rollcall: &Rollcall, apps: &[App], person: &Person) -> anyhow::Result<()> {
    let started = Instant::now();
    let path = format!("{ENTERPRISE}:department");
    let change = patch(json!([{ "op": "replace", "path": path, "value": SALES }]));
    rollcall.scim(Method::PATCH, &format!("/Users/{}", person.id), &change).await?;
    for app in apps {
        let (id, wanted) = (app.role.id, app.role.is_for(SALES));
        if wanted || app.role.is_for(person.department) {
            account(rollcall, person, id, if wanted { "present" } else { "absent" }).await?;
            ensure!(is_live(app, person).await? == wanted, "{id} itself does not show the mover so");
        }
    }
    done(started, &format!("{} moved to Sales: read back in every app that it means", person.user_name));
    Ok(())
}

pub async fn set_active(rollcall: &Rollcall, person: &Person, active: bool) -> anyhow::Result<()> {
    let change = patch(json!([{ "op": "replace", "path": "active", "value": active }]));
    rollcall.scim(Method::PATCH, &format!("/Users/{}", person.id), &change).await?;
    Ok(())
}

pub async fn leaver_record(rollcall: &Rollcall, person: &Person, status: &str) -> anyhow::Result<Option<Value>> {
    let leavers = rollcall.items(&format!("/v1/leavers?status={status}")).await?;
    Ok(leavers.into_iter().find(|l| l.get("identity").and_then(Value::as_str) == Some(&person.id)))
}

async fn leave(rollcall: &Rollcall, apps: &[App], person: &Person) -> anyhow::Result<()> {
    let started = Instant::now();
    set_active(rollcall, person, false).await?;
    until("the leaver completed", || leaver_record(rollcall, person, "completed")).await?;
    for app in apps {
        ensure!(!is_live(app, person).await?, "{} itself still has the leaver", app.role.id);
    }
    done(started, &format!("{} left: verified gone from every app", person.user_name));
    Ok(())
}

async fn rehire(rollcall: &Rollcall, apps: &[App], person: &Person) -> anyhow::Result<()> {
    let started = Instant::now();
    set_active(rollcall, person, true).await?;
    for app in apps.iter().filter(|app| app.role.is_for(person.department)) {
        account(rollcall, person, app.role.id, "present").await?;
        ensure!(is_live(app, person).await?, "{} itself does not have the rehired person", app.role.id);
    }
    done(started, &format!("{} was rehired: the old accounts live again", person.user_name));
    Ok(())
}

/// The scene in which an app is down.
pub async fn leave_while_down(
    rollcall: &Rollcall,
    apps: &[App],
    alerts: &Receiver,
    person: &Person,
) -> anyhow::Result<()> {
    let started = Instant::now();
    let crm = apps.iter().find(|a| a.role == CRM).context("no CRM")?;
    crm.freeze()?;
    set_active(rollcall, person, false).await?;
    done(started, &format!("{} left while CRM is down; the deadline is {LEAVER_SLA}", person.user_name));
    until("the leaver overdue", || leaver_record(rollcall, person, "overdue")).await?;
    let alert = until("the alert at the webhook", || async { Ok(alerts.find(&person.id, "firing")) }).await?;
    let summary = alert.get("summary").and_then(Value::as_str).unwrap_or_default();
    done(started, &format!("ALERT: {summary}"));
    crm.thaw()?;
    until("the leaver completed", || leaver_record(rollcall, person, "completed")).await?;
    ensure!(!is_live(crm, person).await?, "CRM itself still has the leaver");
    done(started, "CRM is back: the account is verified gone");
    until("the alert resolved", || async { Ok(alerts.find(&person.id, "resolved")) }).await?;
    done(started, "the alert is resolved");
    Ok(())
}
