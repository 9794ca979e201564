//! Reading some of the accounts that we know by their ids, to know the app again.

use rollcall_domain::access::account::Account;
use rollcall_domain::access::remote::Remote;
use rollcall_domain::kv::Read;

use crate::app_client::client::Failure;
use crate::search::look::{Search, read_by_id};
use crate::search::recognition::is_recognized;
use crate::work::error::WorkError;

/// What is found under the ids of some accounts.
#[derive(Debug, Default)]
pub struct Sampled {
    /// They are the ones that we know.
    pub known: Vec<Remote>,
    /// There is something, and nothing says that it is theirs: renamed by hand, or somebody else's in another tenant.
    pub others: Vec<Remote>,
    pub missing: usize,
    /// Why some of them could not be read.
    pub failed: Option<Failure>,
}

impl Sampled {
    /// Reads them by their ids, until `enough` of them are recognized.
    pub async fn read(
        app: &Search<'_>,
        state: &impl Read,
        accounts: &[Account],
        enough: usize,
    ) -> Result<Self, WorkError> {
        let mut sampled = Self::default();
        for (account, id) in accounts.iter().filter_map(|account| Some((account, account.remote_id.as_deref()?))) {
            match read_by_id(app.client, id).await {
                Ok(Some(found)) if is_recognized(state, account, &found)? => sampled.known.push(found),
                Ok(Some(found)) => sampled.others.push(found),
                Ok(None) => sampled.missing += 1,
                // An id that it takes for none of its own is none of its own.
                Err(failure) if is_no_id(&failure) => sampled.missing += 1,
                // One that can't be read says nothing of the others.
                Err(failure) if is_of_one(&failure) => sampled.failed = Some(failure),
                Err(failure) => return Err(failure.into()),
            }
            if sampled.known.len() >= enough {
                break;
            }
        }
        Ok(sampled)
    }

    /// How many were looked for, and answered.
    pub const fn looked(&self) -> usize {
        self.known.len() + self.others.len() + self.missing
    }

    /// Whether what is found under their ids is more often a stranger than one of them: ids are counted elsewhere, too, and some people are
    /// in each of a company's tenants.
    pub const fn is_elsewhere(&self) -> bool {
        self.others.len() > 1 && self.others.len() > self.known.len()
    }
}

/// Whether an answer may be about one account alone.
pub fn is_of_one(failure: &Failure) -> bool {
    matches!(failure.rejection.status, Some(403 | 500))
}

/// Whether an app refuses an id as one that it can't have given: that says nothing of the account.
pub fn is_no_id(failure: &Failure) -> bool {
    matches!(failure.rejection.status, Some(400 | 422))
}
