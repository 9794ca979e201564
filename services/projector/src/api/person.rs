//! Who asks, and what they may ask for.

use std::collections::BTreeSet;

use rollcall_config::Role;
use rollcall_domain::AppId;
use rollcall_domain::access::obligation::ObligationId;
use rollcall_domain::drift::DriftId;
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
            "/v1/apps/{id}" | "/v1/apps/{id}/reconcile" => id.parse().ok(),
            "/v1/obligations/{id}/waive" => id.parse::<ObligationId>().ok().and_then(|id| id.subject.app().cloned()),
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
