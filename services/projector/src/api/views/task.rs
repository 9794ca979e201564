//! What people have to do.

use jiff::Timestamp;
use rollcall_domain::access::account::Account;
use rollcall_domain::access::desired::Target;
use rollcall_domain::access::obligation::{Obligation, ObligationId, ObligationStatus};
use rollcall_domain::access::task::TaskId;
use rollcall_domain::access::to_do::to_do;
use rollcall_domain::ids::{AppId, IdentityId};
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::{directory, ledger};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Detail;
use crate::api::plan::waits_for_a_person;
use crate::api::schema;

/// How far a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskStatus {
    /// Somebody has to do it.
    Open,
    /// Nobody has, and its deadline has passed.
    Overdue,
    /// It is not to be done before somebody has decided, or a time has passed.
    Waits,
    /// Somebody says that it is done, and a list will show it.
    Attested,
}

impl TaskStatus {
    /// Each.
    pub const ALL: [Self; 4] = [Self::Open, Self::Overdue, Self::Waits, Self::Attested];

    /// How far the task is that an account is, which waits for somebody or not.
    fn of(account: &Account, waits: bool, said: bool) -> Self {
        let overdue = account.owes.iter().any(|owed| owed.status() == ObligationStatus::Overdue);
        match (waits, overdue, said) {
            (true, ..) => Self::Waits,
            (false, true, _) => Self::Overdue,
            (false, false, true) => Self::Attested,
            (false, false, false) => Self::Open,
        }
    }
}

/// Something that a person has to do in an app that Rollcall does not change itself.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TaskView {
    #[schema(value_type = String)]
    pub id: TaskId,
    #[schema(value_type = String)]
    pub app: AppId,
    pub app_name: String,
    /// Who answers for the app.
    pub owner: String,
    #[schema(value_type = uuid::Uuid)]
    pub identity: IdentityId,
    /// Whose account it is; absent for viewers who do not answer for the app.
    pub user_name: Option<String>,
    #[schema(schema_with = schema::target)]
    pub target: Target,
    #[schema(schema_with = schema::task_status)]
    pub status: TaskStatus,
    /// What has to be done, one thing after the other; absent where `user_name` is.
    pub to_do: Option<Vec<String>>,
    /// How it is done there, as the configuration says.
    pub instructions: String,
    /// Whether a list shows that it is not done, although somebody has said so.
    pub refuted: bool,
    /// Why it is not to be done yet.
    pub waits: Option<String>,
    #[schema(schema_with = schema::time_or_null)]
    pub opened_at: Option<Timestamp>,
    /// Until when; null where nothing is owed, such as where a person has asked to look again.
    #[schema(schema_with = schema::time_or_null)]
    pub deadline: Option<Timestamp>,
    /// When somebody said that it is done, where a list will show it.
    #[schema(schema_with = schema::time_or_null)]
    pub attested_at: Option<Timestamp>,
    pub attested_by: Option<String>,
    #[schema(value_type = Vec<String>)]
    pub obligations: Vec<ObligationId>,
}

impl TaskView {
    /// The task that an account is; `None`: its app is not known.
    pub fn of(state: &impl Read, account: &Account, detail: Detail) -> Result<Option<Self>, KvError> {
        let Some(app) = directory::app(state, &account.app)? else { return Ok(None) };
        let who = directory::identity(state, account.identity)?;
        let name = who.as_ref().map(|who| who.user_name()).filter(|name| !name.is_empty());
        let waits = waits_for_a_person(state, account)?;
        // What a list has shown since counts for more.
        let refuted = account.word().is_some_and(|said| said.refuted && !said.taken_back);
        let said = account.standing_word();
        let anothers = ledger::names_of_others(state, account)?;
        Ok(Some(Self {
            id: TaskId::of(account),
            app: account.app.clone(),
            identity: account.identity,
            user_name: name.map(str::to_owned).and_then(|name| detail.show(name)),
            target: account.desired.target(),
            status: TaskStatus::of(account, waits.is_some(), said.is_some()),
            to_do: detail.show(to_do(account, &app.spec, name, &anothers)),
            refuted,
            waits,
            opened_at: account.owes.iter().map(|owed| owed.opened_at).min(),
            deadline: account.owes.iter().map(Obligation::rings_at).min(),
            attested_at: said.map(|said| said.at),
            attested_by: said.and_then(|said| detail.show(said.who.clone())),
            obligations: account.owes.iter().map(|owed| owed.id.clone()).collect(),
            app_name: app.spec.name,
            owner: app.spec.owner,
            instructions: app.spec.instructions,
        }))
    }
}
