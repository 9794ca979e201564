//! The words of identity lifecycle governance as types, and the decisions about them as pure functions.
//! No I/O, no clock: state is read and written through [`kv`], time comes from events or as a parameter.

pub mod access;
pub mod account;
pub mod alert;
pub mod api_token;
pub mod app;
pub mod approval;
pub mod authority;
pub mod capability;
pub mod checkpoint;
pub mod configuration;
pub mod conformance;
pub mod directory;
pub mod drift;
pub mod event;
pub mod exception;
pub mod group;
pub mod guard;
pub mod health;
pub mod hours;
pub mod identity;
pub mod ids;
pub mod kv;
pub mod leaver;
pub mod ledger;
pub mod lifecycle;
pub mod mapping;
pub mod name;
pub mod obligation;
pub mod reconciliation;
pub mod resource;
pub mod session;
mod stored;

pub use event::{Event, EventMeta, NewEvent, Recorded, TraceContext};
pub use ids::{AppId, GroupId, IdentityId, ResourceId, Sequence, SourceName};
