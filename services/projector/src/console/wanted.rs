//! The page that somebody wanted before they had to sign in: they land there, and not on the first page.

use askama::Template;
use axum::extract::Request;
use axum::http::{Method, header};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use axum_extra::extract::PrivateCookieJar;
use axum_extra::extract::cookie::{Cookie, SameSite};

use crate::api::context::Api;
use crate::error::ApiError;

const COOKIE: &str = "rollcall-wanted";

/// The longest address that is kept.
const LONGEST: usize = 1500;

/// Lax: who signs in at a provider is sent back from another site.
fn cookie(api: &Api, value: String) -> Cookie<'static> {
    let mut cookie = api.sessions.cookie(COOKIE, value);
    cookie.set_same_site(SameSite::Lax);
    cookie
}

#[derive(Template)]
#[template(path = "go_on.html")]
struct GoOn<'a> {
    address: &'a str,
    title: &'a str,
}

/// A page of the console, by its path and query; `None`: it is none, or of another site.
fn page(address: &str) -> Option<&str> {
    let path = address.split('?').next().unwrap_or_default();
    let is_page = path == "/" || path.starts_with("/console/");
    (is_page && address.len() <= LONGEST && !path.starts_with("/console/sign-")).then_some(address)
}

/// Sends whoever is signed in nowhere to the form, and keeps what they wanted. A link on another site is followed without the cookie of a
/// session that there may be: it is followed once more, from here.
pub fn sign_in_first(api: &Api, request: &Request) -> Response {
    let form = Redirect::to("/console/sign-in");
    let address = request.uri().path_and_query().map(|address| address.as_str()).and_then(page);
    // A part of a page is nothing to go back to.
    let is_page = request.method() == Method::GET && !request.headers().contains_key("hx-request");
    let Some(address) = address.filter(|_| is_page) else { return form.into_response() };
    let from = request.headers().get("sec-fetch-site").and_then(|from| from.to_str().ok());
    if from == Some("cross-site") {
        return go_on(address, "One moment");
    }
    (api.sessions.jar(request.headers()).add(cookie(api, address.to_owned())), form).into_response()
}

/// The page that was wanted, and the jar without it.
pub fn take(api: &Api, jar: PrivateCookieJar) -> (PrivateCookieJar, String) {
    let wanted = jar.get(COOKIE).and_then(|cookie| page(cookie.value()).map(str::to_owned));
    (jar.remove(cookie(api, String::new())), wanted.unwrap_or_else(|| "/".to_owned()))
}

/// Goes on to a page of ours. Not a redirect: a browser that follows one from another site does not send the session with it.
pub fn go_on(address: &str, title: &str) -> Response {
    match (GoOn { address, title }).render() {
        Ok(html) => ([(header::REFRESH, format!("0; url={address}"))], Html(html)).into_response(),
        Err(e) => ApiError::Unwritable(e.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_the_console_are_gone_on_to() {
        let long = format!("/console/drift?{}", "a".repeat(LONGEST));
        for (address, expected) in [
            ("/", true),
            ("/console/leavers/0197?tab=1", true),
            ("//evil.example.com/console/", false),
            ("/\\evil.example.com", false),
            ("https://evil.example.com/console/", false),
            ("/console/sign-in", false),
            ("/v1/identities", false),
            (&long, false),
        ] {
            assert_eq!(page(address).is_some(), expected, "{address}");
        }
    }
}
