//! That someone asked for what is personal is itself an event: always when they were refused, and when they were
//! answered if the configuration says so.

use std::net::IpAddr;
use std::num::NonZeroU32;

use axum::http::{Method, StatusCode};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use rollcall_config::{Reads, ServerConfig};
use rollcall_domain::governance::disclosure::{Access, Outcome};
use rollcall_domain::ids::IdentityId;
use rollcall_domain::{Event, NewEvent};
use rollcall_event_log::{EventLog, Expect, LogError, Unit, by_service};
use rollcall_telemetry::metrics::{label, metrics};
use rollcall_tokens::Attempts;
use tracing::warn;
use uuid::Uuid;

use crate::api::person::Person;
use crate::api::views::Detail;
use crate::error::ApiError;

/// The paths that answer with what is personal.
const PERSONAL: [&str; 16] = [
    "/v1/credentials/{id}",
    "/v1/machines/{id}",
    "/v1/approvals",
    // Who answers for an app sees whom its tasks are about, whatever their role.
    "/v1/tasks",
    // Who approves one, or asked for it, sees whom it is about and why.
    "/v1/grants",
    "/v1/policies/preview",
    "/v1/identities/{id}",
    "/v1/identities/{id}/access",
    "/v1/explain",
    "/v1/grants/{id}",
    "/v1/identities/{id}/timeline",
    "/v1/timeline",
    "/v1/timeline/stream",
    "/v1/export",
    "/v1/plan",
    "/v1/events/{sequence}/proof",
];

/// The paths that show people to those who may see them, one page after the other.
const LISTS: [&str; 11] = [
    "/v1/credentials",
    "/v1/machines",
    "/v1/handovers",
    "/v1/identities",
    "/v1/leavers",
    "/v1/obligations",
    "/v1/drift",
    "/v1/latency",
    "/v1/entitlements/{id}/holders",
    "/v1/violations",
    CONSOLE,
];

/// Stands for a page of the console.
pub const CONSOLE: &str = "/console";

/// The most of a request that is recorded.
const MAX_ASKED: usize = 1000;

/// Refusals that become events in a minute: whoever tries again and again must not fill the log.
const REFUSALS: NonZeroU32 = NonZeroU32::new(60).unwrap();

/// Keeps the record.
#[derive(Debug)]
pub struct Record {
    log: EventLog,
    reads: Reads,
    refusals: DefaultDirectRateLimiter,
    /// Those of people who are nobody, apart from those of people who are known: the ones must not hide the others.
    unknown: DefaultDirectRateLimiter,
    sign_ins: Attempts,
    guesses: Attempts,
}

/// Where someone says who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryPoint {
    /// The console.
    Console,
    /// The paths under `/v1`.
    Api,
}

impl EntryPoint {
    const fn name(self) -> &'static str {
        match self {
            Self::Console => "console",
            Self::Api => "api",
        }
    }
}

/// One request, once it is answered.
#[derive(Debug)]
pub struct Asked<'a> {
    pub person: &'a Person,
    pub method: &'a Method,
    /// As it was routed.
    pub route: &'a str,
    /// As it was sent.
    pub path: &'a str,
    /// What was asked, as it was sent.
    pub query: Option<&'a str>,
    pub status: StatusCode,
}

/// What says whom somebody looks for by something else than an id.
const NAMES: [&str; 7] = ["user_name", "name", "text", "q", "reason", "owner", "holder"];

/// A query as it is recorded for ever: whom somebody has looked for by name may be erased one day.
fn without_names(query: &str) -> String {
    let pairs = url::form_urlencoded::parse(query.as_bytes());
    let shown = pairs.map(|(key, value)| {
        let is_name = NAMES.contains(&&*key)
            || value.contains('@')
            || (matches!(&*key, "identity" | "by") && value.parse::<IdentityId>().is_err());
        (key, if is_name { "(hidden)".into() } else { value })
    });
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(shown).finish()
}

/// A path as it is recorded for ever: in the place of an id somebody may have written a name.
fn path_without_names(path: &str) -> String {
    let mut of_people = false;
    let shown = path.split('/').map(|part| {
        let is_name = part.contains('@') || part.contains("%40") || (of_people && part.parse::<IdentityId>().is_err());
        of_people = matches!(part, "identities" | "leavers" | "machines" | "Users");
        if is_name && !part.is_empty() { "(hidden)" } else { part }
    });
    shown.collect::<Vec<_>>().join("/")
}

impl Record {
    /// A record on the log.
    pub fn new(log: EventLog, reads: Reads, server: &ServerConfig) -> Self {
        let [refusals, unknown] = [(); 2].map(|()| RateLimiter::direct(Quota::per_minute(REFUSALS)));
        let sign_ins = Attempts::new(server.max_sign_ins_per_minute);
        Self { log, reads, refusals, unknown, sign_ins, guesses: Attempts::new(server.max_refusals_per_minute) }
    }

    /// Whether every answer that shows people becomes an event.
    pub fn notes_reads(&self) -> bool {
        self.reads == Reads::Recorded
    }

    /// Whether one more attempt to sign in may have failed from an address.
    pub fn may_sign_in(&self, address: IpAddr) -> bool {
        self.sign_ins.may(Some(address))
    }

    /// Notes that someone sent what is no token, where they sign in or ask; not more often than it may become an event.
    ///
    /// # Errors
    /// When it can't be.
    pub async fn refused(&self, door: EntryPoint, method: &Method, path: &str) -> Result<(), LogError> {
        metrics().signin_failures.add(1, &[label("door", door.name())]);
        if self.unknown.check().is_err() {
            warn!(path, "what is no token was refused, and not recorded: too many refusals in a minute");
            return Ok(());
        }
        let access = Access {
            outcome: Outcome::Denied,
            role: String::new(),
            method: method.to_string(),
            path: path_without_names(path).chars().take(MAX_ASKED).collect(),
            identity: None,
        };
        let meta = by_service("nobody", &Uuid::now_v7().to_string(), None);
        self.log.append(&Unit::one(NewEvent { meta, event: Event::Access(access) }, Expect::Any)).await.map(drop)
    }

    /// The same at the API.
    ///
    /// # Errors
    /// What they are answered with.
    pub async fn guessed(&self, from: Option<IpAddr>, method: &Method, path: &str) -> Result<(), ApiError> {
        if !self.guesses.may(from) {
            let detail = "too many tokens that are nobody's came from your address: wait a minute";
            return Err(ApiError::TooMany { detail, seconds: 60 });
        }
        Ok(self.refused(EntryPoint::Api, method, path).await?)
    }

    /// Notes who asked for what, when it has to be noted.
    ///
    /// # Errors
    /// When it can't be: then they must not be answered.
    pub async fn note<'a>(&self, asked: Asked<'a>) -> Result<(), LogError> {
        let Asked { person, method, route, path, query, status } = asked;
        let shows_people = PERSONAL.contains(&route) || (LISTS.contains(&route) && person.sees() == Detail::Full);
        let outcome = match status {
            StatusCode::FORBIDDEN if self.refusals.check().is_err() => {
                warn!(person = person.name, path, "refused, and not recorded: too many refusals in a minute");
                return Ok(());
            }
            StatusCode::FORBIDDEN => Outcome::Denied,
            status if status.is_success() && self.reads == Reads::Recorded && shows_people => Outcome::Read,
            _ => return Ok(()),
        };
        let identity = path.strip_prefix("/v1/identities/").and_then(|rest| rest.split('/').next());
        let asked_for =
            |query: &'a str| url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "identity");
        let identity = identity.map(str::to_owned).or_else(|| Some(asked_for(query?)?.1.into_owned()));
        let named = path_without_names(path);
        let whole = query.map_or_else(|| named.clone(), |query| format!("{named}?{}", without_names(query)));
        let access = Access {
            outcome,
            role: person.role.name().to_owned(),
            method: method.to_string(),
            path: whole.chars().take(MAX_ASKED).collect(),
            identity: identity.and_then(|id| id.parse::<IdentityId>().ok()),
        };
        let meta = by_service(&person.name, &Uuid::now_v7().to_string(), None);
        self.log.append(&Unit::one(NewEvent { meta, event: Event::Access(access) }, Expect::Any)).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_kept_without_the_names_that_somebody_has_written_into_it() {
        let id = "01a22db1-be16-70de-af88-3bbfd1fca01a";
        for (path, kept) in [
            (format!("/v1/identities/{id}/timeline"), format!("/v1/identities/{id}/timeline")),
            ("/v1/identities/anna@example.com/timeline".into(), "/v1/identities/(hidden)/timeline".into()),
            ("/v1/identities/anna/timeline".into(), "/v1/identities/(hidden)/timeline".into()),
            ("/v1/identities/".into(), "/v1/identities/".into()),
            ("/v1/apps/crm/drills".into(), "/v1/apps/crm/drills".into()),
            ("/x/anna%40example.com".into(), "/x/(hidden)".into()),
        ] {
            assert_eq!(path_without_names(&path), kept);
        }
    }
}
