//! `[server]`, `[nats]` and `[telemetry]`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::model::{DurabilityChoice, NatsConfig, NatsPlace, NatsTls, ServerConfig, TelemetryConfig};
use crate::section::{PASSWORD, Section, http_url, http_urls, size, some_text};

pub(crate) fn server(mut s: Section<'_>) -> ServerConfig {
    let address = |text: &str| {
        text.parse::<SocketAddr>().map_err(|_| format!("'{text}' must be an address and port, such as 127.0.0.1:8080"))
    };
    let default = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
    let in_flight = s.integer("max_requests_in_flight", 1..=65_536, 512);
    // One that stands still leaves room for three others.
    let of_a_source = s.integer("max_requests_in_flight_per_source", 1..=65_536, (in_flight / 4).max(1));
    let config = ServerConfig {
        listen: s.parsed("listen", address).unwrap_or(default),
        public_url: s.parsed("public_url", http_url),
        data_dir: s.parsed("data_dir", some_text).map_or_else(|| PathBuf::from("rollcall-data"), PathBuf::from),
        projectors: s.parsed("projector", http_urls).unwrap_or_default(),
        projector_ca_file: s.parsed("projector_ca_file", file),
        tls: certificate(&mut s),
        max_body_bytes: size(s.integer("max_body_bytes", 1024..=16 << 20, 1 << 20)),
        max_inventory_bytes: size(s.integer("max_inventory_bytes", 1024..=4 << 30, 256 << 20)),
        max_page: size(s.integer("max_page", 1..=10_000, 200)),
        max_requests_in_flight: size(in_flight),
        max_requests_in_flight_per_source: size(of_a_source),
        max_streams: size(s.integer("max_streams", 1..=65_536, 256)),
        max_streams_per_person: size(s.integer("max_streams_per_person", 1..=65_536, 16)),
        write_timeout: s.duration("write_timeout", Duration::from_secs(60)),
        body_timeout: s.duration("body_timeout", Duration::from_secs(15)),
        read_patience: s.duration("read_patience", Duration::from_secs(5)),
        cache_bytes: s.integer("cache_bytes", 1 << 20..=64 << 30, 64 << 20),
        management_listen: s.parsed("management_listen", address),
        trusted_proxies: s.parsed("trusted_proxies", networks).unwrap_or_default(),
        max_connections: size(s.integer("max_connections", 16..=1 << 20, 8192)),
        max_connections_per_address: size(s.integer("max_connections_per_address", 1..=1 << 20, 4096)),
        max_api_requests_per_second: number(s.integer("max_api_requests_per_second", 1..=1_000_000, 200)),
        max_refusals_per_minute: number(s.integer("max_refusals_per_minute", 1..=1_000_000, 600)),
        max_sign_ins_per_minute: number(s.integer("max_sign_ins_per_minute", 1..=100_000, 30)),
    };
    s.finish();
    config
}

pub(crate) fn nats(mut s: Section<'_>) -> NatsConfig {
    let one = |text: &str| {
        let url = url::Url::parse(text).map_err(|e| format!("'{text}' is not a URL: {e}"))?;
        if !matches!(url.scheme(), "nats" | "tls") {
            return Err(format!("'{text}' must start with nats:// or tls://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("it holds a user or password: use user and password_env".into());
        }
        Ok(())
    };
    // Of a cluster all of them, separated by commas.
    let url = s.parsed("url", |text| {
        text.split(',').map(str::trim).try_for_each(one)?;
        Ok(text.to_owned())
    });
    let monitoring_urls = s.parsed("monitoring_url", http_urls);
    let monitoring_urls = monitoring_urls.unwrap_or_default();
    let user = s.parsed("user", some_text);
    let password = s.secret(PASSWORD);
    let credentials = match (user, password) {
        (Some(user), Some(password)) => Some((user, password)),
        (None, None) => None,
        _ => {
            s.mistake("user and password go together");
            None
        }
    };
    let ca_file = s.parsed("tls_ca_file", file);
    let identity = certificate(&mut s);
    if (ca_file.is_some() || identity.is_some())
        && let Some(plain) =
            url.iter().flat_map(|all: &String| all.split(',')).find(|u| !u.trim().starts_with("tls://"))
    {
        s.mistake(format!("with certificates every url must start with tls://, and '{}' does not", plain.trim()));
    }
    let tls = NatsTls { ca_file, identity };
    let choice = |text: &str| match text {
        "refuse" => Ok(DurabilityChoice::Refuse),
        "warn" => Ok(DurabilityChoice::Warn),
        _ => Err(format!("'{text}' must be refuse or warn")),
    };
    let replicas = size(s.integer("replicas", 1..=5, 1));
    if url.is_none() && replicas > 1 {
        s.mistake("replicas above 1 need the url of a cluster: the private server is one server");
    }
    let config = NatsConfig {
        place: url.map_or(NatsPlace::Private, |url| NatsPlace::Server {
            url,
            monitoring_urls,
            credentials,
            tls: tls.clone(),
        }),
        replicas,
        durability: s.parsed("durability", choice).unwrap_or(DurabilityChoice::Refuse),
    };
    s.finish();
    config
}

pub(crate) fn telemetry(mut s: Section<'_>) -> TelemetryConfig {
    let config = TelemetryConfig { otlp_endpoint: s.parsed("otlp_endpoint", http_url) };
    s.finish();
    config
}

/// Networks, or single addresses, separated by commas.
fn networks(text: &str) -> Result<Vec<IpNet>, String> {
    let one = |text: &str| {
        let address = || text.parse::<IpAddr>().map(IpNet::from);
        let wrong = |_| format!("'{text}' must be an address or a network, such as 10.0.0.0/8");
        text.parse::<IpNet>().or_else(|_| address()).map_err(wrong)
    };
    text.split(',').map(str::trim).map(one).collect()
}

fn number(of: u64) -> NonZeroU32 {
    u32::try_from(of).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN)
}

/// A certificate and its key.
fn certificate(s: &mut Section<'_>) -> Option<(PathBuf, PathBuf)> {
    match (s.parsed("tls_cert_file", file), s.parsed("tls_key_file", file)) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => {
            s.mistake("tls_cert_file and tls_key_file go together");
            None
        }
    }
}

/// A file that can be read.
fn file(text: &str) -> Result<PathBuf, String> {
    std::fs::File::open(text).map_err(|e| format!("file {text} can't be read: {e}"))?;
    Ok(text.into())
}
