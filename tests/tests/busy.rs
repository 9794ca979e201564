//! It stays up: who says nothing of themselves takes no place from those who do, and what can't fit is said for good.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::Method;
use rollcall_tests::rollcall::{API_TOKEN, SOURCE_TOKEN};
use rollcall_tests::{Rollcall, until};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const LAB_TOKEN: &str = "lab-secret-91be";

const LIFECYCLE: &str = "urn:ietf:params:scim:schemas:extension:rollcall:2.0:Lifecycle";

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

/// Sends a head whose body does not come, and leaves the connection open.
async fn unfinished(address: &str, path: &str, headers: &str) -> anyhow::Result<TcpStream> {
    let mut connection = TcpStream::connect(address).await?;
    let kind = if path.starts_with("/scim") { "application/scim+json" } else { "application/x-www-form-urlencoded" };
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: {kind}\r\n\
         content-length: 1000\r\n{headers}\r\ntoken="
    );
    connection.write_all(head.as_bytes()).await?;
    Ok(connection)
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_do_not_come_take_no_place_from_others() -> anyhow::Result<()> {
    // In one process, and where the gateway passes on what is for the projector.
    for rollcall in [Rollcall::new(&[], "")?, Rollcall::apart(&[], "").await?] {
        bodies_that_do_not_come(rollcall).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_whose_requests_do_not_end_keeps_no_other_source_out() -> anyhow::Result<()> {
    let lab = format!("[[sources]]\nname = \"lab\"\ntoken = \"{LAB_TOKEN}\"\n");
    let rollcall = Rollcall::new(&[], &lab)?.with_server("max_requests_in_flight = 8\nbody_timeout = \"90s\"\n");
    rollcall.start().await?;
    // One that is answered at once, such as while the gateway is not let to take changes yet, holds no place.
    let first = json!({ "schemas": [USER], "userName": "first" }).to_string();
    until("the lab is served", || async {
        let (status, _) = rollcall.raw(Method::POST, "/scim/v2/Users", LAB_TOKEN, Some(first.clone())).await?;
        Ok((status == 201).then_some(()))
    })
    .await?;
    let address = rollcall.address().trim_start_matches("http://").to_owned();
    let headers = format!("authorization: Bearer {LAB_TOKEN}\r\n");
    let mut open = Vec::new();
    for _ in 0..12 {
        open.push(unfinished(&address, "/scim/v2/Users", &headers).await?);
    }
    let user = json!({ "schemas": [USER], "userName": "anna" }).to_string();
    let asked = until("it has as many as it may have", || async {
        let (status, answer) = rollcall.raw(Method::POST, "/scim/v2/Users", LAB_TOKEN, Some(user.clone())).await?;
        Ok((status == 429).then_some(answer))
    });
    let refused = tokio::time::timeout(Duration::from_secs(60), asked).await.context("lab stands still")??;
    ensure!(refused["detail"].as_str().is_some_and(|said| said.contains("under way")), "{refused}");
    let made = rollcall.raw(Method::POST, "/scim/v2/Users", SOURCE_TOKEN, Some(user.clone()));
    let made = tokio::time::timeout(Duration::from_secs(30), made).await.context("everybody stands still")??;
    ensure!(made.0 == 201, "{made:?}");
    Ok(())
}

async fn bodies_that_do_not_come(rollcall: Rollcall) -> anyhow::Result<()> {
    let rollcall =
        rollcall.with_server("max_requests_in_flight = 8\nbody_timeout = \"5s\"\ntrusted_proxies = \"127.0.0.1\"\n");
    rollcall.start().await?;
    let address = rollcall.address().trim_start_matches("http://").to_owned();
    let mut open = Vec::new();
    // Also with what says that they are somebody, which nobody has judged yet.
    for headers in ["", "cookie: rollcall=made-up\r\n", "authorization: Bearer made-up\r\n"] {
        for path in ["/console/sign-in", "/v1/sync", "/console/leave", "/scim/v2/Users"] {
            for _ in 0..8 {
                open.push(unfinished(&address, path, headers).await?);
            }
        }
    }
    // More than there are places for, and the door of the sources is open.
    let user = json!({ "schemas": [USER], "userName": "anna" });
    let made = tokio::time::timeout(
        Duration::from_secs(5),
        rollcall.raw(Method::POST, "/scim/v2/Users", SOURCE_TOKEN, Some(user.to_string())),
    )
    .await
    .context("SCIM stands still")??;
    ensure!(made.0 == 201, "{made:?}");
    // So are the API and the console, and nobody takes the process for one that is stuck; somebody at another address signs in.
    let http = reqwest::Client::new();
    for path in ["/console/assets/icon.svg", "/", "/readyz", "/v1/apps", "/console/sign-in"] {
        let address = format!("{}{path}", rollcall.address());
        let request = match path {
            "/console/sign-in" => http
                .post(address)
                .header("content-type", "application/x-www-form-urlencoded")
                .body(format!("token={API_TOKEN}")),
            _ => http.get(address).bearer_auth(API_TOKEN),
        };
        let asked = tokio::time::timeout(Duration::from_secs(2), request.header("x-forwarded-for", "192.0.2.7").send());
        let answer = asked.await.with_context(|| format!("{path} stands still"))??;
        ensure!(answer.status().is_success(), "{path}: {}", answer.status());
    }
    // Each is answered, once its time has passed.
    for mut connection in open {
        let mut answer = [0; 12];
        tokio::time::timeout(Duration::from_secs(20), connection.read_exact(&mut answer))
            .await
            .context("no answer")??;
        ensure!(answer.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&answer));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_let_in_can_always_be_changed_and_can_always_leave() -> anyhow::Result<()> {
    let rollcall = Rollcall::new(&[], "")?;
    rollcall.start().await?;
    let large = |fill: &str, active: bool| {
        json!({ "schemas": [USER], "userName": "anna", "title": fill.repeat(60 << 10),
            "nickName": fill.repeat(60 << 10), "active": active })
    };
    let made = rollcall.scim(Method::POST, "/Users", &large("a", true)).await?;
    let path = format!("/Users/{}", made["id"].as_str().context("no id")?);
    for (fill, active) in [("b", true), ("c", false), ("d", true), ("e", false)] {
        let changed: Value = rollcall.scim(Method::PUT, &path, &large(fill, active)).await?;
        ensure!(changed["active"] == active, "{active}");
    }
    until("she has left", || async {
        Ok((rollcall.items("/v1/leavers").await?.iter().any(|l| l["user_name"] == "anna")).then_some(()))
    })
    .await
}

/// However much another source has let them grow, they leave by all that says so.
#[tokio::test(flavor = "multi_thread")]
async fn one_who_is_as_large_as_may_be_can_leave() -> anyhow::Result<()> {
    let most = 8 << 10;
    let rollcall = Rollcall::new(&[], &format!("[scim]\nmax_resource_bytes = {most}\n"))?;
    rollcall.start().await?;
    for (name, leave) in
        [("anna", json!({ "active": false })), ("bella", json!({ "active": false, LIFECYCLE: { "emergency": true } }))]
    {
        let mut fits = None;
        // The largest that is let in.
        for bytes in (most - 400..most).rev() {
            let user = json!({ "schemas": [USER], "userName": name, "title": "x".repeat(bytes) }).to_string();
            let (status, answer) = rollcall.raw(Method::POST, "/scim/v2/Users", SOURCE_TOKEN, Some(user)).await?;
            if status == 201 {
                fits = answer["id"].as_str().map(str::to_owned);
                break;
            }
            ensure!(status == 413, "{status} {answer}");
        }
        let path = format!("/Users/{}", fits.context("none fits")?);
        let patch = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [{ "op": "replace", "value": leave }] });
        let changed = rollcall.scim(Method::PATCH, &path, &patch).await?;
        ensure!(changed["active"] == false, "{name}: {changed}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_groups_shows_members_to_who_asks_for_them_and_never_too_many() -> anyhow::Result<()> {
    let rollcall = Rollcall::new(&[], "[scim]\nmax_members_shown = 3\n")?;
    rollcall.start().await?;
    let mut members = Vec::new();
    for name in ["a", "b"] {
        let made = rollcall.scim(Method::POST, "/Users", &json!({ "schemas": [USER], "userName": name })).await?;
        members.push(json!({ "value": made["id"] }));
    }
    for name in ["one", "two", "three"] {
        let group = json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": name, "members": members });
        rollcall.scim(Method::POST, "/Groups", &group).await?;
    }
    let list = async |query: &str| {
        let (status, answer) =
            rollcall.raw(Method::GET, &format!("/scim/v2/Groups{query}"), SOURCE_TOKEN, None).await?;
        ensure!(status == 200, "{query}: {status} {answer}");
        let resources = answer["Resources"].as_array().cloned().unwrap_or_default();
        let shown: Vec<usize> = resources.iter().map(|r| r["members"].as_array().map_or(0, Vec::len)).collect();
        anyhow::Ok((answer["totalResults"].as_u64(), shown, answer["nextCursor"].as_str().map(str::to_owned)))
    };
    ensure!(list("").await?.1 == [0, 0, 0]);
    ensure!(list("?filter=displayName%20eq%20%22TWO%22").await?.1 == [2]);
    ensure!(list("?filter=displayName%20sw%20%22t%22").await?.1 == [0, 0]);
    // Two groups have more members than an answer shows: the third is on the next page.
    let (total, shown, _) = list("?attributes=displayName,members").await?;
    ensure!(total == Some(3) && shown == [2, 2], "{shown:?}");
    ensure!(list("?attributes=members&startIndex=3").await?.1 == [2]);
    let (_, shown, next) = list("?attributes=members&cursor=").await?;
    let next = next.context("no cursor")?;
    ensure!(shown == [2, 2] && list(&format!("?attributes=members&cursor={next}")).await?.1 == [2]);
    Ok(())
}
