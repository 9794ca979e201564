//! From text to configuration.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use rollcall_domain::SourceName;
use rollcall_domain::app::ServiceLevel;
use rollcall_domain::authority::{AttributePath, Authority, Precedence};
use rollcall_scim::{Catalogue, Strictness};
use toml::de::{DeTable, DeValue};

use crate::app::{app, service_level, usual_level};
use crate::model::{
    AlertSink, AlertingConfig, ApiToken, AuditConfig, Config, DurabilityChoice, JwtConfig, KeyPlace, NatsConfig,
    NatsPlace, NatsTls, OidcConfig, Reads, Role, ScimConfig, ServerConfig, Sight, SinkKind, SinkUrl, SourceConfig,
    TelemetryConfig,
};
use crate::secret::Token;
use crate::section::{
    CLIENT_SECRET, ConfigError, KEY, Mistake, PASSWORD, Reading, SIGNING, Section, TOKEN, URL, duration, http_url,
    http_urls, some_text,
};

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
    let reading = Rc::new(Reading { text, environment, mistakes: RefCell::default(), warnings: RefCell::default() });
    for error in errors {
        let line = error.span().map(|span| reading.line(span.start));
        reading.mistake(line, error.message().to_owned());
    }
    let root_table = root.get_ref();
    let section = |key: &'static str| match root_table.get(key).map(|v| (v.get_ref(), v.span())) {
        Some((DeValue::Table(table), span)) => Section::new(Rc::clone(&reading), key, Some(table), span),
        other => {
            let span = other.as_ref().map_or(0..0, |(_, span)| span.clone());
            if let Some((_, span)) = other {
                reading.mistake(Some(reading.line(span.start)), format!("{key} must be a table: write [{key}]"));
            }
            Section::new(Rc::clone(&reading), key, None, span)
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
                            out.push(Section::new(Rc::clone(&reading), &name, Some(table), item.span()));
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
        "api_tokens",
        "audit",
        "oidc",
        "signing_keys",
        "tiers",
        "apps",
        "alerting",
        "alerts",
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
    let api_tokens: Vec<_> = sections("api_tokens").into_iter().filter_map(api_token).collect();
    let signing_keys = sections("signing_keys").into_iter().filter_map(signing_key).collect();
    let audit = audit(section("audit").with_environment("AUDIT"), signing_keys);
    let oidc = root_table.get("oidc").is_some().then(|| oidc(section("oidc"), server.public_url.is_some())).flatten();
    let tiers = tiers(section("tiers"));
    let alerting = alerting(section("alerting").with_environment("ALERTING"));
    let apps: Vec<_> = sections("apps").into_iter().filter_map(|s| app(s, &scim.catalogue, &tiers)).collect();
    let alerts: Vec<_> = sections("alerts").into_iter().enumerate().filter_map(alert).collect();
    unique(&reading, "source", sources.iter().map(|(line, s)| (*line, s.name.to_string())));
    unique(&reading, "precedence", rules.iter().map(|(line, r)| (*line, r.attribute.text())));
    unique(&reading, "api_token", api_tokens.iter().map(|(line, t)| (*line, t.name.clone())));
    unique(&reading, "app", apps.iter().map(|(line, a)| (*line, a.spec.id.to_string())));
    unique(&reading, "alert", alerts.iter().map(|(line, a)| (*line, a.name.clone())));
    let tokens: Vec<(usize, &Token)> = (sources.iter().filter_map(|(line, s)| Some((*line, s.token.as_ref()?))))
        .chain(api_tokens.iter().map(|(line, t)| (*line, &t.token)))
        .collect();
    for (index, (line, token)) in tokens.iter().enumerate() {
        if let Some((first, _)) = tokens.iter().take(index).find(|(_, other)| token.same_as(other)) {
            reading.mistake(Some(*line), format!("the same token is used at line {first}: each needs its own"));
        }
    }

    let mut mistakes: Vec<Mistake> = reading.mistakes.take();
    mistakes.sort_by_key(|m| m.line);
    if !mistakes.is_empty() {
        return Err(ConfigError::Mistakes { file: file.to_owned(), mistakes });
    }
    let warnings = reading.warnings.take();
    Ok(Config {
        file: file.to_owned(),
        server,
        nats,
        scim,
        telemetry,
        sources: sources.into_iter().map(|(_, s)| s).collect(),
        authority: Authority { rules: rules.into_iter().map(|(_, r)| r).collect() },
        api_tokens: api_tokens.into_iter().map(|(_, t)| t).collect(),
        apps: apps.into_iter().map(|(_, a)| a).collect(),
        audit,
        oidc,
        alerting,
        alerts: alerts.into_iter().map(|(_, a)| a).collect(),
        warnings,
    })
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

fn server(mut s: Section<'_>) -> ServerConfig {
    let address = |text: &str| {
        text.parse::<SocketAddr>().map_err(|_| format!("'{text}' must be an address and port, such as 127.0.0.1:8080"))
    };
    let default = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
    let config = ServerConfig {
        listen: s.parsed("listen", address).unwrap_or(default),
        public_url: s.parsed("public_url", http_url),
        data_dir: s.parsed("data_dir", some_text).map_or_else(|| PathBuf::from("rollcall-data"), PathBuf::from),
        projectors: s.parsed("projector", http_urls).unwrap_or_default(),
        projector_ca_file: s.parsed("projector_ca_file", file),
        tls: certificate(&mut s),
        max_body_bytes: size(s.integer("max_body_bytes", 1024..=16 << 20, 1 << 20)),
        max_page: size(s.integer("max_page", 1..=10_000, 200)),
        max_requests_in_flight: size(s.integer("max_requests_in_flight", 1..=65_536, 512)),
        max_streams: size(s.integer("max_streams", 1..=65_536, 256)),
        read_patience: s.duration("read_patience", Duration::from_secs(5)),
        cache_bytes: s.integer("cache_bytes", 1 << 20..=64 << 30, 64 << 20),
    };
    s.finish();
    config
}

pub(crate) fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// A certificate and its key.
fn certificate(s: &mut Section<'_>) -> Option<(PathBuf, PathBuf)> {
    match (s.parsed("tls_cert_file", file), s.parsed("tls_key_file", file)) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => {
            s.mistake("tls_cert_file and tls_key_file go together");
            None
        }
    }
}

/// A file that can be read.
fn file(text: &str) -> Result<PathBuf, String> {
    std::fs::File::open(text).map_err(|e| format!("file {text} can't be read: {e}"))?;
    Ok(text.into())
}

fn nats(mut s: Section<'_>) -> NatsConfig {
    let one = |text: &str| {
        let url = url::Url::parse(text).map_err(|e| format!("'{text}' is not a URL: {e}"))?;
        if !matches!(url.scheme(), "nats" | "tls") {
            return Err(format!("'{text}' must start with nats:// or tls://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("it holds a user or password: use user and password_env".into());
        }
        Ok(())
    };
    // Of a cluster all of them, separated by commas.
    let url = s.parsed("url", |text| {
        text.split(',').map(str::trim).try_for_each(one)?;
        Ok(text.to_owned())
    });
    let monitoring_urls = s.parsed("monitoring_url", http_urls);
    let monitoring_urls = monitoring_urls.unwrap_or_default();
    let user = s.parsed("user", some_text);
    let password = s.secret(PASSWORD);
    let credentials = match (user, password) {
        (Some(user), Some(password)) => Some((user, password)),
        (None, None) => None,
        _ => {
            s.mistake("user and password go together");
            None
        }
    };
    let ca_file = s.parsed("tls_ca_file", file);
    let identity = certificate(&mut s);
    if (ca_file.is_some() || identity.is_some())
        && let Some(plain) =
            url.iter().flat_map(|all: &String| all.split(',')).find(|u| !u.trim().starts_with("tls://"))
    {
        s.mistake(format!("with certificates every url must start with tls://, and '{}' does not", plain.trim()));
    }
    let tls = NatsTls { ca_file, identity };
    let choice = |text: &str| match text {
        "refuse" => Ok(DurabilityChoice::Refuse),
        "warn" => Ok(DurabilityChoice::Warn),
        _ => Err(format!("'{text}' must be refuse or warn")),
    };
    let replicas = size(s.integer("replicas", 1..=5, 1));
    if url.is_none() && replicas > 1 {
        s.mistake("replicas above 1 need the url of a cluster: the private server is one server");
    }
    let config = NatsConfig {
        place: url.map_or(NatsPlace::Private, |url| NatsPlace::Server {
            url,
            monitoring_urls,
            credentials,
            tls: tls.clone(),
        }),
        replicas,
        durability: s.parsed("durability", choice).unwrap_or(DurabilityChoice::Refuse),
    };
    s.finish();
    config
}

fn scim(mut s: Section<'_>) -> ScimConfig {
    let catalogue: Catalogue = s.parsed("schemas", schemas).unwrap_or_default();
    let catalogue = match s.parsed("effective_dates", truth) {
        Some(true) => catalogue.with_effective_dates(),
        _ => catalogue,
    };
    let config = ScimConfig {
        catalogue,
        max_bulk_operations: size(s.integer("max_bulk_operations", 1..=10_000, 1000)),
        max_filter_bytes: size(s.integer("max_filter_bytes", 64..=64 << 10, 4096)),
        max_members_per_request: size(s.integer("max_members_per_request", 1..=100_000, 10_000)),
        max_members_shown: size(s.integer("max_members_shown", 1..=1_000_000, 10_000)),
    };
    s.finish();
    config
}

/// The core schemas and those in the `.json` files of a folder.
fn schemas(folder: &str) -> Result<Catalogue, String> {
    let unreadable = |e: std::io::Error| format!("'{folder}' can't be read: {e}");
    let mut files = std::fs::read_dir(folder)
        .map_err(unreadable)?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(unreadable)?;
    files.retain(|path| path.extension().is_some_and(|e| e == "json"));
    files.sort();
    let mut documents = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(&path).map_err(|e| format!("{} can't be read: {e}", path.display()))?;
        let value = serde_json::from_str(&text).map_err(|e| format!("{} is not JSON: {e}", path.display()))?;
        documents.push((path.display().to_string(), value));
    }
    Catalogue::load(&documents).map_err(|e| e.to_string())
}

fn telemetry(mut s: Section<'_>) -> TelemetryConfig {
    let config = TelemetryConfig { otlp_endpoint: s.parsed("otlp_endpoint", http_url) };
    s.finish();
    config
}

pub(crate) fn truth(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| format!("'{text}' must be true or false"))
}

fn required_token(s: &mut Section<'_>) -> Option<Token> {
    let token = s.secret(TOKEN);
    if token.is_none() {
        s.mistake("a token is missing: give token_env or token_file");
    }
    token
}

fn source(mut s: Section<'_>, catalogue: &Catalogue) -> Option<(usize, SourceConfig)> {
    let name = s.required("name", |text| text.parse::<SourceName>().map_err(|e| e.to_string()));
    let token = s.secret(TOKEN);
    let table = s.table("jwt");
    let silent = table.is_absent();
    let jwt = jwt(table);
    if token.is_none() && silent {
        s.mistake("a credential is missing: give token_env or token_file, or a [sources.jwt] table");
    }
    let strictness = match s.parsed("strict", truth) {
        Some(true) => Strictness::Strict,
        _ => Strictness::Tolerant,
    };
    let resources = s.list("resources", |text| {
        let known = || catalogue.types().iter().map(|t| t.name).collect::<Vec<_>>().join(", ");
        let found = catalogue.resource_type(text).map(|t| t.name.to_owned());
        found.ok_or_else(|| format!("there is no resource type '{text}': there are {}", known()))
    });
    let sight = s.parsed("sees", |text| match text {
        "everything" => Ok(Sight::Everything),
        "own" => Ok(Sight::Own),
        _ => Err(format!("'{text}' must be everything or own")),
    });
    let owner = s.parsed("owner", some_text);
    let silent_after = s.has("silent_after").then(|| s.duration("silent_after", Duration::from_secs(86_400)));
    let per_second = s.integer("max_requests_per_second", 1..=1_000_000, 1000);
    let max_requests_per_second =
        NonZeroU32::new(u32::try_from(per_second).unwrap_or(u32::MAX)).unwrap_or(NonZeroU32::MIN);
    let line = s.line();
    s.finish();
    let resources = resources.map(|names| names.into_iter().collect());
    let sight = sight.unwrap_or(Sight::Everything);
    let (name, rate) = (name?, max_requests_per_second);
    let config = SourceConfig {
        name,
        token,
        jwt,
        strictness,
        max_requests_per_second: rate,
        resources,
        sight,
        owner,
        silent_after,
    };
    Some((line, config))
}

/// One rule for each of the attributes of a `[[precedence]]`.
fn precedence(mut s: Section<'_>, known: &[SourceName], catalogue: &Catalogue) -> Vec<(usize, Precedence)> {
    let attributes = s.list("attributes", |text| attribute_path(text, catalogue));
    let sources = s.list("sources", |text| {
        let found = known.iter().find(|name| name.as_str() == text).cloned();
        found.ok_or_else(|| format!("there is no source '{text}'"))
    });
    for (what, missing) in [("attributes", attributes.is_none()), ("sources", sources.is_none())] {
        if missing && !s.has(what) {
            s.mistake(format!("{what} is missing"));
        }
    }
    let line = s.line();
    s.finish();
    let sources = sources.unwrap_or_default();
    let rule = |attribute| (line, Precedence { attribute, sources: sources.clone() });
    attributes.unwrap_or_default().into_iter().map(rule).collect()
}

/// An attribute of a User or an Agent, such as `title` or `urn:…:enterprise:2.0:User:department`.
pub(crate) fn attribute_path(text: &str, catalogue: &Catalogue) -> Result<AttributePath, String> {
    let kinds = [catalogue.user(), catalogue.agent()];
    let (urn, name) = match text.rsplit_once(':') {
        Some((urn, name)) => (Some(urn), name),
        None => (None, text),
    };
    let schemas = kinds.iter().filter_map(|kind| match urn {
        None => Some(kind.core),
        Some(urn) => kind.extension(urn),
    });
    let found = schemas.filter_map(|schema| Some((schema, schema.attribute(name)?))).next();
    let Some((schema, attribute)) = found else {
        return Err(format!("'{text}' is no attribute of a User or an Agent; an extension's is written urn:…:name"));
    };
    Ok(AttributePath { extension: urn.map(|_| schema.id.to_owned()), name: attribute.name.to_owned() })
}

fn jwt(mut s: Section<'_>) -> Option<JwtConfig> {
    if s.is_absent() {
        return None;
    }
    let issuer = s.required("issuer", some_text);
    let audience = s.required("audience", some_text);
    let subject = s.parsed("subject", some_text);
    let secure = |text: &str| {
        let url = http_url(text)?;
        if url.scheme() == "http" && !is_loopback(&url) {
            return Err(format!(
                "'{text}' must start with https://: whoever changes the keys on the way lets anyone in"
            ));
        }
        Ok(KeyPlace::Url(url))
    };
    let url = s.parsed("jwks_url", secure);
    let file = s.parsed("jwks_file", some_text).map(|path| KeyPlace::File(path.into()));
    match (s.has("jwks_url"), s.has("jwks_file")) {
        (true, true) => s.mistake("give one of jwks_url and jwks_file"),
        (false, false) => s.mistake("the issuer's keys are missing: give jwks_url or jwks_file"),
        _ => {}
    }
    let keys = url.or(file);
    s.finish();
    Some(JwtConfig { issuer: issuer?, audience: audience?, subject, keys: keys? })
}

pub(crate) fn is_loopback(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

fn signing_key(mut s: Section<'_>) -> Option<Token> {
    let key = s.secret(KEY);
    if key.is_none() {
        s.mistake("give key_env or key_file");
    }
    s.finish();
    key
}

fn audit(mut s: Section<'_>, signing_keys: Vec<Token>) -> AuditConfig {
    let log_name = s.parsed("log_name", |text| {
        let fits = !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c == '+');
        if fits { Ok(text.to_owned()) } else { Err(format!("'{text}' must have no space and no plus sign")) }
    });
    let config = AuditConfig {
        signing_keys,
        log_name: log_name.unwrap_or_else(|| "rollcall.local/log".to_owned()),
        checkpoint_every: s.duration("checkpoint_every", Duration::from_secs(10)),
        publish_file: s.parsed("publish_file", |text| Ok(text.into())),
        publish_url: s.parsed("publish_url", http_url),
        reads: s
            .parsed("record_reads", |text| truth(text).map(|yes| if yes { Reads::Recorded } else { Reads::Unrecorded }))
            .unwrap_or(Reads::Unrecorded),
    };
    if config.checkpoint_every.is_zero() {
        s.mistake("checkpoint_every must be longer than nothing");
    }
    s.finish();
    config
}

fn role(text: &str) -> Result<Role, String> {
    Role::from_name(text).ok_or_else(|| format!("'{text}' must be viewer, auditor, operator or admin"))
}

fn oidc(mut s: Section<'_>, has_public_url: bool) -> Option<OidcConfig> {
    if !has_public_url {
        s.mistake("needs server.public_url: the provider sends people back there");
    }
    let issuer = s.required("issuer", http_url);
    let client_id = s.required("client_id", some_text);
    let name = s.parsed("name", some_text).unwrap_or_else(|| "your identity provider".to_owned());
    let roles_claim = s.parsed("roles_claim", some_text).unwrap_or_else(|| "groups".to_owned());
    let client_secret = s.secret(CLIENT_SECRET);
    let mut roles = BTreeMap::new();
    for entry in s.table("roles").entries() {
        match entry.text.as_deref().map(role) {
            Some(Ok(found)) => drop(roles.insert(entry.key, found)),
            Some(Err(wrong)) => entry.section.mistake(wrong),
            None => entry.section.mistake("give a role: viewer, auditor, operator or admin"),
        }
    }
    if roles.is_empty() {
        s.mistake("[oidc.roles] has no group: nobody could sign in");
    }
    s.finish();
    Some(OidcConfig { name, issuer: issuer?, client_id: client_id?, client_secret, roles_claim, roles })
}

fn api_token(mut s: Section<'_>) -> Option<(usize, ApiToken)> {
    let name = s.required("name", some_text);
    let role = s.required("role", role);
    let token = required_token(&mut s);
    let line = s.line();
    s.finish();
    Some((line, ApiToken { name: name?, role: role?, token: token? }))
}

fn tiers(s: Section<'_>) -> BTreeMap<String, ServiceLevel> {
    let mut out = BTreeMap::new();
    for entry in s.entries() {
        if entry.text.is_some() {
            entry.section.mistake(format!("a tier is a table: write [tiers.{}]", entry.key));
            continue;
        }
        let base = ServiceLevel { tier: entry.key.clone(), ..usual_level() };
        out.insert(entry.key, service_level(entry.section, &base));
    }
    out
}

fn alerting(mut s: Section<'_>) -> AlertingConfig {
    let hour = Duration::from_secs(3600);
    let usual = vec![hour, 4 * hour, 24 * hour];
    let steps = s.list("escalate_after", duration).unwrap_or(usual);
    if !steps.is_sorted() {
        s.mistake("escalate_after must grow");
    }
    let config = AlertingConfig {
        escalate_after: steps,
        patience: s.duration("patience", Duration::from_secs(60)),
        max_lag_events: s.integer("max_lag_events", 1..=100_000_000, 10_000),
    };
    s.finish();
    config
}

fn alert((index, mut s): (usize, Section<'_>)) -> Option<(usize, AlertSink)> {
    let kind = s.required("kind", |text| match text {
        "webhook" => Ok(SinkKind::Webhook),
        "alertmanager" => Ok(SinkKind::Alertmanager),
        "pagerduty" => Ok(SinkKind::PagerDuty),
        "slack" => Ok(SinkKind::Slack),
        _ => Err(format!("'{text}' must be webhook, alertmanager, pagerduty or slack")),
    });
    let name = s.parsed("name", some_text);
    let plain = s.parsed("url", http_url);
    let hidden = s.secret(URL);
    let token = s.secret(TOKEN);
    let signing = s.secret(SIGNING);
    let line = s.line();
    let url = match (plain, hidden, kind) {
        (Some(_), Some(_), _) => {
            s.mistake("give one of url, url_env and url_file");
            None
        }
        (Some(url), None, _) => Some(SinkUrl::Plain(url)),
        (None, Some(secret), _) => Some(SinkUrl::Secret(secret)),
        (None, None, Some(SinkKind::PagerDuty)) if !s.has("url") => url::Url::parse(PAGERDUTY).ok().map(SinkUrl::Plain),
        (None, None, _) => {
            if !s.has("url") {
                s.mistake("url is missing: give url, url_env or url_file");
            }
            None
        }
    };
    if kind == Some(SinkKind::PagerDuty) && token.is_none() {
        s.mistake("pagerduty needs the routing key of the integration: give token_env or token_file");
    }
    if signing.is_some() && kind != Some(SinkKind::Webhook) {
        s.mistake("signing_secret is for webhooks");
    }
    s.finish();
    let kind = kind?;
    let name = name.unwrap_or_else(|| format!("{}-{index}", kind.name()));
    Some((line, AlertSink { name, kind, url: url?, token, signing }))
}

/// Where PagerDuty takes events (Events API v2).
const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";
