//! Who asks: the sources and their tokens, and what becomes of those who are refused.

pub mod authenticate;
pub mod caller;
pub mod refusals;
pub mod source;
