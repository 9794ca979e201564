//! Erasing people: what stands in the way, carrying out what was ordered, and destroying keys.

pub mod decision;
pub mod destruction;
pub mod progress;
pub mod register;
