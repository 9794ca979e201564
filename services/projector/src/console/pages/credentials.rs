//! Keys, tokens and certificates.

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use jiff::Timestamp;
use rollcall_domain::access::credential::{Credential, Presence};
use rollcall_domain::kv::KvError;
use rollcall_domain::{directory, ledger};
use rollcall_projection::View;

use super::list::{FilterSays, List, options, shown};
use super::{Who, due, rows, whose};
use crate::api::context::Shared;
use crate::api::credentials::CredentialIs;
use crate::api::person::Person;
use crate::api::views::CredentialView;
use crate::console::asked::Asked;
use crate::console::format::word;
use crate::console::ui::{Cell, Column, Empty, Field, Head, Row, Stat, Table, Tone};
use crate::error::ApiError;

const COLUMNS: [Column; 8] = [
    Column::text("name", "Credential"),
    Column::text("kind", "Kind"),
    Column::text("inventory", "Inventory"),
    Column::text("holder", "Whose"),
    Column::text("usability", "State"),
    Column::text("used", "Used"),
    Column::text("expires", "Expires"),
    Column::text("revoke", "Revoke by"),
];

fn row(view: &View, person: &Person, credential: &Credential, now: Timestamp) -> Result<Row, ApiError> {
    let seen = CredentialView::of(view, credential, person.sees())?;
    let id = credential.listed.id;
    let name = seen.name.filter(|name| !name.is_empty()).unwrap_or_else(|| id.to_string());
    let holder = match credential.listed.holder {
        Some(holder) => whose(view, person, holder)?,
        None => Cell::text(match seen.holder_named.filter(|named| !named.is_empty()) {
            Some(named) => format!("nobody known ({named})"),
            None => "nobody known".to_owned(),
        }),
    };
    let state = match (seen.gone_at, seen.compromised_at) {
        (Some(_), _) => "gone".to_owned(),
        (None, Some(_)) => "compromised".to_owned(),
        (None, None) => word(&seen.usability),
    };
    let owed = ledger::owed_of_credential(view, id)?.into_iter().min_by_key(|owed| owed.deadline);
    let cells = vec![
        Cell::link(name, format!("/console/credentials?id={id}")),
        Cell::text(seen.kind.in_words()),
        Cell::text(seen.inventory.to_string()),
        holder,
        Cell::word(state),
        Cell::when(seen.used_at, now),
        Cell::when(seen.expires_at, now),
        owed.as_ref().map_or_else(|| Cell::text(String::new()), |owed| due(owed, now)),
    ];
    // What is gone can't be reported.
    Ok(Row { id: Some(id.to_string()).filter(|_| credential.presence == Presence::Listed), cells })
}

/// Credentials as a table.
pub fn table(view: &View, person: &Person, found: &[Credential], caption: String) -> Result<Table, ApiError> {
    let now = Timestamp::now();
    let rows = found.iter().map(|one| row(view, person, one, now)).collect::<Result<Vec<_>, _>>()?;
    Ok(Table::new(caption, &COLUMNS).with(rows))
}

/// Credentials: those that are listed, those that are so, or one.
pub async fn credentials(State(api): Shared, Extension(person): Who, RawQuery(query): RawQuery) -> Response {
    let asked = Asked::read(query.as_deref());
    let list = async {
        let words = CredentialIs::ALL.map(CredentialIs::name);
        let chosen = asked.one_of("is", &words)?;
        let is = CredentialIs::ALL.into_iter().find(|is| Some(is.name()) == chosen);
        let view = api.fresh().await?;
        let now = (Timestamp::now(), api.max_credential_age);
        let (found, next) = match asked.get("id").parse() {
            Ok(id) => (directory::credential(&view, id)?.into_iter().collect(), None),
            Err(_) => {
                // What can't be told is shown.
                let wanted = |credential: &Credential| match is {
                    Some(is) => is.holds(&view, credential, now).unwrap_or(true),
                    None => credential.presence == Presence::Listed,
                };
                rows(&view, directory::CREDENTIALS, asked.cursor(), wanted)?
            }
        };
        Ok(List {
            here: "/console/credentials",
            call: chosen.map_or_else(|| "/v1/credentials".to_owned(), |is| format!("/v1/credentials?is={is}")),
            head: Head::new(
                "Credentials",
                "Keys, tokens and certificates, as their inventories list them. Those of whoever has left are to be revoked: they are gone \
                 once a list lacks them.",
            ),
            stats: stats(&view)?,
            fields: vec![Field { options: options("all", &words), ..asked.field("is", "Only those", "") }],
            table: table(&view, &person, &found, format!("{} shown", found.len()))?,
            empty: Empty::new(
                Tone::Plain,
                "No credential is so.",
                "Inventories are sent with rollcall inventory, or to /inventories/{name}.",
            ),
            filter: FilterSays::Nothing,
            next,
            bulk: vec![("report-credential", "report as compromised")],
            searched: String::new(),
        })
    };
    let list = list.await;
    shown(&api, &person, &asked, list)
}

fn stats(view: &View) -> Result<Vec<Stat>, KvError> {
    let revocations = ledger::count_revocations(view)?;
    let stat = |count: u64, label: &str, some| {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        Stat::count(count, label, "/console/credentials?is=to_revoke", some)
    };
    Ok(vec![
        stat(revocations.open, "to be revoked", Tone::Warn),
        stat(revocations.overdue, "not revoked in time", Tone::Bad),
    ])
}
