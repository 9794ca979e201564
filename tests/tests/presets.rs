//! Each preset, on something that behaves as its documentation says: joiner, mover, leaver, and no alarm.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use reqwest::Method;
use rollcall_config::{Deletion, Preset, presets};
use rollcall_tests::rollcall::SOURCE_TOKEN;
use rollcall_tests::{App, Faulty, Rollcall, Script, Shape, until};
use serde_json::{Value, json};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";

/// What the documentation of an app says, as something that can be asked.
fn emulated(preset: &Preset) -> Script {
    let can = preset.settings.get("capabilities").and_then(toml::Value::as_table).cloned().unwrap_or_default();
    let says = |key: &str, value: bool| can.get(key).and_then(toml::Value::as_bool) == Some(value);
    let mut shape = Shape {
        filters: preset.emulation.filters.iter().cloned().collect(),
        hides_members: says("members_shown", false),
        removal_by_value: says("removal_by_value", true),
        patch_capitalized: says("patch_capitalized", true),
        patch_without_paths: says("patch_paths", false),
        patch_one: says("patch_many", false),
        invites: says("invites", true),
        cursor: says("cursor", true),
        members_at_most: says("members_shown", false)
            .then(|| can.get("members_per_request")?.as_integer().and_then(|n| usize::try_from(n).ok()))
            .flatten(),
        page_size: can.get("page_size").and_then(toml::Value::as_integer).and_then(|n| usize::try_from(n).ok()),
        ..Shape::default()
    };
    let required = can.get("required").and_then(toml::Value::as_array).into_iter().flatten();
    shape.required = required.filter_map(|path| path.as_str().map(str::to_owned)).collect();
    for (path, way) in can.get("keeps").and_then(toml::Value::as_table).into_iter().flatten() {
        match way.as_str().unwrap_or_default() {
            "not kept" => drop(shape.drops.insert(path.clone())),
            "own value" => drop(shape.own_values.insert(path.clone())),
            "other case" => drop(shape.capitals.insert(path.clone())),
            other => {
                let most = other.strip_prefix("cut at ").and_then(|most| most.parse().ok());
                shape.cuts.extend(most.map(|most| (path.clone(), most)));
            }
        }
    }
    Script {
        no_patch: says("patch", false),
        no_filter: says("filter", false),
        no_delete: preset.emulation.delete == Deletion::Refused,
        deletes_deactivate: preset.emulation.delete == Deletion::Deactivates,
        shape,
        ..Script::default()
    }
}

/// What the app needs that no identity has by itself.
fn mapping(preset: &Preset) -> String {
    let mut rules = BTreeMap::from([
        ("displayName", "\"displayName\"".to_owned()),
        ("title", "\"title\"".to_owned()),
        ("emails", "\"emails\"".to_owned()),
        ("name.givenName", "\"name.givenName\"".to_owned()),
        ("name.familyName", "\"name.familyName\"".to_owned()),
    ]);
    let can = preset.settings.get("capabilities").and_then(|can| can.get("required")?.as_array());
    for path in can.into_iter().flatten().filter_map(toml::Value::as_str) {
        if !matches!(path, "externalId" | "active" | "userName" | "name") {
            rules.entry(path).or_insert_with(|| "{ template = \"{name.givenName} {name.familyName}\" }".to_owned());
        }
    }
    let rules: String = rules.iter().map(|(path, rule)| format!("\"{path}\" = {rule}\n")).collect();
    let groups = preset.settings.get("capabilities").and_then(|can| can.get("groups")?.as_bool()) != Some(false);
    let groups = if groups { "[[apps.groups]]\nfrom = \"Engineering\"\nto = \"eng\"\n" } else { "" };
    format!("[apps.attributes]\n{rules}{groups}")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_preset_goes_through_joiner_mover_and_leaver_without_an_alarm() -> anyhow::Result<()> {
    let all = presets();
    let app = Faulty::start().await?;
    let mut apps = Vec::new();
    for (name, preset) in &all {
        app.tell(name, &emulated(preset)).await?;
        let deprovision = preset.settings.get("deprovision").and_then(toml::Value::as_str).unwrap_or("deactivate");
        apps.push(App {
            id: name,
            base_url: app.base_url(name),
            assign: "active eq true",
            deprovision: if deprovision == "delete" { "delete" } else { "deactivate" },
            leaver_sla: "10m",
            keys: Box::leak(format!("preset = \"{name}\"\nretry_max = \"2s\"\n").into_boxed_str()),
            tables: Box::leak(mapping(preset).into_boxed_str()),
        });
    }
    let rollcall = Rollcall::new(&apps, "")?;
    rollcall.start().await?;
    let user = json!({
        "schemas": [USER], "userName": "anna", "displayName": "Anna Lee", "title": "Dev", "externalId": "e1",
        "name": { "givenName": "Anna", "familyName": "Lee" },
        "emails": [{ "value": "anna@example.com", "primary": true, "type": "work" }],
    });
    let made = rollcall.scim(Method::POST, "/Users", &user).await?;
    let id = made["id"].as_str().context("no id")?;
    let each = |what: &'static str, is: fn(&Preset, &[Value], usize) -> bool| {
        let (app, all, rollcall) = (&app, &all, &rollcall);
        async move {
            let come = until(what, || async {
                let wrong =
                    all.iter().find(|(name, preset)| !is(preset, &app.users(name), app.members(name, "eng").len()));
                Ok(wrong.is_none().then_some(()))
            });
            come.await.with_context(|| format!("not in every app: {what}"))?;
            settled(rollcall, what, all.len()).await
        }
    };
    each("joined", |_, users, _| users.len() == 1).await?;
    let group = json!({ "schemas": [GROUP], "displayName": "Engineering", "members": [{ "value": id }] });
    rollcall.scim(Method::POST, "/Groups", &group).await?;
    each("grouped", |preset, _, members| members == usize::from(mapping(preset).contains("apps.groups"))).await?;
    let operations = json!([{ "op": "replace", "path": "name.familyName", "value": "Kern" }]);
    let patch = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations });
    rollcall.scim(Method::PATCH, &format!("/Users/{id}"), &patch).await?;
    each("moved", |preset, users, _| {
        let shape = emulated(preset).shape;
        let is_kept = !shape.own_values.contains("name.familyName") && !shape.drops.contains("name.familyName");
        !is_kept || users[0]["name"]["familyName"] == "Kern"
    })
    .await?;
    let (status, answer) = rollcall.raw(Method::DELETE, &format!("/scim/v2/Users/{id}"), SOURCE_TOKEN, None).await?;
    ensure!(status == 204, "{status} {answer}");
    each("left", |_, users, members| users.iter().all(|u| u["active"] == false) && (members == 0 || users.is_empty()))
        .await?;
    ensure!(rollcall.items("/v1/timeline?type=obligation.overdue").await?.is_empty(), "overdue");
    ensure!(rollcall.items("/v1/leavers?status=completed").await?.len() == 1, "the leaver is not complete");
    Ok(())
}

/// Every account is verified, and nothing is owed.
async fn settled(rollcall: &Rollcall, what: &str, apps: usize) -> anyhow::Result<()> {
    let done = until(what, || async {
        for status in ["open", "applied", "overdue"] {
            if !rollcall.items(&format!("/v1/obligations?status={status}")).await?.is_empty() {
                return Ok(None);
            }
        }
        let verified = rollcall.items("/v1/obligations?status=verified").await?;
        Ok((verified.len() >= apps).then_some(()))
    });
    if let Err(failure) = done.await {
        let events = rollcall.items("/v1/timeline").await?;
        let said: Vec<&str> = events.iter().take(30).filter_map(|e| e["summary"].as_str()).collect();
        return Err(failure.context(format!("the newest events first:\n{}", said.join("\n"))));
    }
    Ok(())
}
