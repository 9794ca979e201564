//! Many new identities at once, from a file: each is decided as one that a source creates, without a request for each.
//! What is added is named by the source and the user name, so that a file that is read again adds nobody twice.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use rollcall_config::{Config, ExternalIds, SourceConfig, WithoutOwner};
use rollcall_domain::identity::authority::{Authority, Settled};
use rollcall_domain::identity::name::{NameSpace, UniqueValue, former_name_key, name_key, unique_values};
use rollcall_domain::identity::ownership::referred;
use rollcall_domain::identity::statement::Says;
use rollcall_domain::identity::{self, IdentityKind, NameChanged};
use rollcall_domain::ids::{IdentityId, Sequence, SourceName};
use rollcall_domain::{Event, EventMeta, NewEvent};
use rollcall_event_log::{EventLog, Expect, LogError, NameHash, Subject, Unit, by_request, newest};
use rollcall_scim::{Catalogue, MACHINE, Reading, ResourceType, normalize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::change::{machines, names, scope};

/// How often one is decided anew when someone else takes the same name meanwhile.
const ATTEMPTS: usize = 10;

/// Why one was not added.
#[derive(Debug, thiserror::Error)]
pub enum NotAdded {
    /// It can't be, as it is.
    #[error("{0}")]
    Refused(String),
    /// The log can't be used: whether it was added is not known, and adding it again is safe.
    #[error("{0}")]
    Log(#[from] LogError),
}

/// What became of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Added {
    /// It is new.
    Now,
    /// It is new, without what the source has no say on.
    Partly(String),
    /// An earlier reading of the same file added it.
    Before,
}

/// One that was read and is well-formed; whether it can be added, the log says.
#[derive(Debug)]
pub struct Newcomer {
    id: IdentityId,
    kind: IdentityKind,
    rules: Settled,
    names: Vec<UniqueValue>,
    quirks: Vec<String>,
}

impl Newcomer {
    /// What nobody else may have: of two that share one, only the first that is added can be.
    pub fn names(&self) -> &[UniqueValue] {
        &self.names
    }
}

/// Adds identities in the name of a source.
#[derive(Debug, Clone)]
pub struct Import {
    log: EventLog,
    source: Arc<SourceConfig>,
    catalogue: Catalogue,
    authority: Authority,
    without_owner: WithoutOwner,
    max_resource_bytes: usize,
    correlation_id: String,
    /// Whether the last one was there before: so is the next one, probably, and is looked for first. An append that fails
    /// costs more than two reads, and takes with it those that it shares a batch with.
    was_there: Arc<AtomicBool>,
}

impl Import {
    /// One for a source that is configured; the only one when none is named. All that it adds has one correlation id.
    ///
    /// # Errors
    /// What is wrong with the choice of a source.
    pub fn new(config: &Config, source: Option<&str>, log: EventLog) -> Result<Self, String> {
        let names = || config.sources.iter().map(|s| s.name.to_string()).collect::<Vec<_>>().join(", ");
        let found = match (source, config.sources.as_slice()) {
            (Some(name), all) => all.iter().find(|s| s.name.as_str() == name),
            (None, [only]) => Some(only),
            (None, _) => return Err(format!("say with --source in whose name, one of: {}", names())),
        };
        let source =
            found.ok_or_else(|| format!("there is no source '{}': there are {}", source.unwrap_or(""), names()))?;
        let authority = config.authority.clone();
        if authority.forbids_creation(&source.name) {
            return Err(format!("source '{}' may not add anyone: 'active' is for other sources to say", source.name));
        }
        let correlation_id = Uuid::now_v7().to_string();
        // The file may have been imported before.
        let (source, was_there) = (Arc::new(source.clone()), Arc::new(AtomicBool::new(true)));
        Ok(Self {
            log,
            source,
            catalogue: config.scim.catalogue,
            authority,
            without_owner: config.machines.without_owner,
            max_resource_bytes: config.scim.max_resource_bytes,
            correlation_id,
            was_there,
        })
    }

    /// In whose name.
    #[must_use]
    pub fn source(&self) -> &SourceName {
        &self.source.name
    }

    /// Reads one, as it would be in the body of a `POST /Users` or `/Agents`; without `schemas` it is a User.
    ///
    /// # Errors
    /// With what is wrong with it.
    pub fn read(&self, body: &Value) -> Result<Newcomer, NotAdded> {
        let (kind, of) = self.kind(body);
        let body = with_schemas(body, kind);
        let refused = |detail: String| NotAdded::Refused(detail);
        scope::may_use(&self.source, kind).map_err(|e| refused(e.detail))?;
        let mut reading = Reading::new(self.source.strictness);
        let resource = normalize(&body, kind, &mut reading).map_err(|e| refused(e.detail))?;
        names::within_size(self.max_resource_bytes, kind, None, Some(&resource)).map_err(|e| refused(e.detail))?;
        let started = identity::started(resource);
        let says = Says::whole(&started);
        let rules = self.authority.settle(&self.source.name, None, started, says);
        let claims_external = self.source.external_ids == ExternalIds::Unique;
        let names = unique_values(&rules.resource, kind, claims_external.then_some(&self.source.name));
        let Some(first) = names.first() else { return Err(refused("there is no user name".into())) };
        let own = format!("rollcall import {} {} {}", self.source.name, kind.name, first.key);
        let id = IdentityId(Uuid::new_v5(&Uuid::NAMESPACE_OID, own.as_bytes()));
        let quirks = reading.quirks();
        Ok(Newcomer { id, kind: of, rules, names, quirks })
    }

    /// A machine as it is meant, and who answers for it: an owner may be given by user name. Refused is what the door would refuse.
    async fn with_owner(
        &self,
        mut resource: Map<String, Value>,
    ) -> Result<(Map<String, Value>, Option<IdentityId>), NotAdded> {
        machines::well_formed(None, &resource, Timestamp::now()).map_err(|e| NotAdded::Refused(e.detail))?;
        let Some(owner) = resource.get_mut(MACHINE.id).and_then(|machine| machine.get_mut("owner")) else {
            return Ok((resource, None));
        };
        let named = owner.as_str().unwrap_or_default().to_owned();
        let id = referred("Users", &named).unwrap_or_default();
        let (id, known) = match id.parse::<IdentityId>() {
            // The log finds whoever never changed by their name alone.
            Ok(id) => (Some(id), None),
            Err(_) => {
                let subject = Subject::name(self.log.names(), &NameSpace::default(), &name_key(&named));
                let claimed = self.log.last(&subject).await?;
                (names::owner(claimed.as_ref()).map(IdentityId), claimed.map(|claimed| claimed.sequence))
            }
        };
        let newest = match id {
            Some(id) => newest(&self.log, id, known).await?.map(|newest| newest.recorded.event),
            None => None,
        };
        let standing = match newest {
            Some(Event::Identity(owner)) if !owner.deleted => Some((owner.kind, owner.after)),
            _ => None,
        };
        machines::is_person("owner", &named, standing)
            .map_err(|e| NotAdded::Refused(format!("{} (in a file give the owner's userName)", e.detail)))?;
        if let Some(id) = id {
            *owner = id.to_string().into();
        }
        Ok((resource, id))
    }

    /// Adds one that was read.
    ///
    /// # Errors
    /// Why it can't be; nothing has changed then.
    pub async fn add(&self, newcomer: Newcomer) -> Result<Added, NotAdded> {
        let Newcomer { mut id, kind, mut rules, names, quirks } = newcomer;
        let mut owner = None;
        if kind.is_machine() {
            (rules.resource, owner) = self.with_owner(rules.resource).await?;
        }
        let mut claims: Vec<(&UniqueValue, Sequence)> = names.iter().map(|name| (name, Sequence(0))).collect();
        // Names that were hashed otherwise are no conflict.
        let mut may_be_there = self.was_there.load(Ordering::Relaxed) || self.log.names().since() > Sequence(0);
        for _ in 0..ATTEMPTS {
            if may_be_there && let Some(there) = self.look(id, &mut claims).await? {
                self.was_there.store(true, Ordering::Relaxed);
                return same(&there, &rules.resource);
            }
            // The names are free: whoever was added under this id has another name now, or is not there any more.
            let was_used = claims.iter().any(|(_, last)| last.0 > 0);
            if was_used && self.log.last(&Subject::identity(id)).await?.is_some() {
                id = IdentityId(Uuid::now_v7());
            }
            let mut created = identity::create(id, kind, rules.resource.clone(), Timestamp::now());
            created.provenance.clone_from(&rules.provenance);
            let created = machines::begins(self.without_owner, created, |of| Ok(owner == Some(of)))
                .map_err(|e| NotAdded::Refused(e.to_string()))?;
            let own = NameSpace::of_identities(kind);
            let mut unit = Unit::default();
            let mut expect = Expect::Last(Sequence(0));
            for (name, last) in &claims {
                if name.space == own {
                    expect = Expect::Last(*last);
                    continue;
                }
                let (space, key) = (name.space.clone(), name.key.clone());
                let claimed = Event::NameClaimed(NameChanged { space, name: key, owner: id.0 });
                unit.push(NewEvent { meta: self.meta(&quirks), event: claimed }, Expect::Last(*last));
            }
            unit.push(NewEvent { meta: self.meta(&quirks), event: Event::Identity(created) }, expect);
            match self.log.append(&unit).await {
                Ok(_) => {
                    self.was_there.store(false, Ordering::Relaxed);
                    let denied = &rules.denied;
                    return Ok(if denied.is_empty() { Added::Now } else { Added::Partly(scope::explain(denied)) });
                }
                Err(LogError::Conflict { .. }) => may_be_there = true,
                Err(e) => return Err(e.into()),
            }
        }
        Err(NotAdded::Refused("its names changed too often at the same time: import it again".into()))
    }

    /// The newest statement about `id`, when the names are already its own; sets what the log says of them.
    async fn look(
        &self,
        id: IdentityId,
        claims: &mut [(&UniqueValue, Sequence)],
    ) -> Result<Option<Map<String, Value>>, NotAdded> {
        for (name, last) in claims.iter_mut() {
            let taken = || NotAdded::Refused(format!("{} '{}' is taken", name.attribute, name.value));
            let owned = async |hash: &NameHash, key: &str| self.log.last(&Subject::name(hash, &name.space, key)).await;
            // Claimed when names were folded or hashed otherwise: under another key, and still theirs.
            let former = former_name_key(&name.value);
            let mut found = owned(self.log.names(), &name.key).await?;
            let mut before = if found.is_none() { owned(&NameHash::Plain, &name.key).await? } else { None };
            if names::owner(before.as_ref()).is_none() && former != name.key {
                before = owned(&NameHash::Plain, &former).await?;
            }
            match names::owner(before.as_ref()) {
                Some(owner) if owner == id.0 && found.is_none() => found = before,
                Some(_) => return Err(taken()),
                None => {}
            }
            *last = found.as_ref().map_or(Sequence(0), |e| e.sequence);
            match names::owner(found.as_ref()) {
                Some(owner) if owner == id.0 => {
                    let newest = newest(&self.log, id, Some(*last)).await?.map(|newest| newest.recorded.event);
                    return Ok(match newest {
                        Some(Event::Identity(there)) => Some(there.resource),
                        _ => Some(Map::new()),
                    });
                }
                Some(_) => return Err(taken()),
                None => {}
            }
        }
        Ok(None)
    }

    fn kind(&self, body: &Value) -> (&'static ResourceType, IdentityKind) {
        let schemas = body.get("schemas").and_then(Value::as_array);
        let is = |kind: &ResourceType| schemas.is_some_and(|all| all.iter().any(|s| s.as_str() == Some(kind.core.id)));
        let machines = [
            (self.catalogue.agent(), IdentityKind::Agent),
            (self.catalogue.service_account(), IdentityKind::ServiceAccount),
        ];
        let machine = machines.into_iter().find(|(kind, _)| is(kind));
        machine.unwrap_or((self.catalogue.user(), IdentityKind::User))
    }

    fn meta(&self, quirks: &[String]) -> EventMeta {
        EventMeta { quirks: quirks.to_vec(), ..by_request(&self.source.name, "import", &self.correlation_id) }
    }
}

/// What became of one that is there already.
fn same(there: &Map<String, Value>, line: &Map<String, Value>) -> Result<Added, NotAdded> {
    let differs = "is there already, and is not as this line says: an import adds, and changes nobody";
    if there == line { Ok(Added::Before) } else { Err(NotAdded::Refused(differs.into())) }
}

fn with_schemas<'a>(body: &'a Value, kind: &ResourceType) -> Cow<'a, Value> {
    match body {
        Value::Object(fields) if !fields.contains_key("schemas") => {
            let mut fields = fields.clone();
            fields.insert("schemas".into(), vec![Value::from(kind.core.id)].into());
            Cow::Owned(Value::Object(fields))
        }
        other => Cow::Borrowed(other),
    }
}

/// A resource from the columns of a table: each names an attribute by its path, such as `name.givenName`; what is empty is
/// left out.
///
/// # Errors
/// When two columns contradict each other.
pub fn resource_of<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Value, String> {
    let mut resource = Map::new();
    for (path, value) in fields.filter(|(_, value)| !value.trim().is_empty()) {
        let value = match (path, value.trim()) {
            ("active", "true" | "True" | "TRUE" | "1" | "yes") => Value::Bool(true),
            ("active", "false" | "False" | "FALSE" | "0" | "no") => Value::Bool(false),
            ("emails" | "phoneNumbers", one) => serde_json::json!([{ "value": one, "primary": true }]),
            (_, one) => one.into(),
        };
        // An extension's attribute is within its URN, whose dots separate nothing.
        let (mut fields, rest) = match path.rsplit_once(':') {
            Some((urn, rest)) => (within(&mut resource, urn)?, rest),
            None => (&mut resource, path),
        };
        let mut name = rest;
        if let Some((attribute, sub)) = rest.split_once('.') {
            fields = within(fields, attribute)?;
            name = sub;
        }
        if fields.insert(name.to_owned(), value).is_some() {
            return Err(format!("two columns give '{path}'"));
        }
    }
    Ok(Value::Object(resource))
}

fn within<'a>(fields: &'a mut Map<String, Value>, name: &str) -> Result<&'a mut Map<String, Value>, String> {
    let inner = fields.entry(name).or_insert_with(|| Value::Object(Map::new()));
    inner.as_object_mut().ok_or_else(|| format!("one column gives '{name}' as a whole, and another a part of it"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_attributes_by_their_paths() {
        let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
        let department = format!("{enterprise}:department");
        let row = [
            ("userName", "anna"),
            ("name.givenName", "Anna"),
            ("active", "no"),
            ("emails", "anna@example.com"),
            (department.as_str(), "Sales"),
            ("title", " "),
        ];
        let wanted = json!({
            "userName": "anna", "name": { "givenName": "Anna" }, "active": false,
            "emails": [{ "value": "anna@example.com", "primary": true }], enterprise: { "department": "Sales" },
        });
        assert_eq!(resource_of(row.into_iter()).unwrap(), wanted);
        assert!(
            resource_of([("name", "Anna"), ("name.givenName", "Anna")].into_iter()).unwrap_err().contains("'name'")
        );
        assert!(resource_of([("title", "a"), ("title", "b")].into_iter()).unwrap_err().contains("two columns"));
    }
}
