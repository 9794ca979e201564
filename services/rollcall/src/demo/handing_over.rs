//! The scene in which somebody leaves who answers for machines.

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::apps::{App, CHAT};
use super::play::{ENTERPRISE, Person, account, done, is_live, leaver_record, patch, set_active, until};
use super::rollcall::Rollcall;

const SERVICE_ACCOUNT: &str = "urn:ietf:params:scim:schemas:extension:rollcall:2.0:ServiceAccount";
const MACHINE: &str = "urn:ietf:params:scim:schemas:extension:rollcall:2.0:Machine";

/// Somebody answers for two service accounts, has a token, and leaves: the token is missing in the next list, their manager takes one
/// machine and ends the other, and only then are they complete.
pub async fn machines(rollcall: &Rollcall, apps: &[App], owner: &Person, manager: &Person) -> anyhow::Result<()> {
    let chat = apps.iter().find(|app| app.role == CHAT).context("no Chat")?;
    let started = Instant::now();
    let reports_to =
        patch(json!([{ "op": "add", "path": format!("{ENTERPRISE}:manager"), "value": { "value": manager.id } }]));
    rollcall.scim(Method::PATCH, &format!("/Users/{}", owner.id), &reports_to).await?;
    let reports = machine(rollcall, "svc-reports", owner).await?;
    let old = machine(rollcall, "svc-old-sync", owner).await?;
    for machine in [&reports, &old] {
        account(rollcall, machine, CHAT.id, "present").await?;
    }
    let name = &owner.user_name;
    let tokens = [("token 7", name.as_str()), ("token 8", &manager.user_name)];
    rollcall.list(&tokens, Timestamp::now()).await?;
    done(
        started,
        &format!("{name} answers for two service accounts, whose accounts in Chat are verified, and has a token"),
    );
    set_active(rollcall, owner, false).await?;
    let accounts_are_gone = |leaver: Value| {
        let owed =
            leaver.get("obligations")?.as_array()?.iter().filter(|owed| owed.get("app").is_some_and(Value::is_string));
        owed.map(|owed| owed.get("verified_at")?.as_str()).collect::<Option<Vec<_>>>().map(drop)
    };
    until("no account of the leaver lives", || async {
        Ok(leaver_record(rollcall, owner, "open").await?.and_then(accounts_are_gone))
    })
    .await?;
    let leaving = leaver_record(rollcall, owner, "open").await?.context("no open departure")?;
    ensure!(leaver_is_not_gone(&leaving), "the leaver is called gone while their token is listed: {leaving}");
    done(
        started,
        &format!("{name} left: no account lives, and they are not gone: the code host still lists their token"),
    );
    rollcall.list(&tokens[1..], Timestamp::now()).await?;
    let is_gone = |leaver: Value| leaver.get("gone_at").is_some_and(Value::is_string).then_some(());
    until("the leaver is gone", || async { Ok(leaver_record(rollcall, owner, "open").await?.and_then(is_gone)) })
        .await?;
    done(
        started,
        &format!("the next list lacks it: {name} is verified gone, and not complete: two machines have no owner"),
    );
    let open = rollcall.items("/v1/handovers?status=open").await?;
    let of = |machine: &Person| {
        let found = open.iter().find(|h| h.get("machine").and_then(Value::as_str) == Some(&machine.id));
        found.and_then(|handover| handover.get("id")?.as_str()).context("a machine is not handed over")
    };
    let proposed = open.first().and_then(|handover| handover.pointer("/proposed/0/user_name")?.as_str());
    ensure!(proposed == Some(&manager.user_name), "the manager is not proposed: {open:?}");
    let reason = json!({ "reason": "I know what it does" });
    rollcall.act(&format!("/v1/handovers/{}/accept", of(&reports)?), &manager.user_name, &reason).await?;
    done(started, &format!("{}, the manager, is proposed, and takes over svc-reports", manager.user_name));
    let reason = json!({ "reason": "nobody needs it" });
    rollcall.act(&format!("/v1/handovers/{}/retire", of(&old)?), &manager.user_name, &reason).await?;
    until("the leaver is complete", || leaver_record(rollcall, owner, "completed")).await?;
    ensure!(is_live(chat, &reports).await? && !is_live(chat, &old).await?, "Chat itself does not show the machines so");
    done(started, &format!("svc-old-sync ends, and is read back inactive in Chat: {name} is complete"));
    Ok(())
}

fn leaver_is_not_gone(leaver: &Value) -> bool {
    leaver.get("gone_at").is_none_or(Value::is_null)
}

async fn machine(rollcall: &Rollcall, name: &str, owner: &Person) -> anyhow::Result<Person> {
    let body = json!({
        "schemas": [SERVICE_ACCOUNT, MACHINE], "userName": name, "displayName": name,
        MACHINE: { "owner": owner.id, "environment": "production" },
    });
    let created = rollcall.scim(Method::POST, "/ServiceAccounts", &body).await?;
    let id = created.get("id").and_then(Value::as_str).context("a created service account has no id")?;
    Ok(Person::machine(id, name))
}
