//! Who is signed in: an encrypted cookie that says whose API token it was, and until when.

use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use axum_extra::extract::PrivateCookieJar;
use axum_extra::extract::cookie::{Cookie, Key, SameSite};
use jiff::{SignedDuration, Timestamp};
use rollcall_config::{ApiToken, Role};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha512};
use tracing::info;

use crate::access::{self, Asked};
use crate::api::{Api, Person, Shared};
use crate::error::ApiError;

const COOKIE: &str = "rollcall-session";

/// How long a session lasts.
const LASTS: SignedDuration = SignedDuration::from_hours(12);

/// What sessions are sealed with.
pub struct Sessions {
    key: Key,
    secure: bool,
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions").field("secure", &self.secure).finish_non_exhaustive()
    }
}

/// How somebody is known.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holder {
    /// By an API token: what it may do is what the configuration says now, for as long as the token is the same.
    Token { name: String, digest: Vec<u8> },
    /// By the identity provider, with the role that it gave them at sign-in.
    Provider { name: String, role: String },
}

impl Holder {
    /// Whoever has this token.
    pub fn of_token(name: String, token: &str) -> Self {
        Self::Token { name, digest: Sha512::digest(token.as_bytes()).to_vec() }
    }

    fn name(&self) -> &str {
        match self {
            Self::Token { name, .. } | Self::Provider { name, .. } => name,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Session {
    holder: Holder,
    until: Timestamp,
}

impl Sessions {
    /// Sealed by the private signing keys, which no person who signs in has: a token must never be enough to make the
    /// session of another. Every projector with the same signing keys knows them. `secure`: the public address is HTTPS, and
    /// the cookie goes nowhere else.
    pub fn new(signing_keys: &[SecretString], secure: bool) -> Self {
        let mut digest = Sha512::new();
        digest.update(b"rollcall console session, sealed by the signing keys");
        for secret in signing_keys {
            digest.update(Sha512::digest(secret.expose_secret().trim().as_bytes()));
        }
        Self { key: Key::from(&digest.finalize()), secure }
    }

    /// The sealed cookies of a request.
    pub fn jar(&self, headers: &HeaderMap) -> PrivateCookieJar {
        PrivateCookieJar::from_headers(headers, self.key.clone())
    }

    /// A cookie that no script sees and no other site sends.
    pub fn cookie(&self, name: &'static str, value: String) -> Cookie<'static> {
        Cookie::build((name, value))
            .path("/")
            .http_only(true)
            .secure(self.secure)
            // Nothing that another site does is done as whoever is signed in here.
            .same_site(SameSite::Strict)
            .build()
    }

    /// Who is signed in.
    fn person(&self, tokens: &[ApiToken], headers: &HeaderMap) -> Option<Person> {
        let cookie = self.jar(headers).get(COOKIE)?;
        let session: Session = serde_json::from_str(cookie.value()).ok()?;
        if Timestamp::now() >= session.until {
            return None;
        }
        match session.holder {
            Holder::Token { name, digest } => {
                let token = tokens.iter().find(|t| t.name == name)?;
                let is_theirs = |now: &SecretString| Sha512::digest(now.expose_secret().as_bytes())[..] == digest[..];
                token.token.current().iter().find(|now| is_theirs(now))?;
                Some(Person { name, role: token.role })
            }
            Holder::Provider { name, role } => Some(Person { name, role: Role::from_name(&role)? }),
        }
    }

    /// Opens a session; `None` when it can't be written.
    pub fn open(&self, jar: PrivateCookieJar, holder: Holder) -> Option<PrivateCookieJar> {
        let until = Timestamp::now().checked_add(LASTS).unwrap_or(Timestamp::MAX);
        info!(name = holder.name(), "signed in to the console");
        let value = serde_json::to_string(&Session { holder, until }).ok()?;
        Some(jar.add(self.cookie(COOKIE, value)))
    }
}

/// Lets in who is signed in, and shows the door to others.
pub async fn signed_in(State(api): Shared, mut request: Request, next: Next) -> Response {
    let Some(person) = api.sessions.person(&api.tokens, request.headers()) else {
        let page = request.headers().get(header::ACCEPT).and_then(|v| v.to_str().ok());
        return if page.is_some_and(|accept| accept.contains("text/event-stream")) {
            StatusCode::UNAUTHORIZED.into_response()
        } else {
            Redirect::to("/console/sign-in").into_response()
        };
    };
    request.extensions_mut().insert(person.clone());
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let response = next.run(request).await;
    // The page of a person is the same to the record as the API's answer about them.
    let shown = uri.path().replacen("/console/", "/v1/", 1);
    let route = if shown.starts_with("/v1/identities/") { "/v1/identities/{id}" } else { access::CONSOLE };
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

/// The form.
pub async fn form(State(api): Shared) -> Response {
    page(&api, StatusCode::OK, None)
}

#[derive(Deserialize)]
pub struct Credentials {
    token: String,
}

/// Signs in with an API token.
pub async fn sign_in(State(api): State<Arc<Api>>, headers: HeaderMap, Form(sent): Form<Credentials>) -> Response {
    let Some(Person { name, .. }) = api.holder_of(&sent.token) else {
        let problem = "That is not one of the API tokens of the configuration.".to_owned();
        return page(&api, StatusCode::UNAUTHORIZED, Some(problem));
    };
    match api.sessions.open(api.sessions.jar(&headers), Holder::of_token(name, &sent.token)) {
        Some(jar) => (jar, Redirect::to("/")).into_response(),
        None => ApiError::Unwritable("a session".into()).into_response(),
    }
}

/// Signs out.
pub async fn sign_out(State(api): State<Arc<Api>>, headers: HeaderMap) -> Response {
    let jar = api.sessions.jar(&headers).remove(api.sessions.cookie(COOKIE, String::new()));
    (jar, Redirect::to("/console/sign-in")).into_response()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn headers(cookie: &Cookie<'_>) -> HeaderMap {
        let pair = format!("{}={}", cookie.name(), cookie.value());
        HeaderMap::from_iter([(header::COOKIE, pair.parse().unwrap())])
    }

    /// A session that someone makes with a key of their own.
    fn forged(sealed_by: &Sessions) -> HeaderMap {
        let holder = Holder::Provider { name: "mallory".into(), role: "admin".into() };
        let jar = sealed_by.open(sealed_by.jar(&HeaderMap::new()), holder).unwrap();
        let response = jar.into_response();
        let set = response.headers().get(header::SET_COOKIE).unwrap().to_str().unwrap().to_owned();
        headers(&Cookie::parse(set).unwrap())
    }

    #[test]
    fn a_session_is_believed_only_from_who_has_the_signing_keys() {
        let ours = Sessions::new(&["the signing key".to_owned().into()], false);
        assert!(ours.person(&[], &forged(&ours)).is_some(), "the test itself must work");
        // What people can have: nothing, and the tokens that they sign in with.
        for known in [vec![], vec!["viewer-token"], vec!["viewer-token", "admin-token"]] {
            let secrets: Vec<SecretString> = known.iter().map(|token| (*token).to_owned().into()).collect();
            assert!(ours.person(&[], &forged(&Sessions::new(&secrets, false))).is_none(), "{known:?}");
        }
        // As sessions were sealed before: by the API tokens alone, which are none where people sign in by OIDC.
        let mut digest = Sha512::new();
        digest.update(b"rollcall console session");
        let before = Sessions { key: Key::from(&digest.finalize()), secure: false };
        assert!(ours.person(&[], &forged(&before)).is_none());
    }
}
