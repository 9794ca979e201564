//! Identity lifecycle governance as types, and the decisions about them as pure functions.
//! No I/O, no clock: state is read and written through [`kv`], time comes from events or as a parameter.
//!
//! A module imports only from those above it:
//!
//! | Module | What it is about |
//! |---|---|
//! | [`ids`], [`trace`], [`kv`] | ids and values; the storage that state is kept in |
//! | [`identity`] | people and machines, groups, lifecycle, whose statement counts |
//! | [`app`] | connected apps: mapping, capabilities, service levels, conformance |
//! | [`access`] | accounts in apps, obligations, departures |
//! | [`drift`] | where apps differ from what is desired |
//! | [`governance`] | exceptions, holds, approvals, sessions, tokens: what people decide, and who saw what |
//! | [`alert`] | what somebody is told of |
//! | [`event`] | everything that the log holds |
//! | [`directory`] | identities, groups, roles and apps, derived from events |
//! | [`decision`] | who holds what, and why |
//! | [`ledger`] | what is owed, and how far it is, derived from events |

pub mod access;
pub mod alert;
pub mod app;
pub mod decision;
pub mod directory;
pub mod drift;
pub mod event;
pub mod governance;
pub mod identity;
pub mod ids;
mod key_ref;
pub mod kv;
pub mod ledger;
mod stored;
pub mod trace;

pub use event::{Event, EventMeta, NewEvent, Recorded, Seal};
pub use ids::{AppId, GrantId, GroupId, IdentityId, PolicyId, ResourceId, RoleId, SeparationId, Sequence, SourceName};
pub use key_ref::KeyRef;
pub use trace::TraceContext;
