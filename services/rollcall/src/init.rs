//! `rollcall init`: a first configuration, from a few answers. Nothing that is there is written over.

use std::fmt::Write as _;
use std::fs;
use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use clap::Args;
use rollcall_config::presets;
use url::Url;

use crate::setup::secret;

#[derive(Debug, Args)]
pub struct InitArgs {
    /// Where rollcall.toml and the folder `secrets` are written
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// The address that it will listen on
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// What pushes people: a name of yours for the identity provider or HR system
    #[arg(long)]
    source: Option<String>,
    /// The id of a first app, such as wiki; none: later
    #[arg(long)]
    app: Option<String>,
    /// Where that app's SCIM service begins
    #[arg(long)]
    app_url: Option<Url>,
    /// Who answers for that app
    #[arg(long)]
    app_owner: Option<String>,
    /// What is known of that app from its documentation: `rollcall apps presets` lists them
    #[arg(long)]
    preset: Option<String>,
    /// Ask nothing: what is not said is left as it usually is
    #[arg(long)]
    yes: bool,
}

/// Asks, and writes.
///
/// # Errors
/// When something is there already, or an answer can't be used.
pub fn run(args: &InitArgs) -> anyhow::Result<ExitCode> {
    let file = args.dir.join("rollcall.toml");
    ensure!(!file.exists(), "{} is there already: it is not written over", file.display());
    let asks = !args.yes && std::io::stdin().is_terminal();
    let listen = match args.listen {
        Some(listen) => listen,
        None => answer(asks, "Which address shall it listen on?", "127.0.0.1:8080")?
            .parse()
            .context("that is no address and port")?,
    };
    let source = match &args.source {
        Some(source) => source.clone(),
        None => answer(asks, "What pushes people to it: a name for your identity provider or HR system", "hr")?,
    };
    source.parse::<rollcall_domain::SourceName>().context("that can't be the name of a source")?;
    let app = match &args.app {
        Some(app) => app.clone(),
        None => answer(asks, "The id of a first app, such as wiki (nothing: later)", "")?,
    };
    let app = (!app.is_empty()).then(|| first_app(args, asks, app)).transpose()?;
    let secrets = args.dir.join("secrets");
    fs::create_dir_all(&secrets).with_context(|| format!("{} can't be made", secrets.display()))?;
    private(&secrets)?;
    let mut made = Vec::new();
    secret(&secrets.join(format!("{source}-token")), &mut made)?;
    secret(&secrets.join("admin-token"), &mut made)?;
    let here = std::path::absolute(&args.dir).with_context(|| format!("{} is no folder", args.dir.display()))?;
    fs::write(&file, text(&here, listen, &source, app.as_ref()))
        .with_context(|| format!("{} can't be written", file.display()))?;
    let dir = args.dir.display();
    println!("written: {} and {}\n", file.display(), secrets.display());
    println!(
        "1. {}",
        match &app {
            Some(app) => format!("write the token of {0} into {dir}/secrets/{0}-token, for you alone to read", app.id),
            None => "connect an app when you like: docs/connect-an-app.md".to_owned(),
        }
    );
    println!("2. rollcall check --config {}", file.display());
    println!("3. rollcall up --config {}", file.display());
    println!("4. open http://{listen}/ and sign in with the token in {dir}/secrets/admin-token");
    println!(
        "5. let {source} push to http://{listen}/scim/v2 with the token in {dir}/secrets/{source}-token; to try it:"
    );
    println!(
        "   curl -H \"Authorization: Bearer $(cat {dir}/secrets/{source}-token)\" http://{listen}/scim/v2/Users?count=1"
    );
    println!("\nBefore others than this machine reach it, give it TLS: docs/operations/tls.md");
    Ok(ExitCode::SUCCESS)
}

/// A first app.
struct FirstApp {
    id: String,
    url: Url,
    owner: String,
    preset: Option<String>,
}

fn first_app(args: &InitArgs, asks: bool, id: String) -> anyhow::Result<FirstApp> {
    id.parse::<rollcall_domain::AppId>().context("that can't be the id of an app")?;
    let url = match &args.app_url {
        Some(url) => url.clone(),
        None => {
            ensure!(asks, "say where the app's SCIM service begins: --app-url");
            answer(asks, "Where does its SCIM service begin?", "https://wiki.example.com/scim/v2")?
                .parse()
                .context("that is no address")?
        }
    };
    ensure!(matches!(url.scheme(), "http" | "https") && url.has_host(), "'{url}' is no address of a web service");
    let owner = match &args.app_owner {
        Some(owner) => owner.clone(),
        None => answer(asks, "Who answers for it? Alerts name them", "owner@example.com")?,
    };
    ensure!(!owner.contains(['"', '\n', '\\']), "'{owner}' can't be an owner");
    let known = presets();
    let preset = match &args.preset {
        Some(preset) => Some(preset.clone()),
        None => {
            let names = known.keys().copied().collect::<Vec<_>>().join(", ");
            Some(answer(asks, &format!("Is it one of these: {names}? (nothing: another one)"), "")?)
                .filter(|name| !name.is_empty())
        }
    };
    if let Some(name) = &preset {
        ensure!(known.contains_key(name.as_str()), "there is no preset '{name}': `rollcall apps presets` lists them");
    }
    Ok(FirstApp { id, url, owner, preset })
}

/// What a person says, or what is usual.
fn answer(asks: bool, question: &str, usual: &str) -> anyhow::Result<String> {
    if !asks {
        return Ok(usual.to_owned());
    }
    let hint = if usual.is_empty() { String::new() } else { format!(" [{usual}]") };
    eprint!("{question}{hint} ");
    std::io::stderr().flush()?;
    let mut said = String::new();
    std::io::stdin().read_line(&mut said)?;
    let said = said.trim();
    Ok(if said.is_empty() { usual.to_owned() } else { said.to_owned() })
}

fn private(folder: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
        .with_context(|| format!("{} can't be closed to others", folder.display()))
}

/// The configuration, with what one would look up.
fn text(here: &Path, listen: SocketAddr, source: &str, app: Option<&FirstApp>) -> String {
    // Whoever starts it elsewhere finds the same files.
    let place = |path: String| toml::Value::String(here.join(path).display().to_string()).to_string();
    let (data, of_source, of_admin) =
        (place("rollcall-data".into()), place(format!("secrets/{source}-token")), place("secrets/admin-token".into()));
    let mut out = format!(
        r#"# Rollcall. Every key is in docs/configuration.md; `rollcall check --config rollcall.toml` names every mistake with its line.

[server]
listen = "{listen}"                  # SCIM under /scim/v2, the API under /v1, the console at /
data_dir = {data}   # everything that is derived, and the log itself as long as its server is our own

# Who may push people: an identity provider, an HR system. Each has a token of its own.
[[sources]]
name = "{source}"
token_file = {of_source}

# Who may read, decide and administer: viewer, auditor, operator or admin. Others are made by `rollcall token new`.
[[api_tokens]]
name = "admin"
role = "admin"
token_file = {of_admin}

# Who is told when a leaver's access is not gone in time: webhook, alertmanager, pagerduty or slack.
# [[alerts]]
# kind = "webhook"
# url = "https://hooks.example.com/rollcall"
"#
    );
    let _ = match app {
        Some(FirstApp { id, url, owner, preset }) => {
            let preset = preset.as_ref().map(|name| format!("preset = \"{name}\"\n")).unwrap_or_default();
            let of_app = place(format!("secrets/{id}-token"));
            write!(
                out,
                r#"
# What has to follow. Try a rule that matches one person first: assign = 'userName eq "you@example.com"'.
[[apps]]
id = "{id}"
{preset}base_url = "{url}"
token_file = {of_app}
owner = "{owner}"
assign = 'active eq true'                   # a SCIM filter: who has an account here

[apps.sla]
leaver = "15m"                              # how long a leaver's access may take to be gone, read back
"#
            )
        }
        None => out.write_str("\n# What has to follow: docs/connect-an-app.md.\n# [[apps]]\n# id = \"wiki\"\n"),
    };
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn what_is_written_is_a_configuration() {
        let args = |dir: &Path, app: Option<&str>| InitArgs {
            dir: dir.to_owned(),
            listen: None,
            source: Some("okta".into()),
            app: app.map(str::to_owned),
            app_url: Some("https://api.slack.com/scim/v2".parse().unwrap()),
            app_owner: None,
            preset: app.map(|_| "slack".to_owned()),
            yes: true,
        };
        for app in [None, Some("slack")] {
            let folder = tempfile::tempdir().unwrap();
            run(&args(folder.path(), app)).unwrap();
            if let Some(app) = app {
                fs::write(folder.path().join(format!("secrets/{app}-token")), "a-token-of-the-app-81c2\n").unwrap();
            }
            let config = rollcall_config::load(&folder.path().join("rollcall.toml"), &|_| None).unwrap();
            assert_eq!((config.sources.len(), config.api_tokens.len()), (1, 1));
            assert_eq!(config.apps.len(), usize::from(app.is_some()));
            assert!(run(&args(folder.path(), app)).is_err(), "what is there was written over");
        }
        let folder = tempfile::tempdir().unwrap();
        let wrong = InitArgs { preset: Some("nothing".into()), ..args(folder.path(), Some("wiki")) };
        assert!(run(&wrong).unwrap_err().to_string().contains("nothing"));
        assert!(!folder.path().join("rollcall.toml").exists(), "half of it was written");
    }
}
