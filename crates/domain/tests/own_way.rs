//! The ways in which apps keep attributes, and when one is learned.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use rollcall_domain::app::own_way::{Keeps, SeenWays, Way};
use rollcall_scim::Changed;
use serde_json::{Value, json};

fn change(path: &str, sent: Value, shown: Value) -> Changed {
    let value = |v: Value| Some(v).filter(|v| !v.is_null());
    Changed { path: path.into(), before: value(sent), after: value(shown) }
}

#[test]
fn a_way_is_the_narrowest_that_explains_what_is_shown() {
    let table = [
        (json!("Dev"), json!("Dev"), None),
        (json!("Dev"), Value::Null, Some(Way::NotKept)),
        (json!(" Dev  Lead "), json!("Dev Lead"), Some(Way::Trimmed)),
        (json!("Developer"), json!("Devel"), Some(Way::CutAt(5))),
        (json!("Dev"), json!("DEV"), Some(Way::OtherCase)),
        (json!("+1 (555) 01"), json!("155501"), Some(Way::OtherFormat)),
        (json!("Dev"), json!("Ada Lovelace"), Some(Way::OwnValue)),
        (Value::Null, json!("made up"), Some(Way::OwnValue)),
        (json!(true), json!(false), Some(Way::OwnValue)),
    ];
    for (sent, shown, way) in table {
        let change = change("title", sent.clone(), shown.clone());
        assert_eq!(Way::of(change.before.as_ref(), change.after.as_ref()), way, "{sent} {shown}");
        if let Some(way) = way {
            assert_eq!(way.to_string().parse::<Way>().unwrap(), way);
        }
    }
    assert!("cut at 0".parse::<Way>().is_err() && "composed".parse::<Way>().is_err());
}

#[test]
fn three_times_the_same_way_is_the_apps_own_and_twice_is_not() {
    let mut seen = SeenWays::default();
    for (n, title) in ["Developer", "Designers", "Directors"].into_iter().enumerate() {
        assert!(seen.learned().is_empty(), "{n}");
        seen.saw(&change("title", json!(title), json!(title[..5])));
    }
    let keeps = Keeps { way: Way::CutAt(5), sent: "Aaaaaaaaa".into(), shown: "Aaaaa".into() };
    assert_eq!(seen.learned(), [("title".to_owned(), keeps)].into());
}

#[test]
fn an_app_that_shows_it_as_sent_in_between_keeps_it_and_was_only_late() {
    let mut seen = SeenWays::default();
    for _ in 0..9 {
        seen.saw(&change("title", json!("Dev"), Value::Null));
        seen.saw(&change("title", json!("Dev"), Value::Null));
        seen.saw_as_sent("title", &json!("Dev"));
    }
    assert!(seen.learned().is_empty());
    // One that cuts shows short values as they were sent.
    for n in 0..3 {
        seen.saw(&change("title", json!(format!("Developer {n}")), json!("Devel")));
        seen.saw_as_sent("title", &json!("Dev"));
    }
    assert_eq!(seen.learned()["title"].way, Way::CutAt(5));
}

#[test]
fn an_app_that_makes_ever_other_values_has_its_own_and_nothing_of_anybody_is_remembered() {
    let mut seen = SeenWays::default();
    for name in
        ["Ada Lovelace", "Alan Mathison Turing", "Grace Hopper", "Edsger W. Dijkstra", "Barbara Liskov", "Tony Hoare"]
    {
        let first = name.split(' ').next().unwrap();
        seen.saw(&change("displayName", json!(name), json!(first)));
    }
    let learned = seen.learned();
    assert_eq!(learned["displayName"].way, Way::OwnValue);
    let stored = serde_json::to_string(&seen).unwrap();
    assert!(!stored.contains("Ada") && !stored.contains("Hopper"), "{stored}");
}
