//! Signed statements of how many events the log has and what their root hash is: C2SP tlog-checkpoint, a signed note
//! with Ed25519 keys.

use rand_core::OsRng;
use rollcall_domain::Sequence;
use signed_note::{Note, Signature, Signer as _, StandardSigner, StandardVerifier, Verifier, VerifierList};
use tlog_tiles::checkpoint::Checkpoint;

use crate::error::ProofError;
use crate::leaf::Hash;

/// A key that signs.
#[derive(Clone)]
pub struct Key {
    signer: StandardSigner,
    public: String,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("public", &self.public).finish_non_exhaustive()
    }
}

impl Key {
    /// A key from its text, `PRIVATE+KEY+name+id+data`.
    ///
    /// # Errors
    /// When it is not one.
    pub fn parse(text: &str) -> Result<Self, ProofError> {
        let bad = |reason: String| ProofError::Key { what: "private key", reason };
        let signer = StandardSigner::new(text.trim()).map_err(|e| bad(e.to_string()))?;
        let public = public_of(text.trim()).ok_or_else(|| bad("no Ed25519 seed".into()))?;
        Ok(Self { signer, public })
    }

    /// The name in its signatures; checkpoints have it as their origin.
    #[must_use]
    pub fn name(&self) -> &str {
        self.signer.name()
    }

    /// The public key, `name+id+data`: whoever has it can verify.
    #[must_use]
    pub fn public(&self) -> &str {
        &self.public
    }
}

fn public_of(text: &str) -> Option<String> {
    use base64::Engine as _;
    let (name, rest) = text.strip_prefix("PRIVATE+KEY+")?.split_once('+')?;
    let (_, data) = rest.split_once('+')?;
    let data = base64::engine::general_purpose::STANDARD.decode(data).ok()?;
    let seed = <[u8; 32]>::try_from(data.get(1..)?).ok()?;
    let signing = ed25519_dalek::SigningKey::from_bytes(&seed);
    Some(signed_note::new_ed25519_verifier_key(name, &signing.verifying_key()))
}

/// A new key: its private and its public text. The name is what its checkpoints are about: say whose log it is.
///
/// # Errors
/// When the name is empty, or has a space or a plus sign.
pub fn generate_key(name: &str) -> Result<(String, String), ProofError> {
    if !signed_note::is_key_name_valid(name) {
        let reason = format!("'{name}' can't be a name: it must not be empty, nor have a space or a plus sign");
        return Err(ProofError::Key { what: "key's name", reason });
    }
    Ok(signed_note::generate_key(&mut OsRng, name))
}

/// Signs how many events there are and their root hash, with each key; the first names the log.
///
/// # Errors
/// When there is no key.
pub fn sign(keys: &[Key], size: Sequence, root: Hash) -> Result<String, ProofError> {
    let failed = |reason: String| ProofError::Checkpoint(reason);
    let first = keys.first().ok_or_else(|| failed("there is no key to sign it with".into()))?;
    let checkpoint = Checkpoint::new(first.name(), size.0, root, "").map_err(|e| failed(e.to_string()))?;
    let mut note = Note::new(&checkpoint.to_bytes(), &[]).map_err(|e| failed(e.to_string()))?;
    let signers: Vec<&dyn signed_note::Signer> = keys.iter().map(|key| &key.signer as _).collect();
    note.add_sigs(&signers).map_err(|e| failed(e.to_string()))?;
    String::from_utf8(note.to_bytes()).map_err(|e| failed(e.to_string()))
}

/// The public keys that are trusted.
pub struct Keys {
    list: VerifierList,
    ids: Vec<(String, u32)>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys")
    }
}

/// What a checkpoint says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Signed {
    /// How many events there are.
    pub size: Sequence,
    /// Their root hash.
    pub root: Hash,
}

impl Keys {
    /// Public keys from their texts.
    ///
    /// # Errors
    /// When one is not a key.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, ProofError> {
        let parse = |text: &str| {
            let bad = |reason: String| ProofError::Key { what: "public key", reason };
            StandardVerifier::new(text.trim()).map_err(|e| bad(e.to_string()))
        };
        let all = texts.into_iter().map(parse).collect::<Result<Vec<StandardVerifier>, _>>()?;
        let ids = all.iter().map(|key| (key.name().to_owned(), key.key_id())).collect();
        let list = all.into_iter().map(|key| Box::new(key) as Box<dyn Verifier>).collect();
        Ok(Self { list: VerifierList::new(list), ids })
    }

    /// Whether a checkpoint says that one of these keys signed it.
    pub(crate) fn names(&self, note: &str) -> bool {
        let lines = note.lines().filter_map(|line| Signature::from_bytes(line.as_bytes()).ok());
        lines.into_iter().any(|found| self.ids.iter().any(|(name, id)| found.name() == name && found.id() == *id))
    }

    /// What a checkpoint says, when one of these keys signed it.
    ///
    /// # Errors
    /// When none did, or it is no checkpoint.
    pub fn open(&self, note: &str) -> Result<Signed, ProofError> {
        let opened = Note::from_bytes(note.as_bytes()).map_err(|e| ProofError::Checkpoint(e.to_string()))?;
        opened.verify(&self.list).map_err(|e| ProofError::Checkpoint(e.to_string()))?;
        read(opened.text())
    }
}

/// What a checkpoint says, whoever signed it.
pub(crate) fn unsigned(note: &str) -> Result<Signed, ProofError> {
    let opened = Note::from_bytes(note.as_bytes()).map_err(|e| ProofError::Checkpoint(e.to_string()))?;
    read(opened.text())
}

fn read(text: &[u8]) -> Result<Signed, ProofError> {
    let checkpoint = Checkpoint::from_bytes(text).map_err(|e| ProofError::Checkpoint(e.to_string()))?;
    Ok(Signed { size: Sequence(checkpoint.size()), root: *checkpoint.hash() })
}
