//! A list: filters, columns, more pages, what can be done with rows, and what is shown as a file.

use askama::Template;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value};

use super::acts::Act;
use super::frame::{Frame, answer, problem};
use crate::api::context::Api;
use crate::api::person::Person;
use crate::console::asked::Asked;
use crate::console::ui::{Cell, Column, Empty, Field, Head, Stat, Table, Tone};
use crate::error::ApiError;
use crate::export::csv::safe;

/// What a list shows.
pub struct List {
    pub here: &'static str,
    /// The call of the API that gives the same.
    pub call: String,
    pub head: Head,
    pub stats: Vec<Stat>,
    pub fields: Vec<Field>,
    pub table: Table,
    pub empty: Empty,
    /// What a filter that finds nothing says of the whole.
    pub filter: FilterSays,
    /// Where the next page starts.
    pub next: Option<String>,
    /// What can be done with chosen rows: the action, and its words.
    pub bulk: Vec<(&'static str, &'static str)>,
    pub searched: String,
}

/// What a filter that finds nothing says of the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilterSays {
    /// Nothing: somebody may have mistyped it.
    Nothing,
    /// The words for an empty list name what was asked for.
    All,
}

#[derive(Template)]
#[template(path = "list.html")]
struct ListPage {
    frame: Frame,
    head: Head,
    stats: Vec<Stat>,
    fields: Vec<Field>,
    filtered: bool,
    table: Table,
    empty: Empty,
    next: Option<String>,
    bulk: Vec<(&'static str, &'static str)>,
    /// This page, as it is.
    here: String,
    csv: String,
    ndjson: String,
    /// Every column, and whether it is shown.
    columns: Vec<(Column, bool)>,
    /// What the address says besides the columns.
    kept: Vec<(String, String)>,
}

/// A list as a page, or as a file of what it shows.
pub fn shown(api: &Api, person: &Person, asked: &Asked, list: Result<List, ApiError>) -> Response {
    let mut list = match list {
        Ok(list) => list,
        Err(error) => return problem(api, person, error),
    };
    let chosen = asked.all("col");
    let is_shown = |column: &Column| chosen.is_empty() || chosen.contains(&column.key);
    let columns: Vec<(Column, bool)> = list.table.columns.iter().map(|column| (*column, is_shown(column))).collect();
    list.table = list.table.only(&chosen);
    match file_of(list.here, asked.get("format"), &list.table) {
        Ok(None) => {}
        Ok(Some(file)) => return file,
        Err(error) => return problem(api, person, error),
    }
    list.bulk.retain(|(name, _)| Act::read(name).is_ok_and(|act| act.least() <= person.role));
    if list.bulk.is_empty() {
        list.table = list.table.unchosen();
    }
    let mut frame = Frame::new(api, person, list.here, list.call).noting(asked);
    frame.searched = list.searched;
    let as_file = |format| asked.with(list.here, "format", Some(format));
    let filtered = list.fields.iter().any(|field| !asked.get(field.name).is_empty());
    // What was looked through in part, or by a filter, says nothing of the rest.
    if list.next.is_some() {
        list.empty =
            Empty::new(Tone::Plain, "Nothing among what was looked through so far.", "There is more: go on with More.");
    } else if filtered && list.filter == FilterSays::Nothing {
        list.empty = Empty::new(Tone::Plain, "Nothing matches.", "Clear the filter to see everything.");
    }
    let asked = &Asked(asked.without(&["done", "waits"]));
    let page = ListPage {
        frame,
        head: list.head,
        stats: list.stats,
        filtered,
        fields: list.fields,
        table: list.table,
        empty: list.empty,
        next: list.next.map(|next| asked.with(list.here, "cursor", Some(&next))),
        bulk: list.bulk,
        here: asked.with(list.here, "format", None),
        csv: as_file("csv"),
        ndjson: as_file("ndjson"),
        columns,
        kept: asked.without(&["col", "cursor", "done", "waits"]),
    };
    answer(api, person, Ok(page))
}

/// A table as a file in this format; `None`: it is to be a page.
///
/// # Errors
/// For another format.
pub fn file_of(here: &str, format: &str, table: &Table) -> Result<Option<Response>, ApiError> {
    match format {
        "csv" => Ok(Some(csv(here, table))),
        "ndjson" => Ok(Some(ndjson(here, table))),
        "" => Ok(None),
        other => Err(ApiError::BadRequest(format!("'format' is '{other}': there are csv, ndjson"))),
    }
}

fn file(here: &str, ending: &str, kind: &'static str, text: String) -> Response {
    let name = here.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("list");
    let named = format!("attachment; filename=\"{name}.{ending}\"");
    ([(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, named)], text).into_response()
}

fn csv(here: &str, table: &Table) -> Response {
    let mut out = ::csv::Writer::from_writer(Vec::new());
    let head = out.write_record(table.columns.iter().map(|column| column.key));
    let rows = table.rows.iter().map(|row| out.write_record(row.cells.iter().map(|cell| safe(cell.plain()))));
    if let Err(e) = std::iter::once(head).chain(rows).collect::<Result<(), _>>() {
        return ApiError::Unwritable(e.to_string()).into_response();
    }
    match out.into_inner() {
        Ok(bytes) => file(here, "csv", "text/csv; charset=utf-8", String::from_utf8_lossy(&bytes).into_owned()),
        Err(e) => ApiError::Unwritable(e.to_string()).into_response(),
    }
}

fn ndjson(here: &str, table: &Table) -> Response {
    let value = |(column, cell): (&Column, &Cell)| (column.key.to_owned(), Value::from(cell.plain()));
    let line = |row| Value::Object(table.pairs(row).map(value).collect::<Map<_, _>>()).to_string() + "\n";
    file(here, "ndjson", "application/x-ndjson", table.rows.iter().map(line).collect())
}

/// The words of an enum as options of a field, with one for all of them.
pub fn options(all: &str, words: &[&str]) -> Vec<(String, String)> {
    let first = (String::new(), all.to_owned());
    std::iter::once(first).chain(words.iter().map(|word| ((*word).to_owned(), (*word).to_owned()))).collect()
}
