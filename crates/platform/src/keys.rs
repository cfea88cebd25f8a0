//! Keys in sealed local files: `<folder>/<name>.key` holds a random 256-bit key, encrypted under a master key with
//! AES-256-GCM and bound to its name. The master key comes from the configuration, or lies beside them in `master` (0600),
//! made on first use; backups of the folder without `master` are of no use to who finds them.
//!
//! A key's file is synced, and so is its name, before the key is handed out: nothing may be sealed with a key that a power
//! cut could take.
//!
//! Layout of a key file, 68 bytes: `tdnkey1\n`, nonce (12), ciphertext (32), tag (16). Associated data:
//! `tendon key 1 ` and the name. `master` is 64 hexadecimal digits and a line break.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom as _, SystemRandom},
};
use tendon_kernel::{
    error::{Error, ErrorKind, Result},
    sockets::secrets::{Key, Keys, Secret},
};

use crate::io_error;

const MAGIC: &[u8; 8] = b"tdnkey1\n";
const KEY_FILE: usize = MAGIC.len() + NONCE_LEN + 32 + 16;

/// See the module's head.
pub struct SealedKeys {
    folder: PathBuf,
    master: LessSafeKey,
    known: Mutex<BTreeMap<String, Key>>,
}

fn failed<'a>(path: &'a Path) -> impl Fn(io::Error) -> Error + 'a {
    move |error| io_error("keys_failed", "a key could not be read or kept", path, &error)
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| {
        Error::new(ErrorKind::Unavailable, "no_entropy", "the operating system gives no random bytes for a key")
    })?;
    Ok(bytes)
}

/// Writes a file that must not exist yet, all or nothing, and syncs it and its name. False when it exists.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<bool> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let draft = path.with_extension(format!("draft-{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    // Unlike a rename, a link never replaces a key that another process made meanwhile.
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
        linked => linked?,
    }
    File::open(folder)?.sync_all()?;
    Ok(true)
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(path)(error)),
    }
}

/// 64 hexadecimal digits as a key.
fn parse_master(text: &str) -> Option<[u8; 32]> {
    let digits = text.trim().as_bytes();
    let mut key = [0; 32];
    if digits.len() != 64 {
        return None;
    }
    for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        let value = char::from(*high).to_digit(16)? * 16 + char::from(*low).to_digit(16)?;
        *byte = u8::try_from(value).ok()?;
    }
    Some(key)
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

impl SealedKeys {
    /// Opens the folder of keys (`.tendon/keys`), making it when missing. `master` is the configured master key (64
    /// hexadecimal digits, from a secret reference such as `${env:TENDON_MASTER_KEY}`); without it the one beside the keys
    /// is used, and made when there are no keys yet.
    ///
    /// # Errors
    /// `Config` when the configured master key has another form; `Corrupt` when `master` is missing or damaged although
    /// there are keys; `Unavailable` when files cannot be used.
    pub fn open(folder: &Path, master: Option<&Secret>) -> Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed(folder))?;
        let bytes = match master {
            Some(secret) => parse_master(secret.reveal()).ok_or_else(|| {
                Error::new(ErrorKind::Config, "master_key_form", "the configured master key has the wrong form")
                    .hint("it must be 64 hexadecimal digits, for example from `openssl rand -hex 32`")
            })?,
            None => local_master(folder)?,
        };
        let unusable = |_| Error::new(ErrorKind::Internal, "master_key", "the master key could not be used");
        let master = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &bytes).map_err(unusable)?);
        Ok(Self { folder: folder.to_path_buf(), master, known: Mutex::default() })
    }

    fn unwrap(&self, name: &str, file: &[u8]) -> Result<Key> {
        let damaged = || {
            Error::new(ErrorKind::Corrupt, "key_unreadable", "a kept key cannot be opened").with("key", name).hint(
                "either another master key is configured than the one it was made with, or the file is damaged: \
                 restore both from the same backup",
            )
        };
        let sealed = file.strip_prefix(MAGIC).filter(|_| file.len() == KEY_FILE).ok_or_else(damaged)?;
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN).ok_or_else(damaged)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| damaged())?;
        let mut sealed = sealed.to_vec();
        let plain = self.master.open_in_place(nonce, associated(name), &mut sealed).map_err(|_| damaged())?;
        let key = <[u8; 32]>::try_from(&*plain).map_err(|_| damaged())?;
        Ok(Key(key))
    }

    fn wrap(&self, name: &str, key: &Key) -> Result<Vec<u8>> {
        // Random nonces: a master key seals a handful of keys in its life, far from 2^32.
        let nonce: [u8; NONCE_LEN] = random()?;
        let mut sealed = key.0.to_vec();
        self.master
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), associated(name), &mut sealed)
            .map_err(|_| {
                Error::new(ErrorKind::Internal, "key_sealing", "a key could not be sealed").with("key", name)
            })?;
        Ok([MAGIC.as_slice(), &nonce, &sealed].concat())
    }
}

fn associated(name: &str) -> Aad<Vec<u8>> {
    Aad::from([b"tendon key 1 ", name.as_bytes()].concat())
}

/// The master key beside the keys.
fn local_master(folder: &Path) -> Result<[u8; 32]> {
    let path = folder.join("master");
    if read_if_there(&path)?.is_none() {
        let entries = fs::read_dir(folder).map_err(failed(folder))?;
        let orphans = entries.flatten().any(|entry| entry.path().extension().is_some_and(|end| end == "key"));
        if orphans {
            return Err(Error::new(
                ErrorKind::Corrupt,
                "master_key_missing",
                "there are keys but no master key to open them",
            )
            .hint("restore the file `master` beside them, or configure the master key they were made with"));
        }
        let fresh: [u8; 32] = random()?;
        write_new(&path, format!("{}\n", hex(&fresh)).as_bytes()).map_err(failed(&path))?;
    }
    let text = read_if_there(&path)?.unwrap_or_default();
    std::str::from_utf8(&text).ok().and_then(parse_master).ok_or_else(|| {
        Error::new(ErrorKind::Corrupt, "master_key_unreadable", "the file with the master key is damaged")
            .hint("restore the file `master` from a backup")
    })
}

impl Keys for SealedKeys {
    fn key(&self, name: &str) -> Result<Key> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || !name.bytes().all(plain) {
            return Err(Error::new(
                ErrorKind::Invalid,
                "key_name",
                "a key's name has lower-case letters, digits and dashes",
            ));
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = known.get(name) {
            return Ok(key.clone());
        }
        let path = self.folder.join(format!("{name}.key"));
        if read_if_there(&path)?.is_none() {
            let sealed = self.wrap(name, &Key(random()?))?;
            write_new(&path, &sealed).map_err(failed(&path))?;
        }
        // Read back, also when just made: what is handed out is what a later start will find.
        let file = read_if_there(&path)?.unwrap_or_default();
        let key = self.unwrap(name, &file)?;
        known.insert(name.to_owned(), key.clone());
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn keys_stay_and_differ_and_lie_sealed() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("keys");
        let keys = SealedKeys::open(&folder, None).unwrap();
        let (one, two) = (keys.key("tokens").unwrap(), keys.key("ledger-slots").unwrap());
        assert!(one != two && one == keys.key("tokens").unwrap());
        let again = SealedKeys::open(&folder, None).unwrap();
        assert!(again.key("tokens").unwrap() == one && again.key("ledger-slots").unwrap() == two);
        let mut names = Vec::new();
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            let bytes = fs::read(&path).unwrap();
            assert!([&one, &two].iter().all(|key| !bytes.windows(32).any(|part| part == key.0)), "a key lies in clear");
            names.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
        names.sort();
        assert_eq!(names, ["ledger-slots.key", "master", "tokens.key"]);
        assert_eq!(keys.key("../x").unwrap_err().code(), "key_name");
    }

    #[test]
    fn a_wrong_master_a_flipped_bit_and_a_swapped_file_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let master = Secret::new("00ff".repeat(16));
        let keys = SealedKeys::open(folder.path(), Some(&master)).unwrap();
        let key = keys.key("tokens").unwrap();
        keys.key("other").unwrap();
        let file = folder.path().join("tokens.key");
        let good = fs::read(&file).unwrap();
        let ask = |master: &str| SealedKeys::open(folder.path(), Some(&Secret::new(master))).unwrap().key("tokens");
        let error = ask(&"00fe".repeat(16)).unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Corrupt, "key_unreadable"));
        assert!(error.hint_text().unwrap().contains("master key"));
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            fs::write(&file, bad).unwrap();
            assert_eq!(ask(master.reveal()).unwrap_err().kind(), ErrorKind::Corrupt, "byte {at}");
        }
        for cut in [0, 8, 20, 67] {
            fs::write(&file, &good[..cut]).unwrap();
            assert_eq!(ask(master.reveal()).unwrap_err().kind(), ErrorKind::Corrupt, "cut at {cut}");
        }
        fs::copy(folder.path().join("other.key"), &file).unwrap();
        assert_eq!(ask(master.reveal()).unwrap_err().kind(), ErrorKind::Corrupt);
        fs::write(&file, good).unwrap();
        assert!(ask(master.reveal()).unwrap() == key);
        assert_eq!(
            SealedKeys::open(folder.path(), Some(&Secret::new("short"))).err().unwrap().kind(),
            ErrorKind::Config
        );
        let missing = SealedKeys::open(folder.path(), None).err().unwrap();
        assert_eq!((missing.kind(), missing.code()), (ErrorKind::Corrupt, "master_key_missing"));
        assert!(!folder.path().join("master").exists());
    }
}
