//! The configuration: a whole one, and every mistake with its line.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use rollcall_config::{Config, ConfigError, NatsPlace, Needs, Reach, Role, TwoPeople, deciders, parse};
use rollcall_domain::app::deprovision::Deprovision;
use rollcall_domain::app::kind::AppKind;
use rollcall_domain::app::own_way::Way;
use rollcall_rows::Format;

const WHOLE: &str = r#"
[server]
listen = "127.0.0.1:8080"
[nats]
url = "nats://nats:4222"
monitoring_url = "http://nats:8222"
replicas = 3
[[sources]]
name = "okta"
token_env = "OKTA_SCIM_TOKEN"
[[api_tokens]]
name = "auditor"
role = "auditor"
token_env = "ROLLCALL_AUDITOR_TOKEN"
[[apps]]
id = "github"
name = "GitHub"
base_url = "https://api.example.com/scim/v2"
token_env = "GITHUB_SCIM_TOKEN"
owner = "dev-platform@example.com"
assign = 'active eq true and userType eq "Employee"'
deprovision = "deactivate"
reconcile_every = "15m"
max_requests_per_second = 20
max_in_flight = 8
[apps.sla]
joiner = "4h"
mover = "4h"
leaver = "15m"
[[alerts]]
kind = "webhook"
url = "http://alerts:9093/hook"
"#;

fn environment(name: &str) -> Option<String> {
    ["OKTA_SCIM_TOKEN", "ROLLCALL_AUDITOR_TOKEN", "GITHUB_SCIM_TOKEN"]
        .contains(&name)
        .then(|| format!("secret of {name}"))
}

fn read(text: &str) -> Result<Config, ConfigError> {
    parse("test.toml", text, &environment)
}

fn mistakes(text: &str) -> Vec<(Option<usize>, String)> {
    match read(text) {
        Err(ConfigError::Mistakes { mistakes, .. }) => mistakes.into_iter().map(|m| (m.line, m.message)).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_whole_configuration_is_read() {
    let config = read(WHOLE).unwrap();
    assert!(matches!(config.nats.place, NatsPlace::Server { .. }));
    assert_eq!(config.api_tokens[0].role, Role::Auditor);
    assert_eq!(config.apps[0].spec.sla.leaver, Duration::from_secs(900));
    assert!(config.sources[0].token.as_ref().unwrap().matches("secret of OKTA_SCIM_TOKEN"));
    assert!(!config.sources[0].token.as_ref().unwrap().matches("secret of OKTA_SCIM_TOKE"));
    config.require(&[Needs::Everything]).unwrap();
    assert!(config.warnings.is_empty());
}

const APP: &str = "[[apps]]\nid = \"wiki\"\nbase_url = \"https://wiki.example.com/scim\"\ntoken = \"a-long-token-of-the-wiki-0\"\nowner = \"ann\"\nassign = 'active eq true'\n";

#[test]
fn an_app_that_needs_what_is_not_sent_to_it_is_warned_of() {
    let table = [
        ("[\"userName\", \"emails\", \"name\", \"name.givenName\", \"externalId\"]", "", None),
        ("[\"emails\", \"entitlements\"]", "", Some("'entitlements'")),
        ("[\"emails\"]", "[apps.attributes]\ntitle = \"title\"\n", Some("'emails'")),
        ("[\"emails\"]", "[apps.attributes]\n'emails[type eq \"work\"].value' = \"userName\"\n", None),
        (
            "[\"name.formatted\"]",
            "[apps.attributes]\n\"name.givenName\" = \"name.givenName\"\n",
            Some("'name.formatted'"),
        ),
    ];
    for (required, mapping, warned) in table {
        let config = read(&format!("{APP}{mapping}[apps.capabilities]\nrequired = {required}\n")).unwrap();
        let of_it: Vec<&String> = config.warnings.iter().filter(|w| w.contains("no account without")).collect();
        assert_eq!(of_it.len(), usize::from(warned.is_some()), "{required} {mapping}: {:?}", config.warnings);
        assert!(of_it.iter().all(|w| w.contains(warned.unwrap_or_default())), "{of_it:?}");
    }
}

#[test]
fn of_what_gives_access_only_the_user_name_may_be_the_apps_own() {
    for way in ["own value", "cut at 21", "other case", "as sent"] {
        read(&format!("{APP}[apps.capabilities.keeps]\nuserName = \"{way}\"\n")).unwrap();
    }
    for (path, way) in [("userName", "not kept"), ("userName", "not in its schema"), ("active", "own value")] {
        let mistakes = mistakes(&format!("{APP}[apps.capabilities.keeps]\n{path} = \"{way}\"\n"));
        assert!(mistakes.iter().any(|(_, what)| what.contains("gives access")), "{path} {way}: {mistakes:?}");
    }
}

#[test]
fn secrets_are_never_shown() {
    assert!(!format!("{:?}", read(WHOLE).unwrap()).contains("secret of"));
}

#[test]
fn every_mistake_is_named_with_its_line() {
    let table = [
        ("[server]\nlisten = \"here\"", 2, "127.0.0.1:8080"),
        ("[server]\n\nlisen = \"127.0.0.1:1\"", 3, "no key 'lisen'"),
        ("[servers]", 1, "no 'servers'"),
        ("server = 5", 1, "[server]"),
        ("[server]\nmax_body_bytes = 1", 2, "from 1024"),
        ("[nats]\nurl = \"http://x\"", 2, "nats://"),
        ("[nats]\nurl = \"nats://u:p@x\"", 2, "password_env"),
        ("[nats]\nreplicas = 3", 1, "private server"),
        ("[nats]\nurl = \"nats://x\"\nuser = \"u\"", 1, "go together"),
        ("[nats]\ndurability = \"maybe\"", 2, "refuse or warn"),
        ("[sources]\nname = \"x\"", 1, "[[sources]]"),
        ("[[sources]]\nname = \"Not A Slug\"\ntoken = \"t\"", 2, "source name"),
        ("[[sources]]\nname = \"hr\"", 1, "token_env"),
        ("[[sources]]\ntoken = \"t\"", 1, "name is missing"),
        ("[[sources]]\nname = \"hr\"\ntoken = \"t\"\ntoken_env = \"T\"", 1, "give one of"),
        ("[[sources]]\nname = \"a\"\ntoken = \"t\"\n[[sources]]\nname = \"a\"\ntoken = \"u\"", 4, "line 1"),
        ("[[sources]]\nname = \"a\"\ntoken = \"t\"\n[[sources]]\nname = \"b\"\ntoken = \"t\"", 4, "same token"),
        ("[[api_tokens]]\nname = \"x\"\nrole = \"king\"\ntoken = \"t\"", 3, "viewer"),
        ("[[alerts]]\nkind = \"pigeon\"\nurl = \"http://x\"", 2, "slack or mail"),
        ("[[alerts]]\nkind = \"mail\"", 1, "url is missing"),
        ("[[alerts]]\nkind = \"mail\"\nurl = \"http://x\"", 3, "smtps://"),
        ("[[alerts]]\nkind = \"mail\"\nurl = \"smtps://u:p@x\"", 3, "use user and password_env"),
        ("[[alerts]]\nkind = \"mail\"\nurl = \"smtps://x\"\nencryption = \"none\"", 1, "tls with smtps://"),
        ("[[alerts]]\nkind = \"mail\"\nurl = \"smtps://x\"\nfrom = \"nobody\"", 4, "no address of mail"),
        ("[[alerts]]\nkind = \"mail\"\nurl = \"smtps://x\"\nfrom = \"a@b\"", 1, "to is missing"),
        (
            "[[alerts]]\nkind = \"mail\"\nurl = \"smtps://x\"\nfrom = \"a@b\"\nto = [\"a@b\"]\nuser = \"u\"",
            1,
            "both of user and",
        ),
        (
            "[[alerts]]\nkind = \"mail\"\nurl = \"smtps://x\"\nfrom = \"a@b\"\nto = [\"a@b\"]\ntoken = \"t\"",
            1,
            "no url_env, token",
        ),
        ("[[alerts]]\nkind = \"slack\"\nurl = \"http://x\"\nfrom = \"a@b\"", 1, "are for mail"),
        ("[[alerts]]\nkind = \"slack\"\nurl = \"http://x\"\ntells = [\"news\"]", 4, "alerts or tasks"),
        ("[[alerts]]\nkind = \"slack\"\nurl = \"http://x\"\ntells = []", 1, "tells is empty"),
        ("[tasks]\nlink_key = \"short\"", 1, "can be guessed"),
        ("[[alerts]]\nkind = \"slack\"", 1, "url_env"),
        ("[[alerts]]\nkind = \"pagerduty\"", 1, "routing key"),
        ("[[alerts]]\nkind = \"slack\"\nurl = \"http://x\"\nsigning_secret = \"s\"", 1, "for webhooks"),
        ("[alerting]\nescalate_after = [\"4h\", \"1h\"]", 1, "must grow"),
        ("[tiers.critical]\nleaver = \"soon\"", 2, "time span"),
        ("[tiers.critical]\nleaver = \"5m\"\nemergency = \"10m\"", 1, "more urgent"),
        ("[tiers]\ncritical = \"fast\"", 2, "[tiers.critical]"),
        ("[tiers.critical]\nbusiness_hours = \"always\"", 2, "Mon-Fri"),
        ("[[alerts]]\nkind = \"webhook\"\nurl = \"ftp://x\"", 3, "http://"),
        ("this is not toml", 1, ""),
    ];
    for (text, line, part) in table {
        let found = mistakes(text);
        assert!(
            found.iter().any(|(at, message)| *at == Some(line) && message.contains(part)),
            "{text:?}: wanted line {line} with {part:?}, found {found:?}"
        );
    }
}

#[test]
fn all_mistakes_of_an_app_are_named_at_once() {
    let app = |line: &str, with: &str| WHOLE.replace(line, with);
    let table = [
        (app("id = \"github\"", "id = \"Git Hub\""), "app id"),
        (app("https://api.example.com/scim/v2", "https://u:p@api.example.com"), "token"),
        (app("https://api.example.com/scim/v2", "api.example.com"), "not a URL"),
        (app("userType eq \"Employee\"", "shoeSize eq 5"), "shoeSize"),
        (app("\"deactivate\"", "\"ignore\""), "deactivate or delete"),
        (app("reconcile_every = \"15m\"", "reconcile_every = \"soon\""), "time span"),
        (app("leaver = \"15m\"", "leaver = \"0s\""), "above zero"),
        (app("leaver = \"15m\"", "leavr = \"15m\""), "no key 'leavr'"),
        (app("max_in_flight = 8", "max_in_flight = 0"), "from 1"),
        (app("owner = \"dev-platform@example.com\"", ""), "owner is missing"),
    ];
    for (text, part) in &table {
        let found = mistakes(text);
        assert!(found.len() == 1 && found[0].1.contains(part) && found[0].0.is_some(), "{part}: {found:?}");
    }
    let all = table[0].0.replace("\"deactivate\"", "\"ignore\"").replace("leaver = \"15m\"", "leaver = \"0s\"");
    assert_eq!(mistakes(&all).len(), 3);
}

#[test]
fn the_environment_overrides_the_file_and_its_mistakes_are_its_own() {
    let with = |value: &'static str| {
        parse("test.toml", WHOLE, &move |name: &str| match name {
            "ROLLCALL_SERVER_LISTEN" => Some(value.to_owned()),
            other => environment(other),
        })
    };
    assert_eq!(with("127.0.0.1:9").unwrap().server.listen.port(), 9);
    let error = with("nowhere").unwrap_err().to_string();
    assert!(error.contains("ROLLCALL_SERVER_LISTEN"), "{error}");
    assert_eq!(with("").unwrap().server.listen, parse("test.toml", WHOLE, &environment).unwrap().server.listen);
}

#[test]
fn a_secret_that_can_not_be_had_is_a_mistake_only_for_who_needs_it() {
    let config = parse("test.toml", WHOLE, &|name| environment(name).filter(|_| name != "GITHUB_SCIM_TOKEN")).unwrap();
    config.require(&[Needs::Sources, Needs::ApiTokens]).unwrap();
    let error = config.require(&[Needs::Apps]).unwrap_err().to_string();
    assert!(error.contains("line 19") && error.contains("GITHUB_SCIM_TOKEN"), "{error}");
}

#[test]
fn days_and_mixed_time_spans_are_read() {
    for (text, seconds) in [("500ms", 0.5), ("7d", 604_800.0), ("1h30m", 5400.0), ("1d 12h", 129_600.0)] {
        let config = read(&WHOLE.replace("leaver = \"15m\"", &format!("leaver = \"{text}\""))).unwrap();
        assert!((config.apps[0].spec.sla.leaver.as_secs_f64() - seconds).abs() < f64::EPSILON, "{text}");
    }
}

fn with_source(extra: &str) -> String {
    WHOLE.replace("token_env = \"OKTA_SCIM_TOKEN\"\n", extra)
}

#[test]
fn a_source_may_come_with_access_tokens_and_be_read_strictly() {
    let config = read(&with_source(
        "strict = true\nmax_requests_per_second = 7\n[sources.jwt]\nissuer = \"https://idp\"\naudience = \"rollcall\"\n\
         jwks_url = \"https://idp/keys\"\n",
    ))
    .unwrap();
    let source = &config.sources[0];
    assert!(source.token.is_none());
    assert_eq!(source.strictness, rollcall_scim::Strictness::Strict);
    assert_eq!(source.max_requests_per_second.get(), 7);
    let jwt = source.jwt.as_ref().unwrap();
    assert_eq!((jwt.issuer.as_str(), jwt.audience.as_str(), jwt.subject.as_deref()), ("https://idp", "rollcall", None));
}

#[test]
fn every_mistake_about_a_source_is_named() {
    let jwt = |rest: &str| with_source(&format!("[sources.jwt]\nissuer = \"https://idp\"\naudience = \"a\"\n{rest}"));
    for (text, names) in [
        (with_source(""), "a credential is missing"),
        (with_source("token_env = \"OKTA_SCIM_TOKEN\"\nstrict = \"perhaps\"\n"), "must be true or false"),
        (with_source("token_env = \"OKTA_SCIM_TOKEN\"\nmax_requests_per_second = 0\n"), "from 1 to"),
        (with_source("[sources.jwt]\naudience = \"a\"\njwks_file = \"k\"\n"), "issuer is missing"),
        (jwt(""), "jwks_url or jwks_file"),
        (jwt("jwks_url = \"http://idp/keys\"\n"), "https://"),
        (jwt("jwks_url = \"https://idp/keys\"\njwks_file = \"keys\"\n"), "one of jwks_url and jwks_file"),
    ] {
        let found = mistakes(&text);
        assert!(found.len() == 1 && found[0].1.contains(names), "{names}: {found:?}");
    }
}

/// Whose a token is would depend on which of them stands first.
#[test]
fn two_sources_take_no_access_tokens_of_each_other() {
    let source = |name: &str, subject: &str| {
        format!(
            "[[sources]]\nname = \"{name}\"\n[sources.jwt]\nissuer = \"https://idp\"\naudience = \"a\"\njwks_file = \"k\"\n{subject}"
        )
    };
    let (hr, lab) = ("subject = \"hr-sync\"\n", "subject = \"lab-sync\"\n");
    for (first, second, fits) in [(hr, lab, true), (hr, hr, false), ("", lab, false), (hr, "", false), ("", "", false)]
    {
        let text = source("hr", first) + &source("lab", second);
        match read(&text) {
            Ok(_) => assert!(fits, "{first:?} {second:?}"),
            Err(e) => assert!(!fits && e.to_string().contains("give each a subject of its own"), "{e}"),
        }
    }
}

#[test]
fn own_schemas_are_read_from_a_folder_and_rules_may_name_their_attributes() {
    let folder = tempfile::tempdir().unwrap();
    let urn = "urn:example:scim:badge";
    let schema = format!(
        "{{\"schemas\": [\"urn:ietf:params:scim:schemas:core:2.0:Schema\"], \"id\": \"{urn}\", \"name\": \"Badge\",
           \"attributes\": [{{\"name\": \"level\", \"type\": \"integer\"}}]}}"
    );
    let user = format!(
        "{{\"schemas\": [\"urn:ietf:params:scim:schemas:core:2.0:ResourceType\"], \"name\": \"User\",
           \"endpoint\": \"/Users\", \"schema\": \"urn:ietf:params:scim:schemas:core:2.0:User\",
           \"schemaExtensions\": [{{\"schema\": \"{urn}\"}}]}}"
    );
    std::fs::write(folder.path().join("schema.json"), &schema).unwrap();
    std::fs::write(folder.path().join("user.json"), &user).unwrap();
    let text = format!("[scim]\nschemas = {:?}\n{WHOLE}", folder.path());
    let text = text.replace("active eq true and userType eq \"Employee\"", &format!("{urn}:level ge 3"));
    let config = read(&text).unwrap();
    assert!(config.scim.catalogue.schema(urn).is_some());
    std::fs::write(folder.path().join("user.json"), user.replace(urn, "urn:example:other")).unwrap();
    let found = mistakes(&text);
    assert!(found.iter().any(|(line, m)| *line == Some(2) && m.contains("urn:example:other")), "{found:?}");
}

fn with_rule(rule: &str) -> String {
    format!("{WHOLE}\n[[precedence]]\n{rule}")
}

#[test]
fn precedence_names_attributes_and_sources_that_are_there() {
    let department = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department";
    let config =
        read(&with_rule(&format!("attributes = [\"title\", \"{department}\"]\nsources = [\"okta\"]"))).unwrap();
    let paths: Vec<String> = config.authority.rules.iter().map(|r| r.attribute.text()).collect();
    assert_eq!(paths, ["title", department]);
    let table = [
        ("attributes = [\"shoeSize\"]\nsources = [\"okta\"]", "shoeSize"),
        ("attributes = [\"title\"]\nsources = [\"hr\"]", "no source 'hr'"),
        ("attributes = [\"title\", \"title\"]\nsources = [\"okta\"]", "already"),
        ("sources = [\"okta\"]", "attributes is missing"),
    ];
    for (rule, part) in table {
        let found = mistakes(&with_rule(rule));
        assert!(found.len() == 1 && found[0].1.contains(part) && found[0].0.is_some(), "{part}: {found:?}");
    }
    let source = |line: &str| with_source(&format!("token_env = \"OKTA_SCIM_TOKEN\"\n{line}\n"));
    assert!(mistakes(&source("sees = \"some\""))[0].1.contains("everything or own"));
    assert!(mistakes(&source("resources = [\"Car\"]"))[0].1.contains("no resource type 'Car'"));
}

#[test]
fn a_tier_gives_what_the_app_does_not_say_itself() {
    let tier =
        "[tiers.critical]\njoiner = \"1h\"\nleaver = \"5m\"\nbusiness_hours = \"Mon-Fri 09:00-17:00 Europe/Berlin\"\n";
    let text = WHOLE
        .replace("[[apps]]", &format!("{tier}[[apps]]\ntier = \"critical\""))
        .replace("leaver = \"15m\"\n[[al", "[[al");
    let config = read(&text.replace("joiner = \"4h\"\n", "")).unwrap();
    let sla = &config.apps[0].spec.sla;
    assert_eq!(
        (sla.tier.as_str(), sla.joiner, sla.mover),
        ("critical", Duration::from_secs(3600), Duration::from_secs(14_400))
    );
    assert_eq!((sla.leaver, sla.emergency), (Duration::from_secs(300), Duration::from_secs(300)));
    assert!(sla.hours.is_some());
    assert!(mistakes(&text.replace("tier = \"critical\"", "tier = \"gold\""))[0].1.contains("[tiers.gold]"));
}

#[test]
fn the_address_of_a_sink_can_be_a_secret() {
    let sink = "[[alerts]]\nkind = \"slack\"\nurl_env = \"OKTA_SCIM_TOKEN\"\n";
    let config =
        read(&WHOLE.replace("[[alerts]]\nkind = \"webhook\"\nurl = \"http://alerts:9093/hook\"\n", sink)).unwrap();
    let rollcall_config::SinkReach::Http(pager) = &config.alerts[0].reach else { panic!("{:?}", config.alerts[0]) };
    assert!(matches!(pager.url, rollcall_config::SinkUrl::Secret(_)));
    assert_eq!(config.alerts[0].name, "slack-0");
    assert!(!format!("{config:?}").contains("secret of"));
}

#[test]
fn a_group_at_the_provider_may_be_more_than_one_who_decides() {
    let one = "[server]\npublic_url = \"https://rollcall.example.com\"\n[[api_tokens]]\nname = \"ola\"\nrole = \"operator\"\n\
               token = \"the-secret-of-ola\"\n";
    let provider = "[oidc]\nissuer = \"https://idp.example.com\"\nclient_id = \"rollcall\"\n[oidc.roles]\nstaff = \"auditor\"\niam = \"operator\"\n";
    let count = |text: &str, least| {
        let config = parse("test.toml", text, &environment).unwrap();
        deciders(&config.api_tokens, config.oidc.iter().flat_map(|oidc| oidc.roles.values()), least)
    };
    assert!(!TwoPeople::WhenPossible.applies(count(one, Role::Operator)));
    assert!(TwoPeople::WhenPossible.applies(count(&format!("{one}{provider}"), Role::Operator)));
    assert!(!TwoPeople::WhenPossible.applies(count(&format!("{one}{provider}"), Role::Admin)), "nobody is");
}

#[test]
fn signing_keys_and_the_provider_of_people_are_read_and_their_mistakes_named() {
    let config = |more: &str| parse("test.toml", &format!("{WHOLE}\n{more}"), &environment);
    let whole = config(
        "[audit]\ncheckpoint_every = \"3s\"\nrecord_reads = true\n[oidc]\nissuer = \"https://idp.example.com\"\n\
         client_id = \"rollcall\"\n[oidc.roles]\nadmins = \"operator\"",
    );
    // The provider sends people back to the public address.
    let error = whole.unwrap_err().to_string();
    assert!(error.contains("server.public_url"), "{error}");
    for (more, wrong) in [
        ("[audit]\nlog_name = \"two words\"", "no space"),
        ("[audit]\npublish_url = \"ftp://example.com\"", "publish_url"),
        ("[audit]\nrecord_reads = \"perhaps\"", "record_reads"),
        ("[[signing_keys]]\n", "key_env or key_file"),
        ("[[signing_keys]]\nkey = \"PRIVATE+KEY\"", "key"),
        ("[oidc]\nissuer = \"https://idp.example.com\"\nclient_id = \"x\"\n[oidc.roles]\na = \"boss\"", "'boss'"),
        ("[oidc]\nissuer = \"idp\"\nclient_id = \"x\"", "issuer"),
    ] {
        let error = config(more).unwrap_err().to_string();
        assert!(error.contains(wrong), "{more}: {error}");
    }
    let config = config("[audit]\ncheckpoint_every = \"3s\"\nrecord_reads = true").unwrap();
    assert_eq!(config.audit.checkpoint_every.as_secs(), 3);
    assert_eq!(config.audit.reads, rollcall_config::Reads::Recorded);
}

const WITH_ROLES: &str = r#"
[[apps]]
id = "crm"
base_url = "https://crm.example/scim"
owner = "o"
token = "only-for-a-test"
[[apps.entitlements]]
requestable = true
[[apps.entitlements]]
group = "Admins"
risk = "critical"
requestable = true
max_duration = "8h"
approvers = ["manager", "group:Security"]
approvals = 2
"#;

#[test]
fn roles_and_entitlements_are_read_with_their_terms() {
    let roles = "[[roles]]\nid = \"sales\"\nmembers = 'title eq \"Sales\"'\nowner = \"o\"\nentitlements = [\"crm\", \"crm:group:Admins\"]\n";
    let config = parse("f", &format!("{WITH_ROLES}{roles}"), &|_| None).unwrap();
    let [account, admins] = config.apps[0].spec.entitlements.as_slice() else { panic!("{:?}", config.apps[0].spec) };
    assert_eq!((account.name.as_str(), account.terms.owner.as_str(), account.terms.approvals), ("crm", "o", 1));
    assert_eq!((admins.name.as_str(), admins.terms.approvals), ("Admins", 2));
    assert_eq!(admins.terms.max_duration, Some(std::time::Duration::from_secs(8 * 3600)));
    assert!(config.apps[0].spec.manages("Admins") && !config.apps[0].spec.manages("Owners"));
    assert_eq!(config.roles[0].entitlements.len(), 2);
}

const OWNERS: &str = "[[apps.entitlements]]\ngroup = \"Owners\"\n";

#[test]
fn a_separation_has_two_sides_that_apps_have_and_no_role_gives_both() {
    let separation = |lines: &str| format!("{WITH_ROLES}{OWNERS}[[separations]]\nid = \"s\"\nowner = \"o\"\n{lines}");
    let sides = "entitlements = [\"crm:group:Owners\"]\nnever_with = [\"crm:group:Admins\"]\n";
    let role = |entitlements: &str| {
        format!(
            "[[roles]]\nid = \"both\"\nowner = \"o\"\nmembers = 'active eq true'\nentitlements = [{entitlements}]\n"
        )
    };
    let config = parse("f", &(separation(sides) + &role("\"crm\", \"crm:group:Owners\"")), &|_| None).unwrap();
    assert_eq!(config.separations[0].name, "s");
    let mistakes = [
        (separation("entitlements = [\"crm\"]\n"), "never_with is missing"),
        (separation("entitlements = []\nnever_with = [\"crm\"]\n"), "entitlements is missing"),
        (separation("entitlements = [\"erp\"]\nnever_with = [\"crm\"]\n"), "there is no app 'erp'"),
        (separation("entitlements = [\"crm\"]\nnever_with = [\"crm\"]\n"), "violate it alone"),
        // A group brings the account.
        (separation("entitlements = [\"crm\"]\nnever_with = [\"crm:group:Admins\"]\n"), "would violate it alone"),
        (separation("entitlements = [\"crm\"]\nnever_with = [\"crm:group:Users\"]\n"), "manages no group 'Users'"),
        (separation(sides) + &role("\"crm:group:Owners\", \"crm:group:Admins\""), "role 'both' gives both"),
        (separation(sides).replace("id = \"s\"\nowner = \"o\"", "id = \"s\""), "owner is missing"),
    ];
    for (text, wanted) in mistakes {
        let error = parse("f", &text, &|_| None).unwrap_err().to_string();
        assert!(error.contains(wanted) && error.contains("line "), "{wanted}: {error}");
    }
}

#[test]
fn a_policy_that_gives_both_sides_of_a_separation_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let warned = |head: &str| {
        let policy = format!("@id(\"p\") permit(principal, action == Action::\"hold\", {head});");
        std::fs::write(folder.path().join("p.cedar"), policy).unwrap();
        let text = format!(
            "{WITH_ROLES}{OWNERS}[policies]\nfolder = \"{}\"\n[[separations]]\nid = \"s\"\nowner = \"o\"\n\
             entitlements = [\"crm:group:Owners\"]\nnever_with = [\"crm:group:Admins\"]\n",
            folder.path().display()
        );
        let config = parse("f", &text, &|_| None).unwrap();
        config.warnings.iter().any(|warning| warning.contains("both sides of separation 's'"))
    };
    assert!(warned("resource in App::\"crm\""));
    assert!(warned("resource"));
    assert!(!warned("resource == Entitlement::\"crm:group:Admins\""));
}

#[test]
fn a_role_that_can_not_be_is_named_with_its_line() {
    let role = |lines: &str| format!("{WITH_ROLES}[[roles]]\nid = \"r\"\nowner = \"o\"\n{lines}");
    let mistakes = [
        (role("members = 'active eq true'\n"), "entitlements is missing"),
        (role("members = 'active eq true'\nentitlements = [\"erp\"]\n"), "there is no app 'erp'"),
        (role("members = 'active eq true'\nentitlements = [\"crm:group:Owners\"]\n"), "manages no group 'Owners'"),
        (role("members = 'active eq true'\nentitlements = [\"crm:licence:x\"]\n"), "is not an entitlement"),
        (role("members = 'shoeSize eq 1'\nentitlements = [\"crm\"]\n"), "shoeSize"),
        (role("entitlements = [\"crm\"]\n"), "nobody would have this role"),
        (role("requestable = true\nentitlements = [\"crm\"]\napprovers = [\"anybody\"]\n"), "is not an approver"),
        (role("requestable = true\nentitlements = [\"crm\"]\napprovals = 2\n"), "names fewer"),
        (
            role("requestable = true\nentitlements = [\"crm\"]\nrisk = \"huge\"\n"),
            "must be low, medium, high or critical",
        ),
        (WITH_ROLES.replace("group = \"Admins\"", ""), "is there twice"),
        (WITH_ROLES.replace("requestable = true", ""), "assign is missing"),
    ];
    for (text, wanted) in mistakes {
        let error = parse("f", &text, &|_| None).unwrap_err().to_string();
        assert!(error.contains(wanted) && error.contains("line "), "{wanted}: {error}");
    }
}

const LISTED: &str = "[[apps]]\nid = \"old\"\nkind = \"list\"\nowner = \"ann\"\nassign = 'active eq true'\n[apps.list]\nfile = \"/lists/old.csv\"\ncolumns = { userName = \"Login\", title = \"Job\" }\n";

#[test]
fn an_app_that_people_change_says_so_and_what_is_known_of_it() {
    let manual = read("[[apps]]\nid = \"w\"\nkind = \"manual\"\nowner = \"ann\"\nassign = 'active eq true'\ninstructions = \"ask IT\"\n").unwrap();
    let app = &manual.apps[0];
    assert_eq!(
        (app.spec.kind, app.spec.instructions.as_str(), &app.reach),
        (AppKind::Manual, "ask IT", &Reach::People)
    );
    let listed = read(LISTED).unwrap();
    let (spec, reach) = (&listed.apps[0].spec, &listed.apps[0].reach);
    let Reach::List(list) = reach else { panic!("{reach:?}") };
    assert_eq!((list.format, list.max_age), (Format::Csv, Duration::from_secs(2 * 86_400)));
    // What no column shows is not compared; where none says who can sign in, only who is not listed is gone.
    assert_eq!(spec.capabilities.keeps["displayName"].way, Way::NotInSchema);
    assert!(!spec.capabilities.keeps.contains_key("title"));
    assert_eq!(spec.effective_deprovision(), Deprovision::Delete);
}

#[test]
fn what_makes_no_sense_in_an_app_that_people_change_is_a_mistake() {
    let manual = |more: &str| {
        format!("[[apps]]\nid = \"w\"\nkind = \"manual\"\nowner = \"ann\"\nassign = 'active eq true'\n{more}")
    };
    let listed = |from: &str, to: &str| LISTED.replace(from, to);
    let group = "[[apps.groups]]\nfrom = \"A\"\nto = \"B\"\n";
    let table = [
        (manual("base_url = \"https://w.example\"\n"), "take base_url out"),
        (manual("token_env = \"T\"\n"), "take token_env out"),
        (manual("reconcile_every = \"1h\"\n"), "take reconcile_every out"),
        (manual("[apps.list]\nfile = \"/x.csv\"\n"), "take list out"),
        (manual("[apps.drill]\nevery = \"7d\"\n"), "take drill out"),
        (listed("kind = \"list\"", "kind = \"paper\""), "scim, manual or list"),
        (listed("kind = \"list\"\n", "base_url = \"https://w.example\"\n"), "for an app of kind list"),
        (listed("kind = \"list\"\n", "kind = \"list\"\nbase_url = \"https://w.example\"\n"), "take base_url out"),
        (listed("[apps.list]\n", "[apps.lists]\n"), "has its list in [apps.list]"),
        (listed("file = \"/lists/old.csv\"\n", ""), "give one of file and url"),
        (listed("/lists/old.csv", "lists/old.csv"), "a path from the root"),
        (listed("old.csv", "old"), "format is missing"),
        (listed("userName = \"Login\", ", ""), "columns.userName is missing"),
        (listed("title = \"Job\"", "shoe = \"Size\""), "'shoe' must be id, active, groups"),
        (format!("{LISTED}inactive = [\"off\"]\n"), "columns.active does not name"),
        (format!("{LISTED}max_missing_percent = 101\n"), "from 0 to 100"),
        (format!("{LISTED}{group}"), "columns.groups names no column"),
        (listed("[apps.list]", "essential = [\"displayName\"]\n[apps.list]"), "'displayName' is essential"),
    ];
    for (text, part) in &table {
        let found = mistakes(text);
        assert!(
            found.iter().any(|(line, message)| message.contains(part) && line.is_some()),
            "{text}{part}: {found:?}"
        );
    }
}
