//! What the end-to-end tests share: a real `rollcall` process, real apps, and waiting for what must come true.

mod apps;
pub mod rollcall;

pub use apps::{Lying, Scim2Server};
pub use rollcall::{App, Rollcall, free_port, until};
