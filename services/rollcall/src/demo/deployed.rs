//! The demo against a deployment: its apps are put into the configuration, which the services take by themselves.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

use super::apps::{self, App};
use super::rollcall::{Rollcall, connected};
use super::{DeployedArgs, play, show};

/// What the apps of the demo are asked with. They are no one's, and hold nobody: it is no secret.
const APP_TOKEN: &str = "rollcall-demo";

/// How long a leaver's access may last.
const LEAVER_SLA: &str = "1m";

const MARK: &str = "\n# The apps of the demo; take them out when you have seen it.\n";

/// Connects the apps and plays, once.
///
/// # Errors
/// With the step that did not come true.
pub async fn demo(args: &DeployedArgs) -> anyhow::Result<()> {
    let DeployedArgs { settings, address, chat, crm } = args;
    let secret = |name: &str| {
        let file = settings.join("secrets").join(name);
        let text = fs::read_to_string(&file).with_context(|| format!("{} can't be read", file.display()))?;
        anyhow::Ok(text.trim().to_owned())
    };
    let apps = apps::elsewhere(chat, crm, APP_TOKEN).await?;
    let rollcall = Rollcall::elsewhere(address, secret("source-token")?, secret("api-token")?)?;
    let config = settings.join("rollcall.toml");
    connect(settings, &config, &apps)?;
    let known = || async {
        // While the services take their new configuration, nobody answers.
        let Ok(known) = rollcall.items("/v1/apps").await else { return Ok(None) };
        let is_known = |app: &App| known.iter().any(|k| k.get("id").and_then(Value::as_str) == Some(app.role.id));
        Ok(apps.iter().all(is_known).then_some(()))
    };
    play::until(&format!("the services know the apps in {}", config.display()), known).await?;
    if play::was_played(&rollcall).await? {
        println!("The walk-through was played before; nothing is done.");
        return Ok(());
    }
    let cast = play::walk(&rollcall, &apps).await?;
    show::timeline(&rollcall, &cast.leaver).await?;
    show::trends(&rollcall).await?;
    show::where_to_look_from_outside(&cast.leaver);
    Ok(())
}

/// Puts the apps into the configuration, unless they are there.
fn connect(settings: &Path, config: &Path, apps: &[App]) -> anyhow::Result<()> {
    let text = fs::read_to_string(config).with_context(|| format!("{} can't be read", config.display()))?;
    if text.contains(MARK) {
        return Ok(());
    }
    let token = settings.join("secrets").join("demo-app-token");
    fs::write(&token, APP_TOKEN).with_context(|| format!("{} can't be written", token.display()))?;
    let more = format!("token_file = {token:?}\nallow_private_addresses = true");
    let apps: String = apps.iter().map(|app| connected(app, &more, LEAVER_SLA)).collect();
    // At once: half a configuration is none.
    let new = config.with_extension("new");
    fs::write(&new, text + MARK + &apps).with_context(|| format!("{} can't be written", new.display()))?;
    fs::rename(&new, config).with_context(|| format!("{} can't be written", config.display()))
}
