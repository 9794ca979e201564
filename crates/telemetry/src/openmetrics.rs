//! The metrics as OpenMetrics 1.0, with exemplars: from a latency on a dashboard to the trace behind it. The OpenTelemetry
//! SDK for Rust collects no exemplars (0.33), so the newest one of each bucket is kept here.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

/// The content type that it has.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The most buckets of which an exemplar is kept.
const MAX_BUCKETS: usize = 50_000;

struct Exemplar {
    trace_id: String,
    value: f64,
    at: Timestamp,
}

/// By the text of the bucket's line up to its value.
static NEWEST: Mutex<BTreeMap<String, Exemplar>> = Mutex::new(BTreeMap::new());

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// The line of a bucket, as the exposition begins it.
fn bucket(name: &str, labels: &[(&str, &str)], le: &str) -> String {
    let mut sorted = labels.to_vec();
    sorted.sort_unstable();
    let labels: String = sorted.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = write!(text, "{name}=\"{}\",", escape(value));
        text
    });
    format!("{name}_bucket{{{labels}le=\"{le}\"}}")
}

/// Notes which trace a value of a histogram belongs to.
pub fn exemplar(name: &str, boundaries: &[f64], labels: &[(&str, &str)], value: f64, trace_id: &str) {
    if trace_id.is_empty() {
        return;
    }
    let le = boundaries.iter().find(|b| value <= **b).map_or_else(|| "+Inf".to_owned(), f64::to_string);
    let key = bucket(name, labels, &le);
    let mut newest = NEWEST.lock().unwrap_or_else(PoisonError::into_inner);
    if newest.len() < MAX_BUCKETS || newest.contains_key(&key) {
        newest.insert(key, Exemplar { trace_id: trace_id.to_owned(), value, at: Timestamp::now() });
    }
}

/// Prometheus text (0.0.4) as OpenMetrics, with what is known of traces.
#[must_use]
pub fn from_prometheus(text: &str) -> String {
    let newest = NEWEST.lock().unwrap_or_else(PoisonError::into_inner);
    let counters: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
        .filter_map(|name| name.strip_suffix("_total"))
        .collect();
    let mut out = String::with_capacity(text.len() + 1024);
    for line in text.lines() {
        let mut words = line.splitn(4, ' ');
        let comment = (words.next(), words.next(), words.next(), words.next());
        match comment {
            // A counter's family has no suffix; its samples do.
            (Some("#"), Some(kind), Some(name), rest) => {
                let family = name.strip_suffix("_total").filter(|family| counters.contains(family)).unwrap_or(name);
                let _ = writeln!(out, "# {kind} {family} {}", rest.unwrap_or_default());
            }
            _ => {
                out.push_str(line);
                let found = line.rsplit_once(' ').and_then(|(bucket, _)| newest.get(bucket));
                if let Some(Exemplar { trace_id, value, at }) = found {
                    let seconds = at.as_millisecond() as f64 / 1000.0;
                    let _ = write!(out, " # {{trace_id=\"{trace_id}\"}} {value} {seconds:.3}");
                }
                out.push('\n');
            }
        }
    }
    out.push_str("# EOF\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_followed_by_the_trace_that_was_last_in_it() {
        exemplar("h", &[0.1, 1.0], &[("b", "2"), ("a", "1")], 0.5, "4bf92f3577b34da6a3ce929d0e0e4736");
        exemplar("h", &[0.1, 1.0], &[("a", "1"), ("b", "2")], 0.7, "");
        let text = "# HELP h Help\n# TYPE h histogram\nh_bucket{a=\"1\",b=\"2\",le=\"0.1\"} 0\n\
                    h_bucket{a=\"1\",b=\"2\",le=\"1\"} 3\n# HELP c_total C\n# TYPE c_total counter\nc_total 7\n";
        let shown = from_prometheus(text);
        assert!(shown.contains("le=\"1\"} 3 # {trace_id=\"4bf92f3577b34da6a3ce929d0e0e4736\"} 0.5 "), "{shown}");
        assert!(shown.contains("le=\"0.1\"} 0\n"), "{shown}");
        assert!(shown.contains("# TYPE c counter\nc_total 7\n"), "{shown}");
        assert!(shown.ends_with("# EOF\n"));
    }
}
