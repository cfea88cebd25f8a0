//! The keys in force, in memory; the records store holds them durably, the ledger holds every change.

use std::{collections::HashMap, fmt, sync::Arc};

use arc_swap::ArcSwap;
use tendon_kernel::{
    Error, ErrorKind, Id, Result, Timestamp,
    context::Context,
    sockets::{
        ledger::{Body, Draft, EntryKind, Facts, Ledger},
        store::{Batch, Range, Store, Table},
    },
};

use super::format::{self, Token, TokenError};
use crate::trust::Known;
use tendon_plan::{Scopes, trust::Limits};

/// Where the records are kept: id → record as JSON.
pub const TABLE: Table = Table("api_keys");

/// A key as it is kept: everything but the key.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KeyRecord {
    /// Public id, as it stands in the key and in the ledger.
    pub id: Arc<str>,
    /// Name people gave it; idempotency keys are scoped by it, so that they survive a new key of the same name.
    pub name: Arc<str>,
    /// What it may do.
    pub scopes: Scopes,
    /// SHA-256 of the key, lower-case hex.
    pub hash: String,
    /// When it was made.
    pub created: Timestamp,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Timestamp>,
}

/// A key in force.
struct Live {
    hash: [u8; 32],
    known: Arc<Known>,
}

/// The keys in force.
pub struct KeyRing {
    store: Arc<dyn Store>,
    ledger: Arc<dyn Ledger>,
    context: Context,
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
    /// `Unauthenticated`: foreign, mistyped, unknown or revoked.
    pub fn recognise(&self, text: &str) -> Result<Arc<Known>> {
        let live = self.live.load();
        if let Some(key) = format::id_of(text).and_then(|id| live.get(id))
            && same(&key.hash, &format::hash(text))
        {
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

    /// Makes a key. Its text is shown to whoever asked and never again.
    ///
    /// # Errors
    /// `Invalid` for a name or scopes that cannot be; `Unavailable` when it cannot be recorded.
    pub async fn create(&self, name: &str, scopes: Scopes, by: &str) -> Result<(Token, KeyRecord)> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            return Err(Error::new(ErrorKind::Invalid, "key_name", "the name of a key cannot be this")
                .hint("1 to 64 letters, digits, `-`, `_`, `.` or `@`"));
        }
        if scopes.is_empty() {
            return Err(Error::new(ErrorKind::Invalid, "key_scopes", "a key needs at least one scope")
                .hint("decide:INTEGRATION, decide:*, read or admin"));
        }
        let token = Token::new(&*self.context.entropy);
        let record = KeyRecord {
            id: Arc::from(token.id()),
            name: Arc::from(name),
            scopes,
            hash: hex(&token.hash()),
            created: self.context.clock.now(),
            revoked: None,
        };
        // The entry first: a key that works is always one the ledger knows of.
        self.record(&record, "created", by).await?;
        self.keep(&record).await?;
        Ok((token, record))
    }

    /// Ends a key, by id or name. The key is out of force before the entry is written, so that no failure keeps it alive.
    ///
    /// # Errors
    /// `NotFound` when no key in force has this id or name; `Conflict` when several have the name.
    pub async fn revoke(&self, which: &str, by: &str) -> Result<KeyRecord> {
        let mut found = self
            .list()
            .await?
            .into_iter()
            .filter(|key| key.revoked.is_none() && (&*key.id == which || &*key.name == which));
        let Some(mut record) = found.next() else {
            // Not repeated: it may be a whole key that somebody pasted.
            return Err(Error::new(ErrorKind::NotFound, "key_not_found", "no key in force has this name or id")
                .hint("`tendon keys list` shows names and ids"));
        };
        if found.next().is_some() {
            return Err(Error::new(ErrorKind::Conflict, "key_ambiguous", format!("several keys are called `{which}`"))
                .hint("name the key by its id; `tendon keys list` shows it"));
        }
        record.revoked = Some(self.context.clock.now());
        self.keep(&record).await?;
        self.record(&record, "revoked", by).await?;
        Ok(record)
    }

    /// All keys, also revoked ones, oldest first.
    ///
    /// # Errors
    /// As the store's; `Corrupt` when a record cannot be read.
    pub async fn list(&self) -> Result<Vec<KeyRecord>> {
        let rows = self.store.range(TABLE, Range::prefix(b"", usize::MAX >> 1)).await?;
        let mut keys = Vec::with_capacity(rows.len());
        for (_, value) in rows {
            keys.push(serde_json::from_slice::<KeyRecord>(&value).map_err(|error| {
                Error::new(ErrorKind::Corrupt, "key_record", "a stored API key record cannot be read").private(error)
            })?);
        }
        keys.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        Ok(keys)
    }

    async fn keep(&self, record: &KeyRecord) -> Result<()> {
        let value = serde_json::to_vec(record).map_err(|error| {
            Error::new(ErrorKind::Internal, "key_record", "an API key record cannot be written").private(error)
        })?;
        let mut batch = Batch::default();
        batch.put(TABLE, record.id.as_bytes(), value);
        self.store.write(batch).await?;
        self.refresh().await
    }

    async fn record(&self, record: &KeyRecord, what: &str, by: &str) -> Result<()> {
        let none: Arc<str> = Arc::from("");
        let facts = Facts {
            kind: EntryKind::Key,
            id: Id::new(&self.context),
            at: self.context.clock.now(),
            integration: none.clone(),
            model: None,
            route: none.clone(),
            reason: Arc::from(what),
            caller: Arc::from(by),
            policy: none.clone(),
            plan: none.clone(),
            retention: Arc::from("standard"),
            region: none,
        };
        let more = serde_json::json!({ "key": record.id, "name": record.name, "scopes": record.scopes });
        let body = Body { more: more.to_string().into_bytes(), ..Body::default() };
        self.ledger.commit(vec![Draft { facts, body, claim: None }]).await.map(drop)
    }

    async fn refresh(&self) -> Result<()> {
        let mut live = HashMap::new();
        for key in self.list().await? {
            if key.revoked.is_none() {
                live.insert(key.id.to_string(), recognised(&key)?);
            }
        }
        self.live.store(Arc::new(live));
        Ok(())
    }
}

fn recognised(key: &KeyRecord) -> Result<Live> {
    let hash = unhex(&key.hash)
        .ok_or_else(|| Error::new(ErrorKind::Corrupt, "key_record", "a stored API key record cannot be read"))?;
    Ok(Live { hash, known: Arc::new(Known::new(key.id.clone(), key.name.clone(), &key.scopes, Limits::default())) })
}

/// Compares without telling by its duration where the difference is.
fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.iter().zip(b).fold(0, |different, (a, b)| different | (a ^ b)) == 0
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (at, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(at * 2..at * 2 + 2)?, 16).ok()?;
    }
    Some(out)
}
