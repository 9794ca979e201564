//! Looking at the canary by every way that Rollcall relies on, until it shows what it must.

use std::collections::BTreeSet;
use std::time::Duration;

use rollcall_config::AppConfig;
use rollcall_domain::access::rejection::RejectionCause;
use rollcall_domain::access::remote::Remote;
use tokio::time::{Instant, sleep};

use crate::app_client::client::{Endpoint, Failure};
use crate::app_client::pages::Pages;
use crate::search::look::{Answered, Search, read_by_id, search};

/// The first pause between two looks; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause between two looks.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The most accounts that are read one by one in a drill: a comparison reads them all.
pub const MAX_LISTED: usize = 1000;

/// A way in which an account is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    UserName,
    ExternalId,
    List,
}

impl Way {
    const fn name(self) -> &'static str {
        match self {
            Self::UserName => "the filter by userName",
            Self::ExternalId => "the filter by externalId",
            Self::List => "the list of all accounts",
        }
    }
}

/// What an account must be; the other way round, what is wrong with it, in words.
pub type Expected<'a> = &'a (dyn Fn(Option<&Remote>) -> Result<(), String> + Send + Sync);

/// How to look at one account.
pub struct Sight<'a> {
    pub search: Search<'a>,
    /// How long a change may take to show.
    pub patience: Duration,
    /// How long the app may still carry out what it has not answered.
    pub carried_out_within: Duration,
    /// The ways by which it was found at first: the app shows it by these.
    pub ways: BTreeSet<Way>,
}

/// When it showed what it must; or what it showed instead.
pub type Seen = Result<Duration, String>;

impl<'a> Sight<'a> {
    /// That of an app, by no other way than the id yet.
    pub fn new(search: Search<'a>, config: &AppConfig) -> Self {
        let patience = config.drill.patience.max(search.can.consistency_delay.unwrap_or_default());
        Self { search, patience, carried_out_within: config.carried_out_within, ways: BTreeSet::new() }
    }

    /// Asks, and asks again while the app wants to be asked later.
    pub async fn patiently<T, F>(&self, ask: impl Fn() -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let until = Instant::now() + self.patience;
        loop {
            match ask().await {
                Err(failure) if failure.rejection.cause == RejectionCause::Throttled && Instant::now() < until => {
                    let pause = failure.retry_after.unwrap_or(LONGEST_PAUSE);
                    if pause > self.patience {
                        return Err(failure);
                    }
                    sleep(pause.max(FIRST_PAUSE)).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// The account of this id, as one way shows it.
    pub async fn by(&self, way: Way, id: &str, names: &Names) -> Result<Result<Option<Remote>, String>, Failure> {
        let (attribute, value) = match way {
            Way::UserName => ("userName", names.user_name.as_str()),
            Way::ExternalId => ("externalId", names.external_id.as_str()),
            Way::List => return self.listed(id).await,
        };
        Ok(match self.patiently(|| search(&self.search, attribute, value)).await? {
            Answered::Complete(found) => Ok(found.into_iter().find(|remote| remote.id == id)),
            Answered::NotFound => Ok(None),
            Answered::Untrusted => {
                Err("it shows others than were asked for, or not all, or knows no such filter".into())
            }
            Answered::Failed => Err("it fails".into()),
        })
    }

    async fn listed(&self, id: &str) -> Result<Result<Option<Remote>, String>, Failure> {
        let mut pages = Pages::new(Endpoint::Users, self.search.can);
        let mut read = 0;
        while let Some(page) = pages.next(self.search.client).await? {
            let users = page.users()?;
            read += users.len();
            if page.total.max(read) > MAX_LISTED {
                return Ok(Err(format!("it has more than {MAX_LISTED} accounts, which a drill does not read")));
            }
            if let Some(found) = users.into_iter().find(|remote| remote.id == id) {
                return Ok(Ok(Some(found)));
            }
        }
        Ok(Ok(None))
    }

    /// Looks by one way until the account shows what it must.
    pub async fn until_by(&self, way: Way, id: &str, names: &Names, expected: Expected<'_>) -> Result<Seen, Failure> {
        self.until(|| async {
            Ok(match self.by(way, id, names).await? {
                Ok(found) => expected(found.as_ref()),
                Err(why) => Err(why),
            })
        })
        .await
    }

    /// Looks by the account's id and by each way that has shown it before, until all of them show what they must.
    pub async fn until_shown(&self, id: &str, names: &Names, expected: Expected<'_>) -> Result<Seen, Failure> {
        self.until(|| async {
            let by_id = self.patiently(|| read_by_id(self.search.client, id)).await?;
            if let Err(why) = expected(by_id.as_ref()) {
                return Ok(Err(why));
            }
            for way in self.ways.iter().filter(|way| **way != Way::List) {
                if let Ok(found) = self.by(*way, id, names).await?
                    && let Err(why) = expected(found.as_ref())
                {
                    return Ok(Err(format!("by {}: {why}", way.name())));
                }
            }
            Ok(Ok(()))
        })
        .await
    }

    /// Looks until it is so.
    pub async fn until<F>(&self, look: impl Fn() -> F) -> Result<Seen, Failure>
    where
        F: Future<Output = Result<Result<(), String>, Failure>>,
    {
        self.within(self.patience, look).await
    }

    /// Looks until it is so, for as long as what was not answered may still be carried out.
    pub async fn until_carried_out<F>(&self, look: impl Fn() -> F) -> Result<Seen, Failure>
    where
        F: Future<Output = Result<Result<(), String>, Failure>>,
    {
        self.within(self.patience.max(self.carried_out_within), look).await
    }

    async fn within<F>(&self, patience: Duration, look: impl Fn() -> F) -> Result<Seen, Failure>
    where
        F: Future<Output = Result<Result<(), String>, Failure>>,
    {
        let (began, mut pause) = (Instant::now(), FIRST_PAUSE);
        loop {
            match look().await? {
                Ok(()) => return Ok(Ok(began.elapsed())),
                Err(why) if began.elapsed() + pause > patience => return Ok(Err(why)),
                Err(_) => {}
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// By what an account is looked for.
#[derive(Debug, Clone)]
pub struct Names {
    pub user_name: String,
    pub external_id: String,
}
