//! Policies as they are written, checked and asked.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use rollcall_policy::engine::Known;
use rollcall_policy::source::read;
use rollcall_policy::{Action, Effect, Engine, Head, Kind, PolicySchema, Principal, Resource, Scope};
use rollcall_scim::Catalogue;
use serde_json::{Value, json};

const POLICIES: &str = r#"
@id("sales-hold-crm")
@reason("everybody in Sales works with customers")
@owner("sales-ops@example.com")
permit(principal in Group::"Sales", action == Action::"hold", resource == Entitlement::"crm");

@id("contractors-hold-nothing-critical")
forbid(principal is User, action == Action::"hold", resource)
when { principal has userType && principal.userType == "Contractor" && resource.risk == "critical" };

@id("agents-stay-out-of-erp")
forbid(principal is Agent, action == Action::"hold", resource in App::"erp");

@id("berlin")
permit(principal, action == Action::"hold", resource in App::"erp")
when { principal has enterprise && principal.enterprise has costCenter && principal.enterprise.costCenter == "BER" };

@id("no-requests-by-interns")
forbid(principal, action == Action::"request", resource) when { principal has title && principal.title like "Intern*" };
"#;

fn schema() -> PolicySchema {
    PolicySchema::of(&Catalogue::default()).unwrap()
}

fn engine() -> Engine {
    let policies = read(POLICIES, &schema()).unwrap();
    Engine::new(policies.iter().map(|policy| (policy.id.as_str(), policy.text.as_str()))).unwrap()
}

fn who(kind: Kind, resource: Value, groups: &[&str]) -> Principal {
    let resource = resource.as_object().unwrap();
    Principal::new(&Catalogue::default(), kind, "a", resource, groups.iter().copied(), [].into_iter()).unwrap()
}

fn what(id: &str, risk: &str) -> Resource {
    let app = id.split(':').next().unwrap();
    let kind = if id.contains(':') { "group" } else { "account" };
    Resource::new(Known { id, app, app_owner: "o", kind, name: id, owner: "o", risk }).unwrap()
}

#[test]
fn what_policies_give_and_forbid_is_said_by_their_ids() {
    let engine = engine();
    let hold = |of: &Principal, id: &str, risk: &str| {
        let what = what(id, risk);
        (engine.permits(Action::Hold, of, &what), engine.forbids(Action::Hold, of, &what))
    };
    let seller = who(Kind::User, json!({ "userName": "anna", "userType": "Employee" }), &["Sales"]);
    assert_eq!(hold(&seller, "crm", "low"), (vec!["sales-hold-crm".to_owned()], vec![]));
    assert_eq!(hold(&seller, "crm:group:Admins", "low"), (vec![], vec![]), "one entitlement is not its app");
    let contractor = who(Kind::User, json!({ "userName": "carl", "userType": "Contractor" }), &["Sales"]);
    let forbidden = vec!["contractors-hold-nothing-critical".to_owned()];
    assert_eq!(hold(&contractor, "crm", "critical"), (vec!["sales-hold-crm".to_owned()], forbidden));
    assert_eq!(hold(&contractor, "crm", "high").1, Vec::<String>::new());
    let agent = who(Kind::Agent, json!({ "name": "bot" }), &[]);
    assert_eq!(hold(&agent, "erp:group:Payments", "low").1, ["agents-stay-out-of-erp"]);
    let urn = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    let berliner = who(Kind::User, json!({ "userName": "b", urn: { "costCenter": "BER" } }), &[]);
    assert_eq!(hold(&berliner, "erp", "low").0, ["berlin"]);
    assert_eq!(hold(&who(Kind::User, json!({ "userName": "c" }), &[]), "erp", "low").0, Vec::<String>::new());
    let intern = who(Kind::User, json!({ "userName": "i", "title": "Intern, legal" }), &[]);
    assert_eq!(engine.forbids(Action::Request, &intern, &what("crm", "low")), ["no-requests-by-interns"]);
    assert_eq!(engine.forbids(Action::Hold, &intern, &what("crm", "low")), Vec::<String>::new());
}

#[test]
fn a_policy_says_what_it_is_about_why_and_who_answers_for_it() {
    let policies = read(POLICIES, &schema()).unwrap();
    let of = |id: &str| policies.iter().find(|policy| policy.id == id).unwrap();
    assert_eq!(of("sales-hold-crm").scope, Scope::Entitlement("crm".into()));
    assert_eq!(of("agents-stay-out-of-erp").scope, Scope::App("erp".into()));
    assert_eq!(of("contractors-hold-nothing-critical").scope, Scope::Any);
    let sales = of("sales-hold-crm");
    assert_eq!(
        (sales.reason.as_str(), sales.owner.as_str()),
        ("everybody in Sales works with customers", "sales-ops@example.com")
    );
    assert!(sales.gives() && !of("agents-stay-out-of-erp").gives());
}

#[test]
fn a_mistake_is_named() {
    let table = [
        ("permit(principal, action == Action::\"hold\", resource);", "give it an @id"),
        ("@id(\"A b\") permit(principal, action == Action::\"hold\", resource);", "give it an @id"),
        ("@id(\"a\") permit(principal, action, resource);", "must be about one action"),
        ("@id(\"a\") permit(principal, action == Action::\"eat\", resource);", "eat"),
        ("@id(\"a\")\npermit(principal, action == Action::\"hold\" resource);", "line 2"),
        (
            "@id(\"a\") permit(principal, action == Action::\"hold\", resource) when { principal.shoeSize == 5 };",
            "shoeSize",
        ),
        (
            "@id(\"a\") permit(principal, action == Action::\"hold\", resource) when { principal.title == \"x\" };",
            "title",
        ),
        ("@id(\"a\") permit(principal == ?principal, action == Action::\"hold\", resource);", "template"),
        (
            "@id(\"a\") permit(principal, action == Action::\"hold\", resource);\n@id(\"a\") forbid(principal, action == Action::\"hold\", resource);",
            "twice",
        ),
    ];
    for (text, wanted) in table {
        let mistakes = read(text, &schema()).unwrap_err();
        assert!(mistakes.iter().any(|mistake| mistake.to_string().contains(wanted)), "{wanted}: {mistakes:?}");
    }
}

#[test]
fn what_the_parser_could_not_come_back_from_is_refused_before_it() {
    let policy =
        |when: &str| format!("@id(\"p\") permit(principal, action == Action::\"hold\", resource) when {{ {when} }};");
    let nested = |depth: usize| policy(&format!("{}true{}", "(".repeat(depth), ")".repeat(depth)));
    let signs = |count: usize| policy(&format!("{}true", "!".repeat(count)));
    for (deep, why) in [
        (nested(10_000), "brackets"),
        (signs(50_000), "operators"),
        (policy(&vec!["true"; 20_000].join(" && ")), "operators"),
        (policy(&format!("principal.title == \"{}\"", "x".repeat(70_000))), "longer"),
    ] {
        let mistakes = read(&deep, &schema()).unwrap_err();
        assert!(mistakes.iter().any(|mistake| mistake.message.contains(why)), "{why}: {mistakes:?}");
        assert_eq!(Engine::new([("p", deep.as_str())].into_iter()).err(), Some("p".to_owned()));
        assert_eq!(Head::of(&deep), None);
    }
    // What is in strings and comments is no depth, and each policy of a file counts for itself.
    let text = "(".repeat(100);
    let fine = policy(&format!("principal has title && principal.title == \"{text}\\\"{text}\" // {text}\n"));
    assert_eq!(read(&fine, &schema()).unwrap().len(), 1);
    let many: String = (0..100)
        .map(|n| policy("principal has title && principal.title == \"a.b.c\"").replace("\"p\"", &format!("\"p{n}\"")))
        .collect();
    assert_eq!(read(&many, &schema()).unwrap().len(), 100);
}

#[test]
fn the_head_of_a_policy_says_what_it_is_about_and_which_roles_it_asks_about() {
    let head = Head::of(
        "@id(\"p\") forbid(principal in Role :: \"a\", action == Action::\"hold\", resource in App::\"erp\") \
         unless { principal in [Role::\"b\", Group::\"c\"] };",
    );
    let head = head.unwrap();
    assert_eq!((head.effect, head.action, head.scope), (Effect::Forbid, Action::Hold, Scope::App("erp".into())));
    let mut roles = head.roles;
    roles.sort();
    assert_eq!(roles, ["a", "b"]);
    assert_eq!(Head::of("nonsense"), None);
}
