//! One `[[apps]]`: who has an account there, what it shows, what the app can bear and can do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rollcall_domain::access::desired::Target;
use rollcall_domain::access::entitlement::{Entitlement, Part};
use rollcall_domain::app::capability::{Capabilities, Support};
use rollcall_domain::app::deprovision::Deprovision;
use rollcall_domain::app::guard::Guard;
use rollcall_domain::app::kind::AppKind;
use rollcall_domain::app::mapping::{Mapping, Origin, RESERVED, Rule, WhenEmpty, effective, is_sent, template_paths};
use rollcall_domain::app::own_way::{Keeps, OwnWays, Way};
use rollcall_domain::app::service_level::ServiceLevel;
use rollcall_domain::app::standard::may_be_configured;
use rollcall_domain::app::{Adopt, AppSpec, GroupRule};
use rollcall_domain::drift::kind::DriftKind;
use rollcall_domain::drift::policy::{Policies, Policy};
use rollcall_domain::identity::IdentityKind;
use rollcall_domain::{AppId, SourceName};
use rollcall_scim::{Catalogue, Filter};

use crate::account_list::{account_list, as_listed, unseen};
use crate::model::{AppConfig, DrillSettings, PrivateAddresses, Reach};
use crate::preset;
use crate::roles::entitlement;
use crate::section::{Entry, Section, TOKEN, duration, http_url, size, some_text, truth};
use crate::sources::{attribute_path, is_loopback, known_source};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Reads one app; `None` when it has mistakes.
pub(crate) fn app(
    mut s: Section<'_>,
    catalogue: &Catalogue,
    tiers: &BTreeMap<String, ServiceLevel>,
    sources: &[SourceName],
) -> Option<(usize, AppConfig)> {
    let id = s.required("id", |text| text.parse::<AppId>().map_err(|e| e.to_string()));
    // Under what is set by hand.
    let preset = s.parsed("preset", preset::settings);
    s = s.under(preset);
    let name = s.parsed("name", some_text);
    let kind = s.parsed("kind", |text| match AppKind::from_name(text) {
        Some(kind) => Ok(kind),
        None => Err(format!("'{text}' must be scim, manual or list")),
    });
    let kind = kind.unwrap_or_default();
    let instructions = s.parsed("instructions", instructions).unwrap_or_default();
    let owner = s.required("owner", some_text);
    let assign = s.parsed("assign", |text| {
        Filter::parse(text, catalogue.user()).map(|filter| filter.text().to_owned()).map_err(|e| e.to_string())
    });
    let identities = s.list("identities", |text| match text {
        "user" => Ok(IdentityKind::User),
        "agent" => Ok(IdentityKind::Agent),
        "service_account" => Ok(IdentityKind::ServiceAccount),
        _ => Err(format!("'{text}' must be user, agent or service_account")),
    });
    let deprovision = s.parsed("deprovision", |text| match text {
        "deactivate" => Ok(Deprovision::Deactivate),
        "delete" => Ok(Deprovision::Delete),
        _ => Err(format!("'{text}' must be deactivate or delete")),
    });
    let token = s.secret(TOKEN);
    let reconcile_every = s.duration("reconcile_every", 15 * MINUTE);
    let per_second = s.integer("max_requests_per_second", 1..=10_000, 20);
    let in_flight = s.integer("max_in_flight", 1..=1024, 8);
    let request_timeout = s.duration("request_timeout", Duration::from_secs(30));
    let carried_out_within = request_timeout.saturating_mul(2).max(Duration::from_secs(30));
    let carried_out_within = s.duration("carried_out_within", carried_out_within);
    let retry_min = s.duration("retry_min", Duration::from_secs(1));
    let retry_max = s.duration("retry_max", 5 * MINUTE);
    let max_scan = size(s.integer("max_scan", 1..=10_000_000, 100_000));
    if retry_min > retry_max {
        s.mistake("retry_min is longer than retry_max");
    }
    let tier = s.parsed("tier", |name| match tiers.get(name) {
        Some(level) => Ok(level.clone()),
        None => Err(format!("there is no tier '{name}': write [tiers.{name}]")),
    });
    let sla = service_level(s.table("sla"), &tier.unwrap_or_else(usual_level));
    let attributes = mapping(s.table("attributes"), catalogue);
    let groups_from = s.list("groups_from", |text| known_source(text, sources));
    let groups: Vec<GroupRule> = s.tables("groups").into_iter().filter_map(group_rule).collect();
    let usual_name = name.clone().or_else(|| id.as_ref().map(ToString::to_string)).unwrap_or_default();
    let usual_owner = owner.clone().unwrap_or_default();
    let entitlements = entitlements(&mut s, &usual_name, &usual_owner);
    let drift = policies(s.table("drift"));
    let reach = reach(&mut s, kind, &attributes);
    let adopt = s.parsed("adopt", |text| {
        let all = [Adopt::Never, Adopt::OwnName, Adopt::Unlinked];
        let found = all.into_iter().find(|adopt| adopt.name() == text);
        found.ok_or_else(|| format!("'{text}' must be never, own_name or unlinked"))
    });
    let protected = s.list("protected", some_text).unwrap_or_default();
    let essential = s.list("essential", |path| essential_path(path, &attributes)).unwrap_or_default();
    let guard = guard(s.table("guard"));
    let drill = drill(s.table("drill"));
    let mut capabilities = capabilities(s.table("capabilities"));
    if let Some(Reach::List(list)) = &reach {
        capabilities = as_listed(list, &attributes, capabilities);
    }
    let quarantine_after = s.integer("quarantine_after", 1..=1000, 5);
    let probe_every = s.duration("probe_every", Duration::from_secs(5));
    let private_addresses = match s.parsed("allow_private_addresses", truth) {
        Some(true) => PrivateAddresses::Allowed,
        _ => PrivateAddresses::Refused,
    };
    let (Some(id), Some(reach)) = (id, reach) else {
        s.finish();
        return None;
    };
    let base_url = reach.base_url();
    if base_url.is_some_and(|url| url.scheme() == "http" && !is_loopback(url)) {
        s.warn(format!("app '{id}' is reached without TLS: its token and people's data can be read on the way"));
    }
    for path in capabilities.required.iter().filter(|path| !is_sent(&attributes, path)) {
        s.warn(format!(
            "app '{id}' makes no account without '{path}', which is not among the attributes that its accounts show: add it to \
             [apps.attributes]"
        ));
    }
    let line = s.line();
    let mut is_blind = false;
    if let Reach::List(list) = &reach {
        let of_entitlements = entitlements.iter().any(|known| matches!(known.part, Part::Group(_)));
        for why in unseen(list, of_entitlements || !groups.is_empty(), &essential) {
            is_blind = true;
            s.mistake(why);
        }
    }
    // A rule that is wrong is none that is missing.
    let is_wrong = s.has("assign") && assign.is_none();
    s.finish();
    if is_wrong || is_blind {
        return None;
    }
    // Whoever is told in a task to make an account makes it under the name that the task says.
    let usual_adopt = if kind == AppKind::List { Adopt::Unlinked } else { Adopt::default() };
    let spec = AppSpec {
        name: usual_name,
        kind,
        base_url: base_url.map(ToString::to_string).unwrap_or_default(),
        instructions,
        owner: owner?,
        assign: assign.unwrap_or_default(),
        identities: identities.filter(|all| !all.is_empty()).unwrap_or_else(|| vec![IdentityKind::User]),
        deprovision: deprovision.unwrap_or(Deprovision::Deactivate),
        sla,
        reconcile_every,
        max_requests_per_second: u32::try_from(per_second).unwrap_or(u32::MAX),
        max_in_flight: u32::try_from(in_flight).unwrap_or(u32::MAX),
        attributes,
        groups,
        groups_from: groups_from.unwrap_or_default().into_iter().collect(),
        drift,
        adopt: adopt.unwrap_or(usual_adopt),
        protected: protected.into_iter().collect(),
        essential: essential.into_iter().collect(),
        guard,
        capabilities,
        entitlements,
        id,
    };
    let config = AppConfig {
        spec,
        reach,
        token,
        request_timeout,
        carried_out_within,
        retry_min,
        retry_max,
        max_scan,
        quarantine_after: u32::try_from(quarantine_after).unwrap_or(u32::MAX),
        probe_every,
        private_addresses,
        drill,
    };
    Some((line, config))
}

/// The longest that is said of how people do what is to be done in an app.
const MAX_INSTRUCTIONS: usize = 2000;

fn instructions(text: &str) -> Result<String, String> {
    match some_text(text)? {
        text if text.chars().count() > MAX_INSTRUCTIONS => Err(format!(
            "instructions have at most {MAX_INSTRUCTIONS} characters: name the address of a page that says more"
        )),
        text => Ok(text),
    }
}

/// What makes no sense in an app that Rollcall does not change.
const CHANGED_ONLY: [&str; 4] = ["base_url", "preset", "capabilities", "drill"];

/// What makes no sense in an app of which nothing can be read.
const READ_ONLY: [&str; 15] = [
    "list",
    "token",
    "token_env",
    "token_file",
    "max_requests_per_second",
    "max_in_flight",
    "request_timeout",
    "carried_out_within",
    "retry_min",
    "retry_max",
    "max_scan",
    "quarantine_after",
    "probe_every",
    "allow_private_addresses",
    "reconcile_every",
];

/// How an app is reached.
fn reach(s: &mut Section<'_>, kind: AppKind, attributes: &Mapping) -> Option<Reach> {
    let has_list = s.has("list");
    let list = account_list(s.table("list"), attributes);
    let senseless = match kind {
        AppKind::Scim => Vec::new(),
        AppKind::Manual => CHANGED_ONLY.into_iter().chain(READ_ONLY).collect(),
        AppKind::List => CHANGED_ONLY.to_vec(),
    };
    for key in senseless.into_iter().filter(|key| s.has(key)) {
        s.mistake(format!("an app of kind {} is changed by people: take {key} out", kind.name()));
    }
    match kind {
        AppKind::Scim if has_list => {
            s.mistake("[apps.list] is for an app of kind list");
            None
        }
        AppKind::Scim => s.required("base_url", http_url).map(Reach::Scim),
        AppKind::Manual => Some(Reach::People),
        AppKind::List if !has_list => {
            s.mistake("an app of kind list has its list in [apps.list]");
            None
        }
        AppKind::List => list.map(Reach::List),
    }
}

/// What is described of what can be held in an app: each part once.
fn entitlements(s: &mut Section<'_>, name: &str, owner: &str) -> Vec<Entitlement> {
    let mut all: Vec<Entitlement> = Vec::new();
    for section in s.tables("entitlements") {
        let at = section.line();
        let Some(found) = entitlement(section, name, owner) else { continue };
        if all.iter().any(|known| known.part == found.part) {
            s.mistake(format!("the entitlement at line {at} is there twice"));
        }
        all.push(found);
    }
    all
}

/// The service level of an app that says nothing.
pub(crate) fn usual_level() -> ServiceLevel {
    ServiceLevel {
        tier: String::new(),
        joiner: 4 * HOUR,
        mover: 4 * HOUR,
        leaver: 15 * MINUTE,
        emergency: 5 * MINUTE,
        disable: 5 * MINUTE,
        grant: 15 * MINUTE,
        at_risk_percent: 75,
        hours: None,
    }
}

/// A service level: what is not said is as in `base`.
pub(crate) fn service_level(mut s: Section<'_>, base: &ServiceLevel) -> ServiceLevel {
    let leaver = s.duration("leaver", base.leaver);
    let level = ServiceLevel {
        tier: base.tier.clone(),
        joiner: s.duration("joiner", base.joiner),
        mover: s.duration("mover", base.mover),
        leaver,
        emergency: s.parsed("emergency", duration).unwrap_or_else(|| base.emergency.min(leaver)),
        disable: s.parsed("disable", duration).unwrap_or_else(|| base.disable.min(leaver)),
        grant: s.duration("grant", base.grant),
        at_risk_percent: u32::try_from(s.integer("at_risk_percent", 1..=99, base.at_risk_percent.into()))
            .unwrap_or(base.at_risk_percent),
        hours: s.parsed("business_hours", str::parse).or_else(|| base.hours.clone()),
    };
    if level.emergency > level.leaver {
        s.mistake("emergency is longer than leaver: an emergency is the more urgent one");
    }
    s.finish();
    level
}

/// What the accounts show: `target = "source attribute"`, or a table with `attribute`, `constant` or `template`.
fn mapping(s: Section<'_>, catalogue: &Catalogue) -> Mapping {
    s.entries().into_iter().filter_map(|entry| rule(entry, catalogue)).collect()
}

fn rule(entry: Entry<'_>, catalogue: &Catalogue) -> Option<Rule> {
    let Entry { key: target, text, mut section } = entry;
    let attribute = |path: &str| source_path(path, catalogue).map(Origin::Attribute);
    let template = |text: &str| {
        let paths = template_paths(text).ok_or_else(|| format!("the braces of '{text}' don't match"))?;
        paths.into_iter().try_for_each(|path| source_path(path, catalogue).map(drop))?;
        Ok(Origin::Template(text.to_owned()))
    };
    let origins: Vec<Origin> = match text {
        Some(path) => match attribute(&path) {
            Ok(origin) => vec![origin],
            Err(why) => {
                section.mistake(why);
                return None;
            }
        },
        None => {
            let said = ["attribute", "constant", "template"].into_iter().filter(|key| section.has(key)).count();
            let found = [
                section.parsed("attribute", attribute),
                section.constant("constant").map(Origin::Constant),
                section.parsed("template", template),
            ];
            if said != 1 {
                section.mistake("give one of attribute, constant and template");
            }
            found.into_iter().flatten().collect()
        }
    };
    if RESERVED.iter().any(|name| name.eq_ignore_ascii_case(&target)) {
        section
            .mistake(format!("'{target}' can't be mapped: Rollcall sets externalId and active, and never a password"));
    }
    let kept = section.parsed("when_empty", |text| match text {
        "clear" => Ok(WhenEmpty::Clear),
        "leave" => Ok(WhenEmpty::Leave),
        _ => Err(format!("'{text}' must be clear or leave")),
    });
    section.finish();
    let origin = origins.into_iter().next()?;
    Some(Rule { target, origin, when_empty: kept.unwrap_or(WhenEmpty::Clear) })
}

/// A source attribute, such as `title`, `name.givenName` or `urn:…:User:department`.
fn source_path(path: &str, catalogue: &Catalogue) -> Result<String, String> {
    let (whole, sub) = match path.rsplit_once(':').map_or(path, |(_, rest)| rest).split_once('.') {
        Some((_, sub)) => (path.strip_suffix(&format!(".{sub}")).unwrap_or(path), Some(sub)),
        None => (path, None),
    };
    let found = attribute_path(whole, catalogue)?;
    if found.name == "password" {
        return Err("a password is never passed on".into());
    }
    Ok(match sub {
        Some(sub) => format!("{}.{sub}", found.text()),
        None => found.text(),
    })
}

fn group_rule(mut s: Section<'_>) -> Option<GroupRule> {
    let (from, to) = (s.required("from", some_text), s.required("to", some_text));
    s.finish();
    Some(GroupRule { from: from?, to: to? })
}

/// An attribute that is essential must be one that the accounts are to show.
fn essential_path(path: &str, attributes: &Mapping) -> Result<String, String> {
    match effective(attributes).iter().find(|rule| rule.target == path) {
        Some(rule) => Ok(rule.target.clone()),
        None => Err(format!("'{path}' is not among the attributes that the accounts show: see [apps.attributes]")),
    }
}

fn policies(mut s: Section<'_>) -> Policies {
    let mut of = |kind: DriftKind| {
        let read = |text: &str| match (text, kind) {
            ("report", _) => Ok(Policy::Report),
            ("repair", _) => Ok(Policy::Repair),
            ("adopt", DriftKind::Orphan) => Ok(Policy::Adopt),
            ("adopt", _) => Err(format!("'{text}' is not possible for {}", kind.name())),
            _ => Err(format!("'{text}' must be report, repair, or for orphan adopt")),
        };
        s.parsed(kind.name(), read).unwrap_or_else(|| Policies::default().of(kind, Target::Present))
    };
    let policies = Policies {
        orphan: of(DriftKind::Orphan),
        zombie: of(DriftKind::Zombie),
        attribute: of(DriftKind::Attribute),
        membership: of(DriftKind::Membership),
        missing: of(DriftKind::Missing),
        duplicate: of(DriftKind::Duplicate),
        residue: of(DriftKind::Residue),
    };
    s.finish();
    policies
}

fn guard(mut s: Section<'_>) -> Guard {
    let usual = Guard::default();
    let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    let guard = Guard {
        max_removals: number(s.integer("max_removals", 1..=10_000_000, usual.max_removals.into())),
        max_percent: number(s.integer("max_percent", 1..=100, usual.max_percent.into())),
        window: s.duration("window", usual.window),
    };
    s.finish();
    guard
}

/// How often an app may be drilled by itself at most.
const LEAST_EVERY: Duration = Duration::from_secs(3600);

/// When the app is drilled, and as whom.
fn drill(mut s: Section<'_>) -> DrillSettings {
    let usual = DrillSettings::default();
    let drill = DrillSettings {
        every: s.span("every").inspect(|every| {
            if *every < LEAST_EVERY {
                s.mistake("every is shorter than an hour: each drill makes and deletes accounts");
            }
        }),
        user_name: s
            .parsed("user_name", |text| match text.matches("{id}").count() {
                1 if text.trim() == text => Ok(text.to_owned()),
                _ => Err(format!("'{text}' must have {{id}} in it once: each canary has a name of its own")),
            })
            .unwrap_or(usual.user_name),
        group: s.parsed("group", some_text),
        hours: s.parsed("hours", str::parse),
        patience: s.duration("patience", usual.patience),
    };
    if drill.patience < Duration::from_millis(500) {
        s.mistake("patience is shorter than 500ms: no app shows everything as soon as that");
    }
    s.finish();
    drill
}

/// How the app keeps attributes: `title = "not kept"`.
fn keeps(s: Section<'_>) -> OwnWays {
    let read = |Entry { key, text, section }: Entry<'_>| match text.as_deref().unwrap_or_default().parse::<Way>() {
        Ok(way) if !may_be_configured(&key, way) => {
            section.mistake(format!("'{key}' gives access: '{way}' can't be said of it"));
            None
        }
        Ok(way) => Some((key, Keeps::from(way))),
        Err(e) => {
            section.mistake(e.to_string());
            None
        }
    };
    s.entries().into_iter().filter_map(read).collect()
}

fn capabilities(mut s: Section<'_>) -> Capabilities {
    let number = |s: &mut Section<'_>, key| {
        let read = |text: &str| match text.parse::<u32>() {
            Ok(n) if n > 0 => Ok(n),
            _ => Err(format!("'{text}' must be a whole number above 0")),
        };
        s.parsed(key, read)
    };
    let can = |s: &mut Section<'_>, key| s.parsed(key, truth).map(Support::from).unwrap_or_default();
    let capabilities = Capabilities {
        patch: can(&mut s, "patch"),
        filter: can(&mut s, "filter"),
        groups: can(&mut s, "groups"),
        deactivate: can(&mut s, "deactivate"),
        cursor: can(&mut s, "cursor"),
        page_size: number(&mut s, "page_size"),
        members_per_request: number(&mut s, "members_per_request"),
        required: s.list("required", some_text).unwrap_or_default(),
        consistency_delay: s.span("consistency_delay"),
        keeps: keeps(s.table("keeps")),
        patch_capitalized: can(&mut s, "patch_capitalized"),
        patch_paths: can(&mut s, "patch_paths"),
        patch_many: can(&mut s, "patch_many"),
        members_shown: can(&mut s, "members_shown"),
        removal_by_value: can(&mut s, "removal_by_value"),
        invites: can(&mut s, "invites"),
        quirks: BTreeSet::new(),
    };
    s.finish();
    capabilities
}
