//! Drills as the API shows them.

use jiff::Timestamp;
use rollcall_domain::app::AppSpec;
use rollcall_domain::app::drill::{DrillReport, DrillResult, DrillVerdict, Drilled};
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::{AppId, Sequence, ledger};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::views::Detail;

/// How far the drill of an app can be.
pub const DRILL_STATES: [&str; 6] = ["none", "wanted", "running", "passed", "failed", "stopped"];

/// How an app did in its last drill.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LastDrillView {
    #[schema(value_type = String)]
    pub app: AppId,
    pub app_name: String,
    /// none, wanted, running, passed, failed (some step was not done), or stopped (it could not be done to its end).
    pub state: &'static str,
    /// How many of a hundred tried steps passed in the last one that was done to its end.
    pub score: Option<u8>,
    /// The score of the one before.
    pub score_before: Option<u8>,
    /// The steps that keep access alive that should end.
    pub keeps_access: Vec<&'static str>,
    /// Why the last one could not be done to its end; absent for viewers.
    pub failure: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    /// The event of the last one that was done to its end.
    #[schema(value_type = Option<u64>)]
    pub event: Option<Sequence>,
}

impl LastDrillView {
    /// That of an app.
    ///
    /// # Errors
    /// When the state can't be read.
    pub fn of(state: &impl Read, app: &AppSpec, detail: Detail) -> Result<Self, KvError> {
        let known = ledger::drilled(state, &app.id)?;
        let before = ledger::drill_reports(state, &app.id)?.into_iter().nth(1);
        Ok(Self {
            app: app.id.clone(),
            app_name: app.name.clone(),
            state: word(&known),
            score: known.last.as_ref().and_then(DrillReport::score),
            score_before: before.and_then(|report| report.score()),
            keeps_access: known
                .last
                .iter()
                .flat_map(DrillReport::keeps_access)
                .map(|result| result.step.name())
                .collect(),
            event: known.last.as_ref().map(|last| last.sequence),
            failure: known.failure.and_then(|failure| detail.show(failure)),
            ended_at: known.ended_at,
        })
    }
}

/// How far the drill of an app is.
fn word(known: &Drilled) -> &'static str {
    match (&known.running, known.requested, &known.failure, &known.last) {
        (Some(_), ..) => "running",
        (None, Some(_), ..) => "wanted",
        (None, None, Some(_), _) => "stopped",
        (None, None, None, Some(last)) if last.results.iter().any(|r| r.verdict == DrillVerdict::Failed) => "failed",
        (None, None, None, Some(_)) => "passed",
        (None, None, None, None) => "none",
    }
}

/// The drills of an app.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DrillsView {
    #[schema(value_type = String)]
    pub app: AppId,
    /// none, wanted, running, passed, failed (some step was not done), or stopped (it could not be done to its end).
    pub state: &'static str,
    /// Why the last one could not be done to its end.
    pub failure: Option<String>,
    /// When the last one ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    /// The app's ids of accounts that drills have left there.
    pub left_behind: Vec<String>,
    /// Those that were done to their end, the newest first.
    pub reports: Vec<DrillReportView>,
}

/// A drill that was done to its end.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DrillReportView {
    /// The event that says so.
    #[schema(value_type = u64)]
    pub event: Sequence,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// How many of a hundred tried steps passed.
    pub score: Option<u8>,
    /// The user name of the account that went through the app.
    pub user_name: Option<String>,
    pub results: Vec<DrillResultView>,
    /// The app's ids of accounts that it has left there.
    pub left_behind: Vec<String>,
}

/// One step, and how it went.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DrillResultView {
    /// create, `find_by_user_name`, `find_by_external_id`, list, change, `enter_group`, `leave_group`, rename, `switch_off`,
    /// `switch_on`, delete, `create_again` or `clean_up`.
    pub step: &'static str,
    /// The attribute or the group that was tried; empty: the account.
    pub of: String,
    /// passed, failed or skipped.
    pub verdict: &'static str,
    /// How it went in the drill before, where that was otherwise.
    pub before: Option<&'static str>,
    /// What was seen instead, or why it was not tried; absent for viewers: an app may say it.
    pub detail: Option<String>,
    /// How long it took until it showed in every way.
    pub visible_after_seconds: Option<f64>,
}

impl DrillsView {
    /// Those of an app.
    ///
    /// # Errors
    /// When the state can't be read.
    pub fn of(state: &impl Read, app: &AppId, detail: Detail) -> Result<Self, KvError> {
        let known = ledger::drilled(state, app)?;
        let reports = ledger::drill_reports(state, app)?;
        let before = reports.iter().skip(1).map(Some).chain([None]);
        let views = reports.iter().zip(before).map(|(report, before)| DrillReportView::of(report, before, detail));
        Ok(Self {
            app: app.clone(),
            state: word(&known),
            failure: known.failure.map(|failure| detail.show(failure).unwrap_or_else(|| "left out".to_owned())),
            ended_at: known.ended_at,
            left_behind: known.left_behind.into_iter().map(|left| left.id).collect(),
            reports: views.collect(),
        })
    }
}

impl DrillReportView {
    /// One, with what went otherwise than in the one before.
    pub fn of(report: &DrillReport, before: Option<&DrillReport>, detail: Detail) -> Self {
        let differs = before.map(|before| report.differs_from(before)).unwrap_or_default();
        let was = |result: &DrillResult| {
            let found = differs.iter().find(|(differs, _)| std::ptr::eq(*differs, result));
            found.and_then(|(_, before)| before.map(DrillVerdict::name))
        };
        let result = |result: &DrillResult| DrillResultView {
            step: result.step.name(),
            of: result.of.clone(),
            verdict: result.verdict.name(),
            before: was(result),
            detail: detail.show(result.detail.clone()),
            visible_after_seconds: result.visible_after.map(|took| took.as_secs_f64()),
        };
        Self {
            event: report.sequence,
            at: report.at,
            score: report.score(),
            user_name: report.canary.as_ref().map(|canary| canary.user_name.clone()),
            results: report.results.iter().map(result).collect(),
            left_behind: report.left_behind.clone(),
        }
    }
}
