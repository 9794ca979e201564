//! The way between Rollcall and a server, which can be slow, hold everything back, or be cut.

use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// Everything passes at once.
    Clear,
    /// Every piece takes so long.
    Slow(Duration),
    /// Connections stay, and nothing passes.
    Held,
    /// Connections are closed, old and new ones.
    Cut,
}

/// A way to one server.
pub struct Wire {
    /// Where it begins, as `host:port`.
    pub address: String,
    weather: watch::Sender<Weather>,
    _tasks: JoinSet<()>,
}

impl Wire {
    /// A clear one to a server, `host:port`.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn to(server: &str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr().context("no address")?.to_string();
        let weather = watch::Sender::new(Weather::Clear);
        let (server, seen) = (server.to_owned(), weather.subscribe());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut ways = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                while ways.try_join_next().is_some() {}
                ways.spawn(carry(near, server.clone(), seen.clone()));
            }
        });
        Ok(Self { address, weather, _tasks: tasks })
    }

    /// Changes how it is.
    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }
}

/// One connection, until either end closes it or it is cut.
async fn carry(near: TcpStream, server: String, weather: watch::Receiver<Weather>) {
    let mut cut = weather.clone();
    let Ok(far) = TcpStream::connect(&server).await else { return };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
    tokio::select! {
        _ = cut.wait_for(|weather| *weather == Weather::Cut) => {}
        _ = pump(from_near, to_far, weather.clone()) => {}
        _ = pump(from_far, to_near, weather) => {}
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut weather: watch::Receiver<Weather>) -> Option<()> {
    let mut piece = vec![0; 16 << 10];
    loop {
        let size = from.read(&mut piece).await.ok().filter(|size| *size > 0)?;
        let now = *weather.wait_for(|weather| *weather != Weather::Held).await.ok()?;
        if let Weather::Slow(each) = now {
            tokio::time::sleep(each).await;
        }
        to.write_all(piece.get(..size)?).await.ok()?;
    }
}
