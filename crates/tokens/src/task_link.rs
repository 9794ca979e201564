//! Links by which a task is said to be done by whoever gets them, without signing in: signed, for a time, and good once.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use rollcall_domain::access::account::Account;
use rollcall_domain::access::task::TaskId;
use rollcall_domain::ids::{IdentityId, Sequence};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

/// Told apart from whatever else may be signed with the same key.
const PURPOSE: &[u8] = b"rollcall task link 1\0";

/// The longest link that is looked at.
const LONGEST: usize = 2048;

/// What a link says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskLink {
    /// The task.
    pub task: TaskId,
    /// The last word on it when the link was made: after another one the link is used up. 0: none.
    pub word: Sequence,
    /// To whom it was sent: who answered for the app then.
    pub owner: String,
    /// Who that is, where they are known.
    pub who: Option<IdentityId>,
    /// Until when it can be used.
    pub until: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Written {
    task: String,
    word: u64,
    owner: String,
    who: Option<String>,
    until: i64,
}

/// Why a link is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadLink {
    /// It was not made with this key, or somebody has changed it.
    #[error("it is none of ours, or not whole")]
    Forged,
    /// Its time is over.
    #[error("its time is over")]
    Late,
}

impl TaskLink {
    /// The link to a task as it is now.
    #[must_use]
    pub fn to(account: &Account, owner: &str, who: Option<IdentityId>, until: Timestamp) -> Self {
        Self { task: TaskId::of(account), word: account.last_word(), owner: owner.to_owned(), who, until }
    }

    /// The text of it, for an address.
    #[must_use]
    pub fn signed(&self, key: &SecretString) -> String {
        let written = Written {
            task: self.task.to_string(),
            word: self.word.0,
            owner: self.owner.clone(),
            who: self.who.map(|who| who.to_string()),
            until: self.until.as_second(),
        };
        let body = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&written).unwrap_or_default());
        let tag = hmac::sign(&of(key), &signed_part(&body));
        format!("{body}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
    }

    /// What a text says that was made by [`signed`](Self::signed).
    ///
    /// # Errors
    /// When it was not, or is too old.
    pub fn read(text: &str, key: &SecretString, now: Timestamp) -> Result<Self, BadLink> {
        let (body, tag) = text.split_once('.').filter(|_| text.len() <= LONGEST).ok_or(BadLink::Forged)?;
        let tag = URL_SAFE_NO_PAD.decode(tag).map_err(|_| BadLink::Forged)?;
        hmac::verify(&of(key), &signed_part(body), &tag).map_err(|_| BadLink::Forged)?;
        let body = URL_SAFE_NO_PAD.decode(body).map_err(|_| BadLink::Forged)?;
        let written: Written = serde_json::from_slice(&body).map_err(|_| BadLink::Forged)?;
        let link = Self {
            task: written.task.parse().map_err(|_| BadLink::Forged)?,
            word: Sequence(written.word),
            owner: written.owner,
            who: written.who.map(|who| who.parse().map_err(|_| BadLink::Forged)).transpose()?,
            until: Timestamp::from_second(written.until).map_err(|_| BadLink::Forged)?,
        };
        if now > link.until { Err(BadLink::Late) } else { Ok(link) }
    }

    /// Whether it was used, or somebody has said otherwise that it is done, since it was made.
    #[must_use]
    pub fn is_used(&self, account: &Account) -> bool {
        account.last_word() != self.word
    }
}

fn of(key: &SecretString) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, key.expose_secret().as_bytes())
}

fn signed_part(body: &str) -> Vec<u8> {
    [PURPOSE, body.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn key(text: &str) -> SecretString {
        SecretString::from(text.to_owned())
    }

    #[test]
    fn a_link_is_read_as_it_was_signed_until_its_time_is_over_and_no_changed_byte_of_it_is() {
        let until = Timestamp::from_second(1_800_000_000).unwrap();
        let task = "t812.workshop.01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        let link = TaskLink { task, word: Sequence(7), owner: "mo".into(), who: None, until };
        let (ours, text) = (key("k"), link.signed(&key("k")));
        assert_eq!(TaskLink::read(&text, &ours, until), Ok(link.clone()));
        let later = Timestamp::from_second(1_800_000_001).unwrap();
        assert_eq!(TaskLink::read(&text, &ours, later), Err(BadLink::Late));
        assert_eq!(TaskLink::read(&text, &key("other"), until), Err(BadLink::Forged));
        for place in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[place] ^= 1;
            let Ok(changed) = String::from_utf8(changed) else { continue };
            assert_eq!(TaskLink::read(&changed, &ours, until), Err(BadLink::Forged), "byte {place}");
        }
        for wrong in ["", ".", "a.b", &"x".repeat(10_000)] {
            assert_eq!(TaskLink::read(wrong, &ours, until), Err(BadLink::Forged), "{wrong}");
        }
    }
}
