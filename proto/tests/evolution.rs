//! Compatible evolution: what was stored once always decodes; what is unknown is carried and shown, never fatal.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::PathBuf;

use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage};
use rollcall_proto::{EventType, payload_json, personal, v1};
use serde_json::{Value, json};

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1").join(name)
}

fn message_of(kind: EventType) -> &'static str {
    kind.message().rsplit('.').next().unwrap()
}

/// Each file is a payload as version 1 stored it, and what it said. A change that breaks one breaks every customer's
/// log: add fields or types instead. `UPDATE_GOLDEN=1` writes the bytes of a message that has none yet.
#[test]
fn every_stored_payload_still_says_what_it_said() {
    for kind in EventType::ALL {
        let name = message_of(*kind);
        let said: Value = serde_json::from_slice(&fs::read(golden(&format!("{name}.json"))).unwrap()).unwrap();
        let file = golden(&format!("{name}.binpb"));
        if !file.exists() && std::env::var_os("UPDATE_GOLDEN").is_some() {
            let pool = DescriptorPool::decode(include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin")).as_slice())
                .unwrap();
            let descriptor = pool.get_message_by_name(kind.message()).unwrap();
            fs::write(&file, DynamicMessage::deserialize(descriptor, said.clone()).unwrap().encode_to_vec()).unwrap();
        }
        let stored = fs::read(&file).unwrap_or_else(|e| panic!("{}: {e}; UPDATE_GOLDEN=1 writes it", file.display()));
        assert_eq!(payload_json(kind.name(), &stored).unwrap(), said, "{name}");
    }
}

#[test]
fn an_unknown_field_is_carried_and_shown() {
    let mut stored =
        v1::NameChanged { name: "anna".into(), identity_id: "i".into(), ..Default::default() }.encode_to_vec();
    prost::encoding::string::encode(99, &"from the future".to_owned(), &mut stored);
    let shown = payload_json("name.claimed", &stored).unwrap();
    assert_eq!(shown, json!({ "name": "anna", "identity_id": "i", "unknown_fields": [99] }));
}

/// A new field is neither until somebody has thought about it.
#[test]
fn each_field_of_a_payload_is_either_personal_or_not() {
    let pool = DescriptorPool::decode(include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin")).as_slice()).unwrap();
    for kind in EventType::ALL {
        let (personal, open) = personal::fields(*kind).unwrap_or_else(|| panic!("{} is on no list", kind.message()));
        let mut listed: Vec<u32> = personal.iter().chain(open).copied().collect();
        listed.sort_unstable();
        let message = pool.get_message_by_name(kind.message()).unwrap();
        let mut there: Vec<u32> = message.fields().map(|field| field.number()).collect();
        there.sort_unstable();
        assert_eq!(
            listed,
            there,
            "{}: say in proto/src/personal.rs of each field whether it is personal",
            kind.message()
        );
    }
}

#[test]
fn a_payload_in_two_has_nothing_personal_in_the_readable_part_and_is_whole_again() {
    for kind in EventType::ALL {
        let stored = fs::read(golden(&format!("{}.binpb", message_of(*kind)))).unwrap();
        let (readable, sealed) = personal::split(*kind, &stored);
        let whole = [readable.clone(), sealed.clone()].concat();
        assert_eq!(payload_json(kind.name(), &whole).unwrap(), payload_json(kind.name(), &stored).unwrap(), "{kind:?}");
        assert_eq!(personal::split(*kind, &readable), (readable, Vec::new()), "{kind:?}");
        assert_eq!(personal::split(*kind, &sealed), (Vec::new(), sealed), "{kind:?}");
    }
    // What a newer version has added is personal until it is known.
    let mut newer = v1::AppRemoved { app_id: "crm".into() }.encode_to_vec();
    prost::encoding::string::encode(99, &"Anna".to_owned(), &mut newer);
    assert!(!personal::split(EventType::AppRemoved, &newer).1.is_empty());
}

#[test]
fn an_unknown_type_is_shown_by_name_and_size() {
    let shown = payload_json("identity.teleported", &[1, 2, 3]).unwrap();
    assert_eq!(shown, json!({ "unknown_type": "identity.teleported", "payload_bytes": 3 }));
}

#[test]
fn a_payload_of_an_older_schema_lacks_fields_and_decodes() {
    // Version 1 as it was before `effective_at` and `changed`: only the first fields.
    let older = v1::IdentityChanged { identity_id: "i".into(), after: 2, ..Default::default() }.encode_to_vec();
    let shown = payload_json("identity.joined", &older).unwrap();
    assert_eq!(shown, json!({ "identity_id": "i", "after": "LIFECYCLE_ACTIVE" }));
}

#[test]
fn damaged_bytes_are_an_error_that_names_the_type() {
    let error = payload_json("identity.joined", &[0xff, 0xff]).unwrap_err().to_string();
    assert!(error.contains("identity.joined"), "{error}");
}

#[test]
fn every_type_has_its_own_name_and_is_found_by_it() {
    for kind in EventType::ALL {
        assert_eq!(EventType::from_name(kind.name()), Some(*kind));
    }
}
