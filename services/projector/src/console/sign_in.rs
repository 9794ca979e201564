//! Who is signed in: a cookie with a secret that only that browser has. Whose it is, since when and how long is on the log.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use axum_extra::extract::PrivateCookieJar;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use rollcall_config::{ApiToken, PersonAttribute, Role};
use rollcall_domain::Event;
use rollcall_domain::governance::session::{SessionChanged, SessionHolder, SessionStep};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use tracing::info;

use crate::api::context::{Api, Shared};
use crate::api::disclosure::{self, Asked};
use crate::api::person::{KnownBy, Person, Vouched};
use crate::api::relations::may_act;
use crate::console::provider::Provider;
use crate::console::sessions::{COOKIE, IDLE, LASTS, SAID_EVERY, Secret};
use crate::console::wanted;
use crate::error::ApiError;
use crate::state::api_tokens::{self, KnownToken};
use crate::state::sessions as known_sessions;
use crate::state::sessions::Session;

/// Whose session it is, as long as it lasts, is used, and whoever it is may still sign in.
fn holder(rules: SignInRules<'_>, session: &Session, secret: &Secret, now: Timestamp) -> Option<Person> {
    if now >= session.until || now.duration_since(session.used_at) > IDLE {
        return None;
    }
    match &session.holder {
        SessionHolder::Token { name, proof } => {
            let is_theirs = |digest: &[u8]| secret.proof(digest) == *proof;
            if let Some(issued) = rules.issued.filter(|token| token.issued.name == *name) {
                return issued.person().filter(|person| person.apps.is_none() && is_theirs(&issued.issued.digest));
            }
            let token = rules.tokens.iter().find(|token| token.name == *name)?;
            token.token.current().iter().find(|now| is_theirs(&api_tokens::digest(now.expose_secret())))?;
            Some(Person::of_token(token))
        }
        // A role that no group of the provider gives any more is nobody's.
        SessionHolder::Provider { name, role } => {
            let role = Role::from_name(role).filter(|role| rules.roles.contains(role))?;
            let known_by = rules.people.map(|attribute| KnownBy { attribute, value: name.clone() });
            // A name that anybody can choose at the provider vouches for nothing.
            let vouched = if known_by.is_some() { Vouched::Yes } else { Vouched::No };
            Some(Person { name: name.clone(), role, apps: None, vouched, known_by })
        }
    }
}

/// The ways in that the configuration has now.
#[derive(Clone, Copy)]
struct SignInRules<'a> {
    tokens: &'a [ApiToken],
    /// The token by which it was opened, when it was made while Rollcall runs and opens something.
    issued: Option<&'a KnownToken>,
    /// The roles that a provider gives; none: there is no provider.
    roles: &'a [Role],
    /// By what those whom the provider knows are known as identities.
    people: Option<PersonAttribute>,
}

/// Who is signed in with a browser.
pub async fn person(api: &Api, headers: &HeaderMap) -> Result<Option<Person>, ApiError> {
    let Some(secret) = api.sessions.secret(headers) else { return Ok(None) };
    let id = secret.id();
    let found = match known_sessions::find(&api.store.view(), &id)? {
        // It may have been opened at another projector a moment ago.
        None => known_sessions::find(&api.fresh().await?, &id)?,
        found => found,
    };
    let now = Timestamp::now();
    let roles = api.provider.as_ref().map(Provider::roles).unwrap_or_default();
    let issued = match found.as_ref().map(|session| &session.holder) {
        Some(SessionHolder::Token { name, .. }) => api_tokens::live_by_name(&api.store.view(), name, now)?,
        _ => None,
    };
    let people = api.provider.as_ref().and_then(Provider::people);
    let rules = SignInRules { tokens: &api.tokens, issued: issued.as_ref(), roles: &roles, people };
    let Some((session, person)) = found.and_then(|s| Some((s.clone(), holder(rules, &s, &secret, now)?))) else {
        return Ok(None);
    };
    if now.duration_since(session.used_at) > SAID_EVERY {
        api.append(&person.name, Event::Session(SessionChanged { id, step: SessionStep::Used })).await?;
    }
    Ok(Some(person))
}

/// Opens a session for whoever `holder` says, once it is on the log.
///
/// # Errors
/// When it is not.
pub async fn open(
    api: &Api,
    jar: PrivateCookieJar,
    name: &str,
    by: SignedIn<'_>,
) -> Result<PrivateCookieJar, ApiError> {
    let secret = Secret::new();
    let until = Timestamp::now().checked_add(LASTS).unwrap_or(Timestamp::MAX);
    let name = name.to_owned();
    let holder = match by {
        SignedIn::WithToken(token) => SessionHolder::Token { name, proof: secret.proof(&api_tokens::digest(token)) },
        SignedIn::AtProvider(role) => SessionHolder::Provider { name, role: role.name().to_owned() },
    };
    info!(name = holder.name(), "signed in to the console");
    let (id, who) = (secret.id(), holder.name().to_owned());
    api.append(&who, Event::Session(SessionChanged { id, step: SessionStep::Opened { holder, until } })).await?;
    Ok(jar.add(api.sessions.cookie(COOKIE, STANDARD.encode(&secret.0))))
}

/// How someone signed in.
#[derive(Clone, Copy)]
pub enum SignedIn<'a> {
    /// With this API token.
    WithToken(&'a str),
    /// At the identity provider, which gave them this role.
    AtProvider(Role),
}

/// Lets in who is signed in, and shows the door to others.
pub async fn signed_in(State(api): Shared, mut request: Request, next: Next) -> Response {
    let found = match person(&api, request.headers()).await {
        Ok(found) => found,
        Err(e) => return e.into_response(),
    };
    let Some(person) = found else {
        let wants = request.headers().get(header::ACCEPT).and_then(|v| v.to_str().ok());
        return if wants.is_some_and(|accept| accept.contains("text/event-stream")) {
            StatusCode::UNAUTHORIZED.into_response()
        } else if request.method() == Method::POST {
            // Nothing that was typed is lost: the browser has it on the page before.
            let problem = "Your session has ended, and nothing was done. Sign in in another tab, go back here, and send it again: \
                           what you have typed is still there.";
            page(&api, StatusCode::UNAUTHORIZED, Some(problem.to_owned()))
        } else {
            wanted::sign_in_first(&api, &request)
        };
    };
    if let Err(refusal) = may_act(&api, &api.store.view(), &person) {
        return refusal.into_response();
    }
    if api.rate.check_key(&person.name).is_err() {
        return ApiError::TooMany { detail: "more pages were asked for than may be in a second", seconds: 1 }
            .into_response();
    }
    request.extensions_mut().insert(person.clone());
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let response = next.run(request).await;
    // The page of a person is the same to the record as the API's answer about them.
    let shown = uri.path().replacen("/console/", "/v1/", 1);
    let route = match shown.as_str() {
        shown if shown.starts_with("/v1/identities/") => "/v1/identities/{id}",
        "/v1/tasks" => "/v1/tasks",
        "/v1/grants" => "/v1/grants",
        _ => disclosure::CONSOLE,
    };
    let (query, status) = (uri.query(), response.status());
    let asked = Asked { person: &person, method: &method, route, path: &shown, query, status };
    match api.record.note(asked).await {
        Ok(()) => response,
        Err(e) => ApiError::from(e).into_response(),
    }
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn<'a> {
    problem: Option<String>,
    provider: Option<&'a str>,
}

/// The form, and what went wrong.
pub fn page(api: &Api, status: StatusCode, problem: Option<String>) -> Response {
    let provider = api.provider.as_ref().map(|provider| provider.name());
    match (SignIn { problem, provider }).render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(e) => ApiError::Unwritable(e.to_string()).into_response(),
    }
}

/// Notes that a sign-in has failed, and says so; whoever fails more often than the configuration allows is told to wait. Whoever
/// may sign in is never told so: they may have the address of a proxy.
///
/// # Errors
/// When it can't be noted.
pub async fn failed(
    api: &Api,
    from: IpAddr,
    at: (&Method, &str),
    status: StatusCode,
    problem: String,
) -> Result<Response, ApiError> {
    if !api.record.may_sign_in(from) {
        let problem = "Too many attempts from your address: wait a minute.".to_owned();
        let page = page(api, StatusCode::TOO_MANY_REQUESTS, Some(problem));
        return Ok(([(header::RETRY_AFTER, "60")], page).into_response());
    }
    api.record.refused(disclosure::EntryPoint::Console, at.0, at.1).await?;
    Ok(page(api, status, Some(problem)))
}

/// The form.
pub async fn form(State(api): Shared) -> Response {
    page(&api, StatusCode::OK, None)
}

#[derive(Deserialize)]
pub struct Credentials {
    token: String,
}

/// Signs in with an API token.
pub async fn sign_in(
    State(api): State<Arc<Api>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Form(sent): Form<Credentials>,
) -> Response {
    let found = match api.holder_of(&sent.token).await {
        Ok(found) => found,
        Err(e) => return e.into_response(),
    };
    if found.as_ref().is_some_and(|person| person.apps.is_some()) {
        let problem = "That API token is for some apps only: it does not open the console.".to_owned();
        return page(&api, StatusCode::FORBIDDEN, Some(problem));
    }
    let Some(Person { name, .. }) = found else {
        let problem = "That is not one of the API tokens.".to_owned();
        let at = (&Method::POST, "/console/sign-in");
        let said = failed(&api, from.ip(), at, StatusCode::UNAUTHORIZED, problem).await;
        return said.unwrap_or_else(ApiError::into_response);
    };
    match open(&api, api.sessions.jar(&headers), &name, SignedIn::WithToken(sent.token.trim())).await {
        Ok(jar) => {
            let (jar, to) = wanted::take(&api, jar);
            (jar, Redirect::to(&to)).into_response()
        }
        Err(e) => e.into_response(),
    }
}

/// Signs out: the session ends, wherever its cookie was copied to.
pub async fn sign_out(State(api): State<Arc<Api>>, headers: HeaderMap) -> Response {
    if let Ok(Some(person)) = person(&api, &headers).await
        && let Some(secret) = api.sessions.secret(&headers)
    {
        let ended = Event::Session(SessionChanged { id: secret.id(), step: SessionStep::Ended });
        if let Err(e) = api.append(&person.name, ended).await {
            return e.into_response();
        }
    }
    let jar = api.sessions.jar(&headers).remove(api.sessions.cookie(COOKIE, String::new()));
    (jar, Redirect::to("/console/sign-in")).into_response()
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn session(holder: SessionHolder, used_at: Timestamp, until: Timestamp) -> Session {
        Session { id: "s".into(), holder, opened_at: used_at, used_at, until }
    }

    #[test]
    fn a_session_ends_with_its_time_with_disuse_and_with_its_token() {
        let (secret, now) = (Secret::new(), Timestamp::UNIX_EPOCH + SignedDuration::from_hours(100));
        let later = now + SignedDuration::from_hours(1);
        let provider = || SessionHolder::Provider { name: "mia".into(), role: "auditor".into() };
        let by = |roles| SignInRules { tokens: &[], issued: None, roles, people: None };
        let is_open = |session: &Session| holder(by(&[Role::Auditor]), session, &secret, now).is_some();
        let closed = |roles| holder(by(roles), &session(provider(), now, later), &secret, now).is_none();
        assert!(closed(&[]), "no provider");
        assert!(closed(&[Role::Admin]), "nobody is an auditor any more");
        assert!(is_open(&session(provider(), now, later)));
        assert!(!is_open(&session(provider(), now, now)), "its time has passed");
        assert!(!is_open(&session(provider(), now - IDLE - SignedDuration::from_secs(1), later)), "nobody used it");
        let token = SessionHolder::Token { name: "ola".into(), proof: secret.proof(&api_tokens::digest("ola-secret")) };
        assert!(!is_open(&session(token, now, later)), "there is no such token");
    }

    #[test]
    fn only_the_browser_and_the_token_together_make_the_proof() {
        let (ours, other) = (Secret::new(), Secret::new());
        assert_ne!(ours.id(), other.id());
        assert_eq!(ours.proof(b"token"), ours.proof(b"token"));
        assert_ne!(ours.proof(b"token"), other.proof(b"token"));
        assert_ne!(ours.proof(b"token"), ours.proof(b"another"));
    }
}
