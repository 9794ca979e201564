//! Credentials, and the inventories that list them.

use jiff::Timestamp;
use rollcall_domain::access::credential::{Credential, CredentialKind, Inventory, Presence, Usability};
use rollcall_domain::ids::{AppId, CredentialId, InventoryName, Sequence};
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::ledger;
use serde::Serialize;
use utoipa::ToSchema;

use super::Detail;
use super::machine::OwnerView;
use super::obligation::ObligationView;
use crate::api::schema;

/// A key, a token or a certificate; never its secret.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CredentialView {
    #[schema(value_type = uuid::Uuid)]
    pub id: CredentialId,
    #[schema(value_type = String)]
    pub inventory: InventoryName,
    /// `api_key`, `client_secret`, `certificate`, `personal_access_token`, `ssh_key`, `token` or `password`.
    #[schema(value_type = String)]
    pub kind: CredentialKind,
    /// What its inventory calls it: an id, an accessor or a fingerprint. Absent for viewers.
    pub name: Option<String>,
    /// Whom its inventory names. Absent for viewers.
    pub holder_named: Option<String>,
    /// Whose it is; null: of nobody that is known.
    pub holder: Option<OwnerView>,
    /// The app that it opens.
    #[schema(value_type = Option<String>)]
    pub app: Option<AppId>,
    /// `usable`, or `disabled`: listed, and switched off.
    #[schema(value_type = String)]
    pub usability: Usability,
    #[schema(schema_with = schema::time_or_null)]
    pub issued_at: Option<Timestamp>,
    #[schema(schema_with = schema::time_or_null)]
    pub expires_at: Option<Timestamp>,
    #[schema(schema_with = schema::time_or_null)]
    pub rotated_at: Option<Timestamp>,
    /// When it was last used, to a week.
    #[schema(schema_with = schema::time_or_null)]
    pub used_at: Option<Timestamp>,
    /// When it was first listed.
    #[schema(schema_with = schema::time)]
    pub first_listed_at: Timestamp,
    /// When the list was taken that lacks it; null: it is listed.
    #[schema(schema_with = schema::time_or_null)]
    pub gone_at: Option<Timestamp>,
    /// When somebody reported that others may know its secret; null: nobody has, or it is another secret since.
    #[schema(schema_with = schema::time_or_null)]
    pub compromised_at: Option<Timestamp>,
    /// What is owed of it.
    pub obligations: Vec<ObligationView>,
}

impl CredentialView {
    /// A credential.
    pub fn of(state: &impl Read, credential: &Credential, detail: Detail) -> Result<Self, KvError> {
        let listed = &credential.listed;
        let owed = ledger::owed_of_credential(state, listed.id)?;
        Ok(Self {
            id: listed.id,
            inventory: listed.inventory.clone(),
            kind: listed.kind,
            name: detail.show(listed.name.clone()),
            holder_named: detail.show(listed.holder_named.clone()),
            holder: listed.holder.map(|holder| OwnerView::of(state, holder, detail)).transpose()?,
            app: listed.app.clone(),
            usability: listed.usability,
            issued_at: listed.issued_at,
            expires_at: listed.expires_at,
            rotated_at: listed.rotated_at,
            used_at: listed.used_at,
            first_listed_at: credential.first_listed_at,
            gone_at: match credential.presence {
                Presence::Gone { at, .. } => Some(at),
                Presence::Listed => None,
            },
            compromised_at: credential.standing_report().map(|report| report.at),
            obligations: owed.iter().map(|owed| ObligationView::of(owed, detail)).collect(),
        })
    }
}

/// A list of credentials.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct InventoryView {
    #[schema(value_type = String)]
    pub name: InventoryName,
    /// When the last list was taken.
    #[schema(schema_with = schema::time)]
    pub taken_at: Timestamp,
    /// When it was compared.
    #[schema(schema_with = schema::time_or_null)]
    pub read_at: Option<Timestamp>,
    /// How many it has.
    pub listed: u64,
    /// Those of them of which it is not known whose they are.
    pub of_nobody: u64,
    /// Those that were new in it, that had changed, and that it lacked.
    pub added: u64,
    pub changed: u64,
    pub gone: u64,
    /// The last event of it.
    #[schema(value_type = u64)]
    pub version: Sequence,
}

impl InventoryView {
    /// An inventory; `None`: no list of it was read to its end.
    pub fn of(inventory: &Inventory) -> Option<Self> {
        let read = inventory.read.as_ref()?;
        Some(Self {
            name: read.inventory.clone(),
            taken_at: read.taken_at,
            read_at: inventory.read_at,
            listed: read.listed,
            of_nobody: read.of_nobody,
            added: read.added,
            changed: read.changed,
            gone: read.gone,
            version: inventory.version,
        })
    }
}
