//! `./dev simulate`: seeds, one after the other, on every core; the first that breaks a law is printed with its trace.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Parser;
use rollcall_simulation::simulate;

/// Runs the services in a made-up world, and checks that the laws hold.
#[derive(Debug, Parser)]
struct Options {
    /// The first seed; the same one is the same run.
    #[arg(long)]
    seed: Option<u64>,
    /// The seeds that have ever broken a law, and then those of the day: other ones each day.
    #[arg(long, conflicts_with = "seed")]
    today: bool,
    /// How many seeds.
    #[arg(long, conflicts_with = "seconds")]
    seeds: Option<u64>,
    /// How long to go on.
    #[arg(long)]
    seconds: Option<u64>,
    /// Goes on after a seed that breaks a law.
    #[arg(long)]
    keep_going: bool,
    /// How much of what happened before a law was broken is shown.
    #[arg(long, default_value_t = 400)]
    lines: usize,
    /// Shows what the services log.
    #[arg(long)]
    verbose: bool,
}

/// A law was broken with each of these once.
const KEPT: &str = include_str!("../../seeds.txt");

fn kept() -> anyhow::Result<Vec<u64>> {
    let lines = KEPT.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).map(|line| line.parse().map_err(Into::into)).collect()
}

/// A thousand seeds for each day, counted from 1970-01-01 (UTC).
fn of_the_day() -> anyhow::Result<u64> {
    let day = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() / 86_400;
    Ok(day * 1000)
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    if options.verbose {
        tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    }
    let kept: Vec<u64> = if options.today { kept()? } else { Vec::new() };
    let first = match options.seed {
        Some(seed) => seed,
        None if options.today => of_the_day()?,
        None => fastrand::u64(..) >> 16,
    };
    // With a seed alone: that one.
    let alone = options.seed.is_some() && options.seconds.is_none();
    let count = options.seeds.unwrap_or(if alone { 1 } else { u64::MAX });
    let until = Instant::now()
        + Duration::from_secs(options.seconds.unwrap_or(if options.seeds.is_some() || alone { 86_400 } else { 60 }));
    if !kept.is_empty() {
        println!("{} seeds that have broken a law before, then", kept.len());
    }
    println!("from seed {first} on");
    let started = Instant::now();
    let (next, failed) = (AtomicU64::new(0), AtomicBool::new(false));
    let totals = [const { AtomicU64::new(0) }; 8];
    let [runs, events, verified, kills, drilled, handed_over, seconds, traces] = &totals;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while (options.keep_going || !failed.load(Ordering::Relaxed)) && Instant::now() < until {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let before = kept.len() as u64;
                    if index >= count.saturating_add(before) {
                        return;
                    }
                    let known = usize::try_from(index).ok().and_then(|index| kept.get(index).copied());
                    let seed = known.unwrap_or_else(|| first.wrapping_add(index - before));
                    match simulate(seed) {
                        Ok(Ok(report)) => {
                            let done = runs.fetch_add(1, Ordering::Relaxed) + 1;
                            events.fetch_add(report.events, Ordering::Relaxed);
                            verified.fetch_add(report.verified as u64, Ordering::Relaxed);
                            kills.fetch_add(u64::from(report.kills), Ordering::Relaxed);
                            drilled.fetch_add(report.drilled as u64, Ordering::Relaxed);
                            handed_over.fetch_add(report.handed_over as u64, Ordering::Relaxed);
                            seconds.fetch_add(report.lasted.as_secs(), Ordering::Relaxed);
                            traces.fetch_xor(report.trace, Ordering::Relaxed);
                            if done % 100 == 0 {
                                println!("{done} seeds, {} events", events.load(Ordering::Relaxed));
                            }
                        }
                        Ok(Err(mut broken)) => {
                            broken.trace.drain(..broken.trace.len().saturating_sub(options.lines));
                            failed.store(true, Ordering::Relaxed);
                            println!("{broken}again with: ./dev simulate --seed {seed}");
                        }
                        Err(e) => {
                            failed.store(true, Ordering::Relaxed);
                            println!("seed {seed}: the simulation itself failed: {e:#}");
                        }
                    }
                }
            });
        }
    });
    let read = |total: &AtomicU64| total.load(Ordering::Relaxed);
    println!(
        "{} seeds, {} hours in {:.0} s: {} events, {} accounts verified, {} apps drilled, {} machines taken over, {} processes killed",
        read(runs),
        read(seconds) / 3600,
        started.elapsed().as_secs_f64(),
        read(events),
        read(verified),
        read(drilled),
        read(handed_over),
        read(kills),
    );
    // The same as before: what was changed in the code changes nothing that the services do.
    println!("all that happened: {:016x}", read(traces));
    anyhow::ensure!(!failed.load(Ordering::Relaxed), "a law was broken");
    println!("every law held");
    Ok(())
}
