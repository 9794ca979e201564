//! Each token opens what is its own and nothing else; and no secret is ever shown.

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use rollcall_tests::rollcall::{API_TOKEN, APP_TOKEN, SOURCE_TOKEN};
use rollcall_tests::{App, Collector, Faulty, Receiver, Rollcall, until};
use serde_json::{Value, json};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const APP: &str = "quirky";
const ID: &str = "018f0000-0000-7000-8000-000000000000";

/// Tokens of every role, besides the auditor's own.
const TOKENS: &str = r#"
[[api_tokens]]
name = "vic"
role = "viewer"
token = "viewer-secret-1a2b"
[[api_tokens]]
name = "ola"
role = "operator"
token = "operator-secret-3c4d"
[[api_tokens]]
name = "ada"
role = "admin"
token = "admin-secret-5e6f"
"#;

/// From the least to the most: where one may ask, all behind it may.
const ROLES: [(&str, &str); 4] = [
    ("viewer", "viewer-secret-1a2b"),
    ("auditor", API_TOKEN),
    ("operator", "operator-secret-3c4d"),
    ("admin", "admin-secret-5e6f"),
];

/// Who is asked for at least, by path.
const OPENED_BY: [(&str, &str, &str); 74] = [
    ("GET", "/v1/apps", "viewer"),
    ("GET", "/v1/apps/{id}", "viewer"),
    ("POST", "/v1/apps/{id}/reconcile", "operator"),
    ("POST", "/v1/apps/{id}/gone", "operator"),
    ("POST", "/v1/apps/{id}/same", "operator"),
    ("POST", "/v1/apps/{id}/remove", "operator"),
    ("POST", "/v1/apps/{id}/drill", "operator"),
    ("GET", "/v1/apps/{id}/drills", "viewer"),
    ("GET", "/v1/approvals", "operator"),
    ("POST", "/v1/approvals/{id}/approve", "operator"),
    ("POST", "/v1/approvals/{id}/deny", "operator"),
    ("GET", "/v1/checkpoints", "viewer"),
    ("GET", "/v1/checkpoints/consistency", "viewer"),
    ("GET", "/v1/checkpoints/latest", "viewer"),
    ("GET", "/v1/drift", "viewer"),
    ("POST", "/v1/drift/{id}/accept", "operator"),
    ("GET", "/v1/events/{sequence}/proof", "auditor"),
    ("GET", "/v1/erasures", "operator"),
    ("GET", "/v1/export", "auditor"),
    ("GET", "/v1/holds", "viewer"),
    ("POST", "/v1/holds/{source}/reject", "operator"),
    ("POST", "/v1/holds/{source}/release", "operator"),
    ("GET", "/v1/identities", "viewer"),
    ("GET", "/v1/identities/{id}", "viewer"),
    ("POST", "/v1/identities/{id}/erase", "admin"),
    ("GET", "/v1/identities/{id}/timeline", "auditor"),
    ("GET", "/v1/latency", "viewer"),
    ("GET", "/v1/trends", "viewer"),
    ("GET", "/v1/drills", "viewer"),
    ("GET", "/v1/leavers", "viewer"),
    ("GET", "/v1/obligations", "viewer"),
    ("POST", "/v1/obligations/{id}/waive", "operator"),
    ("GET", "/v1/plan", "auditor"),
    ("GET", "/v1/sessions", "admin"),
    ("DELETE", "/v1/sessions/{id}", "admin"),
    ("POST", "/v1/sync", "operator"),
    ("GET", "/v1/timeline", "auditor"),
    ("GET", "/v1/tokens", "admin"),
    ("POST", "/v1/tokens", "admin"),
    ("DELETE", "/v1/tokens/{id}", "admin"),
    ("GET", "/v1/timeline/stream", "auditor"),
    // Who may do what to a grant is told by who they are: tests/tests/access.rs.
    ("GET", "/v1/entitlements", "viewer"),
    ("GET", "/v1/entitlements/{id}/holders", "viewer"),
    ("GET", "/v1/explain", "viewer"),
    ("GET", "/v1/grants", "viewer"),
    ("POST", "/v1/grants", "viewer"),
    ("GET", "/v1/grants/{id}", "viewer"),
    ("POST", "/v1/grants/{id}/approve", "viewer"),
    ("POST", "/v1/grants/{id}/deny", "viewer"),
    ("POST", "/v1/grants/{id}/end", "viewer"),
    ("POST", "/v1/grants/{id}/extend", "viewer"),
    ("POST", "/v1/grants/{id}/withdraw", "viewer"),
    ("GET", "/v1/identities/{id}/access", "viewer"),
    ("POST", "/v1/identities/{id}/disable", "operator"),
    ("POST", "/v1/identities/{id}/enable", "operator"),
    ("GET", "/v1/policies", "viewer"),
    ("POST", "/v1/policies/preview", "auditor"),
    ("GET", "/v1/roles", "viewer"),
    ("GET", "/v1/separations", "viewer"),
    ("GET", "/v1/machines", "viewer"),
    ("GET", "/v1/tasks", "viewer"),
    ("POST", "/v1/tasks/{id}/done", "operator"),
    ("POST", "/v1/tasks/{id}/undone", "operator"),
    ("GET", "/v1/credentials", "viewer"),
    ("GET", "/v1/credentials/{id}", "viewer"),
    ("POST", "/v1/credentials/{id}/compromised", "operator"),
    ("GET", "/v1/inventories", "viewer"),
    ("GET", "/v1/machines/{id}", "viewer"),
    ("GET", "/v1/handovers", "viewer"),
    // By what they are to it, or as an operator.
    ("POST", "/v1/handovers/{id}/accept", "operator"),
    ("POST", "/v1/handovers/{id}/pass", "operator"),
    ("POST", "/v1/handovers/{id}/retire", "operator"),
    ("GET", "/v1/violations", "viewer"),
    ("POST", "/v1/violations/{id}/accept", "operator"),
];

fn app(server: &Faulty) -> App {
    App::usual(APP, server.base_url(APP))
}

/// The status alone: a stream never ends.
async fn status(rollcall: &Rollcall, method: &str, path: &str, token: Option<&str>) -> anyhow::Result<u16> {
    let method = Method::from_bytes(method.as_bytes())?;
    let body = if method == Method::GET { None } else { Some("{}") };
    let mut request = reqwest::Client::new().request(method, format!("{}{path}", rollcall.address()));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if let Some(body) = body {
        request = request.header("content-type", "application/json").body(body);
    }
    Ok(request.send().await?.status().as_u16())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_token_opens_what_is_its_own_and_nothing_else() -> anyhow::Result<()> {
    let server = Faulty::start().await?;
    let rollcall = Rollcall::new(&[app(&server)], TOKENS)?;
    rollcall.start().await?;
    // A path that is served and not in the table is a path that nobody has thought about.
    let described = rollcall.api("/openapi.json").await?;
    let served: BTreeSet<(String, String)> = described["paths"]
        .as_object()
        .context("no paths")?
        .iter()
        .flat_map(|(path, of)| of.as_object().into_iter().flatten().map(|(m, _)| (m.to_uppercase(), path.clone())))
        .collect();
    let known = OPENED_BY.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
    ensure!(served == known, "{:?}", served.symmetric_difference(&known).collect::<Vec<_>>());
    for (method, path, least) in OPENED_BY {
        let at = path.replace("{source}", "hr").replace("{sequence}", "1").replace("{id}", ID);
        let at = at.replace(&format!("/apps/{ID}"), &format!("/apps/{APP}"));
        for (whose, token) in [
            ("nobody", None),
            ("a guesser", Some("api-secret-77ac")),
            ("a source", Some(SOURCE_TOKEN)),
            ("an app", Some(APP_TOKEN)),
        ] {
            let status = status(&rollcall, method, &at, token).await?;
            ensure!(status == 401, "{whose} gets {status} at {method} {path}");
        }
        let from = ROLES.iter().position(|(role, _)| *role == least).context("no such role")?;
        for (n, (role, token)) in ROLES.iter().enumerate() {
            let status = status(&rollcall, method, &at, Some(token)).await?;
            let refused = status == 401 || status == 403;
            ensure!(refused == (n < from) && status < 500, "the {role} gets {status} at {method} {path}");
            ensure!(!refused || status == 403, "the {role} gets {status} at {method} {path}");
        }
    }
    // What people may read is not what systems may write, and the other way round.
    let paths = [
        ("GET", "/Users"),
        ("POST", "/Users"),
        ("POST", "/Users/.search"),
        ("GET", "/Groups"),
        ("POST", "/Bulk"),
        ("GET", "/Schemas"),
        ("GET", "/ServiceProviderConfig"),
    ];
    for (method, path) in paths {
        let path = format!("/scim/v2{path}");
        for (role, token) in ROLES {
            let status = status(&rollcall, method, &path, Some(token)).await?;
            ensure!(status == 401, "the {role} gets {status} at {method} {path}");
        }
        for token in [None, Some("source-secret-5f1e"), Some(APP_TOKEN)] {
            let status = status(&rollcall, method, &path, token).await?;
            ensure!(status == 401, "{token:?} gets {status} at {method} {path}");
        }
        let status = status(&rollcall, method, &path, Some(SOURCE_TOKEN)).await?;
        ensure!(status != 401 && status != 403 && status < 500, "the source gets {status} at {method} {path}");
    }
    // Nobody was added by any of it.
    ensure!(rollcall.items("/v1/identities").await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_any_log_event_metric_trace_or_answer() -> anyhow::Result<()> {
    let (server, collector, hook) = (Faulty::start().await?, Collector::start().await?, Receiver::start().await?);
    let extra = format!(
        "{TOKENS}[telemetry]\notlp_endpoint = \"{}\"\n\
         [[alerts]]\nkind = \"webhook\"\nurl = \"{}/hook\"\nsigning_secret = \"hook-secret-7788\"\n",
        collector.endpoint, hook.url
    );
    let rollcall = Rollcall::new(&[app(&server)], &extra)?;
    rollcall.start().await?;
    let secrets = [
        SOURCE_TOKEN,
        API_TOKEN,
        APP_TOKEN,
        "viewer-secret-1a2b",
        "operator-secret-3c4d",
        "admin-secret-5e6f",
        "hook-secret-7788",
        "person-secret-99aa",
        "guessed-secret-bbcc",
    ];
    // A joiner who brings a password, a mover, a leaver; someone who guesses; an app that throws our token back.
    let user = json!({ "schemas": [USER], "userName": "anna", "password": "person-secret-99aa", "active": true });
    let made = rollcall.scim(Method::POST, "/Users", &user).await?;
    let id = made["id"].as_str().context("no id")?.to_owned();
    ensure!(!made.to_string().contains("person-secret"), "a password is answered: {made}");
    let script =
        rollcall_tests::Script { refuses_creation: Some(format!("bad token {APP_TOKEN}")), ..Default::default() };
    server.tell(APP, &script).await?;
    let other = json!({ "schemas": [USER], "userName": "ben", "password": "person-secret-99aa" });
    rollcall.scim(Method::POST, "/Users", &other).await?;
    let rejected = || async { Ok(rollcall.items("/v1/timeline?type=account.rejected").await?.into_iter().next()) };
    until("the app has refused", rejected).await?;
    server.tell(APP, &rollcall_tests::Script::default()).await?;
    for path in ["/v1/apps?token=guessed-secret-bbcc", "/scim/v2/Users?access_token=guessed-secret-bbcc"] {
        let _ = rollcall.raw(Method::GET, path, "guessed-secret-bbcc", None).await?;
    }
    rollcall.raw(Method::DELETE, &format!("/scim/v2/Users/{id}"), SOURCE_TOKEN, None).await?;
    until("she is gone", || async { Ok(rollcall.items("/v1/leavers?status=completed").await?.into_iter().next()) })
        .await?;
    let mut places: Vec<(&str, String)> = Vec::new();
    for path in [
        "/metrics",
        "/v1/timeline?limit=200",
        "/v1/export?format=ndjson",
        "/v1/export?format=csv",
        "/v1/apps",
        "/readyz",
    ] {
        let request = reqwest::Client::new().get(format!("{}{path}", rollcall.address())).bearer_auth(API_TOKEN);
        places.push((path, request.send().await?.text().await?));
    }
    // What is stored, as it is stored.
    let export =
        places.iter().find(|(path, _)| path.contains("ndjson")).map(|(_, text)| text.clone()).unwrap_or_default();
    let mut stored = Vec::new();
    for line in export.lines() {
        let line: Value = serde_json::from_str(line)?;
        if let Some(bytes) = line["record"]["stored"].as_str().or_else(|| line["stored"].as_str()) {
            stored.extend(STANDARD.decode(bytes)?);
        }
    }
    ensure!(stored.len() > 1000, "the export has no stored events");
    places.push(("the stored events", String::from_utf8_lossy(&stored).into_owned()));
    rollcall.stop().await?;
    places.push(("the log", std::fs::read_to_string(rollcall.log_file())?));
    places.push(("the traces", collector.text()));
    places.push(("what receivers were told", hook.all().iter().map(|m| m.text.clone()).collect()));
    for (place, text) in &places {
        for secret in secrets {
            ensure!(!text.contains(secret), "'{secret}' is in {place}");
        }
    }
    ensure!(places.iter().filter(|(_, text)| text.is_empty()).all(|(place, _)| place.contains("receivers")));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_wherever_its_cookie_was_copied_to() -> anyhow::Result<()> {
    let rollcall = Rollcall::new(&[], TOKENS)?;
    rollcall.start().await?;
    let browser = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    let sign_in = async |token: &str| {
        let form = browser.post(format!("{}/console/sign-in", rollcall.address()));
        let form = form.header("content-type", "application/x-www-form-urlencoded").body(format!("token={token}"));
        let answer = form.send().await?;
        let cookie = answer.headers().get("set-cookie").and_then(|c| c.to_str().ok()).map(str::to_owned);
        anyhow::Ok((answer.status().as_u16(), cookie.and_then(|c| c.split(';').next().map(str::to_owned))))
    };
    let ask = async |method: Method, path: &str, cookie: &str| {
        let request = browser.request(method, format!("{}{path}", rollcall.address())).header("cookie", cookie);
        anyhow::Ok(request.send().await?.status().as_u16())
    };
    let (status, none) = sign_in("a-guess").await?;
    ensure!(status == 401 && none.is_none(), "{status} {none:?}");
    ensure!(rollcall.items("/v1/timeline?type=access.denied").await?.len() == 1, "the guess is not on the log");
    let (_, mine) = sign_in("operator-secret-3c4d").await?;
    let (_, other) = sign_in("viewer-secret-1a2b").await?;
    let (mine, other) = (mine.context("no cookie")?, other.context("no cookie")?);
    for cookie in [&mine, &other] {
        ensure!(ask(Method::GET, "/console/apps", cookie).await? == 200);
    }
    // Signed out here, it opens nothing anywhere.
    ensure!(ask(Method::POST, "/console/sign-out", &mine).await? == 303);
    ensure!(ask(Method::GET, "/console/apps", &mine).await? == 303, "a copied cookie still opens the console");
    // An admin ends another's.
    let (status, open) = rollcall.raw(Method::GET, "/v1/sessions", "admin-secret-5e6f", None).await?;
    ensure!(status == 200 && open["items"].as_array().is_some_and(|all| all.len() == 1), "{status} {open}");
    ensure!(open["items"][0]["name"] == "vic", "{open}");
    let path = format!("/v1/sessions/{}", open["items"][0]["id"].as_str().context("no id")?);
    let (status, _) = rollcall.raw(Method::DELETE, &path, "operator-secret-3c4d", None).await?;
    ensure!(status == 403, "{status}");
    let (status, answer) = rollcall.raw(Method::DELETE, &path, "admin-secret-5e6f", None).await?;
    ensure!(status == 202, "{status} {answer}");
    ensure!(ask(Method::GET, "/console/apps", &other).await? == 303);
    // Nobody makes one: neither from nothing, nor by changing a letter of one.
    ensure!(ask(Method::GET, "/console/apps", "rollcall-session=AAAA").await? == 303);
    Ok(())
}
