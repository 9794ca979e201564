//! Every component on one page, for whoever works on the console.

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use jiff::{SignedDuration, Timestamp};

use super::Who;
use super::list::{FilterSays, List, options, shown};
use crate::api::context::Shared;
use crate::console::asked::Asked;
use crate::console::ui::{
    Action, Badge, Cell, Column, Empty, Field, Head, Meter, Row, Stat, Table, Tone, Weight, When,
};

const TONES: [Tone; 5] = [Tone::Plain, Tone::Info, Tone::Good, Tone::Warn, Tone::Bad];

/// Every component.
pub async fn design(State(api): Shared, Extension(person): Who, RawQuery(query): RawQuery) -> Response {
    let asked = Asked::read(query.as_deref());
    let now = Timestamp::now();
    let name = |tone: Tone| if tone.class().is_empty() { "plain" } else { tone.class() };
    let row = |(index, tone): (usize, Tone)| {
        let hours = |n: i64| now.checked_add(SignedDuration::from_hours(n)).unwrap_or(now);
        let (opened, due) = (hours(-4), hours([6, 3, 1, 0, -2].get(index).copied().unwrap_or(1)));
        Row {
            id: Some(index.to_string()),
            cells: vec![
                Cell::link(name(tone), "/console/design"),
                Cell::Badges(vec![Badge::new(name(tone), tone), Badge::word("verified")]),
                Cell::when(Some(opened), now),
                Cell::Meter(When::new(due, now), Meter::of_time(opened, due, now)),
                Cell::number(index * 1000),
                Cell::text("A text that is longer than others, so that it is seen how it is broken"),
            ],
        }
    };
    let columns = [
        Column::text("link", "Link"),
        Column::text("badges", "Badges"),
        Column::text("time", "Time"),
        Column::text("meter", "Time left"),
        Column::number("number", "Number"),
        Column::text("text", "Text"),
    ];
    let mut head = Head::new("Components", "What every page is made of: tokens in style.css, macros in ui.html.");
    head.badges = vec![Badge::word("open")];
    head.actions = vec![
        Action::new("What people come for", "/console/design", Weight::Primary),
        Action::new("Something else", "/console/design", Weight::Usual),
    ];
    let list = List {
        here: "/console/design",
        call: "/v1/apps".into(),
        head,
        stats: TONES
            .into_iter()
            .map(|tone| Stat { value: "42".into(), label: name(tone).into(), href: "/console/design".into(), tone })
            .collect(),
        fields: vec![
            Field { name: "q", label: "Text", hint: "a hint", value: asked.get("q").into(), ..Field::default() },
            Field { name: "s", label: "Choice", options: options("all", &["one", "two"]), ..Field::default() },
        ],
        table: Table::new("A table", &columns).with(TONES.into_iter().enumerate().map(row)),
        empty: Empty::new(Tone::Good, "Nothing to show.", "What to do about it."),
        filter: FilterSays::Nothing,
        next: None,
        bulk: vec![("sync", "do something")],
        searched: String::new(),
    };
    shown(&api, &person, &asked, Ok(list))
}
