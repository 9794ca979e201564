//! `./dev bench door`: the SCIM door under load, side by side with two other servers.
//!
//! Rollcall runs as a gateway on a nats-server that syncs each write to disk before it answers.

use anyhow::Context as _;
use rollcall_tests::bench::{Figure, Peer, Rate, load, once, request, resident};
use rollcall_tests::rollcall::{APP_TOKEN, SOURCE_TOKEN};
use rollcall_tests::{Rollcall, Scim2Server, Scimmy};

const CONNECTIONS: usize = 32;
const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

fn user(n: usize) -> String {
    format!(
        r#"{{"schemas":["{USER}"],"userName":"user{n}@example.com","externalId":"e{n}","active":true,"title":"Engineer","name":{{"givenName":"Given{n}","familyName":"Family{n}"}},"emails":[{{"value":"user{n}@example.com","type":"work","primary":true}}]}}"#
    )
}

async fn create(peer: &Peer, from: usize, to: usize) -> anyhow::Result<Rate> {
    let by = peer.clone();
    load(peer, CONNECTIONS, to - from, 201, "", move |n| request(&by, "POST", "/Users", &user(from + n))).await
}

/// Looks people up by name, each another.
async fn lookup(peer: &Peer, users: usize, requests: usize) -> anyhow::Result<Rate> {
    let by = peer.clone();
    let path = move |n: usize| {
        let who = n.wrapping_mul(7919) % users;
        format!("/Users?filter=userName%20eq%20%22user{who}%40example.com%22")
    };
    load(peer, CONNECTIONS, requests, 200, "userName", move |n| request(&by, "GET", &path(n), "")).await
}

/// Reads people one by one, each another, by the ids of a page.
async fn get(peer: &Peer, users: usize, requests: usize) -> anyhow::Result<Rate> {
    let page = once(peer, &request(peer, "GET", &format!("/Users?count=200&startIndex={}", 1 + users / 2), "")).await?;
    let page: serde_json::Value = serde_json::from_str(&page)?;
    let found = page["Resources"].as_array().context("no page")?;
    let ids: Vec<String> = found.iter().filter_map(|u| Some(u["id"].as_str()?.to_owned())).collect();
    let by = peer.clone();
    let path = move |n: usize| format!("/Users/{}", ids[n % ids.len()]);
    load(peer, CONNECTIONS, requests, 200, "userName", move |n| request(&by, "GET", &path(n), "")).await
}

async fn pages(peer: &Peer, users: usize, requests: usize) -> anyhow::Result<Rate> {
    let by = peer.clone();
    let path = move |n: usize| format!("/Users?count=100&startIndex={}", 1 + n.wrapping_mul(31) % users.min(1000));
    load(peer, CONNECTIONS, requests, 200, "", move |n| request(&by, "GET", &path(n), "")).await
}

/// Adds one member at a time to a group that has `size` already.
async fn add_members(peer: &Peer, size: usize, requests: usize) -> anyhow::Result<Rate> {
    let group = format!(r#"{{"schemas":["{GROUP}"],"displayName":"group of {size}"}}"#);
    let made = once(peer, &request(peer, "POST", "/Groups", &group)).await?;
    let made: serde_json::Value = serde_json::from_str(&made)?;
    let path = format!("/Groups/{}", made["id"].as_str().context("no id")?);
    let add = |from: usize, count: usize| {
        let members: Vec<String> = (from..from + count).map(|n| format!(r#"{{"value":"m{n}"}}"#)).collect();
        format!(
            r#"{{"schemas":["{PATCH}"],"Operations":[{{"op":"add","path":"members","value":[{}]}}]}}"#,
            members.join(",")
        )
    };
    let mut have = 0;
    while have < size {
        let count = (size - have).min(1000);
        once(peer, &request(peer, "PATCH", &path, &add(have, count))).await?;
        have += count;
    }
    let by = peer.clone();
    let path = format!("{path}?excludedAttributes=members");
    load(peer, 1, requests, 200, "", move |n| request(&by, "PATCH", &path, &add(size + n, 1))).await
}

/// What another server does of the same, with a few users and in memory.
struct Beside {
    name: &'static str,
    created: f64,
    found: f64,
    paged: f64,
    /// Not every server can.
    added: Option<f64>,
}

/// How many users the others are asked about: they are slow.
const FEW: usize = 300;

async fn beside(other: &Peer) -> anyhow::Result<Beside> {
    Ok(Beside {
        name: other.name,
        created: create(other, 0, FEW).await?.per_second(),
        found: lookup(other, FEW, FEW).await?.per_second(),
        paged: pages(other, FEW, 50).await?.per_second(),
        added: add_members(other, 10, 50).await.ok().map(|rate| rate.per_second()),
    })
}

fn with(figure: Figure, others: &[Beside], of: impl Fn(&Beside) -> Option<f64>) -> Figure {
    let known = others.iter().filter_map(|other| Some((other.name, of(other)?)));
    known.fold(figure, |figure, (name, value)| figure.beside(name, value))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let users: usize = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(100_000);
    let rollcall = Rollcall::gateway_alone("").await?;
    rollcall.start().await?;
    let address = rollcall.address().replace("http://", "");
    let ours = Peer { name: "rollcall", address, base: "/scim/v2", token: SOURCE_TOKEN.into() };
    let scim2 = Scim2Server::start().await?;
    let scimmy = Scimmy::start().await?;
    let peer = |name, base_url: &str, base| {
        let address = base_url.trim_start_matches("http://").split('/').next().unwrap_or_default().to_owned();
        Peer { name, address, base, token: APP_TOKEN.into() }
    };
    let mut others = vec![beside(&peer("scim2-server", &scim2.base_url, "/v2")).await?];
    if let Some(scimmy) = &scimmy {
        others.push(beside(&peer("SCIMMY", &scimmy.base_url, "/scim/v2")).await?);
    }
    println!("{CONNECTIONS} connections; ours on disk before it is answered, the others in memory with {FEW} users\n");

    let mut have = 0;
    for size in [users / 100, users / 10, users].into_iter().filter(|size| *size > 0) {
        let asked = (size / 2).clamp(1000, 50_000);
        let created = create(&ours, have, size).await?.per_second();
        with(Figure::of("SCIM create", created, "/s").at(size), &others, |o| Some(o.created)).show()?;
        let got = get(&ours, size, asked).await?.per_second();
        Figure::of("SCIM get", got, "/s").at(size).show()?;
        let found = lookup(&ours, size, asked).await?.per_second();
        with(Figure::of("SCIM filter, userName eq", found, "/s").at(size), &others, |o| Some(o.found)).show()?;
        let paged = pages(&ours, size, 1000).await?.per_second();
        with(Figure::of("SCIM list, pages of 100", paged, "/s").at(size), &others, |o| Some(o.paged)).show()?;
        have = size;
        for (name, pid) in rollcall.processes().await {
            Figure::of(&format!("resident memory of {name}"), resident(pid)?, "MB").at(size).show()?;
        }
    }
    for members in [10, users / 10, users] {
        let added = add_members(&ours, members, 100).await?.per_second();
        let figure = Figure::of("SCIM group PATCH, one member", added, "/s").at(members);
        if members == 10 { with(figure, &others, |o| o.added).show()? } else { figure.show()? }
    }
    Ok(())
}
