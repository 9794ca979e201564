//! What identity providers send that can't be had here, as their source says it: `tests/fixtures/identity-providers.json` names where each
//! was read. Values are illustrative; nobody has recorded them on a wire.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use reqwest::{Client, Method};
use rollcall_tests::Rollcall;
use rollcall_tests::rollcall::SOURCE_TOKEN;
use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Deserialize)]
struct Provider {
    read_from: Vec<String>,
    requests: Vec<Request>,
}

#[derive(Deserialize)]
struct Request {
    name: String,
    method: String,
    path: String,
    content_type: Option<String>,
    body: Option<Value>,
    status: u16,
    /// The answer's id is known by this name from then on.
    keeps: Option<String>,
    /// What the answer holds.
    #[serde(default)]
    shows: Map<String, Value>,
    /// How many members the group has afterwards.
    members: Option<usize>,
}

fn with(ids: &BTreeMap<String, String>, text: &str) -> String {
    ids.iter().fold(text.to_owned(), |text, (name, id)| text.replace(&format!("{{{name}}}"), id))
}

async fn send(rollcall: &Rollcall, request: &Request, ids: &BTreeMap<String, String>) -> anyhow::Result<(u16, Value)> {
    let url = format!("{}/scim/v2{}", rollcall.address(), with(ids, &request.path));
    let mut sent = Client::new().request(Method::from_bytes(request.method.as_bytes())?, url).bearer_auth(SOURCE_TOKEN);
    if let Some(kind) = &request.content_type {
        sent = sent.header("Content-Type", kind);
    }
    if let Some(body) = &request.body {
        sent = sent.body(with(ids, &body.to_string()));
    }
    let answer = sent.send().await?;
    let status = answer.status().as_u16();
    let text = answer.text().await?;
    Ok((status, serde_json::from_str(&text).unwrap_or_default()))
}

async fn replay(provider: &Provider) -> anyhow::Result<()> {
    ensure!(!provider.read_from.is_empty(), "nobody knows where it is from");
    let rollcall = Rollcall::new(&[], "")?;
    rollcall.start().await?;
    let mut ids: BTreeMap<String, String> = BTreeMap::new();
    for request in &provider.requests {
        let (status, answer) = send(&rollcall, request, &ids).await?;
        ensure!(status == request.status, "{}: {status} {answer}", request.name);
        for (name, value) in &request.shows {
            ensure!(answer.get(name) == Some(value), "{}: {name} is not {value} in {answer}", request.name);
        }
        if let Some(name) = &request.keeps {
            ids.insert(name.clone(), answer["id"].as_str().context("no id")?.to_owned());
        }
        if let Some(members) = request.members {
            let group = rollcall.scim(Method::GET, &with(&ids, "/Groups/{group}"), &Value::Null).await?;
            let found = group["members"].as_array().map_or(0, Vec::len);
            ensure!(found == members, "{}: {found} members in {group}", request.name);
        }
    }
    rollcall.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_authentik_and_keycloak_send_is_understood() -> anyhow::Result<()> {
    let all: BTreeMap<String, Provider> = serde_json::from_str(include_str!("../fixtures/identity-providers.json"))?;
    ensure!(all.len() >= 4);
    let mut wrong = Vec::new();
    for (name, provider) in &all {
        if let Err(e) = replay(provider).await {
            wrong.push(format!("{name}: {e:#}"));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}
