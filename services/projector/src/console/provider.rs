//! An OpenID Connect provider: its discovery document, its keys, and whom it vouches for.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use oauth2::basic::{
    BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse, BasicTokenType,
};
use oauth2::{
    AuthUrl, AuthorizationCode, Client, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet,
    ExtraTokenFields, HttpRequest, HttpResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope,
    StandardRevocableToken, StandardTokenResponse, TokenUrl,
};
use rollcall_config::{JwtConfig, KeyPlace, OidcConfig, PersonAttribute, Role};
use rollcall_domain::identity::is_reserved;
use rollcall_tokens::{JwtVerifier, Place, Places, bounded};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::OnceCell;
use tokio::time::Instant;
use url::Url;

/// How long a sign-in may take at the provider.
pub const MAY_TAKE: SignedDuration = SignedDuration::from_mins(15);

/// How the provider sends them back.
#[derive(Deserialize)]
pub struct Back {
    pub code: Option<String>,
    pub state: Option<String>,
    pub error: Option<String>,
    pub error_description: Option<String>,
}

/// What was begun, until the provider sends them back.
pub(crate) const COOKIE: &str = "rollcall-sign-in";

pub(crate) const PLACE: &str = "/console/oidc";

pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

/// How many of one address, of those.
const MOST_OF_AN_ADDRESS: usize = 4;

/// How many may wait for the provider at once.
const MOST_ASKING: usize = 32;

/// How soon it is asked again what it says of itself, after it did not answer.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// The largest answer that is read.
pub(crate) const MAX_ANSWER: usize = 256 << 10;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct IdToken {
    id_token: String,
}

impl ExtraTokenFields for IdToken {}

pub(crate) type Tokens = StandardTokenResponse<IdToken, BasicTokenType>;

pub(crate) type Oauth = Client<
    BasicErrorResponse,
    Tokens,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// Why somebody can't sign in this way.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the identity provider can't be used: {0}")]
    Provider(String),
    #[error("sign-in was not begun here, or took too long: try again")]
    NotBegun,
    #[error("the identity provider refused: {0}")]
    Refused(String),
    #[error("the identity provider's answer can't be trusted: {0}")]
    Untrusted(String),
    #[error("{0} has none of the groups that have a role here")]
    NoRole(String),
}

#[derive(Deserialize)]
pub(crate) struct Discovery {
    issuer: String,
    authorization_endpoint: Url,
    token_endpoint: Url,
    jwks_uri: Url,
}

pub(crate) struct Known {
    oauth: Oauth,
    verifier: JwtVerifier,
}

/// An identity provider.
pub struct Provider {
    config: OidcConfig,
    redirect: Url,
    http: reqwest::Client,
    known: OnceCell<Known>,
    /// Places for those who wait for the provider: nobody knows yet who they are, and each holds a place of the console meanwhile.
    asking: Arc<Places>,
    /// When it was asked last what it says of itself, and did not answer.
    failed: Mutex<Option<Instant>>,
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Provider").field("issuer", &self.config.issuer.as_str()).finish_non_exhaustive()
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Begun {
    state: String,
    nonce: String,
    verifier: String,
    begun_at: Timestamp,
}

impl Provider {
    /// One that sends people back to the console at the public address.
    ///
    /// # Errors
    /// When there can be no HTTP client.
    pub fn new(config: OidcConfig, public_url: &Url) -> Result<Self, String> {
        let http = reqwest::Client::builder().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none()).build();
        let redirect = public_url.join("/console/oidc/callback").map_err(|e| e.to_string())?;
        Ok(Self {
            config,
            redirect,
            http: http.map_err(|e| e.to_string())?,
            known: OnceCell::new(),
            asking: Places::new(MOST_ASKING, MOST_OF_AN_ADDRESS),
            failed: Mutex::default(),
        })
    }

    /// A place to wait for it, of which one address has a few.
    fn place(&self, from: IpAddr) -> Result<Place, Refusal> {
        self.asking.take(from).ok_or_else(|| Refusal::Provider("too many wait for it: try again".into()))
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// The roles that someone may have by a group of theirs.
    pub fn roles(&self) -> Vec<Role> {
        self.config.roles.values().copied().collect()
    }

    /// By what people are known as identities: only by a claim that the configuration names, since some can be chosen by anybody.
    pub fn people(&self) -> Option<PersonAttribute> {
        self.config.name_claim.as_ref().map(|_| self.config.identity_attribute)
    }

    /// What the provider says of itself, asked once (OpenID Connect Discovery 1.0).
    async fn known(&self) -> Result<&Known, Refusal> {
        let discover = || async {
            let issuer = self.config.issuer.as_str().trim_end_matches('/');
            let address = format!("{issuer}/.well-known/openid-configuration");
            let failed = |reason: String| Refusal::Provider(format!("{address}: {reason}"));
            let answer = self.http.get(&address).send().await.map_err(|e| failed(e.to_string()))?;
            let body = answer.error_for_status().map_err(|e| failed(e.to_string()))?;
            let body = bounded(body, MAX_ANSWER).await.map_err(failed)?;
            let found: Discovery = serde_json::from_slice(&body).map_err(|e| failed(e.to_string()))?;
            if found.issuer.trim_end_matches('/') != issuer {
                return Err(failed(format!("it says that it is {}", found.issuer)));
            }
            let mut oauth = Client::new(ClientId::new(self.config.client_id.clone()))
                .set_auth_uri(AuthUrl::from_url(found.authorization_endpoint))
                .set_token_uri(TokenUrl::from_url(found.token_endpoint))
                .set_redirect_uri(RedirectUrl::from_url(self.redirect.clone()));
            if let Some(secret) = self.config.client_secret.as_ref().and_then(|token| token.secret()) {
                oauth = oauth.set_client_secret(ClientSecret::new(secret.expose_secret().to_owned()));
            }
            let jwt = JwtConfig {
                issuer: found.issuer,
                audience: self.config.client_id.clone(),
                subject: None,
                keys: KeyPlace::Url(found.jwks_uri),
            };
            Ok(Known { oauth, verifier: JwtVerifier::new(jwt, self.http.clone()) })
        };
        let failed = || self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        self.known
            .get_or_try_init(|| async {
                // Whoever waited for one that failed does not ask at once again.
                if failed().is_some_and(|at| at.elapsed() < ASK_AGAIN) {
                    return Err(Refusal::Provider("it did not answer a moment ago: try again".into()));
                }
                let found = discover().await;
                *failed() = found.is_err().then(Instant::now);
                found
            })
            .await
    }

    pub async fn begin(&self, from: IpAddr) -> Result<(Url, Begun), Refusal> {
        let _place = if self.known.initialized() { None } else { Some(self.place(from)?) };
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let nonce = CsrfToken::new_random().secret().clone();
        let (address, state) = self
            .known()
            .await?
            .oauth
            .authorize_url(CsrfToken::new_random)
            .add_scopes(["openid", "profile", "email"].map(|scope| Scope::new(scope.to_owned())))
            .add_extra_param("nonce", nonce.clone())
            .set_pkce_challenge(challenge)
            .url();
        Ok((
            address,
            Begun {
                state: state.secret().clone(),
                nonce,
                verifier: verifier.secret().clone(),
                begun_at: Timestamp::now(),
            },
        ))
    }

    /// Who has come back, and what they may do.
    pub async fn finish(&self, begun: Begun, back: Back, from: IpAddr) -> Result<(String, Role), Refusal> {
        let age = Timestamp::now().duration_since(begun.begun_at);
        if back.state.as_deref() != Some(begun.state.as_str()) || age > MAY_TAKE || age.is_negative() {
            return Err(Refusal::NotBegun);
        }
        let refused = |error: String| Refusal::Refused(back.error_description.clone().unwrap_or(error));
        let code = back.code.ok_or_else(|| refused(back.error.clone().unwrap_or_else(|| "it gave no code".into())))?;
        let _place = self.place(from)?;
        let known = self.known().await?;
        let exchange = known
            .oauth
            .exchange_code(AuthorizationCode::new(code))
            .set_pkce_verifier(PkceCodeVerifier::new(begun.verifier));
        let send = |request: HttpRequest| send(self.http.clone(), request);
        let tokens = exchange.request_async(&send).await.map_err(|e| Refusal::Refused(e.to_string()))?;
        let claims: Value = known
            .verifier
            .claims(&tokens.extra_fields().id_token)
            .await
            .map_err(|e| Refusal::Untrusted(format!("{e:?}")))?;
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        if text("nonce") != Some(begun.nonce.as_str()) {
            return Err(Refusal::Untrusted("it is not the answer to this sign-in".into()));
        }
        // Anybody may call themselves anything, until it was looked at.
        let is_theirs = match claims.get("email_verified") {
            Some(Value::Bool(said)) => *said,
            // Some providers say it as a text.
            Some(said) => said == "true",
            // Many say nothing of addresses that they give themselves; nobody is known as an identity by that.
            None => self.config.name_claim.as_deref() != Some("email"),
        };
        let email = text("email").filter(|_| is_theirs);
        let name = match self.config.name_claim.as_deref() {
            // Another claim in its place may be somebody else's name.
            Some("email") => email,
            Some(claim) => text(claim),
            None => email.or_else(|| text("preferred_username")).or_else(|| text("sub")),
        };
        let unsaid = || match self.config.name_claim.as_deref() {
            Some("email") => {
                "it gives no address that it says is verified (email_verified): take another oidc.name_claim"
            }
            _ => "it does not say who",
        };
        let name = name.ok_or_else(|| Refusal::Untrusted(unsaid().into()))?.to_owned();
        if is_reserved(&name) {
            return Err(Refusal::Untrusted(format!("nobody is called '{name}'")));
        }
        let values = match claims.get(&self.config.roles_claim) {
            Some(Value::Array(values)) => values.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            Some(Value::String(value)) => vec![value.clone()],
            _ => Vec::new(),
        };
        let role = values.iter().filter_map(|value| self.config.roles.get(value)).max();
        role.map(|role| (name.clone(), *role)).ok_or(Refusal::NoRole(name))
    }
}

pub(crate) async fn send(http: reqwest::Client, request: HttpRequest) -> Result<HttpResponse, std::io::Error> {
    let failed = |reason: String| std::io::Error::other(reason);
    let (parts, body) = request.into_parts();
    let sent = http.request(parts.method, parts.uri.to_string()).headers(parts.headers).body(body).send().await;
    let answer = sent.map_err(|e| failed(e.to_string()))?;
    let mut response = HttpResponse::new(Vec::new());
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    *response.body_mut() = bounded(answer, MAX_ANSWER).await.map_err(failed)?;
    Ok(response)
}
