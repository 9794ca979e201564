//! The commands.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use rollcall_config::{Config, Needs, Token};
use rollcall_telemetry::Otlp;

use crate::service::Service;
use crate::{
    access, apps, assemble, backup, configuration_watch, credentials, demo, drill, erase, export, gone, import, init,
    key, keys, lists, machines, operator, policy, process, ready, reference, separations, setup, tasks, timeline,
    token, trends, verify,
};

/// Event-sourced identity lifecycle governance: when someone joins, moves or leaves, did every app follow?
#[derive(Debug, Parser)]
#[command(name = "rollcall", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run every service in one process, with a private nats-server unless nats.url is set
    Up(RunArgs),
    /// Run one service
    Run {
        service: Service,
        #[command(flatten)]
        args: RunArgs,
    },
    /// Validate the configuration: every mistake with its line; changes nothing
    Check {
        /// The configuration file
        #[arg(long)]
        config: PathBuf,
        /// Need the secrets of this service alone, where those of others are kept from it; may be given more than once
        #[arg(long = "service")]
        services: Vec<Service>,
        /// Ask no app whether it can be used as it is configured
        #[arg(long)]
        offline: bool,
        /// Exit with 1 when there are warnings
        #[arg(long)]
        strict: bool,
    },
    /// Say what would be sent to the apps, to whom and why, or what a changed configuration would do; nothing is sent or changed
    Plan(operator::PlanArgs),
    /// Show what happened to an identity, or in an app: oldest first
    Timeline(timeline::TimelineArgs),
    /// Check an export, or the log itself, against its signed checkpoints, with the public keys alone
    Verify(verify::VerifyArgs),
    /// Make a pair of keys for the log's checkpoints: the private one to a file, the public one to standard output
    Key(key::KeyArgs),
    /// Print the description of the API (OpenAPI 3.1)
    Openapi,
    /// Print completions for a shell
    Completions { shell: Shell },
    /// Write what is made from the commands: the page about them, man pages
    #[command(subcommand, hide = true)]
    Reference(reference::Reference),
    /// Add people and agents from a file, as if their source had sent them; a file that is read again adds nobody twice
    Import(import::ImportArgs),
    /// Destroy what is personal about somebody who has left, for ever; another admin approves it
    Erase(erase::EraseArgs),
    /// Write all that is held about one person
    Export(export::ExportArgs),
    /// Make an installation key, or wrap everything anew with it
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Bring accounts in line, and read them back, now
    Sync(operator::TargetArgs),
    /// Say of an app that is left alone because accounts are missing there that they are gone; a second person approves it
    Gone(gone::GoneArgs),
    /// Say of such an app that it is the one that is known, and its accounts have other names; a second person approves it
    Same(gone::GoneArgs),
    /// Save the log in a file; while it is used, unless its server is private
    Backup(backup::BackupArgs),
    /// Put a log that was saved on a server that has none, and erase again who was erased since
    Restore(backup::RestoreArgs),
    /// Erase again who is in a register of erasures, where `restore` was not allowed to: with the account of the projector, before any
    /// service starts
    EraseAgain(backup::EraseAgainArgs),
    /// Say whether the process at an address is ready; exits with 1 when it is not
    Ready(ready::ReadyArgs),
    /// Write a first configuration, from a few answers, with secrets in files; nothing that is there is written over
    Init(init::InitArgs),
    /// Make what a deployment needs before its first start: secrets, the log server's accounts, a first configuration
    Setup(setup::SetupArgs),
    /// Make, show or revoke API tokens
    Token(token::TokenArgs),
    /// Whether anything needs a person: exits with 0 when nothing does, with 1 when something does, with 2 when it can't be told
    Status(lists::StatusArgs),
    /// Who left, and is not verified gone
    Leavers(lists::LeaversArgs),
    /// Everybody, or those with a name
    Identities(lists::IdentitiesArgs),
    /// The health of each app; or what is known of apps before one is connected
    Apps(apps::AppsArgs),
    /// Where apps differ from what is desired; or leave items as they are for a while
    Drift(lists::DriftArgs),
    /// What is owed; or leave obligations unmet for a while
    Obligations(lists::ObligationsArgs),
    /// Removals that wait for a decision; or decide about them
    Holds(lists::HoldsArgs),
    /// What the monitor has said, the newest first
    Alerts(lists::AlertsArgs),
    /// Everything that happened, the newest first
    Events(lists::EventsArgs),
    /// What waits for a second person; or approve or deny it
    Approvals(lists::ApprovalsArgs),
    /// What somebody holds in every app, since when, until when and why
    Access(access::AccessArgs),
    /// Why somebody holds something, or why not: exits with 0 when they do, with 1 when they don't
    Explain(access::ExplainArgs),
    /// What can be held, or who holds it
    Entitlements(access::EntitlementsArgs),
    /// The named sets of entitlements
    Roles(access::RolesArgs),
    /// What other apps, roles, policies and separations would change, and whether they give what they are to give
    #[command(subcommand)]
    Policy(policy::Policies),
    /// The separations of duties: what nobody may hold together
    Separations(separations::SeparationsArgs),
    /// Who holds it together all the same; or leave that so for a while
    Violations(separations::ViolationsArgs),
    /// Service accounts and agents, and who answers for them
    Machines(machines::MachinesArgs),
    /// Machines of those who leave: take one over, ask somebody to, or end it
    Handovers(machines::HandoversArgs),
    /// Keys, tokens and certificates; or report some as compromised
    Credentials(credentials::CredentialsArgs),
    /// The lists of credentials that were sent
    Inventories(credentials::InventoriesArgs),
    /// Send the whole list of an inventory: what it lacks is gone
    Inventory(credentials::InventoryArgs),
    /// What people have to do in apps that Rollcall does not change itself; or say that it is done
    Tasks(tasks::TasksArgs),
    /// Whether it gets better: how long changes take, what is met in time, drift, manual work, by day, week or month
    Trends(trends::TrendsArgs),
    /// Ask for something for a time, approve it, end it
    #[command(subcommand)]
    Grant(access::Grants),
    /// Switch somebody off in every app, now, whatever their source, holds and waivers say
    Disable(access::SwitchArgs),
    /// Switch somebody on again: what their source says counts again
    Enable(access::SwitchArgs),
    /// Let an account of Rollcall's own go through apps, and show what they do of what they are asked; exits with 0 when every step
    /// passed, with 1 when one did not, with 2 when an app could not be drilled
    Drill(drill::DrillArgs),
    /// Play an identity provider against real apps, and show what Rollcall knows
    Demo(demo::DemoArgs),
}

#[derive(Debug, Args)]
struct RunArgs {
    /// The configuration file
    #[arg(long)]
    config: PathBuf,
    /// Where projections and the private server's data are kept; overrides server.data_dir
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// The address to listen on; overrides server.listen
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Stop, with exit code 0, once the configuration file has changed and is valid: whoever watches over this process
    /// starts it again with the new one. One that is not valid is named in the log, and changes nothing
    #[arg(long)]
    stop_on_change: bool,
}

fn load(path: &std::path::Path) -> anyhow::Result<Config> {
    Ok(rollcall_config::load(path, &|name| std::env::var(name).ok())?)
}

/// Runs a command to its end.
///
/// # Errors
/// With what went wrong, for people.
pub fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Up(args) => serve(&args, &Service::ALL, "rollcall"),
        Command::Run { service, args } => serve(&args, &[service], &format!("rollcall-{}", service.name())),
        Command::Check { config, services, offline, strict } => {
            // Only the provisioner has what apps are asked with.
            let has_tokens = services.is_empty() || services.contains(&Service::Provisioner);
            let reach = if offline || !has_tokens { Reach::FileOnly } else { Reach::Apps };
            check(&config, &services, reach, if strict { Level::Strict } else { Level::Usual })
        }
        Command::Ready(args) => ready::run(&args),
        Command::Init(args) => init::run(&args),
        Command::Setup(args) => setup::run(&args),
        Command::Plan(args) => operator::plan(&args),
        Command::Timeline(args) => timeline::timeline(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Key(args) => key::run(&args),
        Command::Openapi => {
            println!("{}", rollcall_projector::openapi().to_pretty_json().context("the description can't be written")?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Completions { shell } => Ok(reference::completions(shell, Cli::command())),
        Command::Reference(reference) => reference::run(&reference, Cli::command()),
        Command::Import(args) => import::run(&args),
        Command::Backup(args) => backup::backup(&args),
        Command::Restore(args) => backup::restore(&args),
        Command::EraseAgain(args) => backup::erase_again(&args),
        Command::Sync(args) => operator::sync(&args),
        Command::Gone(args) => gone::gone(&args),
        Command::Same(args) => gone::same(&args),
        Command::Erase(args) => erase::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Keys(keys) => keys::run(&keys),
        Command::Token(args) => token::token(&args),
        Command::Status(args) => lists::status(&args),
        Command::Leavers(args) => lists::leavers(&args),
        Command::Identities(args) => lists::identities(&args),
        Command::Apps(args) => apps::apps(&args),
        Command::Drift(args) => lists::drift(&args),
        Command::Obligations(args) => lists::obligations(&args),
        Command::Holds(args) => lists::holds(&args),
        Command::Alerts(args) => lists::alerts(&args),
        Command::Events(args) => lists::events(&args),
        Command::Approvals(args) => lists::approvals(&args),
        Command::Access(args) => access::access(&args),
        Command::Explain(args) => access::explain(&args),
        Command::Entitlements(args) => access::entitlements(&args),
        Command::Roles(args) => access::roles(&args),
        Command::Policy(policies) => policy::policy(&policies),
        Command::Separations(args) => separations::separations(&args),
        Command::Violations(args) => separations::violations(&args),
        Command::Machines(args) => machines::machines(&args),
        Command::Handovers(args) => machines::handovers(&args),
        Command::Credentials(args) => credentials::credentials(&args),
        Command::Inventories(args) => credentials::inventories(&args),
        Command::Tasks(args) => tasks::tasks(&args),
        Command::Trends(args) => trends::trends(&args),
        Command::Inventory(args) => credentials::send(&args),
        Command::Grant(grants) => access::grant(&grants),
        Command::Disable(args) => access::switch(&args, "disable"),
        Command::Enable(args) => access::switch(&args, "enable"),
        Command::Drill(args) => drill::drill(&args),
        Command::Demo(args) => demo::run(args),
    }
}

fn check(path: &std::path::Path, only: &[Service], reach: Reach, level: Level) -> anyhow::Result<ExitCode> {
    let config = load(path)?;
    let needs: Vec<Needs> = only.iter().map(|service| service.needs()).collect();
    config.require(if needs.is_empty() { &[Needs::Everything] } else { &needs })?;
    let ordinary = config.apps.iter().filter(|app| app.token.as_ref().is_some_and(Token::is_ordinary));
    let ordinary: Vec<&str> = ordinary.map(|app| app.spec.id.as_str()).collect();
    anyhow::ensure!(
        ordinary.is_empty(),
        "the token of {} is too short, or has too little in it: at least 12 characters, 6 of them different, or it can't be \
         kept out of events and logs without spoiling them",
        ordinary.join(", ")
    );
    let mut warnings = config.warnings.clone();
    if reach == Reach::Apps {
        warnings.extend(ask_apps(&config)?);
    }
    for warning in &warnings {
        println!("warning: {warning}");
    }
    println!(
        "{} is valid: {} sources, {} API tokens, {} apps, {} alert sinks",
        path.display(),
        config.sources.len(),
        config.api_tokens.len(),
        config.apps.len(),
        config.alerts.len()
    );
    Ok(if level == Level::Strict && !warnings.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// How far `check` looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    FileOnly,
    Apps,
}

/// What `check` takes as a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Usual,
    Strict,
}

/// What is wrong with the apps themselves: they are asked, all at once, and nothing is changed.
fn ask_apps(config: &Config) -> anyhow::Result<Vec<String>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no async runtime")?;
    Ok(runtime.block_on(async {
        let mut asked = tokio::task::JoinSet::new();
        for app in config.apps.clone() {
            asked.spawn(async move {
                let outcome = rollcall_provisioner::check(&app).await;
                outcome.err().map(|why| format!("app '{}' can't be used as it is configured: {why}", app.spec.id))
            });
        }
        let mut found: Vec<String> = asked.join_all().await.into_iter().flatten().collect();
        found.sort();
        found
    }))
}

fn serve(args: &RunArgs, services: &[Service], name: &str) -> anyhow::Result<ExitCode> {
    // Before it is understood: what is written meanwhile is a change.
    let seen = std::fs::read(&args.config).ok();
    let mut config = load(&args.config)?;
    if let Some(dir) = &args.data_dir {
        config.server.data_dir.clone_from(dir);
        config.settings.insert("server.data_dir".into(), dir.display().to_string());
    }
    if let Some(listen) = args.listen {
        config.server.listen = listen;
        config.settings.insert("server.listen".into(), listen.to_string());
    }
    let needs: Vec<Needs> = services.iter().map(|s| s.needs()).collect();
    config.require(&needs)?;
    let otlp = config.telemetry.otlp_endpoint.as_ref().map(|url| Otlp { endpoint: url.to_string() });
    // Before the runtime: the exporters' own clients block.
    let telemetry = rollcall_telemetry::init(name, otlp.as_ref())?;
    for warning in &config.warnings {
        tracing::warn!(file = config.file, "{warning}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no async runtime")?;
    let outcome = runtime.block_on(async {
        let changed = async {
            if args.stop_on_change {
                configuration_watch::valid_change(&args.config, seen).await
            } else {
                std::future::pending().await
            }
        };
        process::run(&config, name, services, assemble::open, changed).await
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    drop(telemetry);
    outcome.map(|()| ExitCode::SUCCESS)
}
