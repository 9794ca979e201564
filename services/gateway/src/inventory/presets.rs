//! Lists as systems that many have write them, by their documentation.

use rollcall_config::InventoryPreset;
use rollcall_domain::access::credential::{CredentialKind, Usability};
use rollcall_rows::Row;
use serde_json::{Map, Value};

use super::read::{Entry, text_at, time_at};

/// The credentials that a row is about; a row of a credential report is about five.
pub fn entries(preset: InventoryPreset, row: Row, kind: CredentialKind) -> Result<Vec<Entry>, String> {
    match preset {
        InventoryPreset::Vault => vault(row, kind).map(|entry| vec![entry]),
        InventoryPreset::AwsCredentialReport => aws(&row),
        InventoryPreset::GithubTokens => github(&row, kind).map(|entry| vec![entry]),
        InventoryPreset::KubernetesServiceAccounts => kubernetes(&row, kind).map(|entry| vec![entry]),
    }
}

fn required(fields: &Map<String, Value>, path: &str) -> Result<String, String> {
    let text = text_at(fields, path)?;
    if text.is_empty() { Err(format!("there is no '{path}'")) } else { Ok(text) }
}

/// The answer to `vault token lookup -format=json -accessor …`, whole or its `data`
/// (<https://developer.hashicorp.com/vault/api-docs/auth/token#lookup-a-token-accessor>). Looked up by its accessor the id of a token is
/// empty: where it is there, it is the token itself.
fn vault(row: Row, kind: CredentialKind) -> Result<Entry, String> {
    let Row { number, mut fields } = row;
    if let Some(Value::Object(data)) = fields.remove("data") {
        fields = data;
    }
    if fields.contains_key("errors") || fields.contains_key("error") {
        return Err("this is an error and no token: look it up again, or the list is not whole".into());
    }
    if !text_at(&fields, "id")?.is_empty() {
        return Err("'id' is the token itself: look tokens up by their accessors".into());
    }
    let from_metadata = text_at(&fields, "meta.username")?;
    let holder = if from_metadata.is_empty() { without_mount(&fields)? } else { from_metadata };
    Ok(Entry {
        number,
        name: required(&fields, "accessor")?,
        holder,
        kind,
        usability: Usability::Usable,
        issued_at: time_at(&fields, "creation_time")?,
        expires_at: time_at(&fields, "expire_time")?,
        rotated_at: None,
        used_at: None,
    })
}

/// Whom Vault shows: `ldap-ada`, signed in at `auth/ldap/login/ada`, is ada. A token that another one made is nobody's by itself.
fn without_mount(fields: &Map<String, Value>) -> Result<String, String> {
    let (shown, path) = (text_at(fields, "display_name")?, text_at(fields, "path")?);
    if path.starts_with("auth/token/") && (shown == "token" || shown.starts_with("token-")) {
        return Ok(String::new());
    }
    let mount = path.strip_prefix("auth/").and_then(|path| path.split('/').next()).unwrap_or_default();
    let rest = shown.strip_prefix(mount).and_then(|rest| rest.strip_prefix('-'));
    Ok(rest.filter(|_| !mount.is_empty()).unwrap_or(&shown).to_owned())
}

/// A line of the credential report
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_getting-report.html>): the password, two access keys and two signing
/// certificates of a user. The report does not say which key it is: one that was made anew is another one.
fn aws(row: &Row) -> Result<Vec<Entry>, String> {
    let Row { number, fields } = row;
    let (user, arn) = (required(fields, "user")?, required(fields, "arn")?);
    let mut all = Vec::new();
    let slots = [
        ("password", "password_enabled", "password_last_changed", "password_last_used", CredentialKind::Password),
        (
            "access_key_1",
            "access_key_1_active",
            "access_key_1_last_rotated",
            "access_key_1_last_used_date",
            CredentialKind::ApiKey,
        ),
        (
            "access_key_2",
            "access_key_2_active",
            "access_key_2_last_rotated",
            "access_key_2_last_used_date",
            CredentialKind::ApiKey,
        ),
        ("cert_1", "cert_1_active", "cert_1_last_rotated", "", CredentialKind::Certificate),
        ("cert_2", "cert_2_active", "cert_2_last_rotated", "", CredentialKind::Certificate),
    ];
    for (slot, active, rotated, used, kind) in slots {
        // A report that has lost a column would say that there is no such key.
        if let Some(missing) = [active, rotated].into_iter().find(|column| !fields.contains_key(*column)) {
            return Err(format!("there is no '{missing}': send the report as it is"));
        }
        let usability = match text_at(fields, active)?.to_ascii_lowercase().as_str() {
            "true" => Usability::Usable,
            "false" => Usability::Disabled,
            "n/a" | "not_supported" => continue,
            other => return Err(format!("'{active}' is '{other}', and must be true or false")),
        };
        let made = time_at(fields, rotated)?;
        // A place in which there is no key is not active, and was never filled.
        if usability == Usability::Disabled && made.is_none() {
            continue;
        }
        let since = made.map(|at| format!(" of {at}")).unwrap_or_default();
        let used_at = if used.is_empty() { None } else { time_at(fields, used)? };
        all.push(Entry {
            number: *number,
            name: format!("{arn} {slot}{since}"),
            holder: user.clone(),
            kind,
            usability,
            issued_at: made,
            expires_at: None,
            rotated_at: None,
            used_at,
        });
    }
    Ok(all)
}

/// An entry of the fine-grained personal access tokens that can use the resources of an organization
/// (<https://docs.github.com/en/rest/orgs/personal-access-tokens>).
fn github(row: &Row, kind: CredentialKind) -> Result<Entry, String> {
    let Row { number, fields } = row;
    let expired = text_at(fields, "token_expired")? == "true";
    Ok(Entry {
        number: *number,
        // Tokens that were made anew keep the id of what they may do.
        name: format!("{} {}", required(fields, "id")?, text_at(fields, "token_id")?).trim_end().to_owned(),
        holder: required(fields, "owner.login")?,
        kind,
        usability: if expired { Usability::Disabled } else { Usability::Usable },
        issued_at: time_at(fields, "access_granted_at")?,
        expires_at: time_at(fields, "token_expires_at")?,
        rotated_at: None,
        used_at: time_at(fields, "token_last_used_at")?,
    })
}

/// A service account as `kubectl get serviceaccounts -A -o json` has it, who signs in as `system:serviceaccount:NAMESPACE:NAME`
/// (<https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/>).
fn kubernetes(row: &Row, kind: CredentialKind) -> Result<Entry, String> {
    let Row { number, fields } = row;
    let (namespace, name) = (required(fields, "metadata.namespace")?, required(fields, "metadata.name")?);
    Ok(Entry {
        number: *number,
        name: format!("{namespace}/{name} {}", required(fields, "metadata.uid")?),
        holder: format!("system:serviceaccount:{namespace}:{name}"),
        kind,
        usability: Usability::Usable,
        issued_at: time_at(fields, "metadata.creationTimestamp")?,
        expires_at: None,
        rotated_at: None,
        used_at: None,
    })
}
