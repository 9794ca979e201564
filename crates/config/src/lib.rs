//! The configuration file: read whole, checked whole, every mistake named with its line.

mod app;
mod load;
mod model;
mod secret;
mod section;

pub use load::{load, parse};
pub use model::{
    AlertSink, AlertingConfig, ApiToken, AppConfig, AuditConfig, Config, DurabilityChoice, JwtConfig, KeyPlace,
    NatsConfig, NatsPlace, OidcConfig, PrivateAddresses, Reads, Role, ScimConfig, ServerConfig, Sight, SinkKind,
    SinkUrl, SourceConfig, TelemetryConfig,
};
pub use secret::{Needs, Token};
pub use section::{ConfigError, Mistake};
