//! Somebody who is made up: what a configuration would give them, without a log.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rollcall_scim::Catalogue;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::access::entitlement::Grantable;
use crate::access::grant::{Grant, Lasts};
use crate::access::holding::Decision;
use crate::app::App;
use crate::decision::Holder;
use crate::decision::access_rules::AccessRules;
use crate::decision::rule::Rules;
use crate::directory::Membership;
use crate::identity::content::Content;
use crate::identity::group::Group;
use crate::identity::lifecycle::Lifecycle;
use crate::identity::{Identity, IdentityKind};
use crate::ids::{AppId, GrantId, GroupId, IdentityId, Sequence, SourceName};

/// Somebody who is made up, and active.
#[derive(Debug, Clone)]
pub struct Imagined {
    /// Of which kind.
    pub kind: IdentityKind,
    /// The SCIM resource.
    pub resource: Map<String, Value>,
    /// The groups that they are in, each with the source that it is of.
    pub groups: Vec<(String, Option<SourceName>)>,
    /// What was granted to them.
    pub grants: Vec<Grantable>,
}

impl Imagined {
    fn holder(self) -> Holder {
        let at = Timestamp::UNIX_EPOCH;
        let numbered = |n: usize| Uuid::from_u128(u128::try_from(n).unwrap_or_default());
        let id = IdentityId(Uuid::nil());
        let group = |(n, (name, source)): (usize, (String, Option<SourceName>))| {
            let resource = Map::from_iter([("displayName".to_owned(), Value::from(name))]);
            let (id, version) = (GroupId(numbered(n)), Sequence(0));
            let group = Group { id, resource, members: 1, created_by: source, created_at: at, changed_at: at, version };
            (group, Membership::Direct)
        };
        let grant = |(n, what): (usize, Grantable)| Grant {
            id: GrantId(numbered(n)),
            identity: id,
            what,
            lasts: Lasts::Standing,
            requested_by: String::new(),
            requested_at: at,
            requested_in: Sequence(0),
            approvers: Vec::new(),
            approvals: 0,
            expires_at: at,
            extends: None,
            approved_by: BTreeSet::new(),
            active_since: Some(at),
            until: None,
            ended: None,
            version: Sequence(0),
        };
        let identity = Identity {
            id,
            kind: self.kind,
            lifecycle: Lifecycle::Active,
            deleted: false,
            resource: self.resource,
            source: None,
            created_by: None,
            created_at: at,
            changed_at: at,
            version: Sequence(0),
            key: None,
            content: Content::Open,
        };
        let groups = self.groups.into_iter().enumerate().map(group).collect();
        Holder::new(identity, groups, self.grants.into_iter().enumerate().map(grant).collect())
    }

    /// What they would hold in each app of these rules.
    #[must_use]
    pub fn holds(self, rules: &AccessRules, catalogue: &Catalogue) -> Vec<(AppId, Decision)> {
        let holder = self.holder();
        let roles = rules.roles_of(&holder);
        let principal = rules.principal(catalogue, &holder, &roles);
        let decide = |(id, (app, app_rules)): (&AppId, &(App, Rules))| {
            let rule = app_rules.of(holder.identity.kind);
            (id.clone(), holder.decide(app, rule, &roles, rules.asked(principal.as_ref())))
        };
        rules.apps.iter().map(decide).collect()
    }
}
