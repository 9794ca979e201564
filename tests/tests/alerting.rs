//! Alerts at the receivers that people have: Prometheus with our rules, Alertmanager, PagerDuty, Slack, webhooks.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use aws_lc_rs::hmac;
use axum::http::StatusCode;
use reqwest::{Client, Method};
use rollcall_tests::rollcall::SOURCE_TOKEN;
use rollcall_tests::{App, Faulty, Receiver, Rollcall, Script, free_port, until};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const APP: &str = "liar";

/// Where Prometheus and Alertmanager are; `None`: they can't be had here.
fn tools() -> Option<PathBuf> {
    let found = std::env::var_os("ROLLCALL_PROMETHEUS_BIN").map(PathBuf::from);
    if found.is_none() {
        eprintln!(
            "ROLLCALL_PROMETHEUS_BIN is not set: passed over; ./dev test sets it where Debian's packages can be had"
        );
    }
    found
}

fn rules() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/prometheus")
}

async fn stage(extra: &str) -> anyhow::Result<(Faulty, Rollcall, String)> {
    stage_with(extra, "").await
}

async fn stage_with(extra: &str, sla: &'static str) -> anyhow::Result<(Faulty, Rollcall, String)> {
    let app = Faulty::start().await?;
    app.tell(APP, &Script { ignores_deletes: true, ..Script::default() }).await?;
    let apps = [App {
        id: APP,
        base_url: app.base_url(APP),
        assign: "active eq true",
        deprovision: "delete",
        leaver_sla: "2s",
        keys: "",
        tables: sla,
    }];
    let rollcall = Rollcall::new(&apps, extra)?;
    rollcall.start().await?;
    let made = rollcall.scim(Method::POST, "/Users", &json!({ "schemas": [USER], "userName": "anna" })).await?;
    let id = made["id"].as_str().context("no id")?.to_owned();
    until("the joiner is verified", || async {
        let identity = rollcall.api(&format!("/v1/identities/{id}")).await?;
        Ok(identity["accounts"][0]["verified"].as_bool().filter(|v| *v).map(drop))
    })
    .await?;
    Ok((app, rollcall, id))
}

async fn leave(rollcall: &Rollcall, id: &str) -> anyhow::Result<()> {
    rollcall.raw(Method::DELETE, &format!("/scim/v2/Users/{id}"), SOURCE_TOKEN, None).await?;
    Ok(())
}

#[tokio::test]
async fn every_rule_is_valid_and_fires_and_resolves() -> anyhow::Result<()> {
    let Some(tools) = tools() else { return Ok(()) };
    for arguments in [["check", "rules", "rollcall.rules.yml"], ["test", "rules", "rollcall.rules.test.yml"]] {
        let output = Command::new(tools.join("promtool")).args(arguments).current_dir(rules()).output().await?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "promtool {arguments:?}:\n{text}");
    }
    Ok(())
}

#[tokio::test]
async fn every_alert_has_a_runbook_that_is_there() -> anyhow::Result<()> {
    let rules = std::fs::read_to_string(rules().join("rollcall.rules.yml"))?;
    let book = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/alerts.md"))?;
    let headings: Vec<String> =
        book.lines().filter_map(|l| l.strip_prefix("## ")).map(|h| h.trim().to_lowercase()).collect();
    for line in rules.lines().filter_map(|l| l.trim().strip_prefix("runbook_url: docs/alerts.md#")) {
        ensure!(headings.iter().any(|h| h == line), "docs/alerts.md has no section for '{line}'");
    }
    Ok(())
}

fn start(binary: &Path, arguments: &[String]) -> anyhow::Result<Child> {
    Ok(Command::new(binary)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overdue_leaver_reaches_alertmanager_by_rule_and_directly_and_is_resolved_there() -> anyhow::Result<()> {
    let Some(tools) = tools() else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let (prometheus, alertmanager) = (free_port(), free_port());
    let manager = format!("http://127.0.0.1:{alertmanager}");
    let config = folder.path().join("alertmanager.yml");
    std::fs::write(&config, "route: { receiver: nobody }\nreceivers: [{ name: nobody }]\n")?;
    let _alertmanager = start(
        &tools.join("prometheus-alertmanager"),
        &[
            format!("--config.file={}", config.display()),
            format!("--storage.path={}", folder.path().join("alertmanager").display()),
            format!("--web.listen-address=127.0.0.1:{alertmanager}"),
            "--cluster.listen-address=".into(),
        ],
    )?;
    let http = Client::new();
    let ready = format!("{manager}/-/ready");
    until("Alertmanager is ready", || async {
        Ok(http.get(&ready).send().await.ok().filter(|a| a.status().is_success()).map(drop))
    })
    .await?;
    let (app, rollcall, id) = stage(&format!("[[alerts]]\nkind = \"alertmanager\"\nurl = \"{manager}\"")).await?;
    let config = folder.path().join("prometheus.yml");
    let target = rollcall.address().replace("http://", "");
    std::fs::write(
        &config,
        format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\n\
             rule_files: [{:?}]\n\
             alerting: {{ alertmanagers: [{{ static_configs: [{{ targets: [\"127.0.0.1:{alertmanager}\"] }}] }}] }}\n\
             scrape_configs: [{{ job_name: rollcall, static_configs: [{{ targets: [{target:?}] }}] }}]\n",
            rules().canonicalize()?.join("rollcall.rules.yml")
        ),
    )?;
    let _prometheus = start(
        &tools.join("prometheus"),
        &[
            format!("--config.file={}", config.display()),
            "--enable-feature=exemplar-storage".into(),
            format!("--storage.tsdb.path={}", folder.path().join("prometheus").display()),
            format!("--web.listen-address=127.0.0.1:{prometheus}"),
        ],
    )?;
    leave(&rollcall, &id).await?;
    let active = || async {
        let found: Value = http.get(format!("{manager}/api/v2/alerts?active=true")).send().await?.json().await?;
        let mut seen: Vec<(String, bool)> = Vec::new();
        for alert in found.as_array().into_iter().flatten() {
            let name = alert["labels"]["alertname"].as_str().unwrap_or_default().to_owned();
            seen.push((name, alert["labels"]["key"].is_string()));
        }
        anyhow::Ok(seen)
    };
    let holds = |seen: &[(String, bool)], name: &str, direct: bool| seen.contains(&(name.to_owned(), direct));
    until("it is there by both ways", || async {
        let seen = active().await?;
        Ok((holds(&seen, "LeaverOverdue", true) && holds(&seen, "LeaverOverdue", false)).then_some(()))
    })
    .await?;
    let seen = active().await?;
    ensure!(holds(&seen, "Watchdog", false), "no sign of life: {seen:?}");
    ensure!(!holds(&seen, "LeaverAtRisk", true), "at risk and overdue at once: {seen:?}");
    // From a latency to the trace behind it.
    let exemplars = format!(
        "http://127.0.0.1:{prometheus}/api/v1/query_exemplars?query=rollcall_change_to_access_seconds_bucket&start={}&end={}",
        jiff::Timestamp::now().as_second() - 3600,
        jiff::Timestamp::now().as_second() + 3600
    );
    let joined = &rollcall.items("/v1/timeline?type=identity.joined").await?[0];
    let trace = joined["trace_id"].as_str().context("no trace")?.to_owned();
    until("the joiner's latency leads to its trace", || async {
        let found = http.get(&exemplars).send().await?.text().await?;
        Ok(found.contains(&trace).then_some(()))
    })
    .await?;
    app.tell(APP, &Script::default()).await?;
    until("both are resolved", || async {
        let seen = active().await?;
        Ok((!seen.iter().any(|(name, _)| name == "LeaverOverdue")).then_some(()))
    })
    .await?;
    rollcall.stop().await
}

fn signed(secret: &str, header: &str, body: &str) -> anyhow::Result<()> {
    let (time, signature) = header.split_once(",v1=").context("no signature")?;
    let time = time.strip_prefix("t=").context("no time")?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let bytes: Vec<u8> = (0..signature.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&signature[at..at + 2], 16))
        .collect::<Result<_, _>>()?;
    hmac::verify(&key, format!("{time}.{body}").as_bytes(), &bytes).map_err(|_| anyhow::anyhow!("a wrong signature"))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_receiver_is_told_in_its_own_language_once_for_each_news() -> anyhow::Result<()> {
    let (hook, pager, slack) = (Receiver::start().await?, Receiver::start().await?, Receiver::start().await?);
    let sinks = format!(
        "[alerting]\nescalate_after = [\"1s\", \"2s\"]\n\
         [[alerts]]\nkind = \"webhook\"\nurl = \"{}/hook\"\nsigning_secret = \"hook-secret-4c1d\"\n\
         [[alerts]]\nkind = \"pagerduty\"\nurl = \"{}/v2/enqueue\"\ntoken = \"routing-secret-90ab\"\n\
         [[alerts]]\nkind = \"slack\"\nurl = \"{}/services/x\"\n",
        hook.url, pager.url, slack.url
    );
    // Whoever is overdue by the time that somebody could be told of the risk is told of as overdue alone: the time between is long.
    let (app, rollcall, id) = stage_with(&sinks, "at_risk_percent = 10\n").await?;
    leave(&rollcall, &id).await?;
    let events = |kind: &'static str| {
        hook.all().iter().map(rollcall_tests::Received::json).filter(|e| e["type"] == kind).collect::<Vec<_>>()
    };
    // At risk, overdue, and twice with more weight.
    until("it has escalated", || async { Ok((events("rollcall.alert.firing").len() >= 4).then_some(())) }).await?;
    // What was delivered and is not on the log yet is delivered again, under the same id: at least once.
    until("all of it is on the log, for each of three", || async {
        Ok((rollcall.items("/v1/timeline?type=alert.fired").await?.len() == 12).then_some(()))
    })
    .await?;
    // A restart in the middle neither forgets nor repeats.
    rollcall.kill().await?;
    rollcall.start().await?;
    app.tell(APP, &Script::default()).await?;
    until("it is over everywhere", || async {
        let over = |r: &Receiver, word: &str| r.all().iter().any(|m| m.text.contains(word));
        let all = over(&hook, "rollcall.alert.resolved") && over(&pager, "\"resolve\"") && over(&slack, "Resolved");
        Ok(all.then_some(()))
    })
    .await?;
    let firing = events("rollcall.alert.firing");
    let names: Vec<&str> = firing.iter().filter_map(|e| e["data"]["alert"].as_str()).collect();
    ensure!(names == ["LeaverAtRisk", "LeaverOverdue", "LeaverOverdue", "LeaverOverdue"], "{names:?}");
    let ids: std::collections::BTreeSet<&str> = firing.iter().filter_map(|e| e["id"].as_str()).collect();
    ensure!(ids.len() == 4, "news were repeated: {ids:?}");
    let overdue = &firing[1];
    ensure!(overdue["specversion"] == "1.0" && overdue["source"] == "/rollcall/sla-monitor", "{overdue}");
    let data = &overdue["data"];
    ensure!(data["identity"]["userName"] == "anna" && data["apps"][0]["owner"] == "o@example.com", "{data}");
    ensure!(data["source"]["name"] == "hr" && data["link"].as_str().is_some_and(|l| l.contains(&id)), "{data}");
    ensure!(data["apps"][0]["state"] == "overdue" && data["runbook"] == "docs/alerts.md#leaveroverdue", "{data}");
    for message in hook.all() {
        let header = message.headers.get("rollcall-signature").context("not signed")?.to_str()?;
        signed("hook-secret-4c1d", header, &message.text)?;
        ensure!(signed("another", header, &message.text).is_err(), "any secret will do");
        ensure!(message.headers["content-type"] == "application/cloudevents+json");
    }
    // PagerDuty: the documented fields, one key for the incident.
    let told: Vec<Value> = pager.all().iter().map(rollcall_tests::Received::json).collect();
    let keys: std::collections::BTreeSet<&str> = told.iter().filter_map(|m| m["dedup_key"].as_str()).collect();
    ensure!(keys.len() == 1 && keys.iter().all(|k| k.len() <= 255), "{keys:?}");
    for message in &told {
        ensure!(message["routing_key"] == "routing-secret-90ab", "{message}");
        ensure!(["trigger", "resolve"].contains(&message["event_action"].as_str().unwrap_or_default()), "{message}");
        let severity = message["payload"]["severity"].as_str().unwrap_or_default();
        ensure!(["critical", "warning", "error", "info"].contains(&severity), "{message}");
        ensure!(message["payload"]["summary"].is_string() && message["payload"]["source"].is_string(), "{message}");
    }
    ensure!(slack.all().iter().all(|m| m.json()["text"].is_string() && m.path == "/services/x"));

    // The record of it all, and the exact latency.
    let record = &until("the record", || async {
        Ok(rollcall.items("/v1/timeline?type=leaver.completed").await?.into_iter().next())
    })
    .await?;
    ensure!(record["details"]["apps"][0]["overdue_at"].is_string(), "{record}");
    let latency = rollcall.api("/v1/latency?group_by=app&change=leaver").await?["items"].clone();
    let row = &latency[0];
    ensure!(row["count"] == 1 && row["within_service_level"] == 0.0, "{row}");
    ensure!(row["verified_seconds"]["max"].as_f64().is_some_and(|s| s > 2.0), "{row}");
    let joiners = rollcall.api("/v1/latency?group_by=change&change=joiner").await?["items"].clone();
    ensure!(joiners[0]["group"] == "joiner" && joiners[0]["within_service_level"] == 1.0, "{joiners:?}");
    for bad in ["group_by=moon", "from=yesterday", "from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z"] {
        let (status, _) =
            rollcall.raw(Method::GET, &format!("/v1/latency?{bad}"), rollcall_tests::rollcall::API_TOKEN, None).await?;
        ensure!(status == 400, "{bad}: {status}");
    }
    let log = std::fs::read_to_string(rollcall.log_file())?;
    let (_, metrics) = rollcall.raw(Method::GET, "/metrics", "", None).await?;
    for secret in ["hook-secret-4c1d", "routing-secret-90ab"] {
        ensure!(!log.contains(secret) && !metrics.to_string().contains(secret), "a secret is shown");
    }
    rollcall.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_fails_is_named_through_the_others_and_gets_its_alerts_at_last() -> anyhow::Result<()> {
    let (good, bad) = (Receiver::start().await?, Receiver::start().await?);
    bad.answer(StatusCode::SERVICE_UNAVAILABLE);
    let sinks = format!(
        "[alerting]\npatience = \"1s\"\n\
         [[alerts]]\nkind = \"slack\"\nname = \"chat\"\nurl = \"{}\"\n\
         [[alerts]]\nkind = \"webhook\"\nname = \"pager, at night\"\nurl = \"{}\"\n",
        good.url, bad.url
    );
    let (app, rollcall, id) = stage(&sinks).await?;
    leave(&rollcall, &id).await?;
    let says = |receiver: &Receiver, word: &str| receiver.all().iter().any(|m| m.text.contains(word));
    until("the other one says so", || async {
        Ok(says(&good, "alerts can't be delivered to pager, at night").then_some(()))
    })
    .await?;
    ensure!(says(&good, "LeaverOverdue") || says(&good, "LeaverAtRisk"), "the good sink waited for the bad one");
    bad.answer(StatusCode::OK);
    until("it is told at last", || async { Ok(says(&bad, "LeaverOverdue").then_some(())) }).await?;
    until("and that is over", || async { Ok(says(&good, "Resolved: AlertDeliveryFailing").then_some(())) }).await?;
    app.tell(APP, &Script::default()).await?;
    until("the leaver is over at both", || async {
        Ok((says(&good, "Resolved: LeaverOverdue") && says(&bad, "rollcall.alert.resolved")).then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_falls_silent_is_named_and_a_log_that_is_away_too() -> anyhow::Result<()> {
    let hook = Receiver::start().await?;
    let extra = format!(
        "[[sources]]\nname = \"quiet\"\ntoken = \"quiet-secret\"\nowner = \"hr-it@example.com\"\nsilent_after = \"1s\"\n\
         [alerting]\npatience = \"1s\"\n[[alerts]]\nkind = \"webhook\"\nurl = \"{}\"\n",
        hook.url
    );
    let rollcall = Rollcall::apart(&[], &extra).await?;
    rollcall.start().await?;
    let told = |alert: &'static str, status: &'static str| {
        let found = hook
            .all()
            .iter()
            .map(rollcall_tests::Received::json)
            .find(|e| e["data"]["alert"] == alert && e["data"]["status"] == status);
        async move { Ok(found) }
    };
    let silent = until("the silence is named", || told("SourceSilent", "firing")).await?;
    ensure!(silent["data"]["source"]["owner"] == "hr-it@example.com", "{silent}");
    let user = json!({ "schemas": [USER], "userName": "zoe" });
    let (status, answer) = rollcall.raw(Method::POST, "/scim/v2/Users", "quiet-secret", Some(user.to_string())).await?;
    ensure!(status == 201, "{status} {answer}");
    until("it is over when something comes", || told("SourceSilent", "resolved")).await?;
    rollcall.pause_log()?;
    until("the log that is away is named", || told("LogUnreachable", "firing")).await?;
    rollcall.resume_log()?;
    until("and that it is back", || told("LogUnreachable", "resolved")).await?;
    Ok(())
}

/// Every query of the dashboards: which one, and the query as Grafana would send it.
fn dashboard_queries() -> anyhow::Result<Vec<(String, String)>> {
    let folder = rules().join("../observability/grafana/dashboards");
    let mut out = Vec::new();
    for file in std::fs::read_dir(folder)? {
        let path = file?.path();
        let board: Value = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
        let panels = board["panels"].as_array().context("no panels")?;
        for target in panels.iter().flat_map(|p| p["targets"].as_array().into_iter().flatten()) {
            let query = target["expr"].as_str().context("no query")?;
            let query = query.replace("$__rate_interval", "5m").replace("$app", ".*");
            out.push((path.display().to_string(), query));
        }
    }
    Ok(out)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_dashboard_asks_prometheus_for_what_there_is() -> anyhow::Result<()> {
    let Some(tools) = tools() else { return Ok(()) };
    let (_app, rollcall, id) = stage("").await?;
    leave(&rollcall, &id).await?;
    let folder = tempfile::tempdir()?;
    let port = free_port();
    let config = folder.path().join("prometheus.yml");
    let target = rollcall.address().replace("http://", "");
    std::fs::write(
        &config,
        format!(
            "global: {{ scrape_interval: 1s }}\n\
             scrape_configs: [{{ job_name: rollcall, static_configs: [{{ targets: [{target:?}] }}] }}]\n"
        ),
    )?;
    let _prometheus = start(
        &tools.join("prometheus"),
        &[
            format!("--config.file={}", config.display()),
            format!("--storage.tsdb.path={}", folder.path().join("data").display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
        ],
    )?;
    let http = Client::new();
    let ask = |query: String| {
        let request = http.get(format!("http://127.0.0.1:{port}/api/v1/query")).query(&[("query", query)]);
        async move { anyhow::Ok(request.send().await?.json::<Value>().await?) }
    };
    until("a leaver is overdue there", || async {
        let Ok(answer) = ask("max(rollcall_leavers_overdue) > 0".into()).await else { return Ok(None) };
        Ok(answer["data"]["result"].as_array().filter(|r| !r.is_empty()).map(drop))
    })
    .await?;
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/telemetry/src");
    let known: String =
        ["metrics.rs", "http.rs"].iter().map(|f| std::fs::read_to_string(here.join(f))).collect::<Result<_, _>>()?;
    let known = known.replace('.', "_");
    let queries = dashboard_queries()?;
    ensure!(queries.len() > 20, "{} queries", queries.len());
    for (board, query) in queries {
        let answer = ask(query.clone()).await?;
        ensure!(answer["status"] == "success", "{board}: {query}: {answer}");
        let names = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for name in
            names.filter(|n| n.starts_with("rollcall_") || n.starts_with("http_")).filter(|n| *n != "http_route")
        {
            let base = ["_bucket", "_count", "_sum"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
            let base = if base.starts_with("http_") { base.trim_end_matches("_seconds") } else { base };
            ensure!(known.contains(base), "{board}: there is no metric {name}");
        }
    }
    Ok(())
}
