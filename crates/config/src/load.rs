//! From text to configuration.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use rollcall_domain::SourceName;
use rollcall_domain::access::entitlement::Requestable;
use rollcall_domain::access::policy::PolicySpec;
use rollcall_domain::access::role::RoleSpec;
use rollcall_domain::access::separation::SeparationSpec;
use rollcall_domain::identity::authority::{Authority, Precedence};
use rollcall_policy::Scope;
use toml::de::{DeTable, DeValue};

use crate::access::{api_token, approvals, audit, machines, oidc, privacy, reevaluation, signing_key};
use crate::alerts::{alert, alerting, tasks, tiers};
use crate::app::app;
use crate::inventories::inventory;
use crate::model::{AppConfig, Config, JwtConfig, News, Role, SinkReach, TwoPeople, deciders};
use crate::policies::policies;
use crate::roles::{known_entitlement, role};
use crate::scim::scim;
use crate::secret::{SHORT, Token};
use crate::section::{ConfigError, Key, Mistake, Reading, Section};
use crate::separations::{contradictions, separation};
use crate::server::{nats, server, telemetry};
use crate::settings::settings;
use crate::sources::{group_authority as group_authority_of, precedence, source};

/// Reads and checks a configuration file; `environment` gives the value of a variable.
///
/// Secrets that can't be had are not mistakes yet: see [`Config::require`].
///
/// # Errors
/// Every mistake at once, each with its line.
pub fn load(path: &Path, environment: &dyn Fn(&str) -> Option<String>) -> Result<Config, ConfigError> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|e| ConfigError::File { file: file.clone(), reason: format!("can't be read: {e}") })?;
    parse(&file, &text, environment)
}

/// The same for text that was read already; `file` is its name in messages.
///
/// # Errors
/// Every mistake at once, each with its line.
pub fn parse(file: &str, text: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<Config, ConfigError> {
    let (root, errors) = DeTable::parse_recoverable(text);
    let reading = Rc::new(Reading::new(text, environment));
    for error in errors {
        let line = error.span().map(|span| reading.line(span.start));
        reading.mistake(line, error.message().to_owned());
    }
    read(file, root.get_ref(), &reading)
}

/// Every key that is looked for when a text is read, in the order in which it is.
pub(crate) fn keys(text: &str) -> Vec<Key> {
    let (root, _) = DeTable::parse_recoverable(text);
    let reading = Rc::new(Reading { keys: Some(RefCell::default()), ..Reading::new(text, &|_| None) });
    // What is wrong with the text changes nothing about what is looked for.
    let _ = read("", root.get_ref(), &reading);
    reading.keys.as_ref().map(RefCell::take).unwrap_or_default()
}

fn read<'a>(file: &str, root_table: &'a DeTable<'a>, reading: &Rc<Reading<'a>>) -> Result<Config, ConfigError> {
    let section = |key: &'static str| match root_table.get(key).map(|v| (v.get_ref(), v.span())) {
        Some((DeValue::Table(table), span)) => Section::new(Rc::clone(reading), key, Some(table), span),
        other => {
            let span = other.as_ref().map_or(0..0, |(_, span)| span.clone());
            if let Some((_, span)) = other {
                reading.mistake(Some(reading.line(span.start)), format!("{key} must be a table: write [{key}]"));
            }
            Section::new(Rc::clone(reading), key, None, span)
        }
    };
    let sections = |key: &'static str| -> Vec<Section<'_>> {
        let Some(value) = root_table.get(key) else { return Vec::new() };
        let mut out = Vec::new();
        match value.get_ref() {
            DeValue::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    match item.get_ref() {
                        DeValue::Table(table) => {
                            let name = format!("{key}.{index}");
                            out.push(Section::new(Rc::clone(reading), &name, Some(table), item.span()));
                        }
                        _ => reading.mistake(
                            Some(reading.line(item.span().start)),
                            format!("each of {key} must be a table: write [[{key}]]"),
                        ),
                    }
                }
            }
            _ => reading.mistake(
                Some(reading.line(value.span().start)),
                format!("{key} is a list: write [[{key}]] with two brackets"),
            ),
        }
        out
    };
    let known = [
        "server",
        "nats",
        "scim",
        "telemetry",
        "sources",
        "precedence",
        "group_authority",
        "api_tokens",
        "audit",
        "privacy",
        "approvals",
        "machines",
        "reevaluation",
        "inventories",
        "oidc",
        "signing_keys",
        "tiers",
        "apps",
        "roles",
        "policies",
        "separations",
        "alerting",
        "alerts",
        "tasks",
    ];
    for (key, _) in root_table.iter().filter(|(key, _)| !known.contains(&key.get_ref().as_ref())) {
        let line = reading.line(key.span().start);
        reading.mistake(Some(line), format!("there is no '{}': there are {}", key.get_ref(), known.join(", ")));
    }

    let server = server(section("server").with_environment("SERVER"));
    let nats = nats(section("nats").with_environment("NATS"));
    let scim = scim(section("scim").with_environment("SCIM"));
    let telemetry = telemetry(section("telemetry").with_environment("TELEMETRY"));
    let sources: Vec<_> = sections("sources").into_iter().filter_map(|s| source(s, &scim.catalogue)).collect();
    let names: Vec<SourceName> = sources.iter().map(|(_, s)| s.name.clone()).collect();
    let rules = sections("precedence").into_iter().flat_map(|s| precedence(s, &names, &scim.catalogue));
    let rules: Vec<(usize, Precedence)> = rules.collect();
    let group_authority = sections("group_authority").into_iter();
    let group_authority = group_authority.filter_map(|s| group_authority_of(s, &names)).collect();
    let api_tokens: Vec<_> = sections("api_tokens").into_iter().filter_map(api_token).collect();
    let signing_keys = sections("signing_keys").into_iter().filter_map(signing_key).collect();
    let audit = audit(section("audit").with_environment("AUDIT"), signing_keys);
    let privacy = privacy(section("privacy").with_environment("PRIVACY"));
    let approvals = approvals(section("approvals").with_environment("APPROVALS"));
    let machines = machines(section("machines").with_environment("MACHINES"));
    let reevaluation = reevaluation(section("reevaluation").with_environment("REEVALUATION"));
    let oidc = root_table.get("oidc").is_some().then(|| oidc(section("oidc"), server.public_url.is_some())).flatten();
    let tiers = tiers(section("tiers"));
    let alerting = alerting(section("alerting").with_environment("ALERTING"));
    let apps: Vec<_> = sections("apps").into_iter().filter_map(|s| app(s, &scim.catalogue, &tiers, &names)).collect();
    let specs: Vec<_> = apps.iter().map(|(_, app)| &app.spec).collect();
    let roles: Vec<_> =
        sections("roles").into_iter().filter_map(|s| role(s, &scim.catalogue, &names, &specs)).collect();
    let inventories: Vec<_> =
        sections("inventories").into_iter().filter_map(|s| inventory(s, &names, &specs)).collect();
    unique(reading, "inventory", inventories.iter().map(|(line, i)| (*line, i.name.to_string())));
    let role_specs = || roles.iter().map(|(_, role)| role);
    let separations: Vec<_> =
        sections("separations").into_iter().filter_map(|s| separation(s, &specs, role_specs())).collect();
    let is_known = |scope: &Scope| match scope {
        Scope::Any => true,
        Scope::App(id) => specs.iter().any(|spec| spec.id.as_str() == id),
        Scope::Entitlement(id) => known_entitlement(id, &specs).is_ok(),
    };
    let policies = policies(section("policies"), &scim.catalogue, is_known);
    without_a_way(reading, &apps, &policies, role_specs());
    let alerts: Vec<_> = sections("alerts").into_iter().enumerate().filter_map(alert).collect();
    let tasks = tasks(section("tasks").with_environment("TASKS"));
    let mails_tasks =
        alerts.iter().any(|(_, sink)| sink.tells.contains(&News::Tasks) && matches!(sink.reach, SinkReach::Mail(_)));
    if mails_tasks && tasks.link_key.is_some() && server.public_url.is_none() {
        reading.mistake(None, "tasks.link_key needs server.public_url: a link in a mail has to lead somewhere");
    }
    unique(reading, "source", sources.iter().map(|(line, s)| (*line, s.name.to_string())));
    unique(reading, "precedence", rules.iter().map(|(line, r)| (*line, r.attribute.text())));
    unique(reading, "api_token", api_tokens.iter().map(|(line, t)| (*line, t.name.clone())));
    unique(reading, "app", apps.iter().map(|(line, a)| (*line, a.spec.id.to_string())));
    unique(reading, "role", roles.iter().map(|(line, r)| (*line, r.id.to_string())));
    unique(reading, "separation", separations.iter().map(|(line, s)| (*line, s.id.to_string())));
    unique(reading, "alert", alerts.iter().map(|(line, a)| (*line, a.name.clone())));
    let tokens: Vec<(usize, &Token)> = (sources.iter().filter_map(|(line, s)| Some((*line, s.token.as_ref()?))))
        .chain(api_tokens.iter().map(|(line, t)| (*line, &t.token)))
        .collect();
    for (index, (line, token)) in tokens.iter().enumerate() {
        if let Some((first, _)) = tokens.iter().take(index).find(|(_, other)| token.same_as(other)) {
            reading.mistake(Some(*line), format!("the same token is used at line {first}: each needs its own"));
        }
    }

    // Whose token it is must not depend on which source stands first.
    let issued: Vec<(usize, &JwtConfig)> =
        sources.iter().filter_map(|(line, s)| Some((*line, s.jwt.as_ref()?))).collect();
    for (index, (line, jwt)) in issued.iter().enumerate() {
        let may_be_same = |other: &JwtConfig| {
            let same_subject = other.subject.is_none() || jwt.subject.is_none() || other.subject == jwt.subject;
            other.issuer == jwt.issuer && other.audience == jwt.audience && same_subject
        };
        if let Some((first, _)) = issued.iter().take(index).find(|(_, other)| may_be_same(other)) {
            let message = format!(
                "the source at line {first} takes access tokens of the same issuer and audience: give each a subject of its own \
                 (sources.jwt.subject)"
            );
            reading.mistake(Some(*line), message);
        }
    }

    let groups = oidc.iter().flat_map(|oidc| oidc.roles.values());
    let deciders = deciders(api_tokens.iter().map(|(_, token)| token), groups, Role::Operator);
    if approvals.two_people == TwoPeople::Always && deciders < 2 {
        reading.mistake(
            None,
            "approvals.two_people is always, and fewer than two of [[api_tokens]] are an operator or admin: nobody could \
             approve anything; add one, or set when-possible",
        );
    }
    let named: Vec<(String, Token)> = (sources.iter())
        .filter_map(|(_, s)| Some((format!("source '{}'", s.name), s.token.clone()?)))
        .chain(api_tokens.iter().map(|(_, t)| (format!("API token '{}'", t.name), t.token.clone())))
        .collect();
    let mut mistakes: Vec<Mistake> = reading.mistakes.take();
    mistakes.sort_by_key(|m| m.line);
    if !mistakes.is_empty() {
        return Err(ConfigError::Mistakes { file: file.to_owned(), mistakes });
    }
    let mut warnings = reading.warnings.take();
    let all: Vec<&SeparationSpec> = separations.iter().map(|(_, separation)| separation).collect();
    warnings.extend(contradictions(&all, &policies));
    if server.public_url.is_none() && !server.is_local() {
        let listen = server.listen;
        warnings.push(format!(
            "server.public_url is not set, and server.listen is {listen}: SCIM resources are named by their path alone, as \
             anybody could say that they know us under another address"
        ));
    }
    for (what, token) in &named {
        if !server.is_local() && token.is_short() {
            warnings.push(format!("{what}: its token has fewer than {SHORT} characters, and can be guessed"));
        }
    }
    Ok(Config {
        file: file.to_owned(),
        server,
        nats,
        scim,
        telemetry,
        sources: sources.into_iter().map(|(_, s)| s).collect(),
        authority: Authority { rules: rules.into_iter().map(|(_, r)| r).collect(), groups: group_authority },
        api_tokens: api_tokens.into_iter().map(|(_, t)| t).collect(),
        apps: apps.into_iter().map(|(_, a)| a).collect(),
        roles: roles.into_iter().map(|(_, role)| role).collect(),
        policies,
        separations: separations.into_iter().map(|(_, separation)| separation).collect(),
        audit,
        privacy,
        approvals,
        machines,
        reevaluation,
        inventories: inventories.into_iter().map(|(_, inventory)| inventory).collect(),
        oidc,
        alerting,
        alerts: alerts.into_iter().map(|(_, a)| a).collect(),
        tasks,
        warnings,
        settings: {
            let mut settings = settings(root_table);
            settings.extend(reading.overrides.take());
            settings
        },
    })
}

/// An app without a rule in which nobody could ever have an account.
fn without_a_way<'a>(
    reading: &Reading<'_>,
    apps: &[(usize, AppConfig)],
    policies: &[PolicySpec],
    roles: impl Iterator<Item = &'a RoleSpec> + Clone,
) {
    for (line, app) in apps.iter().filter(|(_, app)| app.spec.assign.is_empty()) {
        let by_role = roles.clone().flat_map(|role| &role.entitlements).any(|id| id.app == app.spec.id);
        let by_request = app.spec.entitlements.iter().any(|e| e.terms.requestable == Requestable::Yes);
        // What a policy gives is in its text.
        if !by_role && !by_request && policies.is_empty() {
            let message = format!(
                "assign is missing: nobody would have an account in '{}'; give a filter, a role with an entitlement there, or one \
                 that can be asked for",
                app.spec.id
            );
            reading.mistake(Some(*line), message);
        }
    }
}

fn unique(reading: &Reading<'_>, what: &str, names: impl Iterator<Item = (usize, String)>) {
    let mut seen = BTreeMap::new();
    for (line, name) in names {
        if let Some(first) = seen.get(&name) {
            reading.mistake(Some(line), format!("there is {what} '{name}' at line {first} already"));
        } else {
            seen.insert(name, line);
        }
    }
}
