//! One account, once: find, change, read back, say what was seen.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use reqwest::StatusCode;
use rollcall_config::AppConfig;
use rollcall_domain::account::{
    Account, Applied, Desired, Operation, Origin, Rejected, RejectionCause, Remote, Step, Verified, judge, plan,
};
use rollcall_domain::drift::{DriftDetected, DriftKind};
use rollcall_domain::{Event, NewEvent, Sequence, directory, ledger};
use rollcall_event_log::{EventLog, Expect, Unit, by_service};
use rollcall_projection::Store;
use rollcall_scim::{Changed, PATCH_OP, USER};
use serde_json::{Map, Value, json};
use tracing::info;

use crate::client::{Failure, ScimClient};
use crate::error::ProvisionerError;
use crate::locate::{LocateError, Located, Wanted, locate, to_remote};
use crate::ownership::Ownership;
use crate::service::NAME;

/// How often an app that lags is read again before its answer counts as drift.
const READ_BACKS: usize = 3;

/// What is needed to work on the accounts of one app.
#[derive(Debug)]
pub struct Desk {
    pub log: EventLog,
    pub store: Arc<Store>,
    pub config: Option<AppConfig>,
    pub client: Option<ScimClient>,
}

/// How one attempt ended.
#[derive(Debug)]
pub enum Outcome {
    /// It was read back as desired.
    Verified,
    /// It has to be tried again, not before this time.
    Again(Option<Duration>),
}

enum Trouble {
    App(Failure),
    Drift(DriftKind, Vec<Changed>),
    Ours(ProvisionerError),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::App(failure)
    }
}

impl From<LocateError> for Trouble {
    fn from(error: LocateError) -> Self {
        match error {
            LocateError::App(failure) => Self::App(failure),
            LocateError::State(error) => Self::Ours(error.into()),
        }
    }
}

impl<E: Into<ProvisionerError>> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self::Ours(error.into())
    }
}

impl Desk {
    /// Brings one account to what is desired, as far as the app lets us, and appends what was seen.
    ///
    /// # Errors
    /// When our own log or state fails; the app's failures are outcomes.
    pub async fn work_on(&self, account: &Account) -> Result<Outcome, ProvisionerError> {
        let trouble = match self.attempt(account).await {
            Ok(()) => return Ok(Outcome::Verified),
            Err(trouble) => trouble,
        };
        match trouble {
            Trouble::Ours(error) => Err(error),
            Trouble::App(failure) => {
                info!(
                    cause = failure.rejection.cause.name(),
                    status = failure.rejection.status,
                    detail = failure.rejection.detail,
                    "the app could not be changed or read"
                );
                // One event for the first failure and for each that differs: a dead app must not flood the log.
                if account.rejection.as_ref().is_none_or(|last| !last.repeats(&failure.rejection)) {
                    let rejected = Rejected {
                        app: account.app.clone(),
                        identity: account.identity,
                        version: account.desired_version,
                        rejection: failure.rejection,
                    };
                    self.append(account, Event::AccountRejected(rejected)).await?;
                }
                Ok(Outcome::Again(failure.retry_after))
            }
            Trouble::Drift(kind, differences) => {
                info!(kind = kind.name(), "the app shows something else than what is desired");
                let open = ledger::drift_of(&self.store.view(), &account.app, account.identity)?;
                let same = |d: &rollcall_domain::drift::DriftItem| {
                    d.kind == kind && d.differences == differences && d.version == account.desired_version
                };
                if !open.as_ref().is_some_and(same) {
                    let drift = DriftDetected {
                        app: account.app.clone(),
                        identity: account.identity,
                        version: account.desired_version,
                        kind,
                        differences,
                    };
                    self.append(account, Event::DriftDetected(drift)).await?;
                }
                Ok(Outcome::Again(None))
            }
        }
    }

    async fn attempt(&self, account: &Account) -> Result<(), Trouble> {
        let (Some(client), Some(config)) = (&self.client, &self.config) else {
            let detail = "the app is not in the configuration: connect it again, or close its accounts by hand";
            return Err(Failure::new(RejectionCause::NotConnected, detail).into());
        };
        let mut wanted = self.wanted(account)?;
        let mut located = locate(client, &self.store.view(), &wanted, config.max_scan).await?;
        refuse_foreign(located.as_ref())?;
        let mut step = plan(&account.desired, remote(located.as_ref()), config.spec.deprovision);
        if let Step::Create(attributes) = &step {
            let answer = client.create(&new_user(attributes)).await?;
            match answer.status {
                StatusCode::CREATED | StatusCode::OK => {
                    let created = answer.body.as_ref().and_then(to_remote);
                    let created = created.ok_or_else(|| answer.not_scim("the answer to a creation is not a User"))?;
                    wanted.remote_id = Some(created.id.clone());
                    self.applied(account, Some(created.id), Operation::Create, Origin::Ours).await?;
                    step = Step::Nothing;
                }
                StatusCode::CONFLICT => {
                    // Someone was faster, perhaps ourselves before a restart: adopt it, or name the conflict.
                    located = locate(client, &self.store.view(), &wanted, config.max_scan).await?;
                    refuse_foreign(located.as_ref())?;
                    if located.is_none() {
                        return Err(answer.failure().into());
                    }
                    step = plan(&account.desired, remote(located.as_ref()), config.spec.deprovision);
                }
                _ => return Err(answer.failure().into()),
            }
        }
        if let Some(found) = &located {
            wanted.remote_id = Some(found.remote.id.clone());
            let origin = match found.ownership {
                Ownership::Ours => Origin::Ours,
                Ownership::Adoptable | Ownership::Foreign => Origin::Adopted,
            };
            let operation = change(client, &step, &account.desired, &found.remote).await?;
            if let Some(operation) = operation {
                self.applied(account, Some(found.remote.id.clone()), operation, origin).await?;
            }
        }
        let observed = self.read_back(client, config, account, &wanted).await?;
        let verified = Verified {
            app: account.app.clone(),
            identity: account.identity,
            version: account.desired_version,
            remote_id: observed.as_ref().map(|r| r.id.clone()),
            target: account.desired.target(),
            observed: observed.map(|r| r.managed()).unwrap_or_default(),
        };
        self.append(account, Event::AccountVerified(verified)).await?;
        Ok(())
    }

    fn wanted(&self, account: &Account) -> Result<Wanted, Trouble> {
        let identity = directory::identity(&self.store.view(), account.identity)?;
        let names = [
            identity.as_ref().map(|i| i.user_name().to_owned()),
            account.observed.as_ref().and_then(|o| o.get("userName")?.as_str()).map(str::to_owned),
        ];
        Ok(Wanted {
            identity: account.identity,
            target: account.desired.target(),
            remote_id: account.remote_id.clone(),
            user_names: names.into_iter().flatten().filter(|n| !n.is_empty()).collect(),
        })
    }

    /// Reads the account until it is as desired; an app that lags gets a few moments.
    async fn read_back(
        &self,
        client: &ScimClient,
        config: &AppConfig,
        account: &Account,
        wanted: &Wanted,
    ) -> Result<Option<Remote>, Trouble> {
        let pauses =
            ExponentialBuilder::default().with_min_delay(Duration::from_millis(250)).with_max_times(READ_BACKS).build();
        let mut pauses = pauses.into_iter();
        loop {
            let located = locate(client, &self.store.view(), wanted, config.max_scan).await?;
            // Someone else's account proves nothing about ours.
            refuse_foreign(located.as_ref())?;
            match judge(&account.desired, remote(located.as_ref()), config.spec.deprovision) {
                Ok(_) => return Ok(located.map(|l| l.remote)),
                Err((kind, differences)) => match pauses.next() {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => return Err(Trouble::Drift(kind, differences)),
                },
            }
        }
    }

    async fn applied(
        &self,
        account: &Account,
        remote_id: Option<String>,
        operation: Operation,
        origin: Origin,
    ) -> Result<(), ProvisionerError> {
        let applied = Applied {
            app: account.app.clone(),
            identity: account.identity,
            version: account.desired_version,
            remote_id,
            operation,
            origin,
        };
        self.append(account, Event::AccountApplied(applied)).await?;
        Ok(())
    }

    /// Appends, and waits until our own state holds it: the next decision must know.
    async fn append(&self, account: &Account, event: Event) -> Result<Sequence, ProvisionerError> {
        let meta = by_service(NAME, &account.correlation_id, Some(account.caused_by));
        let appended = self.log.append(&Unit::one(NewEvent { meta, event }, Expect::Any)).await?;
        self.store.wait_for(appended.last, Duration::from_secs(60)).await?;
        Ok(appended.last)
    }
}

fn remote(located: Option<&Located>) -> Option<&Remote> {
    located.map(|l| &l.remote)
}

fn refuse_foreign(located: Option<&Located>) -> Result<(), Failure> {
    let Some(found) = located.filter(|l| l.ownership == Ownership::Foreign) else { return Ok(()) };
    let detail = format!(
        "the app's account '{}' (id {}) has this user name and belongs to identity {}",
        found.remote.text("userName"),
        found.remote.id,
        found.remote.text("externalId"),
    );
    Err(Failure::new(RejectionCause::Conflict, detail))
}

fn new_user(attributes: &Map<String, Value>) -> Value {
    let mut resource = attributes.clone();
    resource.insert("schemas".into(), json!([USER.id]));
    Value::Object(resource)
}

/// Asks the app for one step; what was done, if anything was to do.
async fn change(
    client: &ScimClient,
    step: &Step,
    desired: &Desired,
    remote: &Remote,
) -> Result<Option<Operation>, Failure> {
    let (operation, answer) = match step {
        Step::Nothing | Step::Create(_) => return Ok(None),
        Step::Update(changes) => {
            let answer = client.patch(&remote.id, &patch(changes)).await?;
            let answer = match (patch_is_missing(answer.status), desired) {
                (true, Desired::Present(attributes)) => client.replace(&remote.id, &merged(remote, attributes)).await?,
                _ => answer,
            };
            (Operation::Update, answer)
        }
        Step::Deactivate => {
            let inactive = Changed { path: "active".into(), before: Some(false.into()), after: None };
            let answer = client.patch(&remote.id, &patch(&[inactive])).await?;
            let answer = if patch_is_missing(answer.status) {
                let attributes = Map::from_iter([("active".to_owned(), Value::Bool(false))]);
                client.replace(&remote.id, &merged(remote, &attributes)).await?
            } else {
                answer
            };
            (Operation::Deactivate, answer)
        }
        Step::Delete => (Operation::Delete, client.delete(&remote.id).await?),
    };
    let gone = operation != Operation::Update && answer.status == StatusCode::NOT_FOUND;
    if answer.status.is_success() || gone { Ok(Some(operation)) } else { Err(answer.failure()) }
}

fn patch_is_missing(status: StatusCode) -> bool {
    matches!(status, StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED)
}

fn patch(changes: &[Changed]) -> Value {
    let operations: Vec<Value> = changes
        .iter()
        .map(|change| match &change.before {
            Some(wanted) => json!({ "op": "replace", "path": change.path, "value": wanted }),
            None => json!({ "op": "remove", "path": change.path }),
        })
        .collect();
    json!({ "schemas": [PATCH_OP], "Operations": operations })
}

/// The app's own resource with the managed attributes on top, for an app without PATCH.
fn merged(remote: &Remote, attributes: &Map<String, Value>) -> Value {
    let mut resource = remote.resource.clone();
    resource.remove("meta");
    for (name, value) in attributes {
        match (resource.get_mut(name), value) {
            (Some(Value::Object(old)), Value::Object(new)) => old.extend(new.clone()),
            _ => {
                resource.insert(name.clone(), value.clone());
            }
        }
    }
    Value::Object(resource)
}
