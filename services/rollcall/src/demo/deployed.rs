//! The demo against a deployment: its apps are put into the configuration, which the services take by themselves.

use std::collections::BTreeMap;
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
    let before = play::until("the services answer", || async { Ok(last_starts(&rollcall).await.ok()) }).await?;
    if connect(settings, &config, &apps)? == Connected::Now {
        // Each takes its new configuration at its own time, and is started again for it: until then nobody may answer.
        let all_started = || async {
            let Ok(now) = last_starts(&rollcall).await else { return Ok(None) };
            Ok(before.iter().all(|(service, at)| now.get(service) > Some(at)).then_some(()))
        };
        play::until("every service has started with the new configuration", all_started).await?;
    }
    let known = || async {
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

/// Where on the log each service has said last with what configuration it starts.
async fn last_starts(rollcall: &Rollcall) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    for entry in rollcall.items("/v1/timeline?type=configuration.read").await? {
        let service = entry.get("actor").and_then(Value::as_str).context("an event without an actor")?;
        let at = entry.get("sequence").and_then(Value::as_u64).context("an event without a position")?;
        let newest = last.entry(service.to_owned()).or_default();
        *newest = at.max(*newest);
    }
    Ok(last)
}

/// Whether the apps had to be put into the configuration.
#[derive(PartialEq, Eq)]
enum Connected {
    Before,
    Now,
}

/// Puts the apps into the configuration, unless they are there.
fn connect(settings: &Path, config: &Path, apps: &[App]) -> anyhow::Result<Connected> {
    let text = fs::read_to_string(config).with_context(|| format!("{} can't be read", config.display()))?;
    if text.contains(MARK) {
        return Ok(Connected::Before);
    }
    // It is no secret: it lies beside the configuration, where the provisioner reads it too.
    let token = settings.join("demo-app-token");
    fs::write(&token, APP_TOKEN).with_context(|| format!("{} can't be written", token.display()))?;
    let more = format!("token_file = {token:?}\nallow_private_addresses = true");
    let apps: String = apps.iter().map(|app| connected(app, &more, LEAVER_SLA)).collect();
    // At once: half a configuration is none.
    let new = config.with_extension("new");
    fs::write(&new, text + MARK + &apps).with_context(|| format!("{} can't be written", new.display()))?;
    fs::rename(&new, config).with_context(|| format!("{} can't be written", config.display()))?;
    Ok(Connected::Now)
}
