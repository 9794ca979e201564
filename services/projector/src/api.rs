//! The paths under `/v1`, who may use them, and what each question is answered from.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter};
use jiff::Timestamp;
use rollcall_config::{ApiToken, ApprovalConfig, Role};
use rollcall_domain::access::obligation::ObligationId;
use rollcall_domain::drift::DriftId;
use rollcall_domain::governance::api_token::{ApiTokenChanged, ApiTokenStep};
use rollcall_domain::{AppId, Event, NewEvent, Sequence};
use rollcall_event_log::{EventLog, Expect, Unit, by_service};
use rollcall_projection::{Store, View};
use rollcall_proof::Key;
use rollcall_scim::Catalogue;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

use crate::access::{Asked, Record};
use crate::console::{Provider, Sessions};
use crate::error::ApiError;
use crate::moment::{AsOf, Moment, Snapshot};
use crate::query::Query;
use crate::streams::{StreamKind, StreamPlace, Streams};
use crate::views::Detail;
use crate::{actions, api_tokens, approvals, ask, export, instant, preview, proofs, sessions, trail};

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
    /// What a configuration would do is looked at one after the other: each looks at everybody.
    pub previews: Semaphore,
    /// How often a token that is not known here yet may be looked for on the log.
    pub looks: DefaultDirectRateLimiter,
    /// How much each may still ask.
    pub rate: DefaultKeyedRateLimiter<String>,
    pub max_page: usize,
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

/// Every path with its description.
pub fn described() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .merge(ask::router())
        .merge(trail::router())
        .merge(export::router())
        .merge(proofs::router())
        .merge(actions::router())
        .merge(sessions::router())
        .merge(api_tokens::router())
        .merge(approvals::router())
        .merge(preview::router())
}

/// The router; every path needs an API token.
pub fn router(api: Arc<Api>) -> Router {
    let (paths, _) = described().split_for_parts();
    paths
        .route("/v1/{*path}", get(nothing_here))
        .layer(middleware::from_fn_with_state(Arc::clone(&api), authorize))
        .with_state(api)
}

async fn nothing_here(uri: Uri) -> ApiError {
    ApiError::NotFound(format!("path {}", uri.path()))
}

async fn authorize(State(api): Shared, mut request: Request, next: Next) -> Result<Response, ApiError> {
    let sent = request.headers().get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    let Some(sent) = sent.and_then(|v| v.strip_prefix("Bearer ").or_else(|| v.strip_prefix("bearer "))) else {
        return Err(ApiError::Unauthorized("send an API token: Authorization: Bearer …"));
    };
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let Some(person) = api.holder_of(sent).await? else {
        let from = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|from| from.0.ip());
        api.record.guessed(from, &method, uri.path()).await?;
        return Err(ApiError::Unauthorized("the token is not that of any [[api_tokens]] in the configuration"));
    };
    if api.rate.check_key(&person.name).is_err() {
        return Err(ApiError::TooMany { detail: "this token asks more often than it may in a second", seconds: 1 });
    }
    let credential = Credential(SecretString::from(sent.to_owned()));
    request.extensions_mut().insert(credential);
    request.extensions_mut().insert(person.clone());
    let (path, query) = (uri.path(), uri.query());
    let route = request.extensions().get::<MatchedPath>().map(|route| route.as_str().to_owned()).unwrap_or_default();
    let response = match person.may_ask(&route, path, query) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    };
    let status = response.status();
    api.record.note(Asked { person: &person, method: &method, route: &route, path, query, status }).await?;
    Ok(response)
}

/// The token that someone has sent: what goes on without an end looks at it again.
#[derive(Debug, Clone)]
pub struct Credential(SecretString);

/// Who asks.
#[derive(Debug, Clone)]
pub struct Person {
    /// The name of their token.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// The apps that they may ask about; `None`: all.
    pub apps: Option<BTreeSet<AppId>>,
}

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

impl Person {
    /// Refuses who may less than this.
    ///
    /// # Errors
    /// 403.
    pub fn needs(&self, role: Role) -> Result<(), ApiError> {
        if self.role >= role {
            return Ok(());
        }
        let (name, has, needed) = (&self.name, self.role.name(), role.name());
        Err(ApiError::Forbidden(format!("'{name}' has the role {has}: this needs {needed}")))
    }

    /// Refuses who may not ask about an app.
    ///
    /// # Errors
    /// 403.
    pub fn needs_app(&self, app: Option<&AppId>) -> Result<(), ApiError> {
        let Some(apps) = &self.apps else { return Ok(()) };
        if app.is_some_and(|app| apps.contains(app)) {
            return Ok(());
        }
        let all = apps.iter().map(AppId::as_str).collect::<Vec<_>>().join(", ");
        Err(ApiError::Forbidden(format!("'{}' may ask about {all} only: name one of them", self.name)))
    }

    /// Refuses whoever has a token for some apps all that is not about one of them.
    fn may_ask(&self, route: &str, path: &str, query: Option<&str>) -> Result<(), ApiError> {
        if self.apps.is_none() {
            return Ok(());
        }
        let named = || {
            let pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
            let apps: Vec<_> = pairs.filter(|(key, _)| key == "app").collect();
            // Which of several counts is for nobody to guess.
            if let [(_, app)] = apps.as_slice() { app.parse().ok() } else { None }
        };
        let id = path.split('/').nth(3).unwrap_or_default();
        let app: Option<AppId> = match route {
            "/v1/apps/{id}" | "/v1/apps/{id}/reconcile" => id.parse().ok(),
            "/v1/obligations/{id}/waive" => id.parse::<ObligationId>().ok().map(|id| id.app),
            "/v1/drift/{id}/accept" => id.parse::<DriftId>().ok().map(|id| id.app),
            "/v1/obligations" | "/v1/drift" | "/v1/timeline" | "/v1/timeline/stream" | "/v1/plan" | "/v1/latency" => {
                named()
            }
            // The body says it.
            "/v1/sync" | "/v1/plan/configuration" => return Ok(()),
            _ => None,
        };
        self.needs_app(app.as_ref())
    }

    /// How much of other people they see.
    pub fn sees(&self) -> Detail {
        if self.role >= Role::Auditor { Detail::Full } else { Detail::Impersonal }
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
            return Ok(Snapshot { state: Moment::Now(view), as_of });
        };
        if instant > now {
            return Err(ApiError::BadRequest(format!("query parameter 'as_of': {instant} has yet to come")));
        }
        let sequence = instant::last_at(&view, instant)?;
        Ok(Snapshot { state: Moment::Past(self.store.view_at(sequence)), as_of: AsOf { instant, sequence } })
    }

    /// Whose API token this is.
    ///
    /// # Errors
    /// When the state can't be read, or that it is used can't be said.
    pub async fn holder_of(&self, sent: &str) -> Result<Option<Person>, ApiError> {
        let (sent, now) = (sent.trim(), Timestamp::now());
        if let Some(token) = self.tokens.iter().find(|t| t.token.matches(sent)) {
            return Ok(Some(Person { name: token.name.clone(), role: token.role, apps: None }));
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

    /// Whether a token still opens what it has opened.
    pub async fn still_opens(&self, credential: &Credential) -> bool {
        matches!(self.holder_of(credential.0.expose_secret()).await, Ok(Some(_)))
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
