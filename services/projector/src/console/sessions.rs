//! The cookie of a console session: how it is sealed, and when it ends.

use axum::http::HeaderMap;
use axum_extra::extract::PrivateCookieJar;
use axum_extra::extract::cookie::{Cookie, Key, SameSite};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::SignedDuration;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha512};

pub(crate) const COOKIE: &str = "rollcall-session";

/// How long a session lasts.
pub(crate) const LASTS: SignedDuration = SignedDuration::from_hours(12);

/// How long one may not be used until it ends.
pub(crate) const IDLE: SignedDuration = SignedDuration::from_mins(60);

/// How often it is said that one is used.
pub(crate) const SAID_EVERY: SignedDuration = SignedDuration::from_mins(5);

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

/// What the browser keeps: nobody else has it, and nothing follows from it.
pub(crate) struct Secret(pub Vec<u8>);

impl Secret {
    pub fn new() -> Self {
        Self(Key::generate().master().iter().copied().take(32).collect())
    }

    /// What the session is called where it is known.
    pub fn id(&self) -> String {
        Sha512::digest(&self.0).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    /// What only who has this and the token can make, of the token's digest.
    pub fn proof(&self, token_digest: &[u8]) -> Vec<u8> {
        let mut digest = Sha512::new();
        digest.update(&self.0);
        digest.update(token_digest);
        digest.finalize().to_vec()
    }
}

impl Sessions {
    /// Cookies are sealed by the private signing keys, so that every projector with the same keys reads those of the others;
    /// what opens a session is the secret in one, which is random. `secure`: the public address is HTTPS, and
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

    /// The secret of the session that a browser has.
    pub fn secret(&self, headers: &HeaderMap) -> Option<Secret> {
        let cookie = self.jar(headers).get(COOKIE)?;
        STANDARD.decode(cookie.value()).ok().filter(|secret| secret.len() == 32).map(Secret)
    }
}
