//! Load for the benchmarks: many connections that ask as fast as they are answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde::Serialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Where figures are kept as JSON, one a line.
const KEPT: &str = "ROLLCALL_BENCH_FIGURES";

/// One line of the table.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    what: String,
    size: Option<usize>,
    value: f64,
    unit: &'static str,
    /// What does the same, or is the limit, measured in the same run.
    beside: Vec<(String, f64)>,
    note: String,
}

impl Figure {
    /// What was measured.
    #[must_use]
    pub fn of(what: &str, value: f64, unit: &'static str) -> Self {
        Self { what: what.into(), size: None, value, unit, beside: Vec::new(), note: String::new() }
    }

    /// With how much it was measured.
    #[must_use]
    pub fn at(self, size: usize) -> Self {
        Self { size: Some(size), ..self }
    }

    /// Beside what, in the same unit.
    #[must_use]
    pub fn beside(mut self, who: &str, value: f64) -> Self {
        self.beside.push((who.into(), value));
        self
    }

    /// What else there is to say.
    #[must_use]
    pub fn note(self, note: impl Into<String>) -> Self {
        Self { note: note.into(), ..self }
    }

    /// Shows it, and keeps it where someone asks for that.
    ///
    /// # Errors
    /// When it can't be kept.
    pub fn show(&self) -> anyhow::Result<()> {
        let number = |n: f64| if n.abs() >= 100.0 { format!("{n:.0}") } else { format!("{n:.2}") };
        let size = self.size.map(|s| s.to_string()).unwrap_or_default();
        let beside: String = self.beside.iter().map(|(who, value)| format!("  {who} {}", number(*value))).collect();
        println!("{:<48} {size:>9} {:>10} {:<13}{beside}  {}", self.what, number(self.value), self.unit, self.note);
        if let Some(file) = std::env::var_os(KEPT) {
            let mut file = std::fs::File::options().create(true).append(true).open(file)?;
            std::io::Write::write_all(&mut file, format!("{}\n", serde_json::to_string(self)?).as_bytes())?;
        }
        Ok(())
    }
}

/// Where load goes, and as whom.
#[derive(Debug, Clone)]
pub struct Peer {
    /// For the table.
    pub name: &'static str,
    /// `host:port`.
    pub address: String,
    /// The path that SCIM is under.
    pub base: &'static str,
    /// The bearer token.
    pub token: String,
}

/// One connection, kept where the server keeps it. It is our own and does little, so that the client costs the machine
/// as little as it can.
struct Connection {
    address: String,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
}

impl Connection {
    fn to(peer: &Peer) -> Self {
        Self { address: peer.address.clone(), stream: None, buffer: Vec::new() }
    }

    /// Sends one request and reads its answer; gives the status and the body.
    async fn ask(&mut self, request: &[u8]) -> anyhow::Result<(u16, &[u8])> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(&self.address).await.with_context(|| self.address.clone())?;
                stream.set_nodelay(true)?;
                stream
            }
        };
        stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if let Some((status, start, end)) = whole(&self.buffer)? {
                if !self.buffer.starts_with(b"HTTP/1.0") {
                    self.stream = Some(stream);
                }
                return Ok((status, &self.buffer[start..end]));
            }
            if stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the connection was closed in the middle of an answer");
            }
        }
    }
}

/// Status and place of the body, once all of it is there.
fn whole(buffer: &[u8]) -> anyhow::Result<Option<(u16, usize, usize)>> {
    let Some(head) = buffer.windows(4).position(|w| w == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&buffer[..head])?;
    let status = text.split(' ').nth(1).and_then(|s| s.parse().ok()).context("no status")?;
    let header = |wanted: &str| {
        text.lines()
            .filter_map(|l| l.split_once(':'))
            .find(|(n, _)| n.eq_ignore_ascii_case(wanted))
            .map(|(_, v)| v.trim())
    };
    let start = head + 4;
    if header("transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked")) {
        // Only compared peers answer so: the end is enough.
        return Ok(buffer.ends_with(b"0\r\n\r\n").then_some((status, start, buffer.len())));
    }
    let length: usize = header("content-length").and_then(|v| v.parse().ok()).unwrap_or_default();
    Ok((buffer.len() >= start + length).then_some((status, start, start + length)))
}

/// The bytes of a request.
#[must_use]
pub fn request(peer: &Peer, method: &str, path: &str, body: &str) -> Vec<u8> {
    format!(
        "{method} {}{path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/scim+json\r\n\
         Accept: application/scim+json\r\nContent-Length: {}\r\n\r\n{body}",
        peer.base,
        peer.address,
        peer.token,
        body.len()
    )
    .into_bytes()
}

/// How long a run of requests took.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// Requests that were answered.
    pub requests: usize,
    /// From the first to the last.
    pub took: Duration,
}

impl Rate {
    /// Requests in a second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.requests as f64 / self.took.as_secs_f64()
    }
}

/// Sends request `n` for each `n` below `requests`, over `connections` at once; each answer must have the status
/// `wanted` and hold `holds`.
///
/// # Errors
/// With the first answer that is not as wanted.
pub async fn load(
    peer: &Peer,
    connections: usize,
    requests: usize,
    wanted: u16,
    holds: &'static str,
    make: impl Fn(usize) -> Vec<u8> + Send + Sync + 'static,
) -> anyhow::Result<Rate> {
    let (next, make) = (Arc::new(AtomicUsize::new(0)), Arc::new(make));
    let open: Vec<_> = (0..connections).map(|_| Connection::to(peer)).collect();
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for mut connection in open {
        let (next, make) = (Arc::clone(&next), Arc::clone(&make));
        tasks.spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= requests {
                    return anyhow::Ok(());
                }
                let (status, body) = connection.ask(&make(n)).await?;
                let found = holds.is_empty() || body.windows(holds.len()).any(|part| part == holds.as_bytes());
                if status != wanted || !found {
                    bail!("request {n}: {status} {}", String::from_utf8_lossy(&body[..body.len().min(500)]));
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(Rate { requests, took: started.elapsed() })
}

/// One request; gives the answer's body.
///
/// # Errors
/// When there is no answer.
pub async fn once(peer: &Peer, bytes: &[u8]) -> anyhow::Result<String> {
    let mut connection = Connection::to(peer);
    let (_, body) = connection.ask(bytes).await?;
    Ok(String::from_utf8_lossy(body).into_owned())
}

/// The memory that a process holds, in MB.
///
/// # Errors
/// When it does not run.
pub fn resident(pid: u32) -> anyhow::Result<f64> {
    memory(pid, "VmRSS:")
}

/// The most memory of a process so far, in megabytes.
///
/// # Errors
/// When it can't be read.
pub fn peak(pid: u32) -> anyhow::Result<f64> {
    memory(pid, "VmHWM:")
}

fn memory(pid: u32, line: &str) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let found = status.lines().find_map(|l| l.strip_prefix(line)).with_context(|| format!("no {line}"))?;
    Ok(found.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
}
