//! Who asks, and what they may ask for.

use std::collections::BTreeSet;

use rollcall_config::{ApiToken, PersonAttribute, Role};
use rollcall_domain::access::obligation::ObligationId;
use rollcall_domain::access::task::TaskId;
use rollcall_domain::drift::DriftId;
use rollcall_domain::identity::{IdentityKind, actor};
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::{AppId, IdentityId, directory};
use secrecy::{ExposeSecret as _, SecretString};

use crate::api::views::Detail;
use crate::error::ApiError;

/// The token that someone has sent: what goes on without an end looks at it again.
#[derive(Debug, Clone)]
pub struct Credential(pub SecretString);

impl Credential {
    /// What was sent.
    pub fn new(sent: &str) -> Self {
        Self(SecretString::from(sent.to_owned()))
    }

    /// It, to be looked at again.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// Who asks.
#[derive(Debug, Clone)]
pub struct Person {
    /// The name of their token.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// The apps that they may ask about; `None`: all.
    pub apps: Option<BTreeSet<AppId>>,
    /// Whether the configuration, or the identity provider, vouches for their name.
    pub vouched: Vouched,
    /// By what they are known as an identity; `None`: by nothing.
    pub known_by: Option<KnownBy>,
}

/// Whether somebody's name is that of nobody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vouched {
    /// The configuration, or the identity provider, says so.
    Yes,
    /// A token that was made while Rollcall runs has the name that its maker chose, who is known.
    ByMaker,
    /// People may choose it themselves where they sign in.
    No,
}

/// By what somebody is known as an identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownBy {
    /// The attribute of the identity.
    pub attribute: PersonAttribute,
    /// Its value.
    pub value: String,
}

/// Nobody could tell them from whom it is about.
pub fn unvouched() -> ApiError {
    ApiError::Forbidden(
        "whoever signs in with a name that they may choose themselves is not known to be somebody else than whom it is about: set \
         oidc.name_claim, or use a token"
            .into(),
    )
}

impl KnownBy {
    /// As `identity` of a token of the configuration says it: by an id, or by a user name.
    pub fn of_token(identity: &str) -> Self {
        let is_id = identity.parse::<IdentityId>().is_ok();
        let attribute = if is_id { PersonAttribute::Id } else { PersonAttribute::UserName };
        Self { attribute, value: identity.to_owned() }
    }
}

impl Person {
    /// Whoever holds a token of the configuration.
    pub fn of_token(token: &ApiToken) -> Self {
        let known_by = token.identity.as_deref().map(KnownBy::of_token);
        Self { name: token.name.clone(), role: token.role, apps: None, vouched: Vouched::Yes, known_by }
    }

    /// What events name them by.
    ///
    /// # Errors
    /// When the state can't be read.
    pub fn actor(&self, state: &impl Read) -> Result<String, KvError> {
        Ok(self.identity(state)?.map_or_else(|| self.name.clone(), actor))
    }

    /// Which identity they are; `None`: none that is known, or none alone.
    ///
    /// # Errors
    /// When the state can't be read.
    pub fn identity(&self, state: &impl Read) -> Result<Option<IdentityId>, KvError> {
        let Some(KnownBy { attribute, value }) = &self.known_by else { return Ok(None) };
        let ids = match attribute {
            PersonAttribute::UserName => {
                return directory::id_by_name(state, IdentityKind::User, value);
            }
            PersonAttribute::ExternalId => directory::ids_by_external_id(state, value)?,
            PersonAttribute::Id => value.parse().into_iter().collect(),
        };
        Ok(<[IdentityId; 1]>::try_from(ids).ok().map(|[id]| id))
    }

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
    pub fn may_ask(&self, route: &str, path: &str, query: Option<&str>) -> Result<(), ApiError> {
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
            "/v1/apps/{id}"
            | "/v1/apps/{id}/reconcile"
            | "/v1/apps/{id}/gone"
            | "/v1/apps/{id}/same"
            | "/v1/apps/{id}/remove"
            | "/v1/apps/{id}/drill"
            | "/v1/apps/{id}/drills" => id.parse().ok(),
            "/v1/obligations/{id}/waive" => id.parse::<ObligationId>().ok().and_then(|id| id.subject.app().cloned()),
            "/v1/tasks/{id}/done" => id.parse::<TaskId>().ok().map(|id| id.app),
            "/v1/drift/{id}/accept" => id.parse::<DriftId>().ok().map(|id| id.app),
            "/v1/obligations"
            | "/v1/tasks"
            | "/v1/drift"
            | "/v1/timeline"
            | "/v1/timeline/stream"
            | "/v1/plan"
            | "/v1/latency" => named(),
            // The body says it.
            "/v1/sync" => return Ok(()),
            _ => None,
        };
        self.needs_app(app.as_ref())
    }

    /// How much of other people they see.
    pub fn sees(&self) -> Detail {
        if self.role >= Role::Auditor { Detail::Full } else { Detail::Impersonal }
    }
}
