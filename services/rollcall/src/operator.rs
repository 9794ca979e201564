//! What operators ask of a running Rollcall from the terminal.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use reqwest::{Client, Method};
use serde_json::{Value, json};

/// Which Rollcall, and as whom.
#[derive(Debug, Args)]
pub struct ServerArgs {
    /// The address of the running Rollcall
    #[arg(long, env = "ROLLCALL_SERVER", default_value = "http://127.0.0.1:8080")]
    server: String,
    /// The environment variable that holds an API token
    #[arg(long, default_value = "ROLLCALL_API_TOKEN")]
    token_env: String,
}

/// What a command is about.
#[derive(Debug, Args)]
pub struct TargetArgs {
    /// A user name, an identity's id, or an app's id
    target: String,
    /// The answer as JSON, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// What `plan` is about: an identity or an app, or a changed configuration.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// A user name, an identity's id, or an app's id
    #[arg(required_unless_present = "config", conflicts_with = "config")]
    target: Option<String>,
    /// A configuration file that is not used yet: who would be given an account by it, and who would lose theirs; exits with
    /// 1 when so many would lose theirs that they would wait for a decision
    #[arg(long)]
    config: Option<std::path::PathBuf>,
    /// The answer as JSON, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// How long an answer may take that says how far it is.
const AT_LENGTH: Duration = Duration::from_secs(3600);

pub enum Target {
    Identity(String),
    App(String),
}

pub struct Api {
    base: String,
    token: String,
    http: Client,
}

impl Api {
    pub fn new(args: &ServerArgs) -> anyhow::Result<Self> {
        let token = std::env::var(&args.token_env).ok().filter(|t| !t.is_empty());
        let token =
            token.with_context(|| format!("set {} to an API token, or name another --token-env", args.token_env))?;
        let http = Client::builder().timeout(Duration::from_secs(30)).build().context("no HTTP client")?;
        Ok(Self { base: args.server.trim_end_matches('/').to_owned(), token, http })
    }

    /// One request; `None`: there is no such thing.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<Value>,
    ) -> anyhow::Result<Option<Value>> {
        let mut request =
            self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token).query(query);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.with_context(|| format!("{} can't be reached", self.base))?;
        let status = answer.status();
        let text = answer.text().await.context("the answer broke off")?;
        if status == reqwest::StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let value: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        if !status.is_success() {
            bail!(
                "{path}: {}",
                value.get("detail").and_then(Value::as_str).map_or_else(|| status.to_string(), str::to_owned)
            );
        }
        Ok(Some(value))
    }

    /// One request whose answer takes its time: `tell` gets every line of it but the last, which is the answer.
    pub async fn ask_at_length(
        &self,
        path: &str,
        body: &Value,
        tell: &mut impl FnMut(&Value),
    ) -> anyhow::Result<Value> {
        let request = self.http.post(format!("{}{path}", self.base)).bearer_auth(&self.token).timeout(AT_LENGTH);
        let request = request.header("content-type", "application/json").header("accept", "application/x-ndjson");
        let sent = request.body(body.to_string()).send().await;
        let mut answer = sent.with_context(|| format!("{} can't be reached", self.base))?;
        if !answer.status().is_success() {
            let status = answer.status();
            let text = answer.text().await.unwrap_or_default();
            let value: Value = serde_json::from_str(&text).unwrap_or_default();
            let detail = value.get("detail").and_then(Value::as_str).map(str::to_owned);
            bail!("{path}: {}", detail.unwrap_or_else(|| status.to_string()));
        }
        let (mut read, mut last) = (Vec::new(), None);
        while let Some(piece) = answer.chunk().await.context("the answer broke off")? {
            read.extend_from_slice(&piece);
            while let Some(end) = read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = read.drain(..=end).collect();
                let line: Value = serde_json::from_slice(&line).context("the answer is no JSON")?;
                tell(&line);
                last = Some(line);
            }
        }
        last.filter(|line| line.get("apps").is_some()).context("the answer broke off")
    }

    pub async fn find(&self, text: &str) -> anyhow::Result<Target> {
        let plain = text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_'));
        if plain && self.ask(Method::GET, &format!("/v1/apps/{text}"), &[], None).await?.is_some() {
            return Ok(Target::App(text.to_owned()));
        }
        if plain && text.len() == 36 {
            return Ok(Target::Identity(text.to_owned()));
        }
        let found = self.ask(Method::GET, "/v1/identities", &[("user_name", text)], None).await?.unwrap_or_default();
        let id = found.get("items").and_then(|items| items.get(0)?.get("id")?.as_str());
        let id = id.with_context(|| format!("there is neither an app nor a user '{text}'"))?;
        Ok(Target::Identity(id.to_owned()))
    }
}

pub fn run<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("no async runtime")?.block_on(work)
}

/// `rollcall plan`: what would be sent, to whom, and why; nothing is sent.
///
/// # Errors
/// When Rollcall can't be asked, or knows no such thing.
pub fn plan(args: &PlanArgs) -> anyhow::Result<ExitCode> {
    if let Some(file) = &args.config {
        return plan_configuration(args, file);
    }
    let target = args.target.as_deref().unwrap_or_default();
    let answer = run(async {
        let api = Api::new(&args.server)?;
        let (name, value) = match api.find(target).await? {
            Target::Identity(id) => ("identity", id),
            Target::App(id) => ("app", id),
        };
        let answer = api.ask(Method::GET, "/v1/plan", &[(name, &value)], None).await?;
        answer.with_context(|| format!("there is no {name} '{value}'"))
    })?;
    if args.json {
        println!("{answer}");
        return Ok(ExitCode::SUCCESS);
    }
    let text = |v: &Value, name: &str| v.get(name).and_then(Value::as_str).unwrap_or("-").to_owned();
    let plans = answer.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    if plans.is_empty() {
        println!("nothing is desired there, and nothing would be sent");
    }
    for plan in plans {
        println!(
            "{} in {}: {}; {}",
            text(&plan, "user_name"),
            text(&plan, "app"),
            text(&plan, "desired"),
            text(&plan, "why")
        );
        if let Some(waits) = plan.get("waits").and_then(Value::as_str) {
            println!("    waits: {waits}");
        }
        let steps = plan.get("steps").and_then(Value::as_array).cloned().unwrap_or_default();
        match (steps.is_empty(), plan.get("pending").and_then(Value::as_bool)) {
            (true, Some(true)) => println!("    would be read: as far as is known it is as desired"),
            (true, _) => println!("    nothing would be sent: it was read back as desired"),
            _ => {}
        }
        for step in steps {
            let values = step.get("values").filter(|v| !v.is_null()).map(|v| format!(" {v}")).unwrap_or_default();
            println!("    {} {}{values}", text(&step, "method"), text(&step, "address"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What a changed configuration would do, app by app.
fn plan_configuration(args: &PlanArgs, file: &std::path::Path) -> anyhow::Result<ExitCode> {
    let preview = preview(&args.server, file)?;
    if args.json {
        println!("{preview}");
    } else {
        apps_of(&preview);
    }
    Ok(code_of(&preview))
}

/// Whether so many would lose their account in an app that they would wait for a decision.
pub fn code_of(preview: &Value) -> ExitCode {
    let apps = preview.get("apps").and_then(Value::as_array).cloned().unwrap_or_default();
    let is_held = apps.iter().any(|app| app.get("would_be_held").and_then(Value::as_bool) == Some(true));
    if is_held { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// What a configuration that is not used yet would change; how far that is, is told in a terminal.
pub fn preview(server: &ServerArgs, file: &std::path::Path) -> anyhow::Result<Value> {
    let config = rollcall_config::load(file, &|name| std::env::var(name).ok())?;
    let body = serde_json::to_value(config.access_spec())?;
    let is_told = std::io::stderr().is_terminal();
    let number = |line: &Value, key: &str| line.get(key).and_then(Value::as_u64);
    let mut tell = |line: &Value| {
        let (Some(done), Some(of)) = (number(line, "asked_about"), number(line, "of")) else { return };
        if is_told {
            eprint!("\r{done} of {of} identities asked about");
        }
    };
    let answer = run(async { Api::new(server)?.ask_at_length("/v1/policies/preview", &body, &mut tell).await });
    if is_told {
        eprintln!();
    }
    answer
}

/// Says what would change in each app.
pub fn apps_of(preview: &Value) {
    for preview in preview.get("apps").and_then(Value::as_array).into_iter().flatten() {
        let number = |key: &str| preview.get(key).and_then(Value::as_u64).unwrap_or_default();
        let is = |key: &str| preview.get(key).and_then(Value::as_bool) == Some(true);
        let app = preview.get("app").and_then(Value::as_str).unwrap_or("-");
        if !is("differs") {
            println!("{app}: as it is configured now");
            continue;
        }
        let (accounts, added) = (number("accounts"), number("added"));
        let (changed, removed) = (number("changed"), number("removed"));
        println!("{app}: of {accounts} accounts {removed} would be removed, {changed} changed; {added} would be added");
        for loser in preview.get("removed_some").and_then(Value::as_array).into_iter().flatten() {
            let name = loser.get("user_name").and_then(Value::as_str).unwrap_or("-");
            println!("    would be removed: {}", crate::terminal::harmless(name));
        }
        if is("would_be_held") {
            let two = if is("needs_two_people") { ", of two people where more than one may decide" } else { "" };
            println!("    these are more than usual: they would wait for a decision{two}");
        }
    }
    for app in preview.get("removed_apps").and_then(Value::as_array).into_iter().flatten() {
        let app = app.as_str().unwrap_or("-");
        println!("{app}: would not be connected any more: its accounts stay as they are, those of leavers, too");
    }
}

/// `rollcall sync`: accounts are brought in line, and read back, now.
///
/// # Errors
/// When Rollcall can't be asked, or knows no such thing.
pub fn sync(args: &TargetArgs) -> anyhow::Result<ExitCode> {
    let answer = run(async {
        let api = Api::new(&args.server)?;
        let body = match api.find(&args.target).await? {
            Target::Identity(id) => json!({ "identity": id }),
            Target::App(id) => json!({ "app": id }),
        };
        api.ask(Method::POST, "/v1/sync", &[], Some(body))
            .await?
            .with_context(|| format!("there is no '{}'", args.target))
    })?;
    if args.json {
        println!("{answer}");
    } else {
        println!("asked for, as event {}: every account of {} is read again", answer["sequence"], args.target);
    }
    Ok(ExitCode::SUCCESS)
}
