//! Keys in files: Ed25519, one file each, readable by their owner alone.
//!
//! ```text
//! NAME.key = {"version": 1, "did": "did:key:…", "secret": "64 hexadecimal digits"}
//!          | {"version": 1, "did": "did:key:…", "sealed": {"kdf": "argon2id", "memory": KiB, "passes": n, "salt": hex,
//!             "cipher": "xchacha20poly1305", "nonce": hex, "secret": hex}}
//! ```
//!
//! A sealed secret is opened by a passphrase: `CHANCERY_PASSPHRASE`, or asked for on the terminal; a new one twice. The associated data is the `did`.

use crate::failure::{Failure, Outcome};
use crate::files;
use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use chancery_node::{Disk, NodeError, OsDisk};
use chancery_types::PublicKey;
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Memory in KiB and passes of argon2id: the second recommended choice of RFC 9106, §4.
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;

/// A directory of keys.
pub struct Keys {
    dir: PathBuf,
}

/// What a key file says without being opened.
pub struct Listed {
    /// Its name.
    pub name: String,
    /// The public key.
    pub key: PublicKey,
    /// Whether a passphrase is needed.
    pub sealed: bool,
}

impl Keys {
    pub fn new(dir: &Path) -> Self {
        Keys { dir: dir.into() }
    }

    pub fn path(&self, name: &str) -> Outcome<PathBuf> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.len() > 100 || name.starts_with('.') || !name.chars().all(allowed) {
            return Err(Failure::usage(format!(
                "`{name}` cannot name a key: expected letters, digits, `-`, `_` and `.`"
            )));
        }
        Ok(self.dir.join(format!("{name}.key")))
    }

    /// Makes a key.
    pub fn create(&self, name: &str, passphrase: Option<&str>) -> Outcome<SigningKey> {
        let path = self.path(name)?;
        let mut secret = Zeroizing::new([0; 32]);
        random(&mut *secret)?;
        let key = SigningKey::from_bytes(&secret);
        let did = PublicKey(key.verifying_key().to_bytes()).to_did();
        let file = match passphrase {
            None => json!({"version": 1, "did": did, "secret": hex::encode(*secret)}),
            Some(passphrase) => json!({"version": 1, "did": did, "sealed": seal(&secret, passphrase, &did)?}),
        };
        let disk: &dyn Disk = &OsDisk;
        disk.make_dirs(&self.dir, 0o700).map_err(|error| match error {
            NodeError::DiskFull => files::not_written(&path, &ErrorKind::StorageFull.into()),
            other => other.into(),
        })?;
        let text = Zeroizing::new(format!("{file:#}\n"));
        files::create(&path, text.as_bytes(), 0o600).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => {
                Failure::usage(format!("the key `{name}` exists already ({}): choose another name", path.display()))
            }
            _ => files::not_written(&path, &error),
        })?;
        Ok(key)
    }

    /// Opens a key.
    pub fn open(&self, name: &str) -> Outcome<SigningKey> {
        let path = self.path(name)?;
        let damaged = || Failure::usage(format!("{} is not a key file of this program, or is damaged", path.display()));
        let file = self.read(name)?;
        let did = file["did"].as_str().ok_or_else(damaged)?;
        let secret = match (&file["secret"], &file["sealed"]) {
            (Value::String(secret), _) => Zeroizing::new(hex::decode(secret).map_err(|_| damaged())?),
            (_, sealed @ Value::Object(_)) => unseal(sealed, &passphrase(name)?, did).ok_or_else(|| {
                Failure::usage(format!("the passphrase of `{name}` is wrong, or {} was changed", path.display()))
            })?,
            _ => return Err(damaged()),
        };
        let secret = <[u8; 32]>::try_from(secret.as_slice()).map_err(|_| damaged())?;
        let key = SigningKey::from_bytes(&secret);
        if PublicKey(key.verifying_key().to_bytes()).to_did() != did {
            return Err(damaged());
        }
        Ok(key)
    }

    fn read(&self, name: &str) -> Outcome<Value> {
        let path = self.path(name)?;
        let failed = |error: std::io::Error| match error.kind() {
            ErrorKind::NotFound => {
                let known = self.names().unwrap_or_default().join(", ");
                let known = if known.is_empty() { "none".into() } else { known };
                Failure::not_found(format!(
                    "there is no key `{name}` in {} (there are: {known}): make it with `chancery key new {name}`",
                    self.dir.display()
                ))
            }
            _ => Failure::file("cannot read", &path, &error),
        };
        let mode = std::fs::metadata(&path).map_err(failed)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(Failure::usage(format!(
                "{} can be read by others (mode {:o}): chmod 600 it",
                path.display(),
                mode & 0o777
            )));
        }
        let text = Zeroizing::new(std::fs::read_to_string(&path).map_err(failed)?);
        let file: Value = serde_json::from_str(&text).unwrap_or_default();
        if file["version"] != 1 {
            return Err(Failure::usage(format!("{} is not a key file of version 1", path.display())));
        }
        Ok(file)
    }

    /// The names of the files of keys, whether or not each can be read.
    pub fn names(&self) -> Outcome<Vec<String>> {
        let files = match self.dir.read_dir() {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            files => files.map_err(|error| Failure::file("cannot read", &self.dir, &error))?,
        };
        let name = |name: &str| name.strip_suffix(".key").map(String::from);
        let mut names: Vec<String> = files.filter_map(|file| name(&file.ok()?.file_name().to_string_lossy())).collect();
        names.sort();
        Ok(names)
    }

    /// All keys, by name; of a file that cannot be used, why not.
    pub fn list(&self) -> Outcome<Vec<(String, Outcome<Listed>)>> {
        let list = |name: String| {
            let key = self.public(&name);
            (name, key)
        };
        Ok(self.names()?.into_iter().map(list).collect())
    }

    /// The public half of a key, without its passphrase. Where there is none, it must be that of the secret beside it.
    pub fn public(&self, name: &str) -> Outcome<Listed> {
        let file = self.read(name)?;
        let sealed = file["sealed"].is_object() && !file["secret"].is_string();
        if !sealed {
            let key = PublicKey(self.open(name)?.verifying_key().to_bytes());
            return Ok(Listed { name: name.into(), key, sealed });
        }
        let key = file["did"].as_str().and_then(PublicKey::from_did);
        let key = key.ok_or_else(|| Failure::usage(format!("the key file of `{name}` is damaged: its did is none")))?;
        Ok(Listed { name: name.into(), key, sealed })
    }
}

/// Fills bytes with randomness of the system.
pub fn random(bytes: &mut [u8]) -> Outcome {
    getrandom::fill(bytes).map_err(|error| Failure::internal(format!("the system gives no randomness: {error}")))
}

/// A random number of 128 bits: the id of a new request.
pub fn request_id() -> Outcome<u128> {
    let mut bytes = [0; 16];
    random(&mut bytes)?;
    Ok(u128::from_le_bytes(bytes))
}

fn derive(passphrase: &str, salt: &[u8], memory: u32, passes: u32) -> Option<Zeroizing<[u8; 32]>> {
    let params = Params::new(memory, passes, 1, Some(32)).ok()?;
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), salt, &mut *key)
        .ok()?;
    Some(key)
}

fn seal(secret: &[u8; 32], passphrase: &str, did: &str) -> Outcome<Value> {
    let (mut salt, mut nonce) = ([0; 16], [0; 24]);
    random(&mut salt)?;
    random(&mut nonce)?;
    let failed = || Failure::internal("sealing the key failed");
    let key = derive(passphrase, &salt, MEMORY_KIB, PASSES).ok_or_else(failed)?;
    let cipher = XChaCha20Poly1305::new(&Key::from(*key));
    let payload = Payload { msg: secret, aad: did.as_bytes() };
    let sealed = cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| failed())?;
    Ok(json!({
        "kdf": "argon2id", "memory": MEMORY_KIB, "passes": PASSES, "salt": hex::encode(salt),
        "cipher": "xchacha20poly1305", "nonce": hex::encode(nonce), "secret": hex::encode(sealed),
    }))
}

/// The secret, or `None` where the passphrase or the file is wrong.
fn unseal(sealed: &Value, passphrase: &str, did: &str) -> Option<Zeroizing<Vec<u8>>> {
    let bytes = |name: &str| hex::decode(sealed[name].as_str()?).ok();
    // A file asks for at most a gigabyte.
    let number =
        |name: &str| sealed[name].as_u64().filter(|number| *number <= 1 << 20).and_then(|n| u32::try_from(n).ok());
    let key =
        derive(passphrase, &bytes("salt")?, number("memory")?, number("passes").filter(|passes| *passes <= 100)?)?;
    let nonce = <[u8; 24]>::try_from(bytes("nonce")?).ok()?;
    let payload = Payload { msg: &bytes("secret")?, aad: did.as_bytes() };
    XChaCha20Poly1305::new(&Key::from(*key)).decrypt(&XNonce::from(nonce), payload).ok().map(Zeroizing::new)
}

/// The passphrase of a key: from the environment, or asked for.
fn passphrase(name: &str) -> Outcome<Zeroizing<String>> {
    match std::env::var("CHANCERY_PASSPHRASE") {
        Ok(passphrase) => Ok(Zeroizing::new(passphrase)),
        Err(_) => ask(name, &format!("passphrase of {name}: ")),
    }
}

/// The passphrase of a new key: from the environment, or asked for twice, so that a slip of the hand does not lock its owner out.
pub fn new_passphrase(name: &str) -> Outcome<Zeroizing<String>> {
    let given = std::env::var("CHANCERY_PASSPHRASE").ok().map(Zeroizing::new);
    let passphrase = match &given {
        Some(passphrase) => passphrase.clone(),
        None => ask(name, &format!("new passphrase of {name}: "))?,
    };
    if passphrase.is_empty() {
        let from = if given.is_some() { " in CHANCERY_PASSPHRASE" } else { "" };
        return Err(Failure::usage(format!(
            "the passphrase{from} is empty and would protect nothing: give another, or leave out --passphrase. No key was made"
        )));
    }
    if given.is_none() && *ask(name, "the same again: ")? != *passphrase {
        return Err(Failure::usage("the two passphrases differ: try again. No key was made"));
    }
    Ok(passphrase)
}

fn ask(name: &str, prompt: &str) -> Outcome<Zeroizing<String>> {
    rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(|error| {
        Failure::usage(format!(
            "the passphrase of `{name}` is needed ({error}): set CHANCERY_PASSPHRASE or use a terminal"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_key_opens_with_its_passphrase_alone() {
        let sealed = seal(&[7; 32], "correct horse", "did:key:a").unwrap();
        assert_eq!(unseal(&sealed, "correct horse", "did:key:a").unwrap().as_slice(), [7; 32]);
        assert!(unseal(&sealed, "wrong", "did:key:a").is_none());
        assert!(unseal(&sealed, "correct horse", "did:key:b").is_none());
    }

    #[test]
    fn a_key_file_is_its_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let keys = Keys::new(&dir.path().join("keys"));
        let key = keys.create("officer", None).unwrap();
        assert_eq!(keys.open("officer").unwrap(), key);
        assert!(keys.create("officer", None).unwrap_err().message.contains("exists already"));
        let path = keys.path("officer").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(keys.open("officer").unwrap_err().message.contains("chmod 600"));
        assert!(keys.path("../x").is_err());
        assert!(keys.open("nobody").unwrap_err().message.contains("key new nobody"));
    }
}
