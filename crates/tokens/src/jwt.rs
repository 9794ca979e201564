//! Tokens as JWTs (RFC 9068 for access tokens, OpenID Connect Core 1.0 for ID tokens): issuer, audience, times and signature, by the issuer's published keys.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use rollcall_config::{JwtConfig, KeyPlace};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;
use tracing::warn;

use crate::bounded::bounded;

/// Signatures by keys that only the issuer has; never a shared secret, never none.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// How long keys are used without asking for them again.
const KEEP: Duration = Duration::from_secs(3600);

/// How long they are used at most, when they can't be asked for: one of them may have been revoked.
const KEEP_AT_MOST: Duration = Duration::from_secs(24 * 3600);

/// How soon they may be asked for again, however many tokens name an unknown key.
const ASK_AGAIN: Duration = Duration::from_secs(10);

const TIMEOUT: Duration = Duration::from_secs(5);

/// How many may wait at once until keys are there; everybody else is told to try again.
const MOST_WAITING: usize = 32;

/// The largest key set that is read.
const MAX_KEYS_BYTES: usize = 1 << 20;

/// How far clocks may differ, in seconds.
const LEEWAY: u64 = 60;

/// Checks the tokens of one issuer.
#[derive(Debug)]
pub struct JwtVerifier {
    config: JwtConfig,
    http: reqwest::Client,
    keys: Mutex<Keys>,
    /// Whoever asks for keys has it.
    asking: tokio::sync::Mutex<()>,
    /// Places for those who wait for that.
    waiting: tokio::sync::Semaphore,
}

#[derive(Debug, Default)]
struct Keys {
    set: Option<JwkSet>,
    read: Option<Instant>,
    tried: Option<Instant>,
}

/// How long ago keys were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Age {
    Fresh,
    /// They are still good, and should be asked for again.
    Old,
}

impl Keys {
    /// The key with this id, as long as it may be used.
    fn find(&self, id: Option<&str>) -> (Option<Jwk>, Age) {
        let age = self.read.map(|at| at.elapsed());
        let find = |set: &JwkSet| match id {
            Some(id) => set.find(id).cloned(),
            None if set.keys.len() == 1 => set.keys.first().cloned(),
            None => None,
        };
        let found = self.set.as_ref().filter(|_| age.is_some_and(|age| age < KEEP_AT_MOST)).and_then(find);
        let is_old = age.is_none_or(|age| age > KEEP) && self.may_ask();
        (found, if is_old { Age::Old } else { Age::Fresh })
    }

    fn may_ask(&self) -> bool {
        self.tried.is_none_or(|at| at.elapsed() > ASK_AGAIN)
    }

    /// What follows when a key is not found.
    fn without(&self) -> Result<Option<Jwk>, Rejected> {
        let is_known = self.read.is_some_and(|at| at.elapsed() < KEEP_AT_MOST);
        if is_known { Ok(None) } else { Err(Rejected::NoKeys) }
    }
}

/// Why a token opens nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejected {
    /// It is another issuer's, or no token of this form.
    NotOurs,
    /// It is not good.
    Invalid(String),
    /// The issuer's keys can't be had.
    NoKeys,
}

/// Who a token says that it is from; nothing is proved by that.
fn said_issuer(token: &str) -> Option<String> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    Some(serde_json::from_slice::<Value>(&claims).ok()?.get("iss")?.as_str()?.to_owned())
}

impl JwtVerifier {
    /// One that has no keys yet.
    #[must_use]
    pub fn new(config: JwtConfig, http: reqwest::Client) -> Self {
        Self {
            config,
            http,
            keys: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
            waiting: tokio::sync::Semaphore::new(MOST_WAITING),
        }
    }

    /// Whether a token is good now.
    ///
    /// # Errors
    /// With why it is not.
    pub async fn verify(&self, token: &str) -> Result<(), Rejected> {
        self.claims::<Value>(token).await.map(drop)
    }

    /// What a token says, when it is good now.
    ///
    /// # Errors
    /// With why it is not.
    pub async fn claims<T: DeserializeOwned>(&self, token: &str) -> Result<T, Rejected> {
        let header = decode_header(token).map_err(|_| Rejected::NotOurs)?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(Rejected::Invalid(format!("its algorithm {:?} is not accepted", header.alg)));
        }
        // Nobody's keys are asked for because of what says itself that it is another's.
        if said_issuer(token).is_none_or(|issuer| issuer != self.config.issuer) {
            return Err(Rejected::NotOurs);
        }
        let key = self.key(header.kid.as_deref()).await?;
        let key = key.ok_or_else(|| Rejected::Invalid("its key is not one of the issuer's".into()))?;
        let invalid = |e: jsonwebtoken::errors::Error| Rejected::Invalid(e.to_string());
        let key = DecodingKey::from_jwk(&key).map_err(invalid)?;
        let mut validation = Validation::new(header.alg);
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        validation.set_issuer(&[&self.config.issuer]);
        validation.set_audience(&[&self.config.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        let claims = decode::<Value>(token, &key, &validation).map_err(invalid)?.claims;
        if let Some(wanted) = &self.config.subject
            && claims.get("sub").and_then(Value::as_str) != Some(wanted)
        {
            return Err(Rejected::Invalid("its subject is not accepted".into()));
        }
        serde_json::from_value(claims).map_err(|e| Rejected::Invalid(e.to_string()))
    }

    /// The issuer's key with this id; without an id the only one. Keys are asked for by one at a time, and whoever has a
    /// known key does not wait for that.
    async fn key(&self, id: Option<&str>) -> Result<Option<Jwk>, Rejected> {
        let (found, age) = self.known().find(id);
        let asking = match (&found, age) {
            (Some(_), Age::Fresh) => None,
            (Some(_), Age::Old) => self.asking.try_lock().ok(),
            (None, _) => {
                // Whoever waits holds a place meanwhile, and nobody knows yet who they are.
                let Ok(_waiting) = self.waiting.try_acquire() else { return Err(Rejected::NoKeys) };
                Some(self.asking.lock().await)
            }
        };
        if asking.is_none() {
            return Ok(found);
        }
        // Someone else may have asked meanwhile.
        if self.known().may_ask() {
            self.known().tried = Some(Instant::now());
            match self.read().await {
                Ok(set) => {
                    let mut keys = self.known();
                    keys.set = Some(set);
                    keys.read = Some(Instant::now());
                }
                Err(reason) => warn!(issuer = self.config.issuer, reason, "the issuer's keys can't be read"),
            }
        }
        let keys = self.known();
        match keys.find(id).0 {
            Some(key) => Ok(Some(key)),
            None => keys.without(),
        }
    }

    fn known(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read(&self) -> Result<JwkSet, String> {
        let bytes = match &self.config.keys {
            KeyPlace::File(path) => tokio::fs::read(path).await.map_err(|e| format!("{}: {e}", path.display()))?,
            KeyPlace::Url(url) => {
                let answer = self.http.get(url.clone()).timeout(TIMEOUT).send().await.map_err(|e| e.to_string())?;
                if !answer.status().is_success() {
                    return Err(format!("{url} answered {}", answer.status()));
                }
                bounded(answer, MAX_KEYS_BYTES).await?
            }
        };
        serde_json::from_slice(&bytes).map_err(|e| format!("not a JWK set: {e}"))
    }
}
