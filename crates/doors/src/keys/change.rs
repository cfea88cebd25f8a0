//! Changes of keys: made, rotated, revoked; each an entry of the ledger.

use std::{sync::Arc, time::Duration};

use tendon_kernel::{
    Error, ErrorKind, Id, Result, Timestamp,
    sockets::{
        ledger::{Body, Draft, EntryKind, Facts},
        store::Batch,
    },
};
use tendon_plan::{Scopes, trust::Limits};

use super::{
    format::Token,
    record::{KeyRecord, TABLE, hex},
    ring::KeyRing,
};

/// What a new key is to be.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Name of whoever uses it.
    pub name: String,
    /// What it may do.
    pub scopes: Scopes,
    /// How long it lives; `None`: until it is revoked.
    pub lifetime: Option<Duration>,
    /// How much its caller may ask.
    pub limits: Limits,
}

impl NewKey {
    /// A key without end and limits of its own.
    pub fn new(name: &str, scopes: Scopes) -> Self {
        Self { name: name.to_owned(), scopes, lifetime: None, limits: Limits::default() }
    }
}

impl KeyRing {
    /// Makes a key. Its text is shown to whoever asked and never again.
    ///
    /// # Errors
    /// `Invalid` for a name, scopes or a lifetime that cannot be; `Unavailable` when it cannot be recorded.
    pub async fn create(&self, wanted: NewKey, by: &str) -> Result<(Token, KeyRecord)> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
        let NewKey { name, scopes, lifetime, limits } = wanted;
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            return Err(Error::new(ErrorKind::Invalid, "key_name", "the name of a key cannot be this")
                .hint("1 to 64 letters, digits, `-`, `_`, `.` or `@`"));
        }
        if scopes.is_empty() {
            return Err(Error::new(ErrorKind::Invalid, "key_scopes", "a key needs at least one scope")
                .hint("decide:INTEGRATION, decide:*, review:INTEGRATION, review:*, read, operate or admin"));
        }
        if lifetime.is_some_and(|lifetime| lifetime.is_zero()) {
            return Err(Error::new(ErrorKind::Invalid, "key_lifetime", "a key that ends at once never works")
                .hint("let it live for a while, or until it is revoked"));
        }
        let token = Token::new(&*self.context.entropy);
        let now = self.context.clock.now();
        let record = KeyRecord {
            id: Arc::from(token.id()),
            name: Arc::from(name),
            scopes,
            hash: hex(&token.hash()),
            created: now,
            expires: lifetime.map(|lifetime| now.plus(lifetime)),
            revoked: None,
            successor: None,
            limits,
        };
        // The entry first: a key that works is always one the ledger knows of.
        self.record(&record, "created", by).await?;
        self.keep(&[&record]).await?;
        Ok((token, record))
    }

    /// Makes a key that takes the place of another one: same name, scopes and limits, so that idempotency keys, rate and quota go
    /// on; the other one lives for the overlap. The new one lives as long as the other was meant to, or as long as is said.
    ///
    /// # Errors
    /// `NotFound` when no key in force has this id or name; `Conflict` when it has a successor already, or several have the name.
    pub async fn rotate(
        &self,
        which: &str,
        overlap: Duration,
        lifetime: Option<Duration>,
        by: &str,
    ) -> Result<(Token, KeyRecord, KeyRecord)> {
        let mut old = self.one(which).await?;
        if let Some(successor) = &old.successor {
            return Err(Error::new(ErrorKind::Conflict, "key_rotated", "this key has a successor already")
                .with("successor", successor)
                .hint("rotate that one, by its id; or revoke this one"));
        }
        let span = |end: Timestamp| u64::try_from(end.0.saturating_sub(old.created.0)).unwrap_or_default();
        let lifetime = lifetime.or_else(|| old.expires.map(|end| Duration::from_micros(span(end))));
        let wanted = NewKey { name: old.name.to_string(), scopes: old.scopes.clone(), lifetime, limits: old.limits };
        let (token, new) = self.create(wanted, by).await?;
        let end = self.context.clock.now().plus(overlap);
        old.expires = Some(old.expires.map_or(end, |expires| expires.min(end)));
        old.successor = Some(new.id.clone());
        self.keep(&[&old]).await?;
        self.record(&old, "rotated", by).await?;
        Ok((token, new, old))
    }

    /// Ends a key, by id or name. The key is out of force before the entry is written, so that no failure keeps it alive.
    ///
    /// # Errors
    /// `NotFound` when no key in force has this id or name; `Conflict` when several have the name.
    pub async fn revoke(&self, which: &str, by: &str) -> Result<KeyRecord> {
        let mut record = self.one(which).await?;
        record.revoked = Some(self.context.clock.now());
        self.keep(&[&record]).await?;
        self.record(&record, "revoked", by).await?;
        Ok(record)
    }

    /// The key in force with this id or name. Of a key and its successor, the name means the successor.
    async fn one(&self, which: &str) -> Result<KeyRecord> {
        let now = self.context.clock.now();
        let mut found = self.list().await?;
        found.retain(|key| key.in_force(now) && (&*key.id == which || &*key.name == which));
        if found.len() > 1 {
            found.retain(|key| key.successor.is_none());
        }
        let mut found = found.into_iter();
        match (found.next(), found.next()) {
            (Some(one), None) => Ok(one),
            (Some(_), Some(_)) => {
                Err(Error::new(ErrorKind::Conflict, "key_ambiguous", format!("several keys are called `{which}`"))
                    .hint("name the key by its id; `tendon keys list` shows it"))
            }
            // Not repeated: it may be a whole key that somebody pasted.
            (None, _) => Err(Error::new(ErrorKind::NotFound, "key_not_found", "no key in force has this name or id")
                .hint("`tendon keys list` shows names and ids")),
        }
    }

    async fn keep(&self, records: &[&KeyRecord]) -> Result<()> {
        let mut batch = Batch::default();
        for record in records {
            batch.put(TABLE, record.id.as_bytes(), record.write()?);
        }
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
        let more = serde_json::json!({
            "key": record.id, "name": record.name, "scopes": record.scopes, "expires": record.expires,
            "successor": record.successor, "limits": record.limits,
        });
        let body = Body { more: more.to_string().into_bytes(), ..Body::default() };
        self.ledger.commit(vec![Draft { facts, body, claim: None }]).await.map(drop)
    }
}
