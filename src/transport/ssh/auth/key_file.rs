//! A private key in a file, perhaps behind a passphrase.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use russh::keys::signature::Signer;
use russh::keys::ssh_encoding::Encode;
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::ssh_key::{self, Signature};
use russh::keys::{
    Algorithm, Certificate, HashAlg, PrivateKey, PublicKey, decode_secret_key, load_public_key,
};

use crate::transport::Error;
use crate::transport::ssh::ask::Asker;
use crate::transport::ssh::auth::form;

/// How often a passphrase is asked for.
const PASSPHRASE_TRIES: usize = 3;

/// A key file that was read.
#[derive(Clone)]
pub(super) struct KeyFile {
    pub(super) path: PathBuf,
    secret: Secret,
}

#[derive(Clone)]
enum Secret {
    Open(Box<PrivateKey>),
    Locked(String),
}

/// What a name given as an identity file turned out to be.
pub(super) enum Found {
    /// A private key, and its public key where that can be known without the passphrase.
    Private(KeyFile, Option<PublicKey>),
    /// What names a key in a device, with its public half.
    Device(PublicKey),
    /// A private key behind a passphrase, in this form that only `ssh` reads, and its public key where that is known.
    Foreign(String, Option<PublicKey>),
    /// Only a public key, whose private one may be in the agent.
    Public(PublicKey),
    Missing,
    /// The file cannot be used, for the reason given as the end of a sentence.
    Unusable(String),
}

/// Reads the identity file `path`, and the public key in `path.pub` where the private one does not tell.
pub(super) fn find(path: &Path) -> Found {
    let public = || load_public_key(with_suffix(path, ".pub")).ok();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return public().map_or(Found::Missing, Found::Public);
        }
        Err(error) => return Found::Unusable(error.to_string()),
    };
    if !text.contains("-----BEGIN ") {
        return load_public_key(path)
            .map_or_else(|_| Found::Unusable("it holds no key".to_owned()), Found::Public);
    }
    if is_open_to_others(path) {
        return Found::Unusable("others may read it (its mode should be 600)".to_owned());
    }
    let file = |secret| KeyFile { path: path.to_owned(), secret };
    match decode_secret_key(&text, None) {
        Ok(key) => {
            let public = key.public_key().clone();
            if is_in_a_device(&public) {
                return Found::Device(public);
            }
            Found::Private(file(Secret::Open(Box::new(key))), Some(public))
        }
        Err(error) => {
            let container = PrivateKey::from_openssh(&text).ok().filter(PrivateKey::is_encrypted);
            let known = container.as_ref().map(|key| key.public_key().clone());
            if let Some(key) = known.as_ref().filter(|key| is_in_a_device(key)) {
                return Found::Device(key.clone());
            }
            if known.is_none() && !text.contains("ENCRYPTED") {
                return Found::Unusable(format!("it cannot be read ({error})"));
            }
            match form::unread(&text, container.as_ref()) {
                Some(form) => Found::Foreign(form, known.or_else(public)),
                None => Found::Private(file(Secret::Locked(text)), known.or_else(public)),
            }
        }
    }
}

fn is_in_a_device(key: &PublicKey) -> bool {
    matches!(key.algorithm(), Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256)
}

/// Reads the certificate in `path`, where there is one.
pub(super) fn certificate(path: &Path) -> Option<Certificate> {
    let text = std::fs::read_to_string(path).ok()?;
    Certificate::from_openssh(text.lines().next()?).ok()
}

/// Returns the name of the file beside `path`, such as `id_rsa-cert.pub`.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Whether somebody else may read our own key. A key of another owner is shared on purpose, as OpenSSH sees it.
fn is_open_to_others(path: &Path) -> bool {
    let own = rustix::process::geteuid().as_raw();
    std::fs::metadata(path).is_ok_and(|meta| meta.uid() == own && meta.mode() & 0o077 != 0)
}

impl KeyFile {
    /// Whether signing takes a passphrase.
    pub(super) fn is_locked(&self) -> bool {
        matches!(self.secret, Secret::Locked(_))
    }

    /// Returns the key, asking for the passphrase if it has one; `None` when nobody gives the right one.
    pub(super) async fn unlock(&mut self, asker: &Asker) -> Result<Option<&PrivateKey>, Error> {
        if let Secret::Locked(text) = &self.secret {
            let mut opened = None;
            for _ in 0..PASSPHRASE_TRIES {
                if !asker.can_ask() {
                    break;
                }
                let prompt = format!("Passphrase for key {}: ", self.path.display());
                let passphrase = asker.secret("the passphrase", prompt).await?;
                if let Ok(key) = decode_secret_key(text, Some(&passphrase)) {
                    opened = Some(key);
                    break;
                }
            }
            let Some(key) = opened else { return Ok(None) };
            self.secret = Secret::Open(Box::new(key));
        }
        match &self.secret {
            Secret::Open(key) => Ok(Some(key)),
            Secret::Locked(_) => Ok(None),
        }
    }
}

/// Returns `data` with the signature by `key` appended, as a login request carries it.
///
/// `hash` is for RSA keys; without it the signature would be by SHA-1.
pub(super) fn sign(
    key: &PrivateKey,
    hash: Option<HashAlg>,
    mut data: Vec<u8>,
) -> Result<Vec<u8>, ssh_key::Error> {
    let signature: Signature = match key.key_data() {
        KeypairData::Rsa(pair) => (pair, hash).try_sign(&data)?,
        pair => pair.try_sign(&data)?,
    };
    signature.encode_prefixed(&mut data)?;
    Ok(data)
}
