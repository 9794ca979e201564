//! Finding and sorting among many people: what an index answers is what a look at everybody would, and what none answers is bounded.

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use reqwest::Method;
use rollcall_tests::rollcall::SOURCE_TOKEN;
use rollcall_tests::{Rollcall, until};
use serde_json::{Value, json};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const BULK: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// More than two stretches of an index.
const PEOPLE: usize = 3000;

/// Nobody can look at so many in this time: what is answered is answered by an index.
const HURRIED: &str = "[scim]\nmax_scan_time = \"1ms\"\n";

fn person(n: usize) -> Value {
    // Not in the order in which they come.
    let mixed = n * 7919 % PEOPLE;
    let mut user = json!({
        "schemas": [USER], "userName": format!("Person{mixed:05}@example.com"), "active": !n.is_multiple_of(5),
        "name": { "familyName": format!("Family {}", mixed % 40) },
        "emails": [{ "value": format!("p{mixed}@example.com"), "type": "work", "primary": true },
                   { "value": format!("Other{}@example.com", mixed % 700), "type": "home" }],
    });
    if !n.is_multiple_of(3) {
        user["title"] = format!("Title {:02}", n % 90).into();
    }
    user
}

async fn many() -> anyhow::Result<Rollcall> {
    let rollcall = Rollcall::new(&[], HURRIED)?;
    rollcall.start().await?;
    for chunk in (0..PEOPLE).collect::<Vec<_>>().chunks(1000) {
        let operations: Vec<Value> = chunk
            .iter()
            .map(|n| json!({ "method": "POST", "path": "/Users", "bulkId": n.to_string(), "data": person(*n) }))
            .collect();
        let answer =
            rollcall.scim(Method::POST, "/Bulk", &json!({ "schemas": [BULK], "Operations": operations })).await?;
        let made = answer["Operations"].as_array().context("no operations")?;
        ensure!(made.iter().all(|one| one["status"] == "201"), "{made:?}");
    }
    Ok(rollcall)
}

async fn search(rollcall: &Rollcall, query: &[(&str, &str)]) -> anyhow::Result<(u16, Value)> {
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    let path = format!("/scim/v2/Users?{query}");
    let (status, answer) = rollcall.raw(Method::GET, &path, SOURCE_TOKEN, None).await?;
    Ok((status.as_u16(), answer))
}

/// Everybody on all pages, by `startIndex`, or by cursor.
async fn pages(rollcall: &Rollcall, query: &[(&str, &str)], by_cursor: bool) -> anyhow::Result<Vec<Value>> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let start = (all.len() + 1).to_string();
        let place = if by_cursor { ("cursor", cursor.as_str()) } else { ("startIndex", start.as_str()) };
        let (status, page) = search(rollcall, &[query, &[("count", "700"), place]].concat()).await?;
        ensure!(status == 200, "{query:?}: {status} {page}");
        let found = page["Resources"].as_array().cloned().unwrap_or_default();
        let total = page["totalResults"].as_u64().context("no total")?;
        let ended = found.is_empty();
        all.extend(found);
        match (by_cursor, page["nextCursor"].as_str()) {
            (true, Some(next)) => next.clone_into(&mut cursor),
            (false, _) if (all.len() as u64) < total && !ended => {}
            _ => {
                ensure!(all.len() as u64 == total, "{query:?}: {} of {total}", all.len());
                return Ok(all);
            }
        }
    }
}

fn ids(found: &[Value]) -> BTreeSet<&str> {
    found.iter().filter_map(|user| user["id"].as_str()).collect()
}

/// What a filter finds, and what should be found.
type Choice<'a> = (String, Box<dyn Fn(&Value) -> bool + 'a>);

fn text<'a>(user: &'a Value, name: &str) -> &'a str {
    user[name].as_str().unwrap_or_default()
}

fn has_email(user: &Value, such: impl Fn(&str) -> bool) -> bool {
    user["emails"].as_array().is_some_and(|all| all.iter().any(|email| such(text(email, "value"))))
}

async fn compare(rollcall: &Rollcall) -> anyhow::Result<()> {
    let everybody = pages(rollcall, &[], false).await?;
    ensure!(ids(&everybody).len() == everybody.len(), "somebody is there twice");
    ensure!(pages(rollcall, &[], true).await? == everybody, "other pages by cursor");
    let some = &everybody[everybody.len() / 2];
    let family = |user: &Value| user["name"]["familyName"].as_str().unwrap_or_default().to_lowercase();
    let modified = |user: &Value| user["meta"]["lastModified"].as_str().map(str::to_owned);
    let since = modified(some).context("no time")?;
    let at = |user: &Value| modified(user).and_then(|at| at.parse::<jiff::Timestamp>().ok());
    let choices: Vec<Choice<'_>> = vec![
        ("title eq \"TITLE 07\"".into(), Box::new(|u| text(u, "title") == "Title 07")),
        ("title sw \"Title 0\"".into(), Box::new(|u| text(u, "title").starts_with("Title 0"))),
        ("title gt \"Title 85\"".into(), Box::new(|u| text(u, "title") > "Title 85")),
        ("title eq \"Nobody's\"".into(), Box::new(|_| false)),
        ("name.familyName eq \"family 3\"".into(), Box::new(|u| family(u) == "family 3")),
        ("active eq true".into(), Box::new(|u| u["active"] == true)),
        (
            "active eq false and title eq \"Title 05\"".into(),
            Box::new(|u| u["active"] == false && text(u, "title") == "Title 05"),
        ),
        ("emails.value eq \"other7@example.com\"".into(), Box::new(|u| has_email(u, |e| e == "Other7@example.com"))),
        (
            "emails[type eq \"home\" and value sw \"other1\"]".into(),
            Box::new(|u| has_email(u, |e| e.starts_with("Other1"))),
        ),
        (
            "title eq \"Title 01\" or name.familyName eq \"Family 2\"".into(),
            Box::new(|u| text(u, "title") == "Title 01" || family(u) == "family 2"),
        ),
        (
            format!("meta.lastModified ge \"{since}\" and title sw \"Title 1\""),
            Box::new(|u| at(u) >= since.parse().ok() && text(u, "title").starts_with("Title 1")),
        ),
        ("userName sw \"person0000\"".into(), Box::new(|u| text(u, "userName").starts_with("Person0000"))),
    ];
    for (filter, wanted) in choices {
        let wanted: BTreeSet<&str> =
            everybody.iter().filter(|user| wanted(user)).filter_map(|user| user["id"].as_str()).collect();
        for by_cursor in [false, true] {
            let found = pages(rollcall, &[("filter", &filter)], by_cursor).await?;
            ensure!(
                found.len() == wanted.len() && ids(&found) == wanted,
                "{filter}: {} and not {}",
                found.len(),
                wanted.len()
            );
        }
    }
    for (by, key) in [
        ("userName", Box::new(|u: &Value| text(u, "userName").to_lowercase()) as Box<dyn Fn(&Value) -> String>),
        // Who has none comes last.
        ("title", Box::new(|u| if u["title"].is_null() { "~".into() } else { text(u, "title").to_lowercase() })),
        ("name.familyName", Box::new(family)),
        ("meta.lastModified", Box::new(|u| at(u).map(|at| format!("{:020}", at.as_microsecond())).unwrap_or_default())),
    ] {
        let mut wanted: Vec<String> = everybody.iter().map(&key).collect();
        wanted.sort_unstable();
        for order in ["ascending", "descending"] {
            for by_cursor in [false, true] {
                let found = pages(rollcall, &[("sortBy", by), ("sortOrder", order)], by_cursor).await?;
                let keys: Vec<String> = found.iter().map(&key).collect();
                ensure!(
                    keys == wanted && ids(&found).len() == found.len(),
                    "{by} {order}: {:?}",
                    keys.iter().take(5).collect::<Vec<_>>()
                );
            }
            wanted.reverse();
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_index_finds_and_sorts_is_what_a_look_at_everybody_would_and_the_rest_is_bounded() -> anyhow::Result<()>
{
    let rollcall = many().await?;
    compare(&rollcall).await?;
    // Some leave the list, some change in all that is indexed.
    let all = pages(&rollcall, &[], false).await?;
    for (n, user) in all.iter().enumerate().filter(|(n, _)| n.is_multiple_of(17)) {
        let path = format!("/Users/{}", text(user, "id"));
        if n.is_multiple_of(2) {
            rollcall.scim(Method::DELETE, &path, &Value::Null).await?;
            continue;
        }
        let operations = json!([
            { "op": "replace", "path": "title", "value": format!("Title {:02}", n % 7) },
            { "op": "replace", "path": "name.familyName", "value": "Family 3" },
            { "op": "replace", "path": "userName", "value": format!("a{n}@example.com") },
            { "op": "remove", "path": "emails" },
        ]);
        rollcall.scim(Method::PATCH, &path, &json!({ "schemas": [PATCH], "Operations": operations })).await?;
    }
    compare(&rollcall).await?;
    what_no_index_answers_is_bounded(rollcall).await
}

async fn refused(rollcall: &Rollcall, query: &[(&str, &str)]) -> anyhow::Result<()> {
    let (status, answer) = search(rollcall, query).await?;
    let says = answer["detail"].as_str().is_some_and(|detail| detail.contains("[scim] indexed"));
    ensure!(status == 400 && answer["scimType"] == "tooMany" && says, "{query:?}: {status} {answer}");
    Ok(())
}

/// And says what to index.
async fn what_no_index_answers_is_bounded(mut rollcall: Rollcall) -> anyhow::Result<()> {
    refused(&rollcall, &[("filter", "nickName eq \"x\"")]).await?;
    refused(&rollcall, &[("filter", "title co \"07\"")]).await?;
    refused(&rollcall, &[("filter", "title eq \"Title 07\" or nickName eq \"x\"")]).await?;
    refused(&rollcall, &[("sortBy", "nickName")]).await?;
    // An index that is configured later is built by itself, and one that is not wanted any more is not used.
    rollcall.stop().await?;
    rollcall.change_configuration(&format!("{HURRIED}indexed = [\"nickName\"]\n"));
    rollcall.start().await?;
    until("nickName is indexed", || async {
        let (status, answer) = search(&rollcall, &[("filter", "nickName eq \"x\"")]).await?;
        Ok((status == 200 && answer["totalResults"] == 0).then_some(()))
    })
    .await?;
    refused(&rollcall, &[("filter", "title eq \"Title 07\"")]).await?;
    let (status, answer) = search(&rollcall, &[("sortBy", "nickName"), ("count", "2")]).await?;
    let nobody_has_one = status == 200 && answer["totalResults"].as_u64().is_some_and(|total| total > 2000);
    ensure!(nobody_has_one, "{status} {answer}");
    rollcall.stop().await
}
