//! Tokens as JWTs (RFC 9068 for access tokens, OpenID Connect Core 1.0 for ID tokens): issuer, audience, times and signature, by the issuer's published keys.

use std::time::Duration;

use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use rollcall_config::{JwtConfig, KeyPlace};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Mutex;
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

/// How soon they may be asked for again, however many tokens name an unknown key.
const ASK_AGAIN: Duration = Duration::from_secs(10);

const TIMEOUT: Duration = Duration::from_secs(5);

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
}

#[derive(Debug, Default)]
struct Keys {
    set: Option<JwkSet>,
    read: Option<Instant>,
    tried: Option<Instant>,
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

impl JwtVerifier {
    /// One that has no keys yet.
    #[must_use]
    pub fn new(config: JwtConfig, http: reqwest::Client) -> Self {
        Self { config, http, keys: Mutex::default() }
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

    /// The issuer's key with this id; without an id the only one.
    async fn key(&self, id: Option<&str>) -> Result<Option<Jwk>, Rejected> {
        let mut keys = self.keys.lock().await;
        let find = |set: &JwkSet| match id {
            Some(id) => set.find(id).cloned(),
            None if set.keys.len() == 1 => set.keys.first().cloned(),
            None => None,
        };
        let found = keys.set.as_ref().and_then(find);
        let old = keys.read.is_none_or(|at| at.elapsed() > KEEP);
        let may_ask = keys.tried.is_none_or(|at| at.elapsed() > ASK_AGAIN);
        if (found.is_none() || old) && may_ask {
            keys.tried = Some(Instant::now());
            match self.read().await {
                Ok(set) => {
                    keys.set = Some(set);
                    keys.read = Some(Instant::now());
                }
                Err(reason) => warn!(issuer = self.config.issuer, reason, "the issuer's keys can't be read"),
            }
        }
        match &keys.set {
            Some(set) => Ok(find(set)),
            None => Err(Rejected::NoKeys),
        }
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
