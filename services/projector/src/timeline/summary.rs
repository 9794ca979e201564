//! What happened, in a sentence.

use std::collections::BTreeSet;
use std::time::Duration;

use rollcall_domain::access::credential::{Extent, Listed, Usability};
use rollcall_domain::access::desired::Target;
use rollcall_domain::access::entitlement::EntitlementId;
use rollcall_domain::access::grant::{GrantChanged, GrantEnd, GrantStep, Lasts};
use rollcall_domain::access::handover::HandoverStep;
use rollcall_domain::access::obligation::{Obligation, Waived};
use rollcall_domain::access::operation::Operation;
use rollcall_domain::access::outcome::Origin;
use rollcall_domain::access::reevaluation::Pass;
use rollcall_domain::access::separation::ViolationAccepted;
use rollcall_domain::access::subject::Subject;
use rollcall_domain::app::drill::{DrillEvent, DrillVerdict};
use rollcall_domain::app::health::Recovered;
use rollcall_domain::drift::DriftAccepted;
use rollcall_domain::drift::kind::DriftKind;
use rollcall_domain::drift::reconciliation::{ReconciliationEvent, SyncRequested};
use rollcall_domain::governance::api_token::ApiTokenStep;
use rollcall_domain::governance::approval::ApprovalStep;
use rollcall_domain::governance::configuration::Configuring;
use rollcall_domain::governance::disclosure::Outcome;
use rollcall_domain::governance::hold::{Decision, HoldDecided};
use rollcall_domain::governance::session::{SessionHolder, SessionStep};
use rollcall_domain::identity::content::Content;
use rollcall_domain::identity::group::GroupChange;
use rollcall_domain::identity::lifecycle::{ChangeKind, IdentityChange};
use rollcall_domain::identity::name::NameSpace;
use rollcall_domain::identity::resource::ResourceChange;
use rollcall_domain::identity::switch::Switch;
use rollcall_domain::identity::{identity_of_actor, user_name};
use rollcall_domain::ids::{AppId, CredentialId, IdentityId};
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::{Event, Recorded, directory, ledger};
use serde_json::Value;

fn who(state: &impl Read, id: IdentityId) -> Result<String, KvError> {
    Ok(directory::identity(state, id)?.map_or_else(
        || id.to_string(),
        |i| match i.content {
            Content::Open => i.user_name().to_owned(),
            Content::Sealed => format!("someone sealed ({id})"),
            Content::Erased => format!("someone erased ({id})"),
        },
    ))
}

/// What an actor is called who is an identity, for what is shown now: events, and what is kept of them, name those by their ids, so that
/// nothing is left of whoever is erased.
pub fn actor(state: &impl Read, actor: &str) -> Result<String, KvError> {
    match identity_of_actor(actor) {
        Some(id) => who(state, id),
        None => Ok(actor.to_owned()),
    }
}

fn at(state: &impl Read, id: &AppId) -> Result<String, KvError> {
    Ok(directory::app(state, id)?.map_or_else(|| id.to_string(), |a| a.spec.name))
}

fn space(space: &NameSpace) -> String {
    if *space == NameSpace::default() { "user name".to_owned() } else { format!("{space} name") }
}

/// What is owed, for people.
fn owed(state: &impl Read, subject: &Subject, change: ChangeKind) -> Result<String, KvError> {
    Ok(match subject {
        Subject::Account { app, identity } => {
            let (name, app) = (who(state, *identity)?, at(state, app)?);
            format!("in {app} the {} obligation for {name}", change.name())
        }
        Subject::Handover { machine, owner } => match machine == owner {
            true => format!("an owner for {}", who(state, *machine)?),
            false => format!("the hand-over of {} by {}", who(state, *machine)?, who(state, *owner)?),
        },
        // Whoever has it by now is somebody else's timeline.
        Subject::Credential { credential, holder } => {
            let known = directory::credential(state, *credential)?.map(|known| known.listed);
            let what = known.map(|known| format!("{} in {}", known.kind.in_words(), known.inventory));
            let whose = if holder.0 == credential.0 { "nobody".to_owned() } else { who(state, *holder)? };
            format!("the revocation of {} {credential} of {whose}", what.unwrap_or_else(|| "credential".into()))
        }
    })
}

/// A credential in words: what it is, whose, and which inventory lists it.
fn credential_of(state: &impl Read, id: CredentialId) -> Result<String, KvError> {
    let Some(known) = directory::credential(state, id)? else { return Ok(format!("credential {id}")) };
    let Listed { kind, holder, inventory, name, .. } = known.listed;
    let (kind, name) = (kind.in_words(), if name.is_empty() { id.to_string() } else { name });
    Ok(match holder {
        Some(holder) => format!("the {kind} {name} of {} in {inventory}", who(state, holder)?),
        None => format!("the {kind} {name} of nobody in {inventory}"),
    })
}

/// What an event says, for people; `state` is the directory with the event in it.
pub fn summary(event: &Recorded, state: &impl Read) -> Result<String, KvError> {
    if event.seal.is_closed() {
        return Ok(format!("{}: sealed, and its key is not here", event.type_name));
    }
    Ok(match &event.event {
        Event::Identity(e) => {
            let name = user_name(&e.resource);
            let paths = e.changed.iter().map(|c| c.path.as_str()).collect::<Vec<_>>().join(", ");
            match e.change {
                IdentityChange::Joined => format!("{name} joined"),
                IdentityChange::Moved | IdentityChange::Updated if e.changed.is_empty() => {
                    let source = event.meta.source.as_ref().map(ToString::to_string).unwrap_or_default();
                    format!("{name} is said again to be as before: it is {source}'s word now")
                }
                IdentityChange::Moved => format!("{name} moved: {paths}"),
                IdentityChange::Left if e.deleted => format!("{name} left: deleted by the source"),
                IdentityChange::Left => format!("{name} left: no longer active"),
                IdentityChange::LeaveScheduled => {
                    let at = e.effective_at.map(|at| at.to_string()).unwrap_or_default();
                    format!("{name} is to leave at {at}")
                }
                IdentityChange::LeaveCancelled => format!("{name} does not leave after all"),
                IdentityChange::Rehired => format!("{name} was rehired"),
                IdentityChange::Staged => format!("{name} is staged: known, not active yet"),
                IdentityChange::Updated => format!("{name} changed while not active: {paths}"),
                IdentityChange::Deleted => format!("{name} was deleted by the source"),
            }
        }
        Event::NameClaimed(e) => format!("{} {} claimed", space(&e.space), e.name),
        Event::NameReleased(e) => format!("{} {} released", space(&e.space), e.name),
        Event::Group(e) => {
            let name = e.resource.get("displayName").and_then(Value::as_str).unwrap_or_default();
            let members = format!("{} in, {} out", e.added.len(), e.removed.len());
            match e.change {
                GroupChange::Created => format!("group {name} created with {} members", e.added.len()),
                GroupChange::Updated => format!("group {name} changed, members: {members}"),
                GroupChange::MembersChanged => format!("members of group {name} changed: {members}"),
                GroupChange::Deleted => format!("group {name} deleted"),
            }
        }
        Event::Resource(e) => {
            let name = e.resource.get("displayName").or_else(|| e.resource.get("name")).and_then(Value::as_str);
            let name = name.map_or_else(|| e.id.to_string(), str::to_owned);
            match e.change {
                ResourceChange::Created => format!("{} {name} created", e.resource_type),
                ResourceChange::Updated => format!("{} {name} changed", e.resource_type),
                ResourceChange::Deleted => format!("{} {name} deleted", e.resource_type),
            }
        }
        Event::ChangeRefused(e) => {
            let source = event.meta.source.as_ref().map_or("a source", |s| s.as_str());
            format!("refused: {source} may not {} this {}: {}", e.operation, e.resource_type, e.detail)
        }
        Event::AppConfigured(e) => format!("app {} configured: accounts for {}", e.name, e.assign),
        Event::AppRemoved(id) => format!("app {} is no longer configured; what it owes stays", at(state, id)?),
        Event::AccountApplied(e) => {
            let (name, app) = (who(state, e.identity)?, at(state, &e.app)?);
            let adopted = if e.origin == Origin::Adopted { ", adopting an account it had" } else { "" };
            let done = match e.operation {
                Operation::Create => "created",
                Operation::Update => "updated",
                Operation::Deactivate => "deactivated",
                Operation::Delete => "deleted",
                Operation::Enter | Operation::Leave => {
                    let group = e.group.as_deref().unwrap_or_default();
                    let done = if e.operation == Operation::Enter { "put" } else { "taken" };
                    let way = if e.operation == Operation::Enter { "into" } else { "out of" };
                    return Ok(format!("{app} says it has {done} {name} {way} group {group}; not proved yet"));
                }
            };
            format!("{app} says it has {done} the account of {name}{adopted}; not proved yet")
        }
        Event::AccountVerified(e) => {
            let (name, app) = (who(state, e.identity)?, at(state, &e.app)?);
            match (e.target, &e.remote_id) {
                (Target::Present, _) if e.differences.is_empty() => {
                    format!("verified in {app}: the account of {name} is as desired")
                }
                (Target::Present, _) => {
                    let paths = e.differences.iter().map(|c| c.path.as_str()).collect::<Vec<_>>().join(", ");
                    format!("verified in {app}: {name} has the access that they must have; shown otherwise: {paths}")
                }
                (Target::Absent, None) => format!("verified in {app}: the account of {name} is gone"),
                (Target::Absent, Some(_)) => format!("verified in {app}: the account of {name} is inactive"),
            }
        }
        Event::AccountRejected(e) => {
            let (name, app) = (who(state, e.identity)?, at(state, &e.app)?);
            let status = e.rejection.status.map(|s| format!(" ({s})")).unwrap_or_default();
            let cause = e.rejection.cause.name();
            let parked = if e.parked_at.is_some() { "; not asked again until something changes" } else { "" };
            format!("{app} could not be brought in line for {name}: {cause}{status}: {}{parked}", e.rejection.detail)
        }
        Event::DriftDetected(e) => {
            let app = at(state, &e.id.app)?;
            if e.id.kind == DriftKind::Orphan {
                return Ok(format!(
                    "{app} has an account that belongs to nobody: {} (id {})",
                    e.user_name, e.remote_id
                ));
            }
            let name = who(state, e.id.identity)?;
            if e.id.kind == DriftKind::Duplicate {
                let ids =
                    e.differences.iter().filter_map(|c| c.after.as_ref()?.as_str()).collect::<Vec<_>>().join(", ");
                return Ok(format!("{app} has more than one account of {name}: besides their own also {ids}"));
            }
            let paths = e.differences.iter().map(|c| c.path.as_str()).collect::<Vec<_>>().join(", ");
            format!("{app} was read and differs for {name}: {} {paths}", e.id.kind.name()).trim_end().to_owned()
        }
        Event::ObligationAtRisk(e) => {
            format!("at risk: {}, due {}", owed(state, &e.id.subject, e.change)?, e.deadline)
        }
        Event::LeaverCompleted(e) => {
            let late = e.apps.iter().filter(|a| a.overdue_at.is_some()).count();
            // What they answered for may have been handed over later.
            let gone_at = e.apps.iter().filter_map(|a| a.verified_at).max().unwrap_or(e.completed_at);
            let took = gone_at.duration_since(e.left_at);
            let (name, apps) = (who(state, e.identity)?, e.apps.len());
            let owed = ledger::obligations_opened_by(state, e.identity, e.opened_by)?;
            let revoked = owed.iter().filter(|owed| matches!(owed.id.subject, Subject::Credential { .. }));
            let revoked: Vec<_> = revoked.filter_map(Obligation::verified_at).collect();
            let credentials = match revoked.iter().max() {
                Some(last) => {
                    let took = last.duration_since(e.left_at);
                    format!("; credentials revoked: {}, the last after {took:#}", revoked.len())
                }
                None => String::new(),
            };
            let by_word: Vec<_> = e.apps.iter().filter(|a| a.attested.is_some()).collect();
            if by_word.is_empty() {
                return Ok(format!(
                    "{name} is verified gone from all of {apps} apps after {took:#}; {late} of them late{credentials}"
                ));
            }
            let mut said = Vec::new();
            for outcome in &by_word {
                let by = outcome.attested.as_ref().map(|(_, who)| who.as_str()).unwrap_or_default();
                said.push(format!("{} by the word of {by}", at(state, &outcome.app)?));
            }
            let (read, said) = (apps - by_word.len(), said.join(", "));
            let read =
                if read == 0 { "from none".to_owned() } else { format!("from {read} of {apps} apps after {took:#}") };
            format!(
                "{name} has left: verified gone {read}, and gone from {said}, which can't be read; {late} of them late{credentials}"
            )
        }
        Event::ObligationOverdue(e) => {
            format!("overdue: {}, due {}", owed(state, &e.id.subject, e.change)?, e.deadline)
        }
        Event::AccountAttempted(e) => {
            let (name, app) = (who(state, e.identity)?, at(state, &e.app)?);
            match e.sent.len() {
                0 => format!("no creation for {name} in {app} is without an answer any more"),
                _ => format!("an account of {name} is asked for in {app}: until the app was read it may exist"),
            }
        }
        Event::AccountAttested(e) => {
            let (name, app) = (who(state, e.identity)?, at(state, &e.app)?);
            format!(
                "what {app} shows contradicts nothing that is said of the account of {name}, and proves nothing: it stands on that word"
            )
        }
        Event::TaskDone(e) => {
            let (name, app, by) = (who(state, e.identity)?, at(state, &e.app)?, &event.meta.actor);
            let looked_up = if e.reference.is_empty() { String::new() } else { format!(", see {}", e.reference) };
            match e.target {
                Target::Present => format!("{by} says that the account of {name} in {app} is as it must be{looked_up}"),
                Target::Absent => format!("{by} says that the account of {name} in {app} is gone{looked_up}"),
            }
        }
        Event::TaskUndone(e) => {
            let (name, app, by) = (who(state, e.identity)?, at(state, &e.app)?, &event.meta.actor);
            format!("{by} takes back what was said of the account of {name} in {app}: {}", e.reason)
        }
        Event::AccountAdopted(e) => {
            let (name, app) = (who(state, e.identity)?, at(state, &e.app)?);
            format!("the account {} of {app}, which belonged to nobody, is taken as that of {name}", e.remote_id)
        }
        Event::AppDiscovered(e) => {
            let app = at(state, &e.app)?;
            let ways = e.capabilities.keeps.iter().map(|(path, keeps)| format!("{path}: {}", keeps.way));
            match ways.collect::<Vec<_>>().join(", ") {
                ways if ways.is_empty() => format!("{app} says anew what it can do"),
                ways => format!("{app} keeps attributes in its own way: {ways}"),
            }
        }
        Event::AppQuarantined(e) => {
            let (app, times, detail) = (at(state, &e.app)?, e.failures, &e.rejection.detail);
            format!("{app} is left alone until it answers again: {times} failures in a row, the last: {detail}")
        }
        Event::AppRecovered(Recovered { app, recognized_at: None }) => format!("{} answers again", at(state, app)?),
        Event::AppRecovered(Recovered { app, recognized_at: Some(address) }) => {
            format!("{} answers again, and is the one that is known, at {address}", at(state, app)?)
        }
        Event::DriftCleared(id) => format!("{} was read again: no {} any more", at(state, &id.app)?, id.kind.name()),
        Event::DriftAccepted(e) => {
            let (by, app, kind, until) = (&event.meta.actor, at(state, &e.id.app)?, e.id.kind.name(), e.expires_at);
            format!("{by} leaves the {kind} in {app} in place until {until}: {}", e.reason)
        }
        Event::ObligationWaived(e) => {
            let (by, until) = (&event.meta.actor, e.expires_at);
            match &e.id.subject {
                Subject::Account { app, identity } => {
                    let (name, app) = (who(state, *identity)?, at(state, app)?);
                    format!("{by} waives what {app} owes for {name} until {until}: {}", e.reason)
                }
                Subject::Handover { .. } | Subject::Credential { .. } => {
                    let what = owed(state, &e.id.subject, ChangeKind::Leaver)?;
                    format!("{by} waives {what} until {until}: {}", e.reason)
                }
            }
        }
        Event::HoldPlaced(e) => {
            let (by, app, removals) = (e.cause.in_words(), at(state, &e.app)?, e.removals);
            format!("the removals by {by} wait for a decision: {removals} accounts in {app} are more than usual")
        }
        Event::HoldDecided(e) => {
            let (by, what) = (&event.meta.actor, e.cause.in_words());
            match e.decision {
                Decision::Release => format!("{by} lets the removals by {what} go on: {}", e.reason),
                Decision::Lapse => format!("no removal by {what} waits any more"),
                Decision::Reject { expires_at } => {
                    format!("{by} calls the removals by {what} a mistake until {expires_at}: {}", e.reason)
                }
            }
        }
        Event::Drill(e) => {
            let app = at(state, &e.app)?;
            match &e.event {
                DrillEvent::Requested => format!("{} wants {app} drilled now", event.meta.actor),
                DrillEvent::Started(canary) => {
                    format!("{app} is drilled: {} goes through it, and is nobody's account", canary.user_name)
                }
                DrillEvent::Made { remote_id } => format!("{app} has made the account of the drill, as {remote_id}"),
                DrillEvent::Completed { results, left_behind } => {
                    let failed: Vec<String> = results
                        .iter()
                        .filter(|result| result.verdict == DrillVerdict::Failed)
                        .map(|result| format!("{} {}", result.step.name(), result.of).trim().to_owned())
                        .collect();
                    let kept = match left_behind.len() {
                        0 => String::new(),
                        kept => format!("; it keeps {kept} accounts that it was told to delete"),
                    };
                    match failed.as_slice() {
                        [] => format!("{app} was drilled, and did all that it was asked{kept}"),
                        failed => format!("{app} was drilled, and failed in: {}{kept}", failed.join(", ")),
                    }
                }
                DrillEvent::Failed { detail, .. } => format!("{app} could not be drilled: {detail}"),
            }
        }
        Event::Reconciliation(e) => {
            let app = at(state, &e.app)?;
            match &e.event {
                ReconciliationEvent::Requested => format!("{} wants {app} compared now", event.meta.actor),
                ReconciliationEvent::Started => format!("{app} is compared as a whole"),
                ReconciliationEvent::Progressed { progress } => {
                    format!("{app}: {} accounts compared", progress.accounts)
                }
                ReconciliationEvent::Completed { progress } => {
                    format!("{app} was compared: {} accounts, {} findings", progress.accounts, progress.findings)
                }
                ReconciliationEvent::Failed { detail } => format!("{app} could not be compared: {detail}"),
            }
        }
        Event::SyncRequested(SyncRequested::Identity(id)) => {
            format!("{} wants every account of {} read now", event.meta.actor, who(state, *id)?)
        }
        Event::SyncRequested(SyncRequested::App(app)) => {
            format!("{} wants every account in {} read now", event.meta.actor, at(state, app)?)
        }
        Event::SyncRequested(SyncRequested::Same { app, told }) => {
            let (who, app) = (&event.meta.actor, at(state, app)?);
            format!("{who} says that {app}, in which event {told} calls accounts missing, is the one that is known")
        }
        Event::SyncRequested(SyncRequested::Gone { app, told }) => {
            let (who, app) = (&event.meta.actor, at(state, app)?);
            format!("{who} says that the accounts in {app} that event {told} calls missing are gone")
        }
        Event::AlertFired(e) => format!("alert sent to {}: {}", e.sink, e.summary),
        Event::AlertResolved(e) => format!("alert resolved at {}", e.sink),
        Event::Checkpoint(e) => format!("the log up to event {} is signed", e.size),
        Event::Session(e) => {
            let by = &event.meta.actor;
            match &e.step {
                SessionStep::Opened { holder: SessionHolder::Token { name, .. }, .. } => {
                    format!("someone signed in to the console with the API token {name}")
                }
                SessionStep::Opened { holder: SessionHolder::Provider { name, role }, .. } => {
                    format!("{name} signed in to the console as {role}")
                }
                SessionStep::Used => format!("{by} used the console"),
                SessionStep::Ended => format!("{by} ended a session of the console"),
            }
        }
        Event::ApiToken(e) => {
            let by = &event.meta.actor;
            match &e.step {
                ApiTokenStep::Issued(issued) => {
                    format!("{by} made the API token {}, as {}, until {}", issued.name, issued.role, issued.expires_at)
                }
                ApiTokenStep::Used => format!("{by} used an API token"),
                ApiTokenStep::Revoked => format!("{by} revoked API token {}", e.id),
            }
        }
        Event::Approval(e) => {
            let by = &event.meta.actor;
            match &e.step {
                ApprovalStep::Requested { wanted, .. } => format!("{by} asks {}", in_words(wanted)),
                ApprovalStep::Approved => format!("{by} approves what was asked for in approval {}", e.id),
                ApprovalStep::Denied => format!("{by} denies what was asked for in approval {}", e.id),
            }
        }
        Event::ConfigurationRead(e) => {
            format!("{} has started with a configuration of which {} settings are new", e.service, e.changed.len())
        }
        Event::ErasureOrdered(e) => {
            format!("{} is to be erased, once no app keeps an account of theirs: {}", who(state, e.id)?, e.legal_basis)
        }
        Event::IdentityErased(e) => format!("someone was erased: {}", e.legal_basis),
        Event::IdentitySwitched(e) => {
            let name = who(state, e.id)?;
            match e.to {
                Switch::Off => format!("{name} is switched off in every app, now: {}", e.reason),
                Switch::On => format!("{name} is switched on again: {}", e.reason),
            }
        }
        Event::RoleConfigured(e) => {
            let all = e.entitlements.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            match e.members.as_str() {
                "" => format!("role {} configured, for whoever it is granted to: {all}", e.name),
                members => format!("role {} configured, for {members}: {all}", e.name),
            }
        }
        Event::RoleRemoved(id) => format!("role {id} is no longer configured: nobody has it any more"),
        Event::PolicyConfigured(e) => match e.reason.as_str() {
            "" => format!("policy {} configured", e.id),
            reason => format!("policy {} configured: {reason}", e.id),
        },
        Event::PolicyRemoved(id) => format!("policy {id} is no longer configured"),
        Event::SeparationConfigured(e) => {
            let side =
                |ids: &BTreeSet<EntitlementId>| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let (one, other) = (side(&e.entitlements), side(&e.never_with));
            format!("separation {} configured: nobody holds {one} together with {other}", e.name)
        }
        Event::SeparationRemoved(id) => format!("separation {id} is no longer configured"),
        Event::ViolationAccepted(e) => {
            let (name, separation, until, control) = (who(state, e.identity)?, &e.separation, e.expires_at, &e.control);
            format!("that {name} violates separation {separation} is accepted until {until}; instead: {control}")
        }
        Event::Configuring(Configuring::Begins) => "apps and roles change together".to_owned(),
        Event::Configuring(Configuring::Ends) => "apps and roles have changed together".to_owned(),
        Event::ReevaluationConfigured(e) => {
            format!("a change that concerns many is decided for {} people at once", e.people_at_once)
        }
        Event::Reevaluated(e) => {
            let what = match e.pass {
                Pass::Losses => "who loses an account",
                Pass::Access => "who is to have what",
                Pass::Separations => "who violates a separation",
            };
            let until = if e.through.is_some() { "some more people" } else { "everybody who was left" };
            format!("{what} after event {} is decided for {until}", e.since)
        }
        Event::Grant(e) => grant(state, e)?,
        Event::MachinesConfigured(e) => {
            let span = |time| jiff::SignedDuration::try_from(time).unwrap_or(jiff::SignedDuration::MAX);
            let (handover, revoke, reported) =
                (span(e.handover_within), span(e.revoke_within), span(e.compromised_within));
            format!(
                "hand-overs of machines may take {handover:#}, revocations of credentials {revoke:#}, or {reported:#} once they are \
                 reported"
            )
        }
        Event::Handover(e) => {
            let machine = who(state, e.machine)?;
            let owner = if e.owner == e.machine { "nobody".to_owned() } else { who(state, e.owner)? };
            let by = &event.meta.actor;
            match e.step {
                HandoverStep::Accepted(to) => {
                    format!("{} answers for {machine} now, for which {owner} did", who(state, to)?)
                }
                HandoverStep::Passed(to) => format!("{by} asks {} to take over {machine} of {owner}", who(state, to)?),
                HandoverStep::Retired => format!("{by} ends {machine}, for which {owner} answered: {}", e.reason),
            }
        }
        Event::CredentialListed(e) => {
            let what = credential_of(state, e.id)?;
            let off = if e.usability == Usability::Disabled { ", switched off" } else { "" };
            format!("{what} is listed{off}, as of {}", e.taken_at)
        }
        Event::CredentialUnlisted(e) => {
            format!("{} is gone: the list of {} lacks it", credential_of(state, e.id)?, e.taken_at)
        }
        Event::CredentialCompromised(e) => {
            let by = &event.meta.actor;
            format!("{by} reports that others may know the secret of {}: {}", credential_of(state, e.id)?, e.reason)
        }
        Event::InventoryRead(e) => {
            let (name, listed, gone) = (&e.inventory, e.listed, e.gone);
            let how = if e.extent == Extent::Whole { "was compared" } else { "is being compared" };
            format!(
                "the list of {name} {how}: {listed} credentials, {} new, {} changed, {gone} gone",
                e.added, e.changed
            )
        }
        Event::EffectFailed(e) => {
            let (at, reason) = (e.effective_at, &e.reason);
            format!("what was said of {} for {at} can't take effect: {reason}", who(state, e.id)?)
        }
        Event::Access(e) => {
            let (by, path) = (&event.meta.actor, &e.path);
            let whose = e.identity.map(|id| who(state, id)).transpose()?;
            let whose = whose.map(|name| format!(", about {name}")).unwrap_or_default();
            match e.outcome {
                Outcome::Read => format!("{by} read {path}{whose}"),
                Outcome::Denied => format!("{by} may not read {path}{whose}, and asked"),
            }
        }
        Event::Unknown => format!("{} (written by a newer version)", event.type_name),
    })
}

/// Who acted is not named: the sentence is kept, and stays when they are erased.
fn grant(state: &impl Read, e: &GrantChanged) -> Result<String, KvError> {
    let name = who(state, e.identity)?;
    // What it was about is in its request; here it is what the state knows of it by now.
    let what = match &e.step {
        GrantStep::Requested(asked) => asked.what.to_string(),
        GrantStep::Approved | GrantStep::Ended { .. } => match ledger::grant(state, e.id)? {
            Some(grant) => grant.what.to_string(),
            None => format!("grant {}", e.id),
        },
    };
    Ok(match &e.step {
        GrantStep::Requested(asked) => {
            let lasts = match asked.lasts {
                Lasts::Until(until) => format!("until {until}"),
                Lasts::For(time) => format!("for {}", in_short(time)),
                Lasts::Standing => "without an end".to_owned(),
            };
            let longer = if asked.extends.is_some() { ", longer than was granted" } else { "" };
            format!("{what} is asked for, for {name}{longer}, {lasts}: {}", asked.reason)
        }
        GrantStep::Approved => format!("{what} is approved for {name}"),
        GrantStep::Ended { why, reason, .. } => {
            let said = if reason.is_empty() { String::new() } else { format!(": {reason}") };
            match why {
                GrantEnd::Expired => format!("the time of {what} for {name} is over"),
                GrantEnd::Ended => format!("{what} is ended for {name}{said}"),
                GrantEnd::Denied => format!("{what} is denied for {name}{said}"),
                GrantEnd::Withdrawn => format!("the request for {what} for {name} is taken back{said}"),
                GrantEnd::Unanswered => format!("nobody has approved {what} for {name} in time"),
                GrantEnd::Left => format!("{what} for {name} ends: they have left"),
                GrantEnd::Extended => format!("{what} for {name} lasts longer"),
                GrantEnd::Separated => format!("{what} for {name} does not begin: a separation forbids it"),
            }
        }
    })
}

fn in_short(time: Duration) -> String {
    jiff::SignedDuration::try_from(time).map_or_else(|_| format!("{time:?}"), |time| format!("{time:#}"))
}

/// What is wanted, in words.
pub fn in_words(wanted: &Event) -> String {
    match wanted {
        Event::ObligationWaived(Waived { id, expires_at, .. }) => {
            format!("to leave {id} unmet until {expires_at}")
        }
        Event::DriftAccepted(DriftAccepted { id, expires_at, .. }) => {
            format!("to leave drift {id} in place until {expires_at}")
        }
        Event::HoldDecided(HoldDecided { cause, through, decision: Decision::Release, .. }) => {
            format!("to let the removals by {} up to event {through} go on", cause.in_words())
        }
        Event::HoldDecided(HoldDecided { cause, through, decision: Decision::Reject { expires_at }, .. }) => {
            format!("to leave the removals by {} up to event {through} undone until {expires_at}", cause.in_words())
        }
        Event::ViolationAccepted(ViolationAccepted { separation, held, control, expires_at, .. }) => {
            let held = held.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
            format!("to accept until {expires_at} that they hold {held} (separation {separation}); instead: {control}")
        }
        Event::AppRemoved(app) => format!("to govern app '{app}' no more: what it owes stays"),
        Event::SyncRequested(SyncRequested::Same { app, told }) => {
            format!(
                "to believe that app '{app}', in which event {told} calls accounts missing, is the one that is known, with all its ids"
            )
        }
        Event::SyncRequested(SyncRequested::Gone { app, told }) => {
            format!("to believe that the accounts in app '{app}' that event {told} calls missing are gone")
        }
        Event::ErasureOrdered(order) => {
            format!("to erase identity {} for ever ({}): {}", order.id, order.legal_basis, order.reason)
        }
        _ => "something that this version does not know".to_owned(),
    }
}
