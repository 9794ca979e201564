//! A gateway whose own state does not follow the log: a change that is there is not answered as if it had failed, or
//! whoever asked for something new would ask for it a second time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use rollcall_config::parse;
use rollcall_domain::Sequence;
use rollcall_event_log::{EventLog, PrivateServer};
use rollcall_gateway::Gateway;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// Asks a gateway whose state has stopped to follow for something new; what it answered, and how many events that was.
async fn created(endpoint: &str, resource: &Value) -> (StatusCode, Option<String>, Value, Sequence) {
    let folder = tempfile::tempdir().unwrap();
    let server = PrivateServer::start(&folder.path().join("nats")).await.unwrap();
    let log = EventLog::connect(&server.connection()).await.unwrap();
    let text = format!(
        "[server]\ndata_dir = {:?}\nread_patience = \"50ms\"\n[[sources]]\nname = \"hr\"\ntoken = \"t\"\n",
        folder.path().display().to_string()
    );
    let config = parse("test.toml", &text, &|_| None).unwrap();
    let gateway = Gateway::open(&config, log.clone()).unwrap();
    let (router, mut registered, stop) = (gateway.router(), gateway.registered(), CancellationToken::new());
    let running = tokio::spawn(gateway.run(stop.clone()));
    registered.wait_for(|known| *known).await.unwrap();
    stop.cancel();
    running.await.unwrap().unwrap();
    let request = Request::post(format!("/scim/v2{endpoint}"))
        .header(header::AUTHORIZATION, "Bearer t")
        .header(header::CONTENT_TYPE, "application/scim+json")
        .body(Body::from(resource.to_string()))
        .unwrap();
    let answer = router.oneshot(request).await.unwrap();
    let location = answer.headers().get(header::LOCATION).map(|l| l.to_str().unwrap().to_owned());
    let status = answer.status();
    let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    let head = log.head().await.unwrap();
    server.stop().await;
    (status, location, serde_json::from_slice(&body).unwrap(), head)
}

#[tokio::test]
async fn who_is_on_the_log_was_added_whatever_our_own_state_shows() {
    let core = "urn:ietf:params:scim:schemas:core:2.0";
    let agents = "urn:ietf:params:scim:schemas:core:2.0:AgenticApplication";
    for (endpoint, name, resource) in [
        ("/Users", "userName", json!({ "schemas": [format!("{core}:User")], "userName": "anna" })),
        ("/Groups", "displayName", json!({ "schemas": [format!("{core}:Group")], "displayName": "Sales" })),
        ("/AgenticApplications", "name", json!({ "schemas": [agents], "name": "mailer" })),
    ] {
        let (status, location, body, head) = created(endpoint, &resource).await;
        assert!(head > Sequence(0), "{endpoint}: nothing is on the log: {body}");
        assert_eq!(status, StatusCode::CREATED, "{endpoint}: {body}");
        let id = body["id"].as_str().unwrap();
        assert!(location.unwrap().ends_with(&format!("{endpoint}/{id}")), "{endpoint}");
        assert_eq!(body[name], resource[name], "{endpoint}");
    }
}
