//! The configuration file: read whole, checked whole, every mistake named with its line.

mod access;
mod account_list;
mod alerts;
mod app;
mod inventories;
mod load;
mod meanings;
mod model;
mod policies;
mod preset;
mod reference;
mod roles;
mod scim;
mod secret;
mod section;
mod separations;
mod server;
mod settings;
mod sources;

pub use load::{load, parse};
pub use model::{
    AccountListConfig, AccountListPlace, AlertSink, AlertingConfig, ApiToken, AppConfig, ApprovalConfig, AuditConfig,
    Config, Cursors, DrillSettings, DurabilityChoice, Encryption, ExternalIds, HolderBy, HttpSink, InventoryConfig,
    InventoryField, InventoryPreset, InventoryShape, JwtConfig, KeyPlace, MachinesConfig, MailAddress, MailSink,
    NatsConfig, NatsPlace, News, OidcConfig, PersonAttribute, PrivateAddresses, Reach, Reads, Recreate, Retention,
    Role, ScimConfig, ServerConfig, Sight, SinkKind, SinkReach, SinkUrl, SourceConfig, TasksConfig, TelemetryConfig,
    TwoPeople, WithoutOwner, deciders,
};
pub use preset::{Deletion, Emulation, Preset, presets};
pub use reference::reference;
pub use secret::{Needs, Token};
pub use section::{ConfigError, Mistake, duration as time_span};
