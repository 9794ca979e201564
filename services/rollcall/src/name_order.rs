//! Whose turn it is among many lines that are on their way at once: of two that share a name, the later one waits.

use std::collections::HashMap;

use rollcall_domain::identity::name::{NameSpace, UniqueValue};
use tokio::sync::watch;

/// How many names are kept at least before those whose lines are done are forgotten.
const FORGET_FROM: usize = 4096;

/// Which names are on their way.
#[derive(Debug, Default)]
pub struct Turns {
    names: HashMap<(NameSpace, String), watch::Receiver<()>>,
    forget_at: usize,
}

/// A line's place in the row; those behind it wait until this is dropped.
#[derive(Debug)]
pub struct Turn {
    _held: watch::Sender<()>,
    before: Vec<watch::Receiver<()>>,
}

impl Turns {
    /// The turn of a line with these names: after all that were given out before for any of them.
    pub fn next(&mut self, names: &[UniqueValue]) -> Turn {
        if self.names.len() >= self.forget_at {
            self.names.retain(|_, done| done.has_changed().is_ok());
            self.forget_at = FORGET_FROM.max(self.names.len() * 2);
        }
        let (held, done) = watch::channel(());
        let name = |name: &UniqueValue| (name.space.clone(), name.key.clone());
        let before = names.iter().filter_map(|n| self.names.insert(name(n), done.clone()));
        let before = before.filter(|before| !before.same_channel(&done)).collect();
        Turn { _held: held, before }
    }
}

impl Turn {
    /// Waits for all that are before it.
    pub async fn come(&mut self) {
        for before in &mut self.before {
            // Nothing is ever sent: an error says that the one before is dropped.
            while before.changed().await.is_ok() {}
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn named(key: &str) -> UniqueValue {
        UniqueValue { space: NameSpace::default(), key: key.into(), attribute: "userName", value: key.into() }
    }

    #[tokio::test]
    async fn a_line_waits_for_those_before_it_that_share_a_name_and_for_no_other() {
        let mut turns = Turns::default();
        let mut first = turns.next(&[named("anna"), named("a1")]);
        let mut second = turns.next(&[named("a1")]);
        let mut other = turns.next(&[named("bob")]);
        let mut third = turns.next(&[named("bob"), named("a1"), named("anna")]);
        assert!(first.come().now_or_never().is_some() && other.come().now_or_never().is_some());
        assert!(second.come().now_or_never().is_none());
        drop(first);
        assert!(second.come().now_or_never().is_some());
        drop(other);
        assert!(third.come().now_or_never().is_none(), "the second has its turn");
        drop(second);
        assert!(third.come().now_or_never().is_some());
    }

    #[tokio::test]
    async fn who_is_done_is_forgotten() {
        let mut turns = Turns::default();
        for n in 0..FORGET_FROM * 3 {
            drop(turns.next(&[named(&n.to_string())]));
        }
        assert!(turns.names.len() <= FORGET_FROM, "{}", turns.names.len());
    }
}
