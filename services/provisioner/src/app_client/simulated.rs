//! A client of an app that a test answers for.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use rollcall_event_log::Lease;
use url::Url;

use crate::app_client::client::ScimClient;
use crate::app_client::transport::{Transport, Way};

/// The client of an app whose answers come from `transport`.
pub fn client_of(transport: Arc<dyn Transport>) -> ScimClient {
    let text = "[server]\nlisten = \"127.0.0.1:1\"\n[[apps]]\nid = \"crm\"\nbase_url = \"http://localhost:1\"\nowner = \"o@example.com\"\n\
                token = \"a-token-of-the-app\"\nassign = 'active eq true'\nmax_requests_per_second = 10000\n";
    let config = rollcall_config::parse("test.toml", text, &|_| None).map_err(|e| format!("{e:?}")).unwrap();
    let base = Url::parse("http://localhost:1/").unwrap();
    ScimClient::new(&config.apps[0], Arc::new(Lease::unlimited()), Way { base, transport })
}
