//! The lists of the office, where the provisioner reads them: not always, and sometimes not.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rollcall_domain::access::rejection::RejectionCause;
use rollcall_provisioner::{Failure, Looked, Mark, Newest, Source};

use crate::chance::Chance;
use crate::laws::Laws;
use crate::weather::Weather;

/// Where the lists are.
#[derive(Clone)]
pub struct Listing {
    pub laws: Arc<Laws>,
    pub chance: Chance,
    pub weather: Weather,
}

impl fmt::Debug for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listing")
    }
}

impl Source for Listing {
    fn newest<'a>(&'a self, known: Option<&'a Mark>, _: Timestamp) -> Looked<'a> {
        Box::pin(async move {
            if self.weather.is_rough() && self.chance.percent(10) {
                return Err(Failure::new(RejectionCause::Unreachable, "the list is away"));
            }
            let Some((written_at, text)) = self.laws.list() else {
                return Err(Failure::new(RejectionCause::Unreachable, "there is no list yet"));
            };
            let mark = Mark(written_at.to_string());
            if known == Some(&mark) {
                return Ok(Newest::Same { as_of: None });
            }
            Ok(Newest::Other { mark, written_at, body: text.into_bytes() })
        })
    }

    fn asked_every(&self) -> Duration {
        Duration::from_secs(2)
    }
}
