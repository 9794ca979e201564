//! State as the API answers it.

use jiff::Timestamp;
use rollcall_domain::account::{Account, Target};
use rollcall_domain::app::{App, Connection};
use rollcall_domain::drift::{DriftItem, DriftKind};
use rollcall_domain::identity::Identity;
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::leaver::Leaver;
use rollcall_domain::obligation::{End, Obligation};
use rollcall_domain::{directory, ledger};
use serde_json::{Value, json};

/// An identity, without what belongs to it.
pub fn identity_summary(identity: &Identity) -> Value {
    json!({
        "id": identity.id,
        "user_name": identity.user_name(),
        "display_name": identity.resource.get("displayName"),
        "lifecycle": identity.lifecycle,
        "deleted": identity.deleted,
        "source": identity.source,
        "created_at": identity.created_at,
        "changed_at": identity.changed_at,
        "version": identity.version,
    })
}

/// An identity with its accounts, obligations and drift.
pub fn identity(state: &impl Read, identity: &Identity) -> Result<Value, KvError> {
    let mut view = identity_summary(identity);
    let accounts = ledger::accounts_of(state, identity.id)?;
    let obligations = ledger::obligations_of(state, identity.id)?;
    let mut drift = Vec::new();
    for account in &accounts {
        drift.extend(ledger::drift_of(state, &account.app, identity.id)?);
    }
    let groups = directory::groups_of(state, identity.id)?;
    if let Some(object) = view.as_object_mut() {
        object.insert("resource".into(), Value::Object(identity.resource.clone()));
        object.insert("groups".into(), directory::groups_attribute(&groups));
        object.insert("accounts".into(), accounts.iter().map(account).collect());
        object.insert("obligations".into(), obligations.iter().map(obligation).collect());
        object.insert("drift".into(), drift.iter().map(drift_item).collect());
    }
    Ok(view)
}

/// An account.
pub fn account(account: &Account) -> Value {
    json!({
        "app": account.app,
        "identity": account.identity,
        "desired": match account.desired.target() {
            Target::Present => "present",
            Target::Absent => "absent",
        },
        "desired_version": account.desired_version,
        "verified": !account.is_pending(),
        "verified_version": account.verified_version,
        "verified_at": account.verified_at,
        "parked": account.parked_at.is_some(),
        "remote_id": account.remote_id,
        "observed": account.observed,
        "last_failure": account.rejection,
    })
}

/// An obligation.
pub fn obligation(obligation: &Obligation) -> Value {
    let ended = |at: &Timestamp, by| json!({ "at": at, "by": by });
    let (verified, superseded) = match &obligation.end {
        Some(End::Verified { at, by }) => (Some(ended(at, by)), None),
        Some(End::Superseded { at, by, .. }) => (None, Some(ended(at, by))),
        None => (None, None),
    };
    let because = match &obligation.end {
        Some(End::Superseded { because, .. }) => Some(*because),
        _ => None,
    };
    json!({
        "id": obligation.id,
        "app": obligation.id.app,
        "identity": obligation.id.identity,
        "opened_by": obligation.id.opened_by,
        "change": obligation.change,
        "target": obligation.target,
        "status": obligation.status(),
        "opened_at": obligation.opened_at,
        "deadline": obligation.deadline,
        "rule": obligation.rule,
        "source": obligation.source,
        "at_risk_at": obligation.at_risk_at,
        "applied_at": obligation.applied_at,
        "overdue_at": obligation.overdue_at,
        "waived": obligation.waived,
        "verified_at": verified.as_ref().and_then(|v| v.get("at")),
        "verified_by": verified.as_ref().and_then(|v| v.get("by")),
        "superseded_by": superseded.as_ref().and_then(|v| v.get("by")),
        "superseded_because": because,
    })
}

/// A departure with its obligations by app.
pub fn leaver(state: &impl Read, leaver: &Leaver) -> Result<Value, KvError> {
    let who = directory::identity(state, leaver.identity)?;
    let obligations: Vec<Value> = ledger::obligations_of_leaver(state, leaver)?.iter().map(obligation).collect();
    Ok(json!({
        "identity": leaver.identity,
        "user_name": who.as_ref().map(Identity::user_name),
        "left_at": leaver.left_at,
        "opened_by": leaver.opened_by,
        "status": leaver.status(),
        "completed_at": leaver.completed_at,
        "superseded_by": leaver.superseded_by,
        "apps": leaver.apps,
        "open": leaver.open,
        "overdue": leaver.overdue,
        "waived": leaver.waived,
        "at_risk": leaver.at_risk,
        "source": leaver.source,
        "obligations": obligations,
    }))
}

/// An app with what is open in it.
pub fn app(state: &impl Read, app: &App) -> Result<Value, KvError> {
    let spec = &app.spec;
    let open = ledger::open_obligations(state, Some(&spec.id))?;
    let learned = ledger::capabilities(state, &spec.id)?.unwrap_or_default();
    let conformance = ledger::conformance(state, &spec.id)?;
    let quarantine = ledger::quarantine(state, &spec.id)?;
    let drift = ledger::drift(state, Some(&spec.id))?;
    let now = Timestamp::now();
    let seconds = |d: std::time::Duration| d.as_secs_f64();
    Ok(json!({
        "id": spec.id,
        "name": spec.name,
        "owner": spec.owner,
        "base_url": spec.base_url,
        "assign": spec.assign,
        "deprovision": spec.deprovision,
        "connected": app.connection == Connection::Configured,
        "version": app.version,
        "sla_seconds": {
            "joiner": seconds(spec.sla.joiner),
            "mover": seconds(spec.sla.mover),
            "leaver": seconds(spec.sla.leaver),
            "emergency": seconds(spec.sla.emergency),
        },
        "tier": spec.sla.tier,
        "business_hours": spec.sla.hours,
        "obligations_open": open.len(),
        "obligations_overdue": open.iter().filter(|o| o.overdue_at.is_some()).count(),
        "drift_items": drift.len(),
        "drift_debt_hours": drift.iter().map(|item| item.debt_hours(now)).sum::<f64>(),
        "attributes": spec.attributes,
        "groups": spec.groups,
        "drift_policy": spec.drift,
        "guard": spec.guard,
        "capabilities": spec.capabilities.over(&learned),
        "health": match &quarantine {
            Some(quarantine) => json!({ "state": "quarantined", "since": quarantine.since, "reason": quarantine.rejection }),
            None => json!({ "state": "working" }),
        },
        "conformance": {
            "score": conformance.score(),
            "operations": conformance.0.iter().map(|(operation, tally)| (operation.name().to_owned(), json!(tally))).collect::<serde_json::Map<_, _>>(),
            "findings": conformance.findings(),
        },
        "reconciliation": ledger::reconciled(state, &spec.id)?,
    }))
}

/// An open drift item.
pub fn drift_item(item: &DriftItem) -> Value {
    json!({
        "id": item.id,
        "app": item.id.app,
        "identity": Some(item.id.identity).filter(|_| item.id.kind != DriftKind::Orphan),
        "kind": item.id.kind,
        "remote_id": item.remote_id,
        "user_name": item.user_name,
        "differences": item.differences,
        "detected_at": item.detected_at,
        "age_hours": Timestamp::now().duration_since(item.detected_at).as_secs_f64() / 3600.0,
        "accepted": item.accepted,
        "version": item.version,
    })
}
