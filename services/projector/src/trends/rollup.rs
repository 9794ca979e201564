//! Where figures are kept. Keys: `trend/<series>/<dimension>/<group>/<day>/<part of the log>`, with `all` as a dimension that has one
//! group; and `trend-group/<series>/<dimension>/<group>`: which groups there are.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use rollcall_domain::ids::Sequence;
use rollcall_domain::kv::{KvError, Read, Write, store};

use super::metric::{Dimension, Series};
use super::record::Record;

/// So many events write to one value: it is written anew with each of them.
const PART: u64 = 8192;

/// How many values are read at once.
const CHUNK: usize = 512;

/// A longer name of a group is cut.
const LONGEST: usize = 120;

const IN_KEYS: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'@');

/// A day, counted from 1970-01-01 in UTC.
pub type Day = i32;

/// Something that figures are kept of: everything, or one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Of {
    All,
    Group(Dimension, String),
}

impl Of {
    fn prefix(&self, series: Series) -> String {
        let series = series.key();
        match self {
            Self::All => format!("trend/{series}/all//"),
            Self::Group(dimension, group) => format!("trend/{series}/{}/{}/", dimension.name(), in_key(group)),
        }
    }
}

fn in_key(group: &str) -> String {
    let group: String = group.chars().take(LONGEST).collect();
    utf8_percent_encode(&group, IN_KEYS).to_string()
}

fn groups_prefix(series: Series, dimension: Dimension) -> String {
    format!("trend-group/{}/{}/", series.key(), dimension.name())
}

/// Where in time and on the log.
#[derive(Debug, Clone, Copy)]
pub struct When {
    pub day: Day,
    pub sequence: Sequence,
}

/// Keeps figures of everything, and of each of these groups.
pub fn keep(
    state: &mut impl Write,
    series: Series,
    when: When,
    groups: &[(Dimension, String)],
    records: &[Record],
) -> Result<(), KvError> {
    keep_of(state, series, when, &Of::All, records)?;
    groups
        .iter()
        .try_for_each(|(dimension, group)| keep_of(state, series, when, &Of::Group(*dimension, group.clone()), records))
}

/// Keeps figures of everything, or of a group.
pub fn keep_of(state: &mut impl Write, series: Series, when: When, of: &Of, records: &[Record]) -> Result<(), KvError> {
    let mut bytes = Vec::new();
    records.iter().for_each(|record| record.write(&mut bytes));
    let key = format!("{}{:06}/{:012}", of.prefix(series), when.day, when.sequence.0 / PART);
    state.append(&key, &bytes)?;
    if let Of::Group(dimension, group) = of {
        let key = groups_prefix(series, *dimension) + &in_key(group);
        if state.get(&key)?.is_none() {
            store(state, key, &());
        }
    }
    Ok(())
}

/// Calls `each` with every figure from one day until before another one.
pub fn read(
    state: &impl Read,
    series: Series,
    of: &Of,
    days: std::ops::Range<Day>,
    mut each: impl FnMut(Day, Record),
) -> Result<(), KvError> {
    let prefix = of.prefix(series);
    let mut after = format!("{prefix}{:06}", days.start.max(0));
    loop {
        let found = state.scan(&prefix, Some(&after), CHUNK)?;
        for (key, bytes) in &found {
            let damaged = || KvError::Damaged { key: key.clone(), reason: "it is no figure".into() };
            let day = key.get(prefix.len()..).and_then(|rest| rest.split('/').next()).and_then(|day| day.parse().ok());
            let day: Day = day.ok_or_else(damaged)?;
            if day >= days.end {
                return Ok(());
            }
            for record in Record::read(bytes) {
                each(day, record.ok_or_else(damaged)?);
            }
        }
        match found.last() {
            Some((last, _)) if found.len() == CHUNK => after.clone_from(last),
            _ => return Ok(()),
        }
    }
}

/// The groups that there are figures of after one, in the order of their keys, at most `limit`.
pub fn groups(
    state: &impl Read,
    series: Series,
    dimension: Dimension,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<String>, KvError> {
    let prefix = groups_prefix(series, dimension);
    let after = after.map(|group| prefix.clone() + &in_key(group));
    let found = state.scan(&prefix, after.as_deref(), limit)?;
    let group = |key: &str| {
        let name = key.get(prefix.len()..).unwrap_or_default();
        percent_decode_str(name).decode_utf8_lossy().into_owned()
    };
    Ok(found.iter().map(|(key, _)| group(key)).collect())
}

/// As groups are ordered.
pub fn order(group: &str) -> String {
    in_key(group)
}
