//! The event log on NATS JetStream: the only truth. Appends with expected sequences, tail and replay without a gap,
//! and a refusal to run where an acknowledged event could be lost.

mod app_wire;
mod append;
mod backup;
mod commit;
mod connection;
mod decode;
mod dial;
mod duty;
mod effects;
mod encode;
mod error;
mod head;
mod holder;
mod lease;
mod leases;
mod log;
mod meta;
mod newest;
mod private_server;
mod safety;
mod shared_ticks;
mod subject;
mod tail;
mod unit;
mod wire;

pub use backup::{Volume, backup, restore};
pub use connection::{Connection, Limits, Tls};
pub use decode::decode;
pub use duty::Duty;
pub use effects::{Answer, Clock, Log};
pub use encode::encode;
pub use error::LogError;
pub use holder::holder_name;
pub use lease::Lease;
pub use leases::{Held, Leases, Look, Remembered, TERM as LEASE_TERM, TURN as LEASE_TURN};
pub use log::EventLog;
pub use meta::{by_request, by_service};
pub use newest::{Newest, newest};
pub use private_server::PrivateServer;
pub use safety::{Durability, SyncKnowledge};
pub use shared_ticks::SharedTicks;
pub use subject::{Subject, subject_of};
pub use tail::{Stored, Tail};
pub use unit::{Appended, Expect, Unit};
