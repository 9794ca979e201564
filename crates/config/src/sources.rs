//! `[[sources]]` and `[[precedence]]`: who says what about people, and who is believed.

use std::num::NonZeroU32;

use rollcall_domain::SourceName;
use rollcall_domain::identity::authority::{AttributePath, GroupAuthority, Precedence};
use rollcall_scim::{Catalogue, Strictness};

use crate::model::{Cursors, ExternalIds, JwtConfig, KeyPlace, Recreate, Sight, SourceConfig};
use crate::section::{Section, TOKEN, http_url, some_text, truth};

pub(crate) fn source(mut s: Section<'_>, catalogue: &Catalogue) -> Option<(usize, SourceConfig)> {
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
    let external_ids = s.parsed("external_id", |text| match text {
        "shared" => Ok(ExternalIds::Shared),
        "unique" => Ok(ExternalIds::Unique),
        _ => Err(format!("'{text}' must be shared or unique")),
    });
    let recreate = s.parsed("recreate", |text| match text {
        "conflict" => Ok(Recreate::Conflict),
        "restore" => Ok(Recreate::Restore),
        _ => Err(format!("'{text}' must be conflict or restore")),
    });
    let cursors = s.parsed("cursors", |text| match text {
        "advertised" => Ok(Cursors::Advertised),
        "silent" => Ok(Cursors::Silent),
        _ => Err(format!("'{text}' must be advertised or silent")),
    });
    let owner = s.parsed("owner", some_text);
    let silent_after = s.span("silent_after");
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
        external_ids: external_ids.unwrap_or(ExternalIds::Shared),
        recreate: recreate.unwrap_or(Recreate::Conflict),
        cursors: cursors.unwrap_or(Cursors::Advertised),
    };
    Some((line, config))
}

/// One of the sources of the configuration.
pub(crate) fn known_source(text: &str, known: &[SourceName]) -> Result<SourceName, String> {
    let found = known.iter().find(|name| name.as_str() == text).cloned();
    found.ok_or_else(|| format!("there is no source '{text}'"))
}

/// Says so when there is nothing at a key; what is there and wrong was said already.
fn must_have(s: &mut Section<'_>, key: &str) {
    if !s.has(key) {
        s.mistake(format!("{key} is missing"));
    }
}

/// One rule for each of the attributes of a `[[precedence]]`.
pub(crate) fn precedence(mut s: Section<'_>, known: &[SourceName], catalogue: &Catalogue) -> Vec<(usize, Precedence)> {
    let attributes = s.list("attributes", |text| attribute_path(text, catalogue));
    let sources = s.list("sources", |text| known_source(text, known));
    must_have(&mut s, "attributes");
    must_have(&mut s, "sources");
    let line = s.line();
    s.finish();
    let sources = sources.unwrap_or_default();
    let rule = |attribute| (line, Precedence { attribute, sources: sources.clone() });
    attributes.unwrap_or_default().into_iter().map(rule).collect()
}

/// One `[[group_authority]]`: who may say what about groups of these names.
pub(crate) fn group_authority(mut s: Section<'_>, known: &[SourceName]) -> Option<GroupAuthority> {
    let names = s.list("names", some_text);
    let sources = s.list("sources", |text| known_source(text, known));
    must_have(&mut s, "names");
    must_have(&mut s, "sources");
    s.finish();
    Some(GroupAuthority { names: names?, sources: sources? })
}

/// An attribute of a User, an Agent or a ServiceAccount, such as `title` or `urn:…:enterprise:2.0:User:department`.
pub(crate) fn attribute_path(text: &str, catalogue: &Catalogue) -> Result<AttributePath, String> {
    let kinds = [catalogue.user(), catalogue.agent(), catalogue.service_account()];
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
        return Err(format!(
            "'{text}' is no attribute of a User, an Agent or a ServiceAccount; an extension's is written urn:…:name"
        ));
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
    if subject.is_none() {
        s.warn("sources.jwt.subject is not set: whoever gets a token of this issuer for this audience is the source, perhaps a person");
    }
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
