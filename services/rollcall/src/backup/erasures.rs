//! The register of erasures: whoever was erased after a backup was made is erased again when it is restored.

use std::path::Path;

use anyhow::{Context as _, ensure};
use rollcall_domain::governance::erasure::Erased;
use rollcall_domain::{Event, NewEvent, Sequence};
use rollcall_event_log::{Connection, EventLog, Expect, Subject, Unit, by_service};
use rollcall_projector::register::{self, Line};

/// What was done.
pub struct Again {
    /// How many are in the register.
    pub registered: usize,
    /// Of how many the restored log did not know it.
    pub erased: usize,
}

/// Destroys the keys of everybody in a register, and says of those of whom the log does not know it that they were erased.
///
/// # Errors
/// When the register can't be read, or the log's server refuses.
pub async fn erase_again(connection: &Connection, file: &Path) -> anyhow::Result<Again> {
    let lines = register::read(file).with_context(|| format!("{} can't be read", file.display()))?;
    let log = EventLog::connect(connection).await?;
    let ring = log.keys().context("nothing is sealed on this log: name an installation key under [privacy]")?;
    let head = log.head().await?;
    let mut again = Again { registered: lines.len(), erased: 0 };
    for Line { number, erased, decided_by, .. } in lines {
        let at = || format!("{}, line {number}", file.display());
        ring.destroy(&erased.keys).await.with_context(at)?;
        let subject = Subject::erased(erased.id);
        if log.last_sequence(&subject).await? > Sequence(0) {
            continue;
        }
        // What was owed by events that are lost is owed by nothing here.
        let owed = erased.owed.iter().filter(|owed| owed.opened_by <= head).cloned().collect();
        let erased = Erased { owed, ..erased };
        let mut meta = by_service("restore", "", None);
        meta.reason = format!("erased before, by {decided_by}, and restored from an older backup");
        let unit = Unit::one(NewEvent { meta, event: Event::IdentityErased(erased) }, Expect::Last(Sequence(0)));
        let appended = log.append(&unit).await.with_context(at)?;
        ensure!(appended.last > head, "{}: the log did not take it", at());
        again.erased += 1;
    }
    Ok(again)
}
