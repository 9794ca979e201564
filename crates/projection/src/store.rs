//! The durable state of one projection.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backon::{BlockingRetryable as _, ConstantBuilder};
use rollcall_domain::{IdentityId, KeyRef, Sequence, directory};
use rollcall_event_log::KeyOf;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::info;
use uuid::Uuid;

use crate::build::{Building, IN_MEMORY, whole};
use crate::error::ProjectionError;
use crate::frames::{frame, frames};
use crate::history::{History, PastView, blocks, version_key};
use crate::layers::{Layers, REMOVED};
use crate::lock::FolderLock;
use crate::overlay::Changes;
use crate::packed::{FORMAT, pack, unpack};
use crate::redo::{self, Change};
use crate::table::Pair as Stored;
use crate::transaction::{Changed, Transaction};
use crate::tree::Tree;
use crate::view::View;

/// Not a key of any state: those are words and slashes.
const CURSOR: &[u8] = b"\0cursor";

const STAMP: &[u8] = b"\0stamp";

const LAST: &[u8] = b"\0last";

/// The name of the file that the state was built as.
const BUILT: &[u8] = b"\0built";

/// The folder of that file, beside that of sled.
const BUILT_IN: &str = "built";

/// How much of what was committed may have to be derived again after a crash, in milliseconds: looking wakes the disk, so not
/// more often than restarts make worth it.
const FLUSH_EVERY_MS: u64 = 2000;

/// How long a storage that was closed may hold on to its files: ten seconds.
const CLOSING_PAUSE: Duration = Duration::from_millis(10);

const CLOSING_PAUSES: usize = 1000;

/// The state of a projection and its position in the log, opened by one process.
#[derive(Debug)]
pub struct Store {
    name: &'static str,
    tree: Tree,
    history: History,
    cursor: watch::Sender<Sequence>,
    /// Where the file is that the state was built as.
    built: PathBuf,
    building: Mutex<Option<Gathered>>,
    /// Whether the state, which followed the log, does so no longer.
    stopped: CancellationToken,
    // Dropped last: the folder is ours until the database is closed.
    _db: sled::Db,
    _lock: FolderLock,
}

impl Store {
    /// Opens the projection in `folder`. One that was written under another `stamp` is emptied, so that it is built
    /// again from the log; so is one whose files are damaged. Of the keys in `history` every version is kept.
    ///
    /// # Errors
    /// When another process has the folder, or the storage fails.
    pub fn open(
        name: &'static str,
        folder: &Path,
        stamp: u32,
        cache_bytes: u64,
        history: History,
    ) -> Result<Arc<Self>, ProjectionError> {
        let lock = FolderLock::take(folder)?;
        let failed = |e| failed(name, &e);
        let path = folder.join("state");
        let once =
            || sled::Config::new().path(&path).cache_capacity(cache_bytes).flush_every_ms(Some(FLUSH_EVERY_MS)).open();
        // The folder is ours: whoever holds the files is what we closed ourselves, which ends in the background.
        let pauses = ConstantBuilder::default().with_delay(CLOSING_PAUSE).with_max_times(CLOSING_PAUSES);
        let open = || once.retry(pauses).when(is_still_closing).call();
        let recovered = open().and_then(|db| {
            if redo::recover(&db)? {
                info!(projection = name, "a commit that was interrupted is whole again");
            }
            Ok(db)
        });
        let db = match recovered {
            Err(sled::Error::Corruption { .. }) => {
                info!(projection = name, "the state is damaged and is built again from the log");
                remove(&path)?;
                open().map_err(failed)?
            }
            other => other.map_err(failed)?,
        };
        let wanted = [FORMAT.to_be_bytes(), stamp.to_be_bytes()].concat();
        let stamped = |tree: &sled::Tree| -> Result<bool, sled::Error> {
            Ok(tree.get(STAMP)?.is_some_and(|found| *found == wanted))
        };
        let (db, tree) = if stamped(&db).map_err(failed)? {
            let tree = (*db).clone();
            (db, tree)
        } else {
            if !db.is_empty() {
                info!(projection = name, stamp, "the projection has changed and is built again from the log");
            }
            drop(db);
            remove(&path)?;
            let db = open().map_err(failed)?;
            db.insert(STAMP, wanted.as_slice()).map_err(failed)?;
            let tree = (*db).clone();
            (db, tree)
        };
        let built = folder.join(BUILT_IN);
        let below = tree.get(BUILT).map_err(failed)?.map(|name| String::from_utf8_lossy(&name).into_owned());
        let layers = match below.as_deref().map(|name| whole(&built, name)) {
            None => Layers::default(),
            Some(Ok(layers)) => layers,
            Some(Err(e)) => {
                info!(projection = name, error = %e, "the state is damaged and is built again from the log");
                emptied(&tree).map_err(failed)?;
                Layers::default()
            }
        };
        let is_built = !layers.tables.is_empty();
        Building::tidy(&built, below.as_deref().filter(|_| is_built).unwrap_or_default());
        let at = tree.get(CURSOR).map_err(failed)?.map_or(Sequence(0), |bytes| read_sequence(&bytes));
        let tree = Tree::new(tree, layers);
        let (cursor, stopped) = (watch::Sender::new(at), CancellationToken::new());
        let building = Mutex::default();
        Ok(Arc::new(Self { name, tree, history, cursor, built, building, stopped, _db: db, _lock: lock }))
    }

    /// The last event that the state holds.
    #[must_use]
    pub fn cursor(&self) -> Sequence {
        *self.cursor.borrow()
    }

    /// Which event that is; `None`: the state is empty, or from before this was kept.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn last_event(&self) -> Result<Option<Uuid>, ProjectionError> {
        let found = self.tree.raw.get(LAST).map_err(|e| failed(self.name, &e))?;
        Ok(found.and_then(|bytes| Uuid::from_slice(&bytes).ok()))
    }

    /// The name of the projection.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Tells of every new position.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Sequence> {
        self.cursor.subscribe()
    }

    /// The state as it is now.
    #[must_use]
    pub fn view(&self) -> View {
        View { tree: self.tree.clone() }
    }

    /// The state as it was after an event that it holds; only keys whose history is kept can be read.
    #[must_use]
    pub fn view_at(&self, at: Sequence) -> PastView {
        PastView { tree: self.tree.clone(), history: self.history, at }
    }

    /// The state follows the log until this is dropped, and then not again until it is opened anew: whoever waits for an
    /// event is told.
    pub(crate) fn follow(&self) -> DropGuard {
        self.stopped.clone().drop_guard()
    }

    /// Waits until the state holds an event.
    ///
    /// # Errors
    /// [`ProjectionError::Behind`] when it takes longer than `patience`, [`ProjectionError::Stopped`] when it will not.
    pub async fn wait_for(&self, wanted: Sequence, patience: Duration) -> Result<(), ProjectionError> {
        let mut cursor = self.watch();
        let name = self.name;
        tokio::select! {
            biased;
            _ = cursor.wait_for(|at| *at >= wanted) => Ok(()),
            () = self.stopped.cancelled() => {
                Err(ProjectionError::Stopped { name, wanted: wanted.0, at: self.cursor().0 })
            }
            () = tokio::time::sleep(patience) => {
                Err(ProjectionError::Behind { name, wanted: wanted.0, at: self.cursor().0 })
            }
        }
    }

    /// A set of changes on top of the state.
    #[must_use]
    pub fn begin(&self) -> Transaction {
        Transaction::new(self.view(), Arc::default(), self.history)
    }

    /// The same on top of changes that are being committed. Their commit does not keep it from reading: what it changes
    /// is hidden by them.
    pub(crate) fn begin_over(&self, under: Arc<Changes>) -> Transaction {
        Transaction::new(View { tree: self.tree.beside() }, under, self.history)
    }

    /// Makes changes durable together with the position they belong to, all or nothing.
    ///
    /// # Errors
    /// When the storage fails: they are made as a whole, or not at all, before the state is opened again.
    pub fn commit(&self, changes: Transaction, at: Sequence) -> Result<(), ProjectionError> {
        self.make(changes.into_changed(), at)
    }

    pub(crate) fn make(&self, changed: Changed, at: Sequence) -> Result<(), ProjectionError> {
        let Changed { changes, versions, forgotten, forgotten_values, last } = changed;
        // Where versions are sorts before every key.
        let mut history: BTreeMap<Vec<u8>, Option<Vec<u8>>> = BTreeMap::new();
        for key in &forgotten {
            history.extend(self.versions_of(key)?.into_iter().map(|(place, _)| (place, None)));
        }
        for (key, value) in &forgotten_values {
            for (place, stored) in self.versions_of(key)? {
                let block = unpack(&stored).map_err(|e| self.failed(&e.to_string()))?;
                let kept = frames(&block).filter(|(_, held)| *held != Some(value.as_slice()));
                let kept: Vec<u8> = kept.flat_map(|(at, held)| frame(at, held)).collect();
                if kept.len() < block.len() {
                    history.insert(place, Some(kept).filter(|kept| !kept.is_empty()).map(|kept| pack(&kept)));
                }
            }
        }
        history.extend(blocks(versions).map(|(place, block)| (place, Some(pack(&block)))));
        let changes = changes.iter().map(|(key, value)| (key.as_bytes().to_vec(), value.as_deref().map(pack)));
        let mut changes: Vec<Change> = history.into_iter().chain(changes).collect();
        if let Some(gathered) = self.building().as_mut() {
            gathered.building.make(&self.tree, changes).map_err(|e| self.failed(&e.to_string()))?;
            gathered.last = last.or(gathered.last);
            gathered.at = at;
            // The last is there when it is kept.
            self.cursor.send_replace(at.min(gathered.known_until));
            return Ok(());
        }
        // What is below is hidden.
        for (key, value) in changes.iter_mut().filter(|(_, value)| value.is_none()) {
            if self.tree.layers().has(key).map_err(|e| self.failed(&e.to_string()))? {
                *value = Some(REMOVED.to_vec());
            }
        }
        let changing = self.tree.change();
        redo::make(&self.tree.raw, changes, ending(at, last)).map_err(|e| failed(self.name, &e))?;
        drop(changing);
        self.cursor.send_replace(at);
        Ok(())
    }

    /// What is stored of the versions of a key.
    fn versions_of(&self, key: &str) -> Result<Vec<Stored>, ProjectionError> {
        let (from, to) = (version_key(key, Sequence(0)), version_key(key, Sequence(u64::MAX)));
        let mut all = Vec::new();
        let visited = self.tree.up(&[], &from, |pair| {
            if pair.0 > to {
                return ControlFlow::Break(());
            }
            all.push(pair);
            ControlFlow::Continue(())
        });
        visited.map_err(|e| self.failed(&e.to_string()))?;
        Ok(all)
    }

    /// Up to where events are gathered in a state that is being built.
    pub(crate) fn gathered(&self) -> Option<Sequence> {
        self.building().as_ref().map(|gathered| gathered.at)
    }

    fn building(&self) -> MutexGuard<'_, Option<Gathered>> {
        self.building.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Empties the state. From now on, until [`built`](Self::built), commits are gathered and not kept: whoever is killed begins again.
    /// That an event from `until` on is in it is said when it is kept.
    ///
    /// # Errors
    /// When the folder can't be used.
    pub fn build(&self, until: Sequence) -> Result<(), ProjectionError> {
        // Nobody reads meanwhile.
        let mut layers = self.tree.layers_mut();
        emptied(&self.tree.raw).map_err(|e| failed(self.name, &e))?;
        *layers = Layers::default();
        drop(layers);
        let building = Building::begin(&self.built, IN_MEMORY).map_err(|e| self.failed(&e.to_string()))?;
        let known_until = Sequence(until.0.saturating_sub(1));
        *self.building() = Some(Gathered { building, last: None, at: Sequence(0), known_until });
        self.cursor.send_replace(Sequence(0));
        Ok(())
    }

    /// Keeps what was built, as a whole. Nothing to do where nothing is being built.
    ///
    /// # Errors
    /// When it can't be kept: the state is empty then when it is opened again.
    pub fn built(&self) -> Result<(), ProjectionError> {
        let Some(Gathered { building, last, at, .. }) = self.building().take() else { return Ok(()) };
        let name = "state";
        let storage = |e: io::Error| self.failed(&e.to_string());
        let layers = building.finish(&self.tree, name).map_err(storage)?;
        let mut ending = ending(at, last);
        ending.push((BUILT.to_vec(), Some(name.as_bytes().to_vec())));
        let mut below = self.tree.layers_mut();
        redo::make(&self.tree.raw, Vec::new(), ending).map_err(|e| failed(self.name, &e))?;
        self.flush()?;
        *below = layers;
        drop(below);
        self.cursor.send_replace(at);
        Building::tidy(&self.built, name);
        Ok(())
    }

    /// Puts everything on disk.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn flush(&self) -> Result<(), ProjectionError> {
        let flushed = self.tree.raw.flush();
        flushed.map(|_| ()).map_err(|e| failed(self.name, &e))
    }

    pub(crate) fn failed(&self, reason: &str) -> ProjectionError {
        ProjectionError::Storage { name: self.name, reason: reason.to_owned() }
    }

    pub(crate) fn unexpected(&self, what: &str) -> ProjectionError {
        self.failed(&format!("{what} events failed unexpectedly"))
    }
}

/// Empties a tree but for what it was written by. It has no position before it loses anything else: whoever is killed begins again.
fn emptied(tree: &sled::Tree) -> sled::Result<()> {
    let stamp = tree.get(STAMP)?;
    tree.remove(CURSOR)?;
    tree.flush()?;
    tree.clear()?;
    if let Some(stamp) = stamp {
        tree.insert(STAMP, stamp)?;
    }
    tree.flush()?;
    Ok(())
}

/// What is gathered while a state is built.
#[derive(Debug)]
struct Gathered {
    building: Building,
    /// The last event in it, and its position.
    last: Option<Uuid>,
    at: Sequence,
    /// No later position is said to be in the state.
    known_until: Sequence,
}

/// What a commit ends with: where the state is.
fn ending(at: Sequence, last: Option<Uuid>) -> Vec<Change> {
    let mut ending = vec![(CURSOR.to_vec(), Some(at.0.to_be_bytes().to_vec()))];
    ending.extend(last.map(|last| (LAST.to_vec(), Some(last.as_bytes().to_vec()))));
    ending
}

fn is_still_closing(error: &sled::Error) -> bool {
    // There is no other sign of it.
    matches!(error, sled::Error::Io(e) if e.to_string().contains("could not acquire lock"))
}

fn failed(name: &'static str, error: &sled::Error) -> ProjectionError {
    ProjectionError::Storage { name, reason: error.to_string() }
}

fn remove(path: &Path) -> Result<(), ProjectionError> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(ProjectionError::Folder { path: path.into(), reason: format!("can't be emptied: {e}") })
        }
        _ => Ok(()),
    }
}

fn read_sequence(bytes: &[u8]) -> Sequence {
    Sequence(bytes.try_into().map(u64::from_be_bytes).unwrap_or_default())
}

impl KeyOf for Store {
    fn key_of(&self, person: IdentityId) -> Option<KeyRef> {
        directory::identity(&self.view(), person).ok().flatten()?.key
    }
}
