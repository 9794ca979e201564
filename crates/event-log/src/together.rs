//! Reading the log once for all in a process that read it from its start at the same time: whoever is slowest is waited for.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rollcall_domain::Recorded;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::tail::Tail;

/// How long others are waited for that may read as well.
const GATHERING: Duration = Duration::from_millis(500);

/// How long more is waited for before fewer are passed on.
const MORE: Duration = Duration::from_millis(20);

/// How many batches each may be behind the first.
const BEHIND: usize = 2;

/// Some events, for several.
pub type Batch = Arc<Vec<Recorded>>;

/// Those who are about to read.
#[derive(Debug, Clone, Default)]
pub struct Together(Arc<Mutex<Vec<mpsc::Sender<Batch>>>>);

impl Together {
    /// The events of the log from its start, at most so many at a time, until this is dropped; `tail` reads them for all.
    pub fn read(&self, tail: impl FnOnce() -> Tail, limit: usize) -> mpsc::Receiver<Batch> {
        let (sender, receiver) = mpsc::channel(BEHIND);
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push(sender);
        if waiting.len() == 1 {
            tokio::spawn(self.clone().run(tail(), limit));
        }
        receiver
    }

    async fn run(self, tail: Tail, limit: usize) {
        tokio::time::sleep(GATHERING).await;
        let mut readers = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let (ahead, mut batches) = mpsc::channel(BEHIND);
        tokio::spawn(read_ahead(tail, limit, ahead));
        while let (false, Some(batch)) = (readers.is_empty(), batches.recv().await) {
            let mut left = Vec::with_capacity(readers.len());
            for reader in readers {
                if reader.send(Arc::clone(&batch)).await.is_ok() {
                    left.push(reader);
                }
            }
            readers = left;
        }
    }
}

/// Reads batches that are full where there are so many, until nobody wants more.
async fn read_ahead(mut tail: Tail, limit: usize, ahead: mpsc::Sender<Batch>) {
    loop {
        let mut batch = tokio::select! {
            () = ahead.closed() => return,
            batch = tail.next(limit) => batch,
        };
        while batch.len() < limit
            && let Ok(more) = timeout(MORE, tail.next(limit - batch.len())).await
        {
            batch.extend(more);
        }
        if ahead.send(Arc::new(batch)).await.is_err() {
            return;
        }
    }
}
