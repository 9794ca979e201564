//! `rollcall setup`: what a deployment needs before its first start. Made once; what is there is kept.

use std::fs;
use std::os::unix::fs::{OpenOptionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use rollcall_privacy::InstallationKey;

/// The services that have an account on the log's server, and what each may append.
const ACCOUNTS: [(&str, &[&str]); 5] = [
    (
        "gateway",
        &[
            "identity",
            "group",
            "resource",
            "name",
            "app",
            "role",
            "policy",
            "separation",
            "configuring",
            "machines",
            "reevaluation-policy",
            "credential",
            "inventory",
            "refused",
            "configuration",
        ],
    ),
    (
        "projector",
        &[
            "app",
            "obligation",
            "drift",
            "hold",
            "reconciliation",
            "drill",
            "sync",
            "checkpoint",
            "access",
            "session",
            "api-token",
            "approval",
            "erasure",
            "erased",
            "switch",
            "grant",
            "handover",
            "credential",
            "violation",
            "task",
            "configuration",
        ],
    ),
    ("provisioner", &["account", "drift", "app-state", "hold", "reconciliation", "drill", "configuration"]),
    (
        "sla-monitor",
        &[
            "identity",
            "obligation",
            "hold",
            "leaver",
            "alert",
            "effect",
            "grant",
            "switch",
            "reevaluation",
            "configuration",
        ],
    ),
    ("backup", &[]),
];

/// What saving the log needs, and putting it back where there is none.
const BACKUP: [&str; 9] = [
    "$JS.API.STREAM.INFO.KV_ROLLCALL_KEYS",
    "$JS.API.STREAM.SNAPSHOT.KV_ROLLCALL_KEYS",
    "$JS.SNAPSHOT.ACK.KV_ROLLCALL_KEYS.>",
    "$JS.API.STREAM.RESTORE.KV_ROLLCALL_KEYS",
    "$JS.SNAPSHOT.RESTORE.KV_ROLLCALL_KEYS.>",
    "$JS.API.STREAM.SNAPSHOT.ROLLCALL",
    "$JS.SNAPSHOT.ACK.ROLLCALL.>",
    "$JS.API.STREAM.RESTORE.ROLLCALL",
    "$JS.SNAPSHOT.RESTORE.ROLLCALL.>",
];

/// What every service may ask of JetStream: to read the stream and to follow it. Nobody may delete or purge any of it.
const READS: [&str; 10] = [
    "$JS.ACK.ROLLCALL.>",
    "$JS.FC.>",
    "$JS.API.INFO",
    "$JS.API.STREAM.INFO.ROLLCALL",
    "$JS.API.STREAM.MSG.GET.ROLLCALL",
    "$JS.API.DIRECT.GET.ROLLCALL",
    "$JS.API.DIRECT.GET.ROLLCALL.>",
    "$JS.API.CONSUMER.*.ROLLCALL",
    "$JS.API.CONSUMER.*.ROLLCALL.>",
    "$JS.API.CONSUMER.MSG.NEXT.ROLLCALL.>",
];

/// What is needed besides by those of whom one works and others stand by, for their leases; who gives one up leaves nothing of it.
const LEASES: [&str; 6] = [
    "$KV.ROLLCALL_LEASES.>",
    "$JS.API.STREAM.INFO.KV_ROLLCALL_LEASES",
    "$JS.API.STREAM.CREATE.KV_ROLLCALL_LEASES",
    "$JS.API.STREAM.MSG.GET.KV_ROLLCALL_LEASES",
    "$JS.API.DIRECT.GET.KV_ROLLCALL_LEASES.>",
    "$JS.API.STREAM.PURGE.KV_ROLLCALL_LEASES",
];

/// What seals what is personal: to keep the keys of people, and to have them.
const KEYS: [&str; 5] = [
    "$KV.ROLLCALL_KEYS.>",
    "$JS.API.STREAM.INFO.KV_ROLLCALL_KEYS",
    "$JS.API.STREAM.CREATE.KV_ROLLCALL_KEYS",
    "$JS.API.STREAM.MSG.GET.KV_ROLLCALL_KEYS",
    "$JS.API.DIRECT.GET.KV_ROLLCALL_KEYS.>",
];

/// What the one who erases people needs besides: to overwrite a key.
const ERASES: &str = "$JS.API.STREAM.MSG.DELETE.KV_ROLLCALL_KEYS";

/// What wraps the keys of people.
const INSTALLATION_KEY: &str = "installation-key";

/// What signs the log's checkpoints.
const SIGNING_KEY: &str = "signing-key";

/// What they are about, until someone gives the log a name of their own.
const LOG_NAME: &str = "rollcall.local/log";

#[derive(Debug, Args)]
pub struct SetupArgs {
    /// Where secrets, the server's configuration and a first rollcall.toml are kept
    #[arg(long)]
    dir: PathBuf,
    /// The user that the services run as; everything is given to them
    #[arg(long)]
    owner: Option<u32>,
    /// A folder to give to that user
    #[arg(long = "folder")]
    folders: Vec<PathBuf>,
    /// The servers of a cluster by the names they find each other by, separated by commas; each must be given its own as
    /// NATS_SERVER_NAME
    #[arg(long, value_delimiter = ',')]
    servers: Vec<String>,
    /// Show something instead: source-token, api-token, or public-key, which is for your auditors
    #[arg(long)]
    show: Option<String>,
}

/// Makes what is missing.
///
/// # Errors
/// When something can't be written.
pub fn run(args: &SetupArgs) -> anyhow::Result<ExitCode> {
    let secrets = args.dir.join("secrets");
    if let Some(name) = &args.show {
        let file = secrets.join(name);
        let read = |file: &Path| fs::read_to_string(file).with_context(|| format!("{} can't be read", file.display()));
        match name.as_str() {
            "source-token" | "api-token" => println!("{}", read(&file)?),
            "public-key" => println!("{}", rollcall_proof::Key::parse(&read(&secrets.join(SIGNING_KEY))?)?.public()),
            _ => anyhow::bail!("there are source-token, api-token and public-key"),
        }
        return Ok(ExitCode::SUCCESS);
    }
    fs::create_dir_all(&secrets).with_context(|| format!("{} can't be made", secrets.display()))?;
    let mut made = vec![args.dir.clone(), secrets.clone()];
    let mut users = String::new();
    for (name, subjects) in ACCOUNTS {
        let password = secret(&secrets.join(format!("nats-{name}")), &mut made)?;
        users.push_str(&account(name, &password, subjects));
    }
    secret(&secrets.join("source-token"), &mut made)?;
    secret(&secrets.join("api-token"), &mut made)?;
    let signing_key = secrets.join(SIGNING_KEY);
    if !signing_key.exists() {
        write(&signing_key, &rollcall_proof::generate_key(LOG_NAME)?.0)?;
    }
    made.push(signing_key);
    let installation_key = secrets.join(INSTALLATION_KEY);
    if !installation_key.exists() {
        write(&installation_key, &format!("{}\n", InstallationKey::generate()?.text()))?;
    }
    made.push(installation_key);
    // Always anew: a later version may allow more or less.
    let server = args.dir.join("nats.conf");
    let cluster = match args.servers.as_slice() {
        [] => "server_name: rollcall\n".to_owned(),
        servers => cluster(servers, &secret(&secrets.join("nats-route"), &mut made)?),
    };
    write(&server, &server_configuration(&cluster, &users))?;
    made.push(server);
    let config = args.dir.join("rollcall.toml");
    if !config.exists() {
        write(&config, &first_configuration(&secrets))?;
    }
    made.push(config);
    if let Some(owner) = args.owner {
        for path in made.iter().chain(&args.folders) {
            chown(path, Some(owner), Some(owner)).with_context(|| format!("{} can't be given away", path.display()))?;
        }
    }
    println!("{} is set up", args.dir.display());
    Ok(ExitCode::SUCCESS)
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    let open = || fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path);
    let mut file = open().with_context(|| format!("{} can't be written", path.display()))?;
    file.write_all(text.as_bytes()).with_context(|| format!("{} can't be written", path.display()))
}

/// A secret that is kept, or a new one.
pub fn secret(path: &Path, made: &mut Vec<PathBuf>) -> anyhow::Result<String> {
    made.push(path.to_owned());
    if let Ok(text) = fs::read_to_string(path)
        && !text.trim().is_empty()
    {
        return Ok(text.trim().to_owned());
    }
    let new = uuid::Uuid::new_v4().simple().to_string() + &uuid::Uuid::new_v4().simple().to_string();
    write(path, &new)?;
    Ok(new)
}

fn quoted<'a>(subjects: impl Iterator<Item = &'a str>) -> String {
    subjects.map(|s| format!("\"{s}\"")).collect::<Vec<_>>().join(", ")
}

fn account(name: &str, password: &str, subjects: &[&str]) -> String {
    let own: Vec<String> = subjects.iter().map(|s| format!("rollcall.{s}.>")).collect();
    let mut allowed: Vec<&str> = own.iter().map(String::as_str).chain(READS).collect();
    if name != "backup" {
        allowed.extend(KEYS);
    }
    match name {
        "gateway" => allowed.push("$JS.API.STREAM.CREATE.ROLLCALL"),
        "projector" => allowed.push(ERASES),
        "provisioner" | "sla-monitor" => allowed.extend(LEASES),
        "backup" => allowed.extend(BACKUP),
        _ => {}
    }
    format!(
        "    {{ user: {name:?}, password: {password:?}, permissions: {{\n        publish: {{ allow: [{}] }},\n        \
         subscribe: {{ allow: [\"_INBOX.>\"] }}\n    }} }}\n",
        quoted(allowed.into_iter())
    )
}

fn cluster(servers: &[String], password: &str) -> String {
    let route = |server: &String| format!("nats://route:{password}@{server}:6222");
    let routes: Vec<String> = servers.iter().map(route).collect();
    format!(
        "server_name: $NATS_SERVER_NAME\ncluster {{\n  name: rollcall\n  listen: 0.0.0.0:6222\n  \
         authorization {{ user: route, password: {password:?} }}\n  routes: [{}]\n}}\n",
        quoted(routes.iter().map(String::as_str))
    )
}

fn server_configuration(cluster: &str, users: &str) -> String {
    format!(
        "# Made by rollcall setup at each start.\n{cluster}port: 4222\nhttp: 8222\nmax_payload: 1MB\n\
         jetstream {{ store_dir: /data, sync_interval: always }}\n\
         authorization {{\n  users = [\n{users}  ]\n}}\n"
    )
}

fn first_configuration(secrets: &Path) -> String {
    format!(
        "# Made by rollcall setup once; yours from now on. docs/operations.md and docs/apps.md say what can be set.\n\
         [[sources]]\nname = \"default\"\ntoken_file = {:?}\n\n\
         [[api_tokens]]\nname = \"operator\"\nrole = \"operator\"\ntoken_file = {:?}\n\n\
         [[signing_keys]]\nkey_file = {:?}\n\n\
         [privacy]\nkey_file = {:?}\n",
        secrets.join("source-token"),
        secrets.join("api-token"),
        secrets.join(SIGNING_KEY),
        secrets.join(INSTALLATION_KEY)
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::collections::BTreeSet;

    use super::ACCOUNTS;

    /// A kind of subject that nobody may append stops the service that does, in deployments alone.
    #[test]
    fn each_subject_of_the_log_can_be_appended_by_some_service() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/internals/events.md");
        let page = std::fs::read_to_string(page).unwrap();
        let rows = page.lines().filter_map(|line| line.strip_prefix("| `rollcall."));
        let kinds: BTreeSet<&str> = rows.filter_map(|row| row.split(['.', '`']).next()).collect();
        let allowed: BTreeSet<&str> = ACCOUNTS.iter().flat_map(|(_, kinds)| kinds.iter().copied()).collect();
        let missing: Vec<_> = kinds.difference(&allowed).collect();
        assert!(kinds.len() > 25 && missing.is_empty(), "{missing:?} of {kinds:?}");
    }
}
