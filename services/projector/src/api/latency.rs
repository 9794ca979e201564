//! How long changes took, exactly: from the obligations that were verified in a window, not from buckets.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use rollcall_domain::access::obligation::Obligation;
use rollcall_domain::identity::lifecycle::ChangeKind;
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::{AppId, SourceName, ledger};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::context::{Pairs, Shared};
use crate::api::paging::{Answer, List};
use crate::api::{latency, params};
use crate::error::{ApiError, Problem};

/// How many obligations are read at once.
const CHUNK: usize = 2000;

/// By what the latencies are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum GroupBy {
    App,
    Change,
    Source,
}

/// Which obligations count.
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct Choice {
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub app: Option<AppId>,
    pub change: Option<ChangeKind>,
    pub source: Option<SourceName>,
}

impl Choice {
    /// How long it takes until access is as it must be: a hand-over is none.
    fn wants(&self, obligation: &Obligation) -> bool {
        let of_app = obligation.id.subject.app();
        of_app.is_some()
            && self.app.as_ref().is_none_or(|app| of_app == Some(app))
            && self.change.is_none_or(|change| change == obligation.change)
            && self.source.as_ref().is_none_or(|source| obligation.source.as_ref() == Some(source))
    }
}

/// The latencies of one group, in seconds.
#[derive(Debug, Default)]
struct Group {
    applied: Vec<f64>,
    verified: Vec<f64>,
    in_time: u64,
}

impl Group {
    fn add(&mut self, obligation: &Obligation, verified_at: Timestamp) {
        // What was done before it took effect took no time.
        let seconds = |at: Timestamp| at.duration_since(obligation.opened_at).as_secs_f64().max(0.0);
        self.verified.push(seconds(verified_at));
        self.applied.push(seconds(obligation.applied_at.unwrap_or(verified_at)));
        self.in_time += u64::from(verified_at <= obligation.deadline);
    }

    fn shown(mut self, group: String) -> LatencyView {
        let count = self.verified.len();
        LatencyView {
            group,
            count,
            applied_seconds: Quantiles::of(&mut self.applied),
            verified_seconds: Quantiles::of(&mut self.verified),
            within_service_level: self.in_time as f64 / count.max(1) as f64,
        }
    }
}

/// How long the changes of one group took.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[allow(missing_docs)]
pub struct LatencyView {
    pub group: String,
    pub count: usize,
    pub applied_seconds: Quantiles,
    pub verified_seconds: Quantiles,
    /// The share that was verified by its deadline, 0 to 1.
    pub within_service_level: f64,
}

/// Nearest-rank quantiles, in seconds.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[allow(missing_docs)]
pub struct Quantiles {
    pub p50: Option<f64>,
    pub p90: Option<f64>,
    pub p99: Option<f64>,
    pub max: Option<f64>,
}

impl Quantiles {
    fn of(values: &mut [f64]) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |percent: usize| {
            let rank = (values.len() * percent).div_ceil(100).max(1);
            values.get(rank - 1).copied()
        };
        Self { p50: at(50), p90: at(90), p99: at(99), max: values.last().copied() }
    }
}

/// The latencies of what was verified in a window, by group.
pub fn by_group(state: &impl Read, choice: &Choice, group_by: GroupBy) -> Result<Vec<LatencyView>, KvError> {
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    let (from, to) = (choice.from.unwrap_or(Timestamp::UNIX_EPOCH), choice.to.unwrap_or(Timestamp::MAX));
    let mut after: Option<String> = None;
    loop {
        let (chunk, last) = ledger::verified_between(state, from, to, after.as_deref(), CHUNK)?;
        for obligation in chunk.iter().filter(|o| choice.wants(o)) {
            let Some(at) = obligation.verified_at() else { continue };
            let name = match group_by {
                GroupBy::App => obligation.id.subject.place().to_owned(),
                GroupBy::Change => obligation.change.name().to_owned(),
                GroupBy::Source => obligation.source.as_ref().map_or("none", SourceName::as_str).to_owned(),
            };
            groups.entry(name).or_default().add(obligation, at);
        }
        if last.is_none() {
            break;
        }
        after = last;
    }
    Ok(groups.into_iter().map(|(name, group)| group.shown(name)).collect())
}

/// How long changes took, exactly.
#[utoipa::path(get, path = "/v1/latency", tag = "state", params(params::Latency), responses(
    (status = 200, body = List<LatencyView>), Problem
))]
pub async fn latency(State(api): Shared, pairs: Pairs) -> Answer<List<LatencyView>> {
    let query = api.query::<params::Latency>(pairs)?;
    let (from, to) = query.window()?;
    let choice = latency::Choice {
        from,
        to,
        app: query.parsed("app", "an app id")?,
        change: query.word("change")?,
        source: query.parsed("source", "a source name")?,
    };
    let group_by = query.word("group_by")?.unwrap_or(GroupBy::App);
    let view = api.fresh().await?;
    let counted = move || latency::by_group(&view, &choice, group_by);
    let items = tokio::task::spawn_blocking(counted).await.map_err(|_| ApiError::Stopped)??;
    Ok(Json(List { items, next_cursor: None, as_of: None }))
}
