//! Erasing a subject: its entry first, durable; then the slot is overwritten with zeros and synced; then the subject's rows go,
//! with every trace of their keys in the store's file. A crash in between is finished when the ledger is opened. No byte of an entry changes, so every proof still verifies.

use std::{collections::BTreeSet, sync::Arc};

use tendon_kernel::{
    Error, ErrorKind, Id, Result,
    sockets::ledger::{Body, Committed, Draft, EntryKind, Erased, Facts},
};

use crate::{book::Inner, desk::Known, format::defect, tokens::Token};

impl Inner {
    /// See [`tendon_kernel::sockets::ledger::Ledger::erase`].
    pub(crate) async fn erase(self: &Arc<Self>, subject: &str, mut facts: Facts) -> Result<Erased> {
        let owner = self.tokens.subject(subject);
        let current = self.current_slot(&owner).await?;
        // From here on, entries about the subject take a new slot.
        self.desk().disown(owner);
        let size = self.desk().size;
        if size > 0 {
            self.wait_projected(size - 1).await;
        }
        let rows = self.index.subject(&owner, u64::MAX, usize::MAX).await?;
        // Usually one; more when an erasure before this one could not be recorded.
        let slots: BTreeSet<u64> = rows.iter().map(|row| row.slot).chain(current).collect();
        let slots: Vec<u64> = slots.into_iter().collect();
        if slots.is_empty() {
            return Err(Error::new(
                ErrorKind::NotFound,
                "no_such_subject",
                "the ledger holds nothing about this subject",
            )
            .hint("subjects are compared exactly; it may have been erased before"));
        }
        let ids: Vec<_> = rows.iter().rev().filter(|row| row.sort.decision()).map(|row| row.id).collect();
        facts.kind = EntryKind::Erasure;
        // Ids and slot numbers are no personal data; the entry is sealed with the day's key, so it stays readable.
        let ids: Vec<String> = ids.iter().map(|id| format!("\"{id}\"")).collect();
        let numbers: Vec<String> = slots.iter().map(u64::to_string).collect();
        let more = format!("{{\"decisions\":[{}],\"slots\":[{}]}}", ids.join(","), numbers.join(","));
        let draft = Draft { facts, body: Body { more: more.into_bytes(), ..Body::default() }, claim: None };
        let planned = self.plan(0, draft, slots.clone());
        #[cfg(any(test, feature = "mutations"))]
        if self.mutated(crate::book::Mutation::SlotFirst) {
            self.keyring.erase(&slots).await?;
        }
        let committed = self.commit_planned(vec![planned]).await?;
        let Some(Committed::New { seq }) = committed.into_iter().next() else {
            return Err(defect("record an erasure"));
        };
        self.keyring.erase(&slots).await?;
        self.wait_projected(seq).await;
        self.index.purge().await?;
        Ok(Erased { seq, decisions: ids.len() as u64 })
    }

    /// Records the erasure of slots that are empty although no entry erased them: after restoring a record that is older than
    /// its keys. Gives how many there were.
    pub(crate) async fn adopt_erasures(self: &Arc<Self>, facts: &Facts) -> Result<u64> {
        let Some(last) = self.desk().size.checked_sub(1) else { return Ok(0) };
        self.wait_projected(last).await;
        let used = self.index.position().await?.map_or(0, |position| position.next_slot);
        let known: BTreeSet<u64> = self.index.erasures().await?.into_iter().collect();
        let mut slots = Vec::new();
        for slot in (0..used).filter(|slot| !known.contains(slot)) {
            if self.keyring.key(slot)?.is_none() {
                slots.push(slot);
            }
        }
        // A leaf has room for so many and more.
        for some in slots.chunks(64) {
            let numbers: Vec<String> = some.iter().map(u64::to_string).collect();
            let more = format!("{{\"decisions\":[],\"slots\":[{}]}}", numbers.join(","));
            let body = Body { more: more.into_bytes(), ..Body::default() };
            let facts = Facts { kind: EntryKind::Erasure, id: Id::new(&self.context), ..facts.clone() };
            let planned = self.plan(0, Draft { facts, body, claim: None }, some.to_vec());
            let committed = self.commit_planned(vec![planned]).await?;
            let Some(Committed::New { seq }) = committed.into_iter().next() else {
                return Err(defect("record an erasure"));
            };
            self.keyring.erase(some).await?;
            self.wait_projected(seq).await;
        }
        Ok(slots.len() as u64)
    }

    /// The slot that a subject's entries are sealed with now.
    async fn current_slot(&self, owner: &Token) -> Result<Option<u64>> {
        loop {
            let (known, generation) = {
                let mut desk = self.desk();
                (desk.slot_of(owner), desk.generation())
            };
            match known {
                Known::Yes(slot) => return Ok(Some(slot)),
                Known::No | Known::Wait => return Ok(None),
                Known::Ask => {
                    let found = self.index.slot(owner).await?;
                    if self.desk().generation() == generation {
                        return Ok(found);
                    }
                }
            }
        }
    }
}
