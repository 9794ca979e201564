//! `rollcall setup`: what a deployment needs before its first start. Made once; what is there is kept.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{OpenOptionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
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

/// Who has a share of the secrets: what each is given, and nothing else of them is in its container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Holder {
    Gateway,
    Projector,
    Provisioner,
    SlaMonitor,
    Nats,
    Demo,
}

impl Holder {
    /// The secrets by the names of their files. The log's server has its accounts in a configuration of its own.
    const fn secrets(self) -> &'static [&'static str] {
        match self {
            Self::Gateway => &["nats-gateway", INSTALLATION_KEY, SOURCE_TOKEN],
            Self::Projector => &["nats-projector", INSTALLATION_KEY, API_TOKEN, SIGNING_KEY],
            Self::Provisioner => &["nats-provisioner", INSTALLATION_KEY],
            Self::SlaMonitor => &["nats-sla-monitor", INSTALLATION_KEY],
            Self::Nats => &[],
            Self::Demo => &[SOURCE_TOKEN, API_TOKEN],
        }
    }
}

/// Where the share of one of them is kept.
#[derive(Debug, Clone)]
struct Share {
    holder: Holder,
    folder: PathBuf,
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (holder, folder) =
            text.split_once('=').ok_or("it is written HOLDER=FOLDER, such as gateway=/shares/gateway")?;
        Ok(Self { holder: Holder::from_str(holder, false)?, folder: folder.into() })
    }
}

/// What sources are let in with, until there is a configuration of one's own.
const SOURCE_TOKEN: &str = "source-token";

/// The same of the API and the console.
const API_TOKEN: &str = "api-token";

/// What the apps of the demo are asked with.
const DEMO_TOKEN: &str = "demo-app-token";

/// The accounts of the log's server.
const SERVER: &str = "nats.conf";

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
    /// Where a service has its share of the secrets, HOLDER=FOLDER; may be given once for each of them. With any, the
    /// configuration of the log's server is in the share of nats alone
    #[arg(long = "share", value_name = "HOLDER=FOLDER")]
    shares: Vec<Share>,
    /// Where an earlier version kept --dir: the secrets in it are moved
    #[arg(long)]
    before: Option<PathBuf>,
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
            SOURCE_TOKEN | API_TOKEN => println!("{}", read(&file)?),
            "public-key" => println!("{}", rollcall_proof::Key::parse(&read(&secrets.join(SIGNING_KEY))?)?.public()),
            _ => anyhow::bail!("there are source-token, api-token and public-key"),
        }
        return Ok(ExitCode::SUCCESS);
    }
    fs::create_dir_all(&secrets).with_context(|| format!("{} can't be made", secrets.display()))?;
    if let Some(before) = &args.before {
        move_secrets(before, &secrets)?;
    }
    let mut made = vec![args.dir.clone(), secrets.clone()];
    let mut users = String::new();
    for (name, subjects) in ACCOUNTS {
        let password = secret(&secrets.join(format!("nats-{name}")), &mut made)?;
        users.push_str(&account(name, &password, subjects));
    }
    secret(&secrets.join(SOURCE_TOKEN), &mut made)?;
    secret(&secrets.join(API_TOKEN), &mut made)?;
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
    let cluster = match args.servers.as_slice() {
        [] => "server_name: rollcall\n".to_owned(),
        servers => cluster(servers, &secret(&secrets.join("nats-route"), &mut made)?),
    };
    // Always anew: a later version may allow more or less.
    let server = server_configuration(&cluster, &users);
    if args.shares.is_empty() {
        write(&args.dir.join(SERVER), &server)?;
        made.push(args.dir.join(SERVER));
    }
    for share in &args.shares {
        let files = share_out(share, &secrets, &server)?;
        made.extend(files.into_iter().chain([share.folder.clone()]));
    }
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

/// Gives one of them its share, and takes out of the folder what is not of it.
fn share_out(share: &Share, secrets: &Path, server: &str) -> anyhow::Result<Vec<PathBuf>> {
    let Share { holder, folder } = share;
    fs::create_dir_all(folder).with_context(|| format!("{} can't be made", folder.display()))?;
    let mut files = BTreeMap::new();
    if *holder == Holder::Nats {
        files.insert(folder.join(SERVER), server.to_owned());
    }
    // An earlier version of the demo has put it among the secrets.
    let of_the_demo = (*holder == Holder::Provisioner && secrets.join(DEMO_TOKEN).exists()).then_some(&DEMO_TOKEN);
    for name in holder.secrets().iter().chain(of_the_demo) {
        let file = secrets.join(name);
        let text = fs::read_to_string(&file).with_context(|| format!("{} can't be read", file.display()))?;
        files.insert(folder.join(name), text);
    }
    let is_there = |path: &PathBuf, text: &str| fs::read_to_string(path).is_ok_and(|there| there == text);
    for (path, text) in files.iter().filter(|(path, text)| !is_there(path, text)) {
        // At once: whoever uses it looks at it again while it runs.
        let new = path.with_extension("new");
        write(&new, text)?;
        fs::rename(&new, path).with_context(|| format!("{} can't be written", path.display()))?;
    }
    for entry in fs::read_dir(folder).with_context(|| format!("{} can't be read", folder.display()))? {
        let path = entry.with_context(|| format!("{} can't be read", folder.display()))?.path();
        if path.is_file() && !files.contains_key(&path) {
            fs::remove_file(&path).with_context(|| format!("{} can't be removed", path.display()))?;
        }
    }
    Ok(files.into_keys().collect())
}

/// Takes over the secrets of an earlier version, which were where every service could read them.
fn move_secrets(before: &Path, secrets: &Path) -> anyhow::Result<()> {
    let old = before.join("secrets");
    let entries = match fs::read_dir(&old) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e).with_context(|| format!("{} can't be read", old.display())),
    };
    for entry in entries {
        let from = entry.with_context(|| format!("{} can't be read", old.display()))?.path();
        let Some(name) = from.file_name().filter(|_| from.is_file()) else { continue };
        if !is_own(name) {
            let service = "deploy/secrets/<service>";
            eprintln!("{} was not made by setup, and no service sees it: move it to {service}", from.display());
            continue;
        }
        let to = secrets.join(name);
        let text = fs::read_to_string(&from).with_context(|| format!("{} can't be read", from.display()))?;
        if to.exists() {
            let kept = fs::read_to_string(&to).with_context(|| format!("{} can't be read", to.display()))?;
            anyhow::ensure!(
                kept.trim() == text.trim(),
                "{} is another one than {}, where secrets are kept now: take the one away that is wrong",
                from.display(),
                to.display()
            );
        } else {
            let new = to.with_extension("new");
            write(&new, &text)?;
            fs::rename(&new, &to).with_context(|| format!("{} can't be written", to.display()))?;
        }
        fs::remove_file(&from).with_context(|| format!("{} can't be removed", from.display()))?;
    }
    let server = before.join(SERVER);
    match fs::remove_file(&server) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(e).with_context(|| format!("{} can't be removed", server.display()))
        }
        _ => Ok(()),
    }
}

/// Whether a secret is one that setup makes.
fn is_own(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with("nats-") || [SOURCE_TOKEN, API_TOKEN, SIGNING_KEY, INSTALLATION_KEY, DEMO_TOKEN].contains(&&*name)
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
        secrets.join(SOURCE_TOKEN),
        secrets.join(API_TOKEN),
        secrets.join(SIGNING_KEY),
        secrets.join(INSTALLATION_KEY)
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::collections::BTreeSet;

    use super::{ACCOUNTS, Holder, SetupArgs, Share, run};

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

    fn files(folder: &std::path::Path) -> BTreeSet<String> {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
        let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
        files.map(|entry| entry.file_name().into_string().unwrap()).collect()
    }

    /// Whoever takes over a service must not have what another one is let in with.
    #[test]
    fn each_service_is_given_its_own_secrets_and_those_of_an_earlier_version_stay_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let args = |shares: &[Holder], dir: &str, before: Option<&str>| SetupArgs {
            dir: at(dir),
            owner: None,
            folders: Vec::new(),
            servers: Vec::new(),
            shares: (shares.iter())
                .map(|holder| Share { holder: *holder, folder: at("shares").join(format!("{holder:?}")) })
                .collect(),
            before: before.map(at),
            show: None,
        };
        run(&args(&[], "before", None)).unwrap();
        let secret = |folder: &str, name: &str| std::fs::read_to_string(at(folder).join(name)).unwrap();
        let source = secret("before", "secrets/source-token");
        std::fs::write(at("before/secrets/demo-app-token"), "rollcall-demo").unwrap();
        std::fs::write(at("before/secrets/somebodys"), "stays").unwrap();
        let all =
            [Holder::Gateway, Holder::Projector, Holder::Provisioner, Holder::SlaMonitor, Holder::Nats, Holder::Demo];
        run(&args(&all, "now", Some("before"))).unwrap();

        assert!(
            files(&at("before/secrets")) == BTreeSet::from(["somebodys".into()])
                && files(&at("before")) == BTreeSet::from(["rollcall.toml".into()])
        );
        assert_eq!(files(&at("now")), BTreeSet::from(["rollcall.toml".into()]));
        assert_eq!(secret("shares", "Gateway/source-token"), source);
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<String>>();
        let share = |holder: Holder| files(&at("shares").join(format!("{holder:?}")));
        assert_eq!(share(Holder::Provisioner), names(&["demo-app-token", "installation-key", "nats-provisioner"]));
        assert_eq!(share(Holder::Nats), names(&["nats.conf"]));
        for (holder, account) in [(Holder::Gateway, "nats-gateway"), (Holder::SlaMonitor, "nats-sla-monitor")] {
            let accounts = share(holder).into_iter().filter(|name| name.starts_with("nats-")).collect::<BTreeSet<_>>();
            assert_eq!(accounts, names(&[account]));
        }

        // A token that was replaced is passed on; what is of nobody's share goes.
        std::fs::write(at("now/secrets/source-token"), "another").unwrap();
        std::fs::write(at("shares/Gateway/api-token"), "left behind").unwrap();
        run(&args(&all, "now", Some("before"))).unwrap();
        assert_eq!(secret("shares", "Gateway/source-token"), "another");
        assert_eq!(share(Holder::Gateway), names(&["installation-key", "nats-gateway", "source-token"]));
    }
}
