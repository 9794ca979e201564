//! The register of erasures: a file that is kept apart from the log and its backups, in which every erasure is before its keys are
//! destroyed. Whoever restores an older backup erases again by it. One JSON object a line; it names nobody.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use rollcall_domain::governance::erasure::Erased;
use rollcall_domain::{Event, IdentityId, Recorded, Sequence};
use rollcall_event_log::decode_payload;
use serde::{Deserialize, Serialize};

/// The longest line, in bytes.
const MAX_LINE: u64 = 8 << 20;

#[derive(Serialize, Deserialize)]
struct Written {
    identity: IdentityId,
    sequence: Sequence,
    recorded_at: Timestamp,
    decided_by: String,
    /// The payload of the event, as it is stored.
    identity_erased: String,
}

/// One erasure.
#[derive(Debug)]
pub struct Line {
    /// Where it is in the file, from 1.
    pub number: usize,
    /// Where it was on the log.
    pub sequence: Sequence,
    /// Who has decided it.
    pub decided_by: String,
    /// What it says.
    pub erased: Erased,
}

fn invalid(number: usize, why: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("line {number}: {why}"))
}

/// Everything in a register.
///
/// # Errors
/// When it can't be read; with the line that is no erasure.
pub fn read(file: &Path) -> io::Result<Vec<Line>> {
    let mut reader = BufReader::new(File::open(file)?);
    let mut all = Vec::new();
    for number in 1.. {
        let mut line = Vec::new();
        if (&mut reader).take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        // Whoever wrote it was killed in the middle of it: its keys are not destroyed.
        if line.last() != Some(&b'\n') {
            break;
        }
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let written: Written = serde_json::from_slice(line).map_err(|e| invalid(number, e))?;
        let payload = STANDARD.decode(&written.identity_erased).map_err(|e| invalid(number, e))?;
        let Some(Event::IdentityErased(erased)) = decode_payload("identity.erased", &payload) else {
            return Err(invalid(number, "it is no erasure"));
        };
        all.push(Line { number, sequence: written.sequence, decided_by: written.decided_by, erased });
    }
    Ok(all)
}

/// Who is in a register already; a file that is not there has nobody.
///
/// # Errors
/// When it can't be read.
pub fn registered(file: &Path) -> io::Result<BTreeSet<IdentityId>> {
    match read(file) {
        Ok(all) => Ok(all.into_iter().map(|line| line.erased.id).collect()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        Err(e) => Err(e),
    }
}

/// Adds an erasure, and has it on disk.
///
/// # Errors
/// When it can't be written.
pub fn add(file: &Path, event: &Recorded, erased: &Erased) -> io::Result<()> {
    let written = Written {
        identity: erased.id,
        sequence: event.sequence,
        recorded_at: event.recorded_at,
        decided_by: event.meta.actor.clone(),
        identity_erased: STANDARD.encode(&event.payload),
    };
    let mut line = serde_json::to_vec(&written)?;
    line.push(b'\n');
    let mut open = OpenOptions::new().create(true).append(true).read(true).mode(0o600).open(file)?;
    cut_unfinished(&mut open)?;
    open.write_all(&line)?;
    open.sync_all()
}

/// What somebody could not finish is no part of it.
fn cut_unfinished(file: &mut File) -> io::Result<()> {
    let length = file.seek(SeekFrom::End(0))?;
    let tail = length.min(MAX_LINE);
    file.seek(SeekFrom::End(-i64::try_from(tail).unwrap_or_default()))?;
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    let finished = end.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let unfinished = (end.len() - finished) as u64;
    if unfinished > 0 { file.set_len(length - unfinished) } else { Ok(()) }
}
