//! Credentials and inventories, to and from their stored form.

use prost::Message as _;
use rollcall_domain::access::credential::{
    Compromised, CredentialKind, Extent, InventoryRead, Listed, Unlisted, Usability,
};
use rollcall_domain::ids::IdentityId;
use rollcall_proto::v1;

use crate::wire::{self, enum_conversion};

enum_conversion!(
    to_kind,
    from_kind,
    CredentialKind,
    v1::CredentialKind,
    ApiKey = ApiKey,
    ClientSecret = ClientSecret,
    Certificate = Certificate,
    PersonalAccessToken = PersonalAccessToken,
    SshKey = SshKey,
    Token = Token,
    Password = Password
);

fn to_holder(holder: Option<IdentityId>) -> String {
    holder.map(|id| id.to_string()).unwrap_or_default()
}

pub fn to_listed(listed: &Listed) -> Vec<u8> {
    v1::CredentialListed {
        credential_id: listed.id.to_string(),
        inventory: listed.inventory.to_string(),
        holder_id: to_holder(listed.holder),
        app_id: listed.app.as_ref().map(ToString::to_string).unwrap_or_default(),
        kind: to_kind(listed.kind),
        disabled: listed.usability == Usability::Disabled,
        name: listed.name.clone(),
        holder_named: listed.holder_named.clone(),
        issued_at: listed.issued_at.map(wire::to_proto_time),
        expires_at: listed.expires_at.map(wire::to_proto_time),
        rotated_at: listed.rotated_at.map(wire::to_proto_time),
        used_at: listed.used_at.map(wire::to_proto_time),
        taken_at: Some(wire::to_proto_time(listed.taken_at)),
    }
    .encode_to_vec()
}

pub fn from_listed(payload: &[u8]) -> Option<Listed> {
    let stored = v1::CredentialListed::decode(payload).ok()?;
    Some(Listed {
        id: stored.credential_id.parse().ok()?,
        inventory: stored.inventory.parse().ok()?,
        holder: stored.holder_id.parse().ok(),
        app: stored.app_id.parse().ok(),
        kind: from_kind(stored.kind)?,
        usability: if stored.disabled { Usability::Disabled } else { Usability::Usable },
        name: stored.name,
        holder_named: stored.holder_named,
        issued_at: stored.issued_at.and_then(wire::from_proto_time),
        expires_at: stored.expires_at.and_then(wire::from_proto_time),
        rotated_at: stored.rotated_at.and_then(wire::from_proto_time),
        used_at: stored.used_at.and_then(wire::from_proto_time),
        taken_at: wire::from_proto_time(stored.taken_at?)?,
    })
}

pub fn to_unlisted(unlisted: &Unlisted) -> Vec<u8> {
    v1::CredentialUnlisted {
        credential_id: unlisted.id.to_string(),
        inventory: unlisted.inventory.to_string(),
        holder_id: to_holder(unlisted.holder),
        taken_at: Some(wire::to_proto_time(unlisted.taken_at)),
    }
    .encode_to_vec()
}

pub fn from_unlisted(payload: &[u8]) -> Option<Unlisted> {
    let stored = v1::CredentialUnlisted::decode(payload).ok()?;
    Some(Unlisted {
        id: stored.credential_id.parse().ok()?,
        inventory: stored.inventory.parse().ok()?,
        holder: stored.holder_id.parse().ok(),
        taken_at: wire::from_proto_time(stored.taken_at?)?,
    })
}

pub fn to_compromised(compromised: &Compromised) -> Vec<u8> {
    v1::CredentialCompromised {
        credential_id: compromised.id.to_string(),
        holder_id: to_holder(compromised.holder),
        reason: compromised.reason.clone(),
    }
    .encode_to_vec()
}

pub fn from_compromised(payload: &[u8]) -> Option<Compromised> {
    let stored = v1::CredentialCompromised::decode(payload).ok()?;
    Some(Compromised {
        id: stored.credential_id.parse().ok()?,
        holder: stored.holder_id.parse().ok(),
        reason: stored.reason,
    })
}

pub fn to_inventory_read(read: &InventoryRead) -> Vec<u8> {
    v1::InventoryRead {
        inventory: read.inventory.to_string(),
        taken_at: Some(wire::to_proto_time(read.taken_at)),
        part: read.extent == Extent::Part,
        listed: read.listed,
        of_nobody: read.of_nobody,
        added: read.added,
        changed: read.changed,
        gone: read.gone,
    }
    .encode_to_vec()
}

pub fn from_inventory_read(payload: &[u8]) -> Option<InventoryRead> {
    let stored = v1::InventoryRead::decode(payload).ok()?;
    Some(InventoryRead {
        inventory: stored.inventory.parse().ok()?,
        taken_at: wire::from_proto_time(stored.taken_at?)?,
        extent: if stored.part { Extent::Part } else { Extent::Whole },
        listed: stored.listed,
        of_nobody: stored.of_nobody,
        added: stored.added,
        changed: stored.changed,
        gone: stored.gone,
    })
}
