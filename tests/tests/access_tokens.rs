//! OAuth 2.0 access tokens: who has a good one is the source, and nobody else is.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use axum::Router;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::Method;
use rollcall_tests::Rollcall;
use serde_json::{Value, json};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const ISSUER: &str = "https://idp.example.com/";

/// A key of an authorization server.
struct Key {
    id: &'static str,
    private: EncodingKey,
    public: Value,
}

fn key(id: &'static str) -> anyhow::Result<Key> {
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new())?;
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref())?;
    // An uncompressed point: 4, x, y.
    let point = pair.public_key().as_ref();
    let half = |range: std::ops::Range<usize>| URL_SAFE_NO_PAD.encode(&point[range]);
    let public = json!({
        "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": id, "x": half(1..33), "y": half(33..65),
    });
    Ok(Key { id, private: EncodingKey::from_ec_der(document.as_ref()), public })
}

fn token(key: &Key, changes: &Value) -> anyhow::Result<String> {
    let now = jiff::Timestamp::now().as_second();
    let mut claims = json!({ "iss": ISSUER, "aud": "rollcall", "sub": "entra", "exp": now + 600, "nbf": now - 10 });
    for (name, value) in changes.as_object().context("no object")? {
        claims[name.as_str()] = value.clone();
    }
    let header = Header { kid: Some(key.id.into()), ..Header::new(Algorithm::ES256) };
    Ok(encode(&header, &claims, &key.private)?)
}

type Published = Arc<Mutex<Vec<Value>>>;

/// The issuer's key set, at an address.
async fn issuer(keys: &Published) -> anyhow::Result<String> {
    let keys = Arc::clone(keys);
    let answer = move || async move {
        let keys = keys.lock().unwrap_or_else(PoisonError::into_inner).clone();
        axum::Json(json!({ "keys": keys }))
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/keys", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/keys", get(answer))).await });
    Ok(url)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_token_is_the_source_and_any_other_opens_nothing() -> anyhow::Result<()> {
    let (ours, other) = (key("one")?, key("one")?);
    let unpublished = key("two")?;
    let published = Published::new(Mutex::new(vec![ours.public.clone()]));
    let source = format!(
        "[[sources]]\nname = \"entra\"\n[sources.jwt]\nissuer = \"{ISSUER}\"\naudience = \"rollcall\"\n\
         subject = \"entra\"\njwks_url = \"{}\"",
        issuer(&published).await?
    );
    let rollcall = Rollcall::new(&[], &source)?;
    rollcall.start().await?;
    let create = |name: &str, token: String| {
        let body = json!({ "schemas": [USER], "userName": name }).to_string();
        let rollcall = &rollcall;
        async move { rollcall.raw(Method::POST, "/scim/v2/Users", &token, Some(body)).await }
    };
    let (status, answer) = create("anna", token(&ours, &json!({}))?).await?;
    ensure!(status == 201, "{status} {answer}");
    let joined = &rollcall.items("/v1/timeline?type=identity.joined").await?[0];
    ensure!(joined["source"] == "entra", "{joined}");

    let now = jiff::Timestamp::now().as_second();
    let good = token(&ours, &json!({}))?;
    let unsigned = format!("{}.", good.rsplit_once('.').context("no signature")?.0);
    // A public key as a shared secret, an old trick.
    let secret = EncodingKey::from_secret(ours.public.to_string().as_bytes());
    let claims = json!({ "iss": ISSUER, "aud": "rollcall", "sub": "entra", "exp": now + 600 });
    let hmac = encode(&Header { kid: Some("one".into()), ..Header::new(Algorithm::HS256) }, &claims, &secret)?;
    for (what, bad) in [
        ("of another key", token(&other, &json!({}))?),
        ("of a key that is not published", token(&unpublished, &json!({}))?),
        ("of another issuer", token(&ours, &json!({ "iss": "https://other" }))?),
        ("for someone else", token(&ours, &json!({ "aud": "payroll" }))?),
        ("about someone else", token(&ours, &json!({ "sub": "okta" }))?),
        ("that is over", token(&ours, &json!({ "exp": now - 120 }))?),
        ("that is not yet good", token(&ours, &json!({ "nbf": now + 300 }))?),
        ("without an end", token(&ours, &json!({ "exp": null }))?),
        ("without a signature", unsigned),
        ("with a shared secret", hmac),
        ("that is none", "a.b.c".to_owned()),
    ] {
        let (status, answer) = create("ben", bad).await?;
        ensure!(status == 401 && answer["status"] == "401", "a token {what}: {status} {answer}");
    }
    ensure!(rollcall.items("/v1/identities").await?.len() == 1, "someone came in");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_published_later_are_found() -> anyhow::Result<()> {
    let (first, second) = (key("one")?, key("two")?);
    let published = Published::new(Mutex::new(vec![first.public.clone()]));
    let source = format!(
        "[[sources]]\nname = \"entra\"\n[sources.jwt]\nissuer = \"{ISSUER}\"\naudience = \"rollcall\"\n\
         jwks_url = \"{}\"",
        issuer(&published).await?
    );
    let rollcall = Rollcall::new(&[], &source)?;
    rollcall.start().await?;
    let ask = |token: String| {
        let rollcall = &rollcall;
        async move { anyhow::Ok(rollcall.raw(Method::GET, "/scim/v2/Users", &token, None).await?.0) }
    };
    ensure!(ask(token(&first, &json!({}))?).await? == 200);
    published.lock().unwrap_or_else(PoisonError::into_inner).push(second.public.clone());
    let late = token(&second, &json!({}))?;
    // Asked for again, but not for every token that names an unknown key.
    rollcall_tests::until("the new key is known", || async { Ok((ask(late.clone()).await? == 200).then_some(())) })
        .await?;
    ensure!(ask(token(&first, &json!({}))?).await? == 200, "the old key was forgotten");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_does_not_answer_keeps_nobody_with_a_known_key_waiting() -> anyhow::Result<()> {
    let key = key("one")?;
    let (keys, slow) = (json!({ "keys": [key.public.clone()] }), Arc::new(AtomicBool::new(false)));
    let is_slow = Arc::clone(&slow);
    let answer = move || async move {
        if is_slow.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        axum::Json(keys)
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/keys", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/keys", get(answer))).await });
    let source = |name: &str, url: &str| {
        format!(
            "[[sources]]\nname = \"{name}\"\n[sources.jwt]\nissuer = \"{ISSUER}\"\naudience = \"rollcall\"\njwks_url = \"{url}\"\n"
        )
    };
    let rollcall = Rollcall::new(&[], &source("entra", &url))?;
    rollcall.start().await?;
    let good = token(&key, &json!({}))?;
    ensure!(rollcall.raw(Method::GET, "/scim/v2/Users", &good, None).await?.0 == 200);
    slow.store(true, Ordering::SeqCst);
    let unknown = token(&Key { id: "two", ..self::key("two")? }, &json!({}))?;
    // Keys were asked for a moment ago: only later is an unknown one worth asking again, and then that takes long.
    let guesses = (0..4).map(|_| rollcall.raw(Method::GET, "/scim/v2/Users", &unknown, None));
    let (guessed, let_in) = tokio::join!(futures_util::future::join_all(guesses), async {
        tokio::time::timeout(Duration::from_secs(4), rollcall.raw(Method::GET, "/scim/v2/Users", &good, None)).await
    });
    ensure!(let_in??.0 == 200);
    for guess in guessed {
        ensure!(guess?.0 == 401);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_whose_issuer_can_not_be_asked_is_not_said_to_be_bad() -> anyhow::Result<()> {
    let source = format!(
        "[[sources]]\nname = \"entra\"\n[sources.jwt]\nissuer = \"{ISSUER}\"\naudience = \"rollcall\"\njwks_url = \"http://127.0.0.1:9/keys\"\n"
    );
    let rollcall = Rollcall::new(&[], &source)?;
    rollcall.start().await?;
    let good = token(&key("one")?, &json!({}))?;
    ensure!(rollcall.raw(Method::GET, "/scim/v2/Users", &good, None).await?.0 == 503);
    let another = token(&key("one")?, &json!({ "iss": "https://other.example.com/" }))?;
    ensure!(rollcall.raw(Method::GET, "/scim/v2/Users", &another, None).await?.0 == 401, "it is another issuer's");
    Ok(())
}
