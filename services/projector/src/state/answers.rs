//! What is derived from the log to answer questions.

use rollcall_domain::Recorded;
use rollcall_domain::kv::KvError;
use rollcall_domain::ledger::{Ledger, List};
use rollcall_projection::{Projection, Transaction};
use rollcall_proof::Tree;
use rollcall_scim::Catalogue;

use crate::proof::checkpoints;
use crate::state::{api_tokens, departed, keys, search, sessions};
use crate::timeline::{selection, time_index};
use crate::trends;

/// The name in metrics and folders.
pub const NAME: &str = "projector";

/// Changes whenever the state would be derived otherwise than before.
pub(crate) const STAMP: u32 = 36;

/// What is derived from the log to answer questions: the ledger, the tree, and the timeline with what leads into it.
#[derive(Debug)]
pub struct Answers(Ledger);

impl Answers {
    pub fn new(catalogue: Catalogue) -> Self {
        Self(Ledger::new(catalogue).keeping(&[List::Pending, List::Ended, List::Conformance]))
    }
}

impl Default for Answers {
    fn default() -> Self {
        Self::new(Catalogue::default())
    }
}

impl Projection for Answers {
    fn apply(&mut self, state: &mut Transaction, event: &Recorded) -> Result<(), KvError> {
        let before = trends::Before::of(state, event)?;
        let mut watched = trends::Watched::new(state);
        let facts = self.0.evolve(&mut watched, event)?;
        let moves = watched.moves()?;
        trends::add(state, event, &before, &facts, &moves)?;
        Tree::add(state, event).map_err(|e| KvError::Storage(e.to_string()))?;
        keys::add(state, event)?;
        departed::add(state, event, &facts)?;
        checkpoints::add(state, event);
        sessions::add(state, event)?;
        api_tokens::add(state, event)?;
        search::add(state, event)?;
        time_index::add(state, event)?;
        selection::add(state, event)
    }
}
