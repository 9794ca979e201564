//! All tests of this crate in one binary, as those of the whole are.

mod behind;
mod versions;
