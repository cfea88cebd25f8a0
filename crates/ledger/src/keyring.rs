//! The keyring: a file of slots, each a random key wrapped by the key `ledger-slots`. Slots are filled and synced ahead of
//! need, so that a new subject costs no wait; erasing a subject overwrites its slot with zeros.
//!
//! A slot is 64 bytes: nonce (12), wrapped key (32), tag (16), CRC-32 of slot number and the rest (4). Sixty-four divides every
//! sector size, so a slot is never torn. Zeros mean erased. The CRC finds damage without the key.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ring::aead;
use tendon_kernel::{
    Result,
    context::{Context, File, Open},
    sockets::secrets::Key,
};

use crate::{
    breath::{STRETCH, breathe},
    cache::Cache,
    format::{corrupt, defect, disk_error},
    publish::write_whole,
    seal::{SlotKey, cipher},
};

/// Bytes of a slot.
pub(crate) const SLOT: usize = 64;
/// Unwrapped keys kept in memory.
const CACHED: usize = 8192;

/// What a slot's bytes are.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Slot {
    Key(SlotKey),
    Erased,
    Damaged,
}

/// Wraps and unwraps slots.
pub(crate) struct Wrapper(aead::LessSafeKey);

fn checksum(slot: u64, bytes: &[u8]) -> [u8; 4] {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&slot.to_le_bytes());
    crc.update(bytes);
    crc.finalize().to_le_bytes()
}

/// Whether a slot's bytes are as they were written, as far as that can be told without the key.
pub(crate) fn plausible(slot: u64, bytes: &[u8]) -> bool {
    bytes.split_at_checked(SLOT - 4).is_some_and(|(content, crc)| checksum(slot, content) == *crc)
}

/// Whether a slot's bytes say that it was erased.
pub(crate) fn is_erased(bytes: &[u8]) -> bool {
    bytes.len() == SLOT && bytes.iter().all(|&byte| byte == 0)
}

impl Wrapper {
    pub(crate) fn new(key: &Key) -> Result<Self> {
        cipher(&key.0).map(Self)
    }

    fn binding(slot: u64) -> aead::Aad<[u8; 24]> {
        let mut out = *b"tendon slot v1\0\0        ";
        out[16..].copy_from_slice(&slot.to_le_bytes());
        aead::Aad::from(out)
    }

    fn wrap(&self, slot: u64, key: &SlotKey, nonce: [u8; 12]) -> Result<[u8; SLOT]> {
        let mut out = [0; SLOT];
        out[..12].copy_from_slice(&nonce);
        out[12..44].copy_from_slice(&key.0);
        let tag = self
            .0
            .seal_in_place_separate_tag(
                aead::Nonce::assume_unique_for_key(nonce),
                Self::binding(slot),
                &mut out[12..44],
            )
            .map_err(|_| defect("wrap a key"))?;
        out[44..60].copy_from_slice(tag.as_ref());
        let crc = checksum(slot, &out[..60]);
        out[60..].copy_from_slice(&crc);
        Ok(out)
    }

    /// Reads a slot's bytes.
    pub(crate) fn unwrap(&self, slot: u64, bytes: &[u8]) -> Slot {
        if is_erased(bytes) {
            return Slot::Erased;
        }
        if !plausible(slot, bytes) {
            return Slot::Damaged;
        }
        let open = || {
            let nonce = aead::Nonce::try_assume_unique_for_key(bytes.get(..12)?).ok()?;
            let mut buffer: [u8; 48] = bytes.get(12..60)?.try_into().ok()?;
            let plain = self.0.open_in_place(nonce, Self::binding(slot), &mut buffer).ok()?;
            let key = SlotKey(plain.as_ref().try_into().ok()?);
            buffer.fill(0);
            Some(key)
        };
        open().map_or(Slot::Damaged, Slot::Key)
    }
}

struct Ring {
    /// Slots in the file, all durable.
    len: u64,
    /// Keys of the slots that nobody has, ending at `len`.
    spare: VecDeque<SlotKey>,
    cache: Cache<u64, SlotKey>,
    /// Slots erased since the keyring was opened: their keys are gone for readers before the file is overwritten.
    erased: BTreeSet<u64>,
    /// A sync failed: this file is not written any more; a copy takes its place before the next change.
    failed: bool,
}

/// The open keyring.
pub(crate) struct Keyring {
    context: Context,
    path: String,
    file: Mutex<Arc<dyn File>>,
    wrapper: Wrapper,
    chunk: u64,
    ring: Mutex<Ring>,
    /// One filling or erasing at a time.
    writing: tokio::sync::Mutex<()>,
}

impl Keyring {
    /// Opens the keyring; `next` is the first slot that no entry uses. What is damaged from there on was never used
    /// (a filling that a crash cut off) and is cut.
    ///
    /// # Errors
    /// `Corrupt` when slots that are in use are missing.
    pub(crate) async fn open(context: &Context, path: &str, key: &Key, chunk: u64, next: u64) -> Result<Self> {
        let io = |error: std::io::Error| disk_error("open its keyring", path, &error);
        let wrapper = Wrapper::new(key)?;
        let file = context.disk.open(path, Open::ReadWrite).map_err(io)?;
        let bytes = file.len().map_err(io)?;
        if bytes < next * SLOT as u64 {
            return Err(corrupt("ledger_keyring", "the keyring is shorter than the slots in use").with("file", path));
        }
        let mut len = next;
        let mut spare = VecDeque::new();
        let mut buffer = [0; SLOT];
        while (len + 1) * SLOT as u64 <= bytes {
            let read = file.read_at(&mut buffer, len * SLOT as u64).map_err(io)?;
            match wrapper.unwrap(len, buffer.get(..read).unwrap_or_default()) {
                Slot::Key(key) => spare.push_back(key),
                Slot::Erased | Slot::Damaged => break,
            }
            len += 1;
        }
        if bytes != len * SLOT as u64 {
            file.set_len(len * SLOT as u64).map_err(io)?;
            file.sync().await.map_err(io)?;
        }
        let ring = Mutex::new(Ring { len, spare, cache: Cache::new(CACHED), erased: BTreeSet::new(), failed: false });
        Ok(Self {
            context: context.clone(),
            path: path.to_owned(),
            file: Mutex::new(file),
            wrapper,
            chunk: chunk.max(1),
            ring,
            writing: tokio::sync::Mutex::new(()),
        })
    }

    fn file(&self) -> Arc<dyn File> {
        Arc::clone(&self.file.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the next slot; `None` when none is spare: await [`Keyring::fill`].
    pub(crate) fn take(&self) -> Option<(u64, SlotKey)> {
        let mut ring = self.ring();
        let slot = ring.len - ring.spare.len() as u64;
        let key = ring.spare.pop_front()?;
        ring.cache.put(slot, key.clone());
        Some((slot, key))
    }

    /// Whether it is time to fill in the background.
    pub(crate) fn low(&self) -> bool {
        (self.ring().spare.len() as u64) < self.chunk.div_ceil(2)
    }

    /// Whether no slot is spare.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.ring().spare.is_empty()
    }

    /// Adds a chunk of slots, if fewer than half a chunk are spare, and makes it durable before anybody gets one.
    ///
    /// # Errors
    /// `Unavailable` when the disk refuses.
    pub(crate) async fn fill(&self) -> Result<()> {
        let _one = self.writing.lock().await;
        let start = {
            let ring = self.ring();
            if (ring.spare.len() as u64) >= self.chunk.div_ceil(2) {
                return Ok(());
            }
            ring.len
        };
        self.renew().await?;
        let file = self.file();
        let mut keys = VecDeque::new();
        let mut bytes = Vec::new();
        for slot in start..start + self.chunk {
            if slot.is_multiple_of(STRETCH as u64) {
                breathe().await;
            }
            let mut random = [0; 44];
            self.context.entropy.fill(&mut random);
            let mut nonce = [0; 12];
            nonce.copy_from_slice(&random[..12]);
            let mut key = SlotKey([0; 32]);
            key.0.copy_from_slice(&random[12..]);
            bytes.extend_from_slice(&self.wrapper.wrap(slot, &key, nonce)?);
            keys.push_back(key);
        }
        if let Err(error) = file.write_at(&bytes, start * SLOT as u64) {
            // Nothing was synced: cut what was written, so that no slack stays behind. A failure is harmless: the next
            // filling writes the same place, and opening cuts too.
            drop(file.set_len(start * SLOT as u64));
            return Err(disk_error("add keys to its keyring", &self.path, &error));
        }
        self.sync().await?;
        let mut ring = self.ring();
        ring.len = start + self.chunk;
        ring.spare.append(&mut keys);
        Ok(())
    }

    async fn sync(&self) -> Result<()> {
        self.file().sync().await.map_err(|error| {
            self.ring().failed = true;
            disk_error("make its keyring durable", &self.path, &error)
        })
    }

    /// After a failed sync, puts a copy in the keyring's place: what was durable before, checked slot by slot, with the slots
    /// erased meanwhile as zeros.
    async fn renew(&self) -> Result<()> {
        let (len, erased) = {
            let ring = self.ring();
            if !ring.failed {
                return Ok(());
            }
            (ring.len, ring.erased.clone())
        };
        let old = self.file();
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0) * SLOT];
        let read = old.read_at(&mut bytes, 0).map_err(|error| disk_error("read its keyring", &self.path, &error))?;
        bytes.truncate(read);
        for (slot, content) in (0..len).zip(bytes.chunks_mut(SLOT)) {
            if erased.contains(&slot) {
                content.fill(0);
            } else if self.wrapper.unwrap(slot, content) == Slot::Damaged {
                return Err(corrupt("ledger_keyring", "a slot of the keyring is damaged after a failed sync")
                    .with("slot", slot));
            }
        }
        if bytes.len() as u64 != len * SLOT as u64 {
            return Err(corrupt("ledger_keyring", "slots of the keyring are missing after a failed sync")
                .with("file", &self.path));
        }
        let (folder, name) = self.path.rsplit_once('/').unwrap_or(("", &self.path));
        write_whole(&*self.context.disk, folder, name, &bytes).await?;
        let file = self.context.disk.open(&self.path, Open::ReadWrite);
        let file = file.map_err(|error| disk_error("open its keyring", &self.path, &error))?;
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = file;
        self.ring().failed = false;
        Ok(())
    }

    /// The key of a slot; `None` when it was erased.
    ///
    /// # Errors
    /// `Corrupt` when the slot is damaged.
    pub(crate) fn key(&self, slot: u64) -> Result<Option<SlotKey>> {
        {
            let mut ring = self.ring();
            if ring.erased.contains(&slot) {
                return Ok(None);
            }
            if let Some(key) = ring.cache.get(&slot) {
                return Ok(Some(key));
            }
        }
        let mut buffer = [0; SLOT];
        let read = self
            .file()
            .read_at(&mut buffer, slot.saturating_mul(SLOT as u64))
            .map_err(|error| disk_error("read its keyring", &self.path, &error))?;
        match self.wrapper.unwrap(slot, buffer.get(..read).unwrap_or_default()) {
            Slot::Key(key) => {
                let mut ring = self.ring();
                if ring.erased.contains(&slot) {
                    return Ok(None);
                }
                ring.cache.put(slot, key.clone());
                Ok(Some(key))
            }
            Slot::Erased => Ok(None),
            Slot::Damaged => Err(corrupt("ledger_keyring", "a slot of the keyring is damaged")
                .with("slot", slot)
                .with("file", &self.path)),
        }
    }

    /// The erasure of these slots is durable in the ledger: nobody gets their keys any more.
    pub(crate) fn mark_erased(&self, slots: &[u64]) {
        let mut ring = self.ring();
        ring.erased.extend(slots);
        for slot in slots {
            ring.cache.remove(slot);
        }
    }

    /// Whether the slot was erased since the keyring was opened.
    pub(crate) fn erased_lately(&self, slot: u64) -> bool {
        self.ring().erased.contains(&slot)
    }

    /// Overwrites slots with zeros and makes that durable.
    ///
    /// # Errors
    /// `Unavailable` when the disk refuses: the slot may still hold its key; opening the ledger again does it.
    pub(crate) async fn erase(&self, slots: &[u64]) -> Result<()> {
        let _one = self.writing.lock().await;
        self.mark_erased(slots);
        self.renew().await?;
        let file = self.file();
        for slot in slots {
            file.write_at(&[0; SLOT], slot * SLOT as u64)
                .map_err(|error| disk_error("erase a key", &self.path, &error))?;
        }
        self.sync().await
    }
}
