//! `[[api_tokens]]`, `[oidc]`, `[audit]`, `[privacy]` and `[[signing_keys]]`: who reads, what proves it, and what seals it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{
    ApiToken, ApprovalConfig, AuditConfig, MachinesConfig, OidcConfig, PersonAttribute, PrivacyConfig, Reads,
    Retention, Role, TwoPeople, WithoutOwner,
};
use crate::secret::Token;
use crate::section::{CLIENT_SECRET, KEY, Section, TOKEN, http_url, some_text, truth};
use rollcall_domain::access::handover::MachinePolicy;
use rollcall_domain::access::reevaluation::ReevaluationPolicy;
use rollcall_domain::identity::is_reserved;

/// Who keeps people for less than this has perhaps mistaken the unit.
const SHORTEST_USUAL: Duration = Duration::from_secs(30 * 86_400);

pub(crate) fn api_token(mut s: Section<'_>) -> Option<(usize, ApiToken)> {
    let name = s.required("name", own_name);
    let role = s.required("role", role);
    let token = required_token(&mut s);
    let identity = s.parsed("identity", some_text);
    let line = s.line();
    s.finish();
    Some((line, ApiToken { name: name?, role: role?, token: token?, identity }))
}

/// A name that events use for nobody else.
fn own_name(text: &str) -> Result<String, String> {
    if is_reserved(text) { Err(format!("'{text}' is how events name somebody else")) } else { some_text(text) }
}

pub(crate) fn oidc(mut s: Section<'_>, has_public_url: bool) -> Option<OidcConfig> {
    if !has_public_url {
        s.mistake("needs server.public_url: the provider sends people back there");
    }
    let issuer = s.required("issuer", http_url);
    let client_id = s.required("client_id", some_text);
    let name = s.parsed("name", some_text).unwrap_or_else(|| "your identity provider".to_owned());
    let roles_claim = s.parsed("roles_claim", some_text).unwrap_or_else(|| "groups".to_owned());
    let name_claim = s.parsed("name_claim", some_text);
    let identity_attribute = s.parsed("identity_attribute", |text| match text {
        "userName" => Ok(PersonAttribute::UserName),
        "externalId" => Ok(PersonAttribute::ExternalId),
        _ => Err(format!("'{text}' must be userName or externalId")),
    });
    let identity_attribute = identity_attribute.unwrap_or_default();
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
    Some(OidcConfig {
        name,
        issuer: issuer?,
        client_id: client_id?,
        client_secret,
        name_claim,
        identity_attribute,
        roles_claim,
        roles,
    })
}

pub(crate) fn signing_key(mut s: Section<'_>) -> Option<Token> {
    let key = s.secret(KEY);
    if key.is_none() {
        s.mistake("give key_env or key_file");
    }
    s.finish();
    key
}

pub(crate) fn audit(mut s: Section<'_>, signing_keys: Vec<Token>) -> AuditConfig {
    let log_name = s.parsed("log_name", |text| {
        let fits = !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c == '+');
        if fits { Ok(text.to_owned()) } else { Err(format!("'{text}' must have no space and no plus sign")) }
    });
    let config = AuditConfig {
        signing_keys,
        log_name: log_name.unwrap_or_else(|| "rollcall.local/log".to_owned()),
        checkpoint_every: s.duration("checkpoint_every", Duration::from_secs(10)),
        max_exception: s.duration("max_exception", Duration::from_secs(90 * 86_400)),
        max_approved_exception: s.duration("max_approved_exception", Duration::from_secs(366 * 86_400)),
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

pub(crate) fn privacy(mut s: Section<'_>) -> PrivacyConfig {
    let key = s.secret(KEY);
    let after = s.long_span("erase_left_after");
    let legal_basis = s.parsed("legal_basis", some_text).unwrap_or_else(|| "GDPR Art. 5(1)(e)".to_owned());
    if after.is_some_and(|after| after < SHORTEST_USUAL) {
        s.warn("erase_left_after is less than 30 days: `m` is a minute, and `mo` a month");
    }
    let retention = after.map(|erase_left_after| Retention { erase_left_after, legal_basis });
    let register = s.parsed("erasure_register", |text| Ok(text.into()));
    let recipient = |text: &str| match text.starts_with("age1") {
        true => Ok(text.to_owned()),
        false => Err(format!("'{text}' is no recipient key, such as age1…")),
    };
    let backup_recipients = s.list("backup_recipients", recipient).unwrap_or_default();
    s.finish();
    PrivacyConfig { key, retention, register, backup_recipients }
}

pub(crate) fn approvals(mut s: Section<'_>) -> ApprovalConfig {
    let choice = |text: &str| match text {
        "when-possible" => Ok(TwoPeople::WhenPossible),
        "always" => Ok(TwoPeople::Always),
        "never" => Ok(TwoPeople::Never),
        _ => Err(format!("'{text}' must be when-possible, always or never")),
    };
    let config = ApprovalConfig {
        two_people: s.parsed("two_people", choice).unwrap_or(TwoPeople::WhenPossible),
        expires_after: s.duration("expires_after", Duration::from_secs(86_400)),
        grant_expires_after: s.duration("grant_expires_after", Duration::from_secs(7 * 86_400)),
    };
    s.finish();
    config
}

pub(crate) fn machines(mut s: Section<'_>) -> MachinesConfig {
    let choice = |text: &str| match text {
        "stage" => Ok(WithoutOwner::Stage),
        "refuse" => Ok(WithoutOwner::Refuse),
        "allow" => Ok(WithoutOwner::Allow),
        _ => Err(format!("'{text}' must be stage, refuse or allow")),
    };
    let usual = MachinePolicy::default();
    let config = MachinesConfig {
        policy: MachinePolicy {
            handover_within: s.duration("handover_within", usual.handover_within),
            revoke_within: s.duration("revoke_within", usual.revoke_within),
            compromised_within: s.duration("compromised_within", usual.compromised_within),
        },
        without_owner: s.parsed("without_owner", choice).unwrap_or_default(),
        max_credential_age: s.duration("max_credential_age", Duration::from_secs(365 * 86_400)),
    };
    s.finish();
    config
}

pub(crate) fn reevaluation(mut s: Section<'_>) -> ReevaluationPolicy {
    let usual = ReevaluationPolicy::default().people_at_once;
    let people_at_once = s.integer("people_at_once", 10..=1_000_000, usual as u64);
    s.finish();
    ReevaluationPolicy { people_at_once: usize::try_from(people_at_once).unwrap_or(usual) }
}

fn role(text: &str) -> Result<Role, String> {
    Role::from_name(text).ok_or_else(|| format!("'{text}' must be viewer, auditor, operator or admin"))
}

fn required_token(s: &mut Section<'_>) -> Option<Token> {
    let token = s.secret(TOKEN);
    if token.is_none() {
        s.mistake("a token is missing: give token_env or token_file");
    }
    token
}
