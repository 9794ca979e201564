//! How deep a policy may go: Cedar's parser follows it by recursion, and has no bound of its own.

use std::iter::Peekable;
use std::str::CharIndices;

/// The longest policy.
const MAX_TEXT: usize = 64 << 10;

/// The most brackets within one another.
const MAX_NESTED: usize = 40;

/// The most signs, such as `!`, `&&` and `.`, of which each may be one level.
const MAX_SIGNS: usize = 2000;

/// A policy that is too long or too deep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooDeep {
    /// It is too long.
    #[error("a policy is longer than {MAX_TEXT} bytes: write several")]
    Long,
    /// Its brackets are too deep.
    #[error("a policy has more than {MAX_NESTED} brackets within one another: write several")]
    Nested,
    /// It has too many operators.
    #[error("a policy has more than {MAX_SIGNS} operators: write several, or a set")]
    Signs,
}

/// Refuses policies that their parser could not come back from: each of them for itself.
///
/// # Errors
/// What is too much of the first that has too much.
pub fn checked(text: &str) -> Result<(), TooDeep> {
    let (mut nested, mut signs, mut begin) = (0_usize, 0_usize, 0_usize);
    let mut rest = text.char_indices().peekable();
    while let Some((at, char)) = rest.next() {
        match char {
            '"' => skip_string(&mut rest),
            '/' if rest.peek().is_some_and(|(_, next)| *next == '/') => {
                while rest.next_if(|(_, char)| *char != '\n').is_some() {}
            }
            '(' | '[' | '{' => nested += 1,
            ')' | ']' | '}' => nested = nested.saturating_sub(1),
            ';' => (signs, begin) = (0, at),
            '!' | '&' | '|' | '+' | '-' | '*' | '.' | '=' | '<' | '>' => signs += 1,
            _ => {}
        }
        if at - begin > MAX_TEXT {
            return Err(TooDeep::Long);
        }
        if nested > MAX_NESTED {
            return Err(TooDeep::Nested);
        }
        if signs > MAX_SIGNS {
            return Err(TooDeep::Signs);
        }
    }
    Ok(())
}

fn skip_string(rest: &mut Peekable<CharIndices<'_>>) {
    while let Some((_, char)) = rest.next() {
        match char {
            '\\' => drop(rest.next()),
            '"' => return,
            _ => {}
        }
    }
}
