//! `/v1/trends`: whether it gets better.

use axum::extract::State;
use axum::{Extension, Json};
use jiff::{SignedDuration, Timestamp};
use rollcall_config::Role;
use rollcall_domain::identity::lifecycle::ChangeKind;
use rollcall_domain::kv::Read;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::context::{Api, Pairs, Shared};
use crate::api::paging::{Answer, Who};
use crate::api::person::Person;
use crate::api::{params, schema};
use crate::error::{ApiError, Problem};
use crate::trends::metric::{Dimension, Metric};
use crate::trends::period::{Every, Period, periods, start_of};
use crate::trends::point::{self, Point, Quadrant, Question};
use crate::trends::rollup::Of;

/// How far back it goes where nobody says so.
const USUAL_SPAN: SignedDuration = SignedDuration::from_hours(24 * 7 * 12);

/// The most periods of one answer.
pub const MAX_PERIODS: usize = 400;

/// The most groups of one answer: of each what is open is counted since ever.
const MAX_GROUPS: usize = 200;

/// The most figures of one answer: a page is shorter where it has many periods.
const MAX_POINTS: usize = 20_000;

/// What a cursor begins with: the name of a group can be empty, and a cursor can't.
const CURSOR: &str = "after:";

/// The group that a cursor stands for.
///
/// # Errors
/// 400 where it is none of ours.
pub fn after(cursor: &str) -> Result<String, ApiError> {
    let wrong = || ApiError::BadRequest(format!("query parameter 'cursor': '{cursor}' is no 'next_cursor'"));
    cursor.strip_prefix(CURSOR).map(str::to_owned).ok_or_else(wrong)
}

/// The figures of each period, group by group.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TrendView {
    #[schema(schema_with = schema::trend_metric)]
    pub metric: Metric,
    #[schema(schema_with = schema::trend_every)]
    pub every: Every,
    #[schema(schema_with = schema::trend_dimension_or_null)]
    pub group_by: Option<Dimension>,
    pub items: Vec<GroupView>,
    /// Absent: this is the last page.
    pub next_cursor: Option<String>,
}

/// The figures of a group.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct GroupView {
    /// Its name; null where the figures are of everything. Empty: of those who have none, such as no department.
    pub group: Option<String>,
    /// The oldest first.
    pub points: Vec<PointView>,
}

/// The figures of a period. Which of them are there depends on the metric.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PointView {
    #[schema(schema_with = schema::time)]
    pub from: Timestamp,
    /// The first time that is not in it any more; it may lie ahead.
    #[schema(schema_with = schema::time)]
    pub to: Timestamp,
    /// How many the figures are of: obligations that were read back, leavers that were completed, tasks that were done, comparisons,
    /// drills.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Half of them took at most so long (nearest rank).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50_seconds: Option<f64>,
    /// Nine of ten.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p90_seconds: Option<f64>,
    /// The share of what was owed that was met by its deadline, 0 to 1. What is not met counts from its deadline on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within_service_level: Option<f64>,
    /// How many began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opened: Option<u64>,
    /// How many ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed: Option<u64>,
    /// How many were open when it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open: Option<u64>,
    /// Exceptions that ran out before what they excepted was met.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expired: Option<u64>,
    /// The mean of the orphans that a comparison found, or of the scores of drills.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::trend_quadrant)]
    pub quadrant: Option<Quadrant>,
}

impl PointView {
    fn of(metric: Metric, period: Period, point: &Point) -> Self {
        use Metric::{ChangeToAccess, Drift, DrillScore, Exceptions, LeaverCompletion, Orphans, Tasks, WorkAndDrift};
        let took = matches!(metric, ChangeToAccess | LeaverCompletion | Tasks | WorkAndDrift);
        let found = matches!(metric, Orphans | DrillScore);
        let balance = matches!(metric, Drift | Tasks | WorkAndDrift);
        let begun = balance || metric == Exceptions;
        let count = if found { point.found.len() } else { point.took.len() };
        Self {
            from: start_of(period.from),
            to: start_of(period.until),
            count: (took || found).then_some(count as u64),
            p50_seconds: point.seconds(50),
            p90_seconds: point.seconds(90),
            within_service_level: point.within_service_level(),
            opened: begun.then_some(point.opened),
            closed: balance.then_some(point.closed),
            open: balance.then_some(point.open),
            expired: (metric == Exceptions).then_some(point.expired),
            mean: point.mean(),
            quadrant: (metric == WorkAndDrift).then(|| Quadrant::of(point.took.len(), point.open)),
        }
    }
}

/// What is asked for, as text: by the API and by the console.
#[derive(Debug, Clone)]
pub struct Asked {
    pub metric: Metric,
    pub group_by: Option<Dimension>,
    /// Only this group.
    pub group: Option<String>,
    pub change: Option<ChangeKind>,
    pub every: Every,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub after: Option<String>,
    pub limit: usize,
}

impl Asked {
    /// The answer by the state as it is now.
    ///
    /// # Errors
    /// As [`answer`](Self::answer), and when the log can't be reached.
    pub async fn answered(self, api: &Api, person: &Person) -> Result<TrendView, ApiError> {
        let view = api.fresh().await?;
        // It may read years: others wait, and nobody's questions fill the machine.
        let _place = api.trends.acquire().await.map_err(|_| ApiError::Stopped)?;
        let person = person.clone();
        tokio::task::spawn_blocking(move || self.answer(&view, &person)).await.map_err(|_| ApiError::Stopped)?
    }

    /// The answer, as far as somebody may see it.
    ///
    /// # Errors
    /// 400 for what does not go together, 403, and when the state can't be read.
    fn answer(&self, state: &impl Read, person: &Person) -> Result<TrendView, ApiError> {
        let bad = |text: String| Err(ApiError::BadRequest(text));
        let Self { metric, group_by, every, .. } = self;
        if let Some(by) = group_by.filter(|by| !metric.dimensions().contains(by)) {
            let all: Vec<&str> = metric.dimensions().iter().map(|one| one.name()).collect();
            return bad(format!(
                "query parameter 'group_by': {} can't be told apart by {}, but by {}",
                metric.name(),
                by.name(),
                all.join(", ")
            ));
        }
        if self.change.is_some() && *metric != Metric::ChangeToAccess {
            return bad("query parameter 'change': only change_to_access is told apart by it".into());
        }
        if self.group.is_some() && group_by.is_none() {
            return bad("query parameter 'group': say by which 'group_by' it is one".into());
        }
        // It is told of people, and one department may be one person.
        if *group_by == Some(Dimension::Department) {
            person.needs(Role::Auditor)?;
        }
        let to = self.to.unwrap_or_else(Timestamp::now);
        let from = match self.from {
            Some(from) => from,
            None => to.checked_sub(USUAL_SPAN).unwrap_or(Timestamp::MIN),
        };
        if from >= to {
            return bad("query parameter 'from' must be earlier than 'to', and than now where 'to' is not given".into());
        }
        let Some(periods) = periods(from, to, *every, MAX_PERIODS) else {
            return bad(format!("more than {MAX_PERIODS} periods: choose a longer 'every', or a later 'from'"));
        };
        let question = Question { metric: *metric, change: self.change, periods };
        let shown = |group: Option<String>| -> Result<GroupView, ApiError> {
            let of = match (group_by, &group) {
                (Some(by), Some(group)) => Of::Group(*by, group.clone()),
                _ => Of::All,
            };
            let points = point::points(state, &question, &of)?;
            let points = question.periods.iter().zip(&points);
            Ok(GroupView { group, points: points.map(|(at, point)| PointView::of(*metric, *at, point)).collect() })
        };
        let (groups, next_cursor) = match (group_by, &self.group) {
            (None, _) => (vec![None], None),
            (Some(_), Some(group)) => (vec![Some(group.clone())], None),
            (Some(by), None) => {
                let limit = self.limit.min(MAX_GROUPS).min(MAX_POINTS / question.periods.len().max(1)).max(1);
                let mut found = point::groups(state, &question, *by, self.after.as_deref(), limit + 1)?;
                let more = found.len() > limit;
                found.truncate(limit);
                let next = found.last().filter(|_| more).cloned();
                (found.into_iter().map(Some).collect(), next.map(|group| format!("{CURSOR}{group}")))
            }
        };
        let items = groups.into_iter().map(shown).collect::<Result<Vec<_>, _>>()?;
        Ok(TrendView { metric: *metric, every: *every, group_by: *group_by, items, next_cursor })
    }
}

/// Whether it gets better: figures of each day, week or month, in UTC.
#[utoipa::path(get, path = "/v1/trends", tag = "state", params(params::Trends), responses(
    (status = 200, body = TrendView), Problem
))]
pub async fn trends(State(api): Shared, Extension(person): Who, pairs: Pairs) -> Answer<TrendView> {
    let query = api.query::<params::Trends>(pairs)?;
    let (from, to) = query.window()?;
    let asked = Asked {
        metric: query.word("metric")?.unwrap_or(Metric::ChangeToAccess),
        group_by: query.word("group_by")?,
        group: query.text("group").map(str::to_owned),
        change: query.word("change")?,
        every: query.word("every")?.unwrap_or(Every::Week),
        from,
        to,
        after: query.cursor().map(after).transpose()?,
        limit: query.limit()?,
    };
    Ok(Json(asked.answered(&api, &person).await?))
}
