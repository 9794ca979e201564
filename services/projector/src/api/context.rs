//! What every path needs.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter};
use jiff::Timestamp;
use rollcall_config::{ApiToken, ApprovalConfig, Retention, Role};
use rollcall_domain::governance::api_token::{ApiTokenChanged, ApiTokenStep};
use rollcall_domain::{Event, NewEvent, Sequence};
use rollcall_event_log::{EventLog, Expect, Unit, by_service};
use rollcall_projection::{Store, View};
use rollcall_proof::Key;
use rollcall_scim::Catalogue;
use secrecy::SecretString;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::api::disclosure::Record;
use crate::api::person::Person;
use crate::api::query::Query;
use crate::api::streams::{StreamKind, StreamPlace, Streams};
use crate::as_of::{AsOf, Snapshot, StateAt};
use crate::console::{Provider, Sessions};
use crate::error::ApiError;
use crate::state::api_tokens;
use crate::timeline::time_index;

/// What the paths need.
#[derive(Debug)]
pub struct Api {
    pub log: EventLog,
    pub store: Arc<Store>,
    pub tokens: Vec<ApiToken>,
    pub keys: Arc<Vec<Key>>,
    /// Wants what there is signed now.
    pub sealing: Arc<Notify>,
    /// How far ahead an exception may reach, by one person's decision and by that of two.
    pub max_exception: Duration,
    pub max_approved_exception: Duration,
    pub approvals: ApprovalConfig,
    /// The roles that groups at the provider have.
    pub roles_of_groups: Vec<Role>,
    /// When those who left are erased; none: when somebody says so.
    pub retention: Option<Retention>,
    /// What a configuration would do is looked at one after the other: each looks at everybody.
    pub previews: Arc<Semaphore>,
    /// So many questions about trends are answered at once.
    pub trends: Semaphore,
    /// How often a token that is not known here yet may be looked for on the log.
    pub looks: DefaultDirectRateLimiter,
    /// How much each may still ask.
    pub rate: DefaultKeyedRateLimiter<String>,
    pub max_page: usize,
    /// How old the secret of a credential may be.
    pub max_credential_age: Duration,
    /// What links to tasks are signed with; none: there are none.
    pub link_key: Option<SecretString>,
    pub catalogue: Catalogue,
    pub patience: Duration,
    pub record: Record,
    pub sessions: Sessions,
    /// Who else knows people; none: only tokens open the console.
    pub provider: Option<Provider>,
    /// The server stops: whatever has no end of its own ends now.
    pub closing: CancellationToken,
    /// The streams that are open.
    pub streams: Arc<Streams>,
}

pub type Shared = State<Arc<Api>>;

/// The parameters of a request, as they came.
pub type Pairs = axum::extract::Query<Vec<(String, String)>>;

impl Api {
    /// Appends what someone did, and waits until it is known here.
    ///
    /// # Errors
    /// When the log can't be reached.
    pub async fn append(&self, by: &str, event: Event) -> Result<(), ApiError> {
        let meta = by_service(by, &Uuid::now_v7().to_string(), None);
        self.append_unit(&Unit::one(NewEvent { meta, event }, Expect::Any)).await?;
        Ok(())
    }

    /// Appends what belongs together, and waits until it is known here; where the last of it is on the log.
    ///
    /// # Errors
    /// When the log can't be reached, or what the unit expects is not so.
    pub async fn append_unit(&self, unit: &Unit) -> Result<Sequence, ApiError> {
        let appended = self.log.append(unit).await?;
        self.store.wait_for(appended.last, self.patience).await?;
        Ok(appended.last)
    }
}

impl Api {
    /// The state with everything in it that the log had when the request came in.
    pub async fn fresh(&self) -> Result<View, ApiError> {
        self.store.wait_for(self.log.head().await?, self.patience).await?;
        Ok(self.store.view())
    }

    /// The state that a question is about.
    ///
    /// # Errors
    /// When `as_of` is no time or has yet to come, or the log can't be reached.
    pub async fn snapshot(&self, query: &Query) -> Result<Snapshot, ApiError> {
        let view = self.fresh().await?;
        let (now, asked) = (Timestamp::now(), query.time("as_of")?);
        let Some(instant) = asked else {
            let as_of = AsOf { instant: now, sequence: self.store.cursor() };
            return Ok(Snapshot { state: StateAt::Now(view), as_of });
        };
        if instant > now {
            return Err(ApiError::BadRequest(format!("query parameter 'as_of': {instant} has yet to come")));
        }
        let sequence = time_index::last_at(&view, instant)?;
        Ok(Snapshot { state: StateAt::Past(self.store.view_at(sequence)), as_of: AsOf { instant, sequence } })
    }

    /// Whose API token this is.
    ///
    /// # Errors
    /// When the state can't be read, or that it is used can't be said.
    pub async fn holder_of(&self, sent: &str) -> Result<Option<Person>, ApiError> {
        let (sent, now) = (sent.trim(), Timestamp::now());
        if let Some(token) = self.tokens.iter().find(|t| t.token.matches(sent)) {
            return Ok(Some(Person::of_token(token)));
        }
        if api_tokens::id_of(sent).is_none() {
            return Ok(None);
        }
        let found = match api_tokens::find(&self.store.view(), sent, now)? {
            // It may have been made a moment ago, perhaps elsewhere.
            None if self.looks.check().is_ok() => api_tokens::find(&self.fresh().await?, sent, now)?,
            found => found,
        };
        let Some(token) = found else { return Ok(None) };
        let person = token.person();
        if let Some(person) = person.as_ref().filter(|_| token.is_silent(now)) {
            let used = ApiTokenChanged { id: token.id, step: ApiTokenStep::Used };
            self.append(&person.name, Event::ApiToken(used)).await?;
        }
        Ok(person)
    }

    /// A place for one more stream of someone, until it is dropped.
    ///
    /// # Errors
    /// When too many are open, of theirs or in all.
    pub fn stream(&self, of: StreamKind, person: &Person) -> Result<StreamPlace, ApiError> {
        self.streams.take(of, &person.name).ok_or(ApiError::Busy)
    }

    /// The parameters of a request.
    ///
    /// # Errors
    /// 400 when one is not known.
    pub fn query<P: IntoParams>(&self, pairs: Pairs) -> Result<Query, ApiError> {
        Query::read::<P>(pairs.0, self.max_page)
    }
}

/// What is not there.
pub fn unknown(what: &str, id: &str) -> ApiError {
    ApiError::NotFound(format!("{what} '{id}'"))
}
