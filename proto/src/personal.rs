//! What of each payload is about a person. It is sealed with that person's key; the rest stays readable, so that clocks, counts and
//! proofs need no key. A new field fails a test until it is on one of the two lists.

use prost::bytes::Buf as _;
use prost::encoding::{DecodeContext, decode_key, skip_field};

use crate::catalogue::EventType;

/// The message, its fields that are personal, and those that are not, by their numbers.
const FIELDS: &[(&str, &[u32], &[u32])] = &[
    ("IdentityChanged", &[5, 6], &[1, 2, 3, 4, 7, 8, 9, 10, 11]),
    ("Ownership", &[], &[1, 2, 3, 4]),
    ("ChangeRefused", &[4, 5], &[1, 2, 3]),
    ("NameChanged", &[1], &[2, 3]),
    // Groups, other resources and apps are nobody's in particular.
    ("GroupChanged", &[], &[1, 2, 3, 4, 5]),
    ("ResourceChanged", &[], &[1, 2, 3, 4]),
    (
        "AppConfigured",
        &[],
        &[
            1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29,
            30, 31,
        ],
    ),
    ("AppRemoved", &[], &[1]),
    ("AppDiscovered", &[], &[1, 2]),
    ("AppQuarantined", &[], &[1, 2, 3, 4, 5]),
    ("AppRecovered", &[], &[1, 2]),
    ("AccountApplied", &[4], &[1, 2, 3, 5, 6, 7]),
    ("AccountVerified", &[4, 6, 8], &[1, 2, 3, 5, 7]),
    ("AccountRejected", &[6], &[1, 2, 3, 4, 5, 7]),
    ("AccountAttempted", &[4], &[1, 2, 3, 5]),
    ("AccountAdopted", &[3], &[1, 2]),
    ("AccountAttested", &[], &[1, 2, 3]),
    ("TaskDone", &[5], &[1, 2, 3, 4]),
    ("TaskUndone", &[4], &[1, 2, 3]),
    ("DriftDetected", &[5, 6, 7], &[1, 2, 3, 4]),
    ("DriftCleared", &[], &[1]),
    ("DriftAccepted", &[2], &[1, 3]),
    ("ObligationAtRisk", &[], &[1, 2, 3]),
    ("ObligationOverdue", &[], &[1, 2, 3, 4, 5, 6]),
    ("ObligationWaived", &[2], &[1, 3]),
    ("LeaverCompleted", &[], &[1, 2, 3, 4, 5]),
    ("HoldPlaced", &[], &[1, 2, 3, 4, 5]),
    ("HoldDecided", &[], &[1, 2, 3, 4]),
    ("Reconciliation", &[], &[1, 2, 3, 4, 5]),
    ("Drill", &[], &[1, 2, 3, 4, 5, 6, 7]),
    ("DrillResult", &[], &[1, 2, 3, 4, 5]),
    ("SyncRequested", &[], &[1, 2, 3, 4]),
    ("AlertChanged", &[4], &[1, 2, 3, 5, 6, 7, 8, 9, 10]),
    ("Checkpoint", &[], &[1, 2, 3, 4]),
    // Who operates it is named: who decided is what an auditor asks.
    ("SessionChanged", &[], &[1, 2, 3, 4, 5]),
    ("ApiTokenChanged", &[], &[1, 2, 3, 4, 5, 6]),
    ("ApprovalChanged", &[3], &[1, 2, 4, 5]),
    ("ConfigurationRead", &[], &[1, 2, 3, 4]),
    ("EffectFailed", &[4], &[1, 2, 3]),
    ("ErasureOrdered", &[], &[1, 2, 3, 4]),
    ("IdentityErased", &[], &[1, 2, 3, 4, 5, 6, 7]),
    ("IdentitySwitched", &[2], &[1]),
    // Roles are nobody's in particular.
    ("RoleConfigured", &[], &[1, 2, 3, 4, 5, 6]),
    ("RoleRemoved", &[], &[1]),
    ("PolicyConfigured", &[], &[1, 2, 3, 4]),
    ("PolicyRemoved", &[], &[1]),
    ("SeparationConfigured", &[], &[1, 2, 3, 4, 5, 6]),
    ("SeparationRemoved", &[], &[1]),
    ("ViolationAccepted", &[3, 4], &[1, 2, 5, 6]),
    ("Configuring", &[], &[]),
    ("AccessReevaluated", &[], &[1, 2, 3]),
    ("ReevaluationConfigured", &[], &[1]),
    ("GrantRequested", &[6, 7], &[1, 2, 3, 4, 5, 8, 9, 10, 11]),
    // That it has no personal field would leave the reason of its envelope readable: nobody gives one.
    ("GrantApproved", &[], &[1, 2]),
    ("GrantEnded", &[5], &[1, 2, 3, 4]),
    ("MachinesConfigured", &[], &[1, 2, 3]),
    ("CredentialListed", &[7, 8], &[1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 13]),
    ("CredentialUnlisted", &[], &[1, 2, 3, 4]),
    ("CredentialCompromised", &[3], &[1, 2]),
    ("InventoryRead", &[], &[1, 2, 3, 4, 5, 6, 7, 8]),
    ("HandoverChanged", &[4], &[1, 2, 3]),
    ("Access", &[3], &[1, 2, 4]),
];

/// The numbers of the fields that are personal, and of those that are not, of the payload of a type.
#[must_use]
pub fn fields(kind: EventType) -> Option<(&'static [u32], &'static [u32])> {
    let message = kind.message().rsplit('.').next()?;
    FIELDS.iter().find(|(name, ..)| *name == message).map(|(_, personal, open)| (*personal, *open))
}

/// The names of the fields of a payload that are personal, as its JSON has them.
#[must_use]
pub fn names(kind: EventType) -> Vec<String> {
    let (personal, _) = fields(kind).unwrap_or_default();
    crate::render::field_names(kind, personal)
}

/// Whether anything of a payload of this type is personal.
#[must_use]
pub fn is_personal(kind: EventType) -> bool {
    fields(kind).is_none_or(|(personal, _)| !personal.is_empty())
}

/// A payload in two: what is readable, and what is personal. Both are messages of the same type, and one after the other they are the
/// payload again (Protocol Buffers, "Last One Wins": messages that are concatenated are merged). What no list knows is personal.
#[must_use]
pub fn split(kind: EventType, payload: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let open = fields(kind).map(|(_, open)| open).unwrap_or_default();
    let (mut readable, mut personal) = (Vec::with_capacity(payload.len()), Vec::with_capacity(payload.len()));
    let mut rest = payload;
    while !rest.is_empty() {
        let before = rest;
        let whole = decode_key(&mut rest)
            .ok()
            .and_then(|(tag, wire)| skip_field(wire, tag, &mut rest, DecodeContext::default()).ok().map(|()| tag));
        let Some(tag) = whole else {
            // Our own encoder writes no such thing; what can't be read is not shown.
            personal.extend_from_slice(before);
            break;
        };
        let field = before.get(..before.len() - rest.remaining()).unwrap_or_default();
        if open.contains(&tag) { readable.extend_from_slice(field) } else { personal.extend_from_slice(field) }
    }
    (readable, personal)
}
