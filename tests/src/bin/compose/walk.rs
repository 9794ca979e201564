//! The walk: a joiner, a mover, a leaver, and whatever can be done to containers while changes flow.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::{Client, Method};
use rollcall_tests::rollcall::{APP_TOKEN, free_port};
use rollcall_tests::{Faulty, Receiver, Script, until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::deployment::{Deployment, say};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

/// How long a network is cut: longer than any lease holds.
const CUT: Duration = Duration::from_secs(10);

async fn downstream(host: &str) -> anyhow::Result<(tokio::process::Child, String)> {
    let port = free_port();
    let binary = std::env::var("ROLLCALL_SCIM2_SERVER").context("ROLLCALL_SCIM2_SERVER: ./dev test-compose sets it")?;
    let child = Command::new(binary)
        .args(["--hostname", host, "--port", &port.to_string(), "--bearer-token", APP_TOKEN])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    Ok((child, format!("http://{host}:{port}/v2")))
}

async fn accounts(base: &str) -> anyhow::Result<Vec<Value>> {
    let http = Client::new();
    let mut all = Vec::new();
    loop {
        let address = format!("{base}/Users?startIndex={}&count=100", all.len() + 1);
        let page: Value = http.get(address).bearer_auth(APP_TOKEN).send().await?.json().await?;
        let found = page["Resources"].as_array().cloned().unwrap_or_default();
        if found.is_empty() {
            return Ok(all);
        }
        all.extend(found);
    }
}

fn user(name: &str, title: &str, active: bool) -> Value {
    json!({ "schemas": [USER], "userName": name, "title": title, "active": active })
}

/// Apps outside, and who is told of alerts.
pub struct Outside {
    _wiki: tokio::process::Child,
    wiki: String,
    liar: Faulty,
    hook: Receiver,
}

/// An app whose deletes have no effect, until it is mended; it is for those with this title.
const LIAR: &str = "liar";
const LIED_TO: &str = "Contractor";

impl Outside {
    pub async fn start(host: &str) -> anyhow::Result<Self> {
        let (child, wiki) = downstream(host).await?;
        let liar = Faulty::start_on(host).await?;
        liar.tell(LIAR, &Script { ignores_deletes: true, ..Script::default() }).await?;
        Ok(Self { _wiki: child, wiki, liar, hook: Receiver::start_on(host).await? })
    }

    /// What is to be configured for them.
    pub fn configuration(&self) -> String {
        let app = |id: &str, base: &str, rest: &str| {
            format!(
                "[[apps]]\nid = {id:?}\nbase_url = {base:?}\ntoken_file = \"/run/secrets/app-token\"\nowner = \"o@example.com\"\n\
                 retry_min = \"200ms\"\nretry_max = \"1s\"\nprobe_every = \"1s\"\n{rest}\n"
            )
        };
        let lied_to = format!(
            "assign = 'active eq true and title eq {LIED_TO:?}'\ndeprovision = \"delete\"\n[apps.sla]\nleaver = \"2s\""
        );
        format!(
            "{}{}[[alerts]]\nkind = \"webhook\"\nname = \"hook\"\nurl = {:?}\n",
            app("wiki", &self.wiki, "assign = 'active eq true'"),
            app(LIAR, &self.liar.base_url(LIAR), &lied_to),
            self.hook.url
        )
    }

    /// How often each piece of news was told, by alert, person and whether it fires or is over.
    fn told(&self) -> BTreeMap<String, usize> {
        let mut told = BTreeMap::new();
        for message in self.hook.all() {
            let (event, data) = (message.json(), message.json()["data"].clone());
            // Who can't reach the log says so by himself, and can't write that down.
            if data["alert"] != "LogUnreachable" {
                let (alert, who, status) = (&data["alert"], &data["identity"]["userName"], &data["status"]);
                *told.entry(format!("{alert} {who} {status} {}", event["id"])).or_default() += 1;
            }
        }
        told
    }

    async fn told_once(&self, who: &str, status: &str) -> anyhow::Result<()> {
        let start = format!("\"LeaverOverdue\" {who:?} {status:?} ");
        until(&format!("someone is told that the alert about {who} is {status}"), || async {
            Ok(self.told().keys().any(|k| k.starts_with(&start)).then_some(()))
        })
        .await?;
        let told = self.told();
        let times: usize = told.iter().filter(|(k, _)| k.starts_with(&start)).map(|(_, times)| times).sum();
        ensure!(times == 1 && told.values().all(|times| *times == 1), "told more than once: {told:?}");
        Ok(())
    }
}

/// Who was sent, and who of them should have an account.
#[derive(Default)]
struct Sent {
    people: Vec<(String, String, bool)>,
}

impl Sent {
    async fn join(&mut self, deployment: &Deployment, name: String) -> anyhow::Result<()> {
        let made = deployment.push(Method::POST, "/scim/v2/Users", &user(&name, "Dev", true)).await?;
        self.people.push((name, made["id"].as_str().context("no id")?.to_owned(), true));
        Ok(())
    }

    /// The last but `n` leaves.
    async fn leave(&mut self, deployment: &Deployment, n: usize) -> anyhow::Result<()> {
        let (name, id, active) = self.people.iter_mut().rev().nth(n).context("nobody is left")?;
        *active = false;
        deployment.push(Method::PUT, &format!("/scim/v2/Users/{id}"), &user(name, "Dev", false)).await?;
        Ok(())
    }
}

pub async fn walk(deployment: &Deployment, outside: &Outside) -> anyhow::Result<()> {
    let made = deployment.push(Method::POST, "/scim/v2/Users", &user("anna", "Dev", true)).await?;
    let path = format!("/scim/v2/Users/{}", made["id"].as_str().context("no id")?);
    deployment.all_ended().await?;
    deployment.push(Method::PUT, &path, &user("anna", "Lead", true)).await?;
    deployment.all_ended().await?;
    ensure!(
        accounts(&outside.wiki).await?.iter().any(|u| u["userName"] == "anna" && u["title"] == "Lead"),
        "the mover did not arrive"
    );
    deployment.push(Method::PUT, &path, &user("anna", "Lead", false)).await?;
    deployment.all_ended().await?;
    ensure!(accounts(&outside.wiki).await?.iter().all(|u| u["active"] == false), "the leaver is still there");
    say("a joiner, a mover and a leaver: verified");

    // A leaver whom an app keeps: someone is told, and not again by whoever is started again or takes over.
    let made = deployment.push(Method::POST, "/scim/v2/Users", &user("larry", LIED_TO, true)).await?;
    let larry = format!("/scim/v2/Users/{}", made["id"].as_str().context("no id")?);
    deployment.all_ended().await?;
    ensure!(outside.liar.users(LIAR).len() == 1, "the second app has nobody");
    deployment.push(Method::PUT, &larry, &user("larry", LIED_TO, false)).await?;
    outside.told_once("larry", "firing").await?;
    say("an app that ignores deletes: its leaver is overdue, and someone was told");

    let mut sent = Sent::default();
    killed(deployment, &mut sent).await?;
    cut(deployment, &mut sent).await?;

    outside.told_once("larry", "firing").await?;
    outside.liar.tell(LIAR, &Script::default()).await?;
    outside.told_once("larry", "resolved").await?;
    say("the app was mended, its leaver is gone: told once that he was overdue, and once that he is not");
    deployment.all_ended().await?;
    checked(deployment, outside, &sent).await
}

/// Each container is killed in turn while changes flow.
async fn killed(deployment: &Deployment, sent: &mut Sent) -> anyhow::Result<()> {
    for (round, service) in deployment.shape.services.iter().enumerate() {
        for n in 0..6 {
            sent.join(deployment, format!("person{round}-{n}")).await?;
            if n == 2 {
                // From outside, as the kernel would: the engine restarts it by its policy.
                let id = deployment.container(service).await?;
                let pid = deployment.docker(&["inspect", "-f", "{{.State.Pid}}", &id]).await?;
                let pid = pid.trim().parse().ok().and_then(Pid::from_raw).context("it does not run")?;
                kill_process(pid, Signal::KILL)?;
            }
        }
        // Someone leaves while it comes back.
        sent.leave(deployment, 3).await?;
        deployment.healthy().await?;
        say(&format!("{service} was killed while changes flowed, and came back"));
    }
    Ok(())
}

/// Networks are cut while changes flow.
async fn cut(deployment: &Deployment, sent: &mut Sent) -> anyhow::Result<()> {
    for service in deployment.shape.cut {
        for n in 0..3 {
            sent.join(deployment, format!("{service}-{n}")).await?;
        }
        deployment.cut_off(service).await?;
        let flow = async {
            sent.leave(deployment, 0).await?;
            sent.join(deployment, format!("{service}-3")).await?;
            sent.leave(deployment, 2).await
        };
        let back = async {
            tokio::time::sleep(CUT).await;
            deployment.reconnect(service).await
        };
        tokio::try_join!(flow, back)?;
        deployment.healthy().await?;
        say(&format!("{service} was without a network for {} s while changes flowed", CUT.as_secs()));
    }
    Ok(())
}

/// Nothing acknowledged is lost, nothing happened twice, and the apps are as they should be.
async fn checked(deployment: &Deployment, outside: &Outside, sent: &Sent) -> anyhow::Result<()> {
    let users = accounts(&outside.wiki).await?;
    for (name, id, active) in &sent.people {
        let found: Vec<&Value> = users.iter().filter(|u| u["externalId"] == id.as_str()).collect();
        let right = match found.as_slice() {
            [user] => user["active"] == *active,
            // Who left before the account was made never had one.
            [] => !active,
            _ => false,
        };
        ensure!(right, "{name}: {found:?}");
    }
    ensure!(outside.liar.users(LIAR).is_empty(), "the leaver is still in the app that was mended");
    ensure!(outside.liar.creations(LIAR) == 1, "{} accounts were made for one person", outside.liar.creations(LIAR));
    let events = deployment.items("/v1/timeline").await?;
    let ids: BTreeSet<&str> = events.iter().filter_map(|e| e["event_id"].as_str()).collect();
    ensure!(ids.len() == events.len(), "an event is on the log twice");
    let joined = events.iter().filter(|e| e["type"] == "identity.joined").count();
    let wanted = sent.people.len() + 2;
    ensure!(joined == wanted, "{joined} joiners on the log, {wanted} acknowledged");
    say(&format!("{} events, {wanted} joiners: none lost, none twice, every obligation ended", events.len()));
    Ok(())
}
