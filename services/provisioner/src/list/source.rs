//! Where a list is fetched from.

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use jiff::Timestamp;
use rollcall_config::{AccountListConfig, AccountListPlace, AppConfig};
use rollcall_domain::access::rejection::RejectionCause;
use tokio::io::AsyncReadExt as _;

use crate::app_client::client::Failure;
use crate::app_client::transport::{Fetched, Fetcher, Http};
use crate::error::ProvisionerError;

/// A list that is written to is left alone for so long.
const QUIET: Duration = Duration::from_secs(3);

/// Which list it was, as its place tells one from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark(pub String);

/// What there is at the place of a list.
#[derive(Debug)]
pub enum Newest {
    /// What was read before; by the word of its place that is so at this time, where it says one.
    Same { as_of: Option<Timestamp> },
    /// It is being written: what was read before is the newest that is whole.
    Unfinished,
    /// Another list.
    Other { mark: Mark, written_at: Timestamp, body: Vec<u8> },
}

/// The list that is waited for.
pub type Looked<'a> = Pin<Box<dyn Future<Output = Result<Newest, Failure>> + Send + 'a>>;

/// A place where a list is.
pub trait Source: fmt::Debug + Send + Sync {
    /// The list there now, unless it is the one that is known.
    fn newest<'a>(&'a self, known: Option<&'a Mark>, now: Timestamp) -> Looked<'a>;

    /// How long it is believed that there is no other.
    fn asked_every(&self) -> Duration;
}

/// A file.
#[derive(Debug)]
pub struct File {
    pub path: PathBuf,
    pub max_bytes: usize,
}

impl File {
    async fn look(&self, known: Option<&Mark>, now: Timestamp) -> Result<Newest, Failure> {
        let place = self.path.display();
        let failed = |e: &dyn fmt::Display| {
            Failure::new(RejectionCause::Unreachable, format!("the list {place} can't be read: {e}"))
        };
        let file = tokio::fs::File::open(&self.path).await.map_err(|e| failed(&e))?;
        let mark = async || -> Result<(Timestamp, Mark), Failure> {
            let about = file.metadata().await.map_err(|e| failed(&e))?;
            let written = about.modified().map_err(|e| failed(&e))?;
            let written = Timestamp::try_from(written).map_err(|e| failed(&e))?;
            Ok((written, Mark(format!("{written} {}", about.len()))))
        };
        let (written_at, before) = mark().await?;
        if Some(&before) == known {
            return Ok(Newest::Same { as_of: None });
        }
        let quiet = Duration::try_from(now.duration_since(written_at)).unwrap_or_default();
        if quiet < QUIET {
            return Ok(Newest::Unfinished);
        }
        let mut body = Vec::new();
        let limit = u64::try_from(self.max_bytes).unwrap_or(u64::MAX).saturating_add(1);
        let mut reader = file.try_clone().await.map_err(|e| failed(&e))?.take(limit);
        reader.read_to_end(&mut body).await.map_err(|e| failed(&e))?;
        if body.len() > self.max_bytes {
            let detail = format!("the list {place} is longer than {} bytes (list.max_bytes)", self.max_bytes);
            return Err(Failure::new(RejectionCause::BadList, detail));
        }
        // Somebody writes into it all the same.
        if mark().await?.1 != before {
            return Ok(Newest::Unfinished);
        }
        Ok(Newest::Other { mark: before, written_at, body })
    }
}

impl Source for File {
    fn newest<'a>(&'a self, known: Option<&'a Mark>, now: Timestamp) -> Looked<'a> {
        Box::pin(self.look(known, now))
    }

    fn asked_every(&self) -> Duration {
        Duration::from_secs(2)
    }
}

/// An address.
#[derive(Debug)]
pub struct Address {
    pub fetcher: Fetcher,
    pub every: Duration,
    pub max_bytes: usize,
    /// Whether it said when it was changed last.
    pub is_dated: AtomicBool,
}

impl Source for Address {
    fn newest<'a>(&'a self, known: Option<&'a Mark>, now: Timestamp) -> Looked<'a> {
        Box::pin(async move {
            let known = known.map(|mark| mark.0.as_str()).filter(|mark| !mark.is_empty());
            Ok(match self.fetcher.fetch(known, self.max_bytes).await? {
                // What is not dated is so when it is asked for.
                Fetched::Same => Newest::Same { as_of: (!self.is_dated.load(Relaxed)).then_some(now) },
                Fetched::Body { changed_at, validator, body } => {
                    self.is_dated.store(changed_at.is_some(), Relaxed);
                    let (mark, written_at) = (Mark(validator.unwrap_or_default()), changed_at.unwrap_or(now).min(now));
                    Newest::Other { mark, written_at, body }
                }
            })
        })
    }

    fn asked_every(&self) -> Duration {
        self.every
    }
}

/// Where the list of an app is fetched from.
///
/// # Errors
/// When its address may not be asked.
pub fn source_of(
    http: &Http,
    config: &AppConfig,
    list: &AccountListConfig,
) -> Result<Box<dyn Source>, ProvisionerError> {
    Ok(match &list.place {
        AccountListPlace::File(path) => Box::new(File { path: path.clone(), max_bytes: list.max_bytes }),
        AccountListPlace::Url(url) => Box::new(Address {
            fetcher: http.fetching(config, url)?,
            every: config.spec.reconcile_every,
            max_bytes: list.max_bytes,
            is_dated: AtomicBool::new(false),
        }),
    })
}
