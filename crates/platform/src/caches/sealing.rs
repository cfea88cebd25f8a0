//! What a shared cache may see: names that are keyed hashes of names, and values encrypted under their names (AES-256-GCM), so
//! that none can be read, guessed, or put in another's place. Both keys follow from the project's key and an epoch, random
//! bytes in the store of records: with a new epoch, everything that lies in the cache is lost for good.

use std::sync::{Arc, PoisonError, RwLock};

use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hmac,
};
use tendon_kernel::{
    Error, ErrorKind, Result,
    context::Entropy,
    sockets::{
        cache::CacheKey,
        secrets::Key,
        store::{Batch, Store, Table},
    },
};

const TABLE: Table = Table("cache");
const EPOCH: &[u8] = b"epoch";

/// Names and seals; one for a cache.
pub(super) struct Sealing {
    key: Key,
    store: Arc<dyn Store>,
    entropy: Arc<dyn Entropy>,
    now: RwLock<Arc<Epoch>>,
}

/// The keys of an epoch.
pub(super) struct Epoch {
    names: hmac::Key,
    seals: hmac::Key,
}

impl Sealing {
    /// Takes up the epoch where it was, or begins one.
    pub(super) async fn open(key: Key, store: Arc<dyn Store>, entropy: Arc<dyn Entropy>) -> Result<Self> {
        let epoch = match store.get(TABLE, EPOCH).await? {
            Some(epoch) => epoch,
            None => begin(&*store, &*entropy).await?,
        };
        let now = RwLock::new(Arc::new(Epoch::new(&key, &epoch)));
        Ok(Self { key, store, entropy, now })
    }

    pub(super) fn epoch(&self) -> Arc<Epoch> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Gives up everything that was sealed so far.
    ///
    /// # Errors
    /// As the store's: then nothing changed.
    pub(super) async fn renew(&self) -> Result<()> {
        let epoch = begin(&*self.store, &*self.entropy).await?;
        let epoch = Arc::new(Epoch::new(&self.key, &epoch));
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = epoch;
        Ok(())
    }
}

/// Forgets the epoch of a shared cache: for a process that uses none, so that what was erased meanwhile cannot come back when
/// it is used again.
///
/// # Errors
/// As the store's.
pub async fn forget_shared(store: &dyn Store) -> Result<()> {
    if store.get(TABLE, EPOCH).await?.is_none() {
        return Ok(());
    }
    let mut batch = Batch::default();
    batch.delete(TABLE, EPOCH);
    store.write(batch).await
}

async fn begin(store: &dyn Store, entropy: &dyn Entropy) -> Result<Vec<u8>> {
    let mut epoch = vec![0; 32];
    entropy.fill(&mut epoch);
    let mut batch = Batch::default();
    batch.put(TABLE, EPOCH, epoch.clone());
    store.write(batch).await?;
    Ok(epoch)
}

impl Epoch {
    fn new(key: &Key, epoch: &[u8]) -> Self {
        let master = hmac::Key::new(hmac::HMAC_SHA256, &key.0);
        let derive = |what: &[u8]| hmac::sign(&master, &[what, epoch].concat());
        let keyed = |what: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, derive(what).as_ref());
        Self { names: keyed(b"names\0"), seals: keyed(b"seal\0") }
    }

    /// Each tag has a key of its own, so that random nonces never run out.
    fn seal_of(&self, tag: &[u8]) -> Result<LessSafeKey> {
        let key = UnboundKey::new(&AES_256_GCM, hmac::sign(&self.seals, tag).as_ref());
        key.map(LessSafeKey::new).map_err(|_| cannot("a key is not taken"))
    }

    /// Name of a tag's entries, and of one of them.
    pub(super) fn names(&self, key: &CacheKey) -> (Vec<u8>, Vec<u8>) {
        (self.tag(&key.tag), self.name(b"key\0", &key.key)[..16].to_vec())
    }

    /// Name of a tag's entries.
    pub(super) fn tag(&self, tag: &[u8; 16]) -> Vec<u8> {
        let name = self.name(b"tag\0", tag);
        let hex = name[..16].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        format!("tendon:{hex}").into_bytes()
    }

    fn name(&self, what: &[u8], token: &[u8; 16]) -> [u8; 32] {
        let mut name = [0; 32];
        name.copy_from_slice(hmac::sign(&self.names, &[what, token].concat()).as_ref());
        name
    }

    pub(super) fn seal(&self, entropy: &dyn Entropy, names: &(Vec<u8>, Vec<u8>), value: &[u8]) -> Result<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        entropy.fill(&mut nonce);
        let mut sealed = value.to_vec();
        let place = Aad::from([names.0.as_slice(), &names.1].concat());
        let done =
            self.seal_of(&names.0)?.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), place, &mut sealed);
        done.map_err(|_| cannot("a value is not sealed"))?;
        sealed.splice(0..0, nonce);
        Ok(sealed)
    }

    /// `None` for what was not sealed here, or lies in another's place.
    pub(super) fn open(&self, names: &(Vec<u8>, Vec<u8>), sealed: &[u8]) -> Option<Arc<[u8]>> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut bytes = sealed.to_vec();
        let place = Aad::from([names.0.as_slice(), &names.1].concat());
        self.seal_of(&names.0).ok()?.open_in_place(nonce, place, &mut bytes).ok().map(|opened| Arc::from(&*opened))
    }
}

fn cannot(what: &'static str) -> Error {
    Error::new(ErrorKind::Internal, "cache_sealing", "the cache's values cannot be sealed").private(what)
}
