//! Any stored payload as JSON, fields of a newer schema included.

use std::sync::OnceLock;

use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde_json::{Value, json};

use crate::EventType;

const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Why a payload could not be shown field by field.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The built-in descriptors do not load; a defect of the build.
    #[error("the built-in event descriptors do not load: {0}")]
    Descriptors(String),
    /// The bytes are not the message that the type promises.
    #[error("payload of {kind} does not decode: {reason}")]
    Payload {
        /// The event type.
        kind: &'static str,
        /// What the decoder said.
        reason: String,
    },
}

fn pool() -> Result<&'static DescriptorPool, RenderError> {
    static POOL: OnceLock<Result<DescriptorPool, String>> = OnceLock::new();
    POOL.get_or_init(|| DescriptorPool::decode(DESCRIPTORS).map_err(|e| e.to_string()))
        .as_ref()
        .map_err(|e| RenderError::Descriptors(e.clone()))
}

/// The payload of an event as JSON.
///
/// A field that this version does not know appears under `unknown_fields` by its number; the payload of an unknown
/// type is given as its size only.
///
/// # Errors
/// When the payload of a known type does not decode.
pub fn payload_json(type_name: &str, payload: &[u8]) -> Result<Value, RenderError> {
    let Some(kind) = EventType::from_name(type_name) else {
        return Ok(json!({ "unknown_type": type_name, "payload_bytes": payload.len() }));
    };
    let pool = pool()?;
    let descriptor = pool
        .get_message_by_name(kind.message())
        .ok_or_else(|| RenderError::Descriptors(format!("no message {}", kind.message())))?;
    let undecodable = |reason: String| RenderError::Payload { kind: kind.name(), reason };
    let message = DynamicMessage::decode(descriptor, payload).map_err(|e| undecodable(e.to_string()))?;
    let options = SerializeOptions::new().use_proto_field_name(true).stringify_64_bit_integers(false);
    let mut value = message
        .serialize_with_options(serde_json::value::Serializer, &options)
        .map_err(|e| undecodable(e.to_string()))?;
    let unknown: Vec<u32> = message.unknown_fields().map(prost_reflect::UnknownField::number).collect();
    if let (false, Some(object)) = (unknown.is_empty(), value.as_object_mut()) {
        object.insert("unknown_fields".into(), json!(unknown));
    }
    Ok(value)
}

/// The names of fields, by their numbers.
pub(crate) fn field_names(kind: EventType, numbers: &[u32]) -> Vec<String> {
    let Ok(pool) = pool() else { return Vec::new() };
    let Some(message) = pool.get_message_by_name(kind.message()) else { return Vec::new() };
    numbers.iter().filter_map(|number| Some(message.get_field(*number)?.name().to_owned())).collect()
}
