//! What other apps, roles, policies and separations would change, before they do; and what they give to people who are made up.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use clap::{Args, Subcommand};
use rollcall_config::Config;
use rollcall_domain::access::entitlement::{EntitlementId, Grantable};
use rollcall_domain::access::holding::Reason;
use rollcall_domain::decision::access_rules::AccessRules;
use rollcall_domain::decision::imagined::Imagined;
use rollcall_domain::identity::IdentityKind;
use rollcall_domain::{AppId, SourceName};
use rollcall_gateway::resource_of;
use rollcall_scim::{Catalogue, Reading, Strictness, normalize};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::operator::{ServerArgs, apps_of, code_of, preview};
use crate::terminal::{Column, Shown, column, print};

/// `rollcall policy`
#[derive(Debug, Subcommand)]
pub enum Policies {
    /// Say who would gain and who would lose what by a configuration that is not used yet, and because of what; exits with 1 when
    /// so many would lose their account in an app that they would wait for a decision, or somebody would violate a separation who does
    /// not now, and with 2 when it can't be told
    Diff(DiffArgs),
    /// Hold a configuration against cases: who is to hold what, and what not; exits with 1 when one is not as it says
    Test(TestArgs),
}

/// `rollcall policy diff`
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// The configuration file that is not used yet
    #[arg(long)]
    config: PathBuf,
    /// The answer as JSON, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// `rollcall policy test`
#[derive(Debug, Args)]
pub struct TestArgs {
    /// The configuration file
    #[arg(long)]
    config: PathBuf,
    /// Files of cases, in TOML
    #[arg(required = true)]
    cases: Vec<PathBuf>,
}

/// A file of cases.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    cases: Vec<Case>,
}

/// Somebody who is made up, and what they are to hold.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// Their attributes, by name; an attribute of an extension by its URN and a colon.
    user: Option<Map<String, Value>>,
    /// The same for an agent.
    agent: Option<Map<String, Value>>,
    /// The same for a service account.
    service_account: Option<Map<String, Value>>,
    /// Groups of ours that they are in: `NAME`, or `SOURCE/NAME`.
    #[serde(default)]
    groups: Vec<String>,
    /// What was granted to them: `APP`, `APP:group:NAME`, `role:ID`.
    #[serde(default)]
    grants: Vec<Grantable>,
    /// What they are to hold.
    #[serde(default)]
    holds: Vec<EntitlementId>,
    /// What they are not to hold.
    #[serde(default)]
    not: Vec<EntitlementId>,
    /// Whether they are to hold nothing but that.
    #[serde(default)]
    nothing_else: bool,
}

/// `rollcall policy`
pub fn policy(policies: &Policies) -> anyhow::Result<ExitCode> {
    match policies {
        Policies::Diff(args) => diff(args),
        Policies::Test(args) => test(args),
    }
}

const TALLIES: [Column; 3] = [
    column("ENTITLEMENT", "/entitlement", Shown::Text),
    column("GAIN IT", "/gained", Shown::Number),
    column("LOSE IT", "/lost", Shown::Number),
];
const REASONS: [Column; 5] = [
    column("APP", "/app", Shown::Text),
    column("BECAUSE OF", "/kind", Shown::Text),
    column("WHICH", "/id", Shown::Text),
    column("GAIN", "/gained", Shown::Number),
    column("LOSE", "/lost", Shown::Number),
];
const CHANGES: [Column; 4] = [
    column("WHO", "/user_name", Shown::Text),
    column("WOULD", "/would", Shown::Text),
    column("WHAT", "/entitlement", Shown::Text),
    column("BECAUSE", "/because", Shown::Text),
];
const VIOLATIONS: [Column; 3] = [
    column("WHO", "/user_name", Shown::Text),
    column("WOULD VIOLATE", "/separation", Shown::Text),
    column("HOLDING", "/held", Shown::Text),
];

fn diff(args: &DiffArgs) -> anyhow::Result<ExitCode> {
    let answer = match preview(&args.server, &args.config) {
        Ok(answer) => answer,
        Err(error) => {
            eprintln!("rollcall: {error:#}");
            return Ok(ExitCode::from(2));
        }
    };
    let violates = answer.get("violations_total").and_then(Value::as_u64).unwrap_or_default() > 0;
    let code = if violates { ExitCode::FAILURE } else { code_of(&answer) };
    if args.json {
        println!("{answer}");
        return Ok(code);
    }
    let items = |key: &str| answer.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let number = |key: &str| answer.get(key).and_then(Value::as_u64).unwrap_or_default();
    apps_of(&answer);
    if number("changes_total") == 0 {
        println!("nobody would gain or lose anything; {} identities were asked about", number("identities"));
    } else {
        println!("\nof {} identities, in {} changes:", number("identities"), number("changes_total"));
        print(&items("entitlements"), &TALLIES);
        println!();
        print(&items("reasons"), &REASONS);
        println!();
        let would = |mut change: Value| {
            let word = change.get("change").and_then(Value::as_str).unwrap_or_default();
            let word = if word == "gained" { "gain" } else { "lose" };
            if let Some(fields) = change.as_object_mut() {
                fields.insert("would".into(), word.into());
            }
            change
        };
        let changes: Vec<Value> = items("changes").into_iter().map(would).collect();
        print(&changes, &CHANGES);
        more(changes.len(), number("changes_total"));
    }
    let violations = items("violations");
    if !violations.is_empty() {
        println!();
        print(&violations, &VIOLATIONS);
        more(violations.len(), number("violations_total"));
    }
    if number("undecided") > 0 {
        println!("{} accounts stay as they are: whose they are is sealed, or erased", number("undecided"));
    }
    Ok(code)
}

fn more(shown: usize, all: u64) {
    let all = usize::try_from(all).unwrap_or(usize::MAX);
    if all > shown {
        println!("and {} more", all - shown);
    }
}

fn test(args: &TestArgs) -> anyhow::Result<ExitCode> {
    let config = rollcall_config::load(&args.config, &|name| std::env::var(name).ok())?;
    let catalogue = config.scim.catalogue;
    let rules = AccessRules::configured(&config.access_spec(), &catalogue);
    let (mut all, mut wrong) = (0_usize, 0_usize);
    for file in &args.cases {
        for case in read(file)? {
            all += 1;
            let name = case.name.clone();
            let place = || format!("{}: '{name}'", file.display());
            let found = against(case, &config, &rules, &catalogue).with_context(place)?;
            if !found.is_empty() {
                wrong += 1;
                println!("{}", place());
                found.iter().for_each(|line| println!("    {line}"));
            }
        }
    }
    ensure!(all > 0, "there is no case in these files: each is a [[cases]]");
    println!("{} of {all} cases are as they say", all - wrong);
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn read(file: &Path) -> anyhow::Result<Vec<Case>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{} can't be read", file.display()))?;
    let cases: Cases = toml::from_str(&text).with_context(|| format!("{} is no file of cases", file.display()))?;
    Ok(cases.cases)
}

/// What is not as a case says.
fn against(case: Case, config: &Config, rules: &AccessRules, catalogue: &Catalogue) -> anyhow::Result<Vec<String>> {
    let (kind, attributes) = match (case.user, case.agent, case.service_account) {
        (Some(user), None, None) => (IdentityKind::User, user),
        (None, Some(agent), None) => (IdentityKind::Agent, agent),
        (None, None, Some(account)) => (IdentityKind::ServiceAccount, account),
        _ => bail!("give one of 'user', 'agent' and 'service_account'"),
    };
    ensure!(
        !case.holds.is_empty() || !case.not.is_empty() || case.nothing_else,
        "it says nothing: give 'holds', 'not' or 'nothing_else'"
    );
    let known = |id: &EntitlementId| rules.apps.contains_key(&id.app);
    if let Some(unknown) = case.holds.iter().chain(&case.not).find(|id| !known(id)) {
        bail!("'{unknown}': there is no app '{}'", unknown.app);
    }
    let imagined = Imagined {
        kind,
        resource: resource(kind, attributes, catalogue)?,
        groups: case.groups.iter().map(|group| of_source(group, config)).collect::<anyhow::Result<_>>()?,
        grants: case.grants,
    };
    let held: Vec<(AppId, _)> = imagined.holds(rules, catalogue);
    let reasons = |id: &EntitlementId| held.iter().find(|(app, _)| *app == id.app)?.1.get(&id.part);
    let mut wrong = Vec::new();
    for id in case.holds.iter().filter(|id| reasons(id).is_none()) {
        wrong.push(format!("does not hold {id}"));
    }
    for id in &case.not {
        if let Some(by) = reasons(id) {
            wrong.push(format!("holds {id}, because of {}", because(by)));
        }
    }
    if case.nothing_else {
        for (app, decision) in &held {
            let all = decision.iter().map(|(part, by)| (EntitlementId { app: app.clone(), part: part.clone() }, by));
            for (id, by) in all.filter(|(id, _)| !case.holds.contains(id)) {
                wrong.push(format!("holds {id}, because of {}, and is to hold nothing else", because(by)));
            }
        }
    }
    Ok(wrong)
}

/// The SCIM resource of somebody who is made up.
fn resource(
    kind: IdentityKind,
    attributes: Map<String, Value>,
    catalogue: &Catalogue,
) -> anyhow::Result<Map<String, Value>> {
    let (of, named) = match kind {
        IdentityKind::User => (catalogue.user(), "userName"),
        IdentityKind::Agent => (catalogue.agent(), "name"),
        IdentityKind::ServiceAccount => (catalogue.service_account(), "userName"),
    };
    let texts = attributes.iter().filter_map(|(path, value)| Some((path.as_str(), value.as_str()?)));
    let mut body = resource_of(texts).map_err(anyhow::Error::msg)?;
    if let Some(fields) = body.as_object_mut() {
        fields.extend(attributes.iter().filter(|(_, value)| !value.is_string()).map(|(k, v)| (k.clone(), v.clone())));
        fields.entry(named).or_insert_with(|| "somebody".into());
        let extensions = fields.keys().filter(|name| name.starts_with("urn:")).cloned();
        let schemas: Vec<String> = std::iter::once(of.core.id.to_owned()).chain(extensions).collect();
        fields.entry("schemas").or_insert_with(|| schemas.into());
    }
    // Strictly: an attribute that there is not would be a case that says nothing.
    normalize(&body, of, &mut Reading::new(Strictness::Strict)).map_err(|e| anyhow::anyhow!("{e}"))
}

/// By what something is held, in words.
fn because(reasons: &BTreeSet<Reason>) -> String {
    let words = |reason: &Reason| match reason {
        Reason::Rule => "the rule of the app".to_owned(),
        Reason::Group(name) => format!("group {name}"),
        Reason::Role(id) => format!("role {id}"),
        Reason::GrantedRole(id, _) => format!("role {id}, which was granted"),
        Reason::Grant(_) => "a grant".to_owned(),
        Reason::Policy(id) => format!("policy {id}"),
    };
    reasons.iter().map(words).collect::<Vec<_>>().join(", ")
}

fn of_source(text: &str, config: &Config) -> anyhow::Result<(String, Option<SourceName>)> {
    let Some((source, name)) = text.split_once('/') else { return Ok((text.to_owned(), None)) };
    match config.sources.iter().find(|known| known.name.as_str() == source) {
        Some(known) => Ok((name.to_owned(), Some(known.name.clone()))),
        None => Ok((text.to_owned(), None)),
    }
}
