//! Events are applied while what those before them changed is committed: deriving and storing take about as long, and
//! each has a core.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rollcall_domain::{Recorded, Sequence};

use crate::error::ProjectionError;
use crate::overlay::Changes;
use crate::redo::MANY;
use crate::runner::{Idle, Projection};
use crate::store::Store;
use crate::transaction::Transaction;

/// The most changes in one commit, whatever events they come from: one event may touch every app, or everyone.
const MAX_CHANGES: usize = 50_000;

/// Applies events to a store, which nobody else changes.
#[derive(Debug)]
pub struct Pipeline {
    store: Arc<Store>,
    committing: Option<Committing>,
}

#[derive(Debug)]
struct Committing {
    changes: Arc<Changes>,
    commit: JoinHandle<Result<(), ProjectionError>>,
}

impl Pipeline {
    /// One that goes on where the store is.
    #[must_use]
    pub const fn new(store: Arc<Store>) -> Self {
        Self { store, committing: None }
    }

    /// Applies events, which follow on those before, and commits them: those of the last commit some time after this
    /// returns.
    ///
    /// # Errors
    /// When the state can't be read or written, be it for the events before: the state is as after one of the events.
    pub fn apply(&mut self, projection: &mut impl Projection, events: &[Recorded]) -> Result<(), ProjectionError> {
        let Some(last) = events.last().map(|e| e.sequence) else { return Ok(()) };
        let mut state = self.begin();
        for event in events {
            state.by(event);
            let applied = projection.apply(&mut state, event);
            applied.map_err(|source| ProjectionError::State { name: self.store.name(), source })?;
            // Never within an event: what it changes is committed together.
            if state.changes() >= MAX_CHANGES && event.sequence < last {
                self.commit(state, event.sequence)?;
                state = self.begin();
            }
        }
        self.commit(state, last)
    }

    /// Whether nothing is being committed.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        self.committing.is_none()
    }

    /// Waits until all that was applied is committed.
    ///
    /// # Errors
    /// When it can't be.
    pub fn settle(&mut self) -> Result<(), ProjectionError> {
        let Some(Committing { commit, .. }) = self.committing.take() else { return Ok(()) };
        commit.join().unwrap_or_else(|_| Err(self.store.unexpected("committing")))
    }

    /// Lets a projection go on with what can wait.
    ///
    /// # Errors
    /// When the state can't be read or written.
    pub(crate) fn idle(&mut self, projection: &mut impl Projection) -> Result<Idle, ProjectionError> {
        self.settle()?;
        let at = self.store.cursor();
        let mut state = self.begin();
        state.at(at);
        let idle = projection.idle(&mut state);
        let idle = idle.map_err(|source| ProjectionError::State { name: self.store.name(), source })?;
        if state.changes() > 0 {
            self.store.commit(state, at)?;
        }
        Ok(idle)
    }

    fn begin(&self) -> Transaction {
        let under = self.committing.as_ref().map(|committing| Arc::clone(&committing.changes));
        self.store.begin_over(under.unwrap_or_default())
    }

    fn commit(&mut self, state: Transaction, at: Sequence) -> Result<(), ProjectionError> {
        self.settle()?;
        if state.changes() < MANY {
            return self.store.commit(state, at);
        }
        let (store, changed) = (Arc::clone(&self.store), state.into_changed());
        let changes = Arc::clone(&changed.changes);
        let commit = thread::Builder::new().name("commit".to_owned()).spawn(move || store.make(changed, at));
        let commit = commit.map_err(|e| self.store.failed(&e.to_string()))?;
        self.committing = Some(Committing { changes, commit });
        Ok(())
    }
}

impl Drop for Pipeline {
    /// Whoever has the store next must not find it changing.
    fn drop(&mut self) {
        if let Err(e) = self.settle() {
            tracing::error!(error = %e, "what was applied last is not committed, and is applied again");
        }
    }
}

/// Applies events, which follow on those that the store holds, and commits them.
///
/// # Errors
/// When the state can't be read or written; see [`Pipeline::apply`].
pub fn apply(store: &Arc<Store>, projection: &mut impl Projection, events: &[Recorded]) -> Result<(), ProjectionError> {
    let mut pipeline = Pipeline::new(Arc::clone(store));
    pipeline.apply(projection, events)?;
    pipeline.settle()
}
