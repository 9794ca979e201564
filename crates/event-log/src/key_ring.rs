//! The data keys of people: where they are kept, those that were used last, and new ones.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rollcall_domain::{IdentityId, KeyRef, Sequence};
use rollcall_privacy::{DataKey, InstallationKeys, NameKey, Page};

use crate::answer::Answer;
use crate::error::LogError;
use crate::subject::NameHash;

/// Where the key is that names are hashed with.
const NAMES: &str = "names";

/// How many pages are remembered: some 8 KB each.
const PAGES: usize = 4096;

/// How many people are remembered who were given a key here, until the state knows it.
const GIVEN: usize = 65_536;

/// What is kept at a place, and its revision.
pub type Kept = Option<(Vec<u8>, u64)>;

/// Where wrapped keys are kept.
pub trait Pages: fmt::Debug + Send + Sync {
    /// What is kept at a place.
    fn read<'a>(&'a self, place: &'a str) -> Answer<'a, Kept>;

    /// Keeps something at a place where nothing is; `false`: something is.
    fn create<'a>(&'a self, place: &'a str, wrapped: Vec<u8>) -> Answer<'a, bool>;

    /// Keeps something else instead of this revision, which is overwritten; `false`: it was replaced meanwhile.
    fn replace<'a>(&'a self, place: &'a str, wrapped: Vec<u8>, revision: u64) -> Answer<'a, bool>;

    /// Overwrites what was replaced by whoever was killed before they could.
    fn sweep(&self) -> Answer<'_, ()>;

    /// Overwrites what was replaced at a place, by whoever could not finish.
    fn overwrite<'a>(&'a self, place: &'a str) -> Answer<'a, ()>;

    /// Every place where something is.
    fn places(&self) -> Answer<'_, Vec<String>>;
}

/// Tells which key seals what is personal about someone.
pub trait KeyOf: fmt::Debug + Send + Sync {
    /// Where it is; `None`: nobody here knows of one.
    fn key_of(&self, person: IdentityId) -> Option<KeyRef>;
}

/// The keys of one installation.
#[derive(Debug)]
pub struct KeyRing {
    keys: InstallationKeys,
    pages: Arc<dyn Pages>,
    names: NameHash,
    read: Mutex<Recent<u32, Arc<Page>>>,
    given: Mutex<Recent<IdentityId, KeyRef>>,
    /// Keys of which the log says that they are destroyed.
    destroyed: Mutex<Recent<KeyRef, ()>>,
    /// Our own page, and the next place on it.
    own: tokio::sync::Mutex<Option<(u32, u16)>>,
}

/// What was used last, so many at most.
#[derive(Debug)]
struct Recent<K, V> {
    most: usize,
    values: HashMap<K, V>,
    order: VecDeque<K>,
}

impl<K: Copy + Eq + Hash, V: Clone> Recent<K, V> {
    fn new(most: usize) -> Self {
        Self { most, values: HashMap::new(), order: VecDeque::new() }
    }

    fn get(&self, key: &K) -> Option<V> {
        self.values.get(key).cloned()
    }

    fn insert(&mut self, key: K, value: V) {
        if self.values.insert(key, value).is_none() {
            self.order.push_back(key);
        }
        while self.values.len() > self.most {
            let Some(oldest) = self.order.pop_front() else { return };
            self.values.remove(&oldest);
        }
    }

    fn remove(&mut self, key: &K) {
        self.values.remove(key);
        self.order.retain(|known| known != key);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn place_of(page: u32) -> String {
    format!("page.{page:08x}")
}

impl KeyRing {
    /// Opens the keys of an installation, which are made when there are none; `head` is where the log is.
    ///
    /// # Errors
    /// When they can't be had, or are wrapped by a key that is not among these.
    pub async fn open(keys: InstallationKeys, pages: Arc<dyn Pages>, head: Sequence) -> Result<Self, LogError> {
        let names = match pages.read(NAMES).await? {
            Some((wrapped, _)) => NameKey::read(NAMES, &keys.open(NAMES, &wrapped)?)?,
            None => {
                let new = NameKey::generate(head.0)?;
                if pages.create(NAMES, keys.wrap(NAMES, &new.bytes())?).await? {
                    new
                } else {
                    // Another service was faster.
                    let lost = || LogError::Keys(format!("'{NAMES}' was there and is gone"));
                    let (wrapped, _) = pages.read(NAMES).await?.ok_or_else(lost)?;
                    NameKey::read(NAMES, &keys.open(NAMES, &wrapped)?)?
                }
            }
        };
        Ok(Self {
            keys,
            pages,
            names: NameHash::Keyed(Box::new(names)),
            read: Mutex::new(Recent::new(PAGES)),
            given: Mutex::new(Recent::new(GIVEN)),
            destroyed: Mutex::new(Recent::new(GIVEN)),
            own: tokio::sync::Mutex::default(),
        })
    }

    /// How names are hashed.
    pub const fn names(&self) -> &NameHash {
        &self.names
    }

    /// A key, when its page was read before: `None` when it was not, and `Some(None)` when the key was destroyed.
    pub fn known(&self, at: KeyRef) -> Option<Option<DataKey>> {
        if lock(&self.destroyed).get(&at).is_some() {
            return Some(None);
        }
        lock(&self.read).get(&at.page).map(|page| page.key(at.slot).cloned())
    }

    /// A key; `None`: it was destroyed, or its page is not there.
    ///
    /// # Errors
    /// When the server does not answer, or the page does not open.
    pub async fn key(&self, at: KeyRef) -> Result<Option<DataKey>, LogError> {
        if let Some(known) = self.known(at) {
            return Ok(known);
        }
        let Some((page, _)) = self.page(at.page).await? else { return Ok(None) };
        let key = page.key(at.slot).cloned();
        lock(&self.read).insert(at.page, Arc::new(page));
        Ok(key)
    }

    async fn page(&self, page: u32) -> Result<Option<(Page, u64)>, LogError> {
        let place = place_of(page);
        let Some((wrapped, revision)) = self.pages.read(&place).await? else { return Ok(None) };
        Ok(Some((Page::read(&place, &self.keys.open(&place, &wrapped)?)?, revision)))
    }

    /// The key of someone, as far as anyone here knows, or a new one: it is kept before anything is sealed with it.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn key_of(&self, person: IdentityId, known: Option<KeyRef>) -> Result<(KeyRef, DataKey), LogError> {
        let given = known.or_else(|| lock(&self.given).get(&person));
        if let Some(at) = given
            && let Some(key) = self.key(at).await?
        {
            return Ok((at, key));
        }
        let (at, key) = self.new_key().await?;
        lock(&self.given).insert(person, at);
        Ok((at, key))
    }

    /// A key that nobody has.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn new_key(&self) -> Result<(KeyRef, DataKey), LogError> {
        let mut own = self.own.lock().await;
        loop {
            let (number, next) = match *own {
                Some((page, next)) if next <= u16::from(u8::MAX) => (page, next),
                _ => (self.new_page().await?, 0),
            };
            *own = Some((number, next + 1));
            let at = KeyRef { page: number, slot: u8::try_from(next).unwrap_or_default() };
            // Of a page that was restored from a backup some may be destroyed.
            if let Some(key) = self.key(at).await? {
                return Ok((at, key));
            }
        }
    }

    async fn new_page(&self) -> Result<u32, LogError> {
        loop {
            let number = rand_page()?;
            let page = Page::generate()?;
            let place = place_of(number);
            if self.pages.create(&place, self.keys.wrap(&place, &page.bytes())?).await? {
                lock(&self.read).insert(number, Arc::new(page));
                return Ok(number);
            }
        }
    }

    /// Forgets a key that is destroyed: its page may be read once more before that is done.
    pub fn forget(&self, key: KeyRef) {
        lock(&self.read).remove(&key.page);
        lock(&self.destroyed).insert(key, ());
    }

    /// Destroys keys, wherever they are kept; those that are destroyed already stay so.
    ///
    /// # Errors
    /// When the server does not answer: some may be destroyed then, and it is safe to do it again.
    pub async fn destroy(&self, all: &[KeyRef]) -> Result<(), LogError> {
        let mut by_page: HashMap<u32, Vec<u8>> = HashMap::new();
        for at in all {
            by_page.entry(at.page).or_default().push(at.slot);
        }
        for (number, slots) in by_page {
            let place = place_of(number);
            while let Some((page, revision)) = self.page(number).await? {
                if slots.iter().all(|slot| page.key(*slot).is_none()) {
                    self.pages.overwrite(&place).await?;
                    break;
                }
                let wrapped = self.keys.wrap(&place, &page.without(&slots).bytes())?;
                if self.pages.replace(&place, wrapped, revision).await? {
                    break;
                }
            }
            lock(&self.read).remove(&number);
        }
        Ok(())
    }

    /// Overwrites what is left of keys whose destruction was cut off.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn sweep(&self) -> Result<(), LogError> {
        self.pages.sweep().await
    }

    /// Wraps everything anew that is not wrapped by the first of the keys; how much was.
    ///
    /// # Errors
    /// When the server does not answer: it is safe to do it again.
    pub async fn rotate(&self) -> Result<u64, LogError> {
        let mut rotated = 0;
        for place in self.pages.places().await? {
            while let Some((wrapped, revision)) = self.pages.read(&place).await? {
                if self.keys.is_newest(&wrapped) {
                    break;
                }
                let anew = self.keys.wrap(&place, &self.keys.open(&place, &wrapped)?)?;
                if self.pages.replace(&place, anew, revision).await? {
                    rotated += 1;
                    break;
                }
            }
        }
        Ok(rotated)
    }
}

fn rand_page() -> Result<u32, LogError> {
    let bytes = rollcall_privacy::random::<4>()?;
    Ok(u32::from_be_bytes(bytes))
}
