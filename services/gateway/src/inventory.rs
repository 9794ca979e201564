//! Inventories: a vault, a cloud account or a code host says which credentials there are, the whole list each time. What the next list
//! lacks is gone.

pub mod compare;
mod presets;
mod read;
mod secret;
