//! Group commit. A unit of one event is one message, and is sent at once while few are on their way. A durable append costs the
//! disk about as much for a hundred events as for one, so units that come while many are on their way go together, as one atomic
//! batch, and each learns what became of itself.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use rollcall_domain::Sequence;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::append::{Appender, Message};
use crate::error::LogError;
use crate::unit::Appended;

/// The most events in one group; the server takes 1000 in a batch.
const GROUP_EVENTS: usize = 500;

/// The most bytes in one group.
const GROUP_BYTES: usize = 1 << 20;

/// How many units of one event may be on their way at once, each as a message of its own. A batch costs the server some three
/// milliseconds whatever is in it: so few are answered sooner without, and where as many wait a batch takes more in the same time.
const SINGLES_IN_FLIGHT: usize = 8;

/// How many groups may be on their way at once: more make smaller groups.
const GROUPS_IN_FLIGHT: usize = 2;

/// How many more, as long as they are full.
const FULL_GROUPS_IN_FLIGHT: usize = 6;

/// A unit that waits to be appended.
#[derive(Debug)]
pub struct Pending {
    pub messages: Vec<Message>,
    pub answer: oneshot::Sender<Result<Appended, LogError>>,
}

impl Pending {
    fn bytes(&self) -> usize {
        self.messages.iter().map(|m| m.payload.len()).sum()
    }
}

/// Takes units until every sender is gone.
pub async fn run(appender: Arc<Appender>, mut units: mpsc::Receiver<Pending>) {
    let singles = Arc::new(Semaphore::new(SINGLES_IN_FLIGHT));
    let in_flight = Arc::new(Semaphore::new(GROUPS_IN_FLIGHT));
    let full_in_flight = Arc::new(Semaphore::new(FULL_GROUPS_IN_FLIGHT));
    let mut waiting: VecDeque<Pending> = VecDeque::new();
    loop {
        if waiting.is_empty() {
            match units.recv().await {
                Some(unit) => waiting.push_back(unit),
                None => return,
            }
        }
        while let Ok(unit) = units.try_recv() {
            waiting.push_back(unit);
        }
        if send_singles(&appender, &singles, &mut waiting) {
            continue;
        }
        // Whoever comes until there is room goes along.
        let acquired = tokio::select! {
            biased;
            permit = Arc::clone(&in_flight).acquire_owned() => permit,
            permit = Arc::clone(&full_in_flight).acquire_owned(), if fill_a_group(&waiting) => permit,
        };
        let Ok(permit) = acquired else { return };
        while let Ok(unit) = units.try_recv() {
            waiting.push_back(unit);
        }
        let group = next_group(&mut waiting);
        let appender = Arc::clone(&appender);
        tokio::spawn(async move {
            commit(&appender, group).await;
            drop(permit);
        });
    }
}

/// Sends the first of those that wait as messages of their own, where that is faster than a batch; whether any was sent.
fn send_singles(appender: &Arc<Appender>, singles: &Arc<Semaphore>, waiting: &mut VecDeque<Pending>) -> bool {
    if waiting.len() >= SINGLES_IN_FLIGHT {
        return false;
    }
    let mut sent = false;
    while waiting.front().is_some_and(|unit| unit.messages.len() == 1) {
        let Ok(permit) = Arc::clone(singles).try_acquire_owned() else { break };
        let Some(unit) = waiting.pop_front() else { break };
        let appender = Arc::clone(appender);
        tokio::spawn(async move {
            let done = append(&appender, &unit.messages, 1).await;
            let _ = unit.answer.send(done);
            drop(permit);
        });
        sent = true;
    }
    sent
}

fn fill_a_group(waiting: &VecDeque<Pending>) -> bool {
    let mut events = 0;
    waiting.iter().any(|unit| {
        events += unit.messages.len();
        events >= GROUP_EVENTS
    })
}

/// The next units, in order, that can go together: a batch can expect something of a subject only once.
fn next_group(waiting: &mut VecDeque<Pending>) -> Vec<Pending> {
    let mut subjects = BTreeSet::new();
    let (mut events, mut bytes) = (0, 0);
    let mut group = Vec::new();
    let mut later = VecDeque::new();
    while let Some(unit) = waiting.pop_front() {
        let fits =
            group.is_empty() || (events + unit.messages.len() <= GROUP_EVENTS && bytes + unit.bytes() <= GROUP_BYTES);
        if !fits {
            // It is full, and those behind stay as they are.
            waiting.push_front(unit);
            break;
        }
        let apart = unit.messages.iter().all(|m| !subjects.contains(&m.subject));
        if apart {
            events += unit.messages.len();
            bytes += unit.bytes();
            subjects.extend(unit.messages.iter().map(|m| m.subject.clone()));
            group.push(unit);
        } else {
            // Those behind it on the same subjects stay behind it.
            subjects.extend(unit.messages.iter().map(|m| m.subject.clone()));
            later.push_back(unit);
        }
    }
    later.append(waiting);
    *waiting = later;
    group
}

/// Appends a group; where one of its units is refused, the others are tried without it, by halves.
async fn commit(appender: &Appender, group: Vec<Pending>) {
    let mut parts = vec![group];
    while let Some(mut part) = parts.pop() {
        if part.len() <= 1 {
            for unit in part {
                let done = append(appender, &unit.messages, 1).await;
                let _ = unit.answer.send(done);
            }
            continue;
        }
        let all: Vec<&Message> = part.iter().flat_map(|unit| &unit.messages).collect();
        match appender.try_together(&all).await {
            Ok(appended) => {
                let mut left = all.len() as u64;
                for unit in part {
                    left = left.saturating_sub(unit.messages.len() as u64);
                    let last = Sequence(appended.last.0.saturating_sub(left));
                    let _ = unit.answer.send(Ok(Appended { last }));
                }
            }
            // Nothing of it was appended.
            Err(LogError::Conflict { .. } | LogError::Refused(_)) => {
                let half = part.split_off(part.len() / 2);
                parts.push(half);
                parts.push(part);
            }
            // It may have been: each finds out about itself.
            Err(_) => {
                for unit in part {
                    let done = append(appender, &unit.messages, 2).await;
                    let _ = unit.answer.send(done);
                }
            }
        }
    }
}

/// Appends one unit. Without an answer it is tried again: the event ids make sure that it happens once. `attempt` is 1
/// when it can't have been appended before.
async fn append(appender: &Appender, messages: &[Message], attempt: u32) -> Result<Appended, LogError> {
    let again = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(2))
        .with_max_times(appender.retries);
    let all: Vec<&Message> = messages.iter().collect();
    let mut attempts = attempt.saturating_sub(1);
    let one = || {
        attempts += 1;
        appender.try_append(&all, attempts)
    };
    one.retry(again).when(|e| matches!(e, LogError::Unacknowledged(_))).sleep(tokio::time::sleep).await
}
