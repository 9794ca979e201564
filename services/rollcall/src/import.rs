//! `rollcall import`: people and agents from a file, as if their source had sent them one by one.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use clap::{Args, ValueEnum};
use futures_util::stream::{self, StreamExt as _};
use rollcall_event_log::{EventLog, Limits};
use rollcall_gateway::{Added, Import, Newcomer, NotAdded, resource_of};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::name_order::{Turn, Turns};
use crate::process;

/// How many lines one task takes at once, and how many of them work.
const CHUNK: usize = 250;
const CHUNKS: usize = 48;

/// How many chunks are read at once.
const READERS: usize = 4;

/// The longest line.
const MAX_LINE: usize = 1 << 20;

/// How many refused lines are shown; all of them are counted.
const SHOWN: usize = 20;

const WORD_EVERY: Duration = Duration::from_secs(2);
const KEEP_EVERY: Duration = Duration::from_millis(250);

#[derive(Debug, Args)]
pub struct ImportArgs {
    /// SCIM resources as JSON, one a line; or a table as CSV, whose first line names the attributes; - is standard input
    file: PathBuf,
    /// The configuration file
    #[arg(long)]
    config: PathBuf,
    /// Where the private server's data is kept; overrides server.data_dir
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// In whose name; the only source when there is one
    #[arg(long)]
    source: Option<String>,
    /// How the file is written; without it by its name
    #[arg(long)]
    format: Option<Format>,
    /// A column of a table that is an attribute: COLUMN=PATH, such as "First name=name.givenName"; others keep their name,
    /// and COLUMN= leaves one out
    #[arg(long = "map", value_name = "COLUMN=PATH")]
    map: Vec<String>,
    /// Where refused lines go, as JSON with the reason; they are shown on standard error, too, as long as they are few
    #[arg(long)]
    refused: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Ndjson,
    Csv,
}

/// One line of the file.
struct Line {
    number: u64,
    read: Result<Value, String>,
}

/// How far an import of a file has come, beside the file: it goes on there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    source: String,
    bytes: u64,
    line: u64,
}

#[derive(Debug, Default)]
struct Count {
    read: u64,
    added: u64,
    partly: u64,
    before: u64,
    refused: u64,
}

/// Imports a file to its end.
///
/// # Errors
/// When the file can't be read, or the log can't be used: what was added stays, and the import can be run again.
pub fn run(args: &ImportArgs) -> anyhow::Result<ExitCode> {
    let config = process::configuration(&args.config, args.data_dir.as_deref())?;
    let lines = Lines::open(args)?;
    process::with_server(&config, async |mut connection| {
        connection.limits = Limits { appends_in_flight: CHUNK * CHUNKS, ..connection.limits };
        let log = EventLog::connect(&connection).await?;
        let import = Import::new(&config, args.source.as_deref(), log).map_err(anyhow::Error::msg)?;
        import_all(args, import, lines).await
    })
}

async fn import_all(args: &ImportArgs, import: Import, mut lines: Lines) -> anyhow::Result<ExitCode> {
    let mut progress = Progress::begin(args, &import)?;
    let done = progress.mark.as_ref().map_or(0, |mark| mark.line);
    lines.skip_to(done)?;
    let started = Instant::now();
    let chunks = std::iter::from_fn(|| lines.chunk().transpose());
    let mut turns = Turns::default();
    // Read by several at once, put in a row as the file has them, added by many at once.
    let mut work = stream::iter(chunks)
        .map(|chunk| {
            let import = import.clone();
            async move {
                let chunk: Vec<Line> = chunk?;
                let reading =
                    tokio::spawn(
                        async move { chunk.into_iter().map(|line| read(&import, line)).collect::<Vec<Read>>() },
                    );
                reading.await.context("an import stopped unexpectedly")
            }
        })
        .buffered(READERS)
        .map(|chunk| {
            let adding = chunk.map(|chunk: Vec<Read>| {
                let row = chunk.into_iter().map(|(number, body, read)| {
                    let read = read.map(|newcomer| (turns.next(newcomer.names()), newcomer));
                    add(import.clone(), number, body, read)
                });
                tokio::spawn(futures_util::future::join_all(row.collect::<Vec<_>>()))
            });
            async { adding?.await.context("an import stopped unexpectedly") }
        })
        .buffered(CHUNKS);
    while let Some(chunk) = work.next().await {
        for (number, outcome) in chunk? {
            progress.line(number, outcome)?;
        }
        progress.word(started);
    }
    progress.end(started)
}

/// A line's number, what it says, and what that means.
type Read = (u64, Option<Value>, Result<Newcomer, NotAdded>);

fn read(import: &Import, line: Line) -> Read {
    match line.read {
        Ok(body) => {
            let newcomer = import.read(&body);
            (line.number, Some(body), newcomer)
        }
        Err(why) => (line.number, None, Err(NotAdded::Refused(why))),
    }
}

async fn add(
    import: Import,
    number: u64,
    body: Option<Value>,
    read: Result<(Turn, Newcomer), NotAdded>,
) -> (u64, Result<Added, (NotAdded, Option<Value>)>) {
    let outcome = match read {
        Ok((mut turn, newcomer)) => {
            turn.come().await;
            import.add(newcomer).await
        }
        Err(e) => Err(e),
    };
    (number, outcome.map_err(|e| (e, body)))
}

/// What is known of how far it is, and what is said about it.
struct Progress {
    count: Count,
    /// Where the file is marked; `None`: it can't be.
    place: Option<PathBuf>,
    mark: Option<Mark>,
    refused: Option<File>,
    said: Instant,
    kept: Instant,
}

impl Progress {
    fn begin(args: &ImportArgs, import: &Import) -> anyhow::Result<Self> {
        let mut progress = Self {
            count: Count::default(),
            place: None,
            mark: None,
            refused: None,
            said: Instant::now(),
            kept: Instant::now(),
        };
        if let Some(path) = &args.refused {
            let file = File::options().append(true).create(true).open(path);
            progress.refused = Some(file.with_context(|| format!("{} can't be written", path.display()))?);
        }
        if args.file != Path::new("-") {
            let bytes = std::fs::metadata(&args.file).map(|m| m.len()).unwrap_or_default();
            let place = beside(&args.file);
            let fresh = Mark { source: import.source().to_string(), bytes, line: 0 };
            let found = std::fs::read(&place).ok().and_then(|text| serde_json::from_slice::<Mark>(&text).ok());
            // Of another file, or for another source, it says nothing.
            let found = found.filter(|mark| mark.bytes == bytes && mark.source == fresh.source);
            if let Some(found) = &found {
                eprintln!("goes on after line {}, as {} says", found.line, place.display());
            }
            progress.mark = Some(found.unwrap_or(fresh));
            progress.place = Some(place);
        }
        Ok(progress)
    }

    /// Notes what became of a line; lines come in order.
    fn line(&mut self, number: u64, outcome: Result<Added, (NotAdded, Option<Value>)>) -> anyhow::Result<()> {
        self.count.read += 1;
        match outcome {
            Ok(Added::Now) => self.count.added += 1,
            Ok(Added::Partly(why)) => {
                self.count.added += 1;
                self.count.partly += 1;
                if self.count.partly as usize <= SHOWN {
                    eprintln!("line {number}: added, but {why}");
                }
            }
            Ok(Added::Before) => self.count.before += 1,
            Err((NotAdded::Refused(why), body)) => {
                self.count.refused += 1;
                if self.count.refused as usize <= SHOWN {
                    eprintln!("line {number}: {why}");
                }
                if let Some(file) = &mut self.refused {
                    let refused = json!({ "line": number, "reason": why, "resource": body });
                    writeln!(file, "{refused}").context("the refused lines can't be written")?;
                }
            }
            Err((NotAdded::Log(e), _)) => {
                self.keep();
                bail!("line {number}: {e}; what was added stays: run the import again to go on");
            }
        }
        if let Some(mark) = &mut self.mark {
            mark.line = number;
        }
        Ok(())
    }

    fn keep(&self) {
        let (Some(place), Some(mark)) = (&self.place, &self.mark) else { return };
        let new = place.with_extension("import-new");
        let written = serde_json::to_vec(mark).map_err(io::Error::other).and_then(|text| std::fs::write(&new, text));
        // Without it an import that is run again reads from the start, and adds nobody twice.
        let _ = written.and_then(|()| std::fs::rename(&new, place));
    }

    fn word(&mut self, started: Instant) {
        if self.kept.elapsed() >= KEEP_EVERY {
            self.kept = Instant::now();
            self.keep();
        }
        if self.said.elapsed() < WORD_EVERY {
            return;
        }
        self.said = Instant::now();
        eprintln!("{}", self.summary(started));
    }

    fn summary(&self, started: Instant) -> String {
        let Count { read, added, before, refused, .. } = self.count;
        let rate = read as f64 / started.elapsed().as_secs_f64().max(0.001);
        format!("{read} lines read: {added} added, {before} there before, {refused} refused; {rate:.0} lines/s")
    }

    fn end(self, started: Instant) -> anyhow::Result<ExitCode> {
        if let Some(place) = &self.place {
            let _ = std::fs::remove_file(place);
        }
        println!("{}", self.summary(started));
        if self.count.partly > 0 {
            println!("{} were added without what the source has no say on", self.count.partly);
        }
        Ok(if self.count.refused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn beside(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".import");
    file.with_file_name(name)
}

/// The lines of the file, as resources.
enum Lines {
    Json { reader: Box<dyn BufRead>, number: u64 },
    Table { rows: csv::StringRecordsIntoIter<Box<dyn io::Read>>, paths: Vec<String>, number: u64 },
}

impl Lines {
    fn open(args: &ImportArgs) -> anyhow::Result<Self> {
        let named = args.file.display();
        let input: Box<dyn io::Read> = if args.file == Path::new("-") {
            Box::new(io::stdin())
        } else {
            Box::new(File::open(&args.file).with_context(|| format!("{named} can't be read"))?)
        };
        let by_name = if args.file.extension().is_some_and(|e| e.eq_ignore_ascii_case("csv")) {
            Format::Csv
        } else {
            Format::Ndjson
        };
        match args.format.unwrap_or(by_name) {
            Format::Ndjson => {
                ensure!(args.map.is_empty(), "--map is for tables");
                Ok(Self::Json { reader: Box::new(BufReader::with_capacity(1 << 20, input)), number: 0 })
            }
            Format::Csv => {
                let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(input);
                let columns = reader.headers().with_context(|| format!("{named} has no first line"))?.clone();
                let paths = paths(&columns, &args.map)?;
                Ok(Self::Table { rows: reader.into_records(), paths, number: 1 })
            }
        }
    }

    fn skip_to(&mut self, line: u64) -> anyhow::Result<()> {
        while self.number() < line && self.next()?.is_some() {}
        Ok(())
    }

    const fn number(&self) -> u64 {
        match self {
            Self::Json { number, .. } | Self::Table { number, .. } => *number,
        }
    }

    fn chunk(&mut self) -> anyhow::Result<Option<Vec<Line>>> {
        let mut chunk = Vec::with_capacity(CHUNK);
        while chunk.len() < CHUNK {
            match self.next()? {
                Some(line) => chunk.push(line),
                None => break,
            }
        }
        Ok((!chunk.is_empty()).then_some(chunk))
    }

    fn next(&mut self) -> anyhow::Result<Option<Line>> {
        match self {
            Self::Json { reader, number } => loop {
                let mut line = Vec::new();
                let limit = MAX_LINE as u64 + 1;
                if reader.by_ref().take(limit).read_until(b'\n', &mut line).context("the file can't be read on")? == 0 {
                    return Ok(None);
                }
                *number += 1;
                ensure!(
                    line.len() <= MAX_LINE,
                    "line {number} has more than {MAX_LINE} bytes: is there one resource a line?"
                );
                if line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                let read = serde_json::from_slice(&line).map_err(|e| format!("not JSON: {e}"));
                return Ok(Some(Line { number: *number, read }));
            },
            Self::Table { rows, paths, number } => {
                let Some(row) = rows.next() else { return Ok(None) };
                *number += 1;
                let read = match row {
                    Ok(row) => {
                        let fields = paths.iter().map(String::as_str).zip(row.iter());
                        resource_of(fields.filter(|(path, _)| !path.is_empty()))
                    }
                    Err(e) if e.is_io_error() => return Err(e).context("the file can't be read on"),
                    Err(e) => Err(e.to_string()),
                };
                Ok(Some(Line { number: *number, read }))
            }
        }
    }
}

/// Which attribute each column is; empty: none.
fn paths(columns: &csv::StringRecord, map: &[String]) -> anyhow::Result<Vec<String>> {
    let mut paths: Vec<String> = columns.iter().map(str::to_owned).collect();
    for given in map {
        let (column, path) = given.rsplit_once('=').with_context(|| format!("--map '{given}' is not COLUMN=PATH"))?;
        let at = columns.iter().position(|c| c == column);
        let known = || columns.iter().collect::<Vec<_>>().join(", ");
        let at =
            at.with_context(|| format!("--map '{given}': there is no column '{column}'; there are {}", known()))?;
        if let Some(place) = paths.get_mut(at) {
            path.clone_into(place);
        }
    }
    Ok(paths)
}
