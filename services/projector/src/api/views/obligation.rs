//! Obligations, what excepts them, and the departures that they belong to.

use jiff::Timestamp;
use rollcall_domain::access::case::{Case, CaseStatus};
use rollcall_domain::access::desired::{Desired, Target};
use rollcall_domain::access::obligation::{Because, End, Obligation, ObligationId, ObligationStatus};
use rollcall_domain::access::subject::Subject;
use rollcall_domain::drift::DriftItem;
use rollcall_domain::drift::kind::DriftKind;
use rollcall_domain::governance::exception::Exception;
use rollcall_domain::identity::lifecycle::ChangeKind;
use rollcall_domain::ids::{AppId, CredentialId, IdentityId, Sequence, SourceName};
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::{directory, ledger};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::schema;
use crate::api::views::Detail;

/// A named person's decision to leave something as it is for a while.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ExceptionView {
    /// Who has made it; null for a viewer.
    pub by: Option<String>,
    /// Free text, which may name people; not for everybody.
    pub reason: Option<String>,
    #[schema(schema_with = schema::time)]
    pub expires_at: Timestamp,
}

impl ExceptionView {
    /// An exception.
    pub fn of(exception: &Exception, detail: Detail) -> Self {
        let Exception { by, reason, expires_at } = exception.clone();
        Self { by: detail.show(by), reason: detail.show(reason), expires_at }
    }
}

/// "This account must reach this state by this deadline, because of that change".
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ObligationView {
    #[schema(value_type = String)]
    pub id: ObligationId,
    /// The app; null for a hand-over and a credential.
    #[schema(value_type = Option<String>)]
    pub app: Option<AppId>,
    /// The machine that is handed over; null for anything else.
    #[schema(value_type = Option<Uuid>)]
    pub machine: Option<IdentityId>,
    /// The credential that is to be revoked; null for anything else.
    #[schema(value_type = Option<Uuid>)]
    pub credential: Option<CredentialId>,
    #[schema(value_type = uuid::Uuid)]
    pub identity: IdentityId,
    /// The event of the change.
    #[schema(value_type = u64)]
    pub opened_by: Sequence,
    #[schema(schema_with = schema::change_kind)]
    pub change: ChangeKind,
    #[schema(schema_with = schema::target)]
    pub target: Target,
    #[schema(schema_with = schema::obligation_status)]
    pub status: ObligationStatus,
    #[schema(schema_with = schema::time)]
    pub opened_at: Timestamp,
    #[schema(schema_with = schema::time)]
    pub deadline: Timestamp,
    /// What gave the deadline.
    pub rule: String,
    #[schema(value_type = Option<String>)]
    pub source: Option<SourceName>,
    #[schema(schema_with = schema::time_or_null)]
    pub at_risk_at: Option<Timestamp>,
    #[schema(schema_with = schema::time_or_null)]
    pub applied_at: Option<Timestamp>,
    #[schema(schema_with = schema::time_or_null)]
    pub overdue_at: Option<Timestamp>,
    pub waived: Option<ExceptionView>,
    #[schema(schema_with = schema::time_or_null)]
    pub verified_at: Option<Timestamp>,
    /// The event of the reading.
    #[schema(value_type = Option<u64>)]
    pub verified_by: Option<Sequence>,
    /// When somebody said that it is so, of an app that can't be read: their word, which proves nothing.
    #[schema(schema_with = schema::time_or_null)]
    pub attested_at: Option<Timestamp>,
    /// The event of that.
    #[schema(value_type = Option<u64>)]
    pub attested_event: Option<Sequence>,
    /// Who said so.
    pub attested_by: Option<String>,
    /// The event of the change that took its place.
    #[schema(value_type = Option<u64>)]
    pub superseded_by: Option<Sequence>,
    #[schema(schema_with = schema::because_or_null)]
    pub superseded_because: Option<Because>,
}

impl ObligationView {
    /// An obligation.
    pub fn of(obligation: &Obligation, detail: Detail) -> Self {
        let verified = match obligation.end {
            Some(End::Verified { at, by }) => Some((at, by)),
            _ => None,
        };
        let superseded = match obligation.end {
            Some(End::Superseded { by, because, .. }) => Some((by, because)),
            _ => None,
        };
        let attested = match &obligation.end {
            Some(End::Attested { at, by, who }) => Some((*at, *by, who.clone())),
            _ => None,
        };
        let (machine, credential) = match &obligation.id.subject {
            Subject::Account { .. } => (None, None),
            Subject::Handover { machine, .. } => (Some(*machine), None),
            Subject::Credential { credential, .. } => (None, Some(*credential)),
        };
        Self {
            id: obligation.id.clone(),
            app: obligation.id.subject.app().cloned(),
            machine,
            credential,
            identity: obligation.id.subject.identity(),
            opened_by: obligation.id.opened_by,
            change: obligation.change,
            target: obligation.target,
            status: obligation.status(),
            opened_at: obligation.opened_at,
            deadline: obligation.deadline,
            rule: obligation.rule.clone(),
            source: obligation.source.clone(),
            at_risk_at: obligation.at_risk_at,
            applied_at: obligation.applied_at,
            overdue_at: obligation.overdue_at,
            waived: obligation.waived.as_ref().map(|exception| ExceptionView::of(exception, detail)),
            verified_at: verified.map(|(at, _)| at),
            verified_by: verified.map(|(_, by)| by),
            attested_at: attested.as_ref().map(|(at, ..)| *at),
            attested_event: attested.as_ref().map(|(_, by, _)| *by),
            attested_by: attested.and_then(|(_, _, who)| detail.show(who)),
            superseded_by: superseded.map(|(by, _)| by),
            superseded_because: superseded.map(|(_, because)| because),
        }
    }
}

/// A departure with its obligations by app.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LeaverView {
    #[schema(value_type = uuid::Uuid)]
    pub identity: IdentityId,
    /// Absent for viewers.
    pub user_name: Option<String>,
    #[schema(schema_with = schema::time)]
    pub left_at: Timestamp,
    #[schema(value_type = u64)]
    pub opened_by: Sequence,
    #[schema(schema_with = schema::leaver_status)]
    pub status: CaseStatus,
    #[schema(schema_with = schema::time_or_null)]
    pub completed_at: Option<Timestamp>,
    /// When nothing was owed any more, where some of that stands on somebody's word: `attested` says where. They are not complete then.
    #[schema(schema_with = schema::time_or_null)]
    pub attested_at: Option<Timestamp>,
    /// When nobody could sign in with any of their accounts any more, nor with any credential of theirs that is listed. `completed_at` is later where machines of theirs were handed over
    /// after that.
    #[schema(schema_with = schema::time_or_null)]
    pub gone_at: Option<Timestamp>,
    /// When, besides, nothing was left of them: in no managed group, and absent where accounts are deleted.
    #[schema(schema_with = schema::time_or_null)]
    pub clean_at: Option<Timestamp>,
    /// What is left where they are gone and not clean.
    pub remains: Vec<Remains>,
    #[schema(value_type = Option<u64>)]
    pub superseded_by: Option<Sequence>,
    #[schema(value_type = Vec<String>)]
    pub apps: Vec<AppId>,
    #[schema(value_type = Vec<String>)]
    pub open: Vec<AppId>,
    #[schema(value_type = Vec<String>)]
    pub overdue: Vec<AppId>,
    #[schema(value_type = Vec<String>)]
    pub waived: Vec<AppId>,
    #[schema(value_type = Vec<String>)]
    pub at_risk: Vec<AppId>,
    /// The apps of which somebody says that they are gone there, and nothing can be read. `gone_at` stays null while there is one.
    #[schema(value_type = Vec<String>)]
    pub attested: Vec<AppId>,
    #[schema(value_type = Option<String>)]
    pub source: Option<SourceName>,
    pub obligations: Vec<ObligationView>,
}

/// What is left of an account that is gone.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Remains {
    #[schema(value_type = String)]
    pub app: AppId,
    /// `kept, inactive`, `in groups`, or `not seen`.
    pub what: &'static str,
    #[schema(schema_with = schema::time)]
    pub since: Timestamp,
}

impl Remains {
    fn of(item: &DriftItem) -> Self {
        let kept = item.differences.iter().any(|change| change.path == "active");
        let what = match (kept, item.differences.is_empty()) {
            (true, _) => "kept, inactive",
            (false, false) => "in groups",
            (false, true) => "not seen",
        };
        Self { app: item.id.app.clone(), what, since: item.detected_at }
    }
}

/// When the last app was read without a live account of theirs, and the last list without a credential that still opens something; what
/// they answer for may be handed over later.
fn gone_at(leaver: &Case, owed: &[Obligation]) -> Option<Timestamp> {
    let of_access = owed.iter().filter(|owed| match owed.id.subject {
        Subject::Account { .. } | Subject::Credential { .. } => true,
        Subject::Handover { .. } => false,
    });
    let verified = of_access.map(Obligation::verified_at).collect::<Option<Vec<_>>>()?;
    // Who never had an account has none from the start.
    Some(verified.into_iter().max().unwrap_or(leaver.opened_at))
}

/// When the last of what was left was removed, whatever asked for that: somebody may have been switched off before.
fn cleaned_at(state: &impl Read, leaver: &Case, gone_at: Timestamp) -> Result<Timestamp, KvError> {
    let later = ledger::obligations_of(state, leaver.identity)?;
    let of_this = |o: &Obligation| {
        o.id.opened_by > leaver.opened_by && leaver.superseded_by.is_none_or(|back| o.id.opened_by < back)
    };
    let is_removal =
        |o: &Obligation| o.target == Target::Absent && matches!(o.change, ChangeKind::Residue | ChangeKind::Mover);
    let of_rest = |o: &&Obligation| of_this(o) && is_removal(o);
    Ok(later.iter().filter(of_rest).filter_map(Obligation::verified_at).max().map_or(gone_at, |at| at.max(gone_at)))
}

impl LeaverView {
    /// A departure.
    pub fn of(state: &impl Read, leaver: &Case, detail: Detail) -> Result<Self, KvError> {
        let who = directory::identity(state, leaver.identity)?;
        let owed = ledger::obligations_of_leaver(state, leaver)?;
        let such = |which: fn(&Obligation) -> bool| {
            owed.iter().filter(|o| which(o)).filter_map(|o| o.id.subject.app().cloned()).collect()
        };
        let (mut remains, mut is_kept) = (Vec::new(), false);
        for app in owed.iter().filter_map(|owed| owed.id.subject.app()) {
            // Whoever is only switched off there has their account, and what it is in, until it is removed.
            let account = ledger::account(state, leaver.identity, app)?.filter(|_| leaver.superseded_by.is_none());
            is_kept |= account.is_some_and(|account| account.desired == Desired::Off || account.is_being_removed());
            let items = ledger::drift_of(state, app, leaver.identity)?;
            remains.extend(items.iter().filter(|item| item.id.kind == DriftKind::Residue).map(Remains::of));
        }
        let gone_at = gone_at(leaver, &owed);
        let clean_at = match gone_at.filter(|_| remains.is_empty() && !is_kept) {
            Some(gone_at) => Some(cleaned_at(state, leaver, gone_at)?),
            None => None,
        };
        Ok(Self {
            gone_at,
            clean_at,
            remains,
            identity: leaver.identity,
            user_name: who.and_then(|who| detail.show(who.user_name().to_owned())),
            left_at: leaver.opened_at,
            opened_by: leaver.opened_by,
            status: leaver.status(),
            completed_at: leaver.completed_at,
            attested_at: leaver.attested_at,
            superseded_by: leaver.superseded_by,
            apps: such(|_| true),
            open: such(|o| o.end.is_none()),
            overdue: such(|o| o.status() == ObligationStatus::Overdue),
            waived: such(|o| o.status() == ObligationStatus::Waived),
            at_risk: such(Obligation::is_at_risk),
            attested: such(|o| o.status() == ObligationStatus::Attested),
            source: leaver.source.clone(),
            obligations: owed.iter().map(|owed| ObligationView::of(owed, detail)).collect(),
        })
    }
}
