//! Reading everything that an app has of one kind, page by page, by cursor where it can and by index where not.

use std::collections::BTreeSet;

use reqwest::StatusCode;
use rollcall_domain::access::remote::Remote;
use rollcall_domain::app::capability::{Capabilities, Support};
use rollcall_domain::app::quirk::AppQuirk;
use serde_json::Value;

use crate::app_client::client::{Answer, Endpoint, Failure, PageStart, ScimClient};
use crate::app_client::resource::to_remote;

const PAGE: usize = 100;

/// The largest page that is asked for, whatever an app offers.
const LARGEST_PAGE: usize = 1000;

/// Where the next page starts.
#[derive(Debug)]
pub struct Pages {
    kind: Endpoint,
    start: Option<PageStart>,
    size: usize,
    read: usize,
    can: Capabilities,
    /// What was shown, where the first page is all there is by the app's own word: some take what is on a page for the total, so
    /// it is looked for more.
    shown: Option<BTreeSet<String>>,
    /// A further page has shown more than there is by the app's own word.
    total_is_wrong: bool,
    /// How many there were by the page before, and which it had.
    before: Option<(usize, BTreeSet<String>)>,
    /// The ids on the first of several pages, and on the one before the last: some apps show these again beyond the end.
    first: BTreeSet<String>,
    earlier: BTreeSet<String>,
}

/// Where search engines stop to count.
const CAPPED: usize = 10_000;

/// How often in a row as much may vanish while a page is read that it has to be read again.
const STEPS_BACK: usize = 8;

/// What an app means by its total.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Total {
    OfAll,
    OfPage,
    Unknown,
}

/// One page, and how many resources the app says there are.
#[derive(Debug)]
pub struct OnePage {
    pub resources: Vec<Value>,
    pub total: usize,
    /// The answer, for what is wrong with it.
    pub answer: Answer,
}

impl OnePage {
    /// The Users on it.
    ///
    /// # Errors
    /// When something on it is none.
    pub fn users(&self) -> Result<Vec<Remote>, Failure> {
        let users: Option<Vec<Remote>> = self.resources.iter().map(to_remote).collect();
        users.ok_or_else(|| self.answer.not_scim("a page holds something that is not a User"))
    }
}

impl Pages {
    /// From the first page on.
    pub fn new(kind: Endpoint, can: &Capabilities) -> Self {
        let size = can.page_size.map_or(PAGE, |n| usize::try_from(n).unwrap_or(PAGE)).min(LARGEST_PAGE);
        let start = if can.cursor == Support::Yes { PageStart::Cursor(String::new()) } else { PageStart::Index(1) };
        Self {
            kind,
            start: Some(start),
            size,
            read: 0,
            can: can.clone(),
            shown: None,
            total_is_wrong: false,
            before: None,
            first: BTreeSet::new(),
            earlier: BTreeSet::new(),
        }
    }

    /// Passes over as many resources, where pages are counted.
    pub fn skip(&mut self, read: usize) {
        if let Some(PageStart::Index(index)) = &mut self.start {
            *index = read + 1;
            self.read = read;
        }
    }

    /// One page; an app that fails for the word on how large it may be is asked without.
    async fn ask(&self, client: &ScimClient, start: &PageStart) -> Result<Answer, Failure> {
        let PageStart::Index(index) = start else { return client.page(self.kind, start, self.size).await };
        if client.experience.has(&self.can, AppQuirk::NoCount) {
            return client.plain_page(self.kind, *index).await;
        }
        let answer = client.page(self.kind, start, self.size).await?;
        if !matches!(answer.status, StatusCode::BAD_REQUEST | StatusCode::INTERNAL_SERVER_ERROR) {
            return Ok(answer);
        }
        let plain = client.plain_page(self.kind, *index).await?;
        if plain.status != StatusCode::OK || plain.list().is_err() {
            return Ok(answer);
        }
        // It may have been well again by then: only an app that fails once more, between two that succeed, is one of these.
        if *index == 1 && client.page(self.kind, start, self.size).await?.status == answer.status {
            client.experience.saw(BTreeSet::from([AppQuirk::NoCount]));
        }
        Ok(plain)
    }

    /// Whether the total that the first page has said is that of all, where it was as many as the page had: one is asked for alone.
    async fn whose_total(&self, client: &ScimClient) -> Result<Total, Failure> {
        let Some(shown) = self.shown.as_ref().filter(|shown| !self.total_is_wrong && shown.len() > 1) else {
            return Ok(Total::Unknown);
        };
        if client.experience.has(&self.can, AppQuirk::NoCount) {
            return Ok(Total::Unknown);
        }
        let answer = client.page(self.kind, &PageStart::Index(1), 1).await?;
        let Some(page) = answer.list().ok().filter(|page| answer.status == StatusCode::OK && page.resources.len() == 1)
        else {
            return Ok(Total::Unknown);
        };
        let all = usize::try_from(page.total_results).unwrap_or(usize::MAX);
        Ok(match all {
            1 => Total::OfPage,
            all if all == shown.len() => Total::OfAll,
            _ => Total::Unknown,
        })
    }

    /// Whether an answer to the page beyond the last one, by the app's own word, says that there is none: some answer with an error
    /// there, or with no list.
    fn may_be_the_end(&self, answer: &Answer) -> bool {
        // A total that is that of all, by the page before.
        let is_all = self.before.as_ref().is_some_and(|(total, _)| self.read > 0 && self.read >= *total);
        let known = self.shown.as_ref().map(BTreeSet::len).or_else(|| is_all.then_some(self.read));
        let Some(shown) = known.filter(|_| !self.total_is_wrong && !answer.says_later()) else { return false };
        // A search engine behind it counts no further than such a number, and refuses to show what is behind.
        if shown >= CAPPED && shown.is_multiple_of(CAPPED) {
            return false;
        }
        match answer.status.as_u16() {
            400 | 404 | 416 | 422 => true,
            // One that has filled a page, and fails for the next, may have more.
            // One whose total is that of all fails beyond its end, and is asked once more.
            500 => shown < self.size || self.shown.is_none(),
            200..=299 => answer.list().is_err(),
            _ => false,
        }
    }

    /// The next page; `None` after the last one.
    ///
    /// # Errors
    /// When the app does not answer with a page, or its pages contradict each other.
    pub async fn next(&mut self, client: &ScimClient) -> Result<Option<OnePage>, Failure> {
        let Some(start) = self.start.take() else { return Ok(None) };
        match self.whose_total(client).await? {
            Total::OfAll => return Ok(None),
            Total::OfPage => self.total_is_wrong = true,
            Total::Unknown => {}
        }
        let mut answer = self.ask(client, &start).await?;
        if self.may_be_the_end(&answer) {
            if answer.status.is_server_error() {
                answer = self.ask(client, &start).await?;
            }
            if self.may_be_the_end(&answer) {
                return Ok(None);
            }
        }
        if answer.status != StatusCode::OK {
            return Err(answer.failure());
        }
        let mut page = match start {
            PageStart::Cursor(_) => answer.list_by_cursor()?,
            PageStart::Index(_) => answer.list()?,
        };
        let id = |resource: &Value| resource.get("id").map(Value::to_string).unwrap_or_default();
        let mut total = usize::try_from(page.total_results).unwrap_or(usize::MAX);
        if matches!(start, PageStart::Index(_)) {
            // What was removed meanwhile may have stood before this page: as many have moved to where nobody looks any more.
            let mut steps = 0;
            let is_end = page.resources.is_empty() && self.before.as_ref().is_some_and(|(was, _)| self.read >= *was);
            if is_end && self.shown.is_none() {
                // What it says of its total there counts for nothing: some say that it is none.
                return Ok(None);
            }
            if self.shown.is_some() {
                // Its total may be that of the page.
                self.before = None;
            }
            while let Some((was, ids)) = self.before.take_if(|(was, ids)| total < *was && !ids.is_empty()) {
                let gone = was - total;
                steps += 1;
                if gone > ids.len() || gone > self.read || steps > STEPS_BACK {
                    return Err(answer.not_scim("more is removed while the pages are read than can be followed"));
                }
                self.read -= gone;
                answer = self.ask(client, &PageStart::Index(self.read + 1)).await?;
                if answer.status != StatusCode::OK {
                    return Err(answer.failure());
                }
                page = answer.list()?;
                total = usize::try_from(page.total_results).unwrap_or(usize::MAX);
                let seen = page.resources.iter().filter(|resource| ids.contains(&id(resource))).count();
                page.resources.retain(|resource| !ids.contains(&id(resource)));
                self.read += seen;
                self.before = Some((was - gone, ids));
            }
            // Beyond the end some show again what they have shown before.
            if self.read > 0 && self.shown.is_none() && !page.resources.is_empty() {
                let last = self.before.as_ref().map(|(_, ids)| ids);
                let is_old = |resource: &Value| {
                    let id = id(resource);
                    [&self.first, &self.earlier].into_iter().chain(last).any(|ids| ids.contains(&id))
                };
                if self.read >= total && page.resources.iter().all(is_old) {
                    return Ok(None);
                }
            }
            let ids: BTreeSet<String> = page.resources.iter().map(id).collect();
            if self.read == 0 {
                self.first.clone_from(&ids);
            }
            if !ids.is_empty() {
                self.earlier = self.before.replace((total, ids)).map(|(_, ids)| ids).unwrap_or_default();
            }
        }
        if let Some(shown) = &mut self.shown {
            // Nothing, or what was shown before: that was all.
            page.resources.retain(|resource| shown.insert(id(resource)));
            if page.resources.is_empty() {
                return Ok(None);
            }
            self.total_is_wrong = true;
        } else if start == PageStart::Index(1) && !page.resources.is_empty() && page.resources.len() >= total {
            self.shown = Some(page.resources.iter().map(id).collect());
        }
        self.read = self.read.saturating_add(page.resources.len());
        self.start = match (&start, page.next_cursor) {
            (PageStart::Cursor(this), Some(next)) if !next.is_empty() && *this == next => {
                return Err(answer.not_scim("the cursor of a page leads to the same page: the pages have no end"));
            }
            (PageStart::Cursor(_), Some(next)) if !next.is_empty() => Some(PageStart::Cursor(next)),
            (PageStart::Cursor(_), _) if answer.has_total() && self.read < total => {
                return Err(answer
                    .not_scim(&format!("the app says that it has {total} resources and shows {} of them", self.read)));
            }
            (PageStart::Cursor(_), _) => None,
            (PageStart::Index(_), _) if self.shown.is_some() => Some(PageStart::Index(self.read + 1)),
            (PageStart::Index(_), _) if page.resources.is_empty() && self.read >= total => None,
            (PageStart::Index(_), _) if page.resources.is_empty() => {
                return Err(answer
                    .not_scim(&format!("the app says that it has {total} resources and shows {} of them", self.read)));
            }
            (PageStart::Index(_), _) => Some(PageStart::Index(self.read + 1)),
        };
        let total = total.max(self.read);
        Ok(Some(OnePage { resources: page.resources, total, answer }))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::sync::{Arc, Mutex};

    use reqwest::Method;
    use serde_json::json;
    use url::Url;

    use super::*;
    use crate::app_client::simulated::client_of;
    use crate::app_client::transport::{Exchange, Response, Secrets, Transport};

    /// An app with so many users, of whom some are removed before a page is asked for, and that counts and shows no further than `capped`.
    #[derive(Debug)]
    struct Many {
        users: Mutex<Vec<usize>>,
        /// Before which page, by its number from 1, which users go.
        removed: Vec<(usize, Vec<usize>)>,
        asked: Mutex<usize>,
        capped: Option<usize>,
        /// What it does beyond the end.
        beyond: Beyond,
    }

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Beyond {
        Empty,
        /// Shows the last page again.
        Repeats,
        /// Says that there is none at all.
        NoTotal,
        Fails,
    }

    impl Many {
        fn of(users: usize) -> Self {
            let users = Mutex::new((0..users).collect());
            Self { users, removed: Vec::new(), asked: Mutex::new(0), capped: None, beyond: Beyond::Empty }
        }
    }

    impl Transport for Many {
        fn exchange<'a>(&'a self, _: Method, address: Url, _: Option<&'a Value>) -> Exchange<'a> {
            let number = |name: &str| address.query_pairs().find(|(k, _)| k == name).and_then(|(_, v)| v.parse().ok());
            let (start, count): (usize, usize) = (number("startIndex").unwrap_or(1), number("count").unwrap_or(100));
            let mut users = self.users.lock().unwrap();
            let mut asked = self.asked.lock().unwrap();
            *asked += 1;
            for (_, gone) in self.removed.iter().filter(|(page, _)| page == &*asked) {
                users.retain(|user| !gone.contains(user));
            }
            let is_beyond = start > users.len() && !users.is_empty();
            let from = match self.beyond {
                Beyond::Repeats if is_beyond => users.len().saturating_sub(count),
                _ => start - 1,
            };
            let page: Vec<Value> =
                users.iter().skip(from).take(count).map(|n| json!({ "id": format!("u{n}") })).collect();
            let total = match self.beyond {
                Beyond::NoTotal if is_beyond => 0,
                _ => users.len().min(self.capped.unwrap_or(usize::MAX)),
            };
            let status = match self.beyond {
                Beyond::Fails if is_beyond => StatusCode::INTERNAL_SERVER_ERROR,
                _ => StatusCode::OK,
            };
            let list = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
            let body = json!({ "schemas": [list], "totalResults": total, "startIndex": start, "Resources": page });
            let answer = Response {
                status,
                retry_after: None,
                body: body.to_string().into_bytes(),
                secrets: Secrets::default(),
            };
            Box::pin(async move { Ok(answer) })
        }
    }

    async fn read(app: Many) -> Result<Vec<String>, Failure> {
        let client = client_of(Arc::new(app));
        let mut pages = Pages::new(Endpoint::Users, &Capabilities::default());
        let mut all = Vec::new();
        while let Some(page) = pages.next(&client).await? {
            all.extend(page.resources.iter().map(|user| user["id"].as_str().unwrap().to_owned()));
        }
        Ok(all)
    }

    fn names(which: impl Iterator<Item = usize>) -> Vec<String> {
        which.map(|n| format!("u{n}")).collect()
    }

    #[tokio::test]
    async fn who_moves_to_a_page_that_was_read_is_read_all_the_same() {
        // Three of the first page go before the second one is asked for: three others stand there now.
        let app = Many { removed: vec![(2, vec![1, 2, 3])], ..Many::of(250) };
        let mut all = read(app).await.unwrap();
        all.sort();
        let mut expected = names(0..250);
        expected.sort();
        assert_eq!(all, expected, "who was there when it began, each once");
        // The same at each further page, and behind what was read.
        let app = Many { removed: vec![(2, vec![5]), (4, vec![120, 130]), (6, vec![349])], ..Many::of(350) };
        let all = read(app).await.unwrap();
        let once: BTreeSet<&String> = all.iter().collect();
        assert_eq!(once.len(), all.len(), "each once");
        assert!(
            names((0..349).filter(|n| ![5, 120, 130].contains(n))).iter().all(|name| once.contains(name)),
            "nobody is passed over"
        );
    }

    #[tokio::test]
    async fn a_total_that_is_capped_is_not_the_end() {
        let all = read(Many { capped: Some(200), ..Many::of(430) }).await.unwrap();
        assert_eq!(all, names(0..430));
    }

    #[tokio::test]
    async fn what_an_app_does_beyond_its_end_is_the_end() {
        for (users, beyond) in [
            (250, Beyond::Repeats),
            (250, Beyond::NoTotal),
            (200, Beyond::NoTotal),
            (250, Beyond::Fails),
            (200, Beyond::Fails),
        ] {
            let all = read(Many { beyond, ..Many::of(users) }).await.unwrap();
            assert_eq!(all, names(0..users), "{users} {beyond:?}");
        }
        assert_eq!(read(Many::of(200)).await.unwrap(), names(0..200));
        assert_eq!(read(Many::of(0)).await.unwrap(), names(0..0));
    }

    #[tokio::test]
    async fn more_than_a_page_that_is_removed_at_once_is_no_reading() {
        let app = Many { removed: vec![(2, (0..150).collect())], ..Many::of(400) };
        assert!(read(app).await.unwrap_err().rejection.detail.contains("more is removed"));
    }
}
