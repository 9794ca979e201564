//! Backups that only the owner of a key can read: files in the age format, version 1 (age-encryption.org/v1).

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use age::stream::StreamWriter;
use age::x25519::{Identity, Recipient};
use age::{Decryptor, Encryptor};
use anyhow::{Context as _, anyhow, bail};

/// What an encrypted file begins with.
const MAGIC: &[u8] = b"age-encryption.org/v1";

/// A file that is written, encrypted or not.
pub enum Writing {
    Plain(BufWriter<File>),
    Encrypted(Box<StreamWriter<BufWriter<File>>>),
}

impl Writing {
    /// Encrypted to every one of these; to none: not encrypted.
    pub fn new(file: File, recipients: &[Recipient]) -> anyhow::Result<Self> {
        let file = BufWriter::new(file);
        if recipients.is_empty() {
            return Ok(Self::Plain(file));
        }
        let encryptor =
            Encryptor::with_recipients(recipients.iter().map(|recipient| recipient as &dyn age::Recipient))?;
        Ok(Self::Encrypted(Box::new(encryptor.wrap_output(file)?)))
    }

    /// Everything is written, and on disk.
    pub fn finish(self) -> io::Result<()> {
        let mut file = match self {
            Self::Plain(file) => file,
            Self::Encrypted(stream) => stream.finish()?,
        };
        file.flush()?;
        file.get_ref().sync_all()
    }
}

impl Write for Writing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.write(bytes),
            Self::Encrypted(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.flush(),
            Self::Encrypted(stream) => stream.flush(),
        }
    }
}

/// The keys of those who can read a backup.
///
/// # Errors
/// Naming the one that is none.
pub fn recipients<'a>(all: impl Iterator<Item = &'a String>) -> anyhow::Result<Vec<Recipient>> {
    let read = |text: &String| {
        text.trim().parse::<Recipient>().map_err(|e| anyhow!("'{text}' is no recipient key, such as age1…: {e}"))
    };
    all.map(read).collect()
}

/// A new pair of keys, as `age-keygen` prints it.
pub fn new_pair() -> String {
    use age::secrecy::ExposeSecret as _;
    let identity = Identity::generate();
    format!("# public key: {}\n{}", identity.to_public(), identity.to_string().expose_secret())
}

/// A file to read, and the private key that opens it where it is encrypted.
#[derive(Debug, Clone, clap::Args)]
pub struct IdentityArgs {
    /// The file with the private key that the backup was encrypted to, as `rollcall keys backup` or `age-keygen` has printed it
    #[arg(long)]
    identity: Option<PathBuf>,
}

impl IdentityArgs {
    fn identities(&self, path: &Path) -> anyhow::Result<Vec<Identity>> {
        let Some(file) = &self.identity else {
            bail!("{} is encrypted: name the file with the private key, --identity FILE", path.display())
        };
        let text = std::fs::read_to_string(file).with_context(|| format!("{} can't be read", file.display()))?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let read = |line: &str| line.parse().map_err(|e| anyhow!("{} is no private key: {e}", file.display()));
        lines.map(read).collect()
    }

    /// Opens a file.
    ///
    /// # Errors
    /// When it can't be read, or is encrypted to another key.
    pub fn open(&self, path: &Path) -> anyhow::Result<BufReader<Box<dyn Read + Send>>> {
        let file = File::open(path).with_context(|| format!("{} can't be read", path.display()))?;
        let mut file = BufReader::new(file);
        if !file.fill_buf()?.starts_with(MAGIC) {
            return Ok(BufReader::new(Box::new(file)));
        }
        let identities = self.identities(path)?;
        let opened = Decryptor::new_buffered(file)
            .and_then(|file| file.decrypt(identities.iter().map(|identity| identity as &dyn age::Identity)))
            .map_err(|e| anyhow!("{} can't be decrypted: {e}", path.display()))?;
        Ok(BufReader::new(Box::new(opened)))
    }
}
