//! Bytes from outside, mutated: every parser answers with a value or an error, and never panics. What is in
//! `__fuzz__/…/corpus` is tried each time, and then as much again as fits into a second; `cargo bolero test NAME` goes on
//! for as long as it is let, guided by coverage, and adds what it finds to the corpus.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use jiff::Timestamp;
use rollcall_domain::Sequence;
use rollcall_event_log::decode;
use rollcall_proof::{Key, Keys};
use rollcall_scim::{
    BulkRequest, Filter, GROUP_TYPE, PatchRequest, Reading, Selection, Sort, Strictness, USER_TYPE, normalize,
    parse_json,
};
use serde_json::{Map, Value};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn filters_paths_and_orders() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let text = text(bytes);
        let anna: Value = serde_json::json!({ "userName": "anna", "emails": [{ "value": "a@example.com" }] });
        for kind in [&USER_TYPE, &GROUP_TYPE] {
            if let Ok(filter) = Filter::parse(&text, kind) {
                let _ = (filter.matches(&anna), filter.equalities());
            }
            if let Ok(selection) = Selection::parse(Some(&text), None, kind, Strictness::Strict) {
                drop(selection.apply(anna.as_object().cloned().unwrap_or_default()));
            }
            if let Ok(Some(sort)) = Sort::parse(Some(&text), None, kind) {
                drop(sort.key(&anna));
            }
        }
    });
}

#[test]
fn bodies_that_sources_send() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let Ok(body) = parse_json(bytes) else { return };
        for kind in [&USER_TYPE, &GROUP_TYPE] {
            if let Ok(resource) = normalize(&body, kind, &mut Reading::default()) {
                let again = normalize(&Value::Object(resource.clone()), kind, &mut Reading::default());
                assert!(again.is_ok(), "what was read is refused: {resource:?}");
            }
            if let Ok(patch) = PatchRequest::parse(&body, kind, &mut Reading::default()) {
                let _ = (patch.member_changes(), patch.apply(&Map::new(), kind, &mut Reading::default()));
            }
        }
        if let Ok(bulk) = BulkRequest::parse(&body, 100) {
            drop(bulk.order());
        }
    });
}

#[test]
fn events_on_the_log() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let recorded = decode(Sequence(1), Timestamp::UNIX_EPOCH, "rollcall.identity.x", bytes);
        assert_eq!(recorded.sequence, Sequence(1));
    });
}

#[test]
fn configurations() {
    bolero::check!().for_each(|bytes: &[u8]| {
        if let Err(mistakes) = rollcall_config::parse("fuzz.toml", &text(bytes), &|_| Some("value".into())) {
            assert!(mistakes.to_string().contains("fuzz.toml"), "{mistakes}");
        }
    });
}

/// A checkpoint, and the public part of the key that signed it.
const SIGNED: &str = include_str!("__fuzz__/checkpoints_and_keys/corpus/signed");
const PUBLIC: &str = "rollcall.example.com/log+870bf906+AT//zrdMUhQaoPar+XJgZI7gUqebWXdcvliK0cMXehzG";

#[test]
fn checkpoints_and_keys() {
    let open = |text: &str| Keys::parse([PUBLIC]).unwrap().open(text).is_ok();
    assert!(open(SIGNED));
    bolero::check!().for_each(|bytes: &[u8]| {
        let text = text(bytes);
        let _ = (Key::parse(&text).is_ok(), Keys::parse([text.as_str()]).is_ok());
        // Nothing opens but what was signed.
        if open(&text) {
            assert_eq!(text, SIGNED);
        }
    });
}
