//! What another configuration would change: it is what happens when it is configured.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use proptest::prelude::*;
use rollcall_domain::access::entitlement::EntitlementId;
use rollcall_domain::access::policy::PolicySpec;
use rollcall_domain::access::separation::SeparationSpec;
use rollcall_domain::decision::access_rules::{AccessRules, AccessSpec};
use rollcall_domain::ledger::{AppPreview, Direction, Preview, PreviewReason, Tally};
use rollcall_domain::{directory, ledger};
use rollcall_scim::Catalogue;
use serde_json::json;

use crate::world::access::{code, role};
use crate::world::{World, app_id, person, spec};

fn base() -> AccessSpec {
    AccessSpec {
        apps: vec![spec("chat", r#"userType eq "Employee""#), spec("crm", r#"title eq "Sales""#), code()],
        roles: vec![role("dev", r#"title eq "Dev""#, &["code:group:Admins"])],
        policies: Vec::new(),
        separations: Vec::new(),
    }
}

fn policy(id: &str, text: &str) -> PolicySpec {
    let text = format!("@id(\"{id}\") {text};");
    PolicySpec { id: id.parse().unwrap(), text, reason: String::new(), owner: "it".into() }
}

fn configure(world: &mut World, spec: &AccessSpec) {
    use rollcall_domain::directory::app_changes as changes;
    let mut events = changes::configure(&directory::apps(&world.state).unwrap(), &spec.apps);
    events.extend(changes::configure_roles(&directory::roles(&world.state).unwrap(), &spec.roles));
    events.extend(changes::configure_policies(&directory::policies(&world.state).unwrap(), &spec.policies));
    let separations = directory::separations(&world.state).unwrap();
    events.extend(changes::configure_separations(&separations, &spec.separations));
    for event in events {
        world.append(event);
    }
}

fn with_people() -> World {
    let mut world = World::default();
    configure(&mut world, &base());
    for (n, title) in ["Sales", "Sales", "Dev", "Boss"].into_iter().enumerate() {
        let user = json!({ "userName": format!("p{n}"), "title": title, "userType": "Employee" });
        world.join(person(u128::try_from(n).unwrap()), user);
    }
    world
}

fn preview(world: &World, spec: &AccessSpec) -> Preview {
    let catalogue = Catalogue::default();
    let rules = AccessRules::configured(spec, &catalogue);
    ledger::preview(&world.state, catalogue, spec, rules, |_| ControlFlow::Continue(())).unwrap()
}

fn tally(gained: usize, lost: usize) -> Tally {
    Tally { gained, lost }
}

#[test]
fn what_is_configured_now_changes_nothing() {
    let world = with_people();
    let found = preview(&world, &base());
    assert_eq!(found, Preview { identities: 4, ..Preview::default() });
}

#[test]
fn it_is_told_who_gains_and_who_loses_what_and_because_of_what() {
    let world = with_people();
    let mut other = base();
    other.roles[0].members = r#"title eq "Boss""#.into();
    other.policies = vec![policy(
        "no-sales",
        r#"forbid(principal, action == Action::"hold", resource in App::"crm") when { principal has title && principal.title == "Sales" }"#,
    )];
    let found = preview(&world, &other);
    let crm = &found.apps[&app_id("crm")];
    assert_eq!((crm.accounts, crm.removed, crm.removed_some.clone()), (2, 2, vec![person(0), person(1)]));
    let code = &found.apps[&app_id("code")];
    assert_eq!(
        *code,
        AppPreview { accounts: 1, added: 1, removed: 1, removed_some: vec![person(2)], ..AppPreview::default() }
    );
    assert!(!found.apps.contains_key(&app_id("chat")), "nothing is about it");
    let id = |text: &str| text.parse::<EntitlementId>().unwrap();
    let expected =
        BTreeMap::from([(id("code"), tally(1, 1)), (id("code:group:Admins"), tally(1, 1)), (id("crm"), tally(0, 2))]);
    assert_eq!(found.entitlements, expected);
    let forbidden = PreviewReason::Forbidden("no-sales".parse().unwrap());
    assert_eq!(found.because[&(app_id("crm"), forbidden)], tally(0, 2));
    let by_role = PreviewReason::Role("dev".parse().unwrap());
    assert_eq!(found.because[&(app_id("code"), by_role)], tally(2, 2));
    assert_eq!(found.changes.len(), 6);
    assert!(found.changes.iter().any(|change| change.identity == person(3) && change.direction == Direction::Gained));
}

#[test]
fn whoever_would_hold_together_what_nobody_may_is_told() {
    let world = with_people();
    let mut other = base();
    other.roles.push(role("all", r#"title eq "Dev""#, &["crm"]));
    other.separations = vec![SeparationSpec {
        id: "apart".parse().unwrap(),
        name: "Apart".into(),
        owner: "it".into(),
        reason: String::new(),
        entitlements: ["crm".parse().unwrap()].into(),
        never_with: ["code:group:Admins".parse().unwrap()].into(),
    }];
    let found = preview(&world, &other);
    assert_eq!(found.violations, BTreeMap::from([("apart".parse().unwrap(), 1)]));
    assert_eq!(found.violations_some[0].1, person(2));
    let mut world = world;
    configure(&mut world, &other);
    assert_eq!(ledger::violations_of(&world.state, person(2)).unwrap().len(), 1);
    assert_eq!(preview(&world, &other).violations, BTreeMap::new(), "it is no news");
}

/// Who has an account where, and in which groups.
fn held(world: &World) -> BTreeMap<(u128, String), Vec<String>> {
    let mut all = BTreeMap::new();
    for n in 0..4 {
        for app in ["chat", "crm", "code"] {
            let account = ledger::account(&world.state, person(n), &app_id(app)).unwrap();
            let holds = account.map(|account| account.holds).unwrap_or_default();
            let parts: Vec<String> = holds.keys().map(|part| format!("{part:?}")).collect();
            if !parts.is_empty() {
                all.insert((n, app.to_owned()), parts);
            }
        }
    }
    all
}

fn a_spec() -> impl Strategy<Value = AccessSpec> {
    let title = || prop::sample::select(vec!["Sales", "Dev", "Boss"]);
    let scope = prop::sample::select(vec![
        "resource",
        r#"resource in App::"crm""#,
        r#"resource in App::"chat""#,
        r#"resource == Entitlement::"code:group:Admins""#,
    ]);
    let effect = prop::sample::select(vec!["permit", "forbid"]);
    let who = prop::sample::select(vec![
        r#"principal has title && principal.title == "Sales""#,
        r#"principal has title && principal.title == "Dev""#,
        r#"principal in Role::"dev""#,
    ]);
    let policies = prop::collection::vec((effect, scope, who), 0..3);
    (title(), title(), prop::bool::ANY, prop::bool::ANY, policies).prop_map(
        |(rule, members, has_role, crm, policies)| {
            let mut spec = base();
            spec.apps[1].assign = format!("title eq \"{rule}\"");
            spec.roles = if has_role {
                let all: &[&str] = if crm { &["crm", "code:group:Admins"] } else { &["code:group:Admins"] };
                vec![role("dev", &format!("title eq \"{members}\""), all)]
            } else {
                Vec::new()
            };
            spec.policies = policies
                .into_iter()
                .enumerate()
                .map(|(n, (effect, scope, who))| {
                    let text = format!(r#"{effect}(principal, action == Action::"hold", {scope}) when {{ {who} }}"#);
                    policy(&format!("p{n}"), &text)
                })
                .collect();
            spec
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Also from one configuration to another, where only some apps are looked at.
    #[test]
    fn what_is_told_is_what_happens(
        one in a_spec(), mut other in a_spec(), keeps_roles in prop::bool::ANY, keeps_policies in prop::bool::ANY
    ) {
        if keeps_roles {
            other.roles.clone_from(&one.roles);
        }
        if keeps_policies {
            other.policies.clone_from(&one.policies);
        }
        let mut world = with_people();
        configure(&mut world, &one);
        let found = preview(&world, &other);
        let before = held(&world);
        configure(&mut world, &other);
        let after = held(&world);
        let mut told = before;
        for change in &found.changes {
            let n = change.identity.0.as_u128();
            let parts = told.entry((n, change.entitlement.app.to_string())).or_default();
            let part = format!("{:?}", change.entitlement.part);
            match change.direction {
                Direction::Gained => parts.push(part),
                Direction::Lost => parts.retain(|known| *known != part),
            }
            parts.sort();
        }
        told.retain(|_, parts| !parts.is_empty());
        prop_assert_eq!(told, after);
        prop_assert_eq!(preview(&world, &other).changes, Vec::new());
    }
}
