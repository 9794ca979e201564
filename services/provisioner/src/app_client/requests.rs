//! What an app is asked for in one step on one account.

use std::collections::BTreeSet;

use reqwest::StatusCode;
use rollcall_domain::access::desired::Desired;
use rollcall_domain::access::rejection::RejectionCause;
use rollcall_domain::access::remote::Remote;
use rollcall_domain::app::capability::{Capabilities, Support};
use rollcall_domain::app::mapping::{Attributes, observed, to_resource, to_send};
use rollcall_domain::app::own_way::Way;
use rollcall_domain::app::quirk::AppQuirk;
use rollcall_domain::app::standard::is_managed;
use rollcall_scim::{Changed, USER};
use serde_json::{Map, Value};

use crate::app_client::client::{Endpoint, Failure, ScimClient};
use crate::app_client::memberships::patch_is_missing;
use crate::app_client::patch;
use crate::app_client::patch_form::Operation;
use crate::search::wanted::same;

/// What an app has answered to a creation that it did not refuse otherwise.
#[derive(Debug)]
pub enum Created {
    /// It is made, with this id.
    As(String),
    /// The same, with nothing than what it can't be made without.
    Bare(String),
    /// It is made, and the app does not say as what: it has to be looked for.
    Somewhere,
    /// Something is there already; that is for the caller to look into.
    Conflict(Failure),
}

/// Creates an account.
pub async fn create(client: &ScimClient, attributes: &Attributes, can: &Capabilities) -> Result<Created, Failure> {
    let mut resource = to_resource(attributes);
    let mut schemas = vec![Value::from(USER.id)];
    schemas.extend(resource.get("schemas").and_then(Value::as_array).into_iter().flatten().cloned());
    resource.insert("schemas".into(), schemas.into());
    strip(&mut resource, can);
    let of_a_user = |name: &&String| !name.starts_with("members");
    let lacks = |name: &&String| observed(&resource, name).is_none();
    let lacking = || can.required.iter().filter(of_a_user).filter(lacks).cloned().collect::<Vec<_>>();
    let answer = client.create(Endpoint::Users, &Value::Object(resource.clone())).await?;
    match answer.status {
        StatusCode::CREATED if answer.is_empty() => Ok(Created::Somewhere),
        StatusCode::CREATED | StatusCode::OK => {
            let id = answer.body.as_ref().and_then(|body| body.get("id")?.as_str());
            let id = id.ok_or_else(|| answer.not_scim("the answer to a creation is not a User"))?;
            // Some find one that is there, such as by its address, and call that a creation: it may be anybody's.
            let text = |name: &str| answer.body.as_ref().and_then(|body| body.get(name)?.as_str());
            let is_another = |(sent, shown): (&str, &str)| !same(sent, shown);
            let sent = resource.get("userName").and_then(Value::as_str);
            if answer.status == StatusCode::OK && sent.zip(text("userName")).is_some_and(is_another) {
                return Ok(Created::Conflict(another(id, text("userName").unwrap_or_default())));
            }
            Ok(Created::As(id.to_owned()))
        }
        StatusCode::CONFLICT => Ok(Created::Conflict(answer.failure())),
        _ => {
            let mut failure = answer.failure();
            let lacking = lacking();
            if !lacking.is_empty() {
                let names = lacking.join(", ");
                failure.rejection.detail =
                    format!("{} (the app requires {names}, which the mapping does not give)", failure.rejection.detail);
            }
            Err(failure)
        }
    }
}

/// An app has answered a creation with an account that is somebody else's.
pub fn another(id: &str, user_name: &str) -> Failure {
    let detail = format!(
        "the app has answered the creation with another account ('{user_name}', id {id}): see which of the values that were sent is theirs, \
         such as an address"
    );
    Failure::new(RejectionCause::Conflict, detail)
}

/// Changes what differs; an app without PATCH gets the whole resource.
pub async fn update(
    client: &ScimClient,
    can: &Capabilities,
    changes: &[Changed],
    desired: &Desired,
    remote: &Remote,
    essential: &BTreeSet<String>,
) -> Result<(), Failure> {
    if can.patch != Support::No {
        let operations: Vec<Operation> = changes.iter().map(|change| operation(change, can)).collect();
        let answer = patch::send(client, can, Endpoint::Users, &remote.id, &operations).await?;
        // What it refuses of one attribute keeps none of the others.
        if matches!(answer.status.as_u16(), 400 | 422) && operations.len() > 1 {
            let mut outcome = Ok(());
            for operation in operations {
                let answer = patch::send(client, can, Endpoint::Users, &remote.id, &[operation]).await?;
                outcome = outcome.and(answer.done());
            }
            return outcome;
        }
        if !patch_is_missing(&answer) {
            return answer.done();
        }
    }
    let Desired::Present(presence) = desired else { return Ok(()) };
    let managed = presence.attributes.iter().filter(|(path, _)| is_managed(essential, &can.keeps, path));
    let managed: Attributes = managed.map(|(path, value)| (path.clone(), value.clone())).collect();
    replace(client, can, remote, &managed).await
}

/// Makes an account inactive; one that is not there any more is.
pub async fn deactivate(client: &ScimClient, can: &Capabilities, remote: &Remote) -> Result<(), Failure> {
    if can.patch != Support::No {
        let inactive = [Operation::replace("active", false.into())];
        let answer = patch::send(client, can, Endpoint::Users, &remote.id, &inactive).await?;
        if answer.status.is_success() || answer.status == StatusCode::NOT_FOUND {
            return Ok(());
        }
        if !patch_is_missing(&answer) {
            return Err(answer.failure());
        }
    }
    replace(client, can, remote, &Attributes::from_iter([("active".to_owned(), Value::Bool(false))])).await
}

/// Removes an account; one that is not there any more is.
pub async fn delete(client: &ScimClient, id: &str) -> Result<(), Failure> {
    let answer = client.delete(Endpoint::Users, id).await?;
    if answer.status == StatusCode::NOT_FOUND { Ok(()) } else { answer.done() }
}

async fn replace(
    client: &ScimClient,
    can: &Capabilities,
    remote: &Remote,
    attributes: &Attributes,
) -> Result<(), Failure> {
    let mut resource = merged(remote, attributes);
    strip(&mut resource, can);
    let mut resource = Value::Object(resource);
    // As the app itself writes it.
    if client.experience.has(can, AppQuirk::NumericId)
        && let Ok(number) = remote.id.parse::<i64>()
    {
        resource["id"] = number.into();
    }
    client.replace(Endpoint::Users, &remote.id, &resource).await?.done()
}

fn operation(change: &Changed, can: &Capabilities) -> Operation {
    let Some(wanted) = &change.before else { return Operation::remove(&change.path) };
    let mut resource = Map::from_iter([(change.path.clone(), to_send(&change.path, wanted))]);
    strip(&mut resource, can);
    Operation::replace(&change.path, resource.remove(&change.path).unwrap_or_default())
}

/// Takes the sub-attributes out of what is sent that the app's schema does not have: some apps refuse those.
fn strip(resource: &mut Map<String, Value>, can: &Capabilities) {
    let missing = can.keeps.iter().filter(|(_, keeps)| keeps.way == Way::NotInSchema);
    for (attribute, sub) in missing.filter_map(|(path, _)| path.split_once('.')) {
        for value in resource.get_mut(attribute).and_then(Value::as_array_mut).into_iter().flatten() {
            value.as_object_mut().map(|fields| fields.remove(sub));
        }
    }
}

/// The app's own resource with the managed attributes on top, for an app without PATCH.
fn merged(remote: &Remote, attributes: &Attributes) -> Map<String, Value> {
    let mut resource = remote.resource.clone();
    resource.remove("meta");
    resource.remove("groups");
    for (path, _) in attributes.iter().filter(|(_, value)| value.is_null()) {
        clear(&mut resource, path);
    }
    for (name, value) in to_resource(attributes) {
        match (resource.get_mut(&name), value) {
            (Some(Value::Object(old)), Value::Object(new)) => old.extend(new),
            (Some(Value::Array(old)), Value::Array(new)) if name == "schemas" => {
                old.extend(new.into_iter().filter(|urn| !old.contains(urn)).collect::<Vec<_>>());
            }
            (_, value) => drop(resource.insert(name, value)),
        }
    }
    resource
}

fn clear(resource: &mut Map<String, Value>, path: &str) {
    let (urn, rest) = match path.rsplit_once(':') {
        Some((urn, rest)) => (Some(urn), rest),
        None => (None, path),
    };
    let mut fields = match urn {
        Some(urn) => resource.get_mut(urn).and_then(Value::as_object_mut),
        None => Some(resource),
    };
    let mut name = rest;
    if let Some((attribute, sub)) = rest.split_once('.') {
        fields = fields.and_then(|f| f.get_mut(attribute)).and_then(Value::as_object_mut);
        name = sub;
    }
    if let Some(fields) = fields {
        fields.remove(name);
    }
}
