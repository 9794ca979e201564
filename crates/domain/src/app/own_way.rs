//! How an app keeps an attribute in a way of its own: it composes, trims or cuts values, changes their case or format, or
//! keeps none at all. Learned from what it shows after it confirmed ours; never for what gives access.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use rollcall_scim::Changed;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::BadId;

/// How often an app must have kept an attribute in the same way after it confirmed ours until that is its way.
pub const LEARNED_AFTER: u64 = 3;

/// An attribute that was kept in other ways than ours so often, and never three times in the same, has values of the app's own:
/// more than these need not be counted.
const MOST_COUNTED: usize = 2 * LEARNED_AFTER as usize;

/// What an app makes of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Way {
    /// It keeps what it is sent: said by hand, so that nothing else is learned.
    AsSent,
    /// Its schema does not have it: it is not sent.
    NotInSchema,
    /// It shows none.
    NotKept,
    /// It takes spaces away.
    Trimmed,
    /// It keeps so many characters.
    CutAt(usize),
    /// It changes upper and lower case.
    OtherCase,
    /// It changes spaces, punctuation and case.
    OtherFormat,
    /// It shows a value of its own.
    OwnValue,
}

impl Way {
    /// The narrowest way that makes `shown` of `sent`; none when it shows what was sent.
    #[must_use]
    pub fn of(sent: Option<&Value>, shown: Option<&Value>) -> Option<Self> {
        let cut = shown.and_then(Value::as_str).map_or(0, |text| text.chars().count());
        let ways = [Self::NotKept, Self::Trimmed, Self::CutAt(cut), Self::OtherCase, Self::OtherFormat, Self::OwnValue];
        (sent != shown).then(|| ways.into_iter().find(|way| way.explains(sent, shown)).unwrap_or(Self::OwnValue))
    }

    /// Whether an app of this way shows `shown` where `sent` is desired; none: no value.
    #[must_use]
    pub fn explains(self, sent: Option<&Value>, shown: Option<&Value>) -> bool {
        let texts = || Some((sent?.as_str()?, shown?.as_str()?));
        let is = |same: fn(&str, &str) -> bool| texts().is_some_and(|(sent, shown)| same(sent, shown));
        match self {
            Self::AsSent => sent == shown,
            Self::NotInSchema | Self::OwnValue => true,
            Self::NotKept => shown.is_none(),
            Self::Trimmed => is(|sent, shown| words(sent) == words(shown)),
            Self::CutAt(most) => texts().is_some_and(|(sent, shown)| {
                let cut: String = sent.chars().take(most).collect();
                most > 0 && cut.trim_end() == shown.trim_end()
            }),
            Self::OtherCase => is(|sent, shown| sent.to_lowercase() == shown.to_lowercase()),
            Self::OtherFormat => is(|sent, shown| letters(sent) == letters(shown)),
        }
    }
}

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AsSent => f.write_str("as sent"),
            Self::NotInSchema => f.write_str("not in its schema"),
            Self::NotKept => f.write_str("not kept"),
            Self::Trimmed => f.write_str("trimmed"),
            Self::CutAt(most) => write!(f, "cut at {most}"),
            Self::OtherCase => f.write_str("other case"),
            Self::OtherFormat => f.write_str("other format"),
            Self::OwnValue => f.write_str("own value"),
        }
    }
}

impl FromStr for Way {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        let named = [
            Self::AsSent,
            Self::NotInSchema,
            Self::NotKept,
            Self::Trimmed,
            Self::OtherCase,
            Self::OtherFormat,
            Self::OwnValue,
        ];
        let cut = || text.strip_prefix("cut at ")?.parse().ok().filter(|most| *most > 0).map(Self::CutAt);
        named.into_iter().find(|way| way.to_string() == text).or_else(cut).ok_or_else(|| BadId {
            text: text.into(),
            wanted: "a way of keeping an attribute (as sent, not in its schema, not kept, trimmed, cut at N, other case, \
                     other format, own value)",
        })
    }
}

impl TryFrom<String> for Way {
    type Error = BadId;
    fn try_from(text: String) -> Result<Self, BadId> {
        text.parse()
    }
}

impl From<Way> for String {
    fn from(way: Way) -> Self {
        way.to_string()
    }
}

/// How an app keeps one attribute, and what showed it: the shape of a value that was sent and of what came back, with letters
/// as `a` and `A` and digits as `0`, so that nobody's data is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Keeps {
    pub way: Way,
    pub sent: String,
    pub shown: String,
}

impl From<Way> for Keeps {
    fn from(way: Way) -> Self {
        Self { way, sent: String::new(), shown: String::new() }
    }
}

/// The ways of an app, by the path of the attribute.
pub type OwnWays = BTreeMap<String, Keeps>;

/// Whether what an app shows of an attribute is only its own way of keeping what is desired.
#[must_use]
pub fn is_own_way(ways: &OwnWays, change: &Changed) -> bool {
    ways.get(&change.path).is_some_and(|keeps| keeps.way.explains(change.before.as_ref(), change.after.as_ref()))
}

/// How often an app has kept an attribute in a way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Counted {
    pub keeps: Keeps,
    pub times: u64,
}

/// What an app was seen to make of attributes, by path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenWays(pub BTreeMap<String, Vec<Counted>>);

impl SeenWays {
    /// The app confirmed ours and shows this: desired before, shown after.
    pub fn saw(&mut self, change: &Changed) {
        let Some(way) = Way::of(change.before.as_ref(), change.after.as_ref()) else { return };
        let counted = self.0.entry(change.path.clone()).or_default();
        if let Some(same) = counted.iter_mut().find(|c| c.keeps.way == way) {
            same.times = same.times.saturating_add(1);
            return;
        }
        if counted.len() < MOST_COUNTED {
            let keeps = Keeps { way, sent: shape(change.before.as_ref()), shown: shape(change.after.as_ref()) };
            counted.push(Counted { keeps, times: 1 });
        }
    }

    /// The app confirmed ours and shows it as it was sent: whoever keeps no such attribute, or less of it, does not do that.
    pub fn saw_as_sent(&mut self, path: &str, sent: &Value) {
        let Some(counted) = self.0.get_mut(path) else { return };
        counted.retain(|c| c.keeps.way.explains(Some(sent), Some(sent)));
        if counted.is_empty() {
            self.0.remove(path);
        }
    }

    /// What was seen often enough. Where several ways were, or none often, none of them explains it all: the values are the
    /// app's own.
    #[must_use]
    pub fn learned(&self) -> OwnWays {
        let learned = |counted: &Vec<Counted>| {
            let often = || counted.iter().filter(|c| c.times >= LEARNED_AFTER);
            let first = often().next().or_else(|| counted.first())?.keeps.clone();
            let all: u64 = counted.iter().map(|c| c.times).sum();
            match often().count() {
                0 if all < MOST_COUNTED as u64 => None,
                1 => Some(first),
                _ => Some(Keeps { way: Way::OwnValue, ..first }),
            }
        };
        self.0.iter().filter_map(|(path, counted)| Some((path.clone(), learned(counted)?))).collect()
    }
}

/// The shape of a value, at most 40 characters of it.
fn shape(value: Option<&Value>) -> String {
    let text = match value {
        None => return String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let masked = |c: char| match c {
        c if c.is_uppercase() => 'A',
        c if c.is_alphabetic() => 'a',
        c if c.is_numeric() => '0',
        c if c.is_control() => ' ',
        c => c,
    };
    text.chars().take(40).map(masked).collect()
}
