//! What the end-to-end tests share: a real `rollcall` process, real apps, and waiting for what must come true.

mod apps;
pub mod bench;
pub mod browser;
mod collector;
pub mod company;
mod dice;
mod faulty;
mod mail;
mod nats;
mod real_apps;
mod receiver;
pub mod rollcall;
pub mod stage;
mod wire;

pub use apps::{Lying, Scim2Server, Scimmy};
pub use collector::{Collector, SeenSpan};
pub use dice::Dice;
pub use faulty::{Faulty, Script, Shape};
pub use mail::{Mail, MailServer};
pub use nats::{NatsCluster, NatsServer};
pub use real_apps::{Maker, Pusher, RealApp};
pub use receiver::{Received, Receiver};
pub use rollcall::{App, Rollcall, free_port, until};
pub use wire::{Weather, Wire};
