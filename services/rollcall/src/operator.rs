//! What operators ask of a running Rollcall from the terminal.

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
    let config = rollcall_config::load(file, &|name| std::env::var(name).ok())?;
    let (previews, gone) = run(async {
        let api = Api::new(&args.server)?;
        let mut previews = Vec::new();
        for app in &config.apps {
            let body = serde_json::to_value(&app.spec)?;
            let answer = api.ask(Method::POST, "/v1/plan/configuration", &[], Some(body)).await?;
            previews.push(answer.context("this Rollcall can't say what a configuration would do")?);
        }
        let mut gone = Vec::new();
        let mut cursor = None::<String>;
        loop {
            let query: Vec<(&str, &str)> = cursor.iter().map(|cursor| ("cursor", cursor.as_str())).collect();
            let page = api.ask(Method::GET, "/v1/apps", &query, None).await?.unwrap_or_default();
            for app in page.get("items").and_then(Value::as_array).into_iter().flatten() {
                let id = app.get("id").and_then(Value::as_str).unwrap_or_default();
                let stays = config.apps.iter().any(|configured| configured.spec.id.as_str() == id);
                if !stays && app.get("connected").and_then(Value::as_bool) == Some(true) {
                    gone.push(id.to_owned());
                }
            }
            cursor = page.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
            if cursor.is_none() {
                return anyhow::Ok((previews, gone));
            }
        }
    })?;
    let is_held = previews.iter().any(|p| p.get("would_be_held").and_then(Value::as_bool) == Some(true));
    let code = if is_held { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    if args.json {
        println!("{}", json!({ "apps": previews, "removed_apps": gone }));
        return Ok(code);
    }
    for preview in &previews {
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
            println!("    would be removed: {}", loser.get("user_name").and_then(Value::as_str).unwrap_or("-"));
        }
        if is("would_be_held") {
            let two = if is("needs_two_people") { ", of two people where more than one may decide" } else { "" };
            println!("    these are more than usual: they would wait for a decision{two}");
        }
    }
    for app in gone {
        println!("{app}: would not be connected any more: its accounts stay as they are, those of leavers, too");
    }
    Ok(code)
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
