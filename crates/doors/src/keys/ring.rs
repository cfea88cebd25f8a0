//! The keys in force, in memory; the records store holds them durably, the ledger holds every change.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use arc_swap::ArcSwap;
use futures_util::future::FutureExt as _;
use tendon_kernel::{
    Error, ErrorKind, Result, Timestamp,
    context::Context,
    sockets::{
        ledger::Ledger,
        store::{Batch, Range, Store, Table},
    },
};

use super::{
    format::{self, Token, TokenError},
    record::{KeyRecord, TABLE, unreadable},
};
use crate::trust::Known;

/// When each key was last used: id → hour, in microseconds since the epoch as text.
const USE: Table = Table("api_key_use");
/// How coarse the last use is kept: one small write per key and hour, however many requests come.
const HOUR: i64 = 3_600_000_000;

/// A key in force.
struct Live {
    hash: [u8; 32],
    expires: Option<Timestamp>,
    known: Arc<Known>,
    /// The hour of its last use; shared with the state before and after a change of keys.
    used: Arc<AtomicI64>,
}

/// The keys in force.
pub struct KeyRing {
    pub(super) store: Arc<dyn Store>,
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) context: Context,
    live: ArcSwap<HashMap<String, Live>>,
}

impl KeyRing {
    /// Reads all keys from the records store.
    ///
    /// # Errors
    /// As the store's; `Corrupt` when a record cannot be read.
    pub async fn open(store: Arc<dyn Store>, ledger: Arc<dyn Ledger>, context: Context) -> Result<Self> {
        let ring = Self { store, ledger, context, live: ArcSwap::default() };
        ring.refresh().await?;
        Ok(ring)
    }

    /// Recognises a caller by the text of its key.
    ///
    /// # Errors
    /// `Unauthenticated`: foreign, mistyped, unknown, expired or revoked.
    pub fn recognise(&self, text: &str) -> Result<Arc<Known>> {
        let live = self.live.load();
        if let Some((id, key)) = format::id_of(text).and_then(|id| live.get_key_value(id))
            && same(&key.hash, &format::hash(text))
        {
            let now = self.context.clock.now();
            if key.expires.is_some_and(|end| now >= end) {
                return Err(Error::new(ErrorKind::Unauthenticated, "key_expired", "the API key has ended")
                    .hint("`tendon keys create` or `tendon keys rotate` makes a new one"));
            }
            self.note_use(id, key, now);
            return Ok(key.known.clone());
        }
        Err(match Token::parse(text) {
            Err(TokenError::Form) => Error::new(
                ErrorKind::Unauthenticated,
                "key_not_recognised",
                "the credentials are no API key of this service",
            )
            .hint("send `Authorization: Bearer tdn_…`; `tendon keys create --name NAME` makes a key"),
            Err(TokenError::Checksum) => {
                Error::new(ErrorKind::Unauthenticated, "key_mistyped", "the API key is incomplete or mistyped")
                    .hint("its checksum does not fit; copy it again, as a whole")
            }
            Ok(_) => Error::new(ErrorKind::Unauthenticated, "key_unknown", "the API key is unknown or was revoked")
                .hint("`tendon keys list` shows the keys in force"),
        })
    }

    /// What a key may do now, by its id: for who showed it before. Nothing when it was revoked or has ended.
    pub fn standing(&self, id: &str) -> Option<Arc<Known>> {
        let live = self.live.load();
        let (id, key) = live.get_key_value(id)?;
        let now = self.context.clock.now();
        if key.expires.is_some_and(|end| now >= end) {
            return None;
        }
        self.note_use(id, key, now);
        Some(key.known.clone())
    }

    /// Notes that a key was used, once an hour; nobody waits for the write.
    fn note_use(&self, id: &str, key: &Live, now: Timestamp) {
        let hour = now.0.div_euclid(HOUR) * HOUR;
        let before = key.used.load(Ordering::Relaxed);
        if before >= hour || key.used.compare_exchange(before, hour, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        let mut batch = Batch::default();
        batch.put(USE, id.as_bytes(), hour.to_string().into_bytes());
        let store = self.store.clone();
        let write = async move {
            if let Err(error) = store.write(batch).await {
                tracing::warn!(code = error.code(), "the last use of a key could not be kept: {error}");
            }
        };
        self.context.spawn.spawn("key use", write.boxed());
    }

    /// All keys, also revoked ones, oldest first.
    ///
    /// # Errors
    /// As the store's; `Corrupt` when a record cannot be read.
    pub async fn list(&self) -> Result<Vec<KeyRecord>> {
        let rows = self.store.range(TABLE, Range::prefix(b"", usize::MAX >> 1)).await?;
        let mut keys = rows.iter().map(|(_, value)| KeyRecord::read(value)).collect::<Result<Vec<_>>>()?;
        keys.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        Ok(keys)
    }

    /// When each key was last used, to the hour; keys that never were are not there.
    ///
    /// # Errors
    /// As the store's; `Corrupt` when a row cannot be read.
    pub async fn uses(&self) -> Result<HashMap<String, Timestamp>> {
        let rows = self.store.range(USE, Range::prefix(b"", usize::MAX >> 1)).await?;
        let read = |(id, hour): (Vec<u8>, Vec<u8>)| {
            let id = String::from_utf8(id).map_err(|_| unreadable())?;
            let hour = std::str::from_utf8(&hour).ok().and_then(|text| text.parse().ok()).ok_or_else(unreadable)?;
            Ok((id, Timestamp(hour)))
        };
        rows.into_iter().map(read).collect()
    }

    pub(super) async fn refresh(&self) -> Result<()> {
        let uses = self.uses().await?;
        let before = self.live.load();
        let now = self.context.clock.now();
        let mut live = HashMap::new();
        // Expired ones stay known, so that their users are told what happened.
        for key in self.list().await?.into_iter().filter(|key| key.revoked.is_none()) {
            let stored = || Arc::new(AtomicI64::new(uses.get(&*key.id).map_or(i64::MIN, |hour| hour.0.min(now.0))));
            let used = before.get(&*key.id).map_or_else(stored, |known| known.used.clone());
            let known = Known::new(key.id.clone(), key.name.clone(), &key.scopes, key.limits);
            let one = Live { hash: key.hash()?, expires: key.expires, known: Arc::new(known), used };
            live.insert(key.id.to_string(), one);
        }
        self.live.store(Arc::new(live));
        Ok(())
    }
}

/// Compares without telling by its duration where the difference is.
fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.iter().zip(b).fold(0, |different, (a, b)| different | (a ^ b)) == 0
}
