//! How the domain's words look in the API's description: taken from the types themselves, so that none is forgotten.

use rollcall_domain::access::case::CaseStatus;
use rollcall_domain::access::desired::Target;
use rollcall_domain::access::entitlement::Risk;
use rollcall_domain::access::grant::GrantStatus;
use rollcall_domain::access::obligation::{Because, ObligationStatus};
use rollcall_domain::drift::kind::DriftKind;
use rollcall_domain::identity::lifecycle::{ChangeKind, Lifecycle};
use serde::Serialize;
use utoipa::openapi::schema::{Object, ObjectBuilder, SchemaType, Type};

use crate::api::views::TaskStatus;
use crate::trends::metric::{Dimension, Metric};
use crate::trends::period::Every;
use crate::trends::point::Quadrant;

fn one_of<T: Serialize>(words: impl IntoIterator<Item = T>) -> ObjectBuilder {
    let texts: Vec<_> = words.into_iter().filter_map(|word| serde_json::to_value(word).ok()).collect();
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(texts))
}

fn or_null<T: Serialize>(words: impl IntoIterator<Item = T>) -> Object {
    let texts = words.into_iter().filter_map(|word| serde_json::to_value(word).ok());
    let texts = texts.into_iter().chain([serde_json::Value::Null]);
    let types = SchemaType::from_iter([Type::String, Type::Null]);
    ObjectBuilder::new().schema_type(types).enum_values(Some(texts)).build()
}

/// A time, RFC 3339 in UTC.
pub fn time() -> Object {
    let format = utoipa::openapi::SchemaFormat::KnownFormat(utoipa::openapi::KnownFormat::DateTime);
    ObjectBuilder::new().schema_type(Type::String).format(Some(format)).build()
}

/// A time, or none.
pub fn time_or_null() -> Object {
    let format = utoipa::openapi::SchemaFormat::KnownFormat(utoipa::openapi::KnownFormat::DateTime);
    let types = SchemaType::from_iter([Type::String, Type::Null]);
    ObjectBuilder::new().schema_type(types).format(Some(format)).build()
}

/// A SCIM resource, or a part of one.
pub fn resource() -> Object {
    ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::Object, Type::Null])).build()
}

pub fn lifecycle() -> Object {
    one_of([Lifecycle::Staged, Lifecycle::Active, Lifecycle::Leaving, Lifecycle::Left]).build()
}

pub fn target() -> Object {
    one_of([Target::Present, Target::Absent]).build()
}

pub fn risk() -> Object {
    one_of(Risk::ALL).build()
}

pub fn grant_status() -> Object {
    one_of(GrantStatus::ALL).build()
}

pub fn change_kind() -> Object {
    one_of(ChangeKind::ALL).build()
}

pub fn change_kind_or_null() -> Object {
    or_null(ChangeKind::ALL)
}

pub fn drift_kind() -> Object {
    one_of(DriftKind::ALL).build()
}

pub fn obligation_status() -> Object {
    use ObligationStatus::{Applied, Attested, Open, Overdue, Superseded, Verified, Waived};
    one_of([Open, Applied, Overdue, Waived, Verified, Superseded, Attested]).build()
}

pub fn task_status() -> Object {
    one_of(TaskStatus::ALL).build()
}

pub fn trend_metric() -> Object {
    one_of(Metric::ALL).build()
}

pub fn trend_dimension_or_null() -> Object {
    or_null(Dimension::ALL)
}

pub fn trend_every() -> Object {
    one_of(Every::ALL).build()
}

pub fn trend_quadrant() -> Object {
    one_of(Quadrant::ALL).build()
}

pub fn leaver_status() -> Object {
    use CaseStatus::{Attested, Completed, Open, Overdue, Superseded};
    one_of([Open, Overdue, Completed, Attested, Superseded]).build()
}

pub fn because_or_null() -> Object {
    or_null([Because::Changed, Because::Rehired, Because::Left, Because::Claimed])
}
