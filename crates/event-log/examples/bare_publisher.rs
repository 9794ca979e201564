//! What an append is compared with: messages published one by one, each acknowledged, with nothing of ours around it.
//! `bare_publisher URL USER WRITERS TIMES`, the password in NATS_PASSWORD and a message on standard input; prints how many
//! were acknowledged in a second.

use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::Context as _;
use async_nats::jetstream::{self, stream::Config};
use tokio::task::JoinSet;
use uuid::Uuid;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, user, writers, times] = arguments.as_slice() else { anyhow::bail!("URL USER WRITERS TIMES") };
    let (writers, times): (usize, usize) = (writers.parse()?, times.parse()?);
    let password = std::env::var("NATS_PASSWORD").context("NATS_PASSWORD is not set")?;
    let mut message = Vec::new();
    std::io::stdin().read_to_end(&mut message)?;
    let message = bytes::Bytes::from(message);
    let options = async_nats::ConnectOptions::new().user_and_password(user.clone(), password);
    let publisher = jetstream::new(options.connect(url).await?);
    let stream = Config { name: "BARE".into(), subjects: vec!["bare.>".into()], ..Config::default() };
    publisher.get_or_create_stream(stream).await?;
    let next = Arc::new(AtomicUsize::new(0));
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..writers {
        let (publisher, message, next) = (publisher.clone(), message.clone(), Arc::clone(&next));
        tasks.spawn(async move {
            while next.fetch_add(1, Ordering::Relaxed) < times {
                publisher.publish(format!("bare.{}", Uuid::new_v4()), message.clone()).await?.await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    println!("{}", times as f64 / started.elapsed().as_secs_f64());
    Ok(())
}
