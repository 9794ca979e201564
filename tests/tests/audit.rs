//! The audit timeline: every instant can be asked about, nothing is skipped or repeated, and it can be followed live.

use anyhow::{Context as _, ensure};
use futures_util::StreamExt as _;
use jiff::Timestamp;
use reqwest::{Client, Method};
use rollcall_tests::rollcall::API_TOKEN;
use rollcall_tests::{App, Faulty, Receiver, Rollcall, Script, until};
use serde_json::{Value, json};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

fn app(faulty: &Faulty, id: &'static str) -> App {
    App {
        id,
        base_url: faulty.base_url(id),
        assign: "active eq true",
        deprovision: "delete",
        leaver_sla: "10m",
        keys: "",
        tables: "",
    }
}

async fn join(rollcall: &Rollcall, name: &str) -> anyhow::Result<String> {
    let user = json!({ "schemas": [USER], "userName": name, "displayName": name, "title": "clerk" });
    let made = rollcall.scim(Method::POST, "/Users", &user).await?;
    Ok(made["id"].as_str().context("no id")?.to_owned())
}

async fn patch(rollcall: &Rollcall, id: &str, path: &str, value: Value) -> anyhow::Result<()> {
    let body = json!({ "schemas": [PATCH], "Operations": [{ "op": "replace", "path": path, "value": value }] });
    rollcall.scim(Method::PATCH, &format!("/Users/{id}"), &body).await.map(drop)
}

async fn settled(rollcall: &Rollcall, id: &str) -> anyhow::Result<()> {
    until("every account is verified", || async {
        let identity = rollcall.api(&format!("/v1/identities/{id}")).await?;
        let accounts = identity["accounts"].as_array().context("no accounts")?;
        Ok((!accounts.is_empty() && accounts.iter().all(|a| a["verified"] == true)).then_some(()))
    })
    .await
}

/// An answer without what is the time of asking.
fn timeless(mut answer: Value) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(map) => {
                for key in ["as_of", "age_hours", "drift_debt_hours"] {
                    map.remove(key);
                }
                map.values_mut().for_each(strip);
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    strip(&mut answer);
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_then_is_answered_as_of_then() -> anyhow::Result<()> {
    let faulty = Faulty::start().await?;
    let rollcall = Rollcall::new(&[app(&faulty, "crm"), app(&faulty, "wiki")], "")?;
    rollcall.start().await?;
    let ids = [join(&rollcall, "ada@example.com").await?, join(&rollcall, "bob@example.com").await?];
    let paths: Vec<String> =
        ["/v1/identities", "/v1/leavers", "/v1/obligations", "/v1/apps", "/v1/apps/crm", "/v1/drift"]
            .into_iter()
            .map(str::to_owned)
            .chain(ids.iter().map(|id| format!("/v1/identities/{id}")))
            .collect();
    let mut said: Vec<(Timestamp, String, Value)> = Vec::new();
    for (step, path, value) in [
        (0, "title", json!("chief")),
        (1, "title", json!("boss")),
        (0, "active", json!(false)),
        (0, "active", json!(true)),
        (1, "active", json!(false)),
    ] {
        patch(&rollcall, &ids[step], path, value).await?;
        settled(&rollcall, &ids[step]).await?;
        let mut answers = Vec::new();
        let before = rollcall.api("/v1/apps").await?["as_of"]["sequence"].clone();
        for path in &paths {
            answers.push((path.clone(), timeless(rollcall.api(path).await?)));
        }
        let after = rollcall.api("/v1/apps").await?["as_of"].clone();
        // An answer is of one state only when nothing was appended meanwhile.
        if before == after["sequence"] {
            let at: Timestamp = after["instant"].as_str().context("no instant")?.parse()?;
            said.extend(answers.into_iter().map(|(path, answer)| (at, path, answer)));
        }
    }
    ensure!(said.len() >= 3 * paths.len(), "the log never came to rest: {} answers", said.len());
    for (at, path, answer) in &said {
        let then = timeless(rollcall.api(&format!("{path}?as_of={at}")).await?);
        ensure!(then == *answer, "{path} as of {at}:\n{then:#}\nwas then:\n{answer:#}");
    }
    let (first, _, _) = said.first().context("nothing was said")?;
    let open = rollcall.items(&format!("/v1/leavers?as_of={first}")).await?;
    ensure!(open.is_empty(), "nobody had left then: {open:?}");
    let nobody = rollcall.items("/v1/identities?as_of=2020-01-01T00:00:00Z").await?;
    ensure!(nobody.is_empty(), "{nobody:?}");
    let (status, problem) = rollcall.raw(Method::GET, "/v1/apps?as_of=2999-01-01T00:00:00Z", API_TOKEN, None).await?;
    ensure!(status == 400 && problem["detail"].as_str().is_some_and(|d| d.contains("as_of")), "{status} {problem}");
    Ok(())
}

fn sequences(entries: &[Value]) -> Vec<u64> {
    entries.iter().filter_map(|e| e["sequence"].as_u64()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaver_reads_as_one_story_and_pages_neither_skip_nor_repeat() -> anyhow::Result<()> {
    let faulty = Faulty::start().await?;
    let rollcall = Rollcall::new(&[app(&faulty, "crm"), app(&faulty, "wiki")], "")?;
    rollcall.start().await?;
    let id = join(&rollcall, "ada@example.com").await?;
    settled(&rollcall, &id).await?;
    patch(&rollcall, &id, "active", json!(false)).await?;
    settled(&rollcall, &id).await?;
    let left = &rollcall.items(&format!("/v1/identities/{id}/timeline?type=identity.left")).await?[0];
    ensure!(left["change"] == "leaver" && left["deadline"].is_string(), "{left}");
    // Cause and effects.
    let story = left["correlation_id"].as_str().context("no correlation")?;
    let story = until("the story has its end", || async {
        let story = rollcall.items(&format!("/v1/timeline?order=oldest&correlation_id={story}")).await?;
        Ok(story.iter().any(|e| e["type"] == "leaver.completed").then_some(story))
    })
    .await?;
    ensure!(story[0]["sequence"] == left["sequence"], "{story:#?}");
    let verified: Vec<&Value> = story.iter().filter(|e| e["type"] == "account.verified").collect();
    ensure!(verified.len() == 2 && verified.iter().all(|e| e["deadline"] == left["deadline"]), "{story:#?}");
    let cause = left["event_id"].as_str().context("no event id")?;
    let effects = rollcall.items(&format!("/v1/timeline?caused_by={cause}")).await?;
    ensure!(!effects.is_empty() && effects.iter().all(|e| e["caused_by"] == left["sequence"]), "{effects:#?}");
    // Both orders, any window, every filter.
    let newest = rollcall.items("/v1/timeline").await?;
    let mut oldest = rollcall.items("/v1/timeline?order=oldest").await?;
    oldest.reverse();
    ensure!(newest == oldest, "the orders differ");
    let (from, to) = (newest[newest.len() - 5]["recorded_at"].clone(), newest[3]["recorded_at"].clone());
    let (from, to) = (from.as_str().context("from")?, to.as_str().context("to")?);
    let window = rollcall.items(&format!("/v1/timeline?from={from}&to={to}")).await?;
    let inside = |e: &&Value| {
        let at = |text: &str| text.parse::<Timestamp>().ok();
        e["recorded_at"].as_str().is_some_and(|t| at(t) >= at(from) && at(t) < at(to))
    };
    ensure!(sequences(&window) == sequences(&newest.iter().filter(inside).cloned().collect::<Vec<_>>()), "{window:#?}");
    for (query, key, value) in [
        ("app=crm", "app", json!("crm")),
        ("change=leaver", "change", json!("leaver")),
        ("actor=provisioner", "actor", json!("provisioner")),
        ("source=hr", "source", json!("hr")),
        ("type=account.verified", "type", json!("account.verified")),
    ] {
        let found = rollcall.items(&format!("/v1/timeline?{query}")).await?;
        let wanted: Vec<Value> = newest.iter().filter(|e| e[key] == value).cloned().collect();
        ensure!(!wanted.is_empty() && found == wanted, "{query}: {found:#?}");
    }
    let found = rollcall.items("/v1/timeline?text=ADA@EXAMPLE.COM%20LEFT").await?;
    ensure!(found.len() == 1 && found[0]["sequence"] == left["sequence"], "{found:#?}");
    // Pages of one, while more arrives.
    let (mut cursor, mut seen) = (String::new(), Vec::new());
    let top = newest[0]["sequence"].as_u64().context("no sequence")?;
    for step in 0.. {
        let page = rollcall.api(&format!("/v1/timeline?limit=1{cursor}")).await?;
        seen.extend(sequences(page["items"].as_array().context("no items")?));
        if step % 5 == 0 {
            patch(&rollcall, &id, "title", json!(format!("t{step}"))).await?;
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let wanted: Vec<u64> = (1..=top).rev().collect();
    ensure!(seen.iter().filter(|s| **s <= top).copied().collect::<Vec<_>>() == wanted, "{seen:?}");
    Ok(())
}

/// Reads a live timeline until it has so many entries.
async fn follow(rollcall: &Rollcall, query: &str, last: Option<u64>, count: usize) -> anyhow::Result<Vec<Value>> {
    let url = format!("{}/v1/timeline/stream{query}", rollcall.address());
    let mut request = Client::new().get(url).bearer_auth(API_TOKEN);
    if let Some(last) = last {
        request = request.header("last-event-id", last.to_string());
    }
    let mut body = request.send().await?.error_for_status()?.bytes_stream();
    let (mut text, mut entries) = (String::new(), Vec::new());
    while entries.len() < count {
        let chunk = body.next().await.context("the stream ended")??;
        text.push_str(std::str::from_utf8(&chunk)?);
        while let Some((message, rest)) = text.split_once("\n\n") {
            let data = message.lines().find_map(|l| l.strip_prefix("data: "));
            entries.extend(data.map(serde_json::from_str::<Value>).transpose()?);
            text = rest.to_owned();
        }
    }
    entries.truncate(count);
    Ok(entries)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timeline_is_followed_live_and_resumed_without_a_gap() -> anyhow::Result<()> {
    for apart in [false, true] {
        let faulty = Faulty::start().await?;
        let apps = [app(&faulty, "crm")];
        let rollcall = if apart { Rollcall::apart(&apps, "").await? } else { Rollcall::new(&apps, "")? };
        rollcall.start().await?;
        let id = join(&rollcall, "ada@example.com").await?;
        settled(&rollcall, &id).await?;
        let all = rollcall.items("/v1/timeline?order=oldest").await?;
        // From the start, in two connections; then what happens only afterwards.
        let first = follow(&rollcall, "?after=0", None, 2).await?;
        let last = first[1]["sequence"].as_u64().context("no sequence")?;
        let rest = follow(&rollcall, "", Some(last), all.len() - 2).await?;
        ensure!([first, rest].concat() == all, "a gap or a repeat (apart: {apart})");
        let query = format!("?identity={id}&type=identity.left");
        let waiting = follow(&rollcall, &query, None, 1);
        let leaving = async {
            // The follower may or may not be there yet: it is told again if not.
            for _ in 0..20 {
                patch(&rollcall, &id, "active", json!(false)).await?;
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                patch(&rollcall, &id, "active", json!(true)).await?;
            }
            std::future::pending::<anyhow::Result<Vec<Value>>>().await
        };
        let seen = tokio::select! { seen = waiting => seen?, failed = leaving => failed? };
        ensure!(seen[0]["type"] == "identity.left" && seen[0]["identity"] == id.as_str(), "{seen:?}");
        // Whoever follows does not keep it from stopping.
        let url = format!("{}/v1/timeline/stream", rollcall.address());
        let open = Client::new().get(url).bearer_auth(API_TOKEN).send().await?.error_for_status()?;
        let (stopped, rest) = tokio::join!(rollcall.stop(), open.bytes());
        stopped?;
        ensure!(rest.is_ok(), "the stream was cut off: {rest:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_found_by_any_word_of_their_names() -> anyhow::Result<()> {
    let rollcall = Rollcall::new(&[], "")?;
    rollcall.start().await?;
    let user = |name: &str, display: &str, given: &str| json!({ "schemas": [USER], "userName": name, "displayName": display, "name": { "givenName": given } });
    let ada = rollcall.scim(Method::POST, "/Users", &user("al@example.com", "Ada Lovelace", "Ada")).await?;
    rollcall.scim(Method::POST, "/Users", &user("gh@example.com", "Grace Hopper", "Grace")).await?;
    rollcall.scim(Method::POST, "/Users", &user("ab@example.com", "Ada Byron", "Ada")).await?;
    let names = |text: &'static str| {
        let rollcall = &rollcall;
        async move {
            let found = rollcall.items(&format!("/v1/identities?name={text}")).await?;
            let mut names: Vec<String> =
                found.iter().filter_map(|i| i["user_name"].as_str().map(str::to_owned)).collect();
            names.sort();
            anyhow::Ok(names)
        }
    };
    ensure!(names("ada").await? == ["ab@example.com", "al@example.com"]);
    ensure!(names("LOVE").await? == ["al@example.com"]);
    ensure!(names("ada%20by").await? == ["ab@example.com"]);
    ensure!(names("gh@").await? == ["gh@example.com"]);
    ensure!(names("nobody").await?.is_empty());
    let id = ada["id"].as_str().context("no id")?;
    patch(&rollcall, id, "displayName", json!("Ada King")).await?;
    ensure!(names("lovelace").await?.is_empty(), "an old name is still found");
    ensure!(names("king").await? == ["al@example.com"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_questions_are_refused_by_name() -> anyhow::Result<()> {
    let faulty = Faulty::start().await?;
    faulty.tell("crm", &Script::default()).await?;
    let rollcall = Rollcall::new(&[app(&faulty, "crm")], "")?;
    rollcall.start().await?;
    for (path, name) in [
        ("/v1/timeline?cursor=x", "cursor"),
        ("/v1/timeline?order=sideways", "order"),
        ("/v1/timeline?change=hired", "change"),
        ("/v1/timeline?caused_by=7", "caused_by"),
        ("/v1/timeline?from=yesterday", "from"),
        ("/v1/timeline?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "to"),
        ("/v1/timeline?limit=0", "limit"),
        ("/v1/timeline?as_of=2026-01-02T00:00:00Z", "as_of"),
        ("/v1/timeline/stream?identity=ada", "identity"),
        ("/v1/apps?as_of=noon", "as_of"),
        ("/v1/identities?lifecycle=gone", "lifecycle"),
    ] {
        let (status, problem) = rollcall.raw(Method::GET, path, API_TOKEN, None).await?;
        let named = problem["detail"].as_str().is_some_and(|d| d.contains(&format!("'{name}'")));
        ensure!(status == 400 && named, "{path}: {status} {problem}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_proved_by_a_signed_checkpoint() -> anyhow::Result<()> {
    let faulty = Faulty::start().await?;
    let kept = tempfile::tempdir()?;
    let file = kept.path().join("checkpoint");
    let extra = format!("[audit]\ncheckpoint_every = \"100ms\"\npublish_file = \"{}\"", file.display());
    let rollcall = Rollcall::new(&[app(&faulty, "crm")], &extra)?;
    rollcall.start().await?;
    let id = join(&rollcall, "ada@example.com").await?;
    settled(&rollcall, &id).await?;
    let wanted = rollcall.items("/v1/timeline?type=account.verified").await?[0]["sequence"].clone();
    let first = until("a checkpoint holds the proof", || async {
        let (status, latest) = rollcall.raw(Method::GET, "/v1/checkpoints/latest", API_TOKEN, None).await?;
        Ok((status == 200 && latest["size"].as_u64() >= wanted.as_u64()).then_some(latest))
    })
    .await?;
    let proof = rollcall.api(&format!("/v1/events/{wanted}/proof")).await?;
    ensure!(proof["leaf_hash"].is_string() && proof["hashes"].is_array(), "{proof}");
    // The log comes to rest: checkpoints of checkpoints do not go on for ever.
    let rest = until("the log is at rest", || async {
        let head = rollcall.items("/v1/timeline").await?[0].clone();
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        Ok((rollcall.items("/v1/timeline").await?[0] == head).then_some(head))
    })
    .await?;
    ensure!(rest["type"] == "log.checkpoint", "{rest}");
    patch(&rollcall, &id, "active", json!(false)).await?;
    let last = until("a later checkpoint is there, and kept elsewhere", || async {
        let latest = rollcall.api("/v1/checkpoints/latest").await?;
        let elsewhere = std::fs::read_to_string(&file).unwrap_or_default();
        Ok((latest["size"].as_u64() > rest["sequence"].as_u64() && latest["note"] == elsewhere).then_some(latest))
    })
    .await?;
    let path = format!("/v1/checkpoints/consistency?from={}&to={}", first["size"], last["size"]);
    let proof = rollcall.api(&path).await?;
    ensure!(proof["hashes"].as_array().is_some_and(|h| !h.is_empty()), "{proof}");
    for (path, expected) in [
        ("/v1/events/0/proof", 404),
        ("/v1/events/9999999/proof", 404),
        ("/v1/events/x/proof", 404),
        ("/v1/checkpoints/consistency", 400),
        ("/v1/checkpoints/consistency?from=0", 400),
        ("/v1/checkpoints/consistency?from=1&to=999999", 404),
    ] {
        let (status, problem) = rollcall.raw(Method::GET, path, API_TOKEN, None).await?;
        ensure!(status == expected, "{path}: {status} {problem}");
    }
    // The same key signs after a restart.
    rollcall.stop().await?;
    rollcall.start().await?;
    let again = rollcall.api("/v1/checkpoints/latest").await?;
    ensure!(again["public_keys"] == first["public_keys"], "{again}");
    Ok(())
}

/// Runs `rollcall verify` on an export.
async fn verify(lines: &[String], keys: &[&str]) -> anyhow::Result<(bool, String)> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), lines.join("\n") + "\n")?;
    let mut command = rollcall_tests::rollcall::command();
    command.arg("verify").arg(file.path());
    for key in keys {
        command.arg("--key").arg(key);
    }
    let output = command.output().await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Ok((output.status.success(), text))
}

async fn text(rollcall: &Rollcall, path: &str) -> anyhow::Result<String> {
    let url = format!("{}{path}", rollcall.address());
    Ok(Client::new().get(url).bearer_auth(API_TOKEN).send().await?.error_for_status()?.text().await?)
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

/// Changes one line that is JSON.
fn edit(lines: &[String], at: usize, change: impl Fn(&mut Value)) -> anyhow::Result<Vec<String>> {
    let mut out = lines.to_vec();
    let mut value: Value = serde_json::from_str(&out[at])?;
    change(&mut value);
    out[at] = value.to_string();
    Ok(out)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_verified_with_the_public_key_alone_and_tampering_is_named() -> anyhow::Result<()> {
    let faulty = Faulty::start().await?;
    // A title that a spreadsheet would run.
    let rollcall = Rollcall::new(&[app(&faulty, "crm")], "[audit]\ncheckpoint_every = \"100ms\"")?;
    rollcall.start().await?;
    let id = join(&rollcall, "ada@example.com").await?;
    settled(&rollcall, &id).await?;
    patch(&rollcall, &id, "title", json!("=HYPERLINK(\"http://evil\")")).await?;
    patch(&rollcall, &id, "active", json!(false)).await?;
    settled(&rollcall, &id).await?;
    let left = rollcall.items("/v1/timeline?type=identity.left").await?[0]["sequence"].clone();
    let signed_beyond = async |what: &str, at: Option<u64>| {
        until(what, || async {
            let latest = rollcall.api("/v1/checkpoints/latest").await?;
            Ok(latest["size"].as_u64().filter(|size| Some(*size) > at))
        })
        .await
    };
    let size = signed_beyond("the departure is signed", left.as_u64()).await?;
    // An export names which event was changed where it holds a checkpoint event that signs it, and that one is signed by the next.
    let other = join(&rollcall, "bob@example.com").await?;
    settled(&rollcall, &other).await?;
    signed_beyond("the checkpoint of the departure is signed", Some(size + 1)).await?;
    let latest = rollcall.api("/v1/checkpoints/latest").await?;
    let key = latest["public_keys"][0].as_str().context("no key")?.to_owned();
    let all = lines(&text(&rollcall, "/v1/export").await?);
    let (holds, said) = verify(&all, &[&key]).await?;
    ensure!(holds && said.contains("none of them is missing"), "{said}");
    // Another key, the same name: nothing is believed.
    let (holds, said) = verify(&all, &["rollcall.local/log+00000000+AAAA"]).await?;
    ensure!(!holds, "{said}");
    let at = usize::try_from(left.as_u64().context("no sequence")?)?;
    let event = |v: &Value| v["sequence"].as_u64().unwrap_or_default();
    ensure!(event(&serde_json::from_str(&all[at])?) == at as u64, "line {at} is not event {at}");
    let named = format!("event {at} was changed");
    let flipped = edit(&all, at, |v| {
        // One bit of the stored message.
        let stored = v["record"]["stored"].as_str().unwrap_or_default().to_owned();
        let last = stored.chars().rev().find(|c| c.is_ascii_alphabetic()).unwrap_or('A');
        let other = if last == 'B' { 'C' } else { 'B' };
        let place = stored.rfind(last).unwrap_or_default();
        v["record"]["stored"] = json!(format!("{}{other}{}", &stored[..place], &stored[place + 1..]));
    })?;
    let mut dropped = all.clone();
    dropped.remove(at);
    let mut moved = all.clone();
    moved.swap(at, at + 1);
    for (what, tampered, finding) in [
        ("a bit", flipped, named.clone()),
        ("a dropped event", dropped, format!("event {at} was dropped")),
        ("two swapped events", moved, format!("event {} was moved", at + 1)),
        ("the readable actor", edit(&all, at, |v| v["actor"] = json!("nobody"))?, named.clone()),
        ("the readable details", edit(&all, at, |v| v["details"] = json!({}))?, named.clone()),
        ("the time", edit(&all, at, |v| v["recorded_at"] = json!("2026-01-01T00:00:00Z"))?, named.clone()),
        ("the end", all[..all.len() - 1].to_vec(), "broke off".into()),
    ] {
        let (holds, said) = verify(&tampered, &[&key]).await?;
        ensure!(!holds && said.contains(&finding), "{what}: {said}");
    }
    // In two parts, as after a broken connection.
    let first = [&all[..=at], &[format!("{{\"end\":{{\"entries\":{at},\"last\":{at}}}}}")]].concat();
    let rest = lines(&text(&rollcall, &format!("/v1/export?after={at}")).await?);
    let (holds, said) = verify(&[first, rest.clone()].concat(), &[&key]).await?;
    ensure!(holds, "{said}");
    let (holds, said) = verify(&rest, &[&key]).await?;
    ensure!(!holds && said.contains("event 1 is missing"), "{said}");
    // One leaver: each line with its own proof.
    let one = lines(&text(&rollcall, &format!("/v1/export?identity={id}")).await?);
    let (holds, said) = verify(&one, &[&key]).await?;
    ensure!(holds && said.contains("only an export of everything"), "{said}");
    // Nothing has happened to her since: that is no change of the file.
    let none = lines(&text(&rollcall, &format!("/v1/export?identity={id}&after=1000000")).await?);
    let (_, said) = verify(&none, &[&key]).await?;
    ensure!(none.len() == 2 && !said.contains("is not the last one"), "{said}");
    let mut elsewhere = one.clone();
    elsewhere[2] = one[2].replace("\"subject\":\"rollcall.", "\"subject\":\"rollcall.x.");
    let (holds, said) = verify(&elsewhere, &[&key]).await?;
    ensure!(!holds && said.contains("was changed"), "{said}");
    let unprove = |v: &mut Value| {
        v["record"].as_object_mut().and_then(|record| record.remove("proof"));
    };
    let unproved = edit(&one, 2, unprove)?;
    let (holds, said) = verify(&unproved, &[&key]).await?;
    ensure!(!holds && said.contains("proof was dropped"), "{said}");
    // Nothing is believed of what nothing signs, of nothing at all, or of two kinds of export in one.
    let mut nothing_signs = edit(&unproved, 0, |head| head["export"]["checkpoint"] = Value::Null)?;
    for at in 1..nothing_signs.len() - 1 {
        nothing_signs = edit(&nothing_signs, at, unprove)?;
    }
    let (holds, said) = verify(&nothing_signs, &[&key]).await?;
    ensure!(!holds && said.contains("Not proved"), "{said}");
    let empty = [one[0].clone(), "{\"end\":{\"entries\":0,\"last\":0}}".to_owned()];
    let (holds, said) = verify(&empty, &[&key]).await?;
    ensure!(!holds && said.contains("no event"), "{said}");
    let (holds, said) = verify(&[all.clone(), one.clone()].concat(), &[&key]).await?;
    ensure!(!holds && said.contains("can't be verified as one"), "{said}");
    // A window, likewise.
    let from = rollcall.items("/v1/timeline?type=identity.left").await?[0]["recorded_at"].clone();
    let window = lines(&text(&rollcall, &format!("/v1/export?from={}", from.as_str().context("no time")?)).await?);
    let (holds, said) = verify(&window, &[&key]).await?;
    ensure!(holds && window.len() < all.len() && window[1].contains("identity.left"), "{said}\n{window:#?}");
    // Without our program: what docs/audit.md shows gives the leaf hashes that the log has.
    let python = std::env::var("ROLLCALL_PYTHON").context("ROLLCALL_PYTHON is not set: run ./dev test")?;
    let page = std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/audit.md"))?;
    let snippet = page.split("```python\n").nth(1).and_then(|rest| rest.split("```").next()).context("no snippet")?;
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), all.join("\n"))?;
    let output = tokio::process::Command::new(std::path::Path::new(&python).join("python"))
        .args(["-c", snippet])
        .stdin(std::fs::File::open(file.path())?)
        .output()
        .await?;
    let hashes = String::from_utf8_lossy(&output.stdout).into_owned();
    let wanted = rollcall.api(&format!("/v1/events/{at}/proof")).await?;
    let wanted = format!("{at} {}", wanted["leaf_hash"].as_str().context("no leaf hash")?);
    ensure!(
        hashes.lines().any(|l| l == wanted),
        "{wanted} is not in {hashes}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    // For a spreadsheet, and for a SIEM.
    let csv = text(&rollcall, "/v1/export?format=csv").await?;
    ensure!(csv.lines().count() >= all.len() - 1 && csv.contains("identity.left"), "{csv}");
    for cell in csv.lines().flat_map(|l| l.split(',')).map(|c| c.trim_matches('"')) {
        ensure!(!cell.starts_with(['=', '+', '@']), "a formula: {cell}");
    }
    let ocsf = text(&rollcall, "/v1/export?format=ocsf").await?;
    let classes = validate_ocsf(&ocsf).await?;
    for class in ["Account Change", "Entity Management", "Detection Finding"] {
        ensure!(classes[class].as_u64() > Some(0), "no {class} in {classes}");
    }
    ensure!(ocsf.contains("\"activity_name\":\"Delete\"") && ocsf.contains("\"name\":\"ada@example.com\""), "{ocsf}");
    for path in ["/v1/export?format=pdf", "/v1/export?after=x", "/v1/export?cursor=1"] {
        let (status, problem) = rollcall.raw(Method::GET, path, API_TOKEN, None).await?;
        ensure!(status == 400, "{path}: {status} {problem}");
    }
    Ok(())
}

/// The classes in an OCSF export, each event valid.
async fn validate_ocsf(events: &str) -> anyhow::Result<Value> {
    let python = std::env::var("ROLLCALL_PYTHON").context("ROLLCALL_PYTHON is not set: run ./dev test")?;
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("apps/ocsf.py");
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), events)?;
    let input = std::fs::File::open(file.path())?;
    let output = tokio::process::Command::new(std::path::Path::new(&python).join("python"))
        .arg(script)
        .stdin(input)
        .output()
        .await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_sees_nobody_and_every_look_is_recorded() -> anyhow::Result<()> {
    let faulty = Faulty::start().await?;
    let extra = "[[api_tokens]]\nname = \"wall\"\nrole = \"viewer\"\ntoken = \"viewer-token-0123456789\"\n\
                 [audit]\nrecord_reads = true";
    let rollcall = Rollcall::new(&[app(&faulty, "crm")], extra)?;
    rollcall.start().await?;
    let id = join(&rollcall, "ada@example.com").await?;
    settled(&rollcall, &id).await?;
    patch(&rollcall, &id, "active", json!(false)).await?;
    let view = |path: String| {
        let rollcall = &rollcall;
        async move { rollcall.raw(Method::GET, &path, "viewer-token-0123456789", None).await }
    };
    let one = format!("/v1/identities/{id}");
    for path in ["/v1/identities", "/v1/leavers", "/v1/obligations", "/v1/apps", "/v1/drift", "/v1/latency", &one] {
        let (status, answer) = view(path.to_owned()).await?;
        ensure!(status == 200, "{path}: {status} {answer}");
        ensure!(!answer.to_string().contains("ada@"), "{path} shows who it is: {answer}");
    }
    let trail = format!("{one}/timeline");
    let refused = [
        "/v1/timeline",
        &trail,
        "/v1/export",
        "/v1/timeline/stream",
        "/v1/events/3/proof",
        "/v1/identities?user_name=ada@example.com",
    ];
    for path in refused {
        let (status, problem) = view(path.to_owned()).await?;
        ensure!(
            status == 403 && problem["detail"].as_str().is_some_and(|d| d.contains("auditor")),
            "{path}: {problem}"
        );
    }
    let denied = rollcall.items("/v1/timeline?type=access.denied").await?;
    ensure!(denied.len() == refused.len() && denied.iter().all(|e| e["actor"] == "wall"), "{denied:#?}");
    rollcall.api(&trail).await?;
    let read = rollcall.items(&format!("{trail}?type=access.read")).await?;
    let looked = |actor: &str, path: &str| read.iter().any(|e| e["actor"] == actor && e["details"]["path"] == path);
    ensure!(looked("auditor", &trail) && looked("wall", &one), "{read:#?}");
    // What a viewer may see somebody in all the same, since it may concern them.
    for path in ["/v1/tasks", "/v1/grants"] {
        view(path.to_owned()).await?;
        let read = rollcall.items("/v1/timeline?type=access.read").await?;
        ensure!(read.iter().any(|e| e["actor"] == "wall" && e["details"]["path"] == path), "{path}: {read:#?}");
    }
    // A search by name, a list, and what is asked for by the identity.
    // Whom somebody has looked for by name is not kept: they may be erased one day.
    let plan = format!("/v1/plan?identity={id}");
    for (path, kept) in [
        ("/v1/identities?name=ada", "/v1/identities?name=%28hidden%29"),
        ("/v1/leavers", "/v1/leavers"),
        (&plan, &plan),
    ] {
        rollcall.api(path).await?;
        let read = rollcall.items("/v1/timeline?type=access.read").await?;
        ensure!(read.iter().any(|e| e["details"]["path"] == kept), "{path}: {read:#?}");
    }
    ensure!(rollcall.items(&format!("{trail}?type=access.read")).await?.len() > read.len(), "the plan is hers, too");
    Ok(())
}

/// Runs one of the commands; what it printed, and whether it was content.
async fn run(arguments: &[&str]) -> anyhow::Result<(bool, String)> {
    let mut command = rollcall_tests::rollcall::command();
    let output = command.args(arguments).env("ROLLCALL_API_TOKEN", API_TOKEN).output().await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Ok((output.status.success(), text))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_itself_is_verified_by_either_key_while_one_takes_over_from_the_other() -> anyhow::Result<()> {
    let faulty = Faulty::start().await?;
    let witness = Receiver::start().await?;
    let folder = tempfile::tempdir()?;
    let mut publics = Vec::new();
    let mut extra = format!("[audit]\ncheckpoint_every = \"100ms\"\npublish_url = \"{}/checkpoints\"\n", witness.url);
    for name in ["new", "old"] {
        let file = folder.path().join(name);
        let path = file.display().to_string();
        let (made, public) = run(&["key", "rollcall.example.com/log", "--out", &path]).await?;
        ensure!(made, "{public}");
        let (again, said) = run(&["key", "rollcall.example.com/log", "--out", &path]).await?;
        ensure!(!again && said.contains("can't be made"), "a key is never overwritten: {said}");
        publics.push(public.trim().to_owned());
        extra.push_str(&format!("[[signing_keys]]\nkey_file = {path:?}\n"));
    }
    let rollcall = Rollcall::apart(&[app(&faulty, "crm")], &extra).await?;
    rollcall.start().await?;
    let id = join(&rollcall, "ada@example.com").await?;
    settled(&rollcall, &id).await?;
    patch(&rollcall, &id, "active", json!(false)).await?;
    settled(&rollcall, &id).await?;
    // The last event of her story: what is asked twice below says the same then.
    let completed = || async { Ok(rollcall.items("/v1/timeline?type=leaver.completed").await?.pop()) };
    until("her leaving is complete", completed).await?;
    let left = rollcall.items("/v1/timeline?type=identity.left").await?[0]["sequence"].as_u64();
    let note = until("a witness has a checkpoint with the departure in it", || async {
        let mut notes = witness.all().into_iter().filter(|r| r.path == "/checkpoints").map(|r| r.text);
        let size = |note: &String| note.lines().nth(1).and_then(|l| l.parse::<u64>().ok());
        Ok(notes.find(|note: &String| size(note) > left))
    })
    .await?;
    let kept = folder.path().join("kept");
    std::fs::write(&kept, note)?;
    let (config, kept) = (rollcall.config_file().display().to_string(), kept.display().to_string());
    for key in &publics {
        let asked = ["verify", "--config", &config, "--key", key, "--checkpoint", &kept];
        let (holds, said) = run(&[&asked[..], &["--allow-unproved"]].concat()).await?;
        ensure!(holds && said.contains("none of them is missing"), "{key}: {said}");
    }
    let (holds, said) =
        run(&["verify", "--config", &config, "--key", "rollcall.example.com/log+00000000+AAAA"]).await?;
    ensure!(!holds && said.contains("not a signed-note key"), "{said}");
    // The story, for people and for programs.
    let server = rollcall.address();
    let (found, said) = run(&["timeline", "ADA@example.com", "--since", "1h", "--server", &server]).await?;
    for words in ["ada@example.com left", "active: true → false", "caused by event", "verified in crm", "due 2"] {
        ensure!(found && said.contains(words), "no '{words}' in:\n{said}");
    }
    let (found, said) = run(&["timeline", &id, "--json", "--server", &server]).await?;
    let told = said.lines().map(serde_json::from_str::<Value>).collect::<Result<Vec<_>, _>>()?;
    let mut wanted = rollcall.items(&format!("/v1/identities/{id}/timeline")).await?;
    wanted.reverse();
    ensure!(found && told == wanted, "{said}");
    let (found, said) = run(&["timeline", "crm", "--since", "soon", "--server", &server]).await?;
    ensure!(!found && said.contains("7d or 12h"), "{said}");
    let (found, said) = run(&["timeline", "nobody@example.com", "--server", &server]).await?;
    ensure!(!found && said.contains("neither an app nor a user"), "{said}");
    Ok(())
}

/// Somebody who has joined, once all that is known of them is signed; and the public key.
async fn joined_and_signed(rollcall: &Rollcall) -> anyhow::Result<(String, String)> {
    let id = join(rollcall, "ada@example.com").await?;
    until("it is signed", || async {
        let events = rollcall.items(&format!("/v1/identities/{id}/timeline")).await?;
        let newest = events.iter().filter_map(|event| event["sequence"].as_u64()).max();
        let latest = rollcall.api("/v1/checkpoints/latest").await.unwrap_or_default();
        Ok((newest.is_some() && latest["size"].as_u64() >= newest).then_some(()))
    })
    .await?;
    let key = rollcall.api("/v1/checkpoints/latest").await?["public_keys"][0].as_str().context("no key")?.to_owned();
    Ok((id, key))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_byte_of_an_export_can_be_changed_unseen() -> anyhow::Result<()> {
    let rollcall = Rollcall::new(&[], "[audit]\ncheckpoint_every = \"100ms\"")?;
    rollcall.start().await?;
    let (id, key) = joined_and_signed(&rollcall).await?;
    for path in ["/v1/export".to_owned(), format!("/v1/export?identity={id}")] {
        let export = text(&rollcall, &path).await?.into_bytes();
        let check = |bytes: Vec<u8>, key: String| async move {
            let file = tempfile::NamedTempFile::new()?;
            std::fs::write(file.path(), bytes)?;
            let mut command = rollcall_tests::rollcall::command();
            anyhow::Ok(command.arg("verify").arg(file.path()).arg("--key").arg(key).output().await?.status.success())
        };
        ensure!(check(export.clone(), key.clone()).await?, "{path} does not hold as it is");
        // A process for each: one byte in five, others each day.
        let begin = usize::try_from(Timestamp::now().as_second() / 86_400 % 5)?;
        println!("from byte {begin} on");
        let changed = (begin..export.len()).step_by(5).map(|at| {
            let mut bytes = export.clone();
            // A letter stays a letter, and a digit a digit: what is still JSON is what could pass.
            bytes[at] = match bytes[at] {
                digit @ b'0'..=b'8' | digit @ b'a'..=b'y' | digit @ b'A'..=b'Y' => digit + 1,
                b'9' => b'8',
                other => other ^ 1,
            };
            let check = check(bytes, key.clone());
            async move { anyhow::Ok((at, check.await?)) }
        });
        let mut outcomes = futures_util::stream::iter(changed).buffer_unordered(4);
        while let Some(outcome) = outcomes.next().await {
            let (at, holds) = outcome?;
            let around =
                String::from_utf8_lossy(&export[at.saturating_sub(40)..(at + 40).min(export.len())]).into_owned();
            ensure!(!holds, "{path}: byte {at} can be changed unseen, in …{around}…");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_out_of_an_export_with_its_key_is_said_to_be_missing() -> anyhow::Result<()> {
    let rollcall = Rollcall::new(&[], "[audit]\ncheckpoint_every = \"100ms\"")?;
    rollcall.start().await?;
    let (id, key) = joined_and_signed(&rollcall).await?;
    for path in ["/v1/export".to_owned(), format!("/v1/export?identity={id}")] {
        let whole = lines(&text(&rollcall, &path).await?);
        let is_hers = |line: &String| line.contains("\"type\":\"identity.") && line.contains("\"key\":");
        let at = whole.iter().position(is_hers).context("nothing of hers is sealed")?;
        // As it would be written without the key: every byte of it is what is signed.
        let hidden = edit(&whole, at, |value| {
            value["record"].as_object_mut().map(|record| record.remove("key"));
            (value["reason"], value["changes"]) = ("".into(), json!([]));
            for personal in ["resource_json", "changed", "changes", "effective_at"] {
                value["details"].as_object_mut().map(|details| details.remove(personal));
            }
        })?;
        let (holds, said) = verify(&whole, &[&key]).await?;
        ensure!(holds || said.contains("Not proved"), "{path}: {said}");
        ensure!(!said.contains("Not shown"), "{path}: {said}");
        let (holds, said) = verify(&hidden, &[&key]).await?;
        ensure!(!holds && said.contains("Not shown: what is personal in 1 events"), "{path}: {said}");
    }
    Ok(())
}
