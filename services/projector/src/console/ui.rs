//! What pages are made of: each component has its macro in `templates/ui.html`, and all of them are on `/console/design`.

use jiff::{SignedDuration, Timestamp};

use crate::console::format::{at, span};

/// How something stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tone {
    #[default]
    Plain,
    Info,
    Good,
    Warn,
    Bad,
}

impl Tone {
    /// The class in the style sheet.
    pub const fn class(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Info => "info",
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }

    /// That of a word of the domain: a status, a lifecycle, a kind of drift, a health.
    pub fn of(word: &str) -> Self {
        match word {
            "overdue" | "zombie" | "quarantined" | "vanished" | "rejected" | "failed" => Self::Bad,
            "applied" | "waived" | "leaving" | "missing" | "orphan" | "invited" | "parked" | "held" | "attribute"
            | "membership" | "duplicate" | "residue" | "sealed" => Self::Warn,
            "verified" | "working" | "active" | "completed" | "passed" => Self::Good,
            "open" | "staged" => Self::Info,
            _ => Self::Plain,
        }
    }
}

/// A word with a colour, which never says more than the word.
#[derive(Debug, Clone, Default)]
pub struct Badge {
    pub text: String,
    pub title: String,
    pub tone: Tone,
}

impl Badge {
    /// A word of the domain.
    pub fn word(text: impl Into<String>) -> Self {
        let text = text.into();
        let tone = Tone::of(&text);
        Self { text, title: String::new(), tone }
    }

    /// A text of this tone.
    pub fn new(text: impl Into<String>, tone: Tone) -> Self {
        Self { text: text.into(), title: String::new(), tone }
    }
}

/// A time: how far from now, and the exact one at hand.
#[derive(Debug, Clone)]
pub struct When {
    pub iso: String,
    pub exact: String,
    pub ago: String,
}

impl When {
    /// A time, seen from now.
    pub fn new(time: Timestamp, now: Timestamp) -> Self {
        let apart = now.duration_since(time);
        let ago = match apart {
            apart if apart.abs() < SignedDuration::from_secs(1) => "now".to_owned(),
            apart if apart.is_negative() => format!("in {}", span(apart.abs())),
            apart => format!("{} ago", span(apart)),
        };
        Self { iso: time.to_string(), exact: at(time), ago }
    }
}

/// How much of something is used up.
#[derive(Debug, Clone)]
pub struct Meter {
    pub percent: u32,
    pub label: String,
    pub tone: Tone,
}

impl Meter {
    /// How much of the time from the one to the other has passed.
    pub fn of_time(from: Timestamp, to: Timestamp, now: Timestamp) -> Self {
        let (whole, passed) = (to.duration_since(from).as_secs_f64(), now.duration_since(from).as_secs_f64());
        let share = if whole > 0.0 { (passed / whole).clamp(0.0, 1.0) } else { 1.0 };
        let percent = format!("{:.0}", share * 100.0).parse().unwrap_or(100);
        let left = to.duration_since(now);
        let (label, tone) = match left {
            left if left.is_negative() => (format!("overdue for {}", span(left.abs())), Tone::Bad),
            left if share > 0.75 => (format!("{} left, {percent} % of the time has passed", span(left)), Tone::Warn),
            left => (format!("{} left, {percent} % of the time has passed", span(left)), Tone::Info),
        };
        Self { percent, label, tone }
    }
}

/// What stands in one field of a table.
#[derive(Debug, Clone)]
pub enum Cell {
    Text(String),
    Number(String),
    Link { text: String, href: String },
    Badges(Vec<Badge>),
    When(Option<When>),
    Meter(When, Meter),
}

impl Cell {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A number.
    pub fn number(number: impl ToString) -> Self {
        Self::Number(number.to_string())
    }

    /// A way to somewhere else.
    pub fn link(text: impl Into<String>, href: impl Into<String>) -> Self {
        Self::Link { text: text.into(), href: href.into() }
    }

    /// A word of the domain.
    pub fn word(word: impl Into<String>) -> Self {
        Self::Badges(vec![Badge::word(word)])
    }

    /// A time, if there is one.
    pub fn when(time: Option<Timestamp>, now: Timestamp) -> Self {
        Self::When(time.map(|time| When::new(time, now)))
    }

    /// The same as text alone, for what is exported: times are exact there.
    pub fn plain(&self) -> String {
        match self {
            Self::Text(text) | Self::Number(text) | Self::Link { text, .. } => text.clone(),
            Self::Badges(badges) => badges.iter().map(|badge| badge.text.as_str()).collect::<Vec<_>>().join(", "),
            Self::When(when) => when.as_ref().map(|when| when.iso.clone()).unwrap_or_default(),
            Self::Meter(when, _) => when.iso.clone(),
        }
    }
}

/// How a column is aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    Text,
    Number,
}

/// One column of a table.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    pub key: &'static str,
    pub label: &'static str,
    pub align: Align,
}

impl Column {
    /// One of text.
    pub const fn text(key: &'static str, label: &'static str) -> Self {
        Self { key, label, align: Align::Text }
    }

    /// One of numbers.
    pub const fn number(key: &'static str, label: &'static str) -> Self {
        Self { key, label, align: Align::Number }
    }

    pub const fn is_number(&self) -> bool {
        matches!(self.align, Align::Number)
    }
}

/// One row; with an id it can be chosen.
#[derive(Debug, Clone)]
pub struct Row {
    pub id: Option<String>,
    pub cells: Vec<Cell>,
}

impl Row {
    /// What a row is about, for whoever can't see it.
    pub fn name(&self) -> String {
        self.cells.iter().map(Cell::plain).find(|text| !text.is_empty()).unwrap_or_default()
    }
}

impl From<Vec<Cell>> for Row {
    fn from(cells: Vec<Cell>) -> Self {
        Self { id: None, cells }
    }
}

/// Rows of the same columns.
#[derive(Debug, Clone, Default)]
pub struct Table {
    pub caption: String,
    pub columns: Vec<Column>,
    pub rows: Vec<Row>,
}

impl Table {
    /// One of these columns, without rows.
    pub fn new(caption: impl Into<String>, columns: &[Column]) -> Self {
        Self { caption: caption.into(), columns: columns.to_vec(), rows: Vec::new() }
    }

    /// The same with these rows.
    pub fn with(mut self, rows: impl IntoIterator<Item = impl Into<Row>>) -> Self {
        self.rows = rows.into_iter().map(Into::into).collect();
        self
    }

    /// Whether rows can be chosen.
    pub fn chooses(&self) -> bool {
        self.rows.iter().any(|row| row.id.is_some())
    }

    /// The same without rows that can be chosen.
    pub fn unchosen(mut self) -> Self {
        self.rows.iter_mut().for_each(|row| row.id = None);
        self
    }

    /// A row by column.
    pub fn pairs<'a>(&'a self, row: &'a Row) -> impl Iterator<Item = (&'a Column, &'a Cell)> {
        self.columns.iter().zip(&row.cells)
    }

    /// The same with these columns alone, where any is named.
    pub fn only(mut self, keys: &[&str]) -> Self {
        let kept: Vec<bool> = self.columns.iter().map(|column| keys.is_empty() || keys.contains(&column.key)).collect();
        if !kept.contains(&true) {
            return self;
        }
        let keep = |index: usize| kept.get(index).copied().unwrap_or(true);
        let mut index = 0;
        self.columns.retain(|_| (keep(index), index += 1).0);
        for row in &mut self.rows {
            let mut index = 0;
            row.cells.retain(|_| (keep(index), index += 1).0);
        }
        self
    }
}

/// A number that leads to its list.
#[derive(Debug, Clone)]
pub struct Stat {
    pub value: String,
    pub label: String,
    pub href: String,
    pub tone: Tone,
}

impl Stat {
    /// A count that is bad, or not, when there are any.
    pub fn count(count: usize, label: impl Into<String>, href: impl Into<String>, some: Tone) -> Self {
        let tone = if count > 0 { some } else { Tone::Plain };
        Self { value: count.to_string(), label: label.into(), href: href.into(), tone }
    }
}

/// What a page says that has nothing to show.
#[derive(Debug, Clone, Default)]
pub struct Empty {
    pub title: String,
    pub text: String,
    pub tone: Tone,
}

impl Empty {
    pub fn new(tone: Tone, title: impl Into<String>, text: impl Into<String>) -> Self {
        Self { title: title.into(), text: text.into(), tone }
    }
}

/// What can be done on a page.
#[derive(Debug, Clone)]
pub struct Action {
    pub text: String,
    pub href: String,
    pub weight: Weight,
}

/// Whether an action is the one that people come for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    Primary,
    Usual,
}

impl Action {
    pub fn new(text: impl Into<String>, href: impl Into<String>, weight: Weight) -> Self {
        Self { text: text.into(), href: href.into(), weight }
    }

    pub const fn is_primary(&self) -> bool {
        matches!(self.weight, Weight::Primary)
    }
}

/// The head of a page.
#[derive(Debug, Clone, Default)]
pub struct Head {
    pub title: String,
    pub lede: String,
    pub badges: Vec<Badge>,
    pub actions: Vec<Action>,
    pub crumb: Option<(&'static str, &'static str)>,
}

impl Head {
    /// One with a title, and what the page is about.
    pub fn new(title: impl Into<String>, lede: impl Into<String>) -> Self {
        Self { title: title.into(), lede: lede.into(), ..Self::default() }
    }
}

/// A field of a filter.
#[derive(Debug, Clone, Default)]
pub struct Field {
    pub name: &'static str,
    pub label: &'static str,
    pub value: String,
    pub hint: &'static str,
    /// The values that there are, and what they are called; none: any text.
    pub options: Vec<(String, String)>,
}

/// What was said at the top of a page.
#[derive(Debug, Clone)]
pub struct Notice {
    pub text: String,
    pub tone: Tone,
    pub sequence: Option<u64>,
}

/// A stretch of time, and a lower and a higher figure of it, or one that is both; none: there is none of it.
#[derive(Debug, Clone)]
pub struct Stretch {
    pub name: String,
    pub figures: Option<(f64, f64)>,
    /// The same in words.
    pub title: String,
}

/// One or two figures of each of some stretches of time.
#[derive(Debug, Clone)]
pub struct Chart {
    pub label: String,
    pub top: String,
    pub bars: Vec<ChartBar>,
}

/// One stretch.
#[derive(Debug, Clone)]
pub struct ChartBar {
    pub name: String,
    pub title: String,
    pub x: usize,
    pub width: usize,
    pub high: u32,
    pub high_y: u32,
    pub low: u32,
    pub low_y: u32,
}

impl ChartBar {
    /// Whether its name stands below it: every second one does.
    pub const fn is_named(&self) -> bool {
        (self.x / BAR).is_multiple_of(2)
    }
}

const BAR: usize = 40;
const HEIGHT: f64 = 105.0;
const BASE: u32 = 120;

impl Chart {
    /// A bar for each stretch; `words` says a figure.
    pub fn of(label: String, stretches: &[Stretch], words: impl Fn(f64) -> String) -> Self {
        let most = stretches.iter().filter_map(|of| of.figures.map(|(_, high)| high)).fold(0.0, f64::max);
        let scale = if most > 0.0 { HEIGHT / most } else { 0.0 };
        let height = |value: f64| format!("{:.0}", (value * scale).max(1.0)).parse().unwrap_or(1);
        let bar = |(index, Stretch { name, figures, title }): (usize, &Stretch)| {
            let (low, high) = figures.map_or((0, 0), |(low, high)| (height(low), height(high)));
            let (x, width) = (index * BAR + 2, BAR - 6);
            let (name, title) = (name.clone(), title.clone());
            ChartBar { name, title, x, width, high, high_y: BASE - high, low, low_y: BASE - low }
        };
        Self { label, top: words(most), bars: stretches.iter().enumerate().map(bar).collect() }
    }

    pub const fn width(&self) -> usize {
        self.bars.len() * BAR
    }
}

/// Seconds as people say them.
pub fn span_of(seconds: f64) -> String {
    if seconds < 1.0 {
        return format!("{:.0} ms", seconds * 1000.0);
    }
    if seconds < 60.0 {
        return format!("{seconds:.1} s");
    }
    span(SignedDuration::try_from_secs_f64(seconds).unwrap_or(SignedDuration::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_chosen_columns_has_their_cells_alone() {
        let columns = [Column::text("a", "A"), Column::number("b", "B"), Column::text("c", "C")];
        let row = || vec![Cell::text("1"), Cell::number(2), Cell::text("3")];
        let table = Table::new("t", &columns).with([row()]);
        let keys = |keys: &[&str]| {
            let shown = table.clone().only(keys);
            let cells: Vec<String> = shown.rows.iter().flat_map(|row| row.cells.iter().map(Cell::plain)).collect();
            (shown.columns.iter().map(|column| column.key).collect::<Vec<_>>(), cells.join(""))
        };
        assert_eq!(keys(&["a", "c"]), (vec!["a", "c"], "13".to_owned()));
        assert_eq!(keys(&[]).1, "123");
        assert_eq!(keys(&["nothing"]).1, "123", "a list without columns is none");
    }

    #[test]
    fn a_time_says_how_far_it_is_and_a_meter_how_much_is_left() {
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1000);
        let ago = |seconds| When::new(now - SignedDuration::from_secs(seconds), now).ago;
        assert_eq!(
            (ago(90), ago(-90), ago(0)),
            ("1 min 30 s ago".to_owned(), "in 1 min 30 s".to_owned(), "now".to_owned())
        );
        let meter = |from, to| {
            let at = |seconds| now + SignedDuration::from_secs(seconds);
            let meter = Meter::of_time(at(from), at(to), now);
            (meter.percent, meter.tone)
        };
        assert_eq!(meter(-50, 50), (50, Tone::Info));
        assert_eq!(meter(-90, 10), (90, Tone::Warn));
        assert_eq!(meter(-90, -10), (100, Tone::Bad));
        assert_eq!(meter(0, 0), (100, Tone::Warn));
    }
}
