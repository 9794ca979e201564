//! Sharing the apps among the provisioners that live: each app is worked on by one, and when one dies its apps go to the
//! others within a few seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;

use rollcall_domain::AppId;
use rollcall_event_log::{Held, LEASE_TERM, Lease, Leases, LogError, Look, Remembered};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

/// Apps are leased in slots, so that a thousand of them cost no more than a few.
const SLOTS: u64 = 32;

/// A slot of apps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot(u64);

impl Slot {
    /// The slot of an app: the same for everyone.
    pub fn of(app: &AppId) -> Self {
        Self(number(&[app.as_str()]) % SLOTS)
    }

    fn name(self) -> String {
        format!("provision.{}", self.0)
    }
}

fn number(parts: &[&str]) -> u64 {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part.as_bytes());
        digest.update([0]);
    }
    digest.finalize().iter().take(8).fold(0, |n, byte| (n << 8) | u64::from(*byte))
}

/// Who should have a slot: everyone who knows the same names says the same one, and when one comes or goes no other slot
/// moves (rendezvous hashing, Thaler and Ravishankar 1996).
fn chosen(slot: Slot, names: &BTreeSet<String>) -> Option<&str> {
    names.iter().map(String::as_str).max_by_key(|name| (number(&[name, &slot.name()]), *name))
}

/// What leases are taken from.
pub trait Leasing: Send + Sync {
    /// Looks at the leases, and makes sure that they can be had.
    fn look(&mut self) -> impl Future<Output = Result<Look, LogError>> + Send;
    /// Takes a lease that nobody has, or renews one's own.
    fn hold(&mut self, name: &str) -> impl Future<Output = Result<Held, LogError>> + Send;
    /// Gives up one's own lease.
    fn release(&mut self, name: &str) -> impl Future<Output = ()> + Send;
}

impl Leasing for Leases {
    async fn look(&mut self) -> Result<Look, LogError> {
        self.look().await
    }

    async fn hold(&mut self, name: &str) -> Result<Held, LogError> {
        self.hold(name).await
    }

    async fn release(&mut self, name: &str) {
        self.release(name).await;
    }
}

/// The slots that this provisioner has.
#[derive(Debug)]
pub struct AppLeases<L> {
    leases: L,
    name: String,
    slots: BTreeSet<Slot>,
    held: BTreeMap<Slot, Arc<Lease>>,
    /// What has changed and was not handed out yet.
    changed: Turn,
    /// Until then others may work on what they had when the leases were lost: nothing is taken.
    patient_until: Instant,
}

/// What a turn has changed.
#[derive(Debug, Default)]
pub struct Turn {
    pub gained: Vec<(Slot, Arc<Lease>)>,
    pub lost: Vec<Slot>,
}

impl<L: Leasing> AppLeases<L> {
    /// One that has nothing yet; `slots` are those that there are apps in.
    pub fn new(leases: L, name: String, slots: BTreeSet<Slot>) -> Self {
        Self { leases, name, slots, held: BTreeMap::new(), changed: Turn::default(), patient_until: Instant::now() }
    }

    fn presence(name: &str) -> String {
        format!("provisioner.{name}")
    }

    /// Says that we live, renews what we have, and takes or gives up what is or is not ours to have.
    ///
    /// # Errors
    /// When the server does not answer; leases run out then, and [`AppLeases::expired`] tells. What was gained and lost until
    /// then is handed out by the next turn: a slot that is held and worked on by nobody would be nobody's for ever.
    pub async fn turn(&mut self) -> Result<Turn, LogError> {
        let look = self.leases.look().await?;
        if look.memory == Remembered::Lost {
            self.patient_until = Instant::now() + LEASE_TERM;
        }
        self.leases.hold(&Self::presence(&self.name)).await?;
        let prefix = Self::presence("");
        let mut alive: BTreeSet<String> =
            look.held.iter().filter_map(|n| n.strip_prefix(&prefix)).map(str::to_owned).collect();
        alive.insert(self.name.clone());
        for slot in self.slots.clone() {
            let ours = chosen(slot, &alive) == Some(self.name.as_str());
            let asked = Instant::now();
            match (ours, self.held.get(&slot)) {
                (true, None) if asked < self.patient_until => {}
                (true, held) => match (self.leases.hold(&slot.name()).await?, held) {
                    (Held::Ours, Some(lease)) => lease.renew(asked),
                    (Held::Ours, None) => {
                        let lease = Arc::new(Lease::from(asked));
                        self.held.insert(slot, Arc::clone(&lease));
                        self.changed.gained.push((slot, lease));
                    }
                    // Whoever had it still does, for a moment.
                    (Held::Theirs, None) => {}
                    (Held::Theirs, Some(_)) => {
                        self.held.remove(&slot);
                        self.changed.lost.push(slot);
                    }
                },
                (false, Some(_)) => {
                    self.held.remove(&slot);
                    self.changed.lost.push(slot);
                }
                (false, None) => {}
            }
        }
        Ok(std::mem::take(&mut self.changed))
    }

    /// Gives up a slot once nothing is done in it any more.
    pub async fn release(&mut self, slot: Slot) {
        self.leases.release(&slot.name()).await;
    }

    /// Gives up everything, so that others go on at once.
    pub async fn leave(mut self) {
        for slot in self.held.keys() {
            self.leases.release(&slot.name()).await;
        }
        self.leases.release(&Self::presence(&self.name)).await;
    }

    /// The slots whose lease has run out.
    pub fn expired(&mut self) -> Vec<Slot> {
        let gone: Vec<Slot> = self.held.iter().filter(|(_, lease)| !lease.is_held()).map(|(slot, _)| *slot).collect();
        for slot in &gone {
            self.held.remove(slot);
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn names(all: &[&str]) -> BTreeSet<String> {
        all.iter().map(|n| (*n).to_owned()).collect()
    }

    /// A server that answers, but for the calls with these numbers.
    #[derive(Debug, Default)]
    struct Flaky {
        fails_at: BTreeSet<usize>,
        calls: AtomicUsize,
        forgets: bool,
    }

    impl Leasing for Flaky {
        async fn look(&mut self) -> Result<Look, LogError> {
            let memory = if std::mem::take(&mut self.forgets) { Remembered::Lost } else { Remembered::Kept };
            Ok(Look { memory, held: Vec::new() })
        }

        async fn hold(&mut self, _: &str) -> Result<Held, LogError> {
            let call = self.calls.fetch_add(1, Ordering::SeqCst);
            if self.fails_at.contains(&call) { Err(LogError::Stream("away".into())) } else { Ok(Held::Ours) }
        }

        async fn release(&mut self, _: &str) {}
    }

    #[tokio::test]
    async fn a_slot_that_was_taken_before_the_server_went_away_is_handed_out_all_the_same() {
        let slots: BTreeSet<Slot> = [Slot(1), Slot(2), Slot(3)].into();
        for fails_at in 0..8 {
            let leases = Flaky { fails_at: [fails_at].into(), ..Flaky::default() };
            let mut share = AppLeases::new(leases, "a".into(), slots.clone());
            let mut worked_on = BTreeSet::new();
            for _ in 0..3 {
                if let Ok(turn) = share.turn().await {
                    worked_on.extend(turn.gained.into_iter().map(|(slot, _)| slot));
                }
            }
            assert_eq!(worked_on, slots, "call {fails_at} failed");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_others_may_still_have_is_not_taken_when_the_leases_are_lost() {
        let mut share = AppLeases::new(Flaky { forgets: true, ..Flaky::default() }, "a".into(), [Slot(1)].into());
        assert!(share.turn().await.unwrap().gained.is_empty());
        tokio::time::advance(LEASE_TERM).await;
        assert_eq!(share.turn().await.unwrap().gained.len(), 1);
    }

    #[test]
    fn slots_are_spread_and_only_those_of_the_dead_move() {
        let both = names(&["a", "b", "c"]);
        let fewer = names(&["a", "b"]);
        let mut had: BTreeMap<&str, usize> = BTreeMap::new();
        for slot in (0..SLOTS).map(Slot) {
            let before = chosen(slot, &both).unwrap();
            *had.entry(before).or_default() += 1;
            if before != "c" {
                assert_eq!(chosen(slot, &fewer), Some(before));
            }
        }
        assert_eq!(had.len(), 3, "someone has nothing: {had:?}");
    }
}
