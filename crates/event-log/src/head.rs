//! Where the log ends, asked once for all who ask at the same time.

use async_nats::jetstream::stream::Stream;
use rollcall_domain::Sequence;
use tokio::sync::{mpsc, oneshot};

use crate::error::LogError;

/// Who wants to know.
pub type HeadAnswer = oneshot::Sender<Result<Sequence, LogError>>;

/// Answers until every sender is gone. An answer is never older than its question: those who come while the server is
/// being asked wait for the next answer.
pub async fn run(stream: Stream, mut asking: mpsc::Receiver<HeadAnswer>) {
    let mut all = Vec::new();
    while let Some(first) = asking.recv().await {
        all.push(first);
        while let Ok(another) = asking.try_recv() {
            all.push(another);
        }
        let head = stream.get_info().await.map(|info| Sequence(info.state.last_sequence)).map_err(|e| e.to_string());
        for answer in all.drain(..) {
            let _ = answer.send(head.clone().map_err(LogError::Stream));
        }
    }
}
