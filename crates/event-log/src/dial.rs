//! Reaching the server.

use std::time::Duration;

use async_nats::{Client, ConnectOptions};
use backon::{ExponentialBuilder, Retryable};
use rollcall_telemetry::causes;
use secrecy::ExposeSecret;

use crate::connection::Connection;
use crate::error::LogError;

/// How long a server is waited for at start.
pub fn patience(connection: &Connection) -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(2))
        .with_total_delay(Some(connection.limits.connect_timeout))
        .without_max_times()
}

/// A client that stays connected.
///
/// # Errors
/// When no server answers in time.
pub async fn dial(connection: &Connection) -> Result<Client, LogError> {
    let once = || async {
        let mut options = ConnectOptions::new()
            .name("rollcall")
            .connection_timeout(Duration::from_secs(5))
            .request_timeout(Some(connection.limits.ack_timeout));
        if let Some((user, password)) = &connection.credentials {
            options = options.user_and_password(user.clone(), password.expose_secret().to_owned());
        }
        if let Some(ca) = &connection.tls.ca_file {
            options = options.add_root_certificates(ca.clone());
        }
        if let Some((certificate, key)) = &connection.tls.identity {
            options = options.add_client_certificate(certificate.clone(), key.clone());
        }
        options.connect(connection.url.split(',').map(str::trim).collect::<Vec<_>>().as_slice()).await
    };
    let dialled = once.retry(patience(connection)).sleep(tokio::time::sleep).await;
    dialled.map_err(|e| LogError::Connect { url: connection.url.clone(), reason: causes(&e) })
}
