//! `./dev bench`: the SCIM door under load, side by side with two other servers, one table.
//!
//! Rollcall runs as a gateway on a nats-server that syncs each write to disk before it answers.

use anyhow::Context as _;
use rollcall_tests::bench::{Peer, Rate, load, once, request, resident};
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

fn row(what: &str, who: &str, rate: &Rate) {
    println!("{what:<44} {who:<14} {:>10.0}/s {:>10} in {:.1?}", rate.per_second(), rate.requests, rate.took);
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

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let users: usize = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(100_000);
    let small = 10_000.min(users);
    println!("{CONNECTIONS} connections, {users} users; every create is on disk before it is answered\n");

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
    let others: Vec<Peer> = [
        Some(peer("scim2-server", &scim2.base_url, "/v2")),
        scimmy.as_ref().map(|s| peer("SCIMMY", &s.base_url, "/scim/v2")),
    ]
    .into_iter()
    .flatten()
    .collect();

    let few = 300;
    for other in &others {
        row("create a user, in memory", other.name, &create(other, 0, few).await?);
        row(&format!("userName eq, of {few}"), other.name, &lookup(other, few, few).await?);
        row(&format!("page of 100, of {few}"), other.name, &pages(other, few, 50).await?);
    }
    row("create a user, on disk", ours.name, &create(&ours, 0, small).await?);
    let at_small = lookup(&ours, small, 50_000).await?;
    row(&format!("userName eq, of {small}"), ours.name, &at_small);
    row(&format!("page of 100, of {small}"), ours.name, &pages(&ours, small, 3000).await?);
    if users > small {
        row(&format!("create up to {users}"), ours.name, &create(&ours, small, users).await?);
        let at_all = lookup(&ours, users, 50_000).await?;
        row(&format!("userName eq, of {users}"), ours.name, &at_all);
        println!("  {:.2} of the speed at {small}", at_all.per_second() / at_small.per_second());
        row(&format!("page of 100, of {users}"), ours.name, &pages(&ours, users, 3000).await?);
    }
    let ten = add_members(&ours, 10, 300).await?;
    row("add a member to a group of 10", ours.name, &ten);
    let large = 100_000;
    let many = add_members(&ours, large, 300).await?;
    row(&format!("add a member to a group of {large}"), ours.name, &many);
    println!("  {:.2} times as long as to a group of 10", ten.per_second() / many.per_second());
    for (name, pid) in rollcall.processes().await {
        println!("resident memory of {name}: {:.0} MB", resident(pid)?);
    }
    Ok(())
}
