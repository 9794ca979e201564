//! Cursors (RFC 9865): where a page ended, opaque to the client and good for the same search only.

use rollcall_scim::{ScimError, ScimType};
use sha2::{Digest as _, Sha256};

/// Where the next page starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cursor {
    /// After the resource with this id, of those in the order of their ids.
    After(String),
    /// After so many resources, where another order was asked for.
    Skip(usize),
}

impl Cursor {
    /// What tells one search from another.
    pub fn fingerprint(parts: &[Option<&str>]) -> String {
        let mut digest = Sha256::new();
        for part in parts {
            digest.update(part.map_or(0, |p| p.len() as u64 + 1).to_be_bytes());
            digest.update(part.unwrap_or_default());
        }
        digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// The text for the client.
    pub fn write(&self, fingerprint: &str) -> String {
        match self {
            Self::After(id) => format!("a.{fingerprint}.{id}"),
            Self::Skip(count) => format!("s.{fingerprint}.{count}"),
        }
    }

    /// Reads a cursor; an empty one asks for the first page.
    ///
    /// # Errors
    /// `invalidCursor` for what is not one of ours, or of another search.
    pub fn read(text: &str, fingerprint: &str) -> Result<Option<Self>, ScimError> {
        if text.is_empty() {
            return Ok(None);
        }
        let invalid = |detail: &str| ScimError::bad_request(ScimType::InvalidCursor, detail);
        let mut parts = text.splitn(3, '.');
        let (kind, of, place) = (parts.next(), parts.next(), parts.next());
        if of.is_some_and(|of| of != fingerprint) {
            return Err(invalid("the cursor belongs to another search: ask for the first page again"));
        }
        match (kind, place) {
            (Some("a"), Some(id)) if !id.is_empty() => Ok(Some(Self::After(id.to_owned()))),
            (Some("s"), Some(count)) => {
                count.parse().map(|count| Some(Self::Skip(count))).map_err(|_| invalid("the cursor is damaged"))
            }
            _ => Err(invalid("the cursor is not one that was given out here")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_for_its_own_search() {
        let one = Cursor::fingerprint(&[Some("User"), None]);
        let other = Cursor::fingerprint(&[Some("User"), Some("active eq true")]);
        for cursor in [Cursor::After("x.y".into()), Cursor::Skip(7)] {
            let text = cursor.write(&one);
            assert_eq!(Cursor::read(&text, &one), Ok(Some(cursor)));
            assert!(Cursor::read(&text, &other).is_err());
        }
        for bad in ["x", "a..", "s.1.2", &format!("s.{one}.-1"), &format!("q.{one}.1")] {
            assert!(Cursor::read(bad, &one).is_err(), "{bad}");
        }
        assert_eq!(Cursor::read("", &one), Ok(None));
    }
}
