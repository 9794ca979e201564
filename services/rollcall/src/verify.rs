//! `rollcall verify`: whether an export, or the log itself, is what was signed; with the public keys alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use jiff::Timestamp;
use rollcall_domain::{Event, IdentityId, KeyRef, Recorded, Sequence};
use rollcall_event_log::{Connection, Durability, EventLog, SyncKnowledge, decode_with};
use rollcall_privacy::EventKey;
use rollcall_proof::{Auditor, Hash, Keys, Signed, check_inclusion};
use serde::Deserialize;
use serde_json::{Value, json};

use rollcall_projector::line::{self, End, Head, Record, VERSION};

use crate::process;

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Exports in NDJSON, in order when one goes on where another ended; - is standard input
    #[arg(required_unless_present = "config", conflicts_with = "config")]
    files: Vec<PathBuf>,
    /// Reads the log itself instead, from the server that this configuration names
    #[arg(long)]
    config: Option<PathBuf>,
    /// A public key, or a file with one a line: you need them from somewhere else than from who runs the log
    #[arg(long = "key", required = true)]
    keys: Vec<String>,
    /// A checkpoint that was kept elsewhere: what it holds must still be there
    #[arg(long = "checkpoint")]
    checkpoints: Vec<PathBuf>,
    /// Exits with 0 although some events are not proved, such as those after the newest checkpoint
    #[arg(long)]
    allow_unproved: bool,
    /// Exits with 0 although what is personal in some events is not shown, and nobody whom they are about was erased by what is here
    #[arg(long)]
    allow_sealed: bool,
    /// The answer as JSON, for programs
    #[arg(long)]
    json: bool,
}

/// The exit code when nothing is wrong, and not everything is proved.
const NOT_PROVED: u8 = 3;

/// What was found.
struct Found {
    events: u64,
    proved: u64,
    /// Whether every event is there, or some were chosen.
    complete: bool,
    /// What is not proved, and why.
    open: Option<String>,
    /// How many events show less than they hold, and do not say why.
    sealed: u64,
}

/// Verifies, and says what was found; exits with 1 when something is not as it was signed, and with 3 when something is not
/// proved.
///
/// # Errors
/// When a file, a key or the log can't be read.
pub fn run(args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let texts = keys(&args.keys)?;
    let parse = || Keys::parse(texts.iter().map(String::as_str));
    let mut auditor = Auditor::new(parse()?);
    let mut kept = Vec::new();
    for path in &args.checkpoints {
        let note = std::fs::read_to_string(path).with_context(|| format!("{} can't be read", path.display()))?;
        match auditor.given(&note) {
            Ok(signed) => kept.push(signed),
            Err(finding) => return Ok(report(args, Err(format!("{}: {finding}", path.display())))),
        }
    }
    let outcome = match &args.config {
        Some(config) => from_log(config, auditor)?,
        None => {
            let (lines, chosen, proved, last) = (0, 0, 0, Sequence(0));
            let (sealed, erased, people, held) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
            Reading {
                auditor,
                keys: parse()?,
                kept,
                state: None,
                lines,
                chosen,
                proved,
                last,
                sealed,
                erased,
                people,
                held,
            }
            .files(&args.files)?
        }
    };
    Ok(report(args, outcome))
}

fn keys(given: &[String]) -> anyhow::Result<Vec<String>> {
    let mut out = Vec::new();
    for key in given {
        if key.contains('+') {
            out.push(key.clone());
            continue;
        }
        let text = std::fs::read_to_string(key)
            .with_context(|| format!("'{key}' is neither a public key, name+id+data, nor a file that can be read"))?;
        out.extend(text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).map(str::to_owned));
    }
    ensure!(!out.is_empty(), "there is no key in {}", given.join(", "));
    Ok(out)
}

fn report(args: &VerifyArgs, outcome: Result<Found, String>) -> ExitCode {
    match outcome {
        Ok(found) => {
            let Found { events, proved, complete, open, sealed } = found;
            let holds = (open.is_none() || args.allow_unproved) && (sealed == 0 || args.allow_sealed);
            if args.json {
                let all = json!({ "holds": holds, "events": events, "proved": proved, "complete": complete, "open": open, "sealed": sealed });
                println!("{all}");
            } else {
                match complete {
                    true => println!(
                        "{events} events were read: the first {proved}, up to the newest checkpoint, are as they were signed, and none of them is missing."
                    ),
                    false => println!(
                        "{events} events were read; {proved} of them are as they were signed. That no other is missing, only an export of everything shows."
                    ),
                }
                if let Some(open) = open {
                    println!("Not proved: {open}.");
                }
                if sealed > 0 {
                    println!(
                        "Not shown: what is personal in {sealed} events. They are there as they were signed, and the keys that open them are \
                         not, though nobody whom they are about was erased by what is here."
                    );
                }
            }
            if holds { ExitCode::SUCCESS } else { ExitCode::from(NOT_PROVED) }
        }
        Err(finding) if args.json => {
            println!("{}", json!({ "holds": false, "finding": finding }));
            ExitCode::FAILURE
        }
        Err(finding) => {
            println!("It does not hold: {finding}.");
            ExitCode::FAILURE
        }
    }
}

fn newer(events: u64, proved: u64) -> Option<String> {
    if events == 0 {
        return Some("there is no event here".into());
    }
    (events > proved)
        .then(|| format!("the {} events after event {proved}: no checkpoint by these keys holds them", events - proved))
}

struct Reading {
    auditor: Auditor,
    keys: Keys,
    /// The checkpoints that were kept elsewhere.
    kept: Vec<Signed>,
    state: Option<(Head, Option<Signed>)>,
    lines: u64,
    chosen: u64,
    proved: u64,
    /// The event that was read last.
    last: Sequence,
    /// How many events show nothing personal, by the key with which that is sealed.
    /// And by whom it is about: what was said since their erasure was prepared has a key that it does not name.
    sealed: BTreeMap<(KeyRef, Option<IdentityId>), u64>,
    /// The keys that were destroyed, by what was read.
    erased: BTreeMap<KeyRef, Sequence>,
    /// Whoever was erased, and the accounts of theirs that stood for themselves.
    people: BTreeMap<IdentityId, Sequence>,
    /// The erasures of a chosen export that its checkpoint holds.
    held: BTreeSet<Sequence>,
}

impl Reading {
    fn files(mut self, files: &[PathBuf]) -> anyhow::Result<Result<Found, String>> {
        for path in files {
            let source: Box<dyn Read> = match path.as_os_str() == "-" {
                true => Box::new(std::io::stdin()),
                false => Box::new(File::open(path).with_context(|| format!("{} can't be read", path.display()))?),
            };
            if let Err(finding) = self.file(BufReader::new(source), path)? {
                return Ok(Err(finding));
            }
        }
        let complete = self.state.as_ref().is_some_and(|(head, _)| head.complete);
        // An erasure that nothing proves may have been made to hide what was withheld.
        let (all, erased, people, held) = (self.sealed, self.erased, self.people, self.held);
        let sealed_but = |is_proved: &dyn Fn(Sequence) -> bool| {
            let is_erased = |(key, whose): &(KeyRef, Option<IdentityId>)| {
                let person = whose.and_then(|whose| people.get(&whose));
                erased.get(key).into_iter().chain(person).any(|at| is_proved(*at))
            };
            all.iter().filter(|(of, _)| !is_erased(of)).map(|(_, events)| events).sum()
        };
        if !complete {
            let sealed = sealed_but(&|at| held.contains(&at));
            let (events, proved) = (self.chosen, self.proved);
            let open = match events {
                0 => Some("there is no event here".into()),
                _ => (events > proved)
                    .then(|| format!("{} events: no checkpoint by these keys held them then", events - proved)),
            };
            return Ok(Ok(Found { events, proved, complete, open, sealed }));
        }
        Ok(match self.auditor.finish() {
            Ok(v) => {
                let open = newer(v.events, v.proved.0);
                let sealed = sealed_but(&|at| at <= v.proved);
                Ok(Found { events: v.events, proved: v.proved.0, complete, open, sealed })
            }
            Err(finding) => Err(finding.to_string()),
        })
    }

    fn file(&mut self, mut source: impl BufRead, path: &Path) -> anyhow::Result<Result<(), String>> {
        let (mut ended, mut entries, mut number) = (false, 0, 0);
        let mut line = Vec::new();
        loop {
            line.clear();
            let length =
                source.read_until(b'\n', &mut line).with_context(|| format!("{} can't be read", path.display()))?;
            if length == 0 {
                break;
            }
            number += 1;
            let place = || format!("{} line {number}", path.display());
            if !line.ends_with(b"\n") {
                return Ok(Err(format!("{} broke off: its last line has no end", path.display())));
            }
            let Ok(value) = serde_json::from_slice::<Value>(&line) else {
                return Ok(Err(format!("{} is not JSON", place())));
            };
            if let Some(head) = value.get("export") {
                let head = Head::deserialize(head).with_context(|| format!("{} is no head of an export", place()))?;
                ensure!(
                    head.version == VERSION,
                    "{}: this export is of version {}, and this program reads version {VERSION}: export it again",
                    place(),
                    head.version
                );
                if line::ended(&json_of("export", &head)?)? != line {
                    return Ok(Err(format!("{}: the head of the export was changed", place())));
                }
                if let Err(finding) = self.head(head) {
                    return Ok(Err(format!("{}: {finding}", place())));
                }
                (ended, entries) = (false, 0);
            } else if let Some(end) = value.get("end") {
                let end = End::deserialize(end).with_context(|| format!("{} is no end of an export", place()))?;
                if ended || end.entries != entries || line::ended(&json_of("end", &end)?)? != line {
                    let (said, last) = (end.entries, end.last);
                    return Ok(Err(format!(
                        "{}: there should be {said} entries up to event {last}, and there are {entries}",
                        place(),
                    )));
                }
                // Of what was chosen it is not said where it begins: an empty one may end at any place.
                let begin = self.state.as_ref().and_then(|(head, _)| head.after);
                let expected = if entries == 0 { begin } else { Some(self.last) };
                if expected.is_some_and(|expected| end.last != expected) {
                    return Ok(Err(format!("{}: event {} is not the last one here", place(), end.last)));
                }
                ended = true;
            } else {
                ensure!(self.state.is_some(), "{} does not start with the head of an NDJSON export", path.display());
                if ended {
                    return Ok(Err(format!("{} stands behind the end of the export", place())));
                }
                if let Err(finding) = self.entry(&value, &line) {
                    return Ok(Err(if finding.starts_with("event") {
                        finding
                    } else {
                        format!("{}: {finding}", place())
                    }));
                }
                entries += 1;
                self.lines += 1;
            }
        }
        Ok(if ended { Ok(()) } else { Err(format!("{} broke off: it has no last line", path.display())) })
    }

    fn head(&mut self, head: Head) -> Result<(), String> {
        if self.state.as_ref().is_some_and(|(before, _)| before.complete != head.complete) {
            return Err(
                "an export of everything and one of chosen events can't be verified as one: give each alone".into()
            );
        }
        let signed = match &head.checkpoint {
            None => None,
            Some(note) => Some(self.keys.open(note).map_err(|e| e.to_string())?),
        };
        if !head.complete {
            for kept in &self.kept {
                match signed {
                    Some(signed) if signed.size == kept.size && signed.root == kept.root => {}
                    Some(signed) if signed.size == kept.size => {
                        return Err(format!(
                            "the checkpoint that was kept has another root of {} events: the log was split",
                            kept.size
                        ));
                    }
                    _ => {
                        return Err(format!(
                            "the checkpoint that was kept is about {} events, and that of this export is not: only an export of everything can be held against it",
                            kept.size
                        ));
                    }
                }
            }
            self.state = Some((head, signed));
            return Ok(());
        }
        let (Some(after), Some(to)) = (head.after, head.to) else {
            return Err("the head does not say from where to where it goes".into());
        };
        if after.0 > self.lines {
            return Err(format!(
                "event {} is missing: this export starts after event {after}; give the ones before it, too",
                self.lines + 1,
            ));
        }
        if let (Some(note), Some(signed)) = (&head.checkpoint, signed) {
            if signed.size != to {
                return Err(format!(
                    "the head says that it goes up to event {to}, and its checkpoint holds {}",
                    signed.size
                ));
            }
            if signed.size.0 > self.lines {
                self.auditor.given(note).map_err(|finding| finding.to_string())?;
            }
        }
        self.state = Some((head, signed));
        Ok(())
    }

    fn entry(&mut self, value: &Value, line: &[u8]) -> Result<(), String> {
        let (event, record) = recorded(value)?;
        shown_as_stored(value, &event)?;
        // Whatever else the line says, or however it says it, is not what was exported.
        if line::of_event(&event, &record).map_err(|e| e.to_string())? != line {
            return Err(format!("event {} was changed: its line is not what was recorded", event.sequence));
        }
        if let Event::IdentityErased(erased) = &event.event {
            for id in erased.everybody() {
                let first = self.people.entry(id).or_insert(event.sequence);
                *first = event.sequence.min(*first);
            }
            for key in &erased.keys {
                let first = self.erased.entry(*key).or_insert(event.sequence);
                *first = event.sequence.min(*first);
            }
        }
        if let Some(key) = event.seal.key().filter(|_| event.seal.is_closed()) {
            *self.sealed.entry((key, event.event.person())).or_default() += 1;
        }
        let Some((head, signed)) = &self.state else { return Err("an export starts with its head".into()) };
        if event.sequence <= self.last && self.last != Sequence(0) && !head.complete {
            return Err(format!("event {} is there twice, or out of its order", event.sequence));
        }
        self.last = event.sequence;
        if head.complete {
            if record.proof.is_some() {
                return Err(format!("event {} was changed: a proof was added to it", event.sequence));
            }
            return self.auditor.event(&event).map_err(|finding| finding.to_string());
        }
        self.chosen += 1;
        match (signed, proof(&event, record.proof.as_ref())?) {
            (Some(signed), Some(proof)) => {
                check_inclusion(&event, &proof, *signed).map_err(|_| {
                    format!("event {} was changed or moved: the checkpoint does not hold it so", event.sequence)
                })?;
                self.proved += 1;
                self.held.insert(event.sequence);
                Ok(())
            }
            (Some(signed), None) if event.sequence <= signed.size => {
                Err(format!("event {}: its proof was dropped", event.sequence))
            }
            _ => Ok(()),
        }
    }
}

fn json_of(name: &str, value: &impl serde::Serialize) -> anyhow::Result<Value> {
    Ok(json!({ name: serde_json::to_value(value)? }))
}

/// The event that a line holds, and its record.
fn recorded(value: &Value) -> Result<(Recorded, Record), String> {
    let sequence = value.get("sequence").and_then(Value::as_u64).ok_or("it has no sequence")?;
    let bad = |what: &str| format!("event {sequence} was changed: its {what} can't be read");
    let at: Timestamp = value
        .get("recorded_at")
        .and_then(Value::as_str)
        .and_then(|t| t.parse().ok())
        .ok_or_else(|| bad("recorded_at"))?;
    let record = value.get("record").and_then(|r| Record::deserialize(r).ok()).ok_or_else(|| bad("record"))?;
    let stored = STANDARD.decode(&record.stored).map_err(|_| bad("stored message"))?;
    let key = match &record.key {
        Some(text) => Some(EventKey::parse(text).ok_or_else(|| bad("key"))?),
        None => None,
    };
    Ok((decode_with(Sequence(sequence), at, &record.subject, &stored, &|_, _| key.clone()), record))
}

/// The proof of an event, when it has one.
fn proof(event: &Recorded, shown: Option<&Vec<String>>) -> Result<Option<Vec<Hash>>, String> {
    let hash = |text: &String| {
        let bytes = STANDARD.decode(text).ok()?;
        Some(Hash { 0: bytes.try_into().ok()? })
    };
    let bad = || format!("event {} was changed: its proof can't be read", event.sequence);
    shown.map(|proof| proof.iter().map(hash).collect::<Option<Vec<_>>>().ok_or_else(bad)).transpose()
}

/// Whether what people read is what is signed.
fn shown_as_stored(value: &Value, event: &Recorded) -> Result<(), String> {
    let meta = &event.meta;
    let mut wanted = vec![
        ("type", json!(event.type_name)),
        ("event_id", json!(meta.event_id)),
        ("schema_version", json!(event.schema_version)),
        ("occurred_at", json!(meta.occurred_at)),
        ("actor", json!(meta.actor)),
        ("source", json!(meta.source)),
        ("reason", json!(meta.reason)),
        ("quirks", json!(meta.quirks)),
        ("correlation_id", json!(meta.correlation_id)),
        ("causation_id", json!(meta.causation_id)),
    ];
    // A checkpoint is shown without its hashes.
    if !matches!(event.event, Event::Checkpoint(_))
        && let Ok(details) = rollcall_proto::payload_json(&event.type_name, &event.payload)
    {
        wanted.push(("details", details));
    }
    for (name, wanted) in wanted {
        if value.get(name) != Some(&wanted) {
            return Err(format!("event {} was changed: its '{name}' is not what was recorded", event.sequence));
        }
    }
    Ok(())
}

fn from_log(config: &Path, mut auditor: Auditor) -> anyhow::Result<Result<Found, String>> {
    let config = rollcall_config::load(config, &|name| std::env::var(name).ok())?;
    let shared = process::shared_server(&config)?.with_context(|| {
        format!("{}: [nats] url is missing: a private server can't be read from outside; verify an export", config.file)
    })?;
    // It is read, and nothing is written.
    let connection = Connection { durability: Durability::Warn, sync: SyncKnowledge::Unknown, ..shared };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no async runtime")?;
    runtime.block_on(async {
        let log = EventLog::connect(&connection).await?;
        let (head, mut tail, mut at) = (log.head().await?, log.tail(Sequence(0)), Sequence(0));
        while at < head {
            for event in tail.next(1000).await {
                at = event.sequence;
                if let Err(finding) = auditor.event(&event) {
                    return Ok(Err(finding.to_string()));
                }
            }
        }
        Ok(match auditor.finish() {
            Ok(v) => {
                let open = newer(v.events, v.proved.0);
                // Nothing is shown here, so that nothing is kept back.
                Ok(Found { events: v.events, proved: v.proved.0, complete: true, open, sealed: 0 })
            }
            Err(finding) => Err(finding.to_string()),
        })
    })
}
